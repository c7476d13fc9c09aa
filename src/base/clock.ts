/** The door to time. Nothing else in the project reads a clock or sets a timer. */

/** Time in milliseconds since the Unix epoch, and waiting. */
export interface Clock {
  /** Wall-clock time in milliseconds. */
  now(): number;
  /** Monotonic time in milliseconds from an arbitrary origin, for durations. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds. */
  sleep(ms: number): Promise<void>;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/** The in-memory twin: time moves only when told to, or when somebody sleeps. */
export function manualClock(startMs = 0): Clock & { advance(ms: number): void } {
  let timeMs = startMs;
  return {
    now: () => timeMs,
    monotonic: () => timeMs,
    sleep: (ms) => {
      timeMs += ms;
      return Promise.resolve();
    },
    advance: (ms) => {
      timeMs += ms;
    },
  };
}
