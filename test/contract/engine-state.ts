/** The engine contract, what is kept and what is refused: vectors, steps, bad input, the memory plan, closing. */
import { expect, test } from "vitest";
import { must } from "../../src/base/assert.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Batch, Engine, EngineOptions, StepOptions } from "../../src/engine/engine.ts";
import { paramCount, paramLayout } from "../../src/engine/shape.ts";
import {
  bitsOf,
  drawBatch,
  drawParams,
  expectCode,
  expectRefusal,
  expectSame,
  OPTIONS,
  type OpenEngine,
  SHAPE,
  STATE,
  STEP,
  snapshot,
  trained,
  using,
  VECTORS,
} from "./engine-kit.ts";
import { norm, relativeError } from "./golden.ts";

export function vectors(open: OpenEngine): void {
  test("begin at zero, at step zero", () =>
    using(open, OPTIONS, async (engine) => {
      expect(engine.stepCount()).toBe(0);
      for (const vector of VECTORS) expect(await engine.read(vector)).toEqual(new Float32Array(paramCount(SHAPE)));
    }));

  test("give back the bits written to them, and are four different vectors", () =>
    using(open, OPTIONS, async (engine) => {
      const random = seededRandom("bits");
      const size = paramCount(SHAPE);
      const special = Float32Array.of(-0, 1e-45, -1e-40, 3.4e38, Number.POSITIVE_INFINITY, Number.NaN);
      const written = VECTORS.map(() => Float32Array.from({ length: size }, () => random.uniform() - 0.5));
      for (const [i, vector] of VECTORS.entries()) {
        const values = must(written[i], "values");
        values.set(special, 10 * i);
        await engine.write(vector, values);
      }
      for (const [i, vector] of VECTORS.entries()) {
        expect(bitsOf(await engine.read(vector))).toEqual(bitsOf(must(written[i], "values")));
      }
    }));

  test("are read and written in parts", () =>
    using(open, OPTIONS, async (engine) => {
      const size = paramCount(SHAPE);
      const all = Float32Array.from({ length: size }, (_, i) => i);
      await engine.write("m", all.subarray(0, 11));
      await engine.write("m", all.subarray(11), 11);
      expect(await engine.read("m")).toEqual(all);
      expect(await engine.read("m", 5)).toEqual(all.slice(5));
      expect(await engine.read("m", 7, 13)).toEqual(all.slice(7, 20));
      expect(await engine.read("m", size, 0)).toEqual(new Float32Array(0));
      await engine.write("m", Float32Array.of(-1, -2), size - 2);
      await engine.write("m", new Float32Array(0), size);
      all.set([-1, -2], size - 2);
      expect(await engine.read("m")).toEqual(all);
    }));

  test("are copied, not shared", () =>
    using(open, OPTIONS, async (engine) => {
      const values = new Float32Array(paramCount(SHAPE)).fill(1);
      await engine.write("v", values);
      values.fill(2);
      (await engine.read("v")).fill(3);
      expect(await engine.read("v", 0, 3)).toEqual(Float32Array.of(1, 1, 1));
    }));

  test.each([
    [-1, 1],
    [0.5, 1],
    [0, -1],
    [0, paramCount(SHAPE) + 1],
    [paramCount(SHAPE), 1],
    [Number.NaN, 1],
    [2 ** 53, 1],
    [2 ** 32, 1],
  ])("refuse to be read from %d, %d long", (offset, length) =>
    using(open, OPTIONS, async (engine) => {
      await expectRefusal(engine.read("params", offset, length));
    }),
  );

  test.each([-1, 0.5, paramCount(SHAPE) - 1, Number.NaN, 2 ** 32])("refuse to be written at %d", (offset) =>
    using(open, OPTIONS, async (engine) => {
      await expectRefusal(engine.write("params", Float32Array.of(1, 2), offset));
      expect(await engine.read("params")).toEqual(new Float32Array(paramCount(SHAPE)));
    }),
  );
}

export function steps(open: OpenEngine): void {
  const batch = drawBatch("step", OPTIONS, 3);
  const after = (step: StepOptions): Promise<{ engine: Engine; params: Float32Array; m: Float32Array; norm: number }> =>
    trained(open, OPTIONS, async (engine) => {
      const { gradNorm } = await engine.trainStep(batch, step);
      return { engine, params: await engine.read("params"), m: await engine.read("m"), norm: gradNorm };
    });

  test("learn a batch that is shown again and again", () =>
    trained(open, OPTIONS, async (engine) => {
      const losses = [];
      for (let i = 0; i < 12; i++) losses.push((await engine.trainStep(batch, { lr: 0.02 })).loss);
      expect(losses.at(-1)).toBeLessThan(0.7 * must(losses[0], "loss"));
      expect(engine.stepCount()).toBe(12);
    }));

  test("report the loss and the norm of the gradients before clipping", () =>
    trained(open, OPTIONS, async (engine) => {
      const { loss } = await engine.gradients(batch);
      const before = norm(await engine.read("grads"));
      const rows = await engine.losses(batch);
      const result = await engine.trainStep(batch, { ...STEP, clipNorm: before / 10 });
      expect(relativeError([result.loss], [loss])).toBeLessThan(1e-6);
      expect(relativeError([rows.reduce((a, b) => a + b, 0) / 3], [loss])).toBeLessThan(1e-6);
      expect(relativeError([result.gradNorm], [before])).toBeLessThan(1e-5);
    }));

  test("clip to the limit, and not below it", async () => {
    const free = await after({ ...STEP, clipNorm: Number.POSITIVE_INFINITY });
    expect(free.norm).toBeGreaterThan(0.01);
    const loose = await after({ ...STEP, clipNorm: 1.001 * free.norm });
    expectSame(free.engine, loose.m, free.m);
    expectSame(free.engine, loose.params, free.params);
    const tight = await after({ ...STEP, clipNorm: free.norm / 8 });
    expect(
      relativeError(
        tight.m,
        free.m.map((m) => m / 8),
      ),
    ).toBeLessThan(1e-5);
    expect(relativeError([norm(tight.m)], [(0.1 * free.norm) / 8])).toBeLessThan(1e-5);
  });

  test("decay matrices by lr·weightDecay, and leave norm gains alone", async () => {
    const [without, decayed] = [await after({ lr: 0.1, weightDecay: 0 }), await after({ lr: 0.1, weightDecay: 0.5 })];
    const before = drawParams(SHAPE);
    for (const { name, dims, offset, length } of paramLayout(SHAPE)) {
      const part = (all: Float32Array): Float32Array => all.subarray(offset, offset + length);
      if (dims.length === 1) expectSame(without.engine, part(decayed.params), part(without.params));
      const difference = part(without.params).map((p, i) => p - must(part(decayed.params)[i], "param"));
      const expected = part(before).map((p) => (dims.length === 1 ? 0 : 0.1 * 0.5 * p));
      expect(relativeError(difference, expected, 1e-3), name).toBeLessThan(1e-4);
    }
  });

  test("with lr 0 change the moments and nothing else", () =>
    trained(open, OPTIONS, async (engine) => {
      const before = bitsOf(await engine.read("params"));
      expect(await engine.trainStep(batch, { lr: 0 })).toMatchObject({ applied: true });
      expect(bitsOf(await engine.read("params"))).toEqual(before);
      expect(norm(await engine.read("m"))).toBeGreaterThan(0);
      expect(norm(await engine.read("v"))).toBeGreaterThan(0);
      expect(engine.stepCount()).toBe(1);
    }));

  test("go on in another engine from params, moments and step count", () =>
    trained(open, OPTIONS, async (engine) => {
      for (let i = 0; i < 3; i++) await engine.trainStep(drawBatch(i, OPTIONS, 2), STEP);
      await using(open, { ...OPTIONS, microBatch: 1 }, async (other) => {
        for (const vector of STATE) await other.write(vector, await engine.read(vector));
        other.setStepCount(engine.stepCount());
        for (let i = 3; i < 5; i++) {
          for (const e of [engine, other]) await e.trainStep(drawBatch(i, OPTIONS, 2), STEP);
        }
        for (const vector of STATE) expectSame(engine, await other.read(vector), await engine.read(vector));
        expect(other.stepCount()).toBe(5);
      });
    }));

  test.each([Number.NaN, Number.POSITIVE_INFINITY])("do not happen where a param is %d", (poison) =>
    trained(open, OPTIONS, async (engine) => {
      await engine.trainStep(batch, STEP);
      const wq = must(
        paramLayout(SHAPE).find(({ name }) => name === "layers.1.wq"),
        "wq",
      );
      const good = await engine.read("params", wq.offset + 3, 1);
      await engine.write("params", Float32Array.of(poison), wq.offset + 3);
      const before = await snapshot(engine);
      const result = await engine.trainStep(drawBatch(2, OPTIONS, 3), STEP);
      expect(result.applied).toBe(false);
      expect(Number.isFinite(result.loss) && Number.isFinite(result.gradNorm)).toBe(false);
      expect(await snapshot(engine)).toEqual(before);
      expect([...(await engine.losses(batch))].every(Number.isNaN)).toBe(true);

      await engine.write("params", good, wq.offset + 3);
      const healed = await engine.trainStep(drawBatch(2, OPTIONS, 3), STEP);
      expect(healed.applied).toBe(true);
      expect(Number.isFinite(healed.loss)).toBe(true);
    }),
  );
}

/** Batches that no engine may take. `length` is that of OPTIONS where nothing else is said. */
const BAD_BATCHES: readonly (readonly [string, Batch])[] = (() => {
  const good = drawBatch("bad", OPTIONS, 2);
  const withToken = (at: number, token: number): Batch => {
    const tokens = good.tokens.slice();
    tokens[at] = token;
    return { ...good, tokens };
  };
  return [
    ["a token beyond the vocabulary", withToken(3, SHAPE.vocabSize)],
    ["a last target beyond the vocabulary", withToken(good.tokens.length - 1, SHAPE.vocabSize)],
    ["a negative token", withToken(0, -1)],
    ["the largest token", withToken(5, 2 ** 31 - 1)],
    ["too few tokens", { ...good, tokens: good.tokens.slice(1) }],
    ["too many tokens", { ...good, rows: 1 }],
    ["no rows", { tokens: new Int32Array(0), rows: 0, length: 4 }],
    ["negative rows", { ...good, rows: -2 }],
    ["half a row", { tokens: new Int32Array(10), rows: 0.5, length: 19 }],
    ["no length", { tokens: new Int32Array(2), rows: 2, length: 0 }],
    ["too long a sequence", { tokens: new Int32Array(21), rows: 1, length: 20 }],
    ["rows beyond all measure", { ...good, rows: 2 ** 40 }],
    ["rows that are no number", { ...good, rows: Number.NaN }],
  ];
})();

const BAD_OPTIONS: readonly (readonly [string, Partial<EngineOptions>])[] = [
  ["no sequence length", { seqLen: 0 }],
  ["an endless sequence", { seqLen: 2 ** 31 }],
  ["no micro-batch", { microBatch: 0 }],
  ["half a micro-batch", { microBatch: 1.5 }],
  ["no threads", { threads: 0 }],
  ["a million threads", { threads: 1e6 }],
  ["heads that kvHeads does not divide", { shape: { ...SHAPE, kvHeads: 3 } }],
  ["an odd headDim", { shape: { ...SHAPE, headDim: 5 } }],
  ["no vocabulary", { shape: { ...SHAPE, vocabSize: 0 } }],
];

export function refusals(open: OpenEngine): void {
  test("bad batches, and the engine is as usable as before", () =>
    trained(open, OPTIONS, async (engine) => {
      const good = drawBatch("good", OPTIONS, 2);
      const losses = await engine.losses(good);
      const before = await snapshot(engine);
      for (const [what, batch] of BAD_BATCHES) {
        const calls = [() => engine.losses(batch), () => engine.gradients(batch), () => engine.trainStep(batch, STEP)];
        for (const call of calls)
          await expectCode(call(), "data").catch((error: unknown) => expect.fail(`${what}: ${String(error)}`));
      }
      expect(await snapshot(engine)).toEqual(before);
      expect(await engine.losses(good)).toEqual(losses);
    }));

  test("bad prompts", () =>
    trained(open, OPTIONS, async (engine) => {
      await expectCode(engine.logits(new Int32Array(0)), "data");
      await expectCode(engine.logits(new Int32Array(20)), "data");
      await expectCode(engine.logits(Int32Array.of(1, SHAPE.vocabSize)), "data");
      await expectCode(engine.logits(Int32Array.of(-1)), "data");
      expect((await engine.logits(Int32Array.of(0, SHAPE.vocabSize - 1))).every(Number.isFinite)).toBe(true);
    }));

  const badSteps: StepOptions[] = [
    { lr: Number.NaN },
    { lr: -1 },
    { lr: 1, beta1: 1 },
    { lr: 1, beta2: -0.1 },
    { lr: 1, eps: 0 },
    { lr: 1, weightDecay: -1 },
    { lr: 1, clipNorm: 0 },
    { lr: 1, clipNorm: Number.NaN },
  ];
  test("bad step options, and nothing is changed", () =>
    trained(open, OPTIONS, async (engine) => {
      const before = await snapshot(engine);
      for (const step of badSteps) await expectCode(engine.trainStep(drawBatch(0, OPTIONS, 1), step), "config");
      expect(await snapshot(engine)).toEqual(before);
    }));

  test("step counts that count nothing", () =>
    using(open, OPTIONS, async (engine) => {
      for (const count of [-1, 0.5, Number.NaN, 2 ** 60])
        expect(() => engine.setStepCount(count)).toThrow(/step count/);
      expect(engine.stepCount()).toBe(0);
      engine.setStepCount(7);
      expect(engine.stepCount()).toBe(7);
    }));

  test.each(BAD_OPTIONS)("%s", async (_, bad) => {
    await expectCode(open({ ...OPTIONS, ...bad }), "config");
  });
}

export function life(open: OpenEngine): void {
  test("the memory plan is the sum of its regions", async () => {
    const plan = async (options: Partial<EngineOptions>): Promise<Engine["plan"]> =>
      using(open, { ...OPTIONS, ...options }, (engine) => Promise.resolve(engine.plan));
    const { totalBytes, regions } = await plan({});
    expect(regions.reduce((sum, region) => sum + region.bytes, 0)).toBe(totalBytes);
    for (const { bytes } of regions) expect(Number.isSafeInteger(bytes) && bytes >= 0).toBe(true);
    expect(new Set(regions.map((region) => region.name)).size).toBe(regions.length);
    expect(totalBytes).toBeGreaterThan(4 * 4 * paramCount(SHAPE));
    const deep = { shape: { ...SHAPE, layers: 8 }, seqLen: 64 };
    expect((await plan({ ...deep, recompute: true })).totalBytes).toBeLessThan((await plan(deep)).totalBytes);
  });

  test("an engine says how it is laid out", () =>
    using(open, { ...OPTIONS, threads: 2, recompute: true }, async (engine) => {
      expect(engine.options).toEqual({ ...OPTIONS, threads: 2, recompute: true });
      expect(engine.name.length * engine.backend.length).toBeGreaterThan(0);
    }));

  test("closing twice is closing once; calls under way are finished, later ones refused", async () => {
    const engine = await open(OPTIONS);
    const batch = drawBatch("close", OPTIONS, 2);
    const under = engine.losses(batch);
    await Promise.all([engine.close(), engine.close()]);
    await engine.close();
    expect((await under).length).toBe(2);
    await expectRefusal(engine.losses(batch));
    await expectRefusal(engine.read("params"));
    await expectRefusal(engine.write("params", Float32Array.of(1)));
  });
}
