/** Seeds of the deterministic simulation, each run twice: nothing may be broken, and both must go the same way. */
import { expect } from "vitest";
import { brokenLines, TRIAL, type Trial, trialOf } from "../../src/cli/simulate/seeds.ts";
import { type Simulated, type SimulationOptions, simulate } from "../../src/sim/simulation.ts";

/** One turn of Node's event loop. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Runs a simulation. */
export const run = (options: SimulationOptions): Promise<Simulated> => simulate({ ...options, turn });

/** What a seed of a trial breaks, as lines for people; none. */
export async function brokenBy(seed: number, trial: Trial = TRIAL): Promise<readonly string[]> {
  const result = await run(trialOf(trial, seed));
  const again = await run({ ...trialOf(trial, seed), checkers: [] }); // they only look: without them it must go the same way
  const broken = result.violations.map(({ invariant, what }) => `${invariant}: ${what}`);
  if (again.traceHash !== result.traceHash) broken.push("determinism: the second run went otherwise");
  return broken.length === 0 ? [] : brokenLines(trial, { seed, result, broken });
}

/** Tries every seed from `first` to `last`. */
export async function trySeeds(first: number, last: number, trial: Trial = TRIAL): Promise<void> {
  for (let seed = first; seed <= last; seed++) expect((await brokenBy(seed, trial)).join("\n")).toBe("");
}

/** Seeds that a full run tries in place of the few that fit every test run. */
export const SEEDS: number | undefined = Number(process.env["SKEIN_SIM_SEEDS"] ?? 0) || undefined;
/** Every so many calls of a seam that the n-th-fault loop fails; 1 in a full run. */
export const STRIDE: number | undefined = Number(process.env["SKEIN_SIM_STRIDE"] ?? 0) || undefined;
