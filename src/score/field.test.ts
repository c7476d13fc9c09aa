/** Fast checks: norms that do not belong. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FIELD_MIN, farFromField, NORM_RATIO_MAX, NORM_RATIO_MIN, squaredSize } from "./field.ts";

describe("squaredSize", () => {
  it("adds up the squares of what is sent", () => {
    const tensors = [
      { codes: Uint8Array.of(0, 1, 2, 3, 3), levels: [1, 2] as const },
      { codes: Uint8Array.of(0, 2), levels: [0.5] as const },
    ];
    expect(squaredSize(tensors)).toBe(1 + 4 + 1 + 4 + 4 + 0.25 + 0.25);
    expect(squaredSize([])).toBe(0);
  });
});

describe("farFromField", () => {
  const squares = (...norms: number[]): Map<number, number> => new Map(norms.map((norm, uid) => [uid, norm * norm]));

  it("finds what is far too large or too small", () => {
    expect(farFromField(squares(1, 1.5, NORM_RATIO_MAX * 1.01, 0, 1, NORM_RATIO_MIN / 1.01))).toEqual([2, 3, 5]);
    expect(farFromField(squares(1, 1, NORM_RATIO_MAX, NORM_RATIO_MIN))).toEqual([]);
    expect(farFromField(squares(1, 1, Number.POSITIVE_INFINITY))).toEqual([2]);
  });

  it("says nothing of a field that is too small, or of nothing", () => {
    expect(farFromField(squares(1, 1e9))).toEqual([]);
    expect(farFromField(squares(0, 0, 0, 5))).toEqual([]);
    expect(farFromField(new Map())).toEqual([]);
    expect(FIELD_MIN).toBe(3);
  });

  it("never finds those within the limits of each other where they are more than half", () => {
    const within = fc.double({ min: 1, max: 8, noNaN: true });
    const wild = fc.double({ min: 0, max: 1e30, noNaN: true });
    const property = fc.property(
      fc.array(within, { minLength: 4, maxLength: 9 }),
      fc.array(wild, { maxLength: 3 }),
      (honest, others) => {
        const found = farFromField(squares(...honest, ...others));
        expect(found.filter((uid) => uid < honest.length)).toEqual([]);
      },
    );
    fc.assert(property, { numRuns: 300 });
  });
});
