/**
 * The n-th call of a node's seam fails, or is its last, for n = 1, 2, 3, … until the run is over without having come to the n-th: the run goes on and all
 * promises are kept, each time. Every test run tries some of the calls, `npm run test:sim` all of them.
 */
import { expect, it } from "vitest";
import { TRIAL, trialOf } from "../../src/cli/simulate/seeds.ts";
import type { Call, Fate, Seam } from "../../src/sim/life.ts";
import { CALM } from "../../src/sim/world/weather.ts";
import { run, STRIDE } from "../helpers/trials.ts";

/** Prime, so that it falls into step with nothing. */
const stride = STRIDE ?? 149;
const SMALL = { ...TRIAL, peers: 2, validators: 1, rounds: 3 };
/** Calm but for the one fault, and never over: who ends by the fault may do so. */
const WEATHER = { ...CALM, healMs: Number.MAX_SAFE_INTEGER };

/** Runs with one call's fate changed; false where the call was never made. */
async function reached(node: string, seam: Seam, index: number, fate: Fate): Promise<boolean> {
  let isReached = false;
  const fates = (call: Call): Fate => {
    if (call.node !== node || call.seam !== seam || call.index !== index) return "go";
    isReached = true;
    return fate;
  };
  const { violations, lines, nodes } = await run({ ...trialOf(SMALL, 1), weather: WEATHER, late: 0, fates });
  const told = violations.map(({ invariant, what }) => `${invariant}: ${what}`);
  const what = `${node}'s ${seam} call ${index}: ${fate}`;
  expect(told.length === 0 ? "" : [what, ...told, ...lines.slice(-60)].join("\n")).toBe("");
  expect(nodes.every(({ end }) => end?.round === SMALL.rounds)).toBe(true);
  return isReached;
}

const seams: readonly Seam[] = ["store", "chain", "disk"];
const fates: readonly Fate[] = ["fail", "die", "die after"];

for (const [i, [node, seam]] of ["v1", "p1"].flatMap((node) => seams.map((seam) => [node, seam] as const)).entries())
  it(`survives every fault at ${node}'s ${seam}`, async () => {
    for (const [j, fate] of fates.entries()) {
      const first = STRIDE === undefined ? (i * fates.length + j) * 5 : 0;
      for (let index = first; await reached(node, seam, index, fate); index += stride);
    }
  }, 3_600_000);
