import { describe, expect, it } from "vitest";
import type { Simulated, SimulationOptions } from "../../sim/simulation.ts";
import { reportOf } from "../shared/errors.ts";
import { openTerminal } from "../shared/terminal.ts";
import { attackersOf } from "./flags.ts";
import { brokenSeeds, calmLines, replayOf, TRIAL, trialOf, trySeeds } from "./seeds.ts";

/** Seed 3 breaks a promise; every second run of seed 4 goes otherwise. */
function fakeRun(): (options: SimulationOptions) => Promise<Simulated> {
  let runs = 0;
  return async ({ seed }) => {
    runs += 1;
    const violations =
      seed === "3" ? [{ invariant: "agreement", atMs: 61_500, what: "p1 and p2 hold other params" }] : [];
    return {
      ...{
        seed,
        violations,
        blocks: 70,
        virtualMs: 420_000,
        rounds: [],
        nodes: [],
        lines: ["    61.5  p1    applied round=5"],
      },
      traceHash: seed === "4" && runs % 2 === 0 ? "cd".repeat(32) : "ab".repeat(32),
      ...{ calls: { store: 1, chain: 2, disk: 3 }, faults: { drop: 2, reorg: 0 } },
    };
  };
}

function voice(): { readonly out: string[]; readonly terminal: ReturnType<typeof openTerminal> } {
  const out: string[] = [];
  const sink = { write: (text: string) => out.push(text) };
  return { out, terminal: openTerminal({ json: false, stdout: sink, stderr: { write: () => true }, env: {} }) };
}

const tried = (twice: boolean, out: ReturnType<typeof voice>): ReturnType<typeof trySeeds> => {
  const { signal } = new AbortController();
  const { terminal } = out;
  return trySeeds({ trial: TRIAL, seeds: { first: 1, last: 5 }, twice, run: fakeRun(), terminal, signal });
};

describe("seeds", () => {
  it("are tried one after another; a broken one is told with its log and its command", async () => {
    const out = voice();
    expect(await tried(false, out)).toMatchObject({ tried: 5, broken: [3], calm: { seed: 5 } });
    const text = out.out.join("");
    expect(text).toContain("seed 3 breaks a promise:\n  agreement, at 61.5 s: p1 and p2 hold other params\n");
    expect(text).toContain("p1    applied round=5");
    expect(text).toMatch(/again: skein simulate --faults --seed 3 {3}\(code: (commit [0-9a-f]{12}\+?|version .+)\)\n/);
  });

  it("are run a second time where that is asked, and must go the same way", async () => {
    const out = voice();
    expect((await tried(true, out)).broken).toEqual([3, 4]);
    expect(out.out.join("")).toContain("determinism: the second run went otherwise");
  });

  it("that break nothing are told in three lines", async () => {
    const { calm } = await tried(false, voice());
    expect(calm && calmLines(calm)).toEqual([
      "seed 5: 0 rounds in 70 blocks, 7 min 00 s; nothing is broken",
      "faults  2 drop",
      `trace   ${"ab".repeat(32)}`,
    ]);
  });

  it("end with 1 and the commands that break again", () => {
    const trial = {
      ...TRIAL,
      peers: 8,
      rounds: 9,
      attackers: attackersOf("copycat,sign-flip:2"),
      model: "small" as const,
    };
    expect(replayOf(trial, 7)).toBe(
      "skein simulate --faults --seed 7 --peers 8 --rounds 9 --adversary copycat,sign-flip:2 --model small",
    );
    const report = reportOf(brokenSeeds(TRIAL, { tried: 10, broken: [3, 4], calm: undefined }));
    expect(report).toMatchObject({ exitCode: 1, code: "bug", message: "promises were broken in 2 of 10 seeds" });
    expect(report.details).toBe("skein simulate --faults --seed 3\nskein simulate --faults --seed 4");
  });

  it("have room for everybody", () => {
    const { spec, weather } = trialOf({ ...TRIAL, attackers: attackersOf("copycat:9") }, 1);
    expect(spec.uids).toBe(16);
    expect(weather).toBe("drawn");
  });
});
