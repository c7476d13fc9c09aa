/**
 * The twin's blocks. A block comes where somebody asks for it (`mine`), or with each transaction (`automine`). Its hash is sha256 over
 * the parent's hash, the number, the timestamp and the hashes of its transactions, so equal histories have equal hashes on every
 * machine. A refused transaction is in no block.
 *
 * Where blocks may be taken back (`allowReorgs`), the world is copied now and then, and the transactions since are remembered: to go back is to take a copy
 * and do again what came before. Blocks that are made afterwards have other hashes, whatever is in them, and transactions of one sender keep their order,
 * as their numbers demand on a chain of contracts. Whoever wants to see only what no reorg can reach follows some blocks behind, with a world of its own
 * in which the same transactions are done again (`follow`).
 */
import { assert, must } from "../../base/assert.ts";
import { utf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { sha256Hex } from "../../base/hash.ts";
import type { Hash, Head, Receipt } from "../chain.ts";
import { HASHES_KEPT } from "../rounds.ts";

/** The newest block and the hashes before it. */
export interface BlockState {
  head: Head;
  readonly hashes: Map<number, Hash>;
}

/** How blocks are made. */
export interface BlockOptions {
  /** Every transaction gets a block at once (the default); otherwise it waits for `mine`. */
  readonly automine?: boolean;
  /** Seconds since 1970 of block 0. */
  readonly startSeconds?: number;
  /** Seconds from one block to the next. */
  readonly blockSeconds?: number;
  /** Seconds since 1970 where blocks shall follow a clock; at least one more than the parent's. */
  readonly seconds?: () => number;
}

/** Something that changes the chain, once it is in a block. */
export interface Transaction<T> {
  readonly sender: Hash;
  /** What it does, for its hash; two of one text do the same. */
  readonly text: string;
  /** Does it in a block, or throws why not. */
  readonly change: (block: number) => T;
}

/** Who is told what became of a transaction; told anew where a reorg took it out of its block. */
export interface Fortune<T> {
  readonly onDone: (receipt: Receipt, value: T) => void;
  readonly onRefused: (thrown: unknown) => void;
  readonly onDropped?: () => void;
}

/** A transaction in its block. */
export interface Included<T> {
  readonly receipt: Receipt;
  readonly value: T;
}

/** Puts a transaction into a block. Rejects with what its change throws. */
export type Submit = <T>(transaction: Transaction<T>) => Promise<Included<T>>;

/** A transaction that a reorg took out of its block. */
export interface Dropped {
  readonly sender: Hash;
  readonly text: string;
}

/** One that comes into a block again, `notBefore` a certain one. */
export interface Again {
  readonly dropped: Dropped;
  readonly notBefore?: number;
}

/** Says which transactions come again after a reorg, and in what order; those of one sender keep theirs. What is left out is lost. */
export type Arrange = (dropped: readonly Dropped[]) => readonly Again[];

/** Makes blocks out of transactions. */
export interface Producer {
  readonly state: BlockState;
  mine(count?: number, timestamp?: number): Head;
  /** Lets a transaction wait for a block, `notBefore` a certain one. */
  enter<T>(transaction: Transaction<T>, fortune: Fortune<T>, notBefore?: number): void;
  readonly submit: Submit;
  waitForBlock(block: number, signal?: AbortSignal): Promise<Head>;
  restore(state: BlockState): void;
  /** From now on, up to `depth` blocks may be taken back; until somebody calls this, nothing is remembered for it. */
  allowReorgs(depth: number): void;
  /** Takes back the newest blocks, as far as they are remembered; gives how many. */
  reorg(depth: number, arrange?: Arrange): number;
  /** Follows from the newest block on, `lag` blocks behind, on `ground`. What it has come to cannot be taken back. */
  follow(lag: number, ground: Ground): Follower;
  /** Transactions that wait for a block. */
  pending(): number;
}

/** A world beside the one that blocks are made in. */
export interface Ground {
  /** Makes it equal to the other. */
  begin(): void;
  /** Does some work with it in the place of the other. */
  does(work: () => void): void;
}

/** The chain as it was some blocks ago. */
export interface Follower {
  readonly state: BlockState;
  waitForBlock(block: number, signal?: AbortSignal): Promise<Head>;
}

interface Waiting extends Dropped {
  readonly notBefore: number;
  /** Tries the change in `block`; what it returns is told once the block is there. undefined where it was refused. */
  attempt(block: number): ((receipt: Receipt) => void) | undefined;
  drop(): void;
}

/** A block that may be taken back. */
interface Made {
  readonly head: Head;
  readonly transactions: readonly Waiting[];
}

/** A block that can be returned to at once. */
interface Base {
  readonly state: BlockState;
  /** Makes the world what it was. */
  readonly goBack: () => void;
}

/** Remembers the world as it is; what it returns goes back to it, as often as it is called. */
export type Remember = () => () => void;

/** Blocks from one copy of the world to the next, where blocks may be taken back. */
const BASE_BLOCKS = 32;

const hashOf = (text: string): Hash => `0x${sha256Hex(utf8(text))}`;
const copyOf = ({ head, hashes }: BlockState): BlockState => ({ head, hashes: new Map(hashes) });

/** The first block of a chain. */
export function genesisBlock(chainId: number, timestamp: number): BlockState {
  const hash = hashOf(`skein twin ${chainId}`);
  return { head: { block: 0, hash, timestamp }, hashes: new Map([[0, hash]]) };
}

/** Blocks upon `genesis`. */
export function blockProducer(genesis: BlockState, options: BlockOptions, remember: Remember): Producer {
  let state = genesis;
  let queue: Waiting[] = [];
  let forks = 0;
  const watchers = new Set<() => void>();
  const past = pastOf(remember);
  const followers = followersOf((other, work) => {
    const now = state;
    state = other;
    work();
    state = now;
  });

  const nextTime = (): number => timeAfter(state.head, options);
  const seal = (timestamp: number, hashes: readonly Hash[], transactions: readonly Waiting[]): void => {
    const number = state.head.block + 1;
    const fork = forks > 0 ? [`fork ${forks}`] : [];
    const hash = hashOf([state.head.hash, number, timestamp, ...hashes, ...fork].join(" "));
    extend(state, { block: number, hash, timestamp });
    const made = { head: state.head, transactions };
    past.add(made, state);
    followers.add(made);
  };
  const include = (transactions: readonly Waiting[], timestamp: number): boolean => {
    const block = state.head.block + 1;
    const done = attempted(transactions, block);
    if (done.length === 0 && transactions.length > 0) return false;
    const [hashes, taken] = [done.map(({ hash }) => hash), done.map(({ waiting }) => waiting)];
    seal(timestamp, hashes, taken);
    for (const { hash, tell } of done) tell({ block, hash, gas: 0n });
    return true;
  };
  const announce = (): void => {
    for (const watcher of [...watchers]) watcher();
  };
  const enter = (waiting: Waiting): void => {
    if (options.automine === false) queue.push(waiting);
    else if (include([waiting], nextTime())) announce();
  };

  return {
    get state() {
      return state;
    },
    mine(count = 1, timestamp = nextTime()) {
      for (let i = 0; i < count; i++) {
        const at = i === 0 ? timestamp : nextTime();
        const { ready, rest } = readyFor(state.head.block + 1, queue);
        queue = rest;
        if (!include(ready, at)) seal(at, [], []);
      }
      announce();
      return state.head;
    },
    enter: (transaction, fortune, notBefore = 0) => enter(waitingFor(transaction, fortune, notBefore)),
    submit: submitBy(enter),
    waitForBlock: (block, signal) =>
      waitFor(() => (state.head.block >= block ? state.head : undefined), watchers, signal),
    restore(saved) {
      state = saved;
      past.begin(state);
      followers.begin(state);
      announce();
    },
    allowReorgs(depth) {
      assert(options.automine === false, "blocks that come by themselves stay");
      past.begin(state, depth);
    },
    reorg(depth, arrange = (all) => all.map((dropped) => ({ dropped }))) {
      const { count, from, again, lost } = past.goBack(depth, state.head.block);
      state = from;
      for (const made of again) redo(made, state);
      if (count === 0) return 0;
      followers.goBack(state.head.block);
      forks += 1;
      for (const waiting of lost) waiting.drop();
      queue = [...arranged(lost, arrange), ...queue];
      return count;
    },
    follow: (lag, ground) => followers.join(lag, ground, state, watchers),
    pending: () => queue.length,
  };
}

/** Sends by `enter`, and waits until a block has it. */
function submitBy(enter: (waiting: Waiting) => void): Submit {
  return <T>(transaction: Transaction<T>) =>
    new Promise<Included<T>>((resolve, onRefused) => {
      const onDone = (receipt: Receipt, value: T): void => resolve({ receipt, value });
      enter(waitingFor(transaction, { onDone, onRefused }, 0));
    });
}

interface Done {
  readonly hash: Hash;
  readonly tell: (receipt: Receipt) => void;
  readonly waiting: Waiting;
}

/** Tries transactions in a block; gives those that were not refused. */
function attempted(transactions: readonly Waiting[], block: number): Done[] {
  return transactions.flatMap((waiting, i) => {
    const tell = waiting.attempt(block);
    return tell ? [{ hash: hashOf(`${block} ${i} ${waiting.text}`), tell, waiting }] : [];
  });
}

/** When the block after `parent` is made. */
function timeAfter({ timestamp }: Head, { seconds, blockSeconds = 12 }: BlockOptions): number {
  return seconds ? Math.max(timestamp + 1, Math.floor(seconds())) : timestamp + blockSeconds;
}

/** Puts a block upon the others. */
function extend(state: BlockState, head: Head): void {
  state.head = head;
  state.hashes.set(head.block, head.hash);
  state.hashes.delete(head.block - HASHES_KEPT - 1);
}

/** Those of `queue` that come into `block`, and the others: whose time has not come, and what the same sender sent after them. */
function readyFor(block: number, queue: readonly Waiting[]): { readonly ready: Waiting[]; readonly rest: Waiting[] } {
  const [ready, rest]: [Waiting[], Waiting[]] = [[], []];
  const held = new Set<Hash>();
  for (const waiting of queue) {
    const isHeld = waiting.notBefore > block || held.has(waiting.sender);
    if (isHeld) held.add(waiting.sender);
    (isHeld ? rest : ready).push(waiting);
  }
  return { ready, rest };
}

function arranged(lost: readonly Waiting[], arrange: Arrange): Waiting[] {
  const places = new Map<Dropped, number>(lost.map((waiting, place) => [waiting, place]));
  const last = new Map<Hash, number>();
  return arrange(lost).map(({ dropped, notBefore = 0 }) => {
    const place = must(places.get(dropped), "a transaction that was dropped");
    assert((last.get(dropped.sender) ?? -1) < place, "a sender's transactions keep their order, each once");
    last.set(dropped.sender, place);
    return { ...must(lost[place], "a dropped transaction"), notBefore };
  });
}

/** The newest blocks, as they can be taken back. */
interface Past {
  /** Forgets everything: there is no way back beyond `state`. */
  begin(state: BlockState, depth?: number): void;
  add(made: Made, state: BlockState): void;
  /** Goes back `depth` blocks from `block` and perhaps some more, which are to be done again; fewer where it remembers no more. */
  goBack(depth: number, block: number): Return;
}

/** A way back. */
interface Return {
  /** Blocks that are taken back. */
  readonly count: number;
  /** Where the world is now, and what has to be done again from there. */
  readonly from: BlockState;
  readonly again: readonly Made[];
  readonly lost: readonly Waiting[];
}

function pastOf(remember: Remember): Past {
  let depthMax = 0;
  let bases: Base[] = [];
  let made: Made[] = [];
  const keep = (state: BlockState): void => {
    bases.push({ state: copyOf(state), goBack: remember() });
  };
  return {
    begin(state, depth = depthMax) {
      depthMax = depth;
      [bases, made] = [[], []];
      if (depthMax > 0) keep(state);
    },
    add(block, state) {
      if (depthMax === 0) return;
      made.push(block);
      if (block.head.block - blockOf(bases.at(-1)) >= BASE_BLOCKS) keep(state);
      while (bases.length > 1 && blockOf(bases[1]) <= block.head.block - depthMax) bases.shift();
      const first = blockOf(bases[0]);
      if (made.length > 2 * BASE_BLOCKS + depthMax) made = made.filter(({ head }) => head.block > first);
    },
    goBack(depth, block) {
      assert(depth >= 1 && depth <= depthMax, `from 1 to ${depthMax} blocks may be taken back`);
      const target = Math.max(block - depth, blockOf(bases[0]));
      bases = bases.filter((base) => blockOf(base) <= target);
      const { goBack, state } = must(bases.at(-1), "a block to go back to");
      const lost = made.filter(({ head }) => head.block > target).flatMap(({ transactions }) => transactions);
      made = made.filter(({ head }) => head.block <= target);
      goBack();
      const again = made.filter(({ head }) => head.block > state.head.block);
      return { count: block - target, from: copyOf(state), again, lost };
    },
  };
}

const blockOf = (base: Base | undefined): number => must(base, "a base").state.head.block;

interface Following {
  readonly lag: number;
  readonly ground: Ground;
  state: BlockState;
  /** Blocks that it has not come to. */
  ahead: Made[];
}

interface Followers {
  join(lag: number, ground: Ground, state: BlockState, watchers: Set<() => void>): Follower;
  /** All begin anew at `state`. */
  begin(state: BlockState): void;
  add(made: Made): void;
  /** The blocks after `block` are no more. */
  goBack(block: number): void;
}

/** Those who follow; `standIn` does work with one's state in the place of the chain's. */
function followersOf(standIn: (state: BlockState, work: () => void) => void): Followers {
  const all: Following[] = [];
  const begin = (each: Following, state: BlockState): void => {
    [each.state, each.ahead] = [copyOf(state), []];
    each.ground.begin();
  };
  return {
    join(lag, ground, state, watchers) {
      const following: Following = { lag, ground, state, ahead: [] };
      begin(following, state);
      all.push(following);
      const headFrom = (block: number) => () => {
        const { head } = following.state;
        return head.block >= block ? head : undefined;
      };
      return {
        get state() {
          return following.state;
        },
        waitForBlock: (block, signal) => waitFor(headFrom(block), watchers, signal),
      };
    },
    begin(state) {
      for (const each of all) begin(each, state);
    },
    add(made) {
      for (const { lag, ground, state, ahead } of all) {
        ahead.push(made);
        const due = ahead.findIndex(({ head }) => head.block > made.head.block - lag);
        const settled = ahead.splice(0, due < 0 ? ahead.length : due);
        ground.does(() => standIn(state, () => settled.forEach((each) => void redo(each, state))));
      }
    },
    goBack(block) {
      for (const each of all) {
        assert(each.state.head.block <= block, "what a follower has come to stays");
        each.ahead = each.ahead.filter(({ head }) => head.block <= block);
      }
    },
  };
}

/** Does a block again upon its parent; nobody is told. */
function redo({ head, transactions }: Made, state: BlockState): void {
  for (const { attempt, text } of transactions) {
    assert(attempt(head.block) !== undefined, `what was done can be done again: ${text}`);
  }
  extend(state, head);
}

function waitingFor<T>(
  { sender, text, change }: Transaction<T>,
  { onDone, onRefused, onDropped }: Fortune<T>,
  notBefore: number,
): Waiting {
  return {
    sender,
    text,
    notBefore,
    attempt(block) {
      try {
        const value = change(block);
        return (receipt) => onDone(receipt, value);
      } catch (thrown) {
        onRefused(thrown);
        return undefined;
      }
    },
    drop: () => onDropped?.(),
  };
}

function waitFor<T>(look: () => T | undefined, watchers: Set<() => void>, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      watchers.delete(check);
      signal?.removeEventListener("abort", abort);
    };
    const abort = (): void => {
      stop();
      reject(new SkeinError("interrupted", "stopped while waiting for a block"));
    };
    const check = (): void => {
      const found = look();
      if (found === undefined) return;
      stop();
      resolve(found);
    };
    if (signal?.aborted) return abort();
    watchers.add(check);
    signal?.addEventListener("abort", abort);
    check();
  });
}
