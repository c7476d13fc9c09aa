/**
 * Simulated time: it moves when it is told to and never by itself. Unlike the manual clock (base/clock.ts), whose sleepers move it, here they wait
 * until somebody else has, as on a real machine.
 */
import type { Clock } from "../base/clock.ts";

/** A clock that a simulation moves. */
export interface VirtualClock extends Clock {
  /** Moves time, and wakes whoever slept until then: the earliest first, of two at the same time the one that lay down first. */
  advance(ms: number): void;
}

/** A clock at `startMs`. */
export function virtualClock(startMs = 0): VirtualClock {
  let nowMs = startMs;
  let sleepers: { readonly atMs: number; readonly wake: () => void }[] = [];
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    sleep: (ms) =>
      new Promise((wake) => {
        if (ms > 0) sleepers.push({ atMs: nowMs + ms, wake });
        else wake();
      }),
    advance(ms) {
      nowMs += ms;
      const due = sleepers.filter(({ atMs }) => atMs <= nowMs).sort((a, b) => a.atMs - b.atMs); // stable
      sleepers = sleepers.filter(({ atMs }) => atMs > nowMs);
      for (const { wake } of due) wake();
    },
  };
}
