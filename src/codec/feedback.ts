/**
 * Compression with error feedback, one tensor at a time (Covenant-72B, arXiv 2603.08163, equation 1):
 *
 *   a = β·e + Δ;   sent = Q(TopK(a));   e' = a − sent
 *
 * so what was not sent, be it left out or rounded away, is kept for the next rounds. Every operation is one float32 operation
 * (a float64 one whose result is rounded to float32 gives the same bits): a = fround(fround(β·e) + Δ), e' = fround(a − sent).
 * So whoever replays a round gets the same residual, to the bit.
 *
 * Memory: the residual is updated in place; beyond it and Δ only the kept values (1/64 of a tensor) and one window's scratch (selection.ts)
 * are held.
 */
import { assert } from "../base/assert.ts";
import { type Grid, gridOf } from "./chunks.ts";
import { codebook, fitLevels, type Levels, quantize } from "./levels.ts";
import type { SparseCodes } from "./model.ts";
import type { CodecParams } from "./params.ts";
import { accumulateAndSelect } from "./selection.ts";

/** What is sent of one tensor: value j is codebook(levels)[codes[j]]. */
export interface SentTensor extends SparseCodes {
  readonly grid: Grid;
  readonly levels: Levels;
}

/** The values themselves, float32. */
export function valuesOf({ codes, levels }: SentTensor): Float32Array {
  const book = codebook(levels);
  const values = new Float32Array(codes.length);
  for (let j = 0; j < codes.length; j++) values[j] = book[codes[j] as number] as number;
  return values;
}

/** Compresses tensors. */
export interface Compressor {
  /**
   * Compresses `delta`, the pseudo-gradient of one tensor of `dims`, with `residual`, its error feedback so far (zeros at first), and
   * leaves the new error feedback in `residual`. Throws SkeinError("diverged") where a value is NaN or infinite; `residual` is then
   * spoiled.
   */
  compress(dims: readonly number[], delta: Float32Array, residual: Float32Array): SentTensor;
}

/** A compressor for a run's parameters. */
export function compressor(params: CodecParams): Compressor {
  return {
    compress(dims, delta, residual) {
      const grid = gridOf(dims, params);
      assert(delta.length === grid.rows * grid.cols, "Δ has the tensor's length");
      assert(residual.length === delta.length, "the residual has the tensor's length");
      const { indices, values } = accumulateAndSelect(grid, params, delta, residual);
      const levels: Levels = fitLevels(values, params.bits);
      const codes = new Uint8Array(indices.length);
      quantize(values, levels, codes);
      subtract(residual, indices, values, codes, levels);
      return { grid, indices, codes, levels };
    },
  };
}

/** a − sent at the kept places, where a is `values`. */
function subtract(
  residual: Float32Array,
  indices: Int32Array,
  values: Float32Array,
  codes: Uint8Array,
  levels: Levels,
): void {
  const book = codebook(levels);
  for (let j = 0; j < indices.length; j++) {
    residual[indices[j] as number] = (values[j] as number) - (book[codes[j] as number] as number);
  }
}
