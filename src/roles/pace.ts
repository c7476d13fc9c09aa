/** How fast a run goes and when it will end. */
import type { Clock } from "../base/clock.ts";

/** Share of the newest step in the smoothed time of a step. */
const NEWEST_SHARE = 0.1;

/** Measures steps. Between `resume` and `step` is training; between `step` and `resume` everything else. */
export interface Pace {
  /** Begins the clock of the next step. */
  resume(): void;
  /** Ends a step; `left` steps remain. */
  step(left: number): { readonly tokensPerSecond: number; readonly etaMs: number };
}

/** A pace for steps of `tokens` tokens. */
export function paceOf(clock: Clock, tokens: number): Pace {
  const beginMs = clock.monotonic();
  let resumedMs = beginMs;
  let stepMs: number | undefined;
  let steps = 0;
  return {
    resume() {
      resumedMs = clock.monotonic();
    },
    step(left) {
      const nowMs = clock.monotonic();
      const lastMs = nowMs - resumedMs;
      stepMs = stepMs === undefined ? lastMs : stepMs + NEWEST_SHARE * (lastMs - stepMs);
      steps += 1;
      const tokensPerSecond = stepMs > 0 ? (tokens * 1000) / stepMs : 0;
      return { tokensPerSecond, etaMs: ((nowMs - beginMs) / steps) * left };
    },
  };
}
