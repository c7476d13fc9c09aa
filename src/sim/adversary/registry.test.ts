/** Every kind of attack against a toy network: honest nodes go on, agree to the bit, and are not excluded. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, vi } from "vitest";
import { toyScenario } from "../../../test/helpers/network.ts";
import { SkeinError } from "../../base/errors.ts";
import { runScenario } from "../scenario/scenario.ts";
import { ADVERSARIES, ATTACK_KINDS, adversaryNamed, PEER_ADVERSARIES } from "./registry.ts";

vi.setConfig({ testTimeout: 60_000 });

/** Kinds that need more rounds before anything happens. */
const ROUNDS: Readonly<Record<string, number>> = { "double-negative": 10, intermittent: 10, restart: 10, replay: 8 };

/** What validators write down of kinds that no judgement is needed for. */
const MARKS: Readonly<Record<string, readonly string[]>> = {
  zero: ["norm far from the field"],
  "blow-up": ["norm far from the field"],
  "not-finite": ["level not finite"],
  malformed: ["too short", "trailing bytes"],
  "foreign-format": ["too short"],
  late: ["missing"],
  replay: ["wrong round"],
  framing: ["wrong uid"],
  "wrong-base": ["wrong base"],
  "digest-spoof": ["wrong data digest"],
};

describe("the registry", () => {
  it("has every kind of the table, each under a name of its own", () => {
    expect(new Set(ADVERSARIES.map(({ number }) => number))).toEqual(
      new Set(Array.from({ length: ATTACK_KINDS }, (_, i) => i + 1)),
    );
    expect(new Set(ADVERSARIES.map(({ name }) => name)).size).toBe(ADVERSARIES.length);
  });

  it("says for each who does what", () => {
    for (const { who, trainer, validator, world, does, defence } of ADVERSARIES) {
      expect({ peer: trainer, validator, world }[who]).toBeDefined();
      expect(does.length).toBeGreaterThan(10);
      expect(defence.length).toBeGreaterThan(10);
    }
  });

  it("is what docs/protocol/attacks.md says", () => {
    const file = path.resolve(import.meta.dirname, "../../../docs/protocol/attacks.md");
    const rows = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => /^\| \d/.test(line));
    expect(rows).toEqual(
      ADVERSARIES.map(
        ({ number, name, who, does, defence }) => `| ${number} | \`${name}\` | ${who} | ${does} | ${defence} |`,
      ),
    );
  });

  it("knows names, and says which there are", () => {
    expect(adversaryNamed("sign-flip").number).toBe(3);
    expect(() => adversaryNamed("nobody")).toThrow(SkeinError);
    expect(PEER_ADVERSARIES).toContain("copycat");
    expect(PEER_ADVERSARIES).not.toContain("outage");
  });
});

describe("a toy network", () => {
  it.each(ADVERSARIES.map(({ name }) => name))("goes on under %s", async (name) => {
    const adversary = adversaryNamed(name);
    const outcome = await runScenario(toyScenario({ adversary, rounds: ROUNDS[name] ?? 4 }));
    expect(outcome.agreed).toBe(true);
    expect(outcome.rounds).toBe(ROUNDS[name] ?? 4);
    expect(outcome.loss).toBeLessThan(2.7); // of 2.56 before training; a toy learns little in four rounds, and is not to be spoiled
    const honest = outcome.members.filter((member) => member.honest && member.accepted > 0);
    expect(honest.length).toBe(3);
    const dishonest = outcome.members.find((member) => !member.honest);
    for (const mark of MARKS[name] ?? []) expect(dishonest?.marks[mark]).toBeGreaterThan(0);
  });
});
