/** What toys train on, and that whole networks of the linear toy behave as networks of real models do. */
import { describe, expect, it, vi } from "vitest";
import { must } from "../../base/assert.ts";
import { manifestSha256 } from "../../data/shards/manifest.ts";
import { openReference } from "../../engine/reference/reference.ts";
import { paramCount } from "../../engine/shape.ts";
import { parseSpec, specHash } from "../../run/parse.ts";
import { roundsOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { adversaryNamed } from "../adversary/registry.ts";
import type { Outcome } from "../scenario/outcome.ts";
import { runScenario, type ScenarioOptions } from "../scenario/scenario.ts";
import { openLinear } from "./linear.ts";
import { LINEAR_SHAPE, linearDataset, linearSpec, SMALL_SHAPE, smallDataset, smallSpec } from "./toys.ts";

vi.setConfig({ testTimeout: 60_000 });

describe("a linear dataset", () => {
  it("is its seed's, and another one for every other seed and split", async () => {
    const [one, same, other] = [linearDataset(), linearDataset({ seed: "1" }), linearDataset({ seed: "2" })];
    expect(manifestSha256(same.manifest)).toBe(manifestSha256(one.manifest));
    expect(manifestSha256(other.manifest)).not.toBe(manifestSha256(one.manifest));
    const [train, valid] = [one.split("train"), one.split("valid")];
    expect(await same.split("train").sequence(777, 8)).toEqual(await train.sequence(777, 8));
    const seen = [train, valid, other.split("train"), other.split("valid")].map((split) => split.sequence(777, 8));
    expect(new Set((await Promise.all(seen)).map(String)).size).toBe(4);
  });

  it("has as many tokens as its manifest says, and neighbours that share one", async () => {
    const dataset = linearDataset({ trainTokens: 100, validTokens: 33 });
    for (const [name, tokens] of Object.entries({ train: 100, valid: 33 }) as ["train" | "valid", number][]) {
      const split = dataset.split(name);
      expect([split.tokens, dataset.manifest.splits[name].tokens]).toEqual([tokens, tokens]);
      expect(split.sequences(8)).toBe(Math.floor((tokens - 1) / 8));
      const [first, second] = [await split.sequence(0, 8), await split.sequence(1, 8)];
      expect([first.length, second[0]]).toEqual([9, first[8]]);
      expect([...first, ...second].every((token) => token >= 0 && token < LINEAR_SHAPE.vocabSize)).toBe(true);
    }
  });

  it("has hardly a sequence twice, and every token about as often", async () => {
    const split = linearDataset().split("train");
    const counts = new Int32Array(LINEAR_SHAPE.vocabSize);
    const seen = new Set<string>();
    for (let i = 0; i < 4000; i++) {
      const tokens = await split.sequence(i * 4001, 8);
      seen.add(tokens.join());
      for (const token of tokens) counts[token] = must(counts[token], "a count") + 1;
    }
    expect(seen.size).toBe(4000);
    const mean = 36_000 / LINEAR_SHAPE.vocabSize;
    for (const count of counts) expect(Math.abs(count - mean)).toBeLessThan(6 * Math.sqrt(mean));
  });
});

describe("toys' specs", () => {
  it("are valid, of the size asked for, and follow overrides", () => {
    expect(paramCount(LINEAR_SHAPE)).toBe(1568);
    expect(paramCount(SMALL_SHAPE)).toBe(1208);
    const dataset = smallDataset();
    const run = { rounds: 7, uids: 24, seed: "5" };
    for (const spec of [linearSpec(run), smallSpec({ ...run, dataset })]) {
      expect(parseSpec(spec)).toEqual(spec);
      expect([roundsOf(spec), spec.uids, spec.outer.cap, spec.seed]).toEqual([7, 24, 20, "5"]);
      expect(spec.audit.perMille).toBeGreaterThan(0);
    }
    const changed = linearSpec({ ...run, inner: { steps: 6 }, outer: { delay: 1 }, audit: { perMille: 0 } });
    expect([roundsOf(changed), changed.inner.steps, changed.outer.delay, changed.audit.perMille]).toEqual([7, 6, 1, 0]);
    expect(specHash(linearSpec({ ...run, seed: "6" }))).not.toBe(specHash(linearSpec(run)));
    expect(specHash(linearSpec({ ...run, dataset: linearDataset() }))).toBe(specHash(linearSpec(run)));
    expect(linearSpec({ ...run, uids: 256 }).uids).toBe(256);
  });
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function scenario(spec: RunSpec, more: Partial<ScenarioOptions>): Promise<Outcome> {
  return runScenario({
    ...{ spec, dataset: linearDataset(), seed: "1", turn, honest: 4, dishonest: 0, validators: 2, batches: [8, 4] },
    openEngine: () => openLinear({ shape: spec.model, seqLen: spec.inner.seqLen, microBatch: 32 }),
    ...more,
  });
}

describe("a network of the linear toy", () => {
  const spec = linearSpec({ rounds: 5, uids: 12, seed: "1" });

  it("learns, and nobody who is honest is out, copies or fails an audit", async () => {
    const { agreed, curve, members } = await scenario(spec, {});
    expect(agreed).toBe(true);
    expect(must(curve[4], "a loss")).toBeLessThan(must(curve[0], "a loss") - 0.01);
    let passed = 0;
    for (const { committed, accepted, banned, marks } of members) {
      expect(committed).toBe(5);
      expect(accepted).toBeGreaterThanOrEqual(3); // a first payload alone gains little
      expect(banned).toBeNull();
      expect(Object.keys(marks).filter((mark) => mark !== "audit passed" && mark !== "not backed")).toEqual([]);
      passed += marks["audit passed"] ?? 0;
    }
    expect(passed).toBeGreaterThan(0);
  });

  it("finds out who does not belong", async () => {
    const { members } = await scenario(spec, { adversary: adversaryNamed("copycat"), dishonest: 1, honest: 3 });
    const liar = must(
      members.find(({ honest }) => !honest),
      "a liar",
    );
    expect(Object.keys(liar.marks)).toContain("copy");
    expect(liar.accepted).toBeLessThan(3);
    expect(members.filter(({ honest, banned }) => honest && banned !== null)).toEqual([]);
  });
});

describe("the small model", () => {
  it("learns its text on the reference engine", async () => {
    const dataset = smallDataset(1, 8192, 512);
    const small = smallSpec({ rounds: 4, uids: 8, seed: "1", dataset });
    const outcome = await scenario(small, {
      ...{ dataset, honest: 2, validators: 1, batches: [4] },
      openEngine: () => openReference({ shape: small.model, seqLen: small.inner.seqLen, microBatch: 8 }),
    });
    expect(outcome.agreed).toBe(true);
    expect(outcome.loss).toBeLessThan(must(outcome.curve[0], "a loss"));
    expect(must(outcome.curve[0], "a loss")).toBeCloseTo(Math.log(SMALL_SHAPE.vocabSize), 1);
  });
});
