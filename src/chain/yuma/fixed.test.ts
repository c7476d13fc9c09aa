import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  div,
  exp,
  fromInteger,
  fromU16Share,
  liquidAlpha,
  mul,
  normalise,
  normaliseRao,
  ONE,
  shareOf,
  toU16Share,
} from "./fixed.ts";

const HALF = ONE / 2n;
const I64_MAX = (1n << 63n) - 1n;

describe("fixed point", () => {
  it("floors products, truncates quotients, saturates", () => {
    expect(mul(-1n, HALF)).toBe(-1n);
    expect(mul(1n, HALF)).toBe(0n);
    expect(div(-1n, 2n * ONE)).toBe(0n);
    expect(div(7n, 0n)).toBe(0n);
    expect(div(I64_MAX, 1n)).toBe(0n); // does not fit
    expect(mul(I64_MAX, I64_MAX)).toBe(I64_MAX);
    expect(mul(-I64_MAX, I64_MAX)).toBe(-I64_MAX - 1n);
  });

  it("turns u16 into shares and back", () => {
    expect(fromU16Share(65_535)).toBe(ONE);
    expect(fromU16Share(1)).toBe(65_537n);
    expect(toU16Share(ONE)).toBe(65_535);
    expect(toU16Share(ONE - 1n)).toBe(65_534);
    expect(toU16Share(2n * ONE)).toBe(65_535);
    expect(toU16Share(-ONE)).toBe(0);
    fc.assert(fc.property(fc.nat(65_535), (x) => [x, x - 1].includes(toU16Share(fromU16Share(x)))));
    // what the contract computes without a division
    fc.assert(fc.property(fc.nat(65_535), (x) => fromU16Share(x) === BigInt(x) * 65_537n + (x === 65_535 ? 1n : 0n)));
  });

  it("normalises to at most 1", () => {
    expect(normalise([])).toEqual([]);
    expect(normalise([0n, 0n])).toEqual([0n, 0n]);
    expect(normalise([1n, 1n, 1n])).toEqual([1_431_655_765n, 1_431_655_765n, 1_431_655_765n]);
    expect(normaliseRao([0n])).toEqual([0n]);
    expect(normaliseRao([3n, 1n])).toEqual([(3n * ONE) / 4n, ONE / 4n]);
    fc.assert(
      fc.property(fc.array(fc.bigInt(0n, 21_000_000_000_000_000n)), (rao) => {
        const total = rao.reduce((a, b) => a + b, 0n);
        expect(normaliseRao(rao)).toEqual(rao.map((x) => (total === 0n ? 0n : (x << 32n) / total)));
      }),
    );
  });

  it("shares rao, truncated", () => {
    expect(shareOf(ONE, 10n)).toBe(10n);
    expect(shareOf(ONE - 1n, 10n)).toBe(9n);
    expect(shareOf(ONE, 1n << 63n)).toBe(1n << 63n);
  });

  it("has an exponential function", () => {
    expect(exp(0n)).toBe(ONE);
    expect(exp(ONE)).toBe(11_674_931_554n);
    expect(exp(-30n * ONE)).toBe(exp(-20n * ONE));
    expect(exp(30n * ONE)).toBe(exp(20n * ONE));
    fc.assert(
      fc.property(fc.double({ min: -20, max: 5, noNaN: true }), (x) => {
        const real = Math.exp(x);
        const ours = Number(exp(BigInt(Math.round(x * 2 ** 32)))) / 2 ** 32;
        expect(Math.abs(ours - real)).toBeLessThan(1e-6 * Math.max(1, real));
      }),
    );
  });

  it("has liquid alpha's sigmoid", () => {
    const range = { low: fromU16Share(6553), high: fromU16Share(19_660), steepness: 1000 };
    expect(liquidAlpha(HALF, 0n, 0n, range)).toBe((range.low + range.high) / 2n);
    expect(liquidAlpha(0n, HALF, 0n, range)).toBe((range.low + range.high) / 2n);
    const share = fc.bigInt(0n, ONE);
    fc.assert(
      fc.property(
        share,
        share,
        share,
        fc.integer({ min: -32_768, max: 32_767 }),
        (vote, bond, consensus, steepness) => {
          const alpha = liquidAlpha(vote, bond, consensus, { ...range, steepness });
          expect(alpha >= range.low && alpha <= range.high).toBe(true);
          const distance = vote >= bond ? Math.max(0, Number(vote - consensus)) : Number(bond - vote);
          const sigmoid = 1 / (1 + Math.exp((-steepness / 100) * (distance / Number(ONE) - 0.5)));
          const real = Number(range.low) + sigmoid * Number(range.high - range.low);
          expect(Math.abs(Number(alpha) - real) / Number(ONE)).toBeLessThan(1e-6);
        },
      ),
    );
    expect(fromInteger(-1)).toBe(-ONE);
  });
});
