/**
 * The twin's blocks. A block comes where somebody asks for it (`mine`), or with each transaction (`automine`). Its hash is sha256 over
 * the parent's hash, the number, the timestamp and the hashes of its transactions, so equal histories have equal hashes on every
 * machine. A refused transaction is in no block.
 */
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

/** Makes blocks out of transactions. */
export interface Producer {
  readonly state: BlockState;
  mine(count?: number, timestamp?: number): Head;
  /** Puts `change` into a block; `text` says what it does, for the hash. Rejects with what `change` throws. */
  submit<T>(text: string, change: (block: number) => T): Promise<{ readonly receipt: Receipt; readonly value: T }>;
  waitForBlock(block: number, signal?: AbortSignal): Promise<Head>;
  restore(state: BlockState): void;
}

interface Waiting {
  readonly text: string;
  /** Tries the change in `block`; what it returns is told once the block is there. undefined where it was refused. */
  attempt(block: number): ((receipt: Receipt) => void) | undefined;
}

const hashOf = (text: string): Hash => `0x${sha256Hex(utf8(text))}`;

/** The first block of a chain. */
export function genesisBlock(chainId: number, timestamp: number): BlockState {
  const hash = hashOf(`skein twin ${chainId}`);
  return { head: { block: 0, hash, timestamp }, hashes: new Map([[0, hash]]) };
}

/** Blocks upon `genesis`. */
export function blockProducer(genesis: BlockState, options: BlockOptions): Producer {
  let state = genesis;
  const queue: Waiting[] = [];
  const watchers = new Set<() => void>();

  const nextTime = (): number => {
    const parent = state.head.timestamp;
    return options.seconds
      ? Math.max(parent + 1, Math.floor(options.seconds()))
      : parent + (options.blockSeconds ?? 12);
  };
  const seal = (timestamp: number, transactions: readonly Hash[]): void => {
    const number = state.head.block + 1;
    const hash = hashOf([state.head.hash, number, timestamp, ...transactions].join(" "));
    state.head = { block: number, hash, timestamp };
    state.hashes.set(number, hash);
    state.hashes.delete(number - HASHES_KEPT - 1);
  };
  const include = (transactions: readonly Waiting[], timestamp: number): boolean => {
    const block = state.head.block + 1;
    const done: { readonly hash: Hash; readonly tell: (receipt: Receipt) => void }[] = [];
    for (const [i, { text, attempt }] of transactions.entries()) {
      const tell = attempt(block);
      if (tell) done.push({ hash: hashOf(`${block} ${i} ${text}`), tell });
    }
    if (done.length === 0 && transactions.length > 0) return false;
    seal(
      timestamp,
      done.map(({ hash }) => hash),
    );
    for (const { hash, tell } of done) tell({ block, hash, gas: 0n });
    return true;
  };
  const announce = (): void => {
    for (const watcher of [...watchers]) watcher();
  };

  return {
    get state() {
      return state;
    },
    mine(count = 1, timestamp = nextTime()) {
      for (let i = 0; i < count; i++) {
        const at = i === 0 ? timestamp : nextTime();
        if (!include(queue.splice(0), at)) seal(at, []);
      }
      announce();
      return state.head;
    },
    submit(text, change) {
      return new Promise((resolve, reject) => {
        const waiting = waitingFor(text, change, (receipt, value) => resolve({ receipt, value }), reject);
        if (options.automine === false) queue.push(waiting);
        else if (include([waiting], nextTime())) announce();
      });
    },
    waitForBlock: (block, signal) =>
      waitFor(() => (state.head.block >= block ? state.head : undefined), watchers, signal),
    restore(saved) {
      state = saved;
      announce();
    },
  };
}

function waitingFor<T>(
  text: string,
  change: (block: number) => T,
  resolve: (receipt: Receipt, value: T) => void,
  reject: (thrown: unknown) => void,
): Waiting {
  return {
    text,
    attempt(block) {
      try {
        const value = change(block);
        return (receipt) => resolve(receipt, value);
      } catch (thrown) {
        reject(thrown);
        return undefined;
      }
    },
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
