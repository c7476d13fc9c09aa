/**
 * What goes wrong in a simulated world, and how often. It is drawn from the seed, so that some seeds have calm seas and others storms of one kind only:
 * a fault that always comes with ten others is hidden by them (swarm testing, Groce et al. 2012).
 */
import type { Random } from "../../base/random.ts";

/** A node's line to the rest of the world. */
export interface LineWeather {
  /** Milliseconds one way, at least; each message takes up to `jitterMs` longer, so that messages overtake each other. */
  readonly latencyMs: number;
  readonly jitterMs: number;
  /** Bits a second of this node's own line; Infinity: bytes take no time. */
  readonly upBps: number;
  readonly downBps: number;
  /** Probability that a request or its answer is lost on the way: the sender hears nothing and tries again. */
  readonly loss: number;
  /** Probability that a request arrives twice, the second time some seconds later. */
  readonly duplicate: number;
}

/** The shared store. Probabilities are per call. */
export interface StoreWeather {
  /** An upload breaks off: nothing is stored, its sender tries again. */
  readonly cutOff: number;
  /** A read sees the store as it was up to `staleMs` ago: new keys are not there, replaced ones have their old bytes. */
  readonly stale: number;
  readonly staleMs: number;
  /** A read gives a byte that is not what was stored (in passing: the next read may be right). */
  readonly corrupt: number;
}

/** The chain. */
export interface ChainWeather {
  /** Probability that a block takes `slowFactor` times as long. */
  readonly slow: number;
  readonly slowFactor: number;
  /** Probability that a transaction is lost by the node it was given to: its sender sends it again after a while. */
  readonly drop: number;
  /** Probability that after a block the last 1 to `reorgDepth` blocks are made again, with their transactions in another order and some of them later. */
  readonly reorg: number;
  readonly reorgDepth: number;
}

/** A node's own disk. */
export interface DiskWeather {
  /** Probability that a call fails, as a full or broken disk does. */
  readonly fail: number;
  /** Share of crashes that are power cuts, which lose or tear what was not flushed; the others are kills, which lose nothing that was written. */
  readonly powerCut: number;
}

/** A time in which somebody cannot reach something. */
export interface Outage {
  readonly what: "store" | "chain" | "both";
  /** Names of the nodes that cannot reach it; undefined: nobody can. */
  readonly nodes: readonly string[] | undefined;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** All of it. Times are milliseconds since the simulation's beginning. */
export interface Weather {
  readonly line: LineWeather;
  readonly store: StoreWeather;
  readonly chain: ChainWeather;
  readonly disk: DiskWeather;
  /** Probability that a node dies at a call of a seam; half of them before the call has its effect. */
  readonly crash: number;
  /** Milliseconds that a dead node stays away, at most. */
  readonly downMs: number;
  /** Most milliseconds by which a node's clock is off. */
  readonly skewMs: number;
  readonly outages: readonly Outage[];
  /** From here on nothing goes wrong any more. */
  readonly healMs: number;
}

/** Nothing goes wrong, and nothing takes time. */
export const CALM: Weather = {
  line: { latencyMs: 0, jitterMs: 0, upBps: Infinity, downBps: Infinity, loss: 0, duplicate: 0 },
  store: { cutOff: 0, stale: 0, staleMs: 0, corrupt: 0 },
  chain: { slow: 0, slowFactor: 1, drop: 0, reorg: 0, reorgDepth: 0 },
  disk: { fail: 0, powerCut: 0 },
  crash: 0,
  downMs: 0,
  skewMs: 0,
  outages: [],
  healMs: 0,
};

/** Counts what goes wrong. */
export interface FaultCount {
  /** Times that each fault was put in, by its name. */
  readonly faults: Readonly<Record<string, number>>;
  /** One more of that name. */
  fault(name: string): void;
}

/** No faults so far. */
export function faultCount(): FaultCount {
  const faults: Record<string, number> = {};
  return {
    faults,
    fault(name) {
      faults[name] = (faults[name] ?? 0) + 1;
    },
  };
}

/** Whom and how long a weather is for. */
export interface WeatherPlan {
  readonly random: Random;
  readonly nodes: readonly string[];
  /** When it heals. */
  readonly healMs: number;
  /** Milliseconds of a round. */
  readonly roundMs: number;
}

/** Draws a weather. Each kind of fault is left out of every other one. */
export function drawWeather({ random, nodes, healMs, roundMs }: WeatherPlan): Weather {
  const sometimes = (least: number, most: number): number => {
    const value = least * (most / least) ** random.uniform(); // as likely small as large
    return random.below(2) === 0 ? 0 : value;
  };
  const outages = Array.from({ length: random.below(4) }, (): Outage => {
    const fromMs = random.uniform() * healMs;
    const untilMs = Math.min(healMs, fromMs + sometimes(0.05, 1.5) * roundMs);
    const cut = nodes.filter(() => random.below(3) === 0);
    return {
      what: (["store", "chain", "both"] as const)[random.below(3)] ?? "both",
      nodes: random.below(3) === 0 ? undefined : cut,
      fromMs,
      untilMs,
    };
  });
  return {
    line: {
      latencyMs: sometimes(5, 100),
      jitterMs: sometimes(5, 300),
      upBps: random.below(2) === 0 ? Infinity : 1e5 * 100 ** random.uniform(),
      downBps: random.below(2) === 0 ? Infinity : 1e6 * 100 ** random.uniform(),
      loss: sometimes(1e-3, 0.1),
      duplicate: sometimes(1e-3, 0.1),
    },
    store: {
      cutOff: sometimes(1e-3, 0.1),
      stale: sometimes(1e-2, 0.3),
      staleMs: 1000 + random.below(10_000),
      corrupt: sometimes(1e-3, 0.05),
    },
    chain: {
      slow: sometimes(1e-2, 0.2),
      slowFactor: 2 + random.below(8),
      drop: sometimes(1e-3, 0.1),
      reorg: sometimes(2e-3, 0.03),
      reorgDepth: 1 + random.below(2),
    },
    disk: { fail: sometimes(1e-4, 3e-3), powerCut: random.uniform() },
    crash: sometimes(1e-4, 3e-3),
    downMs: Math.round((0.05 + random.uniform()) * roundMs),
    skewMs: sometimes(100, 100_000),
    outages,
    healMs,
  };
}
