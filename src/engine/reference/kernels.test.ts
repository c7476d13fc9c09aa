/** Every backward kernel against central differences of its forward kernel, in float64. */
import { expect, test } from "vitest";
import { must } from "../../base/assert.ts";
import { seededRandom } from "../../base/random.ts";
import { STEP_DEFAULTS } from "../engine.ts";
import { ropeTable } from "../rope.ts";
import { adamwStep, clipScale, globalNorm } from "./adamw.ts";
import { attentionBackward, attentionForward, type HeadDims } from "./attention.ts";
import { crossEntropyBackward, crossEntropyForward } from "./crossentropy.ts";
import { embeddingBackward, embeddingForward } from "./embedding.ts";
import { matmulBackward, matmulForward } from "./matmul.ts";
import type { Numbers } from "./numbers.ts";
import { rmsnormBackward, rmsnormForward } from "./rmsnorm.ts";
import { ropeBackward, ropeForward } from "./rotary.ts";
import { swigluBackward, swigluForward } from "./swiglu.ts";

const random = seededRandom("kernels");

function draw(length: number, spread = 1): Float64Array {
  return Float64Array.from({ length }, () => spread * (2 * random.uniform() - 1));
}

function drawTokens(length: number, vocab: number): Int32Array {
  return Int32Array.from({ length }, () => random.below(vocab));
}

function dot(a: Numbers, b: Numbers): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += must(a[i], "a") * must(b[i], "b");
  return total;
}

/**
 * Expects `grads` to be the gradients of `f` with respect to each element of `inputs`, which `f` reads: the error of the whole
 * tensor stays below 1e-8 of its norm.
 */
function expectGradients(f: () => number, inputs: readonly Float64Array[], grads: readonly Float64Array[]): void {
  inputs.forEach((input, which) => {
    const grad = must(grads[which], "gradient");
    expect(grad.length).toBe(input.length);
    const step = 1e-5;
    const error = Float64Array.from(input, (value, i) => {
      input[i] = value + step;
      const above = f();
      input[i] = value - step;
      const below = f();
      input[i] = value;
      return (above - below) / (2 * step) - must(grad[i], "gradient");
    });
    expect(globalNorm(grad)).toBeGreaterThan(0);
    expect(globalNorm(error) / globalNorm(grad)).toBeLessThan(1e-8);
  });
}

test.each([
  [1, 1, 1],
  [3, 5, 7],
  [13, 10, 4],
])("matmul of %i rows from %i to %i", (rows, inDim, outDim) => {
  const [x, w, dy] = [draw(rows * inDim), draw(outDim * inDim), draw(rows * outDim)];
  const { dx, dw } = matmulBackward(dy, x, w, inDim);
  expectGradients(() => dot(matmulForward(x, w, inDim), dy), [x, w], [dx, dw]);
});

test("matmul multiplies by the transpose of an [out, in] matrix", () => {
  const y = matmulForward(Float64Array.of(1, 2), Float64Array.of(10, 20, 30, 40, 50, 60), 2);
  expect([...y]).toEqual([50, 110, 170]);
});

test.each([
  [1, 3],
  [4, 7],
])("rmsnorm of %i rows of %i", (rows, dim) => {
  const [x, gain, dy] = [draw(rows * dim), draw(dim), draw(rows * dim)];
  const { dx, dgain } = rmsnormBackward(dy, x, gain, 1e-3);
  expectGradients(() => dot(rmsnormForward(x, gain, 1e-3), dy), [x, gain], [dx, dgain]);
});

test("rmsnorm gives rows of mean square one", () => {
  const y = rmsnormForward(draw(50, 9), new Float64Array(50).fill(1), 1e-12);
  expect(dot(y, y) / 50).toBeCloseTo(1, 10);
});

test.each([
  [5, 1, 2],
  [7, 3, 10],
])("rope at %i positions, %i heads of %i", (length, heads, headDim) => {
  const table = ropeTable(headDim, length, 10000);
  const [x, dy] = [draw(length * heads * headDim), draw(length * heads * headDim)];
  const dx = ropeBackward(dy, table, heads, headDim);
  expectGradients(() => dot(ropeForward(x, table, heads, headDim), dy), [x], [dx]);
});

test("rope makes scores depend on the distance alone", () => {
  const [length, headDim] = [9, 6];
  const table = ropeTable(headDim, length, 100);
  const [q, k] = [draw(headDim), draw(headDim)];
  const everywhere = (x: Numbers): Numbers =>
    ropeForward(
      Float64Array.from({ length: length * headDim }, (_, i) => must(x[i % headDim], "x")),
      table,
      1,
      headDim,
    );
  const [qs, ks] = [everywhere(q), everywhere(k)];
  const score = (t: number, s: number): number =>
    dot(qs.subarray(t * headDim, (t + 1) * headDim), ks.subarray(s * headDim, (s + 1) * headDim));
  expect(score(0, 0)).toBeCloseTo(dot(q, k), 12);
  expect(score(8, 5)).toBeCloseTo(score(3, 0), 6);
  expect(Math.abs(score(8, 5) - score(8, 4))).toBeGreaterThan(1e-3);
});

test.each<HeadDims & { length: number }>([
  { length: 1, heads: 1, kvHeads: 1, headDim: 2 },
  { length: 5, heads: 2, kvHeads: 2, headDim: 4 },
  { length: 7, heads: 6, kvHeads: 2, headDim: 2 },
  { length: 6, heads: 3, kvHeads: 1, headDim: 10 },
])("attention $length long, $heads heads on $kvHeads of $headDim", (dims) => {
  const { length, heads, kvHeads, headDim } = dims;
  const [q, dout] = [draw(length * heads * headDim, 2), draw(length * heads * headDim)];
  const [k, v] = [draw(length * kvHeads * headDim, 2), draw(length * kvHeads * headDim)];
  const { probs } = attentionForward(q, k, v, dims);
  const { dq, dk, dv } = attentionBackward(dout, { q, k, v, probs }, dims);
  const f = (): number => dot(attentionForward(q, k, v, dims).out, dout);
  if (length === 1) expectGradients(f, [v], [dv]);
  else expectGradients(f, [q, k, v], [dq, dk, dv]);
});

test("attention looks at no later position, and each head at its own group's keys", () => {
  const dims = { heads: 4, kvHeads: 2, headDim: 2 };
  const [q, k, v] = [draw(3 * 8), draw(3 * 4), draw(3 * 4)];
  const before = attentionForward(q, k, v, dims).out;
  v[2 * 4 + 3] = 100; // position 2, second key/value head
  const after = attentionForward(q, k, v, dims).out;
  const changed = [...after].flatMap((value, i) => (value === before[i] ? [] : [i]));
  expect(changed).toEqual([2 * 8 + 5, 2 * 8 + 7]); // position 2, query heads 2 and 3
});

test("swiglu", () => {
  const [gate, up, dy] = [draw(31, 6), draw(31), draw(31)];
  const { dgate, dup } = swigluBackward(dy, gate, up);
  expectGradients(() => dot(swigluForward(gate, up), dy), [gate, up], [dgate, dup]);
});

test("swiglu's far ends are zero and the identity", () => {
  const y = swigluForward(Float64Array.of(-1e4, 1e4), Float64Array.of(3, 3));
  expect(Math.abs(must(y[0], "y"))).toBe(0);
  expect(y[1]).toBe(3e4);
});

test.each([
  [1, 3],
  [5, 67],
])("cross-entropy of %i rows over %i", (rows, vocab) => {
  const [logits, targets] = [draw(rows * vocab, 4), drawTokens(rows, vocab)];
  const dlogits = crossEntropyBackward(logits, targets, 0.3);
  const f = (): number => 0.3 * crossEntropyForward(logits, targets).reduce((a, b) => a + b, 0);
  expectGradients(f, [logits], [dlogits]);
});

test("cross-entropy of equal logits is the logarithm of their number, however large they are", () => {
  const losses = crossEntropyForward(new Float64Array(2 * 50).fill(1e5), Int32Array.of(0, 49));
  for (const loss of losses) expect(loss).toBeCloseTo(Math.log(50), 9);
});

test("embedding, with a token that occurs twice", () => {
  const tokens = Int32Array.of(3, 0, 3, 4);
  const [table, dx] = [draw(5 * 3), draw(4 * 3)];
  const dtable = embeddingBackward(dx, tokens, 5, 3);
  expectGradients(() => dot(embeddingForward(tokens, table, 3), dx), [table], [dtable]);
  expect([...dtable.subarray(3, 9)]).toEqual(new Array(6).fill(0));
});

test("clipping leaves small gradients alone and scales large ones to the limit", () => {
  const grads = Float64Array.of(3, 4);
  expect(globalNorm(grads)).toBe(5);
  expect(clipScale(5, 5)).toBe(1);
  expect(clipScale(5, Number.POSITIVE_INFINITY)).toBe(1);
  expect(clipScale(5, 1)).toBeCloseTo(0.2, 15);
});

test("AdamW's first step moves each param by lr against the sign of its gradient, and decays it by lr·decay", () => {
  const state = { params: Float64Array.of(2, -1), m: new Float64Array(2), v: new Float64Array(2) };
  adamwStep(state, Float64Array.of(0.5, -8), 1, 1, { ...STEP_DEFAULTS, lr: 0.01, weightDecay: 0.1, eps: 1e-12 });
  expect(state.params[0]).toBeCloseTo(2 - 0.01 - 0.01 * 0.1 * 2, 10);
  expect(state.params[1]).toBeCloseTo(-1 + 0.01 + 0.01 * 0.1, 10);
});

test("AdamW's moments are the decayed sums of the scaled gradients and their squares", () => {
  const state = { params: Float64Array.of(1), m: Float64Array.of(0), v: Float64Array.of(0) };
  const options = { ...STEP_DEFAULTS, lr: 0, beta1: 0.5, beta2: 0.75 };
  adamwStep(state, Float64Array.of(4), 0.5, 1, options);
  adamwStep(state, Float64Array.of(-8), 0.5, 2, options);
  expect(state.m[0]).toBe(0.5 * 0.5 * 2 + 0.5 * -4);
  expect(state.v[0]).toBe(0.75 * 0.25 * 4 + 0.25 * 16);
  expect(state.params[0]).toBe(1);
});
