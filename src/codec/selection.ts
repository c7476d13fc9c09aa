/**
 * Error feedback and top-k of a whole tensor, in a WebAssembly kernel (kernels/select.c): a = β·e + Δ in place, and the places of
 * what each chunk keeps. Equal to topkReference in what it keeps, and in float32 operations to the formulas.
 *
 * Magnitudes compare as the bit patterns of float32 without the sign: the same order, in integers. One pass keeps what reaches a guess
 * (about 0.9 times the k-th magnitude of the chunk before), sixteen values at a time, and only those, some hundreds of 4096, are
 * ranked. A guess that was too high or far too low costs another pass and never the answer.
 *
 * The tensor goes through the kernel's memory in windows of at most WINDOW values (they stay in the second cache): a band of blocks, or a
 * part of one. Kept places are marked in a bitmap of the band and read from it in the tensor's order.
 */
import type { Grid } from "./chunks.ts";
import { type OpenKernel, openKernel } from "./kernels/open.ts";
import { selectBase64 } from "./kernels/select.wasm.ts";
import type { CodecParams } from "./params.ts";
import { notFinite } from "./topk.ts";

/** Values in a window at most; a chunk of the largest side fits. */
const WINDOW = 1 << 16;

interface Exports {
  window(
    a: number,
    delta: number,
    height: number,
    width: number,
    beta: number,
    blockWidth: number,
    k0: number,
    n0: number,
    marks: number,
    cols: number,
    col: number,
  ): number;
  emit(marks: number, words: number, base: number, out: number): number;
  sumsAt(): number;
  split(values: number, n: number, threshold: number): number;
}

let opened: OpenKernel<Exports> | undefined;

/** The kernel's functions and where its memory holds what. */
interface Session {
  readonly call: Exports;
  readonly at: { readonly a: number; readonly delta: number; readonly out: number; readonly marks: number };
  readonly a: Float32Array;
  readonly delta: Float32Array;
  readonly out: Int32Array;
}

function sessionFor({ blockHeight, cols }: Grid): Session {
  opened ??= openKernel<Exports>(selectBase64);
  const { call, heapBase } = opened;
  const a = Math.ceil(heapBase / 64) * 64;
  const at = { a, delta: a + 4 * WINDOW, out: a + 8 * WINDOW, marks: a + 12 * WINDOW };
  const words = Math.ceil((blockHeight * cols) / 32);
  opened.reserve(at.marks + 4 * words);
  const buffer = opened.buffer();
  new Uint32Array(buffer, at.marks, words).fill(0);
  const floats = (from: number): Float32Array => new Float32Array(buffer, from, WINDOW);
  return { call, at, a: floats(at.a), delta: floats(at.delta), out: new Int32Array(buffer, at.out, WINDOW) };
}

/** What top-k keeps of a tensor: flat indices, ascending, and the values there. */
export interface Selection {
  readonly indices: Int32Array;
  readonly values: Float32Array;
}

/**
 * Makes `residual` β·residual + `delta` and returns what top-k keeps of it. Throws SkeinError("diverged") where a value is NaN or
 * infinite.
 */
export function accumulateAndSelect(
  grid: Grid,
  params: CodecParams,
  delta: Float32Array,
  residual: Float32Array,
): Selection {
  const { rows, cols, blockHeight, blockWidth } = grid;
  const session = sessionFor(grid);
  const { call, at, a } = session;
  const indices = new Int32Array(grid.keptCount);
  const values = new Float32Array(grid.keptCount);
  const beta = Math.fround(params.beta);
  const n0 = params.chunkSide * params.chunkSide;
  const across = Math.floor(WINDOW / blockHeight / blockWidth) * blockWidth;
  let found = 0;
  for (let row = 0; row < rows; row += blockHeight) {
    const height = Math.min(blockHeight, rows - row);
    for (let col = 0; col < cols; col += across) {
      const width = Math.min(across, cols - col);
      const pieces = piecesOf(row * cols + col, height, width, cols);
      for (const [to, from, end] of pieces) {
        a.set(residual.subarray(from, end), to);
        session.delta.set(delta.subarray(from, end), to);
      }
      if (!call.window(at.a, at.delta, height, width, beta, blockWidth, params.k, n0, at.marks, cols, col))
        throw notFinite();
      for (const [to, from, end] of pieces) residual.set(a.subarray(to, to + end - from), from);
    }
    const start = found;
    found += emitBand(session, row * cols, height * cols, indices, found);
    for (let j = start; j < found; j++) values[j] = residual[indices[j] as number] as number; // still in the cache
  }
  return { indices, values };
}

/** Where a window [height, width] lies in the tensor: [place in the window, start, end] of each contiguous piece. */
function piecesOf(start: number, height: number, width: number, cols: number): [number, number, number][] {
  if (width === cols) return [[0, start, start + height * width]];
  return Array.from({ length: height }, (_, r) => [r * width, start + r * cols, start + r * cols + width]);
}

/** Appends a band's marked places to `out` from `found` on; returns how many. */
function emitBand(session: Session, base: number, length: number, out: Int32Array, found: number): number {
  let done = 0;
  for (let first = 0; first < length; first += WINDOW) {
    const words = Math.ceil(Math.min(WINDOW, length - first) / 32);
    const count = session.call.emit(session.at.marks + first / 8, words, base + first, session.at.out);
    out.set(session.out.subarray(0, count), found + done);
    done += count;
  }
  return done;
}

/**
 * The sum of the magnitudes of `values` (all finite) up to `threshold`, that of those above it, and how many are above. Each is summed in
 * order, in float64; adding the zero that stands for a value of the other sum changes nothing.
 */
export function splitSums(values: Float32Array, threshold: number): { low: number; high: number; above: number } {
  opened ??= openKernel<Exports>(selectBase64);
  const { call, heapBase } = opened;
  const at = Math.ceil(heapBase / 64) * 64;
  opened.reserve(at + 4 * WINDOW);
  const sums = new Float64Array(opened.buffer(), call.sumsAt(), 2).fill(0);
  const window = new Float32Array(opened.buffer(), at, WINDOW);
  let above = 0;
  for (let start = 0; start < values.length; start += WINDOW) {
    const part = values.subarray(start, start + WINDOW);
    window.set(part);
    above += call.split(at, part.length, threshold);
  }
  return { low: sums[0] as number, high: sums[1] as number, above };
}
