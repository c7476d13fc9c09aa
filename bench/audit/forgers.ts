/** Whoever would save work on a span, from the cheapest to the dearest: what state each would claim, and what share of the work it does. */
import { must } from "../../src/base/assert.ts";
import type { Batch, Engine } from "../../src/engine/engine.ts";
import { paramLayout } from "../../src/engine/shape.ts";
import type { RunSpec } from "../../src/run/spec.ts";

/** A state of AdamW. */
export interface Adam {
  readonly params: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
  readonly steps: number;
}

/** A span: its state before, what it trains on, and its rates. */
export interface Span {
  readonly spec: RunSpec;
  readonly start: Adam;
  readonly batches: readonly Batch[];
  readonly rates: readonly number[];
}

/** A forger's claim. */
export interface Claimed {
  readonly state: Adam;
  /** Share of the span's forward and backward passes that it took. */
  readonly cost: number;
}

/** A way to forge, by name. */
export type Forger = (engine: Engine, span: Span, truth: Adam) => Promise<Claimed>;

/** Writes a state into the engine. */
export async function give(engine: Engine, { params, m, v, steps }: Adam): Promise<void> {
  await engine.write("params", params);
  await engine.write("m", m);
  await engine.write("v", v);
  engine.setStepCount(steps);
}

/** Takes it out again. */
export async function take(engine: Engine): Promise<Adam> {
  const [params, m, v] = [await engine.read("params"), await engine.read("m"), await engine.read("v")];
  return { params, m, v, steps: engine.stepCount() };
}

/** Does the span as it should be, on other batches if given. */
export async function worked(engine: Engine, span: Span, batches: readonly Batch[] = span.batches): Promise<Adam> {
  await give(engine, span.start);
  for (const [i, lr] of span.rates.entries())
    await engine.trainStep(must(batches[i], "a batch"), { ...span.spec.inner.adamw, lr });
  return take(engine);
}

/** One step of AdamW in float64 with any gradient, clipped as the engine does. */
function stepWith({ params, m, v, steps }: Adam, gradient: Float32Array, lr: number, spec: RunSpec): Adam {
  const { beta1, beta2, eps, weightDecay, clipNorm } = spec.inner.adamw;
  let squares = 0;
  for (const g of gradient) squares += g * g;
  const clip = Math.min(1, clipNorm / Math.sqrt(squares));
  const [correct1, correct2] = [1 / (1 - beta1 ** (steps + 1)), 1 / (1 - beta2 ** (steps + 1))];
  const next = { params: params.slice(), m: m.slice(), v: v.slice(), steps: steps + 1 };
  for (const { dims, offset, length } of paramLayout(spec.model)) {
    const decay = dims.length > 1 ? weightDecay : 0;
    for (let i = offset; i < offset + length; i++) {
      const g = clip * (gradient[i] as number);
      const first = beta1 * (m[i] as number) + (1 - beta1) * g;
      const second = beta2 * (v[i] as number) + (1 - beta2) * g * g;
      const p = params[i] as number;
      next.params[i] = p - lr * ((first * correct1) / (Math.sqrt(second * correct2) + eps) + decay * p);
      next.m[i] = first;
      next.v[i] = second;
    }
  }
  return next;
}

async function gradientOf(engine: Engine, { params }: Adam, batch: Batch): Promise<Float32Array> {
  await engine.write("params", params);
  await engine.gradients(batch);
  return engine.read("grads");
}

/** The first rows, or the first tokens of each row. */
function part({ tokens, length }: Batch, someRows: number, someLength = length): Batch {
  const kept = new Int32Array(someRows * (someLength + 1));
  for (let row = 0; row < someRows; row++) {
    const from = row * (length + 1);
    kept.set(tokens.subarray(from, from + someLength + 1), row * (someLength + 1));
  }
  return { tokens: kept, rows: someRows, length: someLength };
}

/** start + α · (way − start) with the α that comes nearest to `truth`: better than any forger can do who goes that way. */
function nearest(start: Float32Array, way: Float32Array, truth: Float32Array): Float32Array {
  let [along, squares] = [0, 0];
  for (let i = 0; i < start.length; i++) {
    const [s, d] = [start[i] as number, (way[i] as number) - (start[i] as number)];
    along += d * ((truth[i] as number) - s);
    squares += d * d;
  }
  const alpha = squares === 0 ? 0 : along / squares;
  return start.map((s, i) => s + alpha * ((way[i] as number) - s));
}

const fewer =
  (rows: number): Forger =>
  async (engine, span) => ({
    state: await worked(
      engine,
      span,
      span.batches.map((batch) => part(batch, rows)),
    ),
    cost: rows / span.spec.inner.batch,
  });

/** Takes a new gradient in the first `fresh` steps and goes on with the last one. */
const stale =
  (fresh: number): Forger =>
  async (engine, { spec, start, batches, rates }) => {
    let [state, gradient] = [start, new Float32Array(start.params.length)];
    for (const [i, lr] of rates.entries()) {
      if (i < fresh) gradient = (await gradientOf(engine, state, must(batches[i], "a batch"))) as typeof gradient;
      state = stepWith(state, gradient, lr, spec);
    }
    return { state, cost: fresh / rates.length };
  };

async function momentumOnly(_: Engine, { spec, start, rates }: Span): Promise<Claimed> {
  let state = start;
  for (const lr of rates) {
    const correct = state.steps === 0 ? 0 : 1 / (1 - spec.inner.adamw.beta1 ** state.steps);
    state = stepWith(
      state,
      state.m.map((x) => x * correct),
      lr,
      spec,
    );
  }
  return { state, cost: 0 };
}

/** All forgers, in the order of what they cost. */
export const FORGERS: Readonly<Record<string, Forger>> = {
  "stands still": async (_, { start }) => ({ state: start, cost: 0 }),
  "momentum goes on, no gradients": momentumOnly,
  "the same, scaled with hindsight": async (engine, span, truth) => {
    const { state } = await momentumOnly(engine, span);
    const { start } = span;
    const zeros = start.m.map(() => 0);
    return {
      cost: 0,
      state: {
        ...truth,
        params: nearest(start.params, state.params, truth.params),
        m: nearest(start.m, zeros, truth.m),
        v: nearest(start.v, zeros, truth.v),
      },
    };
  },
  "one sequence in eight": fewer(1),
  "one gradient for all steps": stale(1),
  "half of the sequences": fewer(4),
  "half of the context": async (engine, span) => ({
    state: await worked(
      engine,
      span,
      span.batches.map((batch) => part(batch, batch.rows, batch.length / 2)),
    ),
    cost: 0.5,
  }),
  "no gradient in the last step": (engine, span, truth) => stale(span.rates.length - 1)(engine, span, truth),
  "seven sequences in eight": fewer(7),
  "one sequence less, in the last step": async (engine, span) => {
    const { batches, spec } = span;
    const { batch } = spec.inner;
    const last = batches.length - 1;
    const shorter = batches.map((each, i) => (i === last ? part(each, batch - 1) : each));
    return { state: await worked(engine, span, shorter), cost: 1 - 1 / (batch * batches.length) };
  },
  "other data": async (engine, span) => {
    const turned = span.batches.map((_, i) => must(span.batches[(i + 1) % span.batches.length], "a batch"));
    return { state: await worked(engine, span, turned), cost: 1 };
  },
};
