/**
 * Learning rates as pure functions of the step, so that a resumed run, another machine or an auditor gets the same number.
 *
 * Linear warmup (Goyal et al. 2017, §2.2), cosine decay without restarts (Loshchilov & Hutter 2017, eq. 5) to a floor, and an
 * optional anneal, linear to zero over the last steps, as Covenant-72B and Llama 3 end their runs. The cosine is
 * base/exactmath's: `Math.cos` may differ between JavaScript engines. The rate is rounded to nothing here; engines take it as
 * float64.
 *
 * AdamW and the clipping of gradients are not on this floor: they touch every param each step and live in the engines
 * (engine/reference/ has them in plain sight; `StepOptions` in engine/engine.ts names their settings).
 */
import { assert } from "../base/assert.ts";
import { SkeinError, shown } from "../base/errors.ts";
import { exactCos } from "../base/exactmath.ts";

/** How the learning rate depends on the step. All steps are counted from 0; `steps` is their number. */
export type Schedule =
  | {
      readonly kind: "constant";
      readonly lr: number;
      /** Steps of linear rise: the rate of step s is lr·(s + 1) / warmupSteps. */
      readonly warmupSteps: number;
      readonly steps: number;
    }
  | {
      readonly kind: "cosine";
      readonly lr: number;
      readonly warmupSteps: number;
      readonly steps: number;
      /** The rate the cosine falls to, in [0, lr]; it holds for every step from `steps` on where there is no anneal. */
      readonly floorLr: number;
      /** Steps at the end over which the rate falls linearly from the floor to zero. */
      readonly annealSteps: number;
    };

function problemOf(schedule: Schedule): string | undefined {
  const whole = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;
  if (schedule.kind !== "constant" && schedule.kind !== "cosine") return 'kind must be "constant" or "cosine"';
  const { lr, warmupSteps, steps } = schedule;
  if (typeof lr !== "number" || !(lr > 0 && lr <= 100)) return `lr must lie in (0, 100], not ${shown(lr)}`;
  if (!whole(steps) || steps < 1) return `steps must be a whole number of at least 1, not ${shown(steps)}`;
  if (!whole(warmupSteps)) return `warmupSteps must be a whole number, not ${shown(warmupSteps)}`;
  if (schedule.kind === "constant") return undefined;
  const { floorLr, annealSteps } = schedule;
  if (typeof floorLr !== "number" || !(floorLr >= 0 && floorLr <= lr))
    return `floorLr must lie in [0, lr = ${lr}], not ${shown(floorLr)}`;
  if (!whole(annealSteps)) return `annealSteps must be a whole number, not ${shown(annealSteps)}`;
  if (warmupSteps + annealSteps > steps) {
    return `warmupSteps + annealSteps (${warmupSteps} + ${annealSteps}) must not exceed steps (${steps})`;
  }
  return undefined;
}

/** Throws SkeinError("config") unless `schedule` is one. Accepts untrusted values. */
export function checkSchedule(schedule: Schedule): void {
  const problem = problemOf(schedule);
  if (problem === undefined) return;
  throw new SkeinError("config", `learning-rate schedule: ${problem}`, { remedy: "correct that setting" });
}

/** The learning rate of `step` (from 0). Defined for every step, those beyond the schedule's end too. */
export function learningRate(schedule: Schedule, step: number): number {
  assert(Number.isSafeInteger(step) && step >= 0, `step ${step} is no step`);
  const { lr, warmupSteps, steps } = schedule;
  if (step < warmupSteps) return (lr * (step + 1)) / warmupSteps;
  if (schedule.kind === "constant") return lr;
  const { floorLr, annealSteps } = schedule;
  const annealStart = steps - annealSteps;
  if (step < annealStart) {
    const done = (step - warmupSteps) / (annealStart - warmupSteps);
    return floorLr + (lr - floorLr) * 0.5 * (1 + exactCos(Math.PI * done));
  }
  if (annealSteps === 0) return floorLr;
  return (floorLr * Math.max(0, steps - step)) / annealSteps;
}

/** The schedule for another number of steps: warmup as it is but at most a tenth of them; the anneal keeps its share. */
export function withSteps(schedule: Schedule, steps: number): Schedule {
  const warmupSteps = Math.min(schedule.warmupSteps, Math.floor(steps / 10));
  if (schedule.kind === "constant") return { ...schedule, steps, warmupSteps };
  const annealSteps = Math.floor((schedule.annealSteps * steps) / schedule.steps);
  return { ...schedule, steps, warmupSteps, annealSteps: Math.min(annealSteps, steps - warmupSteps) };
}
