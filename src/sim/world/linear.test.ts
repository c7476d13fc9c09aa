/** The linear toy as an engine: what of the engines' contract does not presume a transformer, its gradients, and that it learns as models do. */
import { describe, expect, it } from "vitest";
import {
  drawBatch,
  drawParams,
  expectRefusal,
  OPTIONS,
  STEP,
  snapshot,
  trained,
  using,
} from "../../../test/contract/engine-kit.ts";
import { refusals, steps, vectors } from "../../../test/contract/engine-state.ts";
import { invariance } from "../../../test/contract/engine-values.ts";
import { must } from "../../base/assert.ts";
import type { Engine } from "../../engine/engine.ts";
import { paramCount } from "../../engine/shape.ts";
import { batchOf } from "../../evaluate/validation.ts";
import { initParams } from "../../model/init.ts";
import { openLinear } from "./linear.ts";
import { LINEAR_SHAPE, linearDataset } from "./toys.ts";

describe("engine contract: linear", () => {
  describe("one answer however the work is split", () => invariance(openLinear));
  describe("vectors", () => vectors(openLinear));
  describe("steps", () => steps(openLinear));
  describe("refusals", () => refusals(openLinear));
});

describe("the linear toy", () => {
  it("gives each row its loss, whatever its neighbours are", () =>
    trained(openLinear, OPTIONS, async (engine) => {
      const batch = drawBatch("rows", OPTIONS, 5, 8);
      const together = await engine.losses(batch);
      for (let row = 0; row < 5; row++) {
        const tokens = batch.tokens.slice(row * 9, (row + 1) * 9);
        expect(await engine.losses({ tokens, rows: 1, length: 8 })).toEqual(together.slice(row, row + 1));
      }
      expect(new Set(together).size).toBe(5);
    }));

  it("changes nothing when asked, and forgets the gradients of an earlier batch", () =>
    trained(openLinear, OPTIONS, async (engine) => {
      const batch = drawBatch("ask", OPTIONS, 3);
      await engine.trainStep(batch, STEP);
      const before = await snapshot(engine);
      await engine.losses(batch);
      await engine.gradients(batch);
      const grads = await engine.read("grads");
      await engine.gradients(drawBatch("other", OPTIONS, 3));
      await engine.gradients(batch);
      expect(await engine.read("grads")).toEqual(grads);
      expect(await snapshot(engine)).toEqual(before);
    }));

  it("has the gradients of its loss", () =>
    trained(openLinear, OPTIONS, async (engine) => {
      const batch = drawBatch("slope", OPTIONS, 2);
      await engine.gradients(batch);
      const [params, grads] = [drawParams(OPTIONS.shape), await engine.read("grads")];
      const lossAt = async (i: number, move: number): Promise<number> => {
        await engine.write("params", Float32Array.of(must(params[i], "a param") + move), i);
        const { loss } = await engine.gradients(batch);
        await engine.write("params", params.slice(i, i + 1), i);
        return loss;
      };
      const touched = [...grads.keys()].filter((i) => grads[i] !== 0);
      expect(touched.length).toBeGreaterThan(20);
      for (const i of [...touched.slice(0, 8), 3, 77]) {
        const slope = ((await lossAt(i, 2 ** -8)) - (await lossAt(i, -(2 ** -8)))) / 2 ** -7;
        expect(slope).toBeCloseTo(must(grads[i], "a gradient"), 3);
      }
    }));

  it("finds what it loses least on the likeliest", () =>
    trained(openLinear, OPTIONS, async (engine) => {
      const prompt = drawBatch("prompt", OPTIONS, 1, 5).tokens.slice(0, 5);
      const logits = await engine.logits(prompt);
      expect(logits.length).toBe(OPTIONS.shape.vocabSize);
      for (const next of [0, 7, 44]) {
        const [loss] = await engine.losses({ tokens: Int32Array.of(...prompt, next), rows: 1, length: 5 });
        expect(logits[next]).toBe(Math.fround(-must(loss, "a loss")));
      }
    }));

  it("says what memory it takes, and is closed once", async () => {
    const { totalBytes, regions } = await using(openLinear, OPTIONS, async (engine) => engine.plan);
    expect(regions.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(totalBytes);
    expect(totalBytes).toBe(24 * paramCount(OPTIONS.shape));
    const engine = await openLinear(OPTIONS);
    const under = engine.losses(drawBatch("close", OPTIONS, 2));
    await Promise.all([engine.close(), engine.close()]);
    expect((await under).length).toBe(2);
    await expectRefusal(engine.read("params"));
  });
});

const SEQ_LEN = 8;
const ROWS = 8;

/** Mean loss on some sequences of the training split. */
async function meanLoss(engine: Engine, sequences: readonly number[]): Promise<number> {
  const losses = await engine.losses(await batchOf(linearDataset().split("train"), sequences, SEQ_LEN));
  return losses.reduce((a, b) => a + b, 0) / losses.length;
}

describe("learning", () => {
  const from = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);
  const opened = async (): Promise<Engine> => {
    const engine = await openLinear({ shape: LINEAR_SHAPE, seqLen: SEQ_LEN, microBatch: ROWS });
    await engine.write("params", initParams(LINEAR_SHAPE, "1"));
    return engine;
  };

  it("helps on what was trained on, and less on everything else", async () => {
    const engine = await opened();
    const [own, others] = [from(0, 4 * ROWS), from(1000, 2000)];
    const before = [await meanLoss(engine, own), await meanLoss(engine, others)] as const;
    expect(before[1]).toBeGreaterThan(3); // as some dozens of words look to who knows none
    expect(before[1]).toBeLessThan(6);
    for (let step = 0; step < 4; step++) {
      const batch = await batchOf(linearDataset().split("train"), own.slice(ROWS * step, ROWS * (step + 1)), SEQ_LEN);
      await engine.trainStep(batch, { lr: 0.05 });
    }
    const gains = [before[0] - (await meanLoss(engine, own)), before[1] - (await meanLoss(engine, others))] as const;
    expect(gains[1]).toBeGreaterThan(0.01);
    expect(gains[0]).toBeGreaterThan(5 * gains[1]);
  });

  it("goes on for a long time", async () => {
    const engine = await opened();
    const others = from(100_000, 1000);
    const losses = [await meanLoss(engine, others)];
    for (let step = 0; step < 600; step++) {
      const batch = await batchOf(linearDataset().split("train"), from(32 * step, 32), SEQ_LEN);
      expect((await engine.trainStep(batch, { lr: 0.005 })).applied).toBe(true);
      if (step % 200 === 199) losses.push(await meanLoss(engine, others));
    }
    for (const [i, loss] of losses.slice(1).entries()) expect(loss).toBeLessThan(must(losses[i], "a loss") - 0.1);
    expect(losses.at(-1)).toBeGreaterThan(1.5);
  });
});
