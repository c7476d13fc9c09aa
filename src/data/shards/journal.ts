/**
 * The diary of an unfinished build: which shards are done, and how many documents of which content they hold. It lies beside
 * the shards as journal.json until the manifest is written. A journal that is damaged, or of a build with other settings, counts
 * as none.
 */
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import { sha256Hex } from "../../base/hash.ts";
import { MANIFEST_BYTES_MAX } from "../../base/limits.ts";
import type { Store } from "../../store/store.ts";
import { type CanonicalValue, canonicalJson } from "./canonical.ts";
import type { ShardEntry, SplitName } from "./manifest.ts";
import { piecesKey } from "./manifest.ts";
import type { TokenType } from "./tokens.ts";
import { bytesPerToken } from "./tokens.ts";

/** A finished shard, and what it and those before it hold. */
export interface JournalEntry {
  readonly shard: ShardEntry;
  /** Documents of the split that lie wholly in the shards so far. */
  readonly documents: number;
  /** Tokens of the next document that do, too. */
  readonly offset: number;
  /** Chained sha256 of the contents of those documents, the next included where `offset` > 0. */
  readonly chain: string;
}

/** All finished shards of a build. */
export type Journal = Readonly<Record<SplitName, readonly JournalEntry[]>>;

const JOURNAL_KEY = "journal.json";

function isEntry(value: unknown): value is JournalEntry {
  const entry = value as JournalEntry | null;
  const shard = entry?.shard as ShardEntry | undefined;
  const counts = [entry?.documents, entry?.offset, shard?.tokens];
  const texts = [entry?.chain, shard?.name, shard?.sha256, shard?.piecesSha256];
  return (
    counts.every((n) => Number.isSafeInteger(n) && (n as number) >= 0) &&
    texts.every((text) => typeof text === "string")
  );
}

/** Whether the shard's files are in the store, whole. */
async function intact(store: Store, shard: ShardEntry, type: TokenType): Promise<boolean> {
  if (!/^(?:train|valid)-\d{5}-[0-9a-f]{16}\.bin$/.test(shard.name)) return false;
  if ((await store.size(shard.name)) !== shard.tokens * bytesPerToken(type)) return false;
  const [bytes, pieces] = [await store.get(shard.name), await store.get(piecesKey(shard))];
  return (
    bytes !== undefined &&
    pieces !== undefined &&
    sha256Hex(bytes) === shard.sha256 &&
    sha256Hex(pieces) === shard.piecesSha256
  );
}

async function intactEntries(store: Store, list: unknown, type: TokenType): Promise<JournalEntry[]> {
  const out: JournalEntry[] = [];
  for (const entry of Array.isArray(list) ? list : []) {
    if (!isEntry(entry) || !(await intact(store, entry.shard, type))) break;
    out.push(entry);
  }
  return out;
}

/** The journal of a build with these `settings` (a hash), as far as its shards are intact; empty where there is none. */
export async function readJournal(store: Store, settings: string, type: TokenType): Promise<Journal> {
  const none: Journal = { train: [], valid: [] };
  const bytes = await store.get(JOURNAL_KEY, { start: 0, end: 2 * MANIFEST_BYTES_MAX });
  if (bytes === undefined) return none;
  let root: Record<string, unknown> | null;
  try {
    root = JSON.parse(fromUtf8(bytes)) as Record<string, unknown> | null;
  } catch {
    return none;
  }
  if (typeof root !== "object" || root === null || root["settings"] !== settings) return none;
  return {
    train: await intactEntries(store, root["train"], type),
    valid: await intactEntries(store, root["valid"], type),
  };
}

/** Writes the journal. */
export async function writeJournal(store: Store, settings: string, journal: Journal): Promise<void> {
  await store.put(JOURNAL_KEY, utf8(canonicalJson({ settings, ...journal } as unknown as CanonicalValue)));
}

/** Removes it. */
export async function deleteJournal(store: Store): Promise<void> {
  await store.delete(JOURNAL_KEY);
}
