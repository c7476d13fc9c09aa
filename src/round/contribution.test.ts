import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sparse } from "../../test/helpers/sparse.ts";
import { AssertionError } from "../base/assert.ts";
import { checkSparse, positionOf, squaredNorm, squaredNorms } from "./contribution.ts";

describe("checkSparse", () => {
  it("accepts ascending indices within the tensor, none too", () => {
    checkSparse(sparse(), 1);
    checkSparse(sparse([0, 1], [3, -2], [9, 0]), 10);
  });

  it.each([
    ["a repeated index", sparse([3, 1], [3, 1])],
    ["descending indices", sparse([4, 1], [3, 1])],
    ["an index beyond the tensor", sparse([10, 1])],
    ["a negative index", sparse([-1, 1])],
    ["a leap from the largest number to the smallest", sparse([2 ** 31 - 1, 1], [-(2 ** 31), 1], [5, 1])],
    ["NaN", sparse([1, 1], [2, Number.NaN])],
    ["Infinity", sparse([1, Number.POSITIVE_INFINITY])],
    ["minus Infinity before another value", sparse([1, Number.NEGATIVE_INFINITY], [2, 1])],
    ["more indices than values", { indices: new Int32Array([1, 2]), values: new Float32Array(1) }],
  ])("throws for %s", (_, tensor) => {
    expect(() => checkSparse(tensor, 10)).toThrow(AssertionError);
  });
});

describe("squaredNorm", () => {
  it("sums exact squares from the left in float64", () => {
    expect(squaredNorm(new Float32Array())).toBe(0);
    expect(squaredNorm(new Float32Array([3, -4]))).toBe(25);
    const values = new Float32Array([2 ** 27, 1, 1, -1]); // 2^54 + 1 rounds back to 2^54 each time
    expect(squaredNorm(values)).toBe(2 ** 54);
    expect(squaredNorm(values.toReversed())).toBe(2 ** 54 + 4);
    expect(squaredNorm(new Float32Array([3.4e38, 3.4e38]))).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  it("gives the same bits for many at once, of any lengths, from values and from codes", () => {
    const book = fc.float32Array({ minLength: 4, maxLength: 4, noNaN: true });
    const coded = fc.record({ book, codes: fc.uint8Array({ max: 3, maxLength: 30 }) });
    fc.assert(
      fc.property(fc.array(coded, { maxLength: 11 }), fc.boolean(), (all, withCodes) => {
        const contributions = all.map(({ codes, book }) => ({
          indices: new Int32Array(codes.length),
          values: Float32Array.from(codes, (code) => book[code] as number),
          ...(withCodes ? { coded: { codes, book } } : {}),
        }));
        expect([...squaredNorms(contributions)]).toEqual(contributions.map(({ values }) => squaredNorm(values)));
      }),
    );
  });
});

describe("positionOf", () => {
  it("counts the indices below the end", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(2000), { maxLength: 700 }), fc.nat(700), fc.nat(2100), (found, from, end) => {
        const indices = Int32Array.from(found).sort();
        const start = Math.min(from, indices.filter((at) => at < end).length);
        expect(positionOf(indices, start, end)).toBe(indices.filter((at) => at < end).length);
      }),
    );
  });
});
