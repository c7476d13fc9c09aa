/**
 * Builds a dataset: documents → tokens → shards, piece lists, tokenizer and manifest in a store.
 *
 * Deterministic: the same documents in the same order with the same settings give the same bytes, however often the build was
 * interrupted. Nothing that an older manifest in the store names is written over; the new manifest replaces it in one step, and
 * only then are files removed that it does not name.
 *
 * An interrupted build goes on where it was: the documents are read again, but those that lie in finished shards are hashed and
 * not tokenized (journal.ts).
 *
 * Every document is followed by end-of-text. A text seen before is left out, so the splits share no document. The validation
 * split takes documents whose sha256 begins below a threshold, so adding documents moves none; where that leaves it empty, the
 * last document goes there, or the last tenth of the only one.
 */
import { utf8 } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import { sha256, sha256Hex } from "../base/hash.ts";
import { PIECE_BYTES_MAX, PIECES_MAX, SHARD_TOKENS_MAX } from "../base/limits.ts";
import type { Store } from "../store/store.ts";
import type { Document } from "./document.ts";
import { canonicalJson } from "./shards/canonical.ts";
import { deleteJournal, type Journal, readJournal, writeJournal } from "./shards/journal.ts";
import {
  encodeManifest,
  MANIFEST_KEY,
  type Manifest,
  piecesKey,
  type SplitName,
  tokenizerName,
} from "./shards/manifest.ts";
import { type SplitWriter, splitWriter } from "./shards/split-writer.ts";
import { bytesPerToken, tokenTypeOf } from "./shards/tokens.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** How far a build has come. */
export interface BuildProgress {
  /** UTF-8 bytes of documents read, duplicates included. */
  readonly bytes: number;
  /** Of how many, where the caller knows. */
  readonly totalBytes: number | undefined;
  readonly documents: number;
  readonly duplicates: number;
  /** Tokens of both splits. */
  readonly tokens: number;
  /** Shards finished. */
  readonly shards: number;
}

/** What to build. */
export interface BuildOptions {
  readonly documents: AsyncIterable<Document> | Iterable<Document>;
  readonly tokenizer: Tokenizer;
  /** Share of the documents, from 0 to 0.5, that goes to the validation split. Default 0.02. 0 leaves it to `Document.split`. */
  readonly validFraction?: number;
  /** Tokens of a full shard. Default 2^24: 32 MiB at 2 bytes. */
  readonly shardTokens?: number;
  /**
   * Bytes of a piece, the least that is fetched and verified at once. Default 64 KiB: sequences are read in permuted order, so a
   * piece is mostly read for one sequence of a few KiB, and its hash costs 0.05 %.
   */
  readonly pieceBytes?: number;
  /** What the text is, for people. Part of the manifest. */
  readonly description?: string;
  /** For progress only. */
  readonly totalBytes?: number;
  readonly onProgress?: (progress: BuildProgress) => void;
  /** Ends the build with SkeinError("interrupted"); it can be resumed. */
  readonly signal?: AbortSignal;
}

type Settings = Required<Pick<BuildOptions, "validFraction" | "shardTokens" | "pieceBytes" | "description">>;

function checkedSettings(options: BuildOptions, tokenBytes: number): Settings {
  const { validFraction = 0.02, shardTokens = 1 << 24, pieceBytes = 1 << 16, description = "" } = options;
  const whole = (name: string, value: number, min: number, max: number): void => {
    if (Number.isSafeInteger(value) && value >= min && value <= max) return;
    throw new SkeinError("usage", `${name} must be a whole number from ${min} to ${max}, not ${value}`);
  };
  whole("shardTokens", shardTokens, 1, SHARD_TOKENS_MAX);
  whole("pieceBytes", pieceBytes, 4, PIECE_BYTES_MAX);
  if (pieceBytes % 4 !== 0) throw new SkeinError("usage", `pieceBytes must be a multiple of 4, not ${pieceBytes}`);
  if ((shardTokens * tokenBytes) / pieceBytes > PIECES_MAX) {
    throw new SkeinError(
      "usage",
      `a shard of ${shardTokens} tokens has more than ${PIECES_MAX} pieces of ${pieceBytes} bytes`,
    );
  }
  if (!(validFraction >= 0 && validFraction <= 0.5)) {
    throw new SkeinError("usage", `validFraction must lie from 0 to 0.5, not ${validFraction}`);
  }
  if (description.length > 1024 || /\p{Surrogate}/u.test(description)) {
    throw new SkeinError("usage", "the description must be text of at most 1024 characters");
  }
  return { validFraction, shardTokens, pieceBytes, description };
}

/** Contents seen, by the first 16 bytes of their sha256; spread over 256 sets, since one holds 16 million entries at most. */
function seenContents(): { isNew(hash: Uint8Array): boolean } {
  const sets = Array.from({ length: 256 }, () => new Set<string>());
  return {
    isNew(hash) {
      const set = sets[hash[0] as number] as Set<string>;
      const key = String.fromCharCode(...hash.subarray(0, 16));
      if (set.has(key)) return false;
      set.add(key);
      return true;
    },
  };
}

/** A document that passed the filters. */
interface Kept {
  readonly text: string;
  readonly hash: Uint8Array;
  readonly split: SplitName;
  /** Whether its source chose the split. */
  readonly explicit: boolean;
}

/** Reads documents, drops the empty and the repeated, and decides their split. */
async function* keptDocuments(options: BuildOptions, validFraction: number, counts: Counts): AsyncGenerator<Kept> {
  const seen = seenContents();
  const threshold = Math.floor(validFraction * 2 ** 32);
  for await (const { text, split } of options.documents) {
    if (options.signal?.aborted) {
      throw new SkeinError("interrupted", "stopped while building the dataset", {
        remedy: "run the same command again to go on",
      });
    }
    const bytes = utf8(text);
    counts.bytesRead += bytes.length;
    const hash = sha256(bytes);
    if (text.trim() === "") counts.empty++;
    else if (!seen.isNew(hash)) counts.duplicates++;
    else {
      counts.bytes += bytes.length;
      const start = new DataView(hash.buffer, hash.byteOffset).getUint32(0, true);
      yield { text, hash, split: split ?? (start < threshold ? "valid" : "train"), explicit: split !== undefined };
    }
  }
}

interface Counts {
  bytesRead: number;
  bytes: number;
  duplicates: number;
  empty: number;
  trainDocuments: number;
  validDocuments: number;
}

/** Cuts the only document there is: its last tenth, from the start of a line or word on, becomes the validation split. */
function cutOnly({ text }: Kept): Kept[] {
  const tenth = Math.floor(text.length * 0.9);
  const line = text.lastIndexOf("\n", tenth);
  const space = line > text.length / 2 ? line : text.lastIndexOf(" ", tenth);
  const at = space > text.length / 2 ? space + 1 : text.length;
  const parts: [string, SplitName][] = [
    [text.slice(0, at), "train"],
    [text.slice(at), "valid"],
  ];
  return parts
    .filter(([part]) => part.trim() !== "")
    .map(([part, split]) => ({ text: part, hash: sha256(utf8(part)), split, explicit: false }));
}

/**
 * Sends documents on, but keeps the newest back as long as the validation split is empty: it may have to go there. Where
 * sources choose the split themselves, nothing is moved.
 */
async function* withValidation(documents: AsyncIterable<Kept>, wanted: boolean): AsyncGenerator<Kept> {
  let held: Kept | undefined;
  let heldIsFirst = true;
  let valid = !wanted;
  for await (const document of documents) {
    valid ||= document.explicit || document.split === "valid";
    if (held) {
      yield held;
      heldIsFirst = false;
    }
    held = undefined;
    if (valid) yield document;
    else held = document;
  }
  if (held === undefined) return;
  if (heldIsFirst) yield* cutOnly(held);
  else yield { ...held, split: "valid" };
}

/** Removes the journal and every file of ours that the manifest does not name. */
async function sweep(store: Store, manifest: Manifest): Promise<void> {
  const { train, valid } = manifest.splits;
  const named = new Set([...train.shards, ...valid.shards].flatMap((shard) => [shard.name, piecesKey(shard)]));
  named.add(manifest.tokenizer.name);
  const ours = /^(?:(?:train|valid)-\d{5}-[0-9a-f]{16}\.(?:bin|pieces)|tokenizer-[0-9a-f]{16}\.json)$/;
  for (const key of await store.list()) if (ours.test(key) && !named.has(key)) await store.delete(key);
  await deleteJournal(store);
}

/** Runs all documents through the writers. */
async function writeDocuments(
  options: BuildOptions,
  settings: Settings,
  writers: Readonly<Record<SplitName, SplitWriter>>,
  counts: Counts,
): Promise<void> {
  const { tokenizer, totalBytes, onProgress } = options;
  const tokenize = (text: string): Int32Array => {
    const tokens = tokenizer.encode(text, { plain: true });
    const out = new Int32Array(tokens.length + 1);
    out.set(tokens);
    out[tokens.length] = tokenizer.endOfText;
    return out;
  };
  const kept = keptDocuments(options, settings.validFraction, counts);
  for await (const { text, hash, split } of withValidation(kept, settings.validFraction > 0)) {
    await writers[split].add(hash, () => tokenize(text));
    counts[split === "train" ? "trainDocuments" : "validDocuments"]++;
    onProgress?.({
      bytes: counts.bytesRead,
      totalBytes,
      documents: counts.trainDocuments + counts.validDocuments,
      duplicates: counts.duplicates,
      tokens: writers.train.tokens() + writers.valid.tokens(),
      shards: writers.train.shards() + writers.valid.shards(),
    });
  }
}

function noText(counts: Counts): SkeinError {
  return new SkeinError("data", "there is no text to build a dataset from", {
    details: `documents without text: ${counts.empty}; repeated: ${counts.duplicates}; validation only: ${counts.validDocuments}`,
    remedy: "give files or folders that hold text, Markdown or JSONL",
  });
}

/**
 * Builds a dataset of `options.documents` in `store` and returns its manifest. Resumes an interrupted build of the same settings.
 * Throws SkeinError: "data" where there is no text or the documents changed since the interrupted build, "usage" for settings out
 * of range, "store" from the store, "interrupted" on `signal`.
 *
 * @example
 * const store = memoryStore();
 * const documents = [{ name: "a", text: "one skein" }, { name: "b", text: "another skein" }];
 * const manifest = await buildDataset({ documents, tokenizer: byteTokenizer() }, store);
 * manifest.splits.train.tokens; // 10
 */
export async function buildDataset(options: BuildOptions, store: Store): Promise<Manifest> {
  const { tokenizer } = options;
  const dtype = tokenTypeOf(tokenizer.vocabSize);
  const settings = checkedSettings(options, bytesPerToken(dtype));
  const { shardTokens, pieceBytes, validFraction } = settings;
  const tokenizerBytes = utf8(tokenizer.toJson());
  const sha = sha256Hex(tokenizerBytes);
  const threshold = Math.floor(validFraction * 2 ** 32);
  const settingsHash = sha256Hex(utf8(canonicalJson({ sha, dtype, shardTokens, pieceBytes, threshold })));
  const found = await readJournal(store, settingsHash, dtype);
  let journal: Journal = found;
  const writer = (split: SplitName): SplitWriter =>
    splitWriter({
      ...{ split, store, dtype, shardTokens, pieceBytes },
      finished: found[split],
      onShard: async (entries) => {
        journal = { ...journal, [split]: entries };
        await writeJournal(store, settingsHash, journal);
      },
      onChanged: () => deleteJournal(store),
    });
  const writers = { train: writer("train"), valid: writer("valid") };
  const counts: Counts = { bytesRead: 0, bytes: 0, duplicates: 0, empty: 0, trainDocuments: 0, validDocuments: 0 };
  await writeDocuments(options, settings, writers, counts);
  const splits = { train: await writers.train.finish(), valid: await writers.valid.finish() };
  if (splits.train.tokens === 0) throw noText(counts);
  const manifest: Manifest = {
    ...{ format: "skein-data", version: 1, dtype, pieceBytes, splits },
    tokenizer: {
      kind: tokenizer.kind,
      name: tokenizerName(sha),
      sha256: sha,
      vocabSize: tokenizer.vocabSize,
      endOfText: tokenizer.endOfText,
    },
    source: {
      description: settings.description,
      ...{ bytes: counts.bytes, trainDocuments: counts.trainDocuments, validDocuments: counts.validDocuments },
      ...{ duplicates: counts.duplicates, empty: counts.empty },
    },
  };
  await store.put(manifest.tokenizer.name, tokenizerBytes);
  await store.put(MANIFEST_KEY, encodeManifest(manifest));
  await sweep(store, manifest);
  return manifest;
}
