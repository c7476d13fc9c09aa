import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { challengedPart, challengeRate, YOUNG_FACTOR, YOUNG_ROUNDS } from "./draw.ts";

describe("challenges", () => {
  it("come as often as the run says, to every part alike, and to all the same", () => {
    const rule = { spans: 4, perMille: 60 };
    const parts = Array.from({ length: 40_000 }, (_, i) =>
      challengedPart(`seed ${i % 200}`, Math.floor(i / 200), rule, YOUNG_ROUNDS),
    );
    const asked = parts.filter((part) => part !== undefined);
    expect(asked.length / parts.length).toBeCloseTo(0.06, 2);
    for (let part = 0; part <= 4; part++) {
      expect(asked.filter((each) => each === part).length / asked.length).toBeCloseTo(0.2, 1);
    }
    expect(challengedPart("seed 7", 3, rule, 9)).toBe(challengedPart("seed 7", 3, rule, 9));
  });

  it("come oftener in a hotkey's first rounds, and never more often than always", () => {
    const rates = [0, YOUNG_ROUNDS - 1, YOUNG_ROUNDS].map((age) => challengeRate({ perMille: 50 }, age));
    expect(rates).toEqual([50 * YOUNG_FACTOR, 50 * YOUNG_FACTOR, 50]);
    expect(challengeRate({ perMille: 900 }, 0)).toBe(1000);
    const uids = Array.from({ length: 5000 }, (_, uid) => uid);
    const rule = { spans: 4, perMille: 50 };
    const asked = (age: number) => uids.filter((uid) => challengedPart("a", uid, rule, age) !== undefined);
    const [young, old] = [new Set(asked(0)), asked(YOUNG_ROUNDS)];
    expect(young.size / uids.length).toBeCloseTo(0.3, 1);
    expect(old.every((uid) => young.has(uid))).toBe(true);
  });

  it("come never or always where the run says so", () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(255), fc.integer({ min: 1, max: 64 }), (seed, uid, spans) => {
        expect(challengedPart(seed, uid, { spans, perMille: 0 }, 0)).toBeUndefined();
        const part = challengedPart(seed, uid, { spans, perMille: 1000 }, 99);
        expect(part).toBeGreaterThanOrEqual(0);
        expect(part).toBeLessThanOrEqual(spans);
      }),
    );
  });

  it("have these values (by Python's hashlib)", () => {
    const rule = { spans: 5, perMille: 500 };
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((uid) => challengedPart("0x01", uid, rule, YOUNG_ROUNDS))).toEqual([
      4,
      undefined,
      2,
      3,
      2,
      undefined,
      5,
      undefined,
    ]);
  });
});
