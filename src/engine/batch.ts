/**
 * What every engine checks before it computes: settings, batches, prompts, ranges, step options. One place, so that all
 * engines refuse the same things with the same words, and the compute kernels may index by token without asking again.
 *
 * All of it is SkeinError (code "config" for settings, "data" for tokens): tokens come from files and strangers, and an
 * engine that has refused a batch must be as usable as before.
 */
import { SkeinError, shown } from "../base/errors.ts";
import { SEQ_MAX, THREADS_MAX } from "../base/limits.ts";
import { type Batch, type EngineOptions, STEP_DEFAULTS, type StepOptions } from "./engine.ts";
import { checkShape } from "./shape.ts";

/** Rows an engine may be asked to compute at a time. */
const MICRO_BATCH_MAX = 1 << 16;

/** The settings of an open engine that bound what it may be given. */
export type BatchLimits = Pick<EngineOptions, "shape" | "seqLen">;

function whole(what: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw new SkeinError("config", `${what} must be a whole number from ${min} to ${max}, not ${shown(value)}`);
}

/** `options` with its defaults filled in; `threads` is the default number of threads. Throws SkeinError("config"). */
export function checkOptions(options: EngineOptions, threads: number): Required<EngineOptions> {
  checkShape(options.shape);
  const full = { ...options, threads: options.threads ?? threads, recompute: options.recompute ?? false };
  whole("sequence length", full.seqLen, 1, SEQ_MAX);
  whole("micro-batch", full.microBatch, 1, MICRO_BATCH_MAX);
  whole("threads", full.threads, 1, THREADS_MAX);
  return full;
}

function checkTokenRange(tokens: Int32Array, vocabSize: number): void {
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as number;
    if (token >= 0 && token < vocabSize) continue;
    throw new SkeinError("data", `token ${token} at index ${i} lies outside the vocabulary of ${vocabSize}`, {
      remedy: "use the tokenizer that the model was made for",
    });
  }
}

function checkLength(length: number, seqLen: number): void {
  if (Number.isSafeInteger(length) && length >= 1 && length <= seqLen) return;
  throw new SkeinError("data", `a sequence must have 1 to ${seqLen} tokens, not ${shown(length)}`, {
    remedy: "cut the text into shorter sequences, or open the engine with a larger seqLen",
  });
}

/** Throws SkeinError("data") unless `batch` fits the engine: rows ≥ 1, 1 ≤ length ≤ seqLen, rows·(length + 1) tokens in [0, V). */
export function checkBatch(batch: Batch, limits: BatchLimits): void {
  const { tokens, rows, length } = batch;
  if (!(tokens instanceof Int32Array)) throw new SkeinError("data", "the tokens of a batch must be an Int32Array");
  if (!Number.isSafeInteger(rows) || rows < 1) {
    throw new SkeinError("data", `a batch must have at least one row, not ${shown(rows)}`);
  }
  checkLength(length, limits.seqLen);
  if (tokens.length !== rows * (length + 1)) {
    const expected = `${rows} rows of ${length} + 1 tokens`;
    throw new SkeinError("data", `a batch of ${expected} needs ${rows * (length + 1)} tokens, not ${tokens.length}`);
  }
  checkTokenRange(tokens, limits.shape.vocabSize);
}

/** Throws SkeinError("data") unless `tokens` holds 1 to seqLen tokens in [0, V). */
export function checkPrompt(tokens: Int32Array, limits: BatchLimits): void {
  if (!(tokens instanceof Int32Array)) throw new SkeinError("data", "the tokens of a prompt must be an Int32Array");
  checkLength(tokens.length, limits.seqLen);
  checkTokenRange(tokens, limits.shape.vocabSize);
}

/** Throws SkeinError("config") unless [offset, offset + length) lies in a vector of `size` elements. */
export function checkRange(offset: number, length: number, size: number): void {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (inside && offset + length <= size) return;
  throw new SkeinError("config", `elements ${offset} to ${offset + length} lie outside a vector of ${size}`);
}

/** Throws SkeinError("config") unless `steps` is a whole number of steps. */
export function checkStepCount(steps: number): void {
  whole("step count", steps, 0, Number.MAX_SAFE_INTEGER);
}

/** `options` with its defaults filled in; throws SkeinError("config") where a value makes no sense. */
export function checkStep(options: StepOptions): Required<StepOptions> {
  const full = { ...STEP_DEFAULTS, ...options };
  const inside = (name: keyof StepOptions, ok: boolean): void => {
    if (!ok) throw new SkeinError("config", `step option ${name} cannot be ${shown(full[name])}`);
  };
  inside("lr", full.lr >= 0 && full.lr < Number.POSITIVE_INFINITY);
  inside("beta1", full.beta1 >= 0 && full.beta1 < 1);
  inside("beta2", full.beta2 >= 0 && full.beta2 < 1);
  inside("eps", full.eps > 0 && full.eps < 1);
  inside("weightDecay", full.weightDecay >= 0 && full.weightDecay < Number.POSITIVE_INFINITY);
  inside("clipNorm", full.clipNorm > 0);
  return full;
}
