/** Simulated time. */
import { expect, it } from "vitest";
import { virtualClock } from "./timeline.ts";

it("moves when told, and wakes sleepers in the order of their times", async () => {
  const clock = virtualClock(1000);
  const woken: string[] = [];
  const sleep = async (name: string, ms: number): Promise<void> => {
    await clock.sleep(ms);
    woken.push(`${name} ${clock.now()}`);
  };
  const all = [sleep("late", 30), sleep("early", 10), sleep("with late", 30), sleep("at once", 0)];
  await all[3];
  clock.advance(9);
  await Promise.resolve();
  expect(woken).toEqual(["at once 1000"]);
  clock.advance(21);
  await Promise.all(all);
  expect(woken.slice(1)).toEqual(["early 1030", "late 1030", "with late 1030"]);
  expect(clock.monotonic()).toBe(1030);
});
