/**
 * Trains a byte-level BPE vocabulary (Sennrich et al. 2016; Radford et al. 2019): count the pre-tokens of a sample, then merge
 * the most frequent adjacent pair again and again. Pair counts are kept up to date from the words a merge touches, and a heap
 * with lazy corrections finds the next pair, so that thousands of merges take seconds.
 *
 * Deterministic: of equally frequent pairs the one with the lower first id, then the lower second id, wins. The result is a
 * Hugging Face tokenizer.json: bytes 0–255 have their value as id, 256 is "<|endoftext|>", merges follow in order.
 *
 * The pre-tokenizer is a Split by a pattern like GPT-4's and Llama 3's. Departures: runs of at most 2 digits instead of 3, which
 * suits small vocabularies (as in nanochat), and contractions written without `(?i:`, so that every regular-expression engine
 * reads them alike. A pre-token above `WORD_BYTES_MAX` bytes is counted in parts.
 */
import { assert, must } from "../base/assert.ts";
import { utf8 } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import { VOCAB_MAX } from "../base/limits.ts";
import { lettersOf } from "./bpe/alphabet.ts";
import { pairTable } from "./bpe/pairs.ts";
import { compileSplitter } from "./bpe/split.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { BYTE_LEVEL_PRE_TOKENIZER, byteLevelJson, byteVocab, loadTokenizer } from "./tokenizer.ts";

/** The pattern pre-tokens are cut by. */
export const SPLIT_PATTERN: string = [
  "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])",
  "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+",
  "\\p{N}{1,2}",
  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*",
  "\\s*[\\r\\n]+",
  "\\s+(?!\\S)",
  "\\s+",
].join("|");

/** How far training has come. */
export interface BpeProgress {
  readonly phase: "count" | "merge";
  /** Bytes counted, or merges made. */
  readonly done: number;
  /** Bytes of the sample cap, or merges wanted. */
  readonly total: number;
}

/** How to train a vocabulary. */
export interface BpeOptions {
  /** Tokens wanted, of which 257 are the bytes and end-of-text; fewer come out where the text has too few frequent pairs. */
  readonly vocabSize: number;
  /** Bytes of text looked at, from the start. Default 32 MB. */
  readonly sampleBytesMax?: number;
  /** How often a pair must occur to be merged. Default 2. */
  readonly minFrequency?: number;
  readonly onProgress?: (progress: BpeProgress) => void;
  /** Ends the work with SkeinError("interrupted"). */
  readonly signal?: AbortSignal;
}

const FIRST_MERGE_ID = 257;
const WORD_BYTES_MAX = 256;
const PROGRESS_EVERY_MERGES = 256;

function interrupted(): SkeinError {
  return new SkeinError("interrupted", "stopped while training the tokenizer");
}

const PRE_TOKENIZER = {
  type: "Sequence",
  pretokenizers: [
    { type: "Split", pattern: { Regex: SPLIT_PATTERN }, behavior: "Isolated", invert: false },
    BYTE_LEVEL_PRE_TOKENIZER,
  ],
};

/** Pre-tokens and how often each occurs, in order of first appearance. */
async function countWords(
  documents: Iterable<string> | AsyncIterable<string>,
  bytesMax: number,
  options: BpeOptions,
): Promise<Map<string, number>> {
  const split = must(compileSplitter(PRE_TOKENIZER).split, "own pattern");
  const counts = new Map<string, number>();
  let done = 0;
  for await (const document of documents) {
    if (options.signal?.aborted) throw interrupted();
    // A cut at the cap may halve a surrogate pair; U+FFFD takes its place like everywhere.
    const text = document.length > bytesMax - done ? document.slice(0, bytesMax - done) : document;
    for (const word of split(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
    done = Math.min(bytesMax, done + utf8(text).length);
    options.onProgress?.({ phase: "count", done, total: bytesMax });
    if (done >= bytesMax) break;
  }
  return counts;
}

/** All words behind each other: word w is symbols[starts[w] .. starts[w] + lengths[w]). */
interface Words {
  readonly symbols: Int32Array;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
  readonly counts: Float64Array;
}

function layWords(counted: ReadonlyMap<string, number>): Words {
  const parts: { bytes: Uint8Array; count: number }[] = [];
  let total = 0;
  for (const [word, count] of counted) {
    const bytes = utf8(word);
    for (let at = 0; at < bytes.length; at += WORD_BYTES_MAX) {
      parts.push({ bytes: bytes.subarray(at, at + WORD_BYTES_MAX), count });
    }
    total += bytes.length;
  }
  const symbols = new Int32Array(total);
  const starts = new Int32Array(parts.length);
  let at = 0;
  for (const [w, { bytes }] of parts.entries()) {
    starts[w] = at;
    symbols.set(bytes, at);
    at += bytes.length;
  }
  const lengths = Int32Array.from(parts, ({ bytes }) => bytes.length);
  return { symbols, starts, lengths, counts: Float64Array.from(parts, ({ count }) => count) };
}

/** Counts of pairs, and for each the words it may occur in. */
interface Pairs {
  /** Adds `delta` to the pair's count; a positive one also notes the word. Returns the pair's index. */
  bump(a: number, b: number, delta: number, word: number): number;
  count(index: number): number;
  words(index: number): readonly number[];
  /** Forgets a pair that has been merged away. */
  drop(index: number): void;
  size(): number;
  first(index: number): number;
  second(index: number): number;
}

function emptyPairs(): Pairs {
  const table = pairTable(1 << 16);
  const counts: number[] = [];
  const words: number[][] = [];
  return {
    bump(a, b, delta, word) {
      const index = table.add(a, b);
      if (index === counts.length) {
        counts.push(0);
        words.push([]);
      }
      counts[index] = (counts[index] as number) + delta;
      if (delta > 0) {
        const list = words[index] as number[];
        if (list[list.length - 1] !== word) list.push(word);
      }
      return index;
    },
    count: (index) => counts[index] as number,
    words: (index) => words[index] as number[],
    drop(index) {
      counts[index] = 0;
      words[index] = [];
    },
    size: table.size,
    first: table.first,
    second: table.second,
  };
}

/** A heap of pairs by the count they had when they were pushed: largest first, then lower ids. */
function pairHeap(pairs: Pairs): { push(index: number): void; pop(): { index: number; count: number } | undefined } {
  const heap: { index: number; count: number }[] = [];
  type Entry = { index: number; count: number };
  const before = (x: Entry, y: Entry): boolean => {
    if (x.count !== y.count) return x.count > y.count;
    const [xFirst, yFirst] = [pairs.first(x.index), pairs.first(y.index)];
    return xFirst !== yFirst ? xFirst < yFirst : pairs.second(x.index) < pairs.second(y.index);
  };
  const sink = (entry: Entry): void => {
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry)) child++;
      if (before(entry, heap[child] as Entry)) break;
      heap[i] = heap[child] as Entry;
      i = child;
    }
    heap[i] = entry;
  };
  return {
    push(index) {
      const entry = { index, count: pairs.count(index) };
      let i = heap.length;
      heap.push(entry);
      while (i > 0) {
        const parent = (i - 1) >> 1;
        if (before(heap[parent] as Entry, entry)) break;
        heap[i] = heap[parent] as Entry;
        i = parent;
      }
      heap[i] = entry;
    },
    pop() {
      const top = heap[0];
      const last = heap.pop();
      if (last !== undefined && heap.length > 0) sink(last);
      return top;
    },
  };
}

/** Replaces every a b in word `w` by `id`, left to right, and keeps the counts of the neighbouring pairs true. */
function mergeInWord(
  words: Words,
  pairs: Pairs,
  w: number,
  a: number,
  b: number,
  id: number,
  touched: Set<number>,
): void {
  const { symbols, starts, lengths, counts } = words;
  const start = starts[w] as number;
  const end = start + (lengths[w] as number);
  const count = counts[w] as number;
  let out = start;
  for (let i = start; i < end; i++) {
    if (symbols[i] !== a || i + 1 >= end || symbols[i + 1] !== b) {
      symbols[out++] = symbols[i] as number;
      continue;
    }
    if (out > start) {
      const left = symbols[out - 1] as number;
      pairs.bump(left, a, -count, w);
      touched.add(pairs.bump(left, id, count, w));
    }
    if (i + 2 < end) {
      const right = symbols[i + 2] as number;
      pairs.bump(b, right, -count, w);
      touched.add(pairs.bump(id, right, count, w));
    }
    symbols[out++] = id;
    i++;
  }
  lengths[w] = out - start;
}

/** The tokens made so far, as letters, and the merges that made them. */
interface Learned {
  readonly letters: string[];
  readonly merges: [number, number][];
}

function countPairs(words: Words): Pairs {
  const pairs = emptyPairs();
  for (let w = 0; w < words.starts.length; w++) {
    const start = words.starts[w] as number;
    for (let i = start; i + 1 < start + (words.lengths[w] as number); i++) {
      pairs.bump(words.symbols[i] as number, words.symbols[i + 1] as number, words.counts[w] as number, w);
    }
  }
  return pairs;
}

/** Merges the pair `index` into `id` wherever it occurs; returns the pairs whose counts may have grown. */
function mergeEverywhere(words: Words, pairs: Pairs, index: number, id: number): Set<number> {
  const touched = new Set<number>();
  const [a, b] = [pairs.first(index), pairs.second(index)];
  let last = -1;
  // A word noted twice in a row is skipped for speed; one met again later no longer holds the pair, which does no harm.
  for (const w of pairs.words(index)) {
    if (w !== last) mergeInWord(words, pairs, w, a, b, id, touched);
    last = w;
  }
  pairs.drop(index);
  return touched;
}

/**
 * Learns merges until the vocabulary has `vocabSize` tokens or no pair is frequent enough. Two pairs may spell the same token
 * (ab+c, a+bc): it keeps its first id. A pair that reappears after its merge, through such a token, is merged again silently,
 * as encoding would do.
 */
function learnMerges(words: Words, options: BpeOptions): Learned {
  const { vocabSize, minFrequency = 2, onProgress, signal } = options;
  const letters = Array.from({ length: 256 }, (_, byte) => lettersOf(Uint8Array.of(byte)));
  letters.push(""); // end-of-text takes part in no merge
  const ids = new Map(letters.map((text, id) => [text, id]));
  const merges: [number, number][] = [];
  const idOfMerge = new Map<number, number>();
  const pairs = countPairs(words);
  const heap = pairHeap(pairs);
  for (let index = 0; index < pairs.size(); index++) heap.push(index);
  const report = (): void =>
    onProgress?.({ phase: "merge", done: letters.length - FIRST_MERGE_ID, total: vocabSize - FIRST_MERGE_ID });
  while (letters.length < vocabSize) {
    if (signal?.aborted) throw interrupted();
    const top = heap.pop();
    if (top === undefined) break;
    const { index, count } = top;
    if (count !== pairs.count(index)) {
      if (pairs.count(index) >= minFrequency) heap.push(index);
      continue;
    }
    if (count < minFrequency) break;
    let id = idOfMerge.get(index);
    if (id === undefined) {
      const text = (letters[pairs.first(index)] as string) + (letters[pairs.second(index)] as string);
      id = ids.get(text) ?? letters.push(text) - 1;
      ids.set(text, id);
      idOfMerge.set(index, id);
      merges.push([pairs.first(index), pairs.second(index)]);
    }
    for (const other of mergeEverywhere(words, pairs, index, id)) {
      if (pairs.count(other) >= minFrequency) heap.push(other);
    }
    if (merges.length % PROGRESS_EVERY_MERGES === 0) report();
  }
  report();
  return { letters, merges };
}

function toTokenizerJson({ letters, merges }: Learned): string {
  const vocab = byteVocab();
  for (let id = FIRST_MERGE_ID; id < letters.length; id++) vocab[letters[id] as string] = id;
  const texts = merges.map(([a, b]): [string, string] => [letters[a] as string, letters[b] as string]);
  return byteLevelJson(vocab, texts, PRE_TOKENIZER);
}

/**
 * Trains a byte-level BPE tokenizer on `documents`. Same documents in the same order, same tokenizer, on every machine.
 * Throws SkeinError("usage") for a vocabulary size out of range and SkeinError("data") where there is no text.
 *
 * @example
 * const tokenizer = await trainBpe(["how much wood would a woodchuck chuck"], { vocabSize: 300 });
 * tokenizer.decode(tokenizer.encode("woodchuck")); // "woodchuck"
 */
export async function trainBpe(
  documents: Iterable<string> | AsyncIterable<string>,
  options: BpeOptions,
): Promise<Tokenizer> {
  const { vocabSize, sampleBytesMax = 32_000_000 } = options;
  if (!Number.isSafeInteger(vocabSize) || vocabSize < FIRST_MERGE_ID || vocabSize > VOCAB_MAX) {
    throw new SkeinError(
      "usage",
      `vocabSize must be a whole number from ${FIRST_MERGE_ID} to ${VOCAB_MAX}, not ${vocabSize}`,
    );
  }
  assert(sampleBytesMax > 0, "sampleBytesMax must be positive");
  const counted = await countWords(documents, sampleBytesMax, options);
  if (counted.size === 0) {
    throw new SkeinError("data", "there is no text to train a tokenizer on", {
      remedy: "give files with text in them",
    });
  }
  return loadTokenizer(toTokenizerJson(learnMerges(layWords(counted), options)));
}
