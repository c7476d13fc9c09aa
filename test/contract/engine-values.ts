/** The engine contract, what is computed: golden vectors, agreement with the reference, one answer however the work is split. */
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.ts";
import type { Batch, Engine, EngineOptions, StepOptions } from "../../src/engine/engine.ts";
import { openReference } from "../../src/engine/reference/reference.ts";
import { type ModelShape, paramLayout } from "../../src/engine/shape.ts";
import {
  drawBatch,
  everything,
  expectSame,
  OPTIONS,
  type OpenEngine,
  SHAPE,
  STEP,
  snapshot,
  trained,
  using,
} from "./engine-kit.ts";
import { distance, GOLDEN_CASES, loadGolden, norm, relativeError } from "./golden.ts";

export function goldenVectors(open: OpenEngine): void {
  describe.each(GOLDEN_CASES)("%s", (name) => {
    const golden = loadGolden(name);
    const { shape, rows, length } = golden;
    const first = must(golden.batches[0], "batch");
    const run = (body: (engine: Engine) => Promise<void>): Promise<void> =>
      using(open, { shape, seqLen: length, microBatch: 2 }, async (engine) => {
        await engine.write("params", golden.params);
        await body(engine);
      });

    test("logits and the loss of each row", () =>
      run(async (engine) => {
        for (let row = 0; row < rows; row++) {
          const at = row * (length + 1);
          const expected = golden.logits.subarray(row * shape.vocabSize, (row + 1) * shape.vocabSize);
          expect(relativeError(await engine.logits(first.tokens.slice(at, at + length)), expected)).toBeLessThan(1e-4);
        }
        expect(relativeError(await engine.losses(first), golden.rowLosses)).toBeLessThan(1e-4);
      }));

    test("the gradient of every tensor", () =>
      run(async (engine) => {
        const { loss } = await engine.gradients(first);
        expect(relativeError([loss], [must(golden.steps[0], "step").loss])).toBeLessThan(1e-4);
        for (const { name: tensor, offset, length: size } of golden.layout) {
          const error = relativeError(
            await engine.read("grads", offset, size),
            golden.grads.subarray(offset, offset + size),
          );
          expect(error, tensor).toBeLessThan(1e-4);
        }
      }));

    test("ten steps of AdamW", () =>
      run(async (engine) => {
        for (const [i, expected] of golden.steps.entries()) {
          const options = { ...golden.options, clipNorm: golden.options.clipNorm ?? Number.POSITIVE_INFINITY };
          const result = await engine.trainStep(must(golden.batches[i], "batch"), {
            ...options,
            lr: must(golden.lr[i], "lr"),
          } as StepOptions);
          expect(result.applied).toBe(true);
          expect(relativeError([result.loss], [expected.loss]), `loss of step ${i}`).toBeLessThan(1e-4);
          expect(relativeError([result.gradNorm], [expected.gradNorm]), `norm of step ${i}`).toBeLessThan(1e-4);
        }
        expect(engine.stepCount()).toBe(golden.steps.length);
        const params = await engine.read("params");
        for (const { name: tensor, offset, length: size } of golden.layout) {
          const expected = must(golden.final[tensor], tensor);
          const after = params.subarray(offset, offset + size);
          const total = after.reduce((a, b) => a + b, 0);
          const moved = distance(after, golden.params.subarray(offset, offset + size));
          expect(relativeError([norm(after)], [expected.norm]), tensor).toBeLessThan(1e-4);
          expect(Math.abs(total - expected.sum) / expected.norm, tensor).toBeLessThan(1e-3);
          expect(relativeError([moved], [expected.moved]), tensor).toBeLessThan(1e-3);
        }
      }));
  });
}

const SMALL = { ...SHAPE, layers: 1 };
/** Shapes at the edges: the smallest there is, a vocabulary of two, matrices and sequences longer than any block, many layers, a large ε. */
const EDGES: readonly (ModelShape & { readonly seqLen: number; readonly rows: number })[] = [
  { ...SMALL, vocabSize: 1, dim: 1, heads: 1, kvHeads: 1, headDim: 2, ffnDim: 1, seqLen: 1, rows: 1 },
  { ...SMALL, vocabSize: 2, dim: 3, heads: 3, kvHeads: 1, headDim: 2, ffnDim: 5, tied: true, seqLen: 5, rows: 7 },
  { ...SMALL, vocabSize: 300, dim: 268, headDim: 66, ffnDim: 521, seqLen: 21, rows: 2 },
  { ...SMALL, vocabSize: 33, dim: 17, headDim: 16, ffnDim: 31, tied: true, seqLen: 263, rows: 2 },
  { ...SMALL, layers: 5, heads: 8, kvHeads: 2, headDim: 4, seqLen: 64, rows: 3 },
  { ...SMALL, dim: 65, heads: 5, kvHeads: 1, headDim: 12, ffnDim: 100, normEps: 1e-2, seqLen: 33, rows: 3 },
];

/** What `agreement` compares. */
interface Values {
  readonly loss: number;
  readonly grads: Float32Array;
  readonly losses: Float64Array;
  readonly logits: Float32Array;
}

export function agreement(open: OpenEngine): void {
  test.each(EDGES)(
    "vocab $vocabSize dim $dim heads $heads/$kvHeads of $headDim ffn $ffnDim length $seqLen rows $rows",
    async (edge) => {
      const { seqLen, rows, ...shape } = edge;
      const options = { shape, seqLen, microBatch: 2 };
      const batch = drawBatch("edge", options, rows);
      const run = (openOne: OpenEngine): Promise<Values> =>
        trained(openOne, options, async (engine) => {
          const { loss } = await engine.gradients(batch);
          const grads = await engine.read("grads");
          const losses = await engine.losses(batch);
          return { loss, grads, losses, logits: await engine.logits(batch.tokens.slice(0, seqLen)) };
        });
      const actual = await run(open);
      const expected = await run(openReference);
      expect(relativeError([actual.loss], [expected.loss], 1e-3)).toBeLessThan(1e-4);
      expect(relativeError(actual.losses, expected.losses, 1e-3)).toBeLessThan(1e-4);
      expect(relativeError(actual.logits, expected.logits)).toBeLessThan(1e-4);
      const floor = Math.max(1e-3 * norm(expected.grads), 1e-6); // some gradients are zero: of wq and wk at length 1, say
      for (const { name, offset, length } of paramLayout(options.shape)) {
        const part = (all: Float32Array): Float32Array => all.subarray(offset, offset + length);
        expect(relativeError(part(actual.grads), part(expected.grads), floor), name).toBeLessThan(1e-4);
      }
    },
  );
}

export function invariance(open: OpenEngine): void {
  const rows = 5;
  const plain = { ...OPTIONS, microBatch: rows, threads: 1, recompute: false };
  const variants: readonly Partial<EngineOptions>[] = [
    { microBatch: 1 },
    { microBatch: 2 },
    { microBatch: 3 },
    { microBatch: 64 },
    { threads: 2 },
    { threads: 3 },
    { recompute: true },
    { microBatch: 2, threads: 3, recompute: true },
  ];

  test.each([false, true])("micro-batches, threads and recomputation, tied %s", async (tied) => {
    const options = { ...plain, shape: { ...SHAPE, tied } };
    const { engine, results } = await everything(open, options, rows);
    for (const variant of variants) {
      const other = await everything(open, { ...options, ...variant }, rows);
      for (const [i, expected] of results.entries()) expectSame(engine, must(other.results[i], "result"), expected);
    }
  });

  test("more threads than there is work", async () => {
    const tiny = {
      ...plain,
      shape: { ...SHAPE, dim: 2, heads: 1, kvHeads: 1, headDim: 2, ffnDim: 1 },
      seqLen: 3,
      microBatch: 1,
    };
    const { engine, results } = await everything(open, tiny, 1);
    const other = await everything(open, { ...tiny, threads: 4 }, 1);
    for (const [i, expected] of results.entries()) expectSame(engine, must(other.results[i], "result"), expected);
  });

  test("room for longer sequences", async () => {
    const batch = drawBatch(3, OPTIONS, 3, 6);
    const run = (seqLen: number): Promise<{ engine: Engine; grads: Float32Array }> =>
      trained(open, { ...OPTIONS, seqLen }, async (engine) => {
        await engine.gradients(batch);
        return { engine, grads: await engine.read("grads") };
      });
    const [exact, roomy] = [await run(6), await run(70)];
    expectSame(exact.engine, roomy.grads, exact.grads);
  });

  test("calls that are not waited for take their turn", async () => {
    const batches = [1, 2, 3].map((seed) => drawBatch(seed, OPTIONS, 3));
    const [first, second, third] = batches as [Batch, Batch, Batch];
    const waited = await trained(open, OPTIONS, async (engine) => {
      await engine.trainStep(first, STEP);
      await engine.trainStep(second, STEP);
      return [Float32Array.from(await engine.losses(third)), await engine.read("params")];
    });
    await trained(open, OPTIONS, async (engine) => {
      const bad = engine.losses({ ...third, rows: 0 });
      const calls = [
        engine.trainStep(first, STEP),
        bad,
        engine.trainStep(second, STEP),
        engine.losses(third),
        engine.read("params"),
      ];
      const settled = await Promise.allSettled(calls);
      expect(settled.map((s) => s.status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled", "fulfilled"]);
      const values = settled.slice(3).map((s) => Float32Array.from((s as PromiseFulfilledResult<Float32Array>).value));
      for (const [i, expected] of waited.entries()) expectSame(engine, must(values[i], "result"), expected);
    });
  });
}

export function forward(open: OpenEngine): void {
  test("the logits of every prefix add up to the loss of the row", () =>
    trained(open, OPTIONS, async (engine) => {
      const { seqLen } = OPTIONS;
      const batch = drawBatch("prefix", OPTIONS, 1);
      let total = 0;
      for (let n = 1; n <= seqLen; n++) {
        const logits = await engine.logits(batch.tokens.slice(0, n));
        expect(logits.length).toBe(SHAPE.vocabSize);
        const max = Math.max(...logits);
        const normalizer = max + Math.log(logits.reduce((sum, z) => sum + Math.exp(z - max), 0));
        total += normalizer - must(logits[must(batch.tokens[n], "token")], "logit");
      }
      expect(relativeError([total / seqLen], await engine.losses(batch))).toBeLessThan(1e-5);
    }));

  test("the loss of a row does not depend on its neighbours", () =>
    trained(open, OPTIONS, async (engine) => {
      const batch = drawBatch("rows", OPTIONS, 5, 8);
      const together = Float32Array.from(await engine.losses(batch));
      for (let row = 0; row < 5; row++) {
        const tokens = batch.tokens.slice(row * 9, (row + 1) * 9);
        const alone = Float32Array.from(await engine.losses({ tokens, rows: 1, length: 8 }));
        expectSame(engine, alone, together.slice(row, row + 1));
      }
      expect(new Set(together).size).toBe(5);
    }));

  test("asking changes nothing", () =>
    trained(open, OPTIONS, async (engine) => {
      const batch = drawBatch("ask", OPTIONS, 3);
      await engine.trainStep(batch, STEP);
      const before = await snapshot(engine);
      await engine.losses(batch);
      await engine.logits(batch.tokens.slice(0, 4));
      await engine.gradients(batch);
      expect(await snapshot(engine)).toEqual(before);
    }));

  test("params of zero make every token equally likely", () =>
    using(open, OPTIONS, async (engine) => {
      const losses = await engine.losses(drawBatch("zero", OPTIONS, 2));
      for (const loss of losses) expect(loss).toBeCloseTo(Math.log(SHAPE.vocabSize), 5);
    }));

  test("gradients of a second batch replace those of the first", () =>
    trained(open, OPTIONS, async (engine) => {
      const batch = drawBatch("again", OPTIONS, 3);
      await engine.gradients(batch);
      const first = await engine.read("grads");
      await engine.gradients(drawBatch("other", OPTIONS, 3));
      await engine.gradients(batch);
      expectSame(engine, await engine.read("grads"), first);
    }));
}
