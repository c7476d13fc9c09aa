/**
 * Sparse matrices of I32F32 numbers, a map for each row: what is missing counts as 0 but is not the same as an entry of 0 (see
 * `EpochInput.weights`). All sums run over rows from uid 0 upwards; additions do not round, so their order does not matter.
 */
import type { WeightVector } from "../chain.ts";
import { add, div, sum, toU16Share } from "./fixed.ts";

/** Columns and values of one row, columns ascending. */
export type Row = ReadonlyMap<number, bigint>;
/** A row for every uid. */
export type Matrix = readonly Row[];

/** A square matrix from rows of u16 numbers, each put through `value`. Rows and columns from `n` on are left out. */
export function matrixOf(n: number, rows: ReadonlyMap<number, WeightVector>, value: (u16: number) => bigint): Matrix {
  return Array.from({ length: n }, (_, i) => {
    const { uids, values } = rows.get(i) ?? { uids: [], values: [] };
    const entries = uids.map((j, k) => [j, value(values[k] ?? 0)] as const);
    return new Map(entries.filter(([j]) => j < n));
  });
}

/** Each entry put through `f`, which drops it by returning undefined. */
export function mapEntries(matrix: Matrix, f: (value: bigint, i: number, j: number) => bigint | undefined): Matrix {
  return matrix.map((row, i) => {
    const out = new Map<number, bigint>();
    for (const [j, value] of row) {
      const mapped = f(value, i, j);
      if (mapped !== undefined) out.set(j, mapped);
    }
    return out;
  });
}

/** Only the entries for which `keep` holds. */
export function filterEntries(matrix: Matrix, keep: (i: number, j: number) => boolean): Matrix {
  return mapEntries(matrix, (value, i, j) => (keep(i, j) ? value : undefined));
}

/** An entry, 0 where there is none. */
export const at = (row: Row | undefined, j: number): bigint => row?.get(j) ?? 0n;

/** Sums of rows. */
export const rowSums = (matrix: Matrix): bigint[] => matrix.map((row) => sum(row.values()));

function foldColumns(matrix: Matrix, f: (a: bigint, b: bigint) => bigint): bigint[] {
  const folded = matrix.map(() => 0n);
  for (const row of matrix) for (const [j, value] of row) folded[j] = f(folded[j] ?? 0n, value);
  return folded;
}

/** Sums of columns. */
export const columnSums = (matrix: Matrix): bigint[] => foldColumns(matrix, add);

function divideColumns(matrix: Matrix, divisors: readonly bigint[]): Matrix {
  return mapEntries(matrix, (value, _, j) => (divisors[j] === 0n ? value : div(value, divisors[j] ?? 0n)));
}

/** Each entry over the sum of its row. */
export function normaliseRows(matrix: Matrix): Matrix {
  const sums = rowSums(matrix);
  return mapEntries(matrix, (value, i) => (sums[i] === 0n ? value : div(value, sums[i] ?? 0n)));
}

/** Each entry over the sum of its column. */
export const normaliseColumns = (matrix: Matrix): Matrix => divideColumns(matrix, columnSums(matrix));

/** Each entry over the largest of its column. */
export function upscaleColumns(matrix: Matrix): Matrix {
  return divideColumns(
    matrix,
    foldColumns(matrix, (a, b) => (a > b ? a : b)),
  );
}

/** Rows for which `keep` holds as u16 shares; zeros and empty rows are left out. */
export function toU16Rows(matrix: Matrix, keep: readonly boolean[]): Map<number, WeightVector> {
  const rows = new Map<number, WeightVector>();
  for (const [i, row] of matrix.entries()) {
    if (keep[i] !== true) continue;
    const entries = [...row].map(([j, value]) => [j, toU16Share(value)] as const).filter(([, u16]) => u16 > 0);
    if (entries.length > 0) rows.set(i, { uids: entries.map(([j]) => j), values: entries.map(([, u16]) => u16) });
  }
  return rows;
}
