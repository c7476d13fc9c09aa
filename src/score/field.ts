/**
 * The fast checks: what every payload must be, beyond decoding, in every round. Its header must be possible and name the data that its uid was dealt;
 * its size must be of the order of the others'. They take no model, so a validator makes them of every payload.
 */
import type { SentTensor } from "../codec/feedback.ts";
import { codebook } from "../codec/levels.ts";

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
