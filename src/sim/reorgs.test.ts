/** A network on a chain that replaces its newest blocks all the time: nobody who is honest is the worse for it. */
import { describe, expect, it } from "vitest";
import type { LogEvent } from "../base/log/log.ts";
import { acting } from "../roles/network/node.ts";
import { simulatedNetwork } from "./network.ts";
import { simulate } from "./simulation.ts";
import { openLinear } from "./world/linear.ts";
import { linearDataset, linearSpec } from "./world/toys.ts";
import { CALM } from "./world/weather.ts";

const ROUNDS = 10;
const dataset = linearDataset();

/** One simulation in which, after a block, the last one or two are replaced with probability 0.15; and what all nodes said. */
async function played(seed: string) {
  const audit = { perMille: 1000 };
  const spec = linearSpec({ rounds: ROUNDS, uids: 8, seed, dataset, audit });
  const { model, inner } = spec;
  const said: (LogEvent & { readonly node: string })[] = [];
  const result = await simulate({
    ...{ seed, spec, dataset, trainers: 4, validators: 3, late: 0 },
    openEngine: () => openLinear({ shape: model, seqLen: inner.seqLen, microBatch: inner.batch }),
    weather: { ...CALM, chain: { ...CALM.chain, reorg: 0.15, reorgDepth: 2 }, healMs: Infinity },
    onEvent: (node, event) => void said.push({ node, ...event }),
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  });
  return { result, said };
}

describe("a chain with reorgs", () => {
  it.each(["1", "2", "3"])(
    "harms nobody (seed %s)",
    async (seed) => {
      const { result, said } = await played(seed);
      const { nodes, rounds, faults } = result;
      const kinds = (...wanted: string[]) => said.filter(({ kind }) => wanted.includes(kind));
      expect(faults["reorg"]).toBeGreaterThan(10);
      expect(nodes.map(({ exits }) => exits)).toEqual(nodes.map(() => ({})));
      expect(new Set(nodes.map(({ end }) => end?.root)).size).toBe(1);
      expect(nodes.map(({ end }) => end?.round)).toEqual(nodes.map(() => ROUNDS));
      const audits = kinds("audited").map(({ fields }) => fields?.["verdict"]);
      expect(audits.length).toBeGreaterThan(50);
      expect(new Set(audits)).toEqual(new Set(["passed"]));
      expect(kinds("unusable", "lost-commit", "bad-answer", "desync", "copy")).toEqual([]);
      expect(kinds("received").flatMap(({ fields }) => fields?.["fault"] ?? [])).toEqual([]);
      expect(rounds.slice(1).filter(({ applied }) => applied === 0)).toEqual([]); // in the first one they register
      expect(result.violations).toEqual([]);
    },
    60_000,
  );

  it("is told apart from one on which a run's rounds are too short", async () => {
    const spec = linearSpec({ rounds: 2, uids: 4, seed: "short", dataset, timing: { trainBlocks: 5, voteBlocks: 4 } });
    const { model, inner } = spec;
    const openEngine = () => openLinear({ shape: model, seqLen: inner.seqLen, microBatch: inner.batch });
    const network = await simulatedNetwork({ spec, dataset, openEngine });
    const seen = (lag: number) => network.node("p1", { chain: { ...network.twin, lag } });
    expect(acting(await seen(2)).spec).toBe(spec);
    const late = await seen(3);
    expect(() => acting(late)).toThrow("rounds are too short for this chain");
  });
});
