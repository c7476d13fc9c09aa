import { describe, expect, it } from "vitest";
import { simulate } from "../../sim/simulation.ts";
import { COVENANT_PLAN } from "./covenant.ts";
import { attackersOf } from "./flags.ts";
import { jobOf, toyPayloadBytes, toySpec } from "./job.ts";
import { measureOf, type Outcome } from "./measure.ts";
import { planOf } from "./plan.ts";
import { playedUtilization } from "./schedule.ts";

const QUESTION = { seed: "1", rounds: 5, attackers: [], model: "linear" } as const;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function played(delay: 0 | 1): Promise<{ readonly outcome: Outcome; readonly expected: number }> {
  const plan = planOf(COVENANT_PLAN, {
    peers: 3,
    validators: 1,
    delay,
    block: 40,
    link: { upMbps: 110, downMbps: 50 },
  });
  const job = jobOf(plan, QUESTION);
  const measure = measureOf(plan, job.spec);
  const result = await simulate({ ...job, turn, onEvent: (name, event) => measure.onEvent(name, event) });
  expect(result.violations).toEqual([]);
  return { outcome: measure.outcome(result), expected: playedUtilization(plan, plan.phases) };
}

describe("a plan's simulation", () => {
  it.each([0, 1] as const)(
    "trains as much as arithmetic in blocks expects, and moves payloads of the plan's size (delay %s)",
    async (delay) => {
      const { outcome, expected } = await played(delay);
      expect(outcome.utilization).toBeCloseTo(expected, 2);
      expect(outcome.nullRounds).toBe(0);
      const [trainer] = outcome.nodes.filter(({ role }) => role === "trainer");
      expect(trainer?.upBytes ?? 0).toBeGreaterThan(0.9 * 1.2e9);
      expect(trainer?.upBytes ?? 0).toBeLessThan(1.1 * 1.2e9);
    },
    20_000,
  );

  it("has the plan's phases, exchange and judges, with room for everybody", () => {
    const plan = planOf(COVENANT_PLAN, { peers: 3, delay: 1 });
    const spec = toySpec(plan, { ...QUESTION, attackers: attackersOf("copycat:2") });
    expect(spec).toMatchObject({ uids: 7, timing: plan.phases, outer: { delay: 1, cap: 7 }, audit: { perMille: 0 } });
    expect(toyPayloadBytes(spec)).toBeGreaterThan(400);
    expect(() =>
      toySpec(planOf(COVENANT_PLAN, { peers: 254 }), { ...QUESTION, attackers: attackersOf("lazy") }),
    ).toThrow("at most 256 uids");
  });
});
