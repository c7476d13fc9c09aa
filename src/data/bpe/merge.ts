/**
 * Byte pair encoding of one pre-token (Sennrich et al. 2016): of all adjacent pairs that have a merge, merge the one learned
 * first, the leftmost where it occurs more than once, until none is left. Short pre-tokens, nearly all of them, are scanned;
 * from `SCAN_MAX` symbols on a heap of (rank, position) keeps the time at n·log n, so a megabyte without a space does no harm.
 */
import type { PairTable } from "./pairs.ts";

/** What a byte-level BPE vocabulary knows about merging. */
export interface MergeTable {
  /** The pairs that merge, as ids. */
  readonly pairs: PairTable;
  /** Rank of each pair: lower merges first. */
  readonly ranks: Int32Array;
  /** Id of each merged pair. */
  readonly merged: Int32Array;
}

/** Symbols up to which scanning beats the heap (measured: the two are even between 60 and 100). */
const SCAN_MAX = 64;
const NO_RANK = 0x7fffffff;

function rankOf(table: MergeTable, a: number, b: number): number {
  const index = table.pairs.find(a, b);
  return index < 0 ? NO_RANK : (table.ranks[index] as number);
}

function mergedOf(table: MergeTable, a: number, b: number): number {
  return table.merged[table.pairs.find(a, b)] as number;
}

/** Merges `symbols` in place and returns how many are left at its front. */
export function mergeSymbols(table: MergeTable, symbols: Int32Array): number {
  if (table.pairs.size() === 0) return symbols.length;
  return symbols.length <= SCAN_MAX ? mergeByScan(table, symbols) : mergeByHeap(table, symbols);
}

/** The scan; exported because the tests hold the heap against it. */
export function mergeByScan(table: MergeTable, symbols: Int32Array): number {
  let n = symbols.length;
  const ranks = new Int32Array(n);
  const rankAt = (i: number): number =>
    i >= 0 && i + 1 < n ? rankOf(table, symbols[i] as number, symbols[i + 1] as number) : NO_RANK;
  for (let i = 0; i < n; i++) ranks[i] = rankAt(i);
  for (;;) {
    let best = NO_RANK;
    let at = -1;
    for (let i = 0; i < n; i++) {
      if ((ranks[i] as number) < best) {
        best = ranks[i] as number;
        at = i;
      }
    }
    if (at < 0) return n;
    symbols[at] = mergedOf(table, symbols[at] as number, symbols[at + 1] as number);
    symbols.copyWithin(at + 1, at + 2, n);
    ranks.copyWithin(at + 1, at + 2, n);
    n--;
    ranks[at] = rankAt(at);
    if (at > 0) ranks[at - 1] = rankAt(at - 1);
  }
}

/** A heap of numbers, smallest first. Every merge takes one entry and adds at most two, so 3n entries suffice. */
function minHeap(capacity: number): { push(key: number): void; pop(): number | undefined } {
  const keys = new Float64Array(capacity);
  let size = 0;
  return {
    push(key) {
      let i = size++;
      for (; i > 0; ) {
        const parent = (i - 1) >> 1;
        if ((keys[parent] as number) <= key) break;
        keys[i] = keys[parent] as number;
        i = parent;
      }
      keys[i] = key;
    },
    pop() {
      if (size === 0) return undefined;
      const top = keys[0] as number;
      const last = keys[--size] as number;
      let i = 0;
      for (;;) {
        let child = 2 * i + 1;
        if (child >= size) break;
        if (child + 1 < size && (keys[child + 1] as number) < (keys[child] as number)) child++;
        if ((keys[child] as number) >= last) break;
        keys[i] = keys[child] as number;
        i = child;
      }
      keys[i] = last;
      return top;
    },
  };
}

/** The heap over a linked list of symbols; stale entries are told by their rank. */
export function mergeByHeap(table: MergeTable, symbols: Int32Array): number {
  const n = symbols.length;
  const next = Int32Array.from(symbols, (_, i) => i + 1);
  const prev = Int32Array.from(symbols, (_, i) => i - 1);
  const alive = new Uint8Array(n).fill(1);
  const rankAt = (i: number): number => {
    const right = next[i] as number;
    return right < n ? rankOf(table, symbols[i] as number, symbols[right] as number) : NO_RANK;
  };
  const heap = minHeap(3 * n + 1);
  const POSITIONS = 2 ** 31; // key = rank · 2^31 + position stays exact: ranks are below 2^21
  const push = (i: number): void => {
    const rank = rankAt(i);
    if (rank !== NO_RANK) heap.push(rank * POSITIONS + i);
  };
  for (let i = 0; i + 1 < n; i++) push(i);
  for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
    const at = key % POSITIONS;
    if (alive[at] === 0 || rankAt(at) !== (key - at) / POSITIONS) continue;
    const right = next[at] as number;
    symbols[at] = mergedOf(table, symbols[at] as number, symbols[right] as number);
    alive[right] = 0;
    const after = next[right] as number;
    next[at] = after;
    if (after < n) prev[after] = at;
    push(at);
    if ((prev[at] as number) >= 0) push(prev[at] as number);
  }
  let count = 0;
  for (let i = 0; i < n; i = next[i] as number) symbols[count++] = symbols[i] as number;
  return count;
}
