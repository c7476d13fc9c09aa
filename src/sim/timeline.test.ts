/** Simulated time. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { timeline } from "./timeline.ts";

it("moves from event to event when told, and wakes sleepers in the order of their times", async () => {
  const clock = timeline(1000);
  const woken: string[] = [];
  const sleep = async (name: string, ms: number): Promise<void> => {
    await clock.sleep(ms);
    woken.push(`${name} ${clock.now()}`);
  };
  const all = [sleep("late", 30), sleep("early", 10), sleep("with late", 30), sleep("at once", 0)];
  await all[3];
  expect(woken).toEqual(["at once 1000"]);
  expect(clock.pending).toBe(3);
  while (clock.step()) for (let turns = 0; turns < 3; turns++) await Promise.resolve();
  expect(woken.slice(1)).toEqual(["early 1010", "late 1030", "with late 1030"]);
  expect(clock.monotonic()).toBe(1030);
  expect(clock.step()).toBe(false);
});

it("does any number of events in order, also those that events ask for", () =>
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(20), fc.nat(20))), (times) => {
      const clock = timeline();
      const seen: (readonly [number, number])[] = [];
      let serial = 0;
      const ask = (atMs: number, then?: number): void => {
        const mine = serial++;
        clock.at(atMs, () => {
          expect(clock.now()).toBe(atMs);
          seen.push([atMs, mine]);
          if (then !== undefined) ask(atMs + then);
        });
      };
      for (const [atMs, then] of times) ask(atMs, then);
      while (clock.step());
      expect(seen).toHaveLength(2 * times.length);
      expect([...seen].sort(([a, i], [b, j]) => a - b || i - j)).toEqual(seen);
    }),
  ));
