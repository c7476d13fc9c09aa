import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type MergeTable, mergeByHeap, mergeByScan } from "./merge.ts";
import { pairTable } from "./pairs.ts";

/** A table of random merges over ids 0 to 3 and the ids made so far. */
function tableOf(choices: readonly (readonly [number, number])[]): MergeTable {
  const pairs = pairTable(4);
  const ranks = new Int32Array(choices.length);
  const merged = new Int32Array(choices.length);
  let made = 0;
  choices.forEach(([a, b], rank) => {
    const before = pairs.size();
    const index = pairs.add(a % (4 + made), b % (4 + made));
    if (index < before) return;
    ranks[index] = rank;
    merged[index] = 4 + made++;
  });
  return { pairs, ranks, merged };
}

describe("merging", () => {
  it("gives the same by heap as by scan", () => {
    const choices = fc.array(fc.tuple(fc.nat(30), fc.nat(30)), { maxLength: 30 });
    fc.assert(
      fc.property(choices, fc.array(fc.nat(3), { maxLength: 200 }), (merges, text) => {
        const table = tableOf(merges);
        const [scanned, heaped] = [Int32Array.from(text), Int32Array.from(text)];
        const [n, m] = [mergeByScan(table, scanned), mergeByHeap(table, heaped)];
        expect([...heaped.subarray(0, m)]).toEqual([...scanned.subarray(0, n)]);
      }),
      { numRuns: 500 },
    );
  });

  it("takes the earliest merge first, and of equals the leftmost", () => {
    const table = tableOf([
      [1, 1],
      [0, 1],
    ]); // 1 1 → 4 before 0 1 → 5
    const symbols = Int32Array.of(0, 1, 1, 1, 0, 1);
    const n = mergeByScan(table, symbols);
    expect([...symbols.subarray(0, n)]).toEqual([0, 4, 1, 5]);
  });
});

describe("pairTable", () => {
  it("numbers pairs densely and finds them after growing", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(50), fc.nat(2 ** 31 - 1)), { maxLength: 300 }), (list) => {
        const table = pairTable(1);
        const twin = new Map<string, number>();
        for (const [a, b] of list) {
          expect(table.find(a, b)).toBe(twin.get(`${a} ${b}`) ?? -1);
          if (!twin.has(`${a} ${b}`)) twin.set(`${a} ${b}`, twin.size);
          expect(table.add(a, b)).toBe(twin.get(`${a} ${b}`));
        }
        for (const [a, b] of list) {
          const index = table.find(a, b);
          expect([table.first(index), table.second(index)]).toEqual([a, b]);
        }
        expect(table.size()).toBe(twin.size);
      }),
    );
  });
});
