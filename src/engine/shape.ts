/**
 * The shape of a Llama-3 style decoder and the layout of its params in one flat float32 vector.
 *
 * Layout, in this order: embed [V, d]; per layer: norm1 [d], wq [Hq·hd, d], wk [Hk·hd, d], wv [Hk·hd, d], wo [d, Hq·hd],
 * norm2 [d], wgate [F, d], wup [F, d], wdown [d, F]; then norm [d]; then head [V, d] unless tied. Matrices are row-major
 * [out, in], as PyTorch's Linear and Hugging Face files hold them, so y = x·Wᵀ. wq, wk, wv follow each other, and so do wgate
 * and wup: the kernels multiply by each group as by one matrix.
 */
import { SkeinError, shown } from "../base/errors.ts";
import { DIM_MAX, LAYERS_MAX, VOCAB_MAX } from "../base/limits.ts";

/** Everything that determines which numbers a model has and how they combine. */
export interface ModelShape {
  /** Vocabulary size V. */
  readonly vocabSize: number;
  /** Width d of the residual stream. */
  readonly dim: number;
  readonly layers: number;
  /** Query heads Hq. */
  readonly heads: number;
  /** Key/value heads Hk; divides `heads` (GQA). */
  readonly kvHeads: number;
  /** Width hd of one head; even. Usually dim / heads. */
  readonly headDim: number;
  /** Width F of the SwiGLU feed-forward. */
  readonly ffnDim: number;
  /** RoPE base θ. */
  readonly ropeTheta: number;
  /** ε inside RMSNorm's square root. */
  readonly normEps: number;
  /** Whether the output head is the embedding itself. */
  readonly tied: boolean;
}

/** One named tensor within the flat vector. */
export interface ParamEntry {
  readonly name: string;
  readonly dims: readonly number[];
  /** Index of its first element in the flat vector. */
  readonly offset: number;
  /** Its number of elements. */
  readonly length: number;
}

/** Throws SkeinError("config") unless `shape` describes a model. Accepts untrusted values. */
export function checkShape(shape: ModelShape): void {
  const int = (name: keyof ModelShape, max: number): void => {
    const value = shape[name];
    if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > max) {
      throw new SkeinError("config", `model ${name} must be a whole number from 1 to ${max}, not ${shown(value)}`);
    }
  };
  int("vocabSize", VOCAB_MAX);
  int("dim", DIM_MAX);
  int("layers", LAYERS_MAX);
  int("heads", DIM_MAX);
  int("kvHeads", DIM_MAX);
  int("headDim", DIM_MAX);
  int("ffnDim", DIM_MAX);
  if (shape.heads % shape.kvHeads !== 0) {
    throw new SkeinError("config", `model heads (${shape.heads}) must be a multiple of kvHeads (${shape.kvHeads})`);
  }
  if (shape.headDim % 2 !== 0) throw new SkeinError("config", `model headDim must be even, not ${shape.headDim}`);
  if (!(shape.ropeTheta > 1 && shape.ropeTheta <= 1e12)) {
    throw new SkeinError("config", `model ropeTheta must lie in (1, 1e12], not ${shown(shape.ropeTheta)}`);
  }
  if (!(shape.normEps > 0 && shape.normEps < 1)) {
    throw new SkeinError("config", `model normEps must lie in (0, 1), not ${shown(shape.normEps)}`);
  }
  if (typeof shape.tied !== "boolean") throw new SkeinError("config", "model tied must be true or false");
}

/** Names, dims and offsets of all params, in flat order. */
export function paramLayout(shape: ModelShape): ParamEntry[] {
  const { vocabSize: v, dim: d, heads, kvHeads, headDim: hd, ffnDim: f } = shape;
  const entries: ParamEntry[] = [];
  let offset = 0;
  const add = (name: string, ...dims: number[]): void => {
    const length = dims.reduce((a, b) => a * b, 1);
    entries.push({ name, dims, offset, length });
    offset += length;
  };
  add("embed", v, d);
  for (let l = 0; l < shape.layers; l++) {
    const p = `layers.${l}.`;
    add(`${p}norm1`, d);
    add(`${p}wq`, heads * hd, d);
    add(`${p}wk`, kvHeads * hd, d);
    add(`${p}wv`, kvHeads * hd, d);
    add(`${p}wo`, d, heads * hd);
    add(`${p}norm2`, d);
    add(`${p}wgate`, f, d);
    add(`${p}wup`, f, d);
    add(`${p}wdown`, d, f);
  }
  add("norm", d);
  if (!shape.tied) add("head", v, d);
  return entries;
}

/** Total number of params, exact. */
export function paramCount(shape: ModelShape): number {
  const { vocabSize: v, dim: d, heads, kvHeads, headDim: hd, ffnDim: f } = shape;
  const perLayer = 2 * d + 2 * heads * hd * d + 2 * kvHeads * hd * d + 3 * f * d;
  return v * d * (shape.tied ? 1 : 2) + shape.layers * perLayer + d;
}
