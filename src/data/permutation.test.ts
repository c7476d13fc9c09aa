import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionError } from "../base/assert.ts";
import { keyedPermutation, PERMUTATION_MAX, permutation } from "./permutation.ts";

const golden = JSON.parse(readFileSync(new URL("../../vectors/assignment.json", import.meta.url), "utf8")) as {
  permutations: { key: string; n: number; inputs: number[]; outputs: number[] }[];
};
const row = (key: string, n: number): number[] => Array.from({ length: n }, (_, i) => keyedPermutation(key, n)(i));

describe("keyedPermutation", () => {
  it("is a bijection for every n up to 300, and for some larger", () => {
    for (const n of [...Array.from({ length: 300 }, (_, i) => i + 1), 1023, 1024, 1025, 4097, 65_537]) {
      const at = keyedPermutation(`key ${n}`, n);
      const seen = new Uint8Array(n);
      for (let i = 0; i < n; i++) seen[at(i)] = 1;
      expect(
        seen.every((hit) => hit === 1),
        `n = ${n}`,
      ).toBe(true);
    }
  });

  it("is undone by its inverse, up to 2^48", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.integer({ min: 1, max: PERMUTATION_MAX }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (key, n, share) => {
          const { at, indexOf } = permutation(key, n);
          const i = Math.floor(share * n);
          expect(at(i)).toBeLessThan(n);
          expect(at(i)).toBeGreaterThanOrEqual(0);
          expect(indexOf(at(i))).toBe(i);
          expect(at(indexOf(i))).toBe(i);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("agrees with the same written in Python", () => {
    for (const { key, n, inputs, outputs } of golden.permutations) {
      expect(inputs.map(keyedPermutation(key, n)), `${key} ${n}`).toEqual(outputs);
    }
  });

  it("differs between keys and between n", () => {
    const agree = (a: number[], b: number[]): number => a.filter((x, i) => x === b[i]).length;
    for (let k = 0; k < 20; k++) expect(agree(row(`a${k}`, 1000), row(`b${k}`, 1000))).toBeLessThan(12);
    expect(agree(row("same", 1000), row("same", 1001))).toBeLessThan(12);
  });

  it("spreads evenly: positions, neighbours and parities look drawn by chance", () => {
    const n = 10_000;
    const at = row("spread", n);
    const cells = new Float64Array(100);
    at.forEach((to, from) => {
      const cell = Math.floor(from / 1000) * 10 + Math.floor(to / 1000);
      cells[cell] = (cells[cell] as number) + 1;
    });
    const chi2 = cells.reduce((sum, count) => sum + (count - 100) ** 2 / 100, 0);
    expect(chi2).toBeLessThan(140); // 81 degrees of freedom: beyond it 1 in 20,000, and the key is fixed
    const near = at.filter((to, i) => i > 0 && Math.abs(to - (at[i - 1] as number)) < 100).length;
    expect(near).toBeGreaterThan(140);
    expect(near).toBeLessThan(260);
    const even = at.filter((to, i) => (to + i) % 2 === 0).length;
    expect(Math.abs(even - n / 2)).toBeLessThan(200);
  });

  it("treats what is out of range as a bug", () => {
    for (const n of [0, -1, 1.5, 2 ** 48 + 1, Number.NaN])
      expect(() => keyedPermutation("", n)).toThrow(AssertionError);
    for (const i of [-1, 10, 0.5, Number.NaN]) expect(() => keyedPermutation("", 10)(i)).toThrow(AssertionError);
  });
});
