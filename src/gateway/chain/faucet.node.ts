/**
 * Names Node: a faucet with its book in a file. Every line is flushed to the disk before what it announces is done. Grants go out one at a time; who asks
 * again while or after that happens gets the same answer.
 */
import * as fs from "node:fs/promises";
import * as path from "node:path";
import type { Clock } from "../../base/clock.ts";
import { syncFolder, systemCode } from "../../base/disk.node.ts";
import { messageOf, SkeinError } from "../../base/errors.ts";
import { FAUCET_FILE_BYTES_MAX } from "../../base/limits.ts";
import type { Log } from "../../base/log/log.ts";
import { buckets } from "../../chain/local/door/bucket.ts";
import type { Refusal } from "../http/refusal.ts";
import { type FaucetBook, type FaucetRules, faucetBook } from "./faucet.ts";

/** What was given: rao, in which block. */
export interface Given {
  readonly rao: bigint;
  readonly block: number;
}

/** A faucet as its owner sets it up. */
export interface FaucetOptions extends FaucetRules {
  /** The book. */
  readonly file: string;
  /** Sends at most `raoMax` rao to `account` and waits until they are there. Where it rejects, nobody knows whether they will be. */
  readonly grant: (account: string, raoMax: bigint) => Promise<Given>;
  /**
   * Asked about a grant that was begun and whose end is not known: what was given; "nothing" where nothing was and nothing can be any more; undefined where
   * that cannot be told. Without it such an account is never given anything again.
   */
  readonly settled?: (account: string) => Promise<Given | "nothing" | undefined>;
  /** Grants for one client (IP address) in an hour. Default: 4. */
  readonly perClientHour?: number;
}

/** An open faucet. */
export interface Faucet {
  ask(account: string, client: string): Promise<Given | Refusal>;
  /** Waits for the grant under way and closes the book. */
  close(): Promise<void>;
}

/** Accounts that may wait for their grant. */
const WAITING_MAX = 32;
const PER_CLIENT_HOUR = 4;

const OPEN_GRANT: Refusal = {
  status: 409,
  error: "a grant to this account was begun, and it is not known whether it arrived",
  remedy: "look at the account's balance; if there is nothing, ask the run's owner",
};

interface Desk {
  readonly options: FaucetOptions;
  readonly book: FaucetBook;
  readonly clock: Clock;
  readonly log: Log;
  write(line: string): Promise<void>;
}

/** Opens a faucet. Rejects with SkeinError("store") where its book is damaged or cannot be written. */
export async function openFaucet(options: FaucetOptions, clock: Clock, log: Log): Promise<Faucet> {
  const { lines, handle, length } = await openBook(options.file);
  let last: Promise<unknown> = Promise.resolve();
  const waiting = new Map<string, Promise<Given | Refusal>>();
  const perHour = options.perClientHour ?? PER_CLIENT_HOUR;
  const rate = buckets(perHour / 3600, perHour);
  const write = appender(handle, length, options.file);
  const desk: Desk = { options, book: openedBook(lines, options), clock, log, write };
  return {
    async ask(account, client) {
      const verdict = desk.book.judge(account, clock.now());
      if (verdict.kind === "paid") return verdict;
      const begun = waiting.get(account);
      if (begun !== undefined) return begun;
      if (verdict.kind === "refuse") return verdict.refusal;
      if (waiting.size >= WAITING_MAX) return later("many newcomers are waiting", 10);
      if (!rate.take(client, 1, clock.monotonic())) {
        return later(
          "this address has been given enough for now",
          Math.ceil(rate.waitMs(client, 1, clock.monotonic()) / 1000),
        );
      }
      const work = last.then(() => serve(desk, account)).finally(() => waiting.delete(account));
      last = work.catch(() => undefined);
      waiting.set(account, work);
      return work;
    },
    async close() {
      await last;
      await handle.close();
    },
  };
}

function later(error: string, seconds: number): Refusal {
  return { status: 429, error, remedy: `try again in ${seconds} s`, retryAfterSeconds: seconds };
}

function openedBook(lines: readonly string[], options: FaucetOptions): FaucetBook {
  try {
    return faucetBook(lines, options);
  } catch (thrown) {
    if (!(thrown instanceof SkeinError)) throw thrown;
    throw new SkeinError(thrown.code, thrown.message, { details: options.file, remedy: thrown.remedy ?? "" });
  }
}

/** One account's grant, with the book to itself. */
async function serve(desk: Desk, account: string): Promise<Given | Refusal> {
  const { options, book, clock, log, write } = desk;
  if (book.judge(account, clock.now()).kind === "open") {
    const end = await options.settled?.(account);
    if (end === undefined) return OPEN_GRANT;
    await write(end === "nothing" ? book.undone(account) : book.paid(account, end.rao, end.block));
  }
  const verdict = book.judge(account, clock.now());
  if (verdict.kind === "paid") return verdict;
  if (verdict.kind === "refuse") return verdict.refusal;
  try {
    await write(book.begin(account, clock.now()));
  } catch (thrown) {
    book.undone(account); // nothing has been sent
    throw thrown;
  }
  let given: Given;
  try {
    given = await options.grant(account, options.raoMax);
  } catch (thrown) {
    log.event("faucet-trouble", { account, why: messageOf(thrown) });
    return OPEN_GRANT;
  }
  log.event("faucet", { account, rao: `${given.rao}`, block: given.block });
  await write(book.paid(account, given.rao, given.block)).catch((thrown: unknown) => {
    log.event("faucet-trouble", { account, why: messageOf(thrown) }); // it is paid; after a restart it counts as open
  });
  return given;
}

/** Appends lines, each flushed; a line that fails is taken out again. From then on that somebody else has written there, it only rejects. */
function appender(handle: fs.FileHandle, length: number, file: string): (line: string) => Promise<void> {
  let bytes = length;
  let broken: SkeinError | undefined;
  return async (line) => {
    if (broken !== undefined) throw broken;
    const after = bytes + Buffer.byteLength(line);
    try {
      await handle.appendFile(line);
      await handle.sync();
    } catch (thrown) {
      await handle.truncate(bytes).catch(() => {
        broken = new SkeinError("store", "the faucet's book cannot be written", {
          details: file,
          remedy: "check the disk",
        });
      });
      throw new SkeinError("store", "the faucet's book cannot be written", {
        remedy: "free some disk space",
        cause: thrown,
      });
    }
    bytes = after;
    if ((await handle.stat()).size === after) return;
    broken = shared(file);
    throw broken;
  };
}

interface OpenedBook {
  readonly lines: readonly string[];
  readonly handle: fs.FileHandle;
  readonly length: number;
}

/** Opens the book for appending. A last line without its end was being written when the process died, before anything was sent: it is cut off. */
async function openBook(file: string): Promise<OpenedBook> {
  try {
    await fs.mkdir(path.dirname(path.resolve(file)), { recursive: true });
    const handle = await fs.open(file, "a+", 0o600);
    const { size } = await handle.stat();
    if (size > FAUCET_FILE_BYTES_MAX) {
      await handle.close();
      const remedy = "this is not the file that is expected there; name another one";
      throw new SkeinError("store", `${file} has ${size} bytes, which is too much for a faucet's book`, { remedy });
    }
    const text = await handle.readFile("utf8");
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    const length = Buffer.byteLength(whole);
    await handle.truncate(length);
    await handle.sync();
    await syncFolder(path.dirname(path.resolve(file)));
    return { lines: whole.split("\n").slice(0, -1), handle, length };
  } catch (thrown) {
    if (systemCode(thrown) === "" || thrown instanceof SkeinError) throw thrown;
    const remedy = "let this account read and write there, or name another file";
    throw new SkeinError("store", `cannot use ${file} as the faucet's book`, {
      details: messageOf(thrown),
      remedy,
      cause: thrown,
    });
  }
}

function shared(file: string): SkeinError {
  return new SkeinError("store", "somebody else writes the faucet's book", {
    details: file,
    remedy: "stop the other gateway, or give each its own faucet and file",
  });
}
