/**
 * The outer step under the trimmed mean: docs/protocol/apply.md, as apply-reference.ts has it, in one pass and without an allocation
 * per value.
 *
 * The tensor is walked in windows that fit the cache. Indices ascend, so each contribution is read once, front to back, with a
 * cursor that stops at the window's end; scratch memory does not grow with the tensor.
 */
import type { SparseTensor } from "./contribution.ts";

/** Values in the scratch memory: 1 MiB of float64. */
const SENT_VALUES = 1 << 17;

/**
 * Applies `contributions`, valid and at least one, to one tensor in place: each value times its contribution's factor, the `trim`
 * smallest and largest of each element dropped.
 */
export function applyTrimmedMean(
  params: Float32Array,
  contributions: readonly SparseTensor[],
  factors: Float64Array,
  outerLr: number,
  trim: number,
): void {
  const count = contributions.length;
  const step = outerLr / (count - 2 * trim);
  const window = Math.min(Math.ceil(SENT_VALUES / count), params.length);
  const sent = new Float64Array(window * count); // [window, count], each row filled from the left
  const senders = new Uint16Array(window);
  const cursors = new Int32Array(count);
  for (let start = 0; start < params.length; start += window) {
    const end = Math.min(start + window, params.length);
    for (let r = 0; r < count; r++) {
      const sparse = contributions[r] as SparseTensor;
      cursors[r] = gather(sparse, cursors[r] as number, start, end, factors[r] as number, sent, senders, count);
    }
    for (let at = 0; at < end - start; at++) {
      const n = senders[at] as number;
      if (n <= trim) continue; // all are dropped: positives are among the largest, negatives among the smallest
      const param = params[start + at] as number;
      const next = Math.fround(param - step * trimmedSum(sent, at * count, n, count, trim));
      if (next - next === 0) params[start + at] = next;
    }
    senders.fill(0);
  }
}

/** Puts one contribution's values in [start, end) into their rows; returns the cursor after them. */
function gather(
  { indices, values }: SparseTensor,
  cursor: number,
  start: number,
  end: number,
  factor: number,
  sent: Float64Array,
  senders: Uint16Array,
  stride: number,
): number {
  let j = cursor;
  for (; j < indices.length; j++) {
    const index = indices[j] as number;
    if (index >= end) break;
    const at = index - start;
    const n = senders[at] as number;
    sent[at * stride + n] = factor * (values[j] as number);
    senders[at] = n + 1;
  }
  return j;
}

/**
 * Sum, in ascending order, of what is left of `n` sent values and `count` − `n` zeros after the `trim` smallest and largest are
 * dropped. Sorts the row. The zeros are not written out: they stand between the negative values and the others, and add nothing.
 */
function trimmedSum(sent: Float64Array, row: number, n: number, count: number, trim: number): number {
  for (let i = row + 1; i < row + n; i++) {
    const value = sent[i] as number;
    let j = i;
    for (; j > row && (sent[j - 1] as number) > value; j--) sent[j] = sent[j - 1] as number;
    sent[j] = value;
  }
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const value = sent[row + i] as number;
    const rank = value < 0 ? i : i + count - n;
    if (rank >= trim && rank < count - trim) sum += value;
  }
  return sum;
}
