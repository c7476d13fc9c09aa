import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { burnAfter, burnBumped, decayFactor, powQ32 } from "./burn.ts";

const ONE = 1n << 32n;
const terms = { minBurn: 500_000n, maxBurn: 100_000_000_000n, burnHalfLife: 360, burnIncreaseMult: 1_260_000 };
const free = { ...terms, minBurn: 0n, maxBurn: 1n << 63n };

describe("the price of a uid", () => {
  it("halves in its half-life, to the precision of Q32", () => {
    for (const halfLife of [1, 2, 10, 360, 7200, 100_800]) {
      const f = decayFactor(halfLife);
      expect(powQ32(f, BigInt(halfLife))).toBeLessThanOrEqual(ONE / 2n);
      expect(powQ32(f + 1n, BigInt(halfLife))).toBeGreaterThan(ONE / 2n);
      const half = Number(burnAfter(10n ** 12n, halfLife, { ...free, burnHalfLife: halfLife }));
      expect(half / 5e11).toBeGreaterThan(1 - halfLife * 1e-9);
      expect(half / 5e11).toBeLessThanOrEqual(1);
    }
  });

  it("has the factor that subtensor's bisection finds for 100,800 blocks", () => {
    expect(decayFactor(100_800)).toBe(4_294_937_762n);
  });

  it("never rises by waiting, whatever the price", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 15n), fc.nat(5000), fc.nat(2000), (burn, blocks, halfLife) => {
        const price = burnAfter(burn, blocks, { ...free, burnHalfLife: halfLife });
        expect(price).toBeLessThanOrEqual(burn);
        if (halfLife === 0 || blocks === 0) expect(price).toBe(burn);
      }),
    );
  });

  it("is multiplied by 1.26 with each registration, within its bounds", () => {
    expect(burnBumped(1_000_000_001n, terms)).toBe(1_260_000_001n);
    expect(burnBumped(99_000_000_000n, terms)).toBe(100_000_000_000n);
    expect(burnAfter(600_000n, 100_000, terms)).toBe(500_000n);
  });
});
