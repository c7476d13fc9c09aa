import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sparse } from "../../test/helpers/sparse.ts";
import { AssertionError } from "../base/assert.ts";
import { clipFactor, clipFactors, rootOfFraction } from "./clip.ts";
import { type SparseTensor, squaredNorms } from "./contribution.ts";

const fractions = fc.oneof(
  fc.double({ min: 0, max: 1, minExcluded: true, maxExcluded: true, noNaN: true }),
  fc.tuple(fc.double({ min: 0.25, max: 1, maxExcluded: true, noNaN: true }), fc.nat(500)).map(([m, e]) => m * 4 ** -e),
);

describe("rootOfFraction", () => {
  it("is exact for even powers of two, and within 2 units in the last place of every root", () => {
    for (let e = 1; e < 500; e++) expect(rootOfFraction(4 ** -e)).toBe(2 ** -e);
    fc.assert(
      fc.property(fractions, (q) => {
        const x = rootOfFraction(q);
        expect(x).toBeGreaterThan(0);
        expect(x).toBeLessThanOrEqual(1);
        expect(Math.abs(x - Math.sqrt(q)) / Math.sqrt(q)).toBeLessThan(2 * 2 ** -52);
      }),
      { numRuns: 2000 },
    );
  });

  it("has these bits everywhere", () => {
    expect([0.1, 0.5, 0.3, 1 - 2 ** -53, 1e-300].map(rootOfFraction)).toEqual([
      0.31622776601683794, 0.7071067811865475, 0.5477225575051661, 1, 1e-150,
    ]);
  });

  it("takes nothing outside (0, 1)", () => {
    for (const q of [0, 1, -0.5, 2, Number.NaN]) expect(() => rootOfFraction(q)).toThrow(AssertionError);
  });
});

const factorsOf = (contributions: readonly SparseTensor[]): Float64Array => clipFactors(squaredNorms(contributions));

describe("clipFactors", () => {
  it("scales down to the lower median what is above it", () => {
    const norms = [4, 1, 3, 8]; // sorted 1 3 4 8: the lower median is 3
    expect([...factorsOf(norms.map((n) => sparse([0, n])))]).toEqual([
      rootOfFraction(9 / 16),
      1,
      1,
      rootOfFraction(9 / 64),
    ]);
    expect(factorsOf(norms.map((n) => sparse([0, n])))[0]).toBeCloseTo(3 / 4, 15);
  });

  it("leaves a lone contribution, and none, as they are; a median of zero silences the rest", () => {
    expect([...factorsOf([sparse([5, 1e30])])]).toEqual([1]);
    expect([...factorsOf([])]).toEqual([]);
    expect([...factorsOf([sparse(), sparse([0, 1]), sparse()])]).toEqual([1, 0, 1]);
    expect([...factorsOf([sparse([0, 2]), sparse([1, 1])])]).toEqual([0.5, 1]);
  });

  it("bounds every norm by the median, however large", () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 21 }),
        (values) => {
          const norms = values.map((v) => Math.abs(Math.fround(v)));
          const median = norms.toSorted((a, b) => a - b)[(norms.length - 1) >> 1] as number;
          const factors = factorsOf(values.map((v) => sparse([0, v])));
          factors.forEach((factor, r) => {
            expect(factor).toBeGreaterThanOrEqual(0);
            expect(factor).toBeLessThanOrEqual(1);
            expect(factor * (norms[r] as number)).toBeLessThanOrEqual(median * (1 + 1e-15));
          });
        },
      ),
    );
  });

  it("compares squares without a difference lost", () => {
    expect(clipFactor(25, 25)).toBe(1);
    expect(clipFactor(25 + 2 ** -48, 25)).toBeLessThanOrEqual(1);
  });
});
