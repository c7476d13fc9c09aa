/**
 * A hash table from pairs of token ids to dense indices 0, 1, 2, … in order of first appearance, so that what belongs to a pair
 * lives in plain arrays beside it. Open addressing over typed arrays: several times faster than a Map with composed keys, which
 * would have to be heap numbers. The hash is seeded by the machine's entropy, so nobody can prepare a tokenizer file whose
 * pairs all collide; indices do not depend on the seed.
 */
import { systemRandom } from "../../base/random.ts";

/** Pairs (a, b) of ids in [0, 2^31), numbered densely. */
export interface PairTable {
  /** Index of the pair, or −1. */
  find(a: number, b: number): number;
  /** Index of the pair, new if it was not there. */
  add(a: number, b: number): number;
  /** Number of pairs. */
  size(): number;
  first(index: number): number;
  second(index: number): number;
}

/** An empty table with room for about `expected` pairs before it first grows. */
export function pairTable(expected = 1024): PairTable {
  const seed = systemRandom.uint32() | 1;
  let capacity = 16;
  while (capacity < expected * 2) capacity *= 2;
  let slots = new Int32Array(capacity).fill(-1);
  let firsts = new Int32Array(capacity >> 1);
  let seconds = new Int32Array(capacity >> 1);
  let size = 0;

  const slotOf = (a: number, b: number): number => {
    let h = Math.imul(a ^ seed, 0x9e3779b1);
    h = Math.imul((h ^ (h >>> 15)) + b, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13) ^ seed, 0xc2b2ae35);
    let slot = (h ^ (h >>> 16)) & (capacity - 1);
    for (;;) {
      const index = slots[slot] as number;
      if (index < 0 || (firsts[index] === a && seconds[index] === b)) return slot;
      slot = (slot + 1) & (capacity - 1);
    }
  };
  const grow = (): void => {
    capacity *= 2;
    slots = new Int32Array(capacity).fill(-1);
    const [oldFirsts, oldSeconds] = [firsts, seconds];
    firsts = new Int32Array(capacity >> 1);
    seconds = new Int32Array(capacity >> 1);
    firsts.set(oldFirsts);
    seconds.set(oldSeconds);
    for (let i = 0; i < size; i++) slots[slotOf(firsts[i] as number, seconds[i] as number)] = i;
  };
  return {
    find: (a, b) => slots[slotOf(a, b)] as number,
    add(a, b) {
      const slot = slotOf(a, b);
      const found = slots[slot] as number;
      if (found >= 0) return found;
      const index = size++;
      slots[slot] = index;
      firsts[index] = a;
      seconds[index] = b;
      if (size * 2 >= capacity) grow();
      return index;
    },
    size: () => size,
    first: (index) => firsts[index] as number,
    second: (index) => seconds[index] as number,
  };
}
