/**
 * Text to tokens and back. Three kinds behind one interface: plain bytes; byte-level BPE by our own fast code (bpe/); and
 * everything else that a Hugging Face tokenizer.json may describe (SentencePiece-like BPE, Unigram, WordPiece), through the npm
 * package @huggingface/tokenizers, which is loaded only then.
 *
 * Departure from Hugging Face: post-processors are not applied, since training data and prompts here begin and end where the
 * caller says; `encode` never adds a token that is not in the text.
 */
import { SkeinError } from "../base/errors.ts";
import { BYTE_LETTERS } from "./bpe/alphabet.ts";
import { makeDecoder, makeEncoder } from "./bpe/encoder.ts";
import type { AddedToken, ByteLevelParts } from "./bpe/format.ts";
import { compileByteLevel, parseTokenizerFile, tokenizerError } from "./bpe/format.ts";
import { openHuggingFace } from "./huggingface.ts";

/** How `encode` reads its text. */
export interface EncodeOptions {
  /** Treat the texts of special tokens ("<|endoftext|>" and the like) as ordinary text, as befits documents of strangers. Default false. */
  readonly plain?: boolean;
}

/** Text to tokens and back. */
export interface Tokenizer {
  readonly kind: "bytes" | "bpe" | "other";
  /** One more than the largest token id. */
  readonly vocabSize: number;
  /** The token that separates documents. */
  readonly endOfText: number;
  /** Tokens of `text`; lone surrogates count as U+FFFD. Throws SkeinError("data") where the tokenizer cannot encode it. */
  encode(text: string, options?: EncodeOptions): Int32Array;
  /** Text of `tokens`; what is no valid UTF-8 or no token becomes U+FFFD. */
  decode(tokens: ArrayLike<number>): string;
  /** The tokenizer.json it comes from, character for character; `loadTokenizer` of it gives the same tokenizer. */
  toJson(): string;
}

/** How `loadTokenizer` reads a file. */
export interface LoadTokenizerOptions {
  /** Text of the token that separates documents. By default the usual names are tried. */
  readonly endOfText?: string;
  /** Its id, where that is known already, as from a manifest. */
  readonly endOfTextId?: number;
}

/** The text of our own end-of-text token. */
export const END_OF_TEXT: string = "<|endoftext|>";

/** Names of the separator in well-known tokenizers, tried in this order. */
const END_OF_TEXT_NAMES: readonly string[] = [
  END_OF_TEXT,
  "<|end_of_text|>",
  "<｜end▁of▁sentence｜>",
  "<eos>",
  "</s>",
  "<|eos|>",
  "[EOS]",
  "[SEP]",
];

/** The parts of a tokenizer.json that are the same for all byte-level tokenizers made here. */
export function byteLevelJson(
  vocab: Readonly<Record<string, number>>,
  merges: readonly (readonly [string, string])[],
  preTokenizer: unknown,
): string {
  const id = vocab[END_OF_TEXT];
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const model = {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
  };
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [{ id, content: END_OF_TEXT, ...flags }],
    normalizer: null,
    pre_tokenizer: preTokenizer,
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    model: { ...model, fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab, merges },
  });
}

/** ByteLevel's JSON where the splitting has been done already. */
export const BYTE_LEVEL_PRE_TOKENIZER: Readonly<Record<string, unknown>> = {
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: false,
};

/** Vocabulary of the 256 bytes, each byte's id its value, and end-of-text at 256. */
export function byteVocab(): Record<string, number> {
  const vocab: Record<string, number> = {};
  BYTE_LETTERS.forEach((letter, byte) => {
    vocab[letter] = byte;
  });
  vocab[END_OF_TEXT] = 256;
  return vocab;
}

function byteTokenizerJson(): string {
  return byteLevelJson(byteVocab(), [], BYTE_LEVEL_PRE_TOKENIZER);
}

/**
 * The tokenizer without a vocabulary to learn: token = byte of UTF-8, and 256 ends a text. Its toJson() is byte-level BPE
 * without merges, which Hugging Face tokenizers reads as well.
 *
 * @example
 * byteTokenizer().encode("hé"); // Int32Array [104, 195, 169]
 */
export function byteTokenizer(): Tokenizer {
  const json = byteTokenizerJson();
  const file = parseTokenizerFile(json);
  return fromByteLevel("bytes", compileByteLevel(file) as ByteLevelParts, file.added, 256, json);
}

function fromByteLevel(
  kind: "bytes" | "bpe",
  parts: ByteLevelParts,
  added: readonly AddedToken[],
  endOfText: number,
  json: string,
): Tokenizer {
  const encode = makeEncoder(parts, added);
  return {
    kind,
    vocabSize: parts.vocabSize,
    endOfText,
    encode: (text, { plain = false } = {}) => encode(text, plain),
    decode: makeDecoder(parts, added),
    toJson: () => json,
  };
}

function findEndOfText(
  idOf: (text: string) => number | undefined,
  vocabSize: number,
  options: LoadTokenizerOptions,
): number {
  const { endOfText, endOfTextId } = options;
  if (endOfTextId !== undefined) {
    if (Number.isSafeInteger(endOfTextId) && endOfTextId >= 0 && endOfTextId < vocabSize) return endOfTextId;
    throw tokenizerError(`has no token ${endOfTextId} to end a text`);
  }
  const names = endOfText === undefined ? END_OF_TEXT_NAMES : [endOfText];
  for (const name of names) {
    const id = idOf(name);
    if (id !== undefined) return id;
  }
  throw new SkeinError("data", "tokenizer.json: no end-of-text token", {
    details: `tried: ${names.join(" ")}`,
    remedy: "name the token that separates documents (option endOfText)",
  });
}

/**
 * A tokenizer from the text of a tokenizer.json. Bounded by the limits of base/limits.ts; throws SkeinError("data") where the
 * file is malformed or needs what neither our code nor @huggingface/tokenizers has, naming the piece.
 *
 * @example
 * const tokenizer = await loadTokenizer(byteTokenizer().toJson());
 * tokenizer.decode(tokenizer.encode("weave")); // "weave"
 */
export async function loadTokenizer(json: string, options: LoadTokenizerOptions = {}): Promise<Tokenizer> {
  const file = parseTokenizerFile(json);
  const parts = compileByteLevel(file);
  const addedIds = new Map(file.added.map(({ content, id }) => [content, id]));
  if ("unsupported" in parts) {
    const other = await openHuggingFace(file, parts.unsupported);
    const endOfText = findEndOfText((text) => addedIds.get(text) ?? other.idOf(text), other.vocabSize, options);
    return {
      kind: "other",
      vocabSize: other.vocabSize,
      endOfText,
      encode: (text, { plain = false } = {}) => other.encode(text, plain),
      decode: other.decode,
      toJson: () => json,
    };
  }
  if (parts.vocabSize < 2) throw tokenizerError("the vocabulary is empty");
  const kind = json === byteTokenizerJson() ? "bytes" : "bpe";
  const endOfText = findEndOfText((text) => addedIds.get(text) ?? parts.vocab.get(text), parts.vocabSize, options);
  return fromByteLevel(kind, parts, file.added, endOfText, json);
}
