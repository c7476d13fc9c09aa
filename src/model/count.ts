/**
 * How many params a model has, how many bytes its training state takes, and how many floating-point operations a token
 * costs: exact integers, counted from the shape alone, so that plans can be made for models no machine here could hold.
 *
 * FLOPs: a product of [m, k] by [k, n] is 2·m·k·n; the backward pass computes two products for each forward one, hence the
 * familiar 6 per param and token (Kaplan et al. 2020, §2.1) plus attention. Attention is counted causally: position t
 * attends to t + 1 positions, (T + 1) / 2 on average, where other counts take all T. Norms, softmax, RoPE, SwiGLU's product and the optimizer are
 * left out, as is customary: together below a hundredth at real sizes.
 */
import type { ModelShape } from "../engine/shape.ts";

/** Params by group. `head` is 0 where it is tied to the embedding. */
export interface ParamCounts {
  readonly embedding: number;
  readonly attention: number;
  readonly ffn: number;
  readonly norms: number;
  readonly head: number;
  readonly total: number;
}

/** Exact number of params of each group and in all. */
export function countParams(shape: ModelShape): ParamCounts {
  const { vocabSize, dim, layers, heads, kvHeads, headDim, ffnDim } = shape;
  const embedding = vocabSize * dim;
  const attention = layers * (2 * heads + 2 * kvHeads) * headDim * dim;
  const ffn = layers * 3 * ffnDim * dim;
  const norms = (2 * layers + 1) * dim;
  const head = shape.tied ? 0 : vocabSize * dim;
  return { embedding, attention, ffn, norms, head, total: embedding + attention + ffn + norms + head };
}

/** Bytes of a model's training state in float32. Activations are the engine's to plan. */
export interface StateBytes {
  readonly params: number;
  readonly gradients: number;
  /** AdamW's two moments. */
  readonly optimizer: number;
  readonly total: number;
}

/** Bytes that params, gradients and AdamW's moments take, 4 per number. */
export function stateBytes(shape: ModelShape): StateBytes {
  const params = 4 * countParams(shape).total;
  return { params, gradients: params, optimizer: 2 * params, total: 4 * params };
}

/** FLOPs of forward and backward per token, in sequences of `length` tokens; a third of it is the forward pass. */
export function trainFlopsPerToken(shape: ModelShape, length: number): number {
  const { attention, ffn } = countParams(shape);
  const products = 6 * (attention + ffn + shape.vocabSize * shape.dim);
  const scores = 6 * shape.layers * shape.heads * shape.headDim * (length + 1);
  return products + scores;
}
