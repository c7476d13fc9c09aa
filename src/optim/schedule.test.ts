import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkSchedule, learningRate, type Schedule, withSteps } from "./schedule.ts";

const cosine: Schedule = { kind: "cosine", lr: 1, warmupSteps: 4, steps: 20, floorLr: 0.1, annealSteps: 5 };

const schedules: fc.Arbitrary<Schedule> = fc
  .record({
    kind: fc.constantFrom("constant" as const, "cosine" as const),
    lr: fc.double({ min: 1e-6, max: 1, noNaN: true }),
    floor: fc.double({ min: 0, max: 1, noNaN: true }),
    warmupSteps: fc.nat(100),
    middle: fc.integer({ min: 1, max: 500 }),
    annealSteps: fc.nat(100),
  })
  .map(({ kind, lr, floor, warmupSteps, middle, annealSteps }) =>
    kind === "constant"
      ? { kind, lr, warmupSteps, steps: warmupSteps + middle }
      : { kind, lr, warmupSteps, steps: warmupSteps + middle + annealSteps, floorLr: lr * floor, annealSteps },
  );

describe("learningRate", () => {
  it("has the values worked out by hand", () => {
    expect([0, 1, 2, 3, 4].map((s) => learningRate(cosine, s))).toEqual([0.25, 0.5, 0.75, 1, 1]);
    expect(learningRate({ ...cosine, steps: 19 }, 9)).toBeCloseTo(0.55, 15); // half-way: the mean of peak and floor
    expect([15, 17, 19].map((s) => learningRate(cosine, s))).toEqual([0.1, (0.1 * 3) / 5, 0.1 / 5]);
    expect([20, 21, 1e9].map((s) => learningRate(cosine, s))).toEqual([0, 0, 0]);
    const open: Schedule = { ...cosine, annealSteps: 0 };
    expect([20, 1e9].map((s) => learningRate(open, s))).toEqual([0.1, 0.1]);
    const constant: Schedule = { kind: "constant", lr: 0.3, warmupSteps: 2, steps: 10 };
    expect([0, 1, 2, 1e9].map((s) => learningRate(constant, s))).toEqual([0.15, 0.3, 0.3, 0.3]);
  });

  it("has these bits on every machine", () => {
    const s: Schedule = { kind: "cosine", lr: 3e-3, warmupSteps: 100, steps: 5000, floorLr: 3e-4, annealSteps: 0 };
    expect([150, 1234, 2550, 4999].map((step) => learningRate(s, step))).toEqual([
      0.0029993063918709287, 0.002658633012086002, 0.00165, 0.000300000277467003,
    ]);
  });

  it("stays within [0, lr] and never jumps", () => {
    fc.assert(
      fc.property(schedules, (schedule) => {
        const { lr, warmupSteps, steps } = schedule;
        const anneal = schedule.kind === "cosine" ? schedule.annealSteps : 0;
        const middle = steps - warmupSteps - anneal;
        const slope = Math.max(
          warmupSteps ? lr / warmupSteps : 0,
          (lr * Math.PI) / 2 / middle,
          anneal ? lr / anneal : 0,
        );
        let before = learningRate(schedule, 0);
        for (let step = 1; step < steps + 10; step++) {
          const now = learningRate(schedule, step);
          expect(now).toBeGreaterThanOrEqual(0);
          expect(now).toBeLessThanOrEqual(lr * (1 + 1e-12));
          expect(Math.abs(now - before)).toBeLessThanOrEqual(slope * (1 + 1e-9));
          if (step >= warmupSteps) expect(now).toBeLessThanOrEqual(before * (1 + 1e-12));
          before = now;
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("checkSchedule", () => {
  it("accepts what the generator makes and refuses the rest", () => {
    fc.assert(fc.property(schedules, (schedule) => checkSchedule(schedule)));
    const bad: Record<string, unknown>[] = [
      { kind: "linear" },
      { lr: 0 },
      { lr: Number.NaN },
      { lr: "1" },
      { steps: 0 },
      { steps: 1.5 },
      { warmupSteps: -1 },
      { warmupSteps: 16 },
      { floorLr: 2 },
      { floorLr: -1 },
      { annealSteps: Number.POSITIVE_INFINITY },
    ];
    for (const change of bad) {
      expect(() => checkSchedule({ ...cosine, ...change } as Schedule), JSON.stringify(change)).toThrow(
        expect.objectContaining({ code: "config" }),
      );
    }
  });
});

describe("withSteps", () => {
  it("gives a valid schedule for any number of steps", () => {
    fc.assert(
      fc.property(schedules, fc.integer({ min: 1, max: 1e6 }), (schedule, steps) => {
        const other = withSteps(schedule, steps);
        checkSchedule(other);
        expect(other.steps).toBe(steps);
        expect(other.warmupSteps).toBeLessThanOrEqual(schedule.warmupSteps);
      }),
    );
  });
});
