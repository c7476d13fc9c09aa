/** What the parts of the engine contract share: a model of odd sizes, batches and params drawn from seeds, comparisons. */
import { expect } from "vitest";
import { must } from "../../src/base/assert.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Batch, Engine, EngineOptions, StepOptions, VectorName } from "../../src/engine/engine.ts";
import { type ModelShape, paramCount, paramLayout } from "../../src/engine/shape.ts";
import { relativeError } from "./golden.ts";

/** Opens the engine under test. */
export type OpenEngine = (options: EngineOptions) => Promise<Engine>;

export const VECTORS: readonly VectorName[] = ["params", "grads", "m", "v"];
export const STATE: readonly VectorName[] = ["params", "m", "v"];

/** Odd sizes on purpose: nothing is a multiple of a vector's width. */
export const SHAPE: ModelShape = {
  ...{ vocabSize: 45, dim: 20, layers: 2, heads: 4, kvHeads: 2, headDim: 6, ffnDim: 27 },
  ...{ ropeTheta: 10000, normEps: 1e-5, tied: false },
};
export const OPTIONS: EngineOptions = { shape: SHAPE, seqLen: 19, microBatch: 2 };
export const STEP: StepOptions = { lr: 0.01 };

/** Runs `body` with an open engine and closes it, whatever happens. */
export async function using<T>(
  open: OpenEngine,
  options: EngineOptions,
  body: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await open(options);
  try {
    return await body(engine);
  } finally {
    await engine.close();
  }
}

/** The same, with params drawn for a model that is well-behaved: gains near one, matrices that keep the scale. */
export function trained<T>(open: OpenEngine, options: EngineOptions, body: (engine: Engine) => Promise<T>): Promise<T> {
  return using(open, options, async (engine) => {
    await engine.write("params", drawParams(options.shape));
    return body(engine);
  });
}

export function drawParams(shape: ModelShape): Float32Array {
  const random = seededRandom("params");
  const params = new Float32Array(paramCount(shape));
  for (const { dims, offset, length } of paramLayout(shape)) {
    const spread = 3 / Math.sqrt(must(dims.at(-1), "dim"));
    for (let i = offset; i < offset + length; i++) {
      params[i] = dims.length === 1 ? 0.5 + random.uniform() : spread * (random.uniform() - 0.5);
    }
  }
  return params;
}

export function drawBatch(
  seed: string | number,
  { shape, seqLen }: EngineOptions,
  rows: number,
  length: number = seqLen,
): Batch {
  const random = seededRandom(`batch ${seed}`);
  const tokens = Int32Array.from({ length: rows * (length + 1) }, () => random.below(shape.vocabSize));
  return { tokens, rows, length };
}

export const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.slice().buffer);

/** Equal bits from a deterministic engine, nearly equal values from another. */
export function expectSame(engine: Engine, actual: Float32Array, expected: Float32Array): void {
  if (engine.deterministic) expect(bitsOf(actual)).toEqual(bitsOf(expected));
  else expect(relativeError(actual, expected, 1e-12)).toBeLessThan(1e-4);
}

export async function snapshot(engine: Engine): Promise<{ steps: number; vectors: Uint32Array[] }> {
  const vectors = [];
  for (const vector of STATE) vectors.push(bitsOf(await engine.read(vector)));
  return { steps: engine.stepCount(), vectors };
}

/** Two steps, an evaluation and a prompt: everything an engine computes, as one vector each. */
export async function everything(
  open: OpenEngine,
  options: EngineOptions,
  rows: number,
): Promise<{ engine: Engine; results: Float32Array[] }> {
  return trained(open, options, async (engine) => {
    const first = drawBatch(1, options, rows);
    const { loss } = await engine.gradients(first);
    const results = [Float32Array.of(loss), await engine.read("grads")];
    for (const [i, length] of [options.seqLen, options.seqLen - 2].entries()) {
      const result = await engine.trainStep(drawBatch(i, options, rows, length), STEP);
      results.push(Float32Array.of(result.loss, result.gradNorm));
    }
    for (const vector of STATE) results.push(await engine.read(vector));
    results.push(
      Float32Array.from(await engine.losses(first)),
      await engine.logits(first.tokens.slice(0, Math.min(7, options.seqLen))),
    );
    return { engine, results };
  });
}

/** A typed error: the operator's (SkeinError) or, for what only a bug can ask, an AssertionError. */
export async function expectRefusal(call: Promise<unknown>): Promise<void> {
  const thrown = await call.then(
    () => "nothing",
    (error: unknown) => (error instanceof Error ? error.name : String(error)),
  );
  expect(["SkeinError", "AssertionError"]).toContain(thrown);
}

/** Rejects with SkeinError of `code`. */
export function expectCode(call: Promise<unknown>, code: string): Promise<void> {
  return expect(call).rejects.toMatchObject({ name: "SkeinError", code });
}
