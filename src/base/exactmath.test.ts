import { describe, expect, it } from "vitest";
import { exactCos, exactExp, exactLn, exactPow, exactSin } from "./exactmath.ts";
import { seededRandom } from "./random.ts";

describe("exact math", () => {
  it("agrees with the platform to 1e-13 where the platform is good", () => {
    const random = seededRandom("exactmath");
    for (let i = 0; i < 5000; i++) {
      const x = (random.uniform() - 0.5) * 200;
      expect(Math.abs(exactExp(x) / Math.exp(x) - 1)).toBeLessThan(2e-13);
      const y = Math.exp(x);
      expect(Math.abs(exactLn(y) - Math.log(y))).toBeLessThan(1e-13 * Math.max(1, Math.abs(x)));
      const angle = random.uniform() * 131072;
      expect(Math.abs(exactCos(angle) - Math.cos(angle))).toBeLessThan(1e-11);
      expect(Math.abs(exactSin(angle) - Math.sin(angle))).toBeLessThan(1e-11);
    }
    expect(exactPow(10000, -0.5)).toBeCloseTo(0.01, 15);
  });

  it("has sane edges", () => {
    expect(exactExp(0)).toBe(1);
    expect(exactExp(-1000)).toBe(0);
    expect(exactExp(1000)).toBe(Number.POSITIVE_INFINITY);
    expect(exactExp(Number.NaN)).toBeNaN();
    expect(exactLn(1)).toBe(0);
    expect(exactLn(0)).toBe(Number.NEGATIVE_INFINITY);
    expect(exactLn(-1)).toBeNaN();
    expect(exactCos(0)).toBe(1);
    expect(exactSin(0)).toBe(0);
  });
});
