/**
 * The fast checks: what every payload must be, beyond decoding, in every round. Its header must be possible and name the data that its uid was dealt;
 * its size must be of the order of the others'. They take no model, so a validator makes them of every payload.
 *
 * A digest can be computed without training on the data (the reference system's has that weakness, and only logs a mismatch); here it is one claim more
 * that an audit can refute. What was learned from the data, gains and audits tell.
 */
import { bytesOf } from "../base/bytes.ts";
import { sha256Stream } from "../base/hash.ts";
import type { SentTensor } from "../codec/feedback.ts";
import { codebook } from "../codec/levels.ts";
import type { Assignment } from "../data/assignment.ts";
import type { TokenSource } from "../data/dataset.ts";
import { batchOf } from "../evaluate/validation.ts";

/**
 * A payload's norm over the field's median: beyond these it is not of the same kind of work. Honest ones are at 0.6 to 1.2; newcomers' in models of some
 * thousand params, where the others live on their residuals, at 0.03 (docs/LOG.md).
 */
export const NORM_RATIO_MAX = 8;
export const NORM_RATIO_MIN: number = 1 / 1024;
/** Payloads that make a field. */
export const FIELD_MIN = 3;

/** What a fast check found wrong, in the words of a report. */
export type FieldFault = "absurd tokens" | "wrong data digest" | "norm far from the field";

/** A part of the data that a round deals: the first `batch` slots of each step of a uid. */
export interface Dealt {
  readonly round: number;
  readonly uid: number;
  readonly steps: number;
  /** Sequences of each step. */
  readonly batch: number;
  readonly seqLen: number;
  /** What the round's data are dealt by: the hash of a block. */
  readonly roundSeed: string;
}

/**
 * What a payload's header must name as its data: sha256 over the tokens of the sequences, little-endian int32, seqLen + 1 of each, step after step and slot
 * after slot. Rejects with what the data throw.
 */
export async function dealtDigest(assigned: Assignment, split: TokenSource, dealt: Dealt): Promise<Uint8Array> {
  const { round, uid, steps, batch, seqLen, roundSeed } = dealt;
  const data = sha256Stream();
  for (let step = 0; step < steps; step++) {
    const slots = Array.from({ length: batch }, (_, slot) => assigned.at(round, uid, step, slot, roundSeed).sequence);
    const { tokens } = await batchOf(split, slots, seqLen);
    data.update(bytesOf(tokens));
  }
  return data.digest();
}

/** Σ v² over all values of a payload, in float64, tensor after tensor. */
export function squaredSize(tensors: readonly Pick<SentTensor, "codes" | "levels">[]): number {
  let sum = 0;
  for (const { codes, levels } of tensors) {
    const squares = Float64Array.from(codebook(levels), (value) => value * value);
    let own = 0;
    for (let j = 0; j < codes.length; j++) own += squares[codes[j] as number] as number;
    sum += own;
  }
  return sum;
}

/**
 * The uids whose payload's norm is far from the (lower) median of the field, ascending; `squares` by uid. Nobody where the field is too small to say,
 * or where half of it is nothing.
 */
export function farFromField(squares: ReadonlyMap<number, number>): number[] {
  const sorted = [...squares.values()].sort((a, b) => a - b);
  const median = sorted[(sorted.length - 1) >> 1] ?? 0;
  if (sorted.length < FIELD_MIN || median === 0) return [];
  const [least, most] = [NORM_RATIO_MIN * NORM_RATIO_MIN * median, NORM_RATIO_MAX * NORM_RATIO_MAX * median];
  return [...squares].flatMap(([uid, square]) => (square < least || square > most ? [uid] : [])).sort((a, b) => a - b);
}
