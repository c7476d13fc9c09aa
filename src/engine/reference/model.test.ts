/** The composed model: its gradients against central differences in float64, and what its parts must agree on. */
import { expect, test } from "vitest";
import { must } from "../../base/assert.ts";
import { seededRandom } from "../../base/random.ts";
import { ropeTable } from "../rope.ts";
import { type ModelShape, paramCount, paramLayout } from "../shape.ts";
import { globalNorm } from "./adamw.ts";
import { lastLogits, type Model, modelBackward, modelLogits, modelLosses, tensorViews } from "./model.ts";

const BASE = { ropeTheta: 1000, normEps: 1e-5 };
const SHAPES: readonly ModelShape[] = [
  { ...BASE, vocabSize: 11, dim: 6, layers: 2, heads: 2, kvHeads: 2, headDim: 4, ffnDim: 7, tied: false },
  { ...BASE, vocabSize: 7, dim: 5, layers: 1, heads: 4, kvHeads: 2, headDim: 2, ffnDim: 3, tied: true },
  { ...BASE, vocabSize: 5, dim: 4, layers: 3, heads: 3, kvHeads: 1, headDim: 2, ffnDim: 9, tied: true },
];

function build(shape: ModelShape): { model: Model; flat: Float64Array; inputs: Int32Array; targets: Int32Array } {
  const random = seededRandom(JSON.stringify(shape));
  const flat = Float64Array.from({ length: paramCount(shape) }, () => 1.6 * random.uniform() - 0.8);
  const model = { shape, params: tensorViews(shape, flat), rope: ropeTable(shape.headDim, 16, shape.ropeTheta) };
  const tokens = Int32Array.from({ length: 10 }, () => random.below(shape.vocabSize));
  return { model, flat, inputs: tokens.subarray(0, 9), targets: tokens.subarray(1) };
}

test.each(SHAPES)("gradients of the whole model, $layers layers, $heads heads on $kvHeads, tied $tied", (shape) => {
  const { model, flat, inputs, targets } = build(shape);
  const grads = new Float64Array(flat.length);
  modelBackward(model, inputs, targets, tensorViews(shape, grads), { scale: 0.25, recompute: false });
  const f = (): number => 0.25 * modelLosses(model, inputs, targets).reduce((a, b) => a + b, 0);
  for (const { offset, length } of paramLayout(shape)) {
    const error = Float64Array.from({ length }, (_, j) => {
      const i = offset + j;
      const value = must(flat[i], "param");
      flat[i] = value + 1e-5;
      const above = f();
      flat[i] = value - 1e-5;
      const below = f();
      flat[i] = value;
      return (above - below) / 2e-5 - must(grads[i], "gradient");
    });
    const norm = globalNorm(grads.subarray(offset, offset + length));
    expect(norm).toBeGreaterThan(0);
    expect(globalNorm(error) / norm).toBeLessThan(1e-6);
  }
});

test.each(SHAPES)("recomputed activations give the same bits, $layers layers, tied $tied", (shape) => {
  const { model, flat, inputs, targets } = build(shape);
  const run = (recompute: boolean): Float64Array => {
    const grads = new Float64Array(flat.length);
    modelBackward(model, inputs, targets, tensorViews(shape, grads), { scale: 1, recompute });
    return grads;
  };
  expect(run(true)).toEqual(run(false));
});

test.each(SHAPES)("logits of a prefix are those of the whole, $layers layers, tied $tied", (shape) => {
  const { model, inputs } = build(shape);
  const all = modelLogits(model, inputs);
  for (let n = 1; n <= inputs.length; n++) {
    const row = all.subarray((n - 1) * shape.vocabSize, n * shape.vocabSize);
    expect(lastLogits(model, inputs.subarray(0, n))).toEqual(row);
  }
});
