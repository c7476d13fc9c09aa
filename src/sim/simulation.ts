/**
 * One seed of the deterministic simulation: the whole network, with what goes wrong in it, and the promises that must be kept all the same.
 *
 *   draw the weather → open the world → nodes live, die and come back → the run is over → check → tell
 *
 * Everything that happens is a function of the options: the same ones give the same trace, to the bit, on every machine whose engines compute the same bits.
 * A node is a production role (roles/network) over the world's seams (world/); it dies at a call (life.ts) and comes back to what its disk has kept.
 */
import { must } from "../base/assert.ts";
import { SkeinError } from "../base/errors.ts";
import { toHex } from "../base/hash.ts";
import type { LogEvent } from "../base/log/log.ts";
import type { Hash } from "../chain/chain.ts";
import { roundBlocks } from "../chain/rounds.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Engine } from "../engine/engine.ts";
import { rootOf, type State } from "../roles/network/follower.ts";
import type { MeansKernel } from "../round/means.ts";
import { blocksOf, roundsOf } from "../run/rules.ts";
import type { RunSpec } from "../run/spec.ts";
import { memoryStore } from "../store/memory.ts";
import type { Adversary, Ring } from "./adversary/adversary.ts";
import { CHECKERS } from "./check/all.ts";
import type { Checker, LifeEnd, OpenChecker, Sight } from "./check/checker.ts";
import { type Chronicle, openChronicle } from "./chronicle.ts";
import { type Book, type Fates, type Life, openBook, openLife } from "./life.ts";
import { type Network, numbered, type Start, simulatedNetwork } from "./network.ts";
import type { RoundResult, SimulationResult, Violation } from "./result.ts";
import { type Witness, witnessOf } from "./scenario/witness.ts";
import { type Streams, streamsOf } from "./streams.ts";
import { timedEngine } from "./world/compute.ts";
import { CALM, drawWeather, type Weather } from "./world/weather.ts";
import { openWorld, type World } from "./world/world.ts";

/** Share of a run after which a drawn weather heals. */
const HEAL_SHARE = 0.6;
/** Rounds after the run's last in which everybody should have come to an end. */
const PATIENCE_ROUNDS = 6;
/** Lines of the log that a result shows. */
const TAIL_LINES = 400;

/** Dishonest trainers (or validators, by their kind) of one kind. */
export interface Attackers {
  readonly adversary: Adversary;
  readonly count: number;
}

/** A simulation. */
export interface SimulationOptions {
  readonly seed: string;
  readonly spec: RunSpec;
  readonly dataset: Dataset;
  /** An engine for a node, by the node's name; equal ones give equal bits. */
  readonly openEngine: (name: string) => Promise<Engine>;
  /** Honest ones. */
  readonly trainers: number;
  readonly validators: number;
  readonly attackers?: readonly Attackers[];
  /** "drawn": from the seed. Default: nothing goes wrong and nothing takes time. */
  readonly weather?: Weather | "drawn";
  /** Honest trainers that come later, at times drawn from the seed. Default: with a drawn weather one of four. */
  readonly late?: number;
  /** Default 6. */
  readonly blockSeconds?: number;
  /** Sequences of a step, at most, by honest trainer in turn. */
  readonly batches?: readonly number[];
  /** Milliseconds that a node computes on a token that it trains on. Default 0. */
  readonly msPerToken?: (name: string) => number;
  /** Bytes that a line is charged for a byte of a blob. */
  readonly scale?: number;
  readonly means?: MeansKernel;
  /** One turn of the event loop. */
  readonly turn?: () => Promise<void>;
  readonly checkers?: readonly OpenChecker[];
  /** Decides about calls, before the weather does. */
  readonly fates?: Fates;
  readonly onEvent?: (name: string, event: LogEvent) => void;
  /** Told of a round when it is over. */
  readonly onRound?: (round: RoundResult) => void;
}

/** What came of it, and the log's last lines. */
export type Simulated = SimulationResult & { readonly lines: readonly string[] };

/** Who takes part. */
interface Member {
  readonly name: string;
  readonly role: "trainer" | "validator";
  readonly adversary: Adversary | undefined;
  readonly batch: number | undefined;
  /** When it comes. */
  readonly fromMs: number;
}

interface Cast extends Omit<SimulationOptions, "checkers"> {
  readonly streams: Streams;
  readonly network: Network;
  readonly world: World;
  readonly members: readonly Member[];
  readonly ring: Ring;
  readonly book: Book;
  readonly chronicle: Chronicle;
  readonly checkers: readonly Checker[];
  /** Hears of every report. */
  readonly witness: Witness;
}

/** Runs one simulation to its end. */
export async function simulate(options: SimulationOptions): Promise<Simulated> {
  const violations: Violation[] = [];
  const cast = await castOf(options, violations);
  const { network, chronicle, members, checkers, witness, world } = cast;
  const startMs = network.clock.now();
  const everybody = Promise.all(members.map((member) => live(cast, member)));
  try {
    await network.during(everybody, blockListener(cast));
  } catch (thrown) {
    if (!(thrown instanceof SkeinError) || thrown.code !== "interrupted") throw thrown;
    chronicle.note("some never come to an end");
  }
  for (const checker of checkers) await checker.onEnd?.();
  return {
    seed: options.seed,
    traceHash: chronicle.hash(),
    blocks: (await network.twin.head()).block,
    virtualMs: network.clock.now() - startMs,
    rounds: await chronicle.rounds(),
    nodes: await chronicle.nodes(witness.paid),
    violations,
    calls: { ...cast.book.calls },
    faults: world.faults(),
    lines: chronicle.lines.slice(-TAIL_LINES),
  };
}

/** Tells everybody of blocks, and of each round once: blocks may be made anew. */
function blockListener({ chronicle, witness, checkers, onRound, network }: Cast): (block: number) => void {
  const { record, spec } = network;
  let told = -1;
  return (block) => {
    chronicle.onBlock(block);
    witness.onBlock();
    for (const checker of checkers) checker.onBlock?.(block);
    const round = (block - record.startBlock) / roundBlocks(record) - 1;
    if (!onRound || !Number.isInteger(round) || round <= told || round >= roundsOf(spec)) return;
    told = round;
    void chronicle.round(round).then(onRound);
  };
}

async function castOf(options: SimulationOptions, violations: Violation[]): Promise<Cast> {
  const { seed, spec, blockSeconds = 6, scale = 1 } = options;
  const streams = streamsOf(seed);
  const runMs = roundsOf(spec) * blocksOf(spec) * blockSeconds * 1000;
  const members = membersOf(options, streams, runMs);
  const weather = weatherOf(options, members, streams, runMs);
  const named = (role: Member["role"]): string[] =>
    members.filter((each) => each.role === role).map(({ name }) => name);
  const shared = memoryStore();
  const hear: { event?: (name: string, event: LogEvent) => void } = {};
  let opened: World | undefined;
  const network = await simulatedNetwork({
    ...{ spec, seed, blockSeconds, shared, validators: named("validator"), patienceRounds: PATIENCE_ROUNDS },
    dataset: options.dataset,
    openEngine: options.openEngine,
    subnet: { maxUids: Math.max(spec.uids, 12) },
    onEvent: (name, event) => hear.event?.(name, event),
    blocks: (maker) => {
      opened = openWorld({ ...maker, weather, streams, shared, scale, names: members.map(({ name }) => name) });
    },
    ...(options.means && { means: options.means }),
    ...(options.turn && { turn: options.turn }),
  });
  const world = must(opened, "a network makes blocks");
  const account = (name: string): Hash => network.signer(name).account;
  const known = members.map(({ name, role, adversary }) => {
    const bytes = (): { up: number; down: number } => world.bytes(name);
    return { name, role, attack: adversary?.name ?? null, account: account(name), bytes };
  });
  const chronicle = openChronicle(network, known);
  const book = openBook((call) => {
    chronicle.note(`${call.node} ${call.seam} ${call.op}`);
    const fate = options.fates?.(call) ?? "go";
    return fate === "go" ? world.fate(call) : fate;
  });
  const startMs = network.clock.now();
  const sight: Sight = {
    ...{ network, weather, account, shared },
    trainers: named("trainer"),
    validators: named("validator"),
    dishonest: new Set(members.filter(({ adversary }) => adversary).map(({ name }) => name)),
    folder: (name) => world.folder(name),
    now: () => network.clock.now() - startMs,
    pending: () => ({ events: network.clock.pending, transactions: network.twin.pending() }),
  };
  const checkers = (options.checkers ?? CHECKERS).map((open) => {
    const checker = open(sight, (what) => {
      violations.push({ invariant: checker.name, atMs: sight.now(), what });
      chronicle.note(`violated ${checker.name}: ${what}`);
    });
    return checker;
  });
  hear.event = (name, event) => {
    chronicle.onEvent(name, event);
    for (const checker of checkers) checker.onEvent?.(name, event);
    options.onEvent?.(name, event);
  };
  const dishonest = members.filter(({ adversary }) => adversary);
  const ring = {
    seed,
    members: dishonest.map(({ name }) => account(name)),
    leaks: dishonest.some(({ adversary }) => adversary?.leak)
      ? members.filter(({ role, adversary }) => role === "trainer" && !adversary).map(({ name }) => world.folder(name))
      : [],
  };
  return { ...options, streams, network, world, members, ring, book, chronicle, checkers, witness: witnessOf(network) };
}

/** Everybody: validators v1, v2, …, of whom the dishonest come last, honest trainers p1, p2, … and dishonest ones x1, x2, … */
function membersOf(options: SimulationOptions, streams: Streams, runMs: number): readonly Member[] {
  const { trainers, validators, attackers = [], batches = [], weather, spec } = options;
  const late = Math.min(trainers - 1, options.late ?? (weather === "drawn" ? Math.floor(trainers / 4) : 0));
  const random = streams("late");
  const all = attackers.flatMap(({ adversary, count }) => Array<Adversary>(count).fill(adversary));
  const [liars, peers] = [all.filter(({ validator }) => validator), all.filter(({ trainer }) => trainer)];
  return [
    ...numbered("v", validators + liars.length).map((name, i): Member => {
      return { name, role: "validator", adversary: liars[i - validators], batch: undefined, fromMs: 0 };
    }),
    ...numbered("p", trainers).map((name, i): Member => {
      const fromMs = i < trainers - late ? 0 : random.uniform() * HEAL_SHARE * runMs;
      return { name, role: "trainer", adversary: undefined, batch: batches[i % batches.length], fromMs };
    }),
    ...numbered("x", peers.length).map((name, i): Member => {
      return { name, role: "trainer", adversary: peers[i], batch: spec.inner.batch, fromMs: 0 };
    }),
  ];
}

function weatherOf(
  { weather = CALM, spec }: SimulationOptions,
  members: readonly Member[],
  streams: Streams,
  runMs: number,
): Weather {
  if (weather !== "drawn") return weather;
  const nodes = members.map(({ name }) => name);
  return drawWeather({
    random: streams("weather"),
    nodes,
    healMs: HEAL_SHARE * runMs,
    roundMs: runMs / roundsOf(spec),
  });
}

/** A node's lives, one after another, until the run is over. */
async function live(cast: Cast, member: Member): Promise<void> {
  const { network, world, chronicle, checkers } = cast;
  const { name } = member;
  await network.clock.sleep(member.fromMs);
  for (let number = 0; ; number++) {
    chronicle.onBirth(name);
    const end = await oneLife(cast, member, number);
    chronicle.onLifeEnd(end);
    for (const checker of checkers) checker.onLifeEnd?.(end);
    if (end.how === "over") return;
    await network.clock.sleep(world.ended(name, end.how));
  }
}

async function oneLife(cast: Cast, member: Member, number: number): Promise<LifeEnd> {
  const { network, book } = cast;
  const { name, role } = member;
  const life = openLife(name, book);
  const engines: Engine[] = [];
  const start = startOf(cast, member, life, number, engines);
  const work: Promise<{ readonly state: State }> = network[role](name, start);
  const end = await Promise.race([
    work.then(
      ({ state }): LifeEnd => {
        const at = { round: state.round, root: toHex(rootOf(state)) };
        return { node: name, how: "over", end: at };
      },
      (thrown: unknown): LifeEnd => ({ node: name, how: "error", thrown }),
    ),
    life.died.then((): LifeEnd => ({ node: name, how: "killed" })),
  ]);
  life.end();
  for (const engine of engines) await engine.close();
  return end;
}

/** What a process is started with: the world through its life, and, of a dishonest node, what it does otherwise. */
function startOf(cast: Cast, member: Member, life: Life, number: number, engines: Engine[]): Start {
  const { network, world, ring, streams, witness, chronicle, msPerToken } = cast;
  const { name, role, adversary, batch } = member;
  const { chain, shared, local, clock } = world.seams(name, life);
  const { trainer, validator } = adversary ?? {};
  return {
    ...{ chain, local, clock },
    shared: role === "validator" ? witness.reading(name, shared) : shared,
    random: streams(`salts ${name} ${number}`),
    engine(engine) {
      engines.push(engine);
      const timed = timedEngine(engine, {
        clock: network.clock,
        msPerToken: msPerToken?.(name) ?? 0,
        onCompute: (_, ms) => chronicle.onCompute(name, ms),
      });
      return life.engine(timed);
    },
    ...(batch !== undefined && { batch }),
    ...(trainer && { trainer: (options) => trainer(options, ring) }),
    ...(validator && { validator: (options) => validator(options, ring) }),
  };
}
