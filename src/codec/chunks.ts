/**
 * How a tensor is cut into chunks, and how many values of each are kept: a function of its dims and the codec's parameters
 * alone, so that the counts never travel (SparseLoCo; Covenant-72B: matrices in 64 × 64 blocks, vectors in pieces of 4096).
 *
 * Departure: the reference implementation takes the largest divisor of each dimension up to 64, which makes 1-wide blocks of a
 * prime dimension. Here blocks have the full side, and those at the right and bottom edges are smaller. A chunk of n values
 * keeps ⌈n·k / s²⌉ of them: at least one, at most all, and never less dense than a whole chunk.
 */
import { assert } from "../base/assert.ts";
import type { CodecParams } from "./params.ts";

/** A tensor as a matrix [rows, cols] cut into blocks of at most [blockHeight, blockWidth]. A vector is one row. */
export interface Grid {
  readonly rows: number;
  readonly cols: number;
  readonly blockHeight: number;
  readonly blockWidth: number;
  readonly chunkCount: number;
  /** Values kept of the whole tensor. */
  readonly keptCount: number;
}

/** One block of a grid: values (r, c) with r < height and c < width lie at flat index start + r · stride + c. */
export interface Chunk {
  readonly start: number;
  readonly height: number;
  readonly width: number;
  /** Distance between rows: the tensor's number of columns. */
  readonly stride: number;
  /** First row and column within the matrix. */
  readonly row: number;
  readonly col: number;
  /** How many of its values are kept. */
  readonly kept: number;
}

/** How many of `n` values in one chunk are kept: ⌈n·k / s²⌉. */
export function kOf(n: number, params: CodecParams): number {
  return Math.min(n, Math.max(1, Math.ceil((n * params.k) / (params.chunkSide * params.chunkSide))));
}

/**
 * The grid of a tensor. One dim: a vector. Two: a matrix [rows, cols]. None: one value. Three or more: a matrix
 * [first, product of the others].
 */
export function gridOf(dims: readonly number[], params: CodecParams): Grid {
  const s = params.chunkSide;
  const vector = dims.length < 2;
  const rows = vector ? 1 : (dims[0] as number);
  const cols = dims.slice(vector ? 0 : 1).reduce((a, b) => a * b, 1);
  assert(rows >= 0 && cols >= 0 && Number.isSafeInteger(rows * cols), "a tensor has a whole number of values");
  const blockHeight = vector ? 1 : s;
  const blockWidth = vector ? s * s : s;
  const count = { chunks: 0, kept: 0 };
  // At most four kinds of block: whole, right edge, bottom edge, corner.
  for (const [height, down] of spans(rows, blockHeight)) {
    for (const [width, across] of spans(cols, blockWidth)) {
      count.chunks += down * across;
      count.kept += down * across * kOf(height * width, params);
    }
  }
  return { rows, cols, blockHeight, blockWidth, chunkCount: count.chunks, keptCount: count.kept };
}

/** Pieces of `length` cut every `side`: [[side, how many], [remainder, 1]]. */
function spans(length: number, side: number): [number, number][] {
  const whole = Math.floor(length / side);
  const pieces: [number, number][] = [];
  if (whole > 0) pieces.push([side, whole]);
  if (length % side > 0) pieces.push([length % side, 1]);
  return pieces;
}

/** All chunks of a grid: blocks from left to right, then from top to bottom. Together they hold every value exactly once. */
export function* chunksOf(grid: Grid, params: CodecParams): Generator<Chunk, void, undefined> {
  const { rows, cols, blockHeight, blockWidth } = grid;
  for (let row = 0; row < rows; row += blockHeight) {
    const height = Math.min(blockHeight, rows - row);
    for (let col = 0; col < cols; col += blockWidth) {
      const width = Math.min(blockWidth, cols - col);
      yield { start: row * cols + col, height, width, stride: cols, row, col, kept: kOf(height * width, params) };
    }
  }
}
