/**
 * The chain as a simulation has it: blocks that come as events of time, some of them late, some of them made again; and a node's sight of it over the
 * node's line. Where blocks may be made again, nodes see the chain as many blocks late as a reorg may take back, as production does (chain/evm/link.ts).
 *
 * A reorg comes between two blocks. Half of them replace the blocks at once; after the others the head has gone back, and the blocks come one by one, as from a
 * node that lags behind. No block is replaced that ever had `reorgDepth` others upon it. A transaction that a reorg took out of its block may then be refused, or be in a later one.
 *
 * Departures from production (chain/evm): a node does not look for a new block every half second, but hears of each as soon as its line lets it, whoever
 * waits for it in the node; a question is one message, where some take two or three.
 */
import { SkeinError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import type { Chain, ChainAccount, Head, Signer } from "../../chain/chain.ts";
import { refusalName } from "../../chain/errors.ts";
import type { Again, Dropped, Fortune, Submit, Transaction } from "../../chain/twin/blocks.ts";
import type { Twin } from "../../chain/twin/twin.ts";
import { happens, type Streams } from "../streams.ts";
import type { Timeline } from "../timeline.ts";
import { type Ask, deskFor, PATIENCE, type Patience, type Pool, unlessStopped } from "./transactions.ts";
import { faultCount, type Weather } from "./weather.ts";

export type { Ask } from "./transactions.ts";

/** Blocks by which a transaction is late at most, where a node keeps it back. */
const DELAY_BLOCKS = 3;

/** What a chain is made of. */
export interface ChainWorldOptions {
  /** Its blocks come when asked for (`automine: false`). */
  readonly twin: Twin;
  readonly weather: Pick<Weather, "chain" | "healMs">;
  readonly streams: Streams;
  readonly clock: Timeline;
  /** Milliseconds from one block to the next. */
  readonly blockMs: number;
  /** When the simulation began, by the clock; now unless given. */
  readonly startMs?: number;
  /** Told of every block that is made, by its number: after a reorg, numbers come again. */
  readonly onBlock?: (block: number) => void;
}

/** A chain whose blocks come by themselves. */
export interface ChainWorld {
  readonly twin: Twin;
  /** What nodes see of it. */
  readonly shown: Omit<Chain, "as">;
  readonly clock: Timeline;
  /** Times that each fault was put in, by its name. */
  readonly faults: Readonly<Record<string, number>>;
  /** Makes no more blocks. */
  stop(): void;
  /** Changes with every block, and when one is taken back. */
  readonly serial: number;
  /** Resolves when `serial` is another. */
  moved(serial: number): Promise<void>;
  readonly pool: Pool;
}

/** Begins to make blocks, the first after `blockMs`. */
export function chainWorld(options: ChainWorldOptions): ChainWorld {
  const { twin, weather, streams, clock, blockMs, onBlock = () => undefined } = options;
  const { startMs = clock.now() } = options;
  const { faults, fault } = faultCount();
  const isHealed = (): boolean => clock.now() - startMs >= weather.healMs;
  const heads = signalling();
  if (weather.chain.reorg > 0) twin.allowReorgs(weather.chain.reorgDepth);
  const shown = weather.chain.reorg > 0 ? twin.settled(weather.chain.reorgDepth) : twin;
  const receipts = receiptsOf(shown.lag);
  let isOver = false;
  let highest = twin.peek().blocks.head.block;
  const make = (): void => {
    const { block } = twin.mine();
    highest = Math.max(highest, block);
    receipts.give(block);
    heads.change();
    onBlock(block);
  };
  const reorganise = (): void => {
    if (isOver || isHealed()) return;
    const random = streams("chain/reorg");
    const { reorgDepth } = weather.chain;
    const { block } = twin.peek().blocks.head;
    const depth = Math.min(1 + random.below(reorgDepth), block - (highest - reorgDepth)); // what was shown stays, however many come together
    if (depth === 0) return;
    const arrange = (dropped: readonly Dropped[]): Again[] =>
      inOtherOrder(dropped, random).map((each) => laterOrNot(each, twin.peek().blocks.head.block, depth, random));
    const count = twin.reorg(depth, arrange);
    if (count === 0) return;
    fault("reorg");
    heads.change();
    if (random.below(2) === 0) for (let i = 0; i < count; i++) make();
  };
  const next = (): void => {
    const isSlow = happens(streams("chain/slow"), weather.chain.slow) && !isHealed();
    if (isSlow) fault("slow block");
    const afterMs = isSlow ? blockMs * weather.chain.slowFactor : blockMs;
    const random = streams("chain/reorg");
    const isReorg = happens(random, weather.chain.reorg);
    if (isReorg) clock.at(clock.now() + afterMs * random.uniform(), reorganise);
    clock.at(clock.now() + afterMs, () => {
      if (isOver) return;
      make();
      next();
    });
  };
  next();
  return {
    ...{ twin, shown, clock, faults },
    get serial() {
      return heads.serial;
    },
    moved: (serial) => heads.changed(serial),
    pool: poolOf(options, receipts, fault, isHealed),
    stop() {
      isOver = true;
    },
  };
}

/** Where a transaction waits for a block, and may be lost before it does. */
function poolOf(
  { twin, weather, streams }: ChainWorldOptions,
  receipts: Receipts,
  fault: (name: string) => void,
  isHealed: () => boolean,
): Pool {
  const { drop } = weather.chain;
  return {
    take<T>(name: string, transaction: Transaction<T>, fortune: Fortune<T>): boolean {
      const random = streams(`chain/pool/${name}`);
      const [isLost, isLate] = [happens(random, drop), happens(random, drop)];
      if (isLost && !isHealed()) {
        fault("dropped transaction");
        return false;
      }
      const next = twin.peek().blocks.head.block + 1;
      const late = isLate && !isHealed() ? 1 + random.below(DELAY_BLOCKS) : 0;
      if (late > 0) fault("late transaction");
      twin.enter(transaction, receipts.late(fortune), next + late);
      return true;
    },
  };
}

/** Receipts that are held back until their block is shown. */
interface Receipts {
  late<T>(fortune: Fortune<T>): Fortune<T>;
  /** The newest block is another. */
  give(block: number): void;
}

function receiptsOf(lag: number): Receipts {
  let held: { readonly block: number; readonly tell: () => void }[] = [];
  return {
    late<T>({ onDone, onRefused }: Fortune<T>): Fortune<T> {
      let mine: (typeof held)[number] | undefined;
      return {
        onRefused,
        onDone(receipt, value) {
          mine = { block: receipt.block + lag, tell: () => onDone(receipt, value) };
          held.push(mine);
        },
        onDropped() {
          held = held.filter((each) => each !== mine);
        },
      };
    },
    give(block) {
      const due = held.filter((each) => each.block <= block);
      held = held.filter((each) => each.block > block);
      for (const { tell } of due) tell();
    },
  };
}

/** Any order in which those of one sender follow each other as they did. */
function inOtherOrder(dropped: readonly Dropped[], random: Random): readonly Dropped[] {
  const places = [...dropped];
  for (let i = places.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [places[i], places[j]] = [places[j] as Dropped, places[i] as Dropped];
  }
  const ofSender = new Map<string, Dropped[]>();
  for (const each of dropped) ofSender.set(each.sender, [...(ofSender.get(each.sender) ?? []), each]);
  return places.map(({ sender }) => ofSender.get(sender)?.shift() as Dropped);
}

/** Every third comes some blocks after the one it was taken from. */
function laterOrNot(dropped: Dropped, head: number, depth: number, random: Random): Again {
  return random.below(3) > 0 ? { dropped } : { dropped, notBefore: head + 1 + random.below(depth + 1) };
}

/** Tells whoever waits for a change. */
function signalling(): { readonly serial: number; change(): void; changed(serial: number): Promise<void> } {
  let [serial, waiting] = [0, [] as (() => void)[]];
  return {
    get serial() {
      return serial;
    },
    change() {
      serial += 1;
      const told = waiting;
      waiting = [];
      for (const tell of told) tell();
    },
    changed: (known) => (known === serial ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve()),
  };
}

/** What a node needs to see a chain. */
export interface NodeChainOptions {
  readonly world: ChainWorld;
  /** Of the node: its transactions are lost by chance of its own. */
  readonly name: string;
  /** Its line. */
  readonly ask: Ask;
  /** Aborted when the process is over: what it has sent may still happen. */
  readonly over?: AbortSignal;
  readonly patience?: Partial<Patience>;
}

/** The chain as one process of a node sees it. */
export function nodeChain({ world, name, ask, over, patience: other = {} }: NodeChainOptions): Chain {
  const { twin } = world;
  const closing = new AbortController();
  const closed = over ? AbortSignal.any([over, closing.signal]) : closing.signal;
  const patience = { ...PATIENCE, ...other };
  const context: Context = { ...{ world, name, ask, closed, patience }, asking: undefined };
  const desks = new Map<string, Submit>();
  return {
    ...{ chainId: twin.chainId, lag: world.shown.lag },
    ...readsOf(context),
    waitForBlock: (block, signal) => waitForBlock(context, block, signal),
    as(signer) {
      const desk = desks.get(signer.address) ?? deskFor({ ...context, pool: world.pool, clock: world.clock });
      desks.set(signer.address, desk);
      return accountOver(context, signer, desk);
    },
    close: async () => closing.abort(),
  };
}

interface Context {
  readonly world: ChainWorld;
  readonly name: string;
  readonly ask: Ask;
  readonly closed: AbortSignal;
  readonly patience: Patience;
  /** A question for the newest block that is on its way: all who wait in this node hear its answer. */
  asking: { readonly serial: number; readonly answer: Promise<Sighting> } | undefined;
}

/** Bytes of questions and answers, about as JSON-RPC has them. */
const QUESTION_BYTES = 200;
const WORD_BYTES = 66;
const HEAD_BYTES = 1500;
const LOG_BYTES = 700;
const NEURON_WORDS = 16;
const SUBNET_WORDS = 48;

const words = (count: number): number => WORD_BYTES * (1 + count);
const rowWords = (rows: ReadonlyMap<number, { readonly uids: readonly number[] }>): number =>
  [...rows.values()].reduce((sum, { uids }) => sum + 4 + 2 * uids.length, 0);

type Reads = Omit<Chain, "as" | "chainId" | "lag" | "waitForBlock" | "close">;

/** What each answer has in bytes. */
const ANSWER_BYTES: { readonly [K in keyof Reads]: (answer: Awaited<ReturnType<Reads[K]>>) => number } = {
  head: () => HEAD_BYTES,
  blockHash: () => HEAD_BYTES,
  subnets: (all) => words(SUBNET_WORDS * all.length),
  metagraph: ({ neurons }) => words(SUBNET_WORDS + NEURON_WORDS * neurons.length),
  weights: (rows) => words(rowWords(rows)),
  bonds: (rows) => words(rowWords(rows)),
  funds: ({ stakes }) => words(2 + 3 * stakes.length),
  issuance: () => words(2),
  subnetCost: () => words(1),
  run: ({ specs }) => words(10 + 2 * specs.length),
  commits: (all) => LOG_BYTES * all.length,
  votes: (all) => LOG_BYTES * all.length,
  decision: (found) => words(8 + (found?.incentives.length ?? 0)),
};

/** Questions; each is answered as of the block that is the newest to be shown when it arrives. */
function readsOf({ world: { shown }, ask, closed }: Context): Reads {
  const read = <T>(what: string, downBytes: (answer: T) => number, work: () => Promise<T>): Promise<T> =>
    ask(what, { upBytes: QUESTION_BYTES, downBytes }, work, closed);
  const bytes = ANSWER_BYTES;
  return {
    head: () => read("the newest block", bytes.head, () => shown.head()),
    blockHash: (block) => read(`block ${block}`, bytes.blockHash, () => shown.blockHash(block)),
    subnets: () => read("subnets", bytes.subnets, () => shown.subnets()),
    metagraph: (netuid) => read("metagraph", bytes.metagraph, () => shown.metagraph(netuid)),
    weights: (netuid) => read("weights", bytes.weights, () => shown.weights(netuid)),
    bonds: (netuid) => read("bonds", bytes.bonds, () => shown.bonds(netuid)),
    funds: (coldkey) => read("funds", bytes.funds, () => shown.funds(coldkey)),
    issuance: () => read("issuance", bytes.issuance, () => shown.issuance()),
    subnetCost: () => read("a subnet's cost", bytes.subnetCost, () => shown.subnetCost()),
    run: (runId) => read("a run", bytes.run, () => shown.run(runId)),
    commits: (runId, round) => read("commits", bytes.commits, () => shown.commits(runId, round)),
    votes: (runId, round) => read("votes", bytes.votes, () => shown.votes(runId, round)),
    decision: (runId, round) => read("a decision", bytes.decision, () => shown.decision(runId, round)),
  };
}

/** The newest block, and the world's serial when it was that. */
interface Sighting {
  readonly head: Head;
  readonly serial: number;
}

async function waitForBlock(context: Context, block: number, signal?: AbortSignal): Promise<Head> {
  const { world, closed } = context;
  for (;;) {
    const { head, serial } = await insistentSighting(context, signal);
    if (head.block >= block) return head;
    await unlessStopped(world.moved(serial), closed, signal);
  }
}

/** The newest block; asked for until patience is over. */
async function insistentSighting(context: Context, signal: AbortSignal | undefined): Promise<Sighting> {
  const { world, closed, patience } = context;
  const startMs = world.clock.monotonic();
  for (;;) {
    try {
      return await unlessStopped(sighting(context), closed, signal);
    } catch (thrown) {
      const isOver = world.clock.monotonic() - startMs >= patience.giveUpMs;
      if (isOver || !(thrown instanceof SkeinError) || thrown.code !== "chain" || refusalName(thrown)) throw thrown;
    }
    await unlessStopped(world.clock.sleep(patience.pollMs), closed, signal);
  }
}

function sighting(context: Context): Promise<Sighting> {
  const { world, ask, closed, asking } = context;
  if (asking?.serial === world.serial) return asking.answer;
  const answer = ask(
    "the newest block",
    { upBytes: QUESTION_BYTES, downBytes: () => HEAD_BYTES },
    async () => ({ head: await world.shown.head(), serial: world.serial }),
    closed,
  );
  const asked = { serial: world.serial, answer };
  context.asking = asked;
  const forget = (): void => {
    if (context.asking === asked) context.asking = undefined;
  };
  answer.then(forget, forget);
  return answer;
}

/** The hands of a key, whose transactions go over the line. What is looked up before they are signed takes one message. */
function accountOver({ world, ask, closed }: Context, signer: Signer, submit: Submit): ChainAccount {
  const account = world.twin.as(signer, submit);
  const after = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    await ask(what, { upBytes: QUESTION_BYTES, downBytes: () => words(4) }, async () => undefined, closed);
    return work();
  };
  return {
    ...account,
    createSubnet: (...args) => after("default settings", () => account.createSubnet(...args)),
    register: (...args) => after("a registration", () => account.register(...args)),
    stepEpoch: (netuid) => after("an epoch", () => account.stepEpoch(netuid)),
  };
}
