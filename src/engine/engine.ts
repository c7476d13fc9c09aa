/**
 * The door to computation, at the level of a training step, so that very different machines fit behind it: our own kernels
 * (WASM or native), the slow reference, later GPUs and PyTorch workers. One contract suite (test/contract/engine.ts) runs
 * over every implementation.
 *
 * A model lives inside its engine as flat float32 vectors in the layout of shape.ts. An engine does one thing at a time: calls
 * made while another is under way wait their turn.
 */
import type { ModelShape } from "./shape.ts";

/** Token sequences for training or evaluation: `rows` rows of `length` + 1 tokens; the first `length` are inputs, the last `length` targets. */
export interface Batch {
  /** Row-major [rows, length + 1], each in [0, vocabSize). */
  readonly tokens: Int32Array;
  readonly rows: number;
  readonly length: number;
}

/** AdamW hyperparameters of one step (Loshchilov & Hutter 2019, algorithm 2, decay scaled by lr). */
export interface StepOptions {
  readonly lr: number;
  readonly beta1?: number; // default 0.9
  readonly beta2?: number; // default 0.95
  readonly eps?: number; // default 1e-8
  /** Decay applied to tensors of two dims; norm gains are not decayed. Default 0.1. */
  readonly weightDecay?: number;
  /** Largest global gradient norm; gradients are scaled down to it. Default 1.0; Infinity turns it off. */
  readonly clipNorm?: number;
}

/** The defaults of `StepOptions`: those of Covenant-72B. */
export const STEP_DEFAULTS = { beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, clipNorm: 1 } as const;

/** What a step did. */
export interface StepResult {
  /** Mean cross-entropy over all targets, in nats, before the update. */
  readonly loss: number;
  /** Global L2 norm of the gradients before clipping. */
  readonly gradNorm: number;
  /** False where loss or gradients were not finite: then params, moments and step count are as they were. */
  readonly applied: boolean;
}

/** Vectors an engine holds: params, gradients of the last backward pass, AdamW's first and second moments. */
export type VectorName = "params" | "grads" | "m" | "v";

/** A part of a memory plan. */
export interface MemoryRegion {
  readonly name: string;
  readonly bytes: number;
}

/** Memory an engine takes for given settings, known before it is built. */
export interface MemoryPlan {
  readonly totalBytes: number;
  readonly regions: readonly MemoryRegion[];
}

/** How an engine is to be laid out. */
export interface EngineOptions {
  readonly shape: ModelShape;
  /** Longest sequence it will see. */
  readonly seqLen: number;
  /** Rows computed at a time; larger batches are accumulated. Never changes a result of a deterministic engine. */
  readonly microBatch: number;
  /** Compute threads. Never changes a result of a deterministic engine. Default: the machine's. */
  readonly threads?: number;
  /** Keep only each layer's input and recompute the rest in the backward pass: less memory, about a third more work. Default false. */
  readonly recompute?: boolean;
}

/** A model on some machine that can be trained and asked. Close it when done. */
export interface Engine {
  /** "exact" or "reference" (later: others). */
  readonly name: string;
  /** What runs it, for people: "native avx512", "wasm simd128", … */
  readonly backend: string;
  /** Whether every machine computes the same bits. */
  readonly deterministic: boolean;
  readonly options: Required<EngineOptions>;
  readonly plan: MemoryPlan;

  /** Copies elements [offset, offset + length) of a vector out; by default all of it. */
  read(vector: VectorName, offset?: number, length?: number): Promise<Float32Array>;
  /** Copies `values` into a vector from `offset` (default 0). */
  write(vector: VectorName, values: Float32Array, offset?: number): Promise<void>;
  /** Optimizer steps taken; the moments' bias correction depends on it. */
  stepCount(): number;
  setStepCount(steps: number): void;

  /** Forward and backward over the whole batch: mean loss; gradients are left in "grads". */
  gradients(batch: Batch): Promise<{ readonly loss: number }>;
  /** One optimizer step: gradients, clip, AdamW. */
  trainStep(batch: Batch, options: StepOptions): Promise<StepResult>;
  /** Mean cross-entropy of each row, in nats. */
  losses(batch: Batch): Promise<Float64Array>;
  /** Logits [vocabSize] for the token that follows `tokens` (1 to seqLen of them). */
  logits(tokens: Int32Array): Promise<Float32Array>;
  /** Releases memory and threads. The engine is unusable afterwards. */
  close(): Promise<void>;
}
