/**
 * manifest.json: what a dataset is. It names every file with its sha256, so that its own sha256 stands for the whole dataset;
 * a run's spec holds that hash. The file is canonical JSON (canonical.ts): one dataset, one byte string. `parseManifest` takes
 * it from a stranger: bounded, strict, nothing unknown allowed. Fields in docs/protocol/data.md.
 */
import { utf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { sha256Hex } from "../../base/hash.ts";
import {
  MANIFEST_BYTES_MAX,
  PIECE_BYTES_MAX,
  PIECES_MAX,
  SHARD_TOKENS_MAX,
  SHARDS_MAX,
  SPLIT_TOKENS_MAX,
  VOCAB_MAX,
} from "../../base/limits.ts";
import { type CanonicalValue, canonicalJson, isCanonicalValue } from "./canonical.ts";
import { bytesPerToken, shardName, type TokenType, tokenTypeOf } from "./tokens.ts";

/** The two parts of a dataset. */
export type SplitName = "train" | "valid";

/** One file of tokens. */
export interface ShardEntry {
  /** `<split>-<number>-<sha256, 16 digits>.bin`. */
  readonly name: string;
  readonly sha256: string;
  readonly tokens: number;
  /** sha256 of its piece list, `<split>-<number>-<sha256 of the shard, 16 digits>.pieces`. */
  readonly piecesSha256: string;
}

/** All shards of one split, in order. */
export interface SplitEntry {
  readonly shards: readonly ShardEntry[];
  readonly tokens: number;
}

/** Which tokenizer made the tokens. */
export interface TokenizerEntry {
  readonly kind: "bytes" | "bpe" | "other";
  /** `tokenizer-<sha256, 16 digits>.json`. */
  readonly name: string;
  readonly sha256: string;
  readonly vocabSize: number;
  readonly endOfText: number;
}

/** Where the text came from, in numbers. */
export interface SourceEntry {
  /** What the text is, for people; at most 1024 characters. */
  readonly description: string;
  /** UTF-8 bytes of all documents kept. */
  readonly bytes: number;
  readonly trainDocuments: number;
  readonly validDocuments: number;
  /** Documents left out because an earlier one had the same text. */
  readonly duplicates: number;
  /** Documents left out because they had no text. */
  readonly empty: number;
}

/** A dataset. */
export interface Manifest {
  readonly format: "skein-data";
  readonly version: 1;
  readonly dtype: TokenType;
  /** Bytes of a piece, a multiple of 4. */
  readonly pieceBytes: number;
  readonly tokenizer: TokenizerEntry;
  readonly splits: { readonly train: SplitEntry; readonly valid: SplitEntry };
  readonly source: SourceEntry;
}

/** Key of the manifest in its store. */
export const MANIFEST_KEY: string = "manifest.json";

/** The file's bytes. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return utf8(canonicalJson(manifest as unknown as CanonicalValue));
}

/** The hash that stands for the dataset, 64 hex digits. */
export function manifestSha256(manifest: Manifest): string {
  return sha256Hex(encodeManifest(manifest));
}

/** Key of a shard's piece list. */
export function piecesKey(shard: ShardEntry): string {
  return shard.name.replace(/\.bin$/, ".pieces");
}

type Json = Readonly<Record<string, unknown>>;

function wrong(what: string): SkeinError {
  return new SkeinError("data", `manifest.json: ${what}`, {
    remedy: "build the dataset again, or fetch its manifest again",
  });
}

/** Checks that `value` is an object with exactly the given keys. */
function fields(value: unknown, where: string, keys: readonly string[]): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(`${where} is no object`);
  const found = Object.keys(value).sort().join(" ");
  if (found !== [...keys].sort().join(" ")) throw wrong(`${where} must have the fields ${keys.join(", ")}`);
  return value as Json;
}

function whole(value: unknown, where: string, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    throw wrong(`${where} must be a whole number from ${min} to ${max}`);
  }
  return value as number;
}

function hash(value: unknown, where: string): string {
  if (typeof value !== "string" || !/^[0-9a-f]{64}$/.test(value)) throw wrong(`${where} must be 64 hex digits`);
  return value;
}

function oneOf<T extends string>(value: unknown, where: string, choices: readonly T[]): T {
  const choice = choices.find((each) => each === value);
  if (choice === undefined) throw wrong(`${where} must be ${choices.join(" or ")}`);
  return choice;
}

function parseShard(value: unknown, split: SplitName, index: number): ShardEntry {
  const where = `${split} shard ${index}`;
  const entry = fields(value, where, ["name", "sha256", "tokens", "piecesSha256"]);
  const sha256 = hash(entry["sha256"], `${where} sha256`);
  const name = shardName(split, index, sha256, "bin");
  if (entry["name"] !== name) throw wrong(`${where} must be named ${name}`);
  const tokens = whole(entry["tokens"], `${where} tokens`, 1, SHARD_TOKENS_MAX);
  return { name, sha256, tokens, piecesSha256: hash(entry["piecesSha256"], `${where} piecesSha256`) };
}

function parseSplit(value: unknown, split: SplitName): SplitEntry {
  const entry = fields(value, split, ["shards", "tokens"]);
  const list = entry["shards"];
  if (!Array.isArray(list) || list.length > SHARDS_MAX)
    throw wrong(`${split} has no list of at most ${SHARDS_MAX} shards`);
  const shards = list.map((shard, index) => parseShard(shard, split, index));
  const tokens = whole(entry["tokens"], `${split} tokens`, 0, SPLIT_TOKENS_MAX);
  const sum = shards.reduce((total, shard) => total + shard.tokens, 0);
  if (sum !== tokens) throw wrong(`${split} has ${tokens} tokens, but its shards have ${sum}`);
  return { shards, tokens };
}

function parseTokenizer(value: unknown): TokenizerEntry {
  const entry = fields(value, "tokenizer", ["kind", "name", "sha256", "vocabSize", "endOfText"]);
  const sha256 = hash(entry["sha256"], "tokenizer sha256");
  const name = tokenizerName(sha256);
  if (entry["name"] !== name) throw wrong(`the tokenizer must be named ${name}`);
  const vocabSize = whole(entry["vocabSize"], "tokenizer vocabSize", 1, VOCAB_MAX);
  const endOfText = whole(entry["endOfText"], "tokenizer endOfText", 0, vocabSize - 1);
  return {
    kind: oneOf(entry["kind"], "tokenizer kind", ["bytes", "bpe", "other"]),
    name,
    sha256,
    vocabSize,
    endOfText,
  };
}

/** Key of the tokenizer with this hash. */
export function tokenizerName(sha256: string): string {
  return `tokenizer-${sha256.slice(0, 16)}.json`;
}

function parseSource(value: unknown): SourceEntry {
  const entry = fields(value, "source", [
    "description",
    "bytes",
    "trainDocuments",
    "validDocuments",
    "duplicates",
    "empty",
  ]);
  const { description } = entry;
  if (typeof description !== "string" || description.length > 1024)
    throw wrong("source description must be a short text");
  const count = (key: string): number => whole(entry[key], `source ${key}`, 0, Number.MAX_SAFE_INTEGER);
  return {
    description,
    bytes: count("bytes"),
    trainDocuments: count("trainDocuments"),
    validDocuments: count("validDocuments"),
    duplicates: count("duplicates"),
    empty: count("empty"),
  };
}

function decode(bytes: Uint8Array): unknown {
  if (bytes.length > MANIFEST_BYTES_MAX) throw wrong(`is larger than ${MANIFEST_BYTES_MAX} bytes`);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw wrong("is not JSON in UTF-8");
  }
}

/**
 * The manifest in `bytes`. Throws SkeinError("data") unless it is complete, consistent, within the limits and canonical.
 *
 * @example
 * const manifest = parseManifest(await readFile("manifest.json"));
 */
export function parseManifest(bytes: Uint8Array): Manifest {
  const root = fields(decode(bytes), "it", [
    "format",
    "version",
    "dtype",
    "pieceBytes",
    "tokenizer",
    "splits",
    "source",
  ]);
  const format = oneOf(root["format"], "format", ["skein-data"]);
  if (root["version"] !== 1) throw wrong("has a version this program does not know");
  const tokenizer = parseTokenizer(root["tokenizer"]);
  const dtype = oneOf<TokenType>(root["dtype"], "dtype", ["uint16", "uint32"]);
  if (bytesPerToken(dtype) < bytesPerToken(tokenTypeOf(tokenizer.vocabSize)))
    throw wrong("dtype is too narrow for the vocabulary");
  const pieceBytes = whole(root["pieceBytes"], "pieceBytes", 4, PIECE_BYTES_MAX);
  if (pieceBytes % 4 !== 0) throw wrong("pieceBytes must be a multiple of 4");
  const splits = fields(root["splits"], "splits", ["train", "valid"]);
  const [train, valid] = [parseSplit(splits["train"], "train"), parseSplit(splits["valid"], "valid")];
  const source = parseSource(root["source"]);
  for (const { name, tokens } of [...train.shards, ...valid.shards]) {
    if (Math.ceil((tokens * bytesPerToken(dtype)) / pieceBytes) > PIECES_MAX)
      throw wrong(`${name} has more than ${PIECES_MAX} pieces`);
  }
  const manifest: Manifest = { format, version: 1, dtype, pieceBytes, tokenizer, splits: { train, valid }, source };
  if (!isCanonicalValue(manifest)) throw wrong("has text that is not well formed");
  const canonical = encodeManifest(manifest);
  if (canonical.length !== bytes.length || canonical.some((byte, i) => byte !== bytes[i]))
    throw wrong("is not in canonical form");
  return manifest;
}
