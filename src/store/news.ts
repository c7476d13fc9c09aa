/**
 * News: where a blob's hash must be told rather than known, a small signed record under a name that its author alone may write. The store has
 * one for each kind and account, the newest; its round never goes down. A record proves who wrote it wherever it is found, and nothing else: what it
 * points to is verified by whoever reads that.
 *
 * The store must refuse what is no record signed by the account that the key is for (else anybody could put something in the place of an answer, and who owes
 * one could excuse himself), and records of an older round than what it has: an upload that arrives late, or twice, would take the place of a newer one. A
 * gateway refuses both (docs/protocol/gateway.md). Stores whose files all nodes may write, a folder or memory, do not, and are for those who trust each other.
 *
 * The bytes are JSON in one form (RFC 8785). Decoding takes any bytes and gives a record or a fault.
 */
import { assert } from "../base/assert.ts";
import { equalBytes, utf8 } from "../base/bytes.ts";
import { fromHex, sha256, toHex } from "../base/hash.ts";
import { fieldsIn, isAccount, isCount, isHash, jsonIn } from "../base/json.ts";
import { NEWS_BYTES_MAX } from "../base/limits.ts";
import { recoverAddress, SIGNATURE_BYTES } from "./signature.ts";
import type { Store } from "./store.ts";

export { NEWS_BYTES_MAX };

/**
 * What there is news of: a validator's newest checkpoint (the hash of its manifest), its newest report on a round; a trainer's answer to the newest
 * challenge of its work.
 */
export const NEWS_KINDS = ["checkpoint", "report", "answer"] as const;
/** A kind of news. */
export type NewsKind = (typeof NEWS_KINDS)[number];

/** Records that are read at once. */
const READ_AT_ONCE = 16;

/** What all keys of news begin with. */
export const NEWS_PREFIX = "news/";

/** What somebody tells. */
export interface News {
  readonly kind: NewsKind;
  readonly round: number;
  /** Of the blob: 64 lower-case hex digits. */
  readonly hash: string;
  /** Who tells it: 0x and 64 lower-case hex digits. */
  readonly account: string;
  /** Milliseconds since 1970, by the author's clock; nothing may depend on it. */
  readonly time?: number;
}

/** News, signed. */
export interface NewsRecord extends News {
  /** r ‖ s ‖ v in lower-case hex, v 27 or 28, over `newsDigest`. */
  readonly signature: string;
}

/** Everything that can be wrong with a record's bytes. */
export interface NewsFault {
  readonly fault: "too long" | "not JSON" | "not a record" | "not in its one form";
}

/** What the keys of one kind begin with. */
export function newsPrefix(kind: NewsKind): string {
  return `${NEWS_PREFIX}${kind}/`;
}

/** Where an account's news of one kind is. */
export function newsKey({ kind, account }: Pick<News, "kind" | "account">): string {
  return `${newsPrefix(kind)}${account.slice(2)}`;
}

/** Kind and account that a key is for; undefined where it is no key of news. Takes any text. */
export function newsOfKey(key: string): Pick<News, "kind" | "account"> | undefined {
  const [, word, account] = /^news\/([a-z]+)\/([0-9a-f]{64})$/.exec(key) ?? [];
  const kind = NEWS_KINDS.find((each) => each === word);
  return kind === undefined ? undefined : { kind, account: `0x${account}` };
}

/** What is signed: the sha256 of the fields as lines of text. */
export function newsDigest({ kind, round, hash, account, time }: News): Uint8Array {
  return sha256(utf8(["skein news", kind, round, hash, account, time ?? ""].join("\n")));
}

/** The record's bytes. */
export function encodeNews({ kind, round, hash, account, signature, time }: NewsRecord): Uint8Array {
  const timed = time === undefined ? {} : { time };
  const bytes = utf8(JSON.stringify({ account, hash, kind, round, signature, ...timed })); // names in canonical order
  assert(bytes.length <= NEWS_BYTES_MAX, "a record is small");
  return bytes;
}

/** The record in a stranger's bytes. Its signature has the right form; whether it is the account's, `isAuthentic` tells. */
export function decodeNews(bytes: Uint8Array): NewsRecord | NewsFault {
  if (bytes.length > NEWS_BYTES_MAX) return { fault: "too long" };
  const json = jsonIn(bytes);
  if (json === undefined) return { fault: "not JSON" };
  const record = recordOf(json);
  if (record === undefined) return { fault: "not a record" };
  return equalBytes(encodeNews(record), bytes) ? record : { fault: "not in its one form" };
}

function recordOf(json: unknown): NewsRecord | undefined {
  const fields = fieldsIn(json);
  const kind = NEWS_KINDS.find((each) => each === fields.get("kind"));
  const [round, time, hash] = [fields.get("round"), fields.get("time"), fields.get("hash")];
  const [account, signature] = [fields.get("account"), fields.get("signature")];
  if (kind === undefined || !isHash(hash) || !isAccount(account) || !isCount(round)) return undefined;
  if (typeof signature !== "string" || !/^[0-9a-f]{130}$/.test(signature)) return undefined;
  if (time !== undefined && !isCount(time)) return undefined;
  return { kind, round, hash, account, signature, ...(time === undefined ? {} : { time }) };
}

/** Whether the account signed the record. `accountOf` tells the account of a 20-byte address. */
export function isAuthentic(record: NewsRecord, accountOf: (address: Uint8Array) => string): boolean {
  const address = recoverAddress(newsDigest(record), fromHex(record.signature));
  return address !== undefined && accountOf(address) === record.account;
}

/** Signs `news` with the key of its account. */
export async function signNews(news: News, sign: (digest: Uint8Array) => Promise<Uint8Array>): Promise<NewsRecord> {
  const signature = await sign(newsDigest(news));
  assert(signature.length === SIGNATURE_BYTES, "a signature has 65 bytes");
  return { ...news, signature: toHex(signature) };
}

/** Signs and publishes `news`. Rejects with SkeinError("store"), also where the store has news of a later round. */
export async function putNews(
  store: Store,
  news: News,
  sign: (digest: Uint8Array) => Promise<Uint8Array>,
): Promise<NewsRecord> {
  const record = await signNews(news, sign);
  await store.put(newsKey(record), encodeNews(record));
  return record;
}

/**
 * What there is news of in `store`, newest first: of one kind, under the first `max` keys, without what does not decode or belongs elsewhere. Whether
 * each is its account's, `isAuthentic` tells. Rejects with SkeinError("store").
 */
export async function readNews(store: Store, kind: NewsKind, max: number): Promise<NewsRecord[]> {
  const found = await recordsAt(store, (await store.list(newsPrefix(kind))).slice(0, max));
  return found.sort((a, b) => b.round - a.round || (a.account < b.account ? -1 : 1));
}

/**
 * The newest records of a kind by `accounts`, newest first, and of one round in the order of `accounts`; without what does not decode. Whoever else writes
 * news cannot hide these. Rejects with SkeinError("store").
 */
export async function readNewsBy(store: Store, kind: NewsKind, accounts: readonly string[]): Promise<NewsRecord[]> {
  const found = await recordsAt(
    store,
    accounts.map((account) => newsKey({ kind, account })),
  );
  return found.sort((a, b) => b.round - a.round);
}

/** The records under `keys`, as far as they belong there. */
async function recordsAt(store: Store, keys: readonly string[]): Promise<NewsRecord[]> {
  const found: NewsRecord[] = [];
  for (let i = 0; i < keys.length; i += READ_AT_ONCE) {
    const records = await Promise.all(keys.slice(i, i + READ_AT_ONCE).map((key) => recordAt(store, key)));
    found.push(...records.filter((record) => record !== undefined));
  }
  return found;
}

/** The newest record of a kind by one account; undefined where there is none, or it does not decode. Rejects with SkeinError("store"). */
export function readNewsOf(store: Store, kind: NewsKind, account: string): Promise<NewsRecord | undefined> {
  return recordAt(store, newsKey({ kind, account }));
}

/** The record under a key, if it belongs there. */
async function recordAt(store: Store, key: string): Promise<NewsRecord | undefined> {
  const bytes = await store.get(key, { start: 0, end: NEWS_BYTES_MAX + 1 });
  const record = bytes && decodeNews(bytes);
  return record === undefined || "fault" in record || newsKey(record) !== key ? undefined : record;
}
