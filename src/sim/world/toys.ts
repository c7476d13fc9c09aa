/**
 * What toys train on, and runs of them: the linear toy (linear.ts) with tokens that mean nothing, for many seeds and many peers; and a small real
 * model, a Llama of some thousand params with text that can be learned, for the reference engine.
 */
import { assert } from "../../base/assert.ts";
import { bytesOf, utf8 } from "../../base/bytes.ts";
import { sha256Hex } from "../../base/hash.ts";
import { seededRandom } from "../../base/random.ts";
import type { Dataset, TokenSource } from "../../data/dataset.ts";
import type { SplitEntry, SplitName } from "../../data/shards/manifest.ts";
import type { Tokenizer } from "../../data/tokenizer.ts";
import type { ModelShape } from "../../engine/shape.ts";
import { makeSpec, type SpecOverrides } from "../../run/presets.ts";
import type { RunSpec } from "../../run/spec.ts";

/** A Llama of 2 layers, GQA, untied; 1,208 params. */
export const SMALL_SHAPE: ModelShape = {
  ...{ vocabSize: 13, dim: 8, layers: 2, heads: 2, kvHeads: 1, headDim: 4, ffnDim: 12 },
  ...{ ropeTheta: 10_000, normEps: 1e-5, tied: false },
};

/** The size of the linear toy: 1,568 params in few tensors. */
export const LINEAR_SHAPE: ModelShape = {
  ...{ vocabSize: 61, dim: 8, layers: 1, heads: 2, kvHeads: 1, headDim: 4, ffnDim: 36 },
  ...{ ropeTheta: 10_000, normEps: 1e-5, tied: true },
};

/** Blocks of a toy's round: enough for chains that are shown two or three blocks late. */
const TIMING = { trainBlocks: 6, revealBlocks: 2, voteBlocks: 5 } as const;
/** Inner steps of a toy's round, sequences in a step and tokens in a sequence. */
const STEPS = 4;
const BATCH = 8;
const SEQ_LEN = 8;
/** Payloads that a toy's round applies, at most. */
const CAP = 20;
/** How far a param of the linear toy goes in a run, and in one step at most. Its params are about a half from where they should be. */
const LINEAR_REACH = 2;
const LINEAR_LR_MAX = 0.05;
const SMALL_LR = 0.01;

/** The small model's letters a, b, c, … as tokens; the last token is the separator. */
export const LETTERS: Tokenizer = tokenizerOf(SMALL_SHAPE.vocabSize);

/** Characters from "a" on as tokens; the last token is the separator. */
function tokenizerOf(vocabSize: number): Tokenizer {
  return {
    ...{ kind: "other", vocabSize, endOfText: vocabSize - 1 },
    encode: (text) => Int32Array.from(text, (c) => c.charCodeAt(0) - 97),
    decode: (tokens) => Array.from(tokens, (t) => String.fromCharCode(97 + t)).join(""),
    toJson: () => "{}",
  };
}

/** A token source over any array: sequence i is tokens [i·length, i·length + length]. */
export function arraySource(tokens: Int32Array): TokenSource {
  return lazySource(tokens.length, (from, to) => tokens.slice(from, to));
}

/** A token source of `count` tokens, of which `slice` makes those from one position to before another. */
function lazySource(count: number, slice: (from: number, to: number) => Int32Array): TokenSource {
  return {
    tokens: count,
    sequences: (length) => Math.max(0, Math.floor((count - 1) / length)),
    sequence: async (index, length) => slice(index * length, (index + 1) * length + 1),
  };
}

/** Tokens that can be learned: each follows from the one before by a fixed rule, with some noise. */
export function smallTokens(count: number, seed: number, vocabSize: number = SMALL_SHAPE.vocabSize): Int32Array {
  const random = seededRandom(seed);
  const tokens = new Int32Array(count);
  for (let i = 1; i < count; i++) {
    const noise = random.below(8) === 0;
    tokens[i] = noise ? random.below(vocabSize) : ((tokens[i - 1] as number) * 5 + 3) % vocabSize;
  }
  return tokens;
}

/** What a dataset in memory consists of. */
interface Parts {
  readonly name: string;
  readonly tokenizer: Tokenizer;
  readonly sources: Readonly<Record<SplitName, TokenSource>>;
  /** What stands for the tokens of a split: its sha256, or that of what they are made from. */
  readonly hashes: Readonly<Record<SplitName, string>>;
}

function datasetOf({ name, tokenizer, sources, hashes }: Parts): Dataset {
  const { kind, vocabSize, endOfText } = tokenizer;
  const entry = (split: SplitName): SplitEntry => {
    const [{ tokens }, sha256] = [sources[split], hashes[split]];
    return { tokens, shards: [{ name, sha256, tokens, piecesSha256: sha256 }] };
  };
  return {
    manifest: {
      format: "skein-data",
      version: 1,
      dtype: "uint16",
      pieceBytes: 4096,
      tokenizer: { kind, vocabSize, endOfText, name, sha256: "0".repeat(64) },
      splits: { train: entry("train"), valid: entry("valid") },
      source: { description: name, bytes: 0, trainDocuments: 1, validDocuments: 1, duplicates: 0, empty: 0 },
    },
    tokenizer: async () => tokenizer,
    split: (split) => sources[split],
  };
}

/** A small model's dataset. A peer takes 256 training tokens in a round, and half of all must do for a round. */
export function smallDataset(seed = 1, trainTokens = 65_536, validTokens = 2048): Dataset {
  const splits = { train: smallTokens(trainTokens, seed), valid: smallTokens(validTokens, seed + 1000) };
  return datasetOf({
    name: "toy",
    tokenizer: LETTERS,
    sources: { train: arraySource(splits.train), valid: arraySource(splits.valid) },
    hashes: { train: sha256Hex(bytesOf(splits.train)), valid: sha256Hex(bytesOf(splits.valid)) },
  });
}

/** How much a linear dataset has, in tokens. */
export interface LinearText {
  readonly seed?: string;
  /** Default 2²⁷: 256 peers come to the same again after two thousand rounds. */
  readonly trainTokens?: number;
  readonly validTokens?: number;
  readonly vocabSize?: number;
}

/** The linear toy's dataset. No tokens are kept: each follows from the seed and its position alone. */
export function linearDataset({
  seed = "1",
  trainTokens = 2 ** 27,
  validTokens = 2 ** 16,
  vocabSize = LINEAR_SHAPE.vocabSize,
}: LinearText = {}): Dataset {
  assert(vocabSize >= 2 && vocabSize <= 2 ** 16, "tokens fit 16 bits");
  const split = (name: SplitName, count: number) => {
    const key = seededRandom(`linear ${seed} ${name}`).uint32();
    const slice = (from: number, to: number): Int32Array => {
      const tokens = new Int32Array(Math.max(0, Math.min(count, to) - from));
      for (let i = 0; i < tokens.length; i++) tokens[i] = wordAt(key, from + i) % vocabSize;
      return tokens;
    };
    const text = utf8(`linear ${seed} ${name} ${count} ${vocabSize}`);
    return { source: lazySource(count, slice), hash: sha256Hex(text) };
  };
  const [train, valid] = [split("train", trainTokens), split("valid", validTokens)];
  return datasetOf({
    name: "linear",
    tokenizer: tokenizerOf(vocabSize),
    sources: { train: train.source, valid: valid.source },
    hashes: { train: train.hash, valid: valid.hash },
  });
}

/** 32 bits that follow from a key and a position (two rounds of splitmix32's finalizer: under another key they are others, not the same elsewhere). */
function wordAt(key: number, position: number): number {
  return finalized((finalized(position) + key) | 0) >>> 0;
}

function finalized(x: number): number {
  let z = x;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return z ^ (z >>> 15);
}

/** A toy's run. */
export interface ToyRun extends SpecOverrides {
  readonly rounds: number;
  readonly uids: number;
  readonly seed: string;
  readonly dataset: Dataset;
}

/** A run of the linear toy: few steps, short rounds, audits of every tenth payload. `dataset` is a `linearDataset`. */
export function linearSpec(run: Omit<ToyRun, "dataset"> & { readonly dataset?: Dataset }): RunSpec {
  const steps = run.inner?.steps ?? STEPS;
  const lr = Math.min(LINEAR_LR_MAX, LINEAR_REACH / (steps * run.rounds));
  return toyRun("linear", lr, { dataset: linearDataset(), ...run, model: { ...LINEAR_SHAPE, ...run.model } });
}

/** A run of the small model with the same rounds. `dataset` is a `smallDataset`. */
export function smallSpec(run: ToyRun): RunSpec {
  return toyRun("small", SMALL_LR, { ...run, model: { ...SMALL_SHAPE, ...run.model } });
}

function toyRun(name: string, lr: number, { rounds, uids, seed, dataset, ...overrides }: ToyRun): RunSpec {
  const steps = overrides.inner?.steps ?? STEPS;
  const schedule = { kind: "constant", lr, warmupSteps: Math.min(2, rounds * steps), steps: steps * rounds } as const;
  const judged = { sequences: 8, unassigned: 32, peers: Math.min(8, uids), validationSequences: 64 };
  return makeSpec({
    preset: "tiny",
    ...{ name, seed },
    manifest: dataset.manifest,
    overrides: {
      checkpointEvery: 2,
      ...overrides,
      uids,
      inner: { steps, batch: BATCH, seqLen: SEQ_LEN, schedule, ...overrides.inner },
      codec: { chunkSide: 8, k: 16, ...overrides.codec },
      outer: { cap: Math.min(CAP, uids), ...overrides.outer },
      timing: { ...TIMING, ...overrides.timing },
      score: { ...judged, ...overrides.score },
      audit: { spans: 2, perMille: 100, tolerance: 0, ...overrides.audit },
    },
  });
}
