import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anySpec, TOY_SPEC } from "../../test/helpers/run-specs.ts";
import { assignment } from "../data/assignment.ts";
import { paramLayout } from "../engine/shape.ts";
import { checkApplySettings } from "../round/aggregation.ts";
import { payloadBytesMax } from "../round/payload.ts";
import {
  assignmentPlan,
  baseRound,
  blocksOf,
  bodyLayoutOf,
  exchangeSettings,
  learningRateAt,
  payloadEstimate,
  payloadLimit,
  peerTokensOf,
  roundsOf,
  slotsOf,
} from "./rules.ts";
import type { RunSpec } from "./spec.ts";

const prompt: RunSpec = { ...TOY_SPEC, outer: { ...TOY_SPEC.outer, delay: 0 } };

describe("the rules", () => {
  it("start a round from the params before it, or one round earlier", () => {
    expect([0, 1, 2, 9].map((round) => baseRound(prompt, round))).toEqual([0, 1, 2, 9]);
    expect([0, 1, 2, 9].map((round) => baseRound(TOY_SPEC, round))).toEqual([0, 0, 1, 8]);
    expect(() => baseRound(prompt, -1)).toThrow("no round");
  });

  it("count rounds, blocks, slots and tokens", () => {
    expect(roundsOf(TOY_SPEC)).toBe(8); // 30 steps of 4
    const { schedule } = TOY_SPEC.inner;
    expect(roundsOf({ ...TOY_SPEC, inner: { ...TOY_SPEC.inner, schedule: { ...schedule, steps: 32 } } })).toBe(8);
    expect(roundsOf({ ...TOY_SPEC, inner: { ...TOY_SPEC.inner, schedule: { ...schedule, steps: 1 } } })).toBe(1);
    expect(blocksOf(TOY_SPEC)).toBe(9);
    expect(slotsOf(TOY_SPEC)).toBe(64);
    expect(peerTokensOf(TOY_SPEC)).toBe(128);
  });

  it("deal out as many slots as they count, in every round of any spec", () => {
    fc.assert(
      fc.property(anySpec, fc.integer({ min: 1, max: 1e9 }), (spec, sequences) => {
        const dealt = assignment(assignmentPlan(spec, sequences));
        expect(dealt.slotsPerRound).toBe(slotsOf(spec));
        const { steps, batch } = spec.inner;
        const last = dealt.at(roundsOf(spec) - 1, spec.uids - 1, steps - 1, batch - 1, "0x00");
        expect(last.sequence).toBeLessThan(sequences);
      }),
      { numRuns: 50 },
    );
    expect(assignmentPlan(TOY_SPEC, 99)).toEqual({ seed: "1", sequences: 99, uidsMax: 8, stepsPerRound: 4, batch: 2 });
  });

  it("give every inner step the rate of its place in the run", () => {
    const { lr } = TOY_SPEC.inner.schedule;
    expect(learningRateAt(TOY_SPEC, 0, 0)).toBeCloseTo(lr / 3);
    expect(learningRateAt(TOY_SPEC, 0, 2)).toBeCloseTo(lr);
    expect(learningRateAt(TOY_SPEC, 1, 0)).toBeLessThan(learningRateAt(TOY_SPEC, 0, 3));
    expect(learningRateAt(TOY_SPEC, 7, 3)).toBeCloseTo(lr / 10); // step 31, beyond the schedule's 30
    for (const step of [-1, 4, 0.5]) expect(() => learningRateAt(TOY_SPEC, 0, step)).toThrow("no step");
  });

  it("select, apply and lay out as the spec says", () => {
    expect(exchangeSettings(TOY_SPEC)).toEqual({
      aggregation: { rule: "mean-all", clip: "median-norm" },
      ...{ outerLr: 1, cap: 6, newcomerSlots: 2 },
    });
    checkApplySettings(exchangeSettings(TOY_SPEC));
    const layout = bodyLayoutOf(TOY_SPEC);
    expect(layout.grids).toHaveLength(paramLayout(TOY_SPEC.model).length);
    expect(payloadLimit(TOY_SPEC)).toBe(payloadBytesMax(layout));
    expect(payloadEstimate(TOY_SPEC)).toBeLessThan(payloadLimit(TOY_SPEC));
    expect(payloadEstimate(TOY_SPEC)).toBeGreaterThan(188 + 65 + layout.keptCount);
  });
});
