/** The golden vectors of vectors/llama.py: reads the files, and draws the params and tokens that they do not store. */
import { readFileSync } from "node:fs";
import { assert, must } from "../../src/base/assert.ts";
import type { Batch } from "../../src/engine/engine.ts";
import { type ModelShape, type ParamEntry, paramCount, paramLayout } from "../../src/engine/shape.ts";

/** Names of the cases, each a pair of files. */
export const GOLDEN_CASES = ["mha", "gqa-tied", "odd", "long"] as const;

/** What the .json file holds. */
interface GoldenRecord {
  readonly shape: ModelShape;
  readonly rows: number;
  readonly length: number;
  readonly seed: number;
  readonly scale: number;
  readonly lr: readonly number[];
  /** Step options other than lr, the same for each step; a clipNorm of null is none. */
  readonly options: { readonly clipNorm: number | null; readonly [name: string]: number | null };
  readonly rowLosses: readonly number[];
  readonly steps: readonly { readonly loss: number; readonly gradNorm: number }[];
  readonly final: Readonly<Record<string, { readonly norm: number; readonly sum: number; readonly moved: number }>>;
}

/** One case: a model, its batches, and what PyTorch computed in float64. */
export interface Golden extends GoldenRecord {
  readonly layout: readonly ParamEntry[];
  readonly params: Float32Array;
  /** One batch for each step. */
  readonly batches: readonly Batch[];
  /** [rows, vocabSize], after the first `length` tokens of each row of the first batch. */
  readonly logits: Float32Array;
  /** Of the first batch at the initial params, flat. */
  readonly grads: Float32Array;
}

/** Reads the case `name`. */
export function loadGolden(name: (typeof GOLDEN_CASES)[number]): Golden {
  const file = (ending: string): Buffer =>
    readFileSync(new URL(`../../vectors/llama-${name}.${ending}`, import.meta.url));
  const record = JSON.parse(file("json").toString()) as GoldenRecord;
  const { shape, rows, length } = record;
  const bytes = file("bin");
  const values = Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
  assert(values.length === rows * shape.vocabSize + paramCount(shape), `llama-${name}.bin does not fit its .json`);
  const uniform = congruential(record.seed);
  const params = drawParams(record, uniform);
  const tokens = (): Int32Array =>
    Int32Array.from({ length: rows * (length + 1) }, () => Math.floor(uniform() * shape.vocabSize));
  const batches = record.steps.map(() => ({ tokens: tokens(), rows, length }));
  const logits = values.subarray(0, rows * shape.vocabSize);
  return { ...record, layout: paramLayout(shape), params, batches, logits, grads: values.subarray(logits.length) };
}

/** The generator that vectors/llama.py documents: uniform multiples of 2^-24 in [0, 1). */
function congruential(seed: number): () => number {
  let s = seed;
  return () => {
    s = (Math.imul(1664525, s) + 1013904223) >>> 0;
    return (s >>> 8) / 2 ** 24;
  };
}

function drawParams({ shape, scale }: GoldenRecord, uniform: () => number): Float32Array {
  const params = new Float32Array(paramCount(shape));
  for (const { dims, offset, length } of paramLayout(shape)) {
    for (let i = offset; i < offset + length; i++) {
      const centred = uniform() - 0.5;
      params[i] = dims.length === 1 ? 1 + centred / 2 : centred * scale;
    }
  }
  return params;
}

/** ‖values‖, the square root of the sum of squares. */
export function norm(values: ArrayLike<number>): number {
  return distance(values, new Float64Array(values.length));
}

/** ‖a − b‖. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert(a.length === b.length, `${a.length} values where ${b.length} were expected`);
  let squares = 0;
  for (let i = 0; i < a.length; i++) squares += (must(a[i], "value") - must(b[i], "value")) ** 2;
  return Math.sqrt(squares);
}

/** ‖actual − expected‖ / ‖expected‖, or over `floor` where the expected norm is smaller. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>, floor = 0): number {
  return distance(actual, expected) / Math.max(norm(expected), floor);
}
