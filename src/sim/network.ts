/**
 * A whole network in one process: the production roles over the chain's twin and stores in memory. Nothing in it waits for anything but simulated time
 * and engines, and engines take turns; so time moves on, to the next block or whatever else is due first, whenever nobody can do anything without it, and
 * a network is a function of its options: the same run every time, as fast as it computes.
 *
 * What a node sees of the world goes through `Start`: another chain, store, engine, dataset or clock for one node is how faults and dishonest
 * peers come in. Unless they say otherwise work takes no simulated time: all that can be done between two blocks is done.
 */
import { assert } from "../base/assert.ts";
import { utf8 } from "../base/bytes.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { SkeinError } from "../base/errors.ts";
import { sha256 } from "../base/hash.ts";
import { type LogEvent, memoryLog } from "../base/log/log.ts";
import { type Random, seededRandom } from "../base/random.ts";
import type { Chain, RunRecord, Signer, SubnetParams } from "../chain/chain.ts";
import { signerOf } from "../chain/keys/signer.ts";
import { roundBlocks, roundStart } from "../chain/rounds.ts";
import { createTwin, type Twin } from "../chain/twin/twin.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Engine } from "../engine/engine.ts";
import { type ActingNode, acting, type Node, openNode } from "../roles/network/node.ts";
import { runTrainer, type TrainerEnd, type TrainerOptions } from "../roles/network/trainer/trainer.ts";
import { runValidator, type ValidatorEnd, type ValidatorOptions } from "../roles/network/validator/validator.ts";
import type { MeansKernel } from "../round/means.ts";
import { specHash } from "../run/parse.ts";
import { roundsOf } from "../run/rules.ts";
import type { RunSpec } from "../run/spec.ts";
import { memoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { type Workshop, workshop } from "./engines.ts";
import { type Timeline, timeline } from "./timeline.ts";

const COIN = 10n ** 9n;
const BLOCK_SECONDS = 1;
/** Blocks between the run's registration and its first round. */
const LEAD_BLOCKS = 10;
/** Rounds after the run's last in which everybody should have come to an end. */
const PATIENCE_ROUNDS = 100;

/** What a network is made of. */
export interface NetworkOptions {
  readonly spec: RunSpec;
  readonly dataset: Dataset;
  /** An engine for a node, by the node's name. */
  readonly openEngine: (name: string) => Promise<Engine>;
  /** Names of the validators; all have a permit before the run begins. Default v1 and v2. */
  readonly validators?: readonly string[];
  /** Coins staked on a validator, by its name; 1000 where none is named. */
  readonly stakes?: Readonly<Record<string, number>>;
  /** Hyperparameters of the subnet that shall differ from a simulation's usual ones. */
  readonly subnet?: Partial<SubnetParams>;
  /** From what keys and all chance in the nodes follow, beside the spec's own seed. */
  readonly seed?: string;
  readonly means?: MeansKernel;
  /** Told of everything that a node's log is told. */
  readonly onEvent?: (name: string, event: LogEvent) => void;
  /** Lets everything happen that waits for nothing: one turn of the event loop. Default: a timer of no time. */
  readonly turn?: () => Promise<void>;
  /** Seconds from one block to the next. Default 1. */
  readonly blockSeconds?: number;
  /** Makes the blocks, as events of time; by default one after another. */
  readonly blocks?: (maker: BlockMaker) => void;
  /** The store that all nodes share. Default: one in memory. */
  readonly shared?: Store;
  /** Rounds after the run's last in which everybody should have come to an end. */
  readonly patienceRounds?: number;
}

/** What making blocks takes. */
export interface BlockMaker {
  readonly twin: Twin;
  readonly clock: Timeline;
  readonly blockSeconds: number;
  /** To be told of every block that was made. */
  readonly onBlock: (block: number) => void;
}

/** What a node is started with. */
export interface Start {
  /** Its own folder; kept by the caller, it survives a restart. */
  readonly local?: Store;
  readonly mirrors?: readonly Store[];
  readonly signal?: AbortSignal;
  readonly replay?: boolean;
  /** Sequences of a step, at most; of trainers. */
  readonly batch?: number;
  /** The world as this node sees it. */
  readonly chain?: Chain;
  readonly shared?: Store;
  readonly dataset?: Dataset;
  readonly clock?: Clock;
  /** For salts. */
  readonly random?: Random;
  /** The engine, wrapped. */
  readonly engine?: (engine: Engine) => Engine;
  /** The role's options, changed at the last moment: what a dishonest node does otherwise. */
  readonly trainer?: (options: TrainerOptions) => TrainerOptions;
  readonly validator?: (options: ValidatorOptions) => ValidatorOptions;
}

/** A role under way, and its log. */
export type Running<T> = Promise<T> & { readonly log: ReturnType<typeof memoryLog> };

/** A simulated network. */
export interface Network {
  readonly spec: RunSpec;
  readonly twin: Twin;
  readonly shared: Store;
  readonly clock: Timeline;
  readonly runId: number;
  readonly record: RunRecord;
  /** The hotkey of a node. */
  signer(name: string): Signer;
  trainer(name: string, start?: Start): Running<TrainerEnd>;
  validator(name: string, start?: Start): Running<ValidatorEnd>;
  node(name: string, start?: Start): Promise<Node>;
  /**
   * Lets time pass until `work` is done; `onBlock` sees each block. Throws SkeinError("interrupted") where there is no end long after the run's.
   */
  during<T>(work: Promise<T>, onBlock?: (block: number) => void): Promise<T>;
}

/** Names of nodes of one kind: v1, v2, … */
export function numbered(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);
}

/** The key of a name; `seed` is the network's. */
export function keyOf(name: string, seed = ""): Signer {
  return signerOf(sha256(utf8(`skein simulated key ${seed} ${name}`)));
}

/** Sets up chain, subnet and run. No node runs yet. */
export async function simulatedNetwork(options: NetworkOptions): Promise<Network> {
  const { spec, seed = "", blockSeconds = BLOCK_SECONDS } = options;
  const owner = keyOf("owner", seed);
  const first = createTwin({
    balances: new Map([[owner.account, 1_000_000n * COIN]]),
    automine: true,
    blockSeconds,
  });
  const netuid = await seatValidators(first, owner, options);
  const chain = first.as(owner);
  const { runId } = await chain.createRun({
    netuid,
    specHash: `0x${specHash(spec)}`,
    genesisRoot: `0x${spec.genesisRoot}`,
    startBlock: (await first.head()).block + LEAD_BLOCKS,
    ...spec.timing,
  });
  const twin = createTwin({ automine: false, blockSeconds }); // from here on, transactions wait for their block
  twin.restore(first.save());
  const record = await twin.run(runId);
  const clock = timeline((await twin.head()).timestamp * 1000);
  const watch: Watch = { onBlock: undefined };
  (options.blocks ?? steadyBlocks)({ twin, clock, blockSeconds, onBlock: (block) => watch.onBlock?.(block) });
  return networkOf({
    ...options,
    twin,
    shared: options.shared ?? memoryStore(),
    clock,
    runId,
    record,
    owner,
    shop: workshop(),
    watch,
  });
}

/** One block after another. */
function steadyBlocks({ twin, clock, blockSeconds, onBlock }: BlockMaker): void {
  const next = (): void =>
    clock.at(clock.now() + blockSeconds * 1000, () => {
      onBlock(twin.mine().block);
      next();
    });
  next();
}

/** Who is told of blocks now. */
interface Watch {
  onBlock: ((block: number) => void) | undefined;
}

/** Creates the subnet, stakes on its validators and runs one epoch, with which permits come. */
async function seatValidators(
  twin: Twin,
  owner: Signer,
  { spec, seed, subnet, stakes = {}, validators = ["v1", "v2"] }: NetworkOptions,
): Promise<number> {
  const chain = twin.as(owner);
  const [first, ...others] = validators.map((name) => keyOf(name, seed));
  assert(first !== undefined, "a network has a validator");
  const params = {
    tempo: 20,
    maxUids: Math.max(spec.uids, 12),
    commitReveal: true,
    revealInterval: 1,
    weightsSetRateLimit: 1,
    immunityPeriod: 10_000,
    ...subnet,
  };
  const { netuid } = await chain.createSubnet(first, 1000n * COIN, params);
  for (const hotkey of others) await chain.register(netuid, hotkey, 1000n * COIN);
  for (const name of validators) {
    await chain.addStake(netuid, keyOf(name, seed).account, BigInt(stakes[name] ?? 1000) * COIN);
  }
  twin.mine(params.tempo + 1);
  await chain.stepEpoch(netuid);
  return netuid;
}

interface Parts extends NetworkOptions {
  readonly twin: Twin;
  readonly shared: Store;
  readonly clock: Timeline;
  readonly runId: number;
  readonly record: RunRecord;
  readonly owner: Signer;
  readonly shop: Workshop;
  readonly watch: Watch;
}

function networkOf(parts: Parts): Network {
  const { spec, twin, shared, clock, runId, record, seed } = parts;
  const started = <T>(name: string, work: (log: ReturnType<typeof memoryLog>) => Promise<T>): Running<T> => {
    const log = logOf(parts, name);
    return Object.assign(work(log), { log });
  };
  return {
    ...{ spec, twin, shared, clock, runId, record },
    signer: (name) => keyOf(name, seed),
    node: (name, start = {}) => open(parts, name, start, logOf(parts, name)),
    trainer: (name, start = {}) =>
      started(name, async (log) => {
        const node = acting(await open(parts, name, start, log));
        return withEngine(parts, name, start, (engine) => runTrainer(trainerOptions(parts, node, engine, start)));
      }),
    validator: (name, start = {}) =>
      started(name, async (log) => {
        const node = acting(await open(parts, name, start, log));
        return withEngine(parts, name, start, (engine) => {
          const options = { node, engine, replay: start.replay ?? false };
          return runValidator(start.validator?.(options) ?? options);
        });
      }),
    during: (work, onBlock) => during(parts, work, onBlock),
  };
}

function logOf({ clock, onEvent }: Parts, name: string): ReturnType<typeof memoryLog> {
  return memoryLog({ clock, ...(onEvent && { onEvent: (event) => onEvent(name, event) }) });
}

function open(parts: Parts, name: string, start: Start, log: ReturnType<typeof memoryLog>): Promise<Node> {
  const { spec, runId, twin, seed = "", means } = parts;
  const { local = memoryStore(), mirrors, signal } = start;
  return openNode({
    spec,
    runId,
    chain: start.chain ?? twin,
    signer: keyOf(name, seed),
    shared: start.shared ?? parts.shared,
    local,
    dataset: start.dataset ?? parts.dataset,
    log,
    clock: start.clock ?? parts.clock,
    random: start.random ?? seededRandom(`${seed}${name}`),
    ...(mirrors && { mirrors }),
    ...(means && { means }),
    ...(signal && { signal }),
  });
}

async function withEngine<T>(
  { shop, openEngine }: Parts,
  name: string,
  { engine: wrapped }: Start,
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = shop.engine(await shop.does(() => openEngine(name)));
  try {
    return await work(wrapped?.(engine) ?? engine);
  } finally {
    await engine.close();
  }
}

function trainerOptions({ owner, record }: Parts, node: ActingNode, engine: Engine, start: Start): TrainerOptions {
  const options = {
    node,
    engine,
    replay: start.replay ?? false,
    register: async () => void (await node.chain.as(owner).register(record.netuid, node.signer, 1_000n * COIN)),
    ...(start.batch === undefined ? {} : { batch: start.batch }),
  };
  return start.trainer?.(options) ?? options;
}

/** Moves time on whenever nobody can do anything without that. */
async function during<T>(parts: Parts, work: Promise<T>, onBlock?: (block: number) => void): Promise<T> {
  const { clock, record, spec, watch, patienceRounds = PATIENCE_ROUNDS } = parts;
  let done = false;
  const end = work.finally(() => {
    done = true;
  });
  end.catch(() => undefined); // whoever awaits the result hears it
  const last = roundStart(record, roundsOf(spec)) + patienceRounds * roundBlocks(record);
  let newest = 0;
  watch.onBlock = (block) => {
    newest = block;
    onBlock?.(block);
  };
  for (;;) {
    await calm(parts);
    if (done) return end;
    assert(clock.step(), "there is always a next block");
    if (newest > last) {
      throw new SkeinError(
        "interrupted",
        `the run was over long before block ${newest}, and somebody is still waiting`,
      );
    }
  }
}

/** Resolves once everything has happened that waits for no time. */
async function calm({ shop, turn = () => systemClock.sleep(0) }: Parts): Promise<void> {
  for (;;) {
    await turn();
    if (shop.waiting === 0) return;
    await shop.next();
  }
}
