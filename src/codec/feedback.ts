/**
 * Compression with error feedback, one tensor at a time (Covenant-72B, arXiv 2603.08163, equation 1):
 *
 *   a = β·e + Δ;   sent = Q(TopK(a));   e' = a − sent
 *
 * so what was not sent, be it left out or rounded away, is kept for the next rounds. Every operation is one float32 operation
 * (a float64 one whose result is rounded to float32 gives the same bits): a = fround(fround(β·e) + Δ), e' = fround(a − sent).
 * So whoever replays a round gets the same residual, to the bit.
 *
 * Memory: the residual is updated in place; beyond it and Δ only the kept values (1/64 of a tensor) and one chunk's scratch are
 * held.
 */
import { assert } from "../base/assert.ts";
import { chunksOf, type Grid, gridOf } from "./chunks.ts";
import { codebook, fitLevels, type Levels, quantize } from "./levels.ts";
import type { SparseCodes } from "./model.ts";
import type { CodecParams } from "./params.ts";
import { type TopkSelector, topkSelector } from "./topk.ts";

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

/** Compresses tensors; holds scratch memory for one chunk. */
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
  const select = topkSelector(params.chunkSide * params.chunkSide);
  return {
    compress(dims, delta, residual) {
      const grid = gridOf(dims, params);
      assert(delta.length === grid.rows * grid.cols, "Δ has the tensor's length");
      assert(residual.length === delta.length, "the residual has the tensor's length");
      accumulate(delta, residual, params.beta);
      const indices = keptIndices(residual, grid, params, select);
      const values = gather(residual, indices);
      const levels: Levels = fitLevels(values, params.bits);
      const codes = new Uint8Array(indices.length);
      quantize(values, levels, codes);
      subtract(residual, indices, codes, levels);
      return { grid, indices, codes, levels };
    },
  };
}

/** residual ← β·residual + Δ, in float32. */
function accumulate(delta: Float32Array, residual: Float32Array, beta: number): void {
  const decay = Math.fround(beta);
  for (let i = 0; i < residual.length; i++) {
    residual[i] = Math.fround(decay * (residual[i] as number)) + (delta[i] as number);
  }
}

/** Flat indices of what top-k keeps, ascending. */
function keptIndices(values: Float32Array, grid: Grid, params: CodecParams, select: TopkSelector): Int32Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Int32Array(grid.keptCount);
  const band = new Uint32Array(Math.min(grid.keptCount, grid.blockHeight * grid.cols));
  const rowEnds = new Uint32Array(grid.blockHeight + 1);
  let [done, found, bandRow] = [0, 0, 0];
  // Chunks give their values block by block; a counting sort by row puts those of one band of blocks into the tensor's order.
  const closeBand = (): void => {
    rowEnds.fill(0);
    const rowOf = (i: number): number => Math.floor(i / grid.cols) - bandRow;
    for (let j = 0; j < found; j++) {
      const r = rowOf(band[j] as number) + 1;
      rowEnds[r] = (rowEnds[r] as number) + 1;
    }
    for (let r = 1; r < rowEnds.length; r++) rowEnds[r] = (rowEnds[r] as number) + (rowEnds[r - 1] as number);
    for (let j = 0; j < found; j++) {
      const i = band[j] as number;
      const r = rowOf(i);
      out[done + (rowEnds[r] as number)] = i;
      rowEnds[r] = (rowEnds[r] as number) + 1;
    }
    done += found;
    found = 0;
  };
  for (const chunk of chunksOf(grid, params)) {
    if (chunk.row !== bandRow) {
      closeBand();
      bandRow = chunk.row;
    }
    select(bits, chunk, band, found);
    const gap = chunk.stride - chunk.width;
    for (const end = found + chunk.kept; found < end; found++) {
      const position = band[found] as number;
      band[found] = chunk.start + position + Math.floor(position / chunk.width) * gap;
    }
  }
  closeBand();
  return out;
}

function gather(values: Float32Array, indices: Int32Array): Float32Array {
  const out = new Float32Array(indices.length);
  for (let j = 0; j < indices.length; j++) out[j] = values[indices[j] as number] as number;
  return out;
}

/** a − sent at the kept places. */
function subtract(values: Float32Array, indices: Int32Array, codes: Uint8Array, levels: Levels): void {
  const book = codebook(levels);
  for (let j = 0; j < indices.length; j++) {
    const i = indices[j] as number;
    values[i] = (values[i] as number) - (book[codes[j] as number] as number);
  }
}
