/** All checkers over a run in which nothing is wrong. */
import { expect, it, vi } from "vitest";
import { played } from "../../../test/helpers/sight.ts";
import { CHECKERS } from "./all.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

it("finds nothing in an honest run in calm weather", async () => {
  const { watches } = await played(CHECKERS);
  for (const { checker } of watches) await checker.onEnd?.();
  const names = watches.map(({ checker }) => checker.name);
  expect(Object.fromEntries(watches.map(({ violations }, i) => [names[i], violations]))).toEqual(
    Object.fromEntries(names.map((name) => [name, []])),
  );
  expect(new Set(names).size).toBe(CHECKERS.length);
  expect(names.every((name) => /^[a-z]+$/.test(name))).toBe(true);
});
