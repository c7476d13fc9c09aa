/**
 * The Llama-3 decoder out of its kernels, one sequence at a time: pre-norm residual blocks of attention and SwiGLU, a final
 * norm, a linear head (Touvron et al. 2023, §2.2; Grattafiori et al. 2024, §3.2). No bias, no dropout.
 *
 * Params are views into the flat vector of ../shape.ts; gradients are added into a flat float64 vector of the same layout.
 * Sequences are computed one after another in the order of the batch, so how a batch is split never changes a bit.
 */
import { must } from "../../base/assert.ts";
import type { RopeTable } from "../rope.ts";
import { type ModelShape, paramLayout } from "../shape.ts";
import { attentionBackward, attentionForward } from "./attention.ts";
import { crossEntropyBackward, crossEntropyForward } from "./crossentropy.ts";
import { embeddingBackward, embeddingForward } from "./embedding.ts";
import { matmulBackward, matmulForward } from "./matmul.ts";
import { accumulate, type Numbers, sum } from "./numbers.ts";
import { rmsnormBackward, rmsnormForward } from "./rmsnorm.ts";
import { ropeBackward, ropeForward } from "./rotary.ts";
import { swigluBackward, swigluForward } from "./swiglu.ts";

/** The tensors of one layer. */
export interface LayerTensors<T extends Numbers> {
  readonly norm1: T;
  readonly wq: T;
  readonly wk: T;
  readonly wv: T;
  readonly wo: T;
  readonly norm2: T;
  readonly wgate: T;
  readonly wup: T;
  readonly wdown: T;
}

/** The tensors of a model; with a tied head, `head` is `embed`. */
export interface ModelTensors<T extends Numbers> {
  readonly embed: T;
  readonly layers: readonly LayerTensors<T>[];
  readonly norm: T;
  readonly head: T;
}

/** A model to compute with: its shape, its params, and rotations for at least as many positions as its sequences have. */
export interface Model {
  readonly shape: ModelShape;
  readonly params: ModelTensors<Numbers>;
  readonly rope: RopeTable;
}

/** Views of every tensor within `flat`, which is laid out by `shape`. Params and gradients alike. */
export function tensorViews<T extends Numbers>(shape: ModelShape, flat: T): ModelTensors<T> {
  const views = new Map<string, T>();
  for (const { name, offset, length } of paramLayout(shape))
    views.set(name, flat.subarray(offset, offset + length) as T);
  const view = (name: string): T => must(views.get(name), name);
  const layer = (l: number): LayerTensors<T> => ({
    norm1: view(`layers.${l}.norm1`),
    wq: view(`layers.${l}.wq`),
    wk: view(`layers.${l}.wk`),
    wv: view(`layers.${l}.wv`),
    wo: view(`layers.${l}.wo`),
    norm2: view(`layers.${l}.norm2`),
    wgate: view(`layers.${l}.wgate`),
    wup: view(`layers.${l}.wup`),
    wdown: view(`layers.${l}.wdown`),
  });
  return {
    embed: view("embed"),
    layers: Array.from({ length: shape.layers }, (_, l) => layer(l)),
    norm: view("norm"),
    head: shape.tied ? view("embed") : view("head"),
  };
}

/** What the backward pass of a layer needs: everything that its forward pass computed. */
interface LayerActivations {
  readonly x: Numbers; // [length, d] input
  readonly a: Numbers; // [length, d] after norm1
  readonly q: Numbers; // [length, Hq·hd] rotated
  readonly k: Numbers; // [length, Hk·hd] rotated
  readonly v: Numbers; // [length, Hk·hd]
  readonly probs: Numbers; // [Hq, length, length]
  readonly attended: Numbers; // [length, Hq·hd]
  readonly middle: Numbers; // [length, d] after the attention's residual
  readonly b: Numbers; // [length, d] after norm2
  readonly gate: Numbers; // [length, F]
  readonly up: Numbers; // [length, F]
  readonly gated: Numbers; // [length, F]
  readonly y: Float64Array; // [length, d] output
}

/** m = x + Wo·attention(rmsnorm(x));  y = m + Wdown·swiglu(rmsnorm(m)). */
function layerForward(model: Model, l: number, x: Numbers): LayerActivations {
  const { shape, rope } = model;
  const p = must(model.params.layers[l], "layer");
  const { dim, heads, kvHeads, headDim } = shape;
  const a = rmsnormForward(x, p.norm1, shape.normEps);
  const q = ropeForward(matmulForward(a, p.wq, dim), rope, heads, headDim);
  const k = ropeForward(matmulForward(a, p.wk, dim), rope, kvHeads, headDim);
  const v = matmulForward(a, p.wv, dim);
  const { out: attended, probs } = attentionForward(q, k, v, shape);
  const middle = sum(x, matmulForward(attended, p.wo, heads * headDim));
  const b = rmsnormForward(middle, p.norm2, shape.normEps);
  const gate = matmulForward(b, p.wgate, dim);
  const up = matmulForward(b, p.wup, dim);
  const gated = swigluForward(gate, up);
  const y = sum(middle, matmulForward(gated, p.wdown, shape.ffnDim));
  return { x, a, q, k, v, probs, attended, middle, b, gate, up, gated, y };
}

/** Adds the gradients of layer l's params into `grads`; returns dx [length, d]. The layer read backwards, line by line. */
function layerBackward(
  model: Model,
  l: number,
  dy: Numbers,
  saved: LayerActivations,
  grads: ModelTensors<Float64Array>,
): Numbers {
  const { shape, rope } = model;
  const p = must(model.params.layers[l], "layer");
  const g = must(grads.layers[l], "layer");
  const { dim, heads, kvHeads, headDim } = shape;
  const back = (dout: Numbers, x: Numbers, w: Numbers, inDim: number, into: Float64Array): Float64Array => {
    const { dx, dw } = matmulBackward(dout, x, w, inDim);
    accumulate(into, dw);
    return dx;
  };
  const dgated = back(dy, saved.gated, p.wdown, shape.ffnDim, g.wdown);
  const { dgate, dup } = swigluBackward(dgated, saved.gate, saved.up);
  const db = sum(back(dup, saved.b, p.wup, dim, g.wup), back(dgate, saved.b, p.wgate, dim, g.wgate));
  const norm2 = rmsnormBackward(db, saved.middle, p.norm2, shape.normEps);
  accumulate(g.norm2, norm2.dgain);
  const dmiddle = sum(dy, norm2.dx);
  const dattended = back(dmiddle, saved.attended, p.wo, heads * headDim, g.wo);
  const { dq, dk, dv } = attentionBackward(dattended, saved, shape);
  const dav = back(dv, saved.a, p.wv, dim, g.wv);
  const dak = back(ropeBackward(dk, rope, kvHeads, headDim), saved.a, p.wk, dim, g.wk);
  const daq = back(ropeBackward(dq, rope, heads, headDim), saved.a, p.wq, dim, g.wq);
  const norm1 = rmsnormBackward(sum(sum(dav, dak), daq), saved.x, p.norm1, shape.normEps);
  accumulate(g.norm1, norm1.dgain);
  return sum(dmiddle, norm1.dx);
}

/** Final hidden state [length, d], before the final norm. */
function hiddenOf(model: Model, tokens: Int32Array): Numbers {
  let x: Numbers = embeddingForward(tokens, model.params.embed, model.shape.dim);
  for (let l = 0; l < model.shape.layers; l++) x = layerForward(model, l, x).y;
  return x;
}

/** Logits [length, V] of the token that follows each position of `tokens` [length]. */
export function modelLogits(model: Model, tokens: Int32Array): Float64Array {
  const { params, shape } = model;
  return matmulForward(rmsnormForward(hiddenOf(model, tokens), params.norm, shape.normEps), params.head, shape.dim);
}

/** Logits [V] of the token that follows the last one: only its row meets the head. */
export function lastLogits(model: Model, tokens: Int32Array): Float64Array {
  const { params, shape } = model;
  const last = hiddenOf(model, tokens).subarray((tokens.length - 1) * shape.dim);
  return matmulForward(rmsnormForward(last, params.norm, shape.normEps), params.head, shape.dim);
}

/** Cross-entropy of each target [length] after its input [length]. */
export function modelLosses(model: Model, inputs: Int32Array, targets: Int32Array): Float64Array {
  return crossEntropyForward(modelLogits(model, inputs), targets);
}

/** How to run the backward pass. */
export interface BackwardOptions {
  /** Gradients are those of scale · Σ losses. */
  readonly scale: number;
  /** Keep only each layer's input, and run its forward pass again when its turn comes. The same bits either way. */
  readonly recompute: boolean;
}

/** Adds the gradients of `scale`·Σ losses of one sequence into `grads`; returns its losses [length]. */
export function modelBackward(
  model: Model,
  inputs: Int32Array,
  targets: Int32Array,
  grads: ModelTensors<Float64Array>,
  options: BackwardOptions,
): Float64Array {
  const { params, shape } = model;
  const { dim, layers } = shape;
  const saved: (() => LayerActivations)[] = [];
  let x: Numbers = embeddingForward(inputs, params.embed, dim);
  for (let l = 0; l < layers; l++) {
    const input = x;
    const activations = layerForward(model, l, input);
    saved.push(options.recompute ? () => layerForward(model, l, input) : () => activations);
    x = activations.y;
  }
  const normed = rmsnormForward(x, params.norm, shape.normEps);
  const logits = matmulForward(normed, params.head, dim);

  const dlogits = crossEntropyBackward(logits, targets, options.scale);
  const head = matmulBackward(dlogits, normed, params.head, dim);
  accumulate(grads.head, head.dw);
  const norm = rmsnormBackward(head.dx, x, params.norm, shape.normEps);
  accumulate(grads.norm, norm.dgain);
  let dx: Numbers = norm.dx;
  for (let l = layers - 1; l >= 0; l--) dx = layerBackward(model, l, dx, must(saved[l], "layer")(), grads);
  accumulate(grads.embed, embeddingBackward(dx, inputs, shape.vocabSize, dim));
  return crossEntropyForward(logits, targets);
}
