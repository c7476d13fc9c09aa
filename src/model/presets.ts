/**
 * Named models with settings known to be sensible, from one that learns while you watch to one for plans only.
 *
 * Sources: 1b and 8b have the shapes of Llama 3.2 1B and Llama 3 8B (Grattafiori et al. 2024, table 3, and the released
 * configurations); covenant-72b that of Covenant-72B (arXiv 2603.08163), with the untied head and the vocabulary of 262,144
 * that its published count of 72,747,327,488 implies (its training configuration ties the head: 70,599,843,840). The small
 * ones are ours. 7m and 34m are the two configurations every speed in bench/RESULTS.md is measured with. Peak learning
 * rates fall with width as Llama 3's and GPT-3's (Brown et al. 2020, table 2.1) do; batch is what one machine takes per step.
 */
import { SkeinError } from "../base/errors.ts";
import { checkShape, type ModelShape } from "../engine/shape.ts";

/** The presets' names, smallest model first. */
export const PRESET_NAMES = ["nano", "2m", "7m", "34m", "125m", "1b", "8b", "covenant-72b"] as const;

/** The name of a preset. */
export type PresetName = (typeof PRESET_NAMES)[number];

/** A preset's learning-rate schedule: one of the kinds of optim/schedule.ts, which is a floor mate and cannot be imported. */
export interface PresetSchedule {
  readonly kind: "cosine";
  readonly lr: number;
  readonly warmupSteps: number;
  readonly steps: number;
  readonly floorLr: number;
  readonly annealSteps: number;
}

/** A named model with settings to train it. */
export interface Preset {
  readonly name: PresetName;
  /** One line for people. */
  readonly description: string;
  readonly shape: ModelShape;
  /** Tokens in a training sequence. */
  readonly seqLen: number;
  /** Sequences in a step. */
  readonly batch: number;
  readonly schedule: PresetSchedule;
}

type Dims = Pick<ModelShape, "vocabSize" | "dim" | "layers" | "heads" | "kvHeads" | "ffnDim"> & Partial<ModelShape>;

function shapeOf(dims: Dims): ModelShape {
  return { headDim: dims.dim / dims.heads, ropeTheta: 10_000, normEps: 1e-5, tied: false, ...dims };
}

/** Warmup, then cosine to a tenth of the peak. */
function cosine(lr: number, warmupSteps: number, steps: number): PresetSchedule {
  return { kind: "cosine", lr, warmupSteps, steps, floorLr: lr / 10, annealSteps: 0 };
}

/** All presets by name. */
export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  nano: {
    name: "nano",
    description: "the first run: learns words within a minute on a laptop",
    shape: shapeOf({ vocabSize: 2048, dim: 128, layers: 3, heads: 4, kvHeads: 2, ffnDim: 344, tied: true }),
    seqLen: 128,
    batch: 8,
    schedule: cosine(3e-3, 20, 2000),
  },
  "2m": {
    name: "2m",
    description: "small experiments: books to readable sentences in tens of minutes on two cores",
    shape: shapeOf({ vocabSize: 4096, dim: 128, layers: 6, heads: 4, kvHeads: 2, ffnDim: 344 }),
    seqLen: 256,
    batch: 8,
    schedule: cosine(3e-3, 100, 5000),
  },
  "7m": {
    name: "7m",
    description: "an evening on two cores; the smaller benchmark configuration",
    shape: shapeOf({ vocabSize: 4096, dim: 256, layers: 6, heads: 8, kvHeads: 8, ffnDim: 688 }),
    seqLen: 256,
    batch: 8,
    schedule: cosine(1.5e-3, 200, 20_000),
  },
  "34m": {
    name: "34m",
    description: "a good desktop; the larger benchmark configuration",
    shape: shapeOf({ vocabSize: 8192, dim: 512, layers: 8, heads: 8, kvHeads: 8, ffnDim: 1376 }),
    seqLen: 512,
    batch: 4,
    schedule: cosine(8e-4, 500, 50_000),
  },
  "125m": {
    name: "125m",
    description: "the size of the smallest GPT-2; a GPU, or many machines",
    shape: shapeOf({ vocabSize: 32_768, dim: 768, layers: 12, heads: 12, kvHeads: 4, ffnDim: 2048 }),
    seqLen: 1024,
    batch: 8,
    schedule: cosine(6e-4, 1000, 100_000),
  },
  "1b": {
    name: "1b",
    description: "the shape of Llama 3.2 1B",
    shape: shapeOf({
      vocabSize: 128_256,
      dim: 2048,
      layers: 16,
      heads: 32,
      kvHeads: 8,
      ffnDim: 8192,
      ropeTheta: 500_000,
      tied: true,
    }),
    seqLen: 2048,
    batch: 16,
    schedule: cosine(3e-4, 2000, 200_000),
  },
  "8b": {
    name: "8b",
    description: "the shape of Llama 3 8B",
    shape: shapeOf({
      vocabSize: 128_256,
      dim: 4096,
      layers: 32,
      heads: 32,
      kvHeads: 8,
      ffnDim: 14_336,
      ropeTheta: 500_000,
    }),
    seqLen: 2048,
    batch: 64,
    schedule: cosine(2e-4, 2000, 200_000),
  },
  "covenant-72b": {
    name: "covenant-72b",
    description: "the shape of Covenant-72B, for plans",
    shape: shapeOf({
      vocabSize: 262_144,
      dim: 8192,
      layers: 80,
      heads: 64,
      kvHeads: 8,
      ffnDim: 28_672,
      ropeTheta: 500_000,
    }),
    seqLen: 2048,
    batch: 192,
    schedule: cosine(1.2e-4, 1500, 185_700), // 6,190 rounds of 30 steps
  },
};

/** The preset called `name`. Throws SkeinError("usage") naming those there are. */
export function presetNamed(name: string): Preset {
  const known = PRESET_NAMES.find((preset) => preset === name);
  if (known !== undefined) return PRESETS[known];
  throw new SkeinError("usage", `there is no preset ${JSON.stringify(name)}`, {
    remedy: `choose one of ${PRESET_NAMES.join(", ")}`,
  });
}

/** The preset with another vocabulary, for a dataset whose tokenizer has that many tokens. */
export function withVocab(preset: Preset, vocabSize: number): Preset {
  const shape = { ...preset.shape, vocabSize };
  checkShape(shape);
  return { ...preset, shape };
}
