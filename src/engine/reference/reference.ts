/**
 * The reference engine: the judge of the fast ones. Slow and obvious TypeScript, the mathematics in plain sight in the kernels
 * beside this file, and nothing but them.
 *
 * Vectors ("params", "grads", "m", "v") are stored in float32, as every engine stores them; activations, gradient sums and all
 * arithmetic are float64. Only + − × ÷, √ and base/exactmath are used, in a fixed order, so it computes the same bits
 * everywhere. It works on one sequence at a time, whatever `microBatch` says, and on one thread, whatever `threads` says.
 */
import { checkOptions } from "../batch.ts";
import type { Batch, Engine, EngineOptions, MemoryPlan } from "../engine.ts";
import { plainEngine, zeroVectors } from "../plain.ts";
import { ropeTable } from "../rope.ts";
import { paramCount } from "../shape.ts";
import { lastLogits, type Model, modelBackward, modelLosses, tensorViews } from "./model.ts";

/** Opens a reference engine: all params, moments and the step count are zero. Throws SkeinError("config") for bad options. */
export function openReference(options: EngineOptions): Promise<Engine> {
  return Promise.resolve().then(() => buildReference(checkOptions(options, 1)));
}

function buildReference(options: Required<EngineOptions>): Engine {
  const { shape, seqLen, recompute } = options;
  const vectors = zeroVectors(paramCount(shape));
  const rope = ropeTable(shape.headDim, seqLen, shape.ropeTheta);
  const model: Model = { shape, params: tensorViews(shape, vectors.params), rope };
  return plainEngine(options, {
    name: "reference",
    plan: referencePlan(options),
    vectors,
    gradients: (batch) => gradientsOf(model, batch, vectors.grads, recompute),
    losses: (batch) =>
      Float64Array.from({ length: batch.rows }, (_, row) => mean(modelLosses(model, ...rowOf(batch, row)))),
    logits: (tokens) => Float32Array.from(lastLogits(model, tokens)),
  });
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
