/**
 * Transactions of one key over a node's line, with the patience of chain/evm/transactions.ts: one after another, each sent again every ten seconds until it
 * is in a block, the same bytes, so that it happens once; given up after five minutes, although it may still come into a block; and wanted again, it is the
 * same one that is waited for.
 *
 * Departures: a transaction that the chain will refuse is refused when its block is made, not before it is signed; and what was given up, or sent by a process
 * that has died, comes into a block all the same, where another transaction with the same number might take its place on a chain of contracts.
 */
import { SkeinError } from "../../base/errors.ts";
import type { Receipt } from "../../chain/chain.ts";
import { refusalName } from "../../chain/errors.ts";
import type { Fortune, Included, Submit, Transaction } from "../../chain/twin/blocks.ts";
import type { Timeline } from "../timeline.ts";
import { unlessInterrupted } from "./link.ts";

/**
 * A question over a node's line: `work` is done at the far end, once for each time that the question arrives. Rejects with its refusal, with
 * SkeinError("chain") when patience is over, with SkeinError("interrupted") when `signal` says so.
 */
export type Ask = <T>(
  what: string,
  sizes: { readonly upBytes: number; readonly downBytes: (answer: T) => number },
  work: () => Promise<T>,
  signal?: AbortSignal,
) => Promise<T>;

/** How long to wait for what; chain/evm/link.ts says the same. */
export interface Patience {
  /** Milliseconds before a silent node is asked again, once the line's own patience is over. */
  readonly pollMs: number;
  /** Milliseconds without a receipt after which a transaction is sent again. */
  readonly resendMs: number;
  /** Milliseconds after which a silent node, or a transaction that no block takes, is given up. */
  readonly giveUpMs: number;
}

/** Production's. */
export const PATIENCE: Patience = { pollMs: 500, resendMs: 10_000, giveUpMs: 300_000 };

/** Where transactions wait for a block. */
export interface Pool {
  /** Takes a transaction from a node, or loses it: false. What became of it is told once that cannot change any more. */
  take<T>(name: string, transaction: Transaction<T>, fortune: Fortune<T>): boolean;
}

/** What sends for a key. */
export interface DeskOptions {
  /** Of the node. */
  readonly name: string;
  readonly ask: Ask;
  readonly pool: Pool;
  readonly clock: Timeline;
  readonly patience: Patience;
  /** Aborted when nobody waits any more. */
  readonly closed: AbortSignal;
}

/** Transactions given up that are remembered, in case they are wanted again. */
const UNFINISHED_MAX = 16;
const TRANSACTION_BYTES = 600;
const RECEIPT_BYTES = 1200;

/** What stands on the chain of a transaction, for good. */
type Standing<T> = Included<T> | { readonly refused: unknown };

interface Attempt {
  readonly transaction: Transaction<unknown>;
  /** Whether a node has it. */
  isTaken: boolean;
  /** undefined: no block that is shown has it. */
  standing: Standing<unknown> | undefined;
  /** To be told as soon as one has it. */
  stand: () => void;
}

interface Desk extends DeskOptions {
  /** Newest last. */
  readonly unfinished: Attempt[];
}

/** Sends as one key; transactions that are given at the same time wait for each other. There is one desk for a key in a process. */
export function deskFor(options: DeskOptions): Submit {
  const desk: Desk = { ...options, unfinished: [] };
  let last: Promise<unknown> = Promise.resolve();
  return <T>(transaction: Transaction<T>) => {
    const result = last.then(() => carryOut(desk, transaction));
    last = result.catch(() => undefined);
    return result as Promise<Included<T>>; // those of one text give the same
  };
}

async function carryOut(desk: Desk, transaction: Transaction<unknown>): Promise<Included<unknown>> {
  const { unfinished } = desk;
  const at = unfinished.findIndex((each) => each.transaction.text === transaction.text);
  const known = at < 0 ? undefined : unfinished.splice(at, 1)[0];
  if (known === undefined) await patiently(desk, () => prepare(desk));
  const standing = await delivered(
    desk,
    known ?? { transaction, isTaken: false, standing: undefined, stand: () => undefined },
  );
  if ("refused" in standing) throw standing.refused;
  return standing;
}

/** Asks for gas, number and fees. */
function prepare({ ask, closed }: Desk): Promise<void> {
  return ask(
    "preparing a transaction",
    { upBytes: TRANSACTION_BYTES, downBytes: () => 400 },
    async () => undefined,
    closed,
  );
}

/** What `work` says; it is tried again while the node is silent, for as long as patience lasts. */
async function patiently<T>({ clock, patience, closed }: Desk, work: () => Promise<T>): Promise<T> {
  const startMs = clock.monotonic();
  for (;;) {
    try {
      return await work();
    } catch (thrown) {
      if (!isSilence(thrown) || clock.monotonic() - startMs >= patience.giveUpMs) throw thrown;
    }
    await unlessStopped(clock.sleep(patience.pollMs), closed);
  }
}

/** Sends an attempt until it stands on the chain. */
async function delivered(desk: Desk, attempt: Attempt): Promise<Standing<unknown>> {
  const { clock, patience, closed, unfinished } = desk;
  const startMs = clock.monotonic();
  let sentMs = Number.NEGATIVE_INFINITY;
  let trouble: unknown;
  try {
    for (;;) {
      if (clock.monotonic() - sentMs >= patience.resendMs || trouble !== undefined) {
        sentMs = clock.monotonic();
        trouble = await silenceOf(sent(desk, attempt));
      }
      const standing = await heard(desk, attempt);
      if (standing) return standing;
      const leftMs = startMs + patience.giveUpMs - clock.monotonic();
      if (leftMs <= 0) throw trouble ?? givenUp(attempt, patience);
      const isNews = trouble !== undefined || attempt.standing !== undefined;
      const untilMs = isNews ? patience.pollMs : sentMs + patience.resendMs - clock.monotonic();
      const pause = clock.sleep(Math.min(leftMs, untilMs));
      await unlessStopped(isNews ? pause : Promise.race([pause, stood(attempt)]), closed);
    }
  } catch (thrown) {
    unfinished.push(attempt);
    if (unfinished.length > UNFINISHED_MAX) unfinished.shift();
    throw thrown;
  }
}

/** Gives the attempt's bytes to a node; those that it has already change nothing. */
function sent({ ask, pool, name, closed }: Desk, attempt: Attempt): Promise<void> {
  const work = async (): Promise<void> => {
    if (attempt.isTaken) return;
    attempt.isTaken = pool.take(name, attempt.transaction, {
      onDone: (receipt: Receipt, value: unknown) => stands(attempt, { receipt, value }),
      onRefused: (refused) => stands(attempt, { refused }),
    });
  };
  return ask("sending a transaction", { upBytes: TRANSACTION_BYTES, downBytes: () => 100 }, work, closed);
}

/** Resolves when a block takes the attempt, which none has. */
function stood(attempt: Attempt): Promise<void> {
  return new Promise((resolve) => {
    attempt.stand = resolve;
  });
}

function stands(attempt: Attempt, standing: Standing<unknown>): void {
  attempt.standing = standing;
  attempt.stand();
}

/** What an answer says of the attempt; undefined where no block has it, or nobody answers. */
async function heard({ ask, closed }: Desk, attempt: Attempt): Promise<Standing<unknown> | undefined> {
  if (attempt.standing === undefined) return undefined; // who asked would hear just that
  const sizes = { upBytes: 200, downBytes: () => RECEIPT_BYTES };
  try {
    return await ask("a receipt", sizes, async () => attempt.standing, closed);
  } catch (thrown) {
    if (!isSilence(thrown)) throw thrown;
    return undefined;
  }
}

/** What kept a question from being answered; undefined where it was. Throws what is no silence. */
async function silenceOf(question: Promise<void>): Promise<unknown> {
  try {
    await question;
    return undefined;
  } catch (thrown) {
    if (!isSilence(thrown)) throw thrown;
    return thrown;
  }
}

/** Whether the chain could not be asked; a refusal is an answer. */
function isSilence(thrown: unknown): boolean {
  return thrown instanceof SkeinError && thrown.code === "chain" && refusalName(thrown) === undefined;
}

function givenUp({ transaction }: Attempt, { giveUpMs }: Patience): SkeinError {
  return new SkeinError("chain", `a transaction was in no block after ${giveUpMs / 1000} s`, {
    details: transaction.text,
    remedy: "see whether the chain makes blocks; trying again is safe, it will not happen twice",
  });
}

/** What `work` says, unless a signal comes first. Throws SkeinError("interrupted"). */
export function unlessStopped<T>(work: Promise<T>, ...signals: (AbortSignal | undefined)[]): Promise<T> {
  const stopped = AbortSignal.any(signals.filter((signal) => signal !== undefined)); // one of its own: a signal warns of more than ten listeners
  return unlessInterrupted(work, "chain", stopped);
}
