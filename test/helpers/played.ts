/** Simulated time in tests: moves a timeline on, event by event, until a promise is settled. */
import type { Timeline } from "../../src/sim/timeline.ts";

/** What `work` gives, with the events that it takes. Rejects where it waits for something that no event brings. */
export async function played<T>(clock: Timeline, work: Promise<T>): Promise<T> {
  let isOver = false;
  const end = work.finally(() => {
    isOver = true;
  });
  end.catch(() => undefined); // heard below
  for (;;) {
    await turn();
    if (isOver) return end;
    if (!clock.step()) throw new Error(`nothing more happens at ${clock.now()} ms, and somebody waits`);
  }
}

/** Lets all events up to `untilMs` happen. */
export async function playedUntil(clock: Timeline, untilMs: number): Promise<void> {
  await played(clock, clock.sleep(untilMs - clock.now()));
}

/** Resolves once all has happened that takes no time. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
