/**
 * The probabilities behind a payload's stream. For each tensor, row by row and within a row from left to right: is this value
 * kept, and if so, which level and which sign.
 *
 * Kept. Positions are not uniform: some rows and some columns of a matrix change far more than others. Two statistics are known
 * to both sides at every position: how often this row has kept so far, and how often this column has, each relative to what is
 * expected of k in s². Each goes into one of 16 buckets, half an octave wide, and the pair of buckets names an adaptive
 * probability. So how the two combine is learned and not assumed; it is the same for all tensors and learned once per payload.
 * Where a chunk has no kept value left, or only kept ones, nothing is coded: every stream decodes to exactly k places of every
 * chunk, each within the tensor and none twice.
 *
 * Level. Large values gather in rows and columns: the share of high levels so far in the row (4 steps) and in the column (4) is
 * the context. Sign. In some tensors, foremost the output head, where rare tokens are all pushed the same way, the sign is
 * a property of the column: context is the column's balance of signs, −4 to 4.
 *
 * Measured on real pseudo-gradients (bench/codec-size.ts; 7m preset, H = 20, two peers, error feedback of 4 rounds, k = 64): 6.88
 * bits an index, where a uniform model needs 7.36; 0.62 a level, where without context 0.76; 0.91 a sign; 243 times less than
 * float32 with everything, and 263 times with bits = 1. Near 4000 decisions a chunk are coded, at 16 ns each here; entropy.ts does the
 * same in 3.6 ns, and this is the reference it is tested against.
 *
 * Tried and no better: contexts for places left in the chunk and for values already found in this row of the block (they cost more
 * to learn than they give); statistics carried over from earlier tensors of the same width; a rank-one model of signs (0.05 bits
 * better in wq, 0.2 worse in the head); coding first whether a row of a block is empty (half the decisions, 0.15 bits more
 * an index).
 *
 * float64 operations + − × ÷, each rounded once, and integers; no fused operations.
 */
import { assert } from "../base/assert.ts";
import { type Grid, kOf } from "./chunks.ts";
import { SIGN } from "./levels.ts";
import type { CodecParams } from "./params.ts";
import type { BitCoder } from "./rangecoder.ts";

/** What is kept of one tensor, in the order of the flattened tensor. */
export interface SparseCodes {
  /** Flat indices, strictly ascending. */
  readonly indices: Int32Array;
  /** The code of each (levels.ts). */
  readonly codes: Uint8Array;
}

const BUCKETS = 16;
/** Columns or rows between two refreshes of a statistic that nothing happened to. */
const REFRESH = 16;

/** Rates at which probabilities follow what happens: 1 / (age + first), down to 1 / last. */
function rates(first: number, last: number): Float64Array {
  return Float64Array.from({ length: last - first + 1 }, (_, age) => 1 / (age + first));
}
const KEPT_RATES = rates(20, 1024);
const KEPT_AGE_MAX = KEPT_RATES.length - 1;
const VALUE_RATES = rates(2, 256);

/** Adaptive probabilities of 1, one per context. */
interface Contexts {
  readonly p: Float64Array;
  readonly age: Uint16Array;
}

/** Codes one decision in context `c` and learns from it. */
function decide(coder: BitCoder, { p, age }: Contexts, speed: Float64Array, c: number, bit: number): number {
  const before = p[c] as number;
  const a = age[c] as number;
  const got = coder.code(24 + Math.trunc(before * 65488), bit);
  p[c] = before + (got - before) * (speed[a] as number);
  if (a < speed.length - 1) age[c] = a + 1;
  return got;
}

/**
 * The bucket of a statistic that has kept `count` of `seen` places where k0 of n0 is usual: two to an octave, 8 where it is
 * (count + 1) · n0 = (seen · k0 + n0).
 */
function bucketOf(count: number, seen: number, k0: number, n0: number): number {
  const x = Math.min(Math.floor(((count + 1) * n0 * 256) / (seen * k0 + n0)), 0x7fffffff);
  if (x < 16) return 0;
  const e = 31 - Math.clz32(x);
  return Math.min(2 * (e - 8) + ((x >>> (e - 1)) & 1) + BUCKETS / 2, BUCKETS - 1);
}

/** The middle of a bucket, as a multiple of the usual rate. */
function middleOf(bucket: number): number {
  let middle = bucket % 2 === 0 ? 1.25 : 1.75;
  for (let b = bucket - (bucket % 2); b < BUCKETS / 2; b += 2) middle /= 2;
  for (let b = bucket - (bucket % 2); b > BUCKETS / 2; b -= 2) middle *= 2;
  return middle;
}

/** Before anything is learned: the product of both statistics and the usual rate, at most 0.9. */
function initialKept(k0: number, n0: number): Contexts {
  const p = new Float64Array(BUCKETS * BUCKETS);
  for (let row = 0; row < BUCKETS; row++) {
    for (let col = 0; col < BUCKETS; col++) {
      p[row * BUCKETS + col] = Math.min(0.9, (middleOf(row) * middleOf(col) * k0) / n0);
    }
  }
  return { p, age: new Uint16Array(BUCKETS * BUCKETS) };
}

function evenContexts(count: number): Contexts {
  return { p: new Float64Array(count).fill(0.5), age: new Uint16Array(count) };
}

/** Four steps of the share `high` of `count`. */
function share(high: number, count: number): number {
  return Math.floor((6 * high + count + 4) / (2 * count + 2));
}

/** Models the tensors of one payload, one after the other. */
export interface TensorModel {
  /**
   * Passes one tensor through `coder`. Encoding: `tensor` is what is coded. Decoding: it is filled in; its arrays have the grid's
   * keptCount elements. Returns false where the decoder ran out of bytes; `tensor` is then spoiled.
   */
  code(coder: BitCoder, grid: Grid, tensor: SparseCodes, decoding: boolean): boolean;
}

/** A fresh model, as both sides have it at the start of a payload. */
export function tensorModel(params: CodecParams): TensorModel {
  const kept = initialKept(params.k, params.chunkSide * params.chunkSide);
  return {
    code(coder, grid, tensor, decoding) {
      const pass = passOver(coder, kept, grid, params, tensor, decoding);
      for (let row = 0; row < grid.rows; row++) {
        if (row % grid.blockHeight === 0) beginBand(pass, row);
        if (row % REFRESH === 0) refreshColumns(pass, row);
        codeRow(pass, row);
        if (coder.exhausted()) return false;
      }
      assert(pass.at === grid.keptCount, "as many values as the layout says");
      return true;
    },
  };
}

/** One tensor on its way through the coder. */
interface Pass {
  readonly coder: BitCoder;
  readonly kept: Contexts;
  readonly levels: Contexts;
  readonly signs: Contexts;
  readonly grid: Grid;
  readonly params: CodecParams;
  readonly decoding: boolean;
  readonly indices: Int32Array;
  readonly codes: Uint8Array;
  /** Kept values so far. */
  at: number;
  /** By column: kept, bucket of that, high levels, balance of signs. */
  readonly counts: Int32Array;
  readonly buckets: Uint8Array;
  readonly highs: Int32Array;
  readonly balance: Int32Array;
  /** By chunk of the band of chunks under way: places left, kept values left. */
  readonly left: Int32Array;
  readonly keptLeft: Int32Array;
}

function passOver(
  coder: BitCoder,
  kept: Contexts,
  grid: Grid,
  params: CodecParams,
  { indices, codes }: SparseCodes,
  decoding: boolean,
): Pass {
  const chunks = Math.ceil(grid.cols / grid.blockWidth);
  const byColumn = (): Int32Array => new Int32Array(grid.cols);
  return {
    ...{ coder, kept, levels: evenContexts(16), signs: evenContexts(9), grid, params, decoding, indices, codes, at: 0 },
    ...{ counts: byColumn(), buckets: new Uint8Array(grid.cols), highs: byColumn(), balance: byColumn() },
    ...{ left: new Int32Array(chunks), keptLeft: new Int32Array(chunks) },
  };
}

function beginBand({ grid, params, left, keptLeft }: Pass, row: number): void {
  const height = Math.min(grid.blockHeight, grid.rows - row);
  for (let b = 0; b < left.length; b++) {
    const n = height * Math.min(grid.blockWidth, grid.cols - b * grid.blockWidth);
    left[b] = n;
    keptLeft[b] = kOf(n, params);
  }
}

function refreshColumns({ counts, buckets, params }: Pass, row: number): void {
  const n0 = params.chunkSide * params.chunkSide;
  for (let j = 0; j < counts.length; j++) buckets[j] = bucketOf(counts[j] as number, row, params.k, n0);
}

/** One row of the matrix, chunk by chunk. */
function codeRow(pass: Pass, row: number): void {
  const { grid, params, counts, buckets, left, keptLeft } = pass;
  const { cols, blockWidth } = grid;
  const [k0, n0] = [params.k, params.chunkSide * params.chunkSide];
  let rowKept = 0;
  let rowHigh = 0;
  for (let b = 0, first = 0; first < cols; b++, first += blockWidth) {
    const end = Math.min(first + blockWidth, cols);
    const places = (left[b] as number) + first; // places left at column j: this − j
    let wanted = keptLeft[b] as number;
    for (let j = first; j < end && wanted > 0; ) {
      const stop = Math.min(end, j - (j % REFRESH) + REFRESH);
      const context = BUCKETS * bucketOf(rowKept, j, k0, n0);
      j = places - j === wanted ? j : nextKept(pass, row * cols, j, Math.min(stop, places - wanted), context);
      if (j >= stop) continue;
      wanted--;
      pass.indices[pass.at] = row * cols + j;
      rowHigh += codeValue(pass, j, rowKept, rowHigh);
      rowKept++;
      counts[j] = (counts[j] as number) + 1;
      buckets[j] = bucketOf(counts[j] as number, row + 1, k0, n0);
      j++;
    }
    left[b] = (left[b] as number) - (end - first);
    keptLeft[b] = wanted;
  }
}

/** The next column from `j` on whose value is kept, all decided under one row context; `stop` where none before it is. */
function nextKept(pass: Pass, start: number, j: number, stop: number, context: number): number {
  const { coder, buckets, decoding } = pass;
  const { p, age } = pass.kept;
  const known = decoding ? -1 : (pass.indices[pass.at] as number) - start;
  for (let col = j; col < stop; col++) {
    const c = context + (buckets[col] as number);
    const before = p[c] as number;
    const a = age[c] as number;
    const bit = coder.code(24 + Math.trunc(before * 65488), col === known ? 1 : 0);
    p[c] = before + (bit - before) * (KEPT_RATES[a] as number);
    if (a < KEPT_AGE_MAX) age[c] = a + 1;
    if (bit === 1) return col;
  }
  return stop;
}

/** Level and sign of the value just found in column `j`; returns the level bit. */
function codeValue(pass: Pass, j: number, rowKept: number, rowHigh: number): number {
  const { coder, codes, counts, highs, balance } = pass;
  const code = codes[pass.at] as number;
  let level = 0;
  if (pass.params.bits === 2) {
    const context = 4 * share(rowHigh, rowKept) + share(highs[j] as number, counts[j] as number);
    level = decide(coder, pass.levels, VALUE_RATES, context, code & 1);
    highs[j] = (highs[j] as number) + level;
  }
  const tilt = balance[j] as number;
  const negative = decide(coder, pass.signs, VALUE_RATES, Math.max(-4, Math.min(4, tilt)) + 4, code >> 1);
  balance[j] = tilt + 1 - 2 * negative;
  codes[pass.at++] = level | (negative * SIGN);
  return level;
}
