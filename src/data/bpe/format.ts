/**
 * Reads a Hugging Face tokenizer.json as what it is: a stranger's bytes. Everything is checked and bounded before it is used;
 * what is wrong gives SkeinError("data"). What is merely not byte-level BPE as we know it is answered with the reason.
 */
import { SkeinError, shown } from "../../base/errors.ts";
import { ADDED_TOKENS_MAX, TOKEN_CHARS_MAX, TOKENIZER_BYTES_MAX, VOCAB_MAX } from "../../base/limits.ts";
import { BYTE_LETTERS } from "./alphabet.ts";
import type { MergeTable } from "./merge.ts";
import { pairTable } from "./pairs.ts";
import type { Splitter } from "./split.ts";
import { compileSplitter } from "./split.ts";

export type Json = Readonly<Record<string, unknown>>;

/** A token that is cut out of the text before anything else happens to it. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Marks a control token, such as the end of a text. */
  readonly special: boolean;
  /** Looked for after normalization instead of before. */
  readonly normalized: boolean;
  /** Swallows white space at its left, right. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

/** The parts every kind of tokenizer.json has. */
export interface TokenizerFile {
  readonly root: Json;
  readonly model: Json;
  readonly added: readonly AddedToken[];
}

/** Byte-level BPE, ready to encode. */
export interface ByteLevelParts {
  readonly vocab: ReadonlyMap<string, number>;
  readonly vocabSize: number;
  readonly merges: MergeTable;
  /** Id of each byte. */
  readonly byteIds: Int32Array;
  readonly split: Splitter;
  readonly nfc: boolean;
  /** Take a pre-token that is itself in the vocabulary as it is, whatever the merges say (Llama 3). */
  readonly ignoreMerges: boolean;
}

const REMEDY = "check that the file is a tokenizer.json in the format of Hugging Face tokenizers";

/** The error every malformed tokenizer.json ends in. */
export function tokenizerError(what: string, details?: string): SkeinError {
  return new SkeinError("data", `tokenizer.json: ${what}`, {
    remedy: REMEDY,
    ...(details === undefined ? {} : { details }),
  });
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkedId(id: unknown, what: string): number {
  if (!Number.isSafeInteger(id) || (id as number) < 0 || (id as number) >= VOCAB_MAX) {
    throw tokenizerError(`${what} has no id in [0, ${VOCAB_MAX})`);
  }
  return id as number;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

function addedToken(value: unknown): AddedToken {
  if (!isObject(value)) throw tokenizerError("an added token is no object");
  const { content } = value;
  if (typeof content !== "string" || content === "" || content.length > TOKEN_CHARS_MAX) {
    throw tokenizerError("an added token has no content, or too much");
  }
  if (value["single_word"] === true) {
    throw tokenizerError(`the added token ${quoted(content)} has "single_word": true, which is not supported`);
  }
  const special = value["special"] === true;
  const normalized = typeof value["normalized"] === "boolean" ? value["normalized"] : !special;
  const [lstrip, rstrip] = [value["lstrip"] === true, value["rstrip"] === true];
  return { id: checkedId(value["id"], `added token ${quoted(content)}`), content, special, normalized, lstrip, rstrip };
}

/** The file's common parts. Throws SkeinError("data"). */
export function parseTokenizerFile(json: string): TokenizerFile {
  if (json.length > TOKENIZER_BYTES_MAX) throw tokenizerError(`is larger than ${TOKENIZER_BYTES_MAX} bytes`);
  let root: unknown;
  try {
    root = JSON.parse(json.startsWith("\ufeff") ? json.slice(1) : json);
  } catch (cause) {
    throw tokenizerError("is not JSON", String(cause));
  }
  if (!isObject(root)) throw tokenizerError("is no JSON object");
  const { model, added_tokens: list = [] } = root;
  if (!isObject(model)) throw tokenizerError("has no model");
  if (!Array.isArray(list) || list.length > ADDED_TOKENS_MAX)
    throw tokenizerError("has no usable list of added tokens");
  const added = list.map(addedToken);
  const contents = new Map<string, number>();
  for (const { content, id } of added) {
    if ((contents.get(content) ?? id) !== id)
      throw tokenizerError(`added token ${quoted(content)} appears with two ids`);
    contents.set(content, id);
  }
  return { root, model, added };
}

/** The vocabulary as a map, with every id used once, and its size: the largest id and one. */
function parseVocab(model: Json, added: readonly AddedToken[]): { vocab: Map<string, number>; vocabSize: number } {
  if (!isObject(model["vocab"])) throw tokenizerError("the model has no vocabulary");
  const entries = Object.entries(model["vocab"]);
  if (entries.length > VOCAB_MAX) throw tokenizerError(`the vocabulary has more than ${VOCAB_MAX} entries`);
  const vocab = new Map<string, number>();
  const texts = new Map<number, string>();
  const claim = (text: string, id: number): void => {
    const other = texts.get(id);
    if (other !== undefined && other !== text)
      throw tokenizerError(`${quoted(text)} and ${quoted(other)} share the id ${id}`);
    texts.set(id, text);
  };
  let vocabSize = 0;
  for (const [text, value] of entries) {
    if (text.length > TOKEN_CHARS_MAX)
      throw tokenizerError(`a vocabulary entry has more than ${TOKEN_CHARS_MAX} characters`);
    const id = checkedId(value, `vocabulary entry ${quoted(text)}`);
    claim(text, id);
    vocab.set(text, id);
    vocabSize = Math.max(vocabSize, id + 1);
  }
  for (const { content, id } of added) {
    if ((vocab.get(content) ?? id) !== id)
      throw tokenizerError(`added token ${quoted(content)} has another id in the vocabulary`);
    claim(content, id);
    vocabSize = Math.max(vocabSize, id + 1);
  }
  return { vocab, vocabSize };
}

function mergeParts(merge: unknown): readonly [string, string] {
  const parts = typeof merge === "string" ? merge.split(" ") : merge;
  if (!Array.isArray(parts) || parts.length !== 2) throw tokenizerError("a merge is no pair");
  const [a, b] = parts as unknown[];
  if (typeof a !== "string" || typeof b !== "string") throw tokenizerError("a merge is no pair of strings");
  return [a, b];
}

function parseMerges(model: Json, vocab: ReadonlyMap<string, number>): MergeTable {
  const list = model["merges"];
  if (!Array.isArray(list) || list.length > VOCAB_MAX) throw tokenizerError("the model has no usable list of merges");
  const pairs = pairTable(list.length + 1);
  const ranks = new Int32Array(list.length);
  const merged = new Int32Array(list.length);
  for (const [rank, merge] of list.entries()) {
    const [a, b] = mergeParts(merge);
    const ids = [vocab.get(a), vocab.get(b), vocab.get(a + b)];
    const [first, second, whole] = ids;
    if (first === undefined || second === undefined || whole === undefined) {
      throw tokenizerError(`merge ${rank} (${quoted(a)} ${quoted(b)}) uses a token that is not in the vocabulary`);
    }
    const index = pairs.add(first, second); // where a pair comes twice the later one counts, as in Rust's tokenizers
    ranks[index] = rank;
    merged[index] = whole;
  }
  return { pairs, ranks, merged };
}

/** Whether the normalizer is none or NFC; undefined where it is another. */
function nfcOnly(normalizer: unknown): boolean | undefined {
  if (normalizer === null || normalizer === undefined) return false;
  if (!isObject(normalizer)) return undefined;
  if (normalizer["type"] === "NFC") return true;
  const parts = normalizer["normalizers"];
  if (normalizer["type"] !== "Sequence" || !Array.isArray(parts) || parts.length > 1) return undefined;
  return parts.length === 0 ? false : isObject(parts[0]) && parts[0]["type"] === "NFC" ? true : undefined;
}

function modelTrouble(model: Json): string | undefined {
  if (model["type"] !== "BPE" && model["type"] !== undefined) return `the model ${shown(model["type"])}`;
  if (model["byte_fallback"] === true) return "BPE with byte_fallback";
  if (typeof model["dropout"] === "number" && model["dropout"] !== 0) return "BPE with dropout";
  if (model["continuing_subword_prefix"] || model["end_of_word_suffix"]) return "BPE with subword marks";
  return undefined;
}

/** Byte-level BPE out of a parsed file, or the reason why it is something else. Throws SkeinError("data") where it is malformed. */
export function compileByteLevel(file: TokenizerFile): ByteLevelParts | { readonly unsupported: string } {
  const { root, model, added } = file;
  const trouble = modelTrouble(model);
  if (trouble !== undefined) return { unsupported: trouble };
  const nfc = nfcOnly(root["normalizer"]);
  if (nfc === undefined) return { unsupported: "a normalizer other than NFC" };
  if (!isObject(root["decoder"]) || root["decoder"]["type"] !== "ByteLevel")
    return { unsupported: "a decoder other than ByteLevel" };
  const { split, unsupported, refuse } = compileSplitter(root["pre_tokenizer"]);
  if (refuse) throw tokenizerError(`has ${unsupported}, which is refused`);
  if (split === undefined) return { unsupported };
  const { vocab, vocabSize } = parseVocab(model, added);
  const byteIds = Int32Array.from(BYTE_LETTERS, (letter) => vocab.get(letter) ?? -1);
  if (byteIds.includes(-1)) return { unsupported: "a vocabulary without all 256 bytes" };
  const ignoreMerges = model["ignore_merges"] === true;
  return { vocab, vocabSize, merges: parseMerges(model, vocab), byteIds, split, nfc, ignoreMerges };
}
