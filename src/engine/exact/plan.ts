/**
 * The exact engine's static memory plan: every byte it will ever use, laid out before it starts. A pure function of the options, so
 * that `skein doctor` can plan models far larger than this machine. The order of slots and regions mirrors the enums of
 * kernels/arena.h; `ABI` there and here must agree, which is checked when an engine opens.
 *
 * Aliases: the feed-forward's scratch, attention's scratch and the logits chunk are never alive together and share "work". With
 * recomputation one layer's activations are kept instead of all; each layer's input always is.
 */
import { assert } from "../../base/assert.ts";
import type { EngineOptions, MemoryPlan, MemoryRegion } from "../engine.ts";
import { type ModelShape, paramCount, paramLayout } from "../shape.ts";

/** Version of the arena's layout, shared with kernels/arena.h. */
export const ABI = 3;

/** Header slots (float64 each), in the order of arena.h's first enum. */
export const SLOT = {
  abi: 0,
  vocab: 1,
  dim: 2,
  layers: 3,
  heads: 4,
  kvHeads: 5,
  headDim: 6,
  ffn: 7,
  tied: 8,
  normEps: 9,
  threads: 10,
  recompute: 11,
  chunkRows: 12,
  segments: 13,
  rows: 14,
  length: 15,
  scale: 16,
  wantGrads: 17,
  lr: 18,
  beta1: 19,
  beta2: 20,
  adamEps: 21,
  decay: 22,
  correct1: 23,
  correct2: 24,
  clip: 25,
  squares: 26,
  regions: 32,
} as const;

/** Slots in the header. */
export const HEADER_SLOTS = 96;

/** Regions in the order of arena.h's second enum; a name ending in "Stride" holds bytes between layers or threads. */
const REGION_ORDER = [
  "params",
  "grads",
  "m",
  "v",
  "embedGrads",
  "cos",
  "sin",
  "tokens",
  "targets",
  "segments",
  "partial",
  "rowLoss",
  "panel",
  "scratch",
  "scratchStride",
  "x",
  "xStride",
  "qkv",
  "qkvStride",
  "o",
  "oStride",
  "stats",
  "statsStride",
  "x2",
  "x2Stride",
  "inv1",
  "inv2",
  "invStride",
  "gu",
  "guStride",
  "normed",
  "dx",
  "dnormed",
  "dout",
  "dqkv",
  "s",
  "ds",
  "logits",
  "invFinal",
] as const; // prettier-ignore

/** The threads' meeting place, right after the header (arena.h: HEADER_BYTES). */
const TEAM_BYTES = 256;

/** Name of a place in the arena. */
export type RegionName = (typeof REGION_ORDER)[number];

/** Elements of one optimizer segment at most; part of the definition of the gradient norm, so never change it alone. */
const SEGMENT = 65_536;

// Upper bounds over all builds of exact.c (its tile constants differ by instruction set).
const NR_MAX = 64;
const PACK_FLOATS = 96 * 256; // MC·KC
const PANEL_FLOATS = 256 * 512; // KC·NC
const QUERY_BLOCK = 48; // QB

/** A plan with everything exact.c needs to know. */
export interface ExactPlan extends MemoryPlan {
  /** Byte offset (or stride) of each region within the arena. */
  readonly at: Readonly<Record<RegionName, number>>;
  /** Rows of logits held at a time. */
  readonly chunkRows: number;
}

/** Optimizer segments: runs of at most 65,536 params of one tensor, with whether weight decay applies (two-dimensional tensors). */
export function segmentTable(shape: ModelShape): Float64Array {
  const out: number[] = [];
  for (const entry of paramLayout(shape)) {
    for (let i = 0; i < entry.length; i += SEGMENT) {
      out.push(entry.offset + i, Math.min(SEGMENT, entry.length - i), entry.dims.length > 1 ? 1 : 0);
    }
  }
  return Float64Array.from(out);
}

function segmentCount(shape: ModelShape): number {
  const { vocabSize: v, dim: d, heads, kvHeads, headDim: hd, ffnDim: f } = shape;
  const pieces = (n: number): number => Math.ceil(n / SEGMENT);
  const perLayer = 2 * pieces(d) + 2 * pieces(heads * hd * d) + 2 * pieces(kvHeads * hd * d) + 3 * pieces(f * d);
  return pieces(v * d) * (shape.tied ? 1 : 2) + shape.layers * perLayer + pieces(d);
}

function scratchFloats(shape: ModelShape, seqLen: number): number {
  const hd = shape.headDim;
  const keys = 2 * (seqLen + NR_MAX) * hd + (hd + NR_MAX) * seqLen; // Kᵀ, Vᵀ and K, packed
  const block = 2 * (hd + NR_MAX) * QUERY_BLOCK + 2 * QUERY_BLOCK * (seqLen + 32); // Q, dO; P, dP
  return PACK_FLOATS + keys + block + 64;
}

/**
 * The memory the exact engine takes for `options`: exact to the byte, the same for WASM and native builds.
 * `threads` must be given. Peak memory of the process is this plus the runtime's own (Node: 45–70 MB).
 */
export function planExact(options: Required<EngineOptions>): ExactPlan {
  const { shape, seqLen, microBatch, threads, recompute } = options;
  const { vocabSize: v, dim: d, layers, heads, kvHeads, headDim: hd, ffnDim: f } = shape;
  const [q, kv] = [heads * hd, kvHeads * hd];
  const qkv = q + 2 * kv;
  const rows = microBatch * seqLen;
  const params = paramCount(shape);
  const kept = recompute ? 1 : layers;
  const bytes = 4;
  const regions: MemoryRegion[] = [];
  const at: Partial<Record<RegionName, number>> = {};
  let total = 0;
  const place = (label: string, size: number, ...names: RegionName[]): number => {
    const start = total;
    for (const name of names) at[name] = start;
    total += Math.ceil(size / 64) * 64;
    regions.push({ name: label, bytes: total - start });
    return start;
  };
  const perLayer = (label: string, name: RegionName, stride: RegionName, floats: number, count: number): void => {
    const size = Math.ceil((floats * bytes) / 64) * 64;
    place(label, size * count, name);
    at[stride] = count === 1 ? 0 : size;
  };
  place("header", HEADER_SLOTS * 8);
  place("thread team", TEAM_BYTES);
  place("params", params * bytes, "params");
  place("gradients", params * bytes, "grads");
  place("moment m", params * bytes, "m");
  place("moment v", params * bytes, "v");
  place("embedding gradients", shape.tied ? v * d * bytes : 0, "embedGrads");
  place("rope cosines", seqLen * (hd / 2) * bytes, "cos");
  place("rope sines", seqLen * (hd / 2) * bytes, "sin");
  place("tokens", rows * 4, "tokens");
  place("targets", rows * 4, "targets");
  place("optimizer segments", segmentCount(shape) * 24, "segments");
  place("norm partials", segmentCount(shape) * 8, "partial");
  place("row losses", rows * 8, "rowLoss");
  place("matrix panel", PANEL_FLOATS * bytes, "panel");
  const scratch = Math.ceil((scratchFloats(shape, seqLen) * bytes) / 64) * 64;
  place("thread scratch", scratch * threads, "scratch");
  at.scratchStride = scratch;
  perLayer("layer inputs", "x", "xStride", rows * d, layers + 1);
  perLayer("queries, keys, values", "qkv", "qkvStride", rows * qkv, kept);
  perLayer("attention outputs", "o", "oStride", rows * q, kept);
  perLayer("softmax statistics", "stats", "statsStride", rows * heads * 2, kept);
  perLayer("mid-layer residuals", "x2", "x2Stride", rows * d, kept);
  perLayer("norm statistics 1", "inv1", "invStride", rows, kept);
  perLayer("norm statistics 2", "inv2", "invStride", rows, kept);
  perLayer("gates and ups", "gu", "guStride", rows * 2 * f, kept);
  place("normed", rows * d * bytes, "normed");
  place("gradient of residual", rows * d * bytes, "dx");
  place("gradient of normed", rows * d * bytes, "dnormed");
  place("final norm statistics", rows * bytes, "invFinal");
  const logitsRow = v + 16;
  const ffnFloats = 2 * rows * f;
  const attentionFloats = rows * (q + qkv);
  const chunkRows = Math.max(
    1,
    Math.min(rows, Math.floor(Math.max(ffnFloats, attentionFloats, 64 * logitsRow) / logitsRow)),
  );
  const work = place(
    "work",
    Math.max(ffnFloats, attentionFloats, chunkRows * logitsRow) * bytes + 64,
    "s",
    "dout",
    "logits",
  );
  at.ds = work + rows * f * bytes;
  at.dqkv = work + rows * q * bytes;
  assert(Number.isSafeInteger(total), "memory plan beyond exact integers");
  return { totalBytes: total, regions, at: at as Record<RegionName, number>, chunkRows };
}

/** The header of a fresh arena: dimensions and region offsets; the run's arguments are filled in per operation. */
export function planHeader(options: Required<EngineOptions>, plan: ExactPlan): Float64Array {
  const { shape } = options;
  const header = new Float64Array(HEADER_SLOTS);
  header[SLOT.abi] = ABI;
  header[SLOT.vocab] = shape.vocabSize;
  header[SLOT.dim] = shape.dim;
  header[SLOT.layers] = shape.layers;
  header[SLOT.heads] = shape.heads;
  header[SLOT.kvHeads] = shape.kvHeads;
  header[SLOT.headDim] = shape.headDim;
  header[SLOT.ffn] = shape.ffnDim;
  header[SLOT.tied] = shape.tied ? 1 : 0;
  header[SLOT.normEps] = shape.normEps;
  header[SLOT.threads] = options.threads;
  header[SLOT.recompute] = options.recompute ? 1 : 0;
  header[SLOT.chunkRows] = plan.chunkRows;
  header[SLOT.segments] = segmentCount(shape);
  for (const [i, name] of REGION_ORDER.entries()) header[SLOT.regions + i] = plan.at[name];
  return header;
}
