/**
 * Names Node: writing to the shared store through HTTP. The order of the checks is the order of their cost: path, head, signature (of a blob it needs no
 * body, whose hash is in the key), registration, rate and quota, and only then the body, in memory, until its hash is known to be right.
 */
import type { Clock } from "../../base/clock.ts";
import { sha256Hex } from "../../base/hash.ts";
import { NEWS_BYTES_MAX, NEWS_KEYS_MAX } from "../../base/limits.ts";
import { accountOf, accountOfBytes } from "../../chain/keys/account.ts";
import { BLOBS_PREFIX } from "../../store/blobs.ts";
import { decodeNews, isAuthentic, NEWS_PREFIX, type NewsRecord, newsOfKey } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";
import { answerJson, type Exchange, readBody, refuse } from "../http/exchange.node.ts";
import { isRefusal, type Refusal } from "../http/refusal.ts";
import type { GatewayLimits } from "../limits.ts";
import { type Claim, claimOf, newsFault, signatureFault, targetOf, type WriteBook, writeBook } from "./access.ts";
import type { Hotkeys } from "./hotkeys.ts";

/** What is written to, and by whom. */
export interface UploadOptions {
  readonly store: Store;
  readonly specHash: string;
  readonly hotkeys: Hotkeys;
  readonly limits: GatewayLimits;
  readonly clock: Clock;
}

/** Answers to writers. */
export interface Uploads {
  put(exchange: Exchange, key: string): Promise<void>;
}

/** What a write came to: whether something was there before, and bytes more than before. */
interface Written {
  readonly existed: boolean;
  readonly bytesAdded: number;
}

/** Milliseconds after which a full store is counted again: somebody may have made room. */
const RECOUNT_MS = 600_000;
/** Sizes asked of the store at a time. */
const COUNT_AT_ONCE = 64;

interface Desk extends UploadOptions {
  /** The book of writes, once the store has been counted. */
  readonly book: () => Promise<WriteBook>;
  /** Runs `work` after what else is under way for `key`. */
  readonly inTurn: <T>(key: string, work: () => Promise<T>) => Promise<T>;
}

/** Takes writes for the given store, which it begins to count. */
export function uploads(options: UploadOptions): Uploads {
  const { store, limits, clock } = options;
  let countedMs = clock.monotonic();
  let counting: Promise<WriteBook> | undefined;
  const book = (): Promise<WriteBook> => {
    counting ??= bytesIn(store).then(
      (bytes) => writeBook(limits, bytes),
      (thrown) => {
        counting = undefined; // to be tried again with the next write
        throw thrown;
      },
    );
    return counting;
  };
  book().catch(() => undefined); // said to whoever writes
  const freshBook = async (): Promise<WriteBook> => {
    const opened = await book();
    if (!opened.isFull(limits.blobBytesMax) || clock.monotonic() - countedMs < RECOUNT_MS) return opened;
    countedMs = clock.monotonic();
    opened.recount(await bytesIn(store));
    return opened;
  };
  const desk: Desk = { ...options, book: freshBook, inTurn: turns() };
  return { put: (exchange, key) => put(desk, exchange, key) };
}

/** One after the other for each key; nothing is kept of keys that nobody works on. */
function turns(): Desk["inTurn"] {
  const last = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const mine = (last.get(key) ?? Promise.resolve()).then(work, work);
    last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (last.get(key) === mine) last.delete(key);
    }
  };
}

/** Bytes of all blobs and news. */
async function bytesIn(store: Store): Promise<number> {
  const keys = [...(await store.list(BLOBS_PREFIX)), ...(await store.list(NEWS_PREFIX))];
  let bytes = 0;
  for (let i = 0; i < keys.length; i += COUNT_AT_ONCE) {
    const sizes = await Promise.all(keys.slice(i, i + COUNT_AT_ONCE).map((key) => store.size(key)));
    for (const size of sizes) bytes += size ?? 0;
  }
  return bytes;
}

async function put(desk: Desk, exchange: Exchange, key: string): Promise<void> {
  const { store, limits, clock } = desk;
  const target = targetOf(key);
  if (isRefusal(target)) return refuse(exchange, target);
  const claim = claimOf(target, exchange.request.headers, limits);
  if (isRefusal(claim)) return refuse(exchange, claim);
  const account = accountOf(claim.address as `0x${string}`);
  const stranger = await strangerFault(desk, claim, account);
  if (stranger !== undefined) return refuse(exchange, stranger);
  if (target.kind === "blob" && (await store.size(key)) !== undefined) {
    return answerJson(exchange, 200, { key, bytes: claim.length, stored: "before" });
  }
  const ticket = (await desk.book()).admit(account, claim.length, clock.monotonic());
  if (isRefusal(ticket)) return refuse(exchange, ticket);
  let bytesAdded = 0;
  try {
    const body = await readBody(exchange, claim.length, claim.length);
    if (typeof body === "string") return; // the client is gone, and nothing of it stays
    const ifAbsent = exchange.request.headers["if-none-match"] === "*";
    const written =
      target.kind === "blob" ? await writeBlob(desk, claim, body) : await writeNews(desk, claim, body, ifAbsent);
    if (isRefusal(written)) return refuse(exchange, written);
    bytesAdded = written.bytesAdded;
    answerJson(exchange, written.existed ? 200 : 201, {
      key,
      bytes: body.length,
      stored: written.existed ? "before" : "now",
    });
  } finally {
    ticket.done(bytesAdded);
  }
}

/** Why whoever claims to be `account` may not write, as far as that can be said without the body. */
async function strangerFault({ specHash, hotkeys }: Desk, claim: Claim, account: string): Promise<Refusal | undefined> {
  const { target } = claim;
  if (target.kind === "blob") {
    const fault = signatureFault(claim, specHash, target.hash);
    if (fault !== undefined) return fault;
  } else if (target.account !== account) {
    return { status: 403, error: "that is another hotkey's news", remedy: `write it under ${account.slice(2)}` };
  }
  if (await hotkeys.has(account)) return undefined;
  const remedy = "register the hotkey on the run's subnet, then send it again";
  return { status: 403, error: `${account} is not registered in this run`, remedy, retryAfterSeconds: 5 };
}

async function writeBlob({ store }: Desk, { target }: Claim, body: Uint8Array): Promise<Written | Refusal> {
  if (target.kind !== "blob" || sha256Hex(body) !== target.hash) {
    return { status: 422, error: "the body has another sha256 than the key says", remedy: "send what the key names" };
  }
  const wrote = await store.putIfAbsent(target.key, body);
  return { existed: !wrote, bytesAdded: wrote ? body.length : 0 };
}

async function writeNews(desk: Desk, claim: Claim, body: Uint8Array, ifAbsent: boolean): Promise<Written | Refusal> {
  const { store, specHash } = desk;
  const { target } = claim;
  const fault = signatureFault(claim, specHash, sha256Hex(body));
  if (fault !== undefined) return fault;
  const record = decodeNews(body);
  if ("fault" in record) {
    return { status: 422, error: `that is no record of news: ${record.fault}`, remedy: "see docs/protocol/gateway.md" };
  }
  if (!isAuthentic(record, accountOfBytes)) {
    return {
      status: 422,
      error: "the record is not signed by its account",
      remedy: "sign it with the account's hotkey",
    };
  }
  return desk.inTurn(target.key, async () => {
    const before = await store.get(target.key, { start: 0, end: NEWS_BYTES_MAX });
    if (before !== undefined && ifAbsent) {
      return { status: 412, error: "there is a record already", remedy: "leave it, or write without If-None-Match" };
    }
    const stale = newsFault(record, target, before && authenticNews(before));
    if (stale !== undefined) return stale;
    if (before === undefined && !(await hasRoom(desk))) {
      return {
        status: 507,
        error: `the store keeps at most ${NEWS_KEYS_MAX} records of news`,
        remedy: "try again later",
      };
    }
    await store.put(target.key, body);
    return { existed: before !== undefined, bytesAdded: body.length - (before?.length ?? 0) };
  });
}

/** The record in stored bytes; undefined where they are damaged and may be replaced. */
function authenticNews(bytes: Uint8Array): NewsRecord | undefined {
  const record = decodeNews(bytes);
  return "fault" in record || !isAuthentic(record, accountOfBytes) ? undefined : record;
}

/** Whether one more hotkey's news can be kept; takes away those of hotkeys that are no longer registered where there are too many. */
async function hasRoom({ store, hotkeys }: Desk): Promise<boolean> {
  const keys = await store.list(NEWS_PREFIX);
  if (keys.length < NEWS_KEYS_MAX) return true;
  let left = keys.length;
  for (const key of keys) {
    const account = newsOfKey(key)?.account;
    if (account !== undefined && (await hotkeys.has(account))) continue;
    await store.delete(key);
    left--;
  }
  return left < NEWS_KEYS_MAX;
}
