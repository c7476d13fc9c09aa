/**
 * Writes one split: documents go in, tokens collect in a buffer, full buffers leave as shards with their piece lists. Begun with
 * the journal of an interrupted build it passes over the documents that finished shards hold, without tokenizing them, after
 * which it is where it was.
 */
import { assert } from "../../base/assert.ts";
import { concatBytes } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { sha256, sha256Hex, toHex } from "../../base/hash.ts";
import type { Store } from "../../store/store.ts";
import type { JournalEntry } from "./journal.ts";
import type { ShardEntry, SplitEntry, SplitName } from "./manifest.ts";
import { piecesKey } from "./manifest.ts";
import { encodePieces } from "./pieces.ts";
import { encodeTokens, shardName, type TokenArray, type TokenType, tokenArray } from "./tokens.ts";

/** What a writer needs to know. */
export interface SplitWriterOptions {
  readonly split: SplitName;
  readonly store: Store;
  readonly dtype: TokenType;
  readonly shardTokens: number;
  readonly pieceBytes: number;
  /** Finished shards of an interrupted build. */
  readonly finished: readonly JournalEntry[];
  /** Called with all finished shards after each new one. */
  onShard(entries: readonly JournalEntry[]): Promise<void>;
  /** Called before the error where the documents are not those of the interrupted build. */
  onChanged(): Promise<void>;
}

/** Takes documents, writes shards. */
export interface SplitWriter {
  /** Adds a document with the sha256 of its text; `tokenize` is called only where its tokens are needed. */
  add(hash: Uint8Array, tokenize: () => Int32Array): Promise<void>;
  /** Writes what is left and returns the split. */
  finish(): Promise<SplitEntry>;
  /** Tokens and shards written or buffered so far. */
  tokens(): number;
  shards(): number;
}

const ZERO_CHAIN = new Uint8Array(32);

async function changed({ split, onChanged }: SplitWriterOptions): Promise<SkeinError> {
  await onChanged();
  return new SkeinError("data", `the documents of the ${split} split are not those the interrupted build had`, {
    remedy: "run the same command again: it starts afresh",
  });
}

/** A buffer of at most `capacity` tokens that takes memory as it fills. */
function tokenBuffer(dtype: TokenType, capacity: number) {
  let data = tokenArray(dtype, Math.min(capacity, 1 << 16));
  let filled = 0;
  return {
    held: (): TokenArray => data.subarray(0, filled),
    clear: (): void => {
      filled = 0;
    },
    /** Takes what there is room for of `tokens` from `from` on; returns how many. */
    take(tokens: Int32Array, from: number): number {
      if (filled === data.length && filled < capacity) {
        const wider = tokenArray(dtype, Math.min(capacity, filled * 2));
        wider.set(data);
        data = wider;
      }
      const part = tokens.subarray(from, from + data.length - filled);
      data.set(part, filled);
      filled += part.length;
      return part.length;
    },
  };
}

/** A writer for one split. `add` and `finish` throw SkeinError("data") where the documents differ from the interrupted build's. */
export function splitWriter(options: SplitWriterOptions): SplitWriter {
  const { split, store, dtype, shardTokens, pieceBytes } = options;
  const entries = [...options.finished];
  const resume = entries.at(-1);
  const resumeAt = resume === undefined ? 0 : resume.documents + (resume.offset > 0 ? 1 : 0);
  let chain: Uint8Array = ZERO_CHAIN;
  let documents = 0;
  const buffer = tokenBuffer(dtype, shardTokens);
  let written = entries.reduce((sum, { shard }) => sum + shard.tokens, 0);

  const cut = async (done: { documents: number; offset: number } | "end"): Promise<void> => {
    const tokens = buffer.held();
    const bytes = encodeTokens(tokens);
    const sha = sha256Hex(bytes);
    const pieces = encodePieces(bytes, pieceBytes);
    const name = shardName(split, entries.length, sha, "bin");
    const shard: ShardEntry = { name, sha256: sha, tokens: tokens.length, piecesSha256: sha256Hex(pieces) };
    await store.put(name, bytes);
    await store.put(piecesKey(shard), pieces);
    written += tokens.length;
    buffer.clear();
    entries.push({ shard, ...(done === "end" ? { documents, offset: 0 } : done), chain: toHex(chain) });
    // The last shard is not full; were it noted, documents added before a resume would not go into it.
    if (done !== "end") await options.onShard(entries);
  };
  const append = async (tokens: Int32Array, from: number): Promise<void> => {
    for (let at = from; at < tokens.length; ) {
      at += buffer.take(tokens, at);
      const whole = at === tokens.length;
      if (buffer.held().length === shardTokens) {
        await cut({ documents: whole ? documents + 1 : documents, offset: whole ? 0 : at });
      }
    }
  };
  return {
    async add(hash, tokenize) {
      chain = sha256(concatBytes([chain, hash]));
      if (documents + 1 === resumeAt && toHex(chain) !== resume?.chain) throw await changed(options);
      const skipped =
        resume === undefined
          ? 0
          : documents < resume.documents
            ? -1
            : documents === resume.documents
              ? resume.offset
              : 0;
      if (skipped >= 0) await append(tokenize(), skipped);
      documents++;
    },
    async finish() {
      if (documents < resumeAt) throw await changed(options);
      if (buffer.held().length > 0) await cut("end");
      const shards = entries.map(({ shard }) => shard);
      assert(
        shards.every((shard) => shard.tokens > 0),
        "no shard is empty",
      );
      return { shards, tokens: written };
    },
    tokens: () => written + buffer.held().length,
    shards: () => entries.length,
  };
}
