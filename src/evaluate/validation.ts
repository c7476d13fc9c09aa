/**
 * Validation loss: mean cross-entropy over a fixed, evenly spaced subset of a split. The subset depends on the split and the
 * settings only, so that numbers from different steps, runs and machines compare.
 */
import { assert } from "../base/assert.ts";
import { SkeinError } from "../base/errors.ts";
import type { TokenSource } from "../data/dataset.ts";
import type { Engine } from "../engine/engine.ts";

/** How much to measure. */
export interface ValidationOptions {
  /** Sequences at most; fewer where the split has fewer. */
  readonly sequences: number;
  /** Tokens in each. */
  readonly length: number;
}

/** A measured loss. */
export interface ValidationResult {
  /** Mean cross-entropy per token, in nats. */
  readonly loss: number;
  readonly sequences: number;
  readonly tokens: number;
}

/** Indices of at most `wanted` of `available` sequences, evenly spaced, ascending, none twice. */
export function spacedIndices(available: number, wanted: number): number[] {
  const count = Math.min(available, wanted);
  return Array.from({ length: count }, (_, i) => Math.floor((i * available) / count));
}

/** `source`'s sequences at `indices` as one batch [indices.length, length + 1]. */
export async function batchOf(
  source: TokenSource,
  indices: readonly number[],
  length: number,
): Promise<{ tokens: Int32Array; rows: number; length: number }> {
  const tokens = new Int32Array(indices.length * (length + 1));
  for (const [row, index] of indices.entries()) {
    const sequence = await source.sequence(index, length);
    assert(sequence.length === length + 1, `sequence ${index} has ${sequence.length} tokens, not ${length + 1}`);
    tokens.set(sequence, row * (length + 1));
  }
  return { tokens, rows: indices.length, length };
}

/** Mean loss over a deterministic subset of `source`. Throws SkeinError("data") where the split has not one whole sequence. */
export async function validationLoss(
  engine: Engine,
  source: TokenSource,
  options: ValidationOptions,
): Promise<ValidationResult> {
  const { sequences, length } = options;
  assert(sequences >= 1, "validation needs at least one sequence");
  const indices = spacedIndices(source.sequences(length), sequences);
  if (indices.length === 0) {
    throw new SkeinError(
      "data",
      `the validation split has ${source.tokens} tokens, fewer than one sequence of ${length}`,
      {
        remedy: "prepare more text, or train with shorter sequences",
      },
    );
  }
  const rows = engine.options.microBatch;
  let total = 0;
  for (let at = 0; at < indices.length; at += rows) {
    const losses = await engine.losses(await batchOf(source, indices.slice(at, at + rows), length));
    for (const loss of losses) total += loss;
  }
  return { loss: total / indices.length, sequences: indices.length, tokens: indices.length * length };
}
