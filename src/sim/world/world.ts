/**
 * A simulated world: one chain, one shared store, and for each node a line to them and a disk. Nodes come and go; the world stays.
 */
import { must } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import type { Chain } from "../../chain/chain.ts";
import { folderStoreOn } from "../../store/folder/folder.ts";
import type { Store } from "../../store/store.ts";
import type { Call, Fate, Life } from "../life.ts";
import type { BlockMaker } from "../network.ts";
import { happens, type Streams } from "../streams.ts";
import { chainWorld, nodeChain } from "./chain.ts";
import { type SimulatedDisk, simulatedDisk } from "./disk.ts";
import { type Line, openLine } from "./link.ts";
import { forwardNews, linkedStore, storeWorld } from "./store.ts";
import { faultCount, type Weather } from "./weather.ts";

/** Milliseconds that a node stays away whose process ended by itself: whoever runs it starts it again. */
const RESTART_MS = 5000;
/** Where a node's folder lies on its disk. */
const FOLDER = "/node";

/** What a world is made of. */
export interface WorldOptions extends BlockMaker {
  readonly names: readonly string[];
  readonly weather: Weather;
  readonly streams: Streams;
  /** What the shared store really has. */
  readonly shared: Store;
  /** Bytes that a line is charged for a byte of a blob. */
  readonly scale: number;
}

/** What one process of a node has of the world. */
export interface Seams {
  readonly chain: Chain;
  readonly shared: Store;
  readonly local: Store;
  readonly clock: Clock;
}

/** A world under way. */
export interface World {
  /** The world as one process of a node sees it. */
  seams(name: string, life: Life): Seams;
  /** What the weather makes of a call. */
  fate(call: Call): Fate;
  /** A process has ended: what becomes of its disk. Gives the milliseconds until it is started again. */
  ended(name: string, how: "killed" | "error"): number;
  /** A node's folder as it is on its disk, without faults. */
  folder(name: string): Store;
  /** Bytes that a node's line was charged. */
  bytes(name: string): { readonly up: number; readonly down: number };
  /** Times that each fault was put in, by its name. */
  faults(): Readonly<Record<string, number>>;
}

interface Place {
  readonly line: Line;
  readonly disk: SimulatedDisk;
  readonly skewMs: number;
}

/** Opens a world; its first block comes after `blockSeconds`. */
export function openWorld(options: WorldOptions): World {
  const { names, weather, streams, shared, twin, clock, blockSeconds, onBlock } = options;
  const startMs = clock.now();
  const chain = chainWorld({ twin, weather, streams, clock, blockMs: blockSeconds * 1000, startMs, onBlock });
  const store = storeWorld({ store: forwardNews(shared), weather, streams, clock, startMs });
  const places = new Map(names.map((name) => [name, placeOf(options, name, startMs)] as const));
  const { faults, fault } = faultCount();
  const at = (name: string): Place => must(places.get(name), `a node called ${name}`);
  const isHealed = (): boolean => clock.now() - startMs >= weather.healMs;
  return {
    seams(name, life) {
      const { line, disk, skewMs } = at(name);
      const sight = nodeChain({ world: chain, name, ask: (...args) => line.ask("chain", ...args), over: life.over });
      return {
        chain: life.chain(sight),
        shared: life.store(linkedStore(line, store, life.over)),
        local: folderStoreOn(
          disk.open((op) => life.touchDisk(op)),
          FOLDER,
        ),
        clock: {
          now: () => clock.now() + skewMs,
          monotonic: () => clock.monotonic(),
          sleep: (ms) => life.sleep(clock.sleep(ms)),
        },
      };
    },
    fate({ node, seam }) {
      const random = streams(`fate/${node}`);
      const [isCrash, isAfter] = [happens(random, weather.crash), random.below(2) === 0];
      const isFailure = seam === "disk" && happens(random, weather.disk.fail);
      if (isHealed()) return "go";
      if (isCrash) fault(isAfter ? "crash after a call" : "crash before a call");
      if (isCrash) return isAfter ? "die after" : "die";
      if (isFailure) fault("disk failure");
      return isFailure ? "fail" : "go";
    },
    ended(name, how) {
      const { disk } = at(name);
      const random = streams(`crash/${name}`);
      const isPowerCut = happens(random, weather.disk.powerCut);
      if (how === "error" || !isPowerCut) {
        disk.kill();
      } else {
        disk.powerCut();
        fault("power cut");
      }
      return how === "error" ? RESTART_MS : Math.ceil(weather.downMs * random.uniform());
    },
    folder: (name) => folderStoreOn({ ...at(name).disk.open(), unlink: async () => undefined }, FOLDER), // who looks must not sweep up
    bytes(name) {
      const { upBytes: up, downBytes: down } = at(name).line;
      return { up, down };
    },
    faults: () => sums([faults, chain.faults, store.faults, ...[...places.values()].map(({ line }) => line.faults)]),
  };
}

function placeOf({ weather, streams, clock, scale }: WorldOptions, name: string, startMs: number): Place {
  const { skewMs } = weather;
  return {
    line: openLine({ name, weather, streams, clock, startMs, scale }),
    disk: simulatedDisk({ random: streams(`disk/${name}`), clock }),
    skewMs: Math.round(skewMs * (2 * streams(`skew/${name}`).uniform() - 1)),
  };
}

/** Counts by name, added up. */
function sums(lists: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const all: Record<string, number> = {};
  for (const [name, count] of lists.flatMap((list) => Object.entries(list))) all[name] = (all[name] ?? 0) + count;
  return Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
}
