/** A toy model and a toy dataset, small enough for the reference engine to train in milliseconds. */

import { bytesOf } from "../../src/base/bytes.ts";
import { sha256Hex } from "../../src/base/hash.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Dataset, TokenSource } from "../../src/data/dataset.ts";
import type { SplitEntry } from "../../src/data/shards/manifest.ts";
import type { Tokenizer } from "../../src/data/tokenizer.ts";
import type { ModelShape } from "../../src/engine/shape.ts";

/** 2 layers, GQA, untied; 1,352 params. */
export const TOY_SHAPE: ModelShape = {
  vocabSize: 13,
  dim: 8,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  ffnDim: 12,
  ropeTheta: 10_000,
  normEps: 1e-5,
  tied: false,
};

/** A token source over an array: sequence i is tokens [i·length, i·length + length]. */
export function arraySource(tokens: Int32Array): TokenSource {
  return {
    tokens: tokens.length,
    sequences: (length) => Math.max(0, Math.floor((tokens.length - 1) / length)),
    sequence: async (index, length) => tokens.slice(index * length, (index + 1) * length + 1),
  };
}

/** Tokens that can be learned: each follows from the one before by a fixed rule, with some noise. */
export function toyTokens(count: number, seed: number, vocabSize: number = TOY_SHAPE.vocabSize): Int32Array {
  const random = seededRandom(seed);
  const tokens = new Int32Array(count);
  for (let i = 1; i < count; i++) {
    const noise = random.below(8) === 0;
    tokens[i] = noise ? random.below(vocabSize) : ((tokens[i - 1] as number) * 5 + 3) % vocabSize;
  }
  return tokens;
}

/** Letters a, b, c, … as tokens; the last token is the separator. */
export const LETTERS: Tokenizer = {
  kind: "other",
  vocabSize: TOY_SHAPE.vocabSize,
  endOfText: TOY_SHAPE.vocabSize - 1,
  encode: (text) => Int32Array.from(text, (c) => c.charCodeAt(0) - 97),
  decode: (tokens) => Array.from(tokens, (t) => String.fromCharCode(97 + t)).join(""),
  toJson: () => "{}",
};

function splitEntry(tokens: Int32Array): SplitEntry {
  const sha256 = sha256Hex(bytesOf(tokens));
  return { tokens: tokens.length, shards: [{ name: "toy", sha256, tokens: tokens.length, piecesSha256: sha256 }] };
}

/** A dataset in memory. */
export function toyDataset(seed = 1, trainTokens = 500, validTokens = 100): Dataset {
  const splits = { train: toyTokens(trainTokens, seed), valid: toyTokens(validTokens, seed + 1000) };
  const { kind, vocabSize, endOfText } = LETTERS;
  return {
    manifest: {
      format: "skein-data",
      version: 1,
      dtype: "uint16",
      pieceBytes: 4096,
      tokenizer: { kind, vocabSize, endOfText, name: "toy", sha256: "0".repeat(64) },
      splits: { train: splitEntry(splits.train), valid: splitEntry(splits.valid) },
      source: { description: "toy", bytes: 0, trainDocuments: 1, validDocuments: 1, duplicates: 0, empty: 0 },
    },
    tokenizer: async () => LETTERS,
    split: (name) => arraySource(splits[name]),
  };
}
