/** Scenarios on the toy: what they count, and that the same scenario gives the same numbers. */
import { describe, expect, it, vi } from "vitest";
import { toyNetwork, toyScenario } from "../../../test/helpers/network.ts";
import { SkeinError } from "../../base/errors.ts";
import { adversaryNamed } from "../adversary/registry.ts";
import { compared } from "./outcome.ts";
import { runScenario } from "./scenario.ts";

vi.setConfig({ testTimeout: 60_000 });

describe("a scenario", () => {
  it("is a function of its options", async () => {
    const adversary = adversaryNamed("garbage"); // draws from a stream of its own
    const outcomes = [];
    for (const seed of ["1", "1", "2"]) outcomes.push(await runScenario(toyScenario({ adversary, rounds: 4, seed })));
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[2]?.loss).not.toBe(outcomes[0]?.loss);
  });

  it("pays honest peers who are alone, and refuses none of them", async () => {
    const clean = await runScenario(toyScenario({ rounds: 14 }));
    expect(clean.members.map(({ name, honest, stayed }) => [name, honest, stayed])).toEqual([
      ["p1", true, true],
      ["p2", true, true],
      ["p3", true, true],
    ]);
    for (const { paid, accepted, committed, refused, excludedFrom, banned } of clean.members) {
      expect(paid).toBeGreaterThan(0);
      expect(accepted).toBeGreaterThan(committed - 4);
      expect(refused.length).toBeLessThan(5); // on so little text an honest payload does harm now and then
      expect([excludedFrom, banned]).toEqual([null, null]);
    }
    expect(clean.curve.length).toBe(14);
    const same = compared(clean, clean);
    expect(same).toMatchObject({
      damage: 0,
      drift: 0,
      rewardShare: 0,
      honestReward: 1,
      liarReward: null,
      found: 0,
      excluded: 0,
    });
  });

  it("tells when somebody who does not belong is found out and paid less", async () => {
    const options = toyScenario({ adversary: adversaryNamed("sign-flip"), rounds: 14 });
    const [outcome, clean] = [await runScenario(options), await runScenario(toyScenario({ rounds: 14 }))];
    const comparison = compared(outcome, clean);
    expect(comparison.rewardShare).toBeLessThan(0.5);
    expect(comparison.found).not.toBeNull();
    expect(comparison.damage).toBeLessThan(0.1);
    expect(outcome.harm.every(({ round }) => round < 14)).toBe(true);
    expect(outcome.members.filter(({ honest, banned }) => honest && banned !== null)).toEqual([]);
  });
});

describe("a network", () => {
  it("says so where somebody waits for ever", async () => {
    const network = await toyNetwork();
    await expect(network.during(new Promise(() => undefined))).rejects.toThrow(SkeinError);
  });
});
