import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SkeinError } from "../base/errors.ts";
import { AGGREGATION_NAMES, AGGREGATIONS, type ApplySettings, checkApplySettings, trimCount } from "./aggregation.ts";

describe("checkApplySettings", () => {
  it("accepts every named rule", () => {
    for (const name of AGGREGATION_NAMES) checkApplySettings({ aggregation: AGGREGATIONS[name], outerLr: 1 });
  });

  it.each([
    { aggregation: { rule: "median", clip: "none" }, outerLr: 1 },
    { aggregation: { rule: "mean-all", clip: "some" }, outerLr: 1 },
    { aggregation: { rule: "mean-all" }, outerLr: 1 },
    { aggregation: { rule: "trimmed-mean", clip: "none" }, outerLr: 1 },
    { aggregation: { rule: "trimmed-mean", clip: "none", trimPercent: 50 }, outerLr: 1 },
    { aggregation: { rule: "trimmed-mean", clip: "none", trimPercent: 2.5 }, outerLr: 1 },
    { aggregation: null, outerLr: 1 },
    { aggregation: AGGREGATIONS["mean-all"], outerLr: 0 },
    { aggregation: AGGREGATIONS["mean-all"], outerLr: Number.NaN },
    { aggregation: AGGREGATIONS["mean-all"], outerLr: 1001 },
    { aggregation: AGGREGATIONS["mean-all"], outerLr: "1" },
  ])("refuses %j", (settings) => {
    expect(() => checkApplySettings(settings as unknown as ApplySettings)).toThrow(SkeinError);
  });

  it("throws SkeinError or nothing for any settings", () => {
    fc.assert(
      fc.property(fc.record({ aggregation: fc.anything(), outerLr: fc.anything() }), (settings) => {
        try {
          checkApplySettings(settings as ApplySettings);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(SkeinError);
        }
      }),
      {
        examples: [
          [{ aggregation: [], outerLr: { toString: null } }],
          [{ aggregation: { rule: [Symbol("x")] }, outerLr: 1 }],
        ],
      },
    );
  });
});

describe("trimCount", () => {
  it("is the floor of a percentage and always leaves a value", () => {
    expect([0, 1, 8, 9, 10, 20].map((count) => trimCount(count, 10))).toEqual([0, 0, 0, 0, 1, 2]);
    for (let count = 1; count <= 1024; count++) {
      for (let percent = 0; percent <= 49; percent++) {
        const t = trimCount(count, percent);
        expect(t * 100 <= count * percent && (t + 1) * 100 > count * percent && 2 * t < count).toBe(true);
      }
    }
  });
});
