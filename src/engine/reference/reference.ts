/**
 * The reference engine: the judge of the fast ones. Slow and obvious TypeScript, the mathematics in plain sight in the kernels
 * beside this file, and nothing but them.
 *
 * Vectors ("params", "grads", "m", "v") are stored in float32, as every engine stores them; activations, gradient sums and all
 * arithmetic are float64. Only + − × ÷, √ and base/exactmath are used, in a fixed order, so it computes the same bits
 * everywhere. It works on one sequence at a time, whatever `microBatch` says, and on one thread, whatever `threads` says.
 */
import { checkBatch, checkOptions, checkPrompt, checkRange, checkStep, checkStepCount } from "../batch.ts";
import type { Batch, Engine, EngineOptions, MemoryPlan, StepOptions, StepResult, VectorName } from "../engine.ts";
import { ropeTable } from "../rope.ts";
import { paramCount, paramLayout } from "../shape.ts";
import { turnstile } from "../turnstile.ts";
import { adamwStep, clipScale, globalNorm } from "./adamw.ts";
import { lastLogits, type Model, modelBackward, modelLosses, tensorViews } from "./model.ts";

type Vectors = Readonly<Record<VectorName, Float32Array>>;

/** Opens a reference engine: all params, moments and the step count are zero. Throws SkeinError("config") for bad options. */
export function openReference(options: EngineOptions): Promise<Engine> {
  return Promise.resolve().then(() => buildReference(checkOptions(options, 1)));
}

function buildReference(options: Required<EngineOptions>): Engine {
  const { shape } = options;
  const size = paramCount(shape);
  const vector = (): Float32Array => new Float32Array(size);
  const vectors: Vectors = { params: vector(), grads: vector(), m: vector(), v: vector() };
  const rope = ropeTable(shape.headDim, options.seqLen, shape.ropeTheta);
  const model: Model = { shape, params: tensorViews(shape, vectors.params), rope };
  const { inTurn, close } = turnstile();
  let steps = 0;

  const trainStep = (batch: Batch, given: StepOptions): StepResult => {
    checkBatch(batch, options);
    const step = checkStep(given);
    const loss = gradientsOf(model, batch, vectors.grads, options.recompute);
    const gradNorm = globalNorm(vectors.grads);
    const applied = Number.isFinite(loss) && Number.isFinite(gradNorm);
    if (applied) {
      steps += 1;
      update(model, vectors, clipScale(gradNorm, step.clipNorm), steps, step);
    }
    return { loss, gradNorm, applied };
  };

  return {
    name: "reference",
    backend: "typescript float64",
    deterministic: true,
    options,
    plan: referencePlan(options),
    read: (name, offset = 0, length = size - offset) =>
      inTurn(() => {
        checkRange(offset, length, size);
        return vectors[name].slice(offset, offset + length);
      }),
    write: (name, values, offset = 0) =>
      inTurn(() => {
        checkRange(offset, values.length, size);
        vectors[name].set(values, offset);
      }),
    stepCount: () => steps,
    setStepCount: (count) => {
      checkStepCount(count);
      steps = count;
    },
    gradients: (batch) =>
      inTurn(() => {
        checkBatch(batch, options);
        return { loss: gradientsOf(model, batch, vectors.grads, options.recompute) };
      }),
    trainStep: (batch, step) => inTurn(() => trainStep(batch, step)),
    losses: (batch) =>
      inTurn(() => {
        checkBatch(batch, options);
        return Float64Array.from({ length: batch.rows }, (_, row) => mean(modelLosses(model, ...rowOf(batch, row))));
      }),
    logits: (tokens) =>
      inTurn(() => {
        checkPrompt(tokens, options);
        return Float32Array.from(lastLogits(model, tokens));
      }),
    close,
  };
}

/** Inputs and targets [length] of one row of a batch. */
function rowOf(batch: Batch, row: number): [Int32Array, Int32Array] {
  const at = row * (batch.length + 1);
  return [batch.tokens.subarray(at, at + batch.length), batch.tokens.subarray(at + 1, at + batch.length + 1)];
}

/** Mean loss of the batch; `grads` receives the gradients of that mean, summed in float64 and rounded once. */
function gradientsOf(model: Model, batch: Batch, grads: Float32Array, recompute: boolean): number {
  const sums = new Float64Array(grads.length);
  const tensors = tensorViews(model.shape, sums);
  const scale = 1 / (batch.rows * batch.length);
  let total = 0;
  for (let row = 0; row < batch.rows; row++) {
    const [inputs, targets] = rowOf(batch, row);
    for (const loss of modelBackward(model, inputs, targets, tensors, { scale, recompute })) total += loss;
  }
  grads.set(sums);
  return total * scale;
}

/** AdamW over all tensors; those of one dim, the norm gains, are not decayed. */
function update(model: Model, vectors: Vectors, scale: number, step: number, options: Required<StepOptions>): void {
  for (const { dims, offset, length } of paramLayout(model.shape)) {
    const part = (name: VectorName): Float32Array => vectors[name].subarray(offset, offset + length);
    const state = { params: part("params"), m: part("m"), v: part("v") };
    const weightDecay = dims.length > 1 ? options.weightDecay : 0;
    adamwStep(state, part("grads"), scale, step, { ...options, weightDecay });
  }
}

function mean(values: Float64Array): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/**
 * The memory of a reference engine: what is alive at the peak of a training step, in the middle of the backward pass.
 * JavaScript's garbage collector decides how much dead memory lies beside it.
 */
export function referencePlan(options: Required<EngineOptions>): MemoryPlan {
  const { shape, seqLen, recompute } = options;
  const { dim, layers, heads, kvHeads, headDim, ffnDim, vocabSize } = shape;
  const size = paramCount(shape);
  const perLayer = seqLen * (5 * dim + 2 * heads * headDim + 2 * kvHeads * headDim + 3 * ffnDim + heads * seqLen);
  const kept = recompute ? perLayer + layers * seqLen * dim : layers * perLayer;
  const regions = [
    { name: "params", bytes: 4 * size },
    { name: "gradients", bytes: 4 * size },
    { name: "first moments", bytes: 4 * size },
    { name: "second moments", bytes: 4 * size },
    { name: "gradient sums", bytes: 8 * size },
    { name: "activations", bytes: 8 * kept },
    { name: "logits and their gradients", bytes: 8 * 2 * seqLen * vocabSize },
    { name: "gradients of one tensor", bytes: 8 * Math.max(vocabSize * dim, ffnDim * dim) },
    { name: "rotations", bytes: 4 * seqLen * headDim },
  ];
  return { totalBytes: regions.reduce((total, region) => total + region.bytes, 0), regions };
}
