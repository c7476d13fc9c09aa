/**
 * Reads a dataset: verified pieces of shards, from any mirror, in bounded memory. Nothing is believed: the manifest may be held
 * against a hash, the tokenizer and the piece lists against the manifest, every piece against its list, every token against the
 * vocabulary.
 */
import { assert, must } from "../base/assert.ts";
import { equalBytes } from "../base/bytes.ts";
import { messageOf, SkeinError } from "../base/errors.ts";
import { sha256, sha256Hex } from "../base/hash.ts";
import { MANIFEST_BYTES_MAX, SEQ_MAX, TOKENIZER_BYTES_MAX } from "../base/limits.ts";
import type { Store } from "../store/store.ts";
import {
  MANIFEST_KEY,
  type Manifest,
  parseManifest,
  piecesKey,
  type ShardEntry,
  type SplitEntry,
  type SplitName,
} from "./shards/manifest.ts";
import { parsePieces, sidecarBytes } from "./shards/pieces.ts";
import { bytesPerToken, decodeTokens, type TokenArray } from "./shards/tokens.ts";
import { loadTokenizer, type Tokenizer } from "./tokenizer.ts";

/** One split, as one long row of tokens. */
export interface TokenSource {
  /** Tokens in all. */
  readonly tokens: number;
  /** How many sequences of `length` inputs there are: floor((tokens − 1) / length), 0 where there are no tokens. */
  sequences(length: number): number;
  /**
   * Sequence `index`: the length + 1 tokens from position index · length on, so that neighbours share one token and every token
   * but the first is a target once. Throws SkeinError("data") naming the shard and piece where something is damaged or missing.
   */
  sequence(index: number, length: number): Promise<Int32Array>;
}

/** An open dataset. */
export interface Dataset {
  readonly manifest: Manifest;
  /** Its tokenizer, verified. */
  tokenizer(): Promise<Tokenizer>;
  split(name: SplitName): TokenSource;
}

/** How to open a dataset. */
export interface OpenDatasetOptions {
  /** sha256 the manifest must have, as a run's spec states it. */
  readonly manifestSha256?: string;
  /** Other stores with the same files, asked in turn where the first has not what it should. */
  readonly mirrors?: readonly Store[];
  /** Memory for verified pieces, in bytes of tokens. Default 64 MiB; one piece is kept in any case. */
  readonly cacheBytes?: number;
}

const REMEDY = "copy the file again from a good mirror, or build the dataset again with `skein data`";

/** Asks each store in turn until `check` accepts what it has. The last trouble is thrown as SkeinError("data"). */
async function fetchVerified<T>(
  stores: readonly Store[],
  what: string,
  get: (store: Store) => Promise<Uint8Array | undefined>,
  check: (bytes: Uint8Array) => T,
): Promise<T> {
  let trouble = "is missing";
  for (const store of stores) {
    try {
      const bytes = await get(store);
      if (bytes !== undefined) return check(bytes);
    } catch (thrown) {
      if (!(thrown instanceof SkeinError)) throw thrown;
      trouble = messageOf(thrown);
    }
  }
  throw new SkeinError("data", `${what}: ${trouble}`, { remedy: REMEDY });
}

function damaged(what: string): SkeinError {
  return new SkeinError("data", what, { remedy: REMEDY });
}

/** Keeps what `load` gives for each key, the most recently used up to `capacityBytes`; loads under way are shared. */
function recentlyUsed<T extends { readonly byteLength: number }>(
  capacityBytes: number,
): (key: string, load: () => Promise<T>) => Promise<T> {
  const kept = new Map<string, T>();
  const loading = new Map<string, Promise<T>>();
  let bytes = 0;
  const keep = (key: string, value: T): void => {
    kept.set(key, value);
    bytes += value.byteLength;
    for (const [oldest, old] of kept) {
      if (bytes <= capacityBytes || oldest === key) break;
      kept.delete(oldest);
      bytes -= old.byteLength;
    }
  };
  return (key, load) => {
    const found = kept.get(key);
    if (found !== undefined) {
      kept.delete(key);
      kept.set(key, found);
      return Promise.resolve(found);
    }
    const running = loading.get(key);
    if (running !== undefined) return running;
    const started = load()
      .then((value) => {
        keep(key, value);
        return value;
      })
      .finally(() => loading.delete(key));
    loading.set(key, started);
    return started;
  };
}

/** Reads piece `index` of a shard. */
type PieceReader = (shard: ShardEntry, index: number) => Promise<TokenArray>;

function pieceReader(stores: readonly Store[], manifest: Manifest, cacheBytes: number): PieceReader {
  const { pieceBytes, dtype, tokenizer } = manifest;
  const width = bytesPerToken(dtype);
  const lists = recentlyUsed<Uint8Array>(Math.max(1 << 22, cacheBytes / 16));
  const pieces = recentlyUsed<TokenArray>(cacheBytes);
  const list = (shard: ShardEntry): Promise<Uint8Array> =>
    lists(shard.name, () =>
      fetchVerified(
        stores,
        `piece list ${piecesKey(shard)}`,
        (store) => store.get(piecesKey(shard), { start: 0, end: sidecarBytes(shard.tokens * width, pieceBytes) + 1 }),
        (bytes) => {
          if (sha256Hex(bytes) !== shard.piecesSha256) throw damaged("has not the sha256 that the manifest names");
          return parsePieces(bytes, shard.tokens * width, pieceBytes);
        },
      ),
    );
  return (shard, index) =>
    pieces(`${shard.name} ${index}`, async () => {
      const hash = (await list(shard)).subarray(index * 32, index * 32 + 32);
      const start = index * pieceBytes;
      const end = Math.min(start + pieceBytes, shard.tokens * width);
      return fetchVerified(
        stores,
        `shard ${shard.name}, piece ${index} (bytes ${start} to ${end})`,
        (store) => store.get(shard.name, { start, end }),
        (bytes) => {
          if (bytes.length !== end - start) throw damaged(`has only ${bytes.length} of ${end - start} bytes`);
          if (!equalBytes(sha256(bytes), hash)) throw damaged("has not the sha256 that its piece list names");
          return decodeTokens(bytes, dtype, tokenizer.vocabSize);
        },
      );
    });
}

function tokenSource(entry: SplitEntry, pieceTokens: number, readPiece: PieceReader): TokenSource {
  const starts: number[] = [];
  let total = 0;
  for (const { tokens } of entry.shards) {
    starts.push(total);
    total += tokens;
  }
  /** The shard that holds token `position`. */
  const shardAt = (position: number): number => {
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] as number) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const read = async (start: number, count: number): Promise<Int32Array> => {
    assert(Number.isSafeInteger(start) && start >= 0, "a position is a whole number from 0 on");
    assert(Number.isSafeInteger(count) && count >= 0 && start + count <= total, "the range lies within the split");
    const out = new Int32Array(count);
    for (let done = 0; done < count; ) {
      const shardIndex = shardAt(start + done);
      const shard = must(entry.shards[shardIndex], "shard");
      const within = start + done - (starts[shardIndex] as number);
      const piece = Math.floor(within / pieceTokens);
      const tokens = await readPiece(shard, piece);
      const part = tokens.subarray(within - piece * pieceTokens, within - piece * pieceTokens + count - done);
      out.set(part, done);
      done += part.length;
    }
    return out;
  };
  const sequences = (length: number): number => {
    assert(
      Number.isSafeInteger(length) && length >= 1 && length <= SEQ_MAX,
      `sequence length must lie from 1 to ${SEQ_MAX}`,
    );
    return Math.max(0, Math.floor((total - 1) / length));
  };
  return {
    tokens: total,
    sequences,
    async sequence(index, length) {
      assert(Number.isSafeInteger(index) && index >= 0 && index < sequences(length), `there is no sequence ${index}`);
      return read(index * length, length + 1);
    },
  };
}

/**
 * Opens the dataset in `store`. Throws SkeinError("data") where there is none or its manifest is unusable.
 *
 * @example
 * const dataset = await openDataset(store);
 * const train = dataset.split("train");
 * await train.sequence(0, 256); // Int32Array of 257 tokens
 */
export async function openDataset(store: Store, options: OpenDatasetOptions = {}): Promise<Dataset> {
  const { mirrors = [], cacheBytes = 64 << 20, manifestSha256 } = options;
  const stores = [store, ...mirrors];
  const range = { start: 0, end: MANIFEST_BYTES_MAX + 1 };
  const manifest = await fetchVerified(
    stores,
    "dataset",
    (from) => from.get(MANIFEST_KEY, range),
    (bytes) => {
      if (manifestSha256 !== undefined && sha256Hex(bytes) !== manifestSha256)
        throw damaged("manifest.json has another sha256 than asked for");
      return parseManifest(bytes);
    },
  );
  const readPiece = pieceReader(stores, manifest, cacheBytes);
  const pieceTokens = manifest.pieceBytes / bytesPerToken(manifest.dtype);
  const sources = {
    train: tokenSource(manifest.splits.train, pieceTokens, readPiece),
    valid: tokenSource(manifest.splits.valid, pieceTokens, readPiece),
  };
  const readTokenizer = async (): Promise<Tokenizer> => {
    const { name, sha256: hash, vocabSize, endOfText } = manifest.tokenizer;
    const get = (from: Store): Promise<Uint8Array | undefined> =>
      from.get(name, { start: 0, end: 4 * TOKENIZER_BYTES_MAX });
    const json = await fetchVerified(stores, name, get, (bytes) => {
      if (sha256Hex(bytes) !== hash) throw damaged("has not the sha256 that the manifest names");
      return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    });
    const tokenizer = await loadTokenizer(json, { endOfTextId: endOfText });
    if (tokenizer.vocabSize !== vocabSize) {
      throw damaged(`${name}: has ${tokenizer.vocabSize} tokens, the manifest says ${vocabSize}`);
    }
    return tokenizer;
  };
  let tokenizer: Promise<Tokenizer> | undefined;
  return {
    manifest,
    split: (name) => sources[name],
    tokenizer: () => {
      tokenizer ??= readTokenizer();
      return tokenizer;
    },
  };
}
