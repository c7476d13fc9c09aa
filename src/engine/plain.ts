/**
 * What engines in plain TypeScript have in common: four float32 vectors, one call at a time, and around a model's mathematics the checks and AdamW. All
 * arithmetic is float64.
 */
import { checkBatch, checkPrompt, checkRange, checkStep, checkStepCount } from "./batch.ts";
import type { Batch, Engine, EngineOptions, MemoryPlan, StepOptions, StepResult, VectorName } from "./engine.ts";
import { adamwStep, clipScale, globalNorm } from "./reference/adamw.ts";
import { type ParamEntry, paramLayout } from "./shape.ts";
import { turnstile } from "./turnstile.ts";

/** What an engine holds, as long as its params each. */
export type Vectors = Readonly<Record<VectorName, Float32Array>>;

/** Vectors of `size` zeros. */
export function zeroVectors(size: number): Vectors {
  const vector = (): Float32Array => new Float32Array(size);
  return { params: vector(), grads: vector(), m: vector(), v: vector() };
}

/** A model over an engine's vectors. What it is given was checked. */
export interface PlainModel {
  readonly name: string;
  readonly plan: MemoryPlan;
  readonly vectors: Vectors;
  /** Mean loss of the batch; "grads" receives the gradients of that mean. */
  gradients(batch: Batch): number;
  losses(batch: Batch): Float64Array;
  logits(tokens: Int32Array): Float32Array;
}

/** An engine around a model; the step count is zero. */
export function plainEngine(options: Required<EngineOptions>, model: PlainModel): Engine {
  const { name, plan, vectors } = model;
  const size = vectors.params.length;
  const layout = paramLayout(options.shape);
  const { inTurn, close } = turnstile();
  let steps = 0;
  const trainStep = (batch: Batch, given: StepOptions): StepResult => {
    checkBatch(batch, options);
    const step = checkStep(given);
    const loss = model.gradients(batch);
    const gradNorm = globalNorm(vectors.grads);
    const applied = Number.isFinite(loss) && Number.isFinite(gradNorm);
    if (applied) {
      steps += 1;
      update(layout, vectors, clipScale(gradNorm, step.clipNorm), steps, step);
    }
    return { loss, gradNorm, applied };
  };
  return {
    name,
    backend: "typescript float64",
    deterministic: true,
    options,
    plan,
    read: (vector, offset = 0, length = size - offset) =>
      inTurn(() => {
        checkRange(offset, length, size);
        return vectors[vector].slice(offset, offset + length);
      }),
    write: (vector, values, offset = 0) =>
      inTurn(() => {
        checkRange(offset, values.length, size);
        vectors[vector].set(values, offset);
      }),
    stepCount: () => steps,
    setStepCount: (count) => {
      checkStepCount(count);
      steps = count;
    },
    gradients: (batch) =>
      inTurn(() => {
        checkBatch(batch, options);
        return { loss: model.gradients(batch) };
      }),
    trainStep: (batch, step) => inTurn(() => trainStep(batch, step)),
    losses: (batch) =>
      inTurn(() => {
        checkBatch(batch, options);
        return model.losses(batch);
      }),
    logits: (tokens) =>
      inTurn(() => {
        checkPrompt(tokens, options);
        return model.logits(tokens);
      }),
    close,
  };
}

/** AdamW over all tensors; those of one dim, the norm gains, are not decayed. */
function update(
  layout: readonly ParamEntry[],
  vectors: Vectors,
  scale: number,
  step: number,
  options: Required<StepOptions>,
): void {
  for (const { dims, offset, length } of layout) {
    const part = (name: VectorName): Float32Array => vectors[name].subarray(offset, offset + length);
    const state = { params: part("params"), m: part("m"), v: part("v") };
    const weightDecay = dims.length > 1 ? options.weightDecay : 0;
    adamwStep(state, part("grads"), scale, step, { ...options, weightDecay });
  }
}
