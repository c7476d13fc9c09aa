/**
 * The numbers in the documents of scoring: millionths (of a nat, of one) within ±NATS_MAX, so that what follows from published numbers can be
 * recomputed from them.
 */
import { NATS_MAX } from "../base/limits.ts";

const PARTS = 1_000_000;

/** `x` to the nearest millionth, within ±NATS_MAX; never −0. NaN, which no finite loss gives, is 0. */
export function rounded(x: number): number {
  if (Number.isNaN(x)) return 0;
  return Math.round(Math.max(-NATS_MAX, Math.min(NATS_MAX, x)) * PARTS) / PARTS + 0;
}

/** `x` to the nearest millionth, within 0 to 1. */
export const roundedUnit = (x: number): number => rounded(Math.max(0, Math.min(1, x)));

/** Whether `value` is a number as `rounded` makes them. */
export const isRounded = (value: unknown): value is number =>
  typeof value === "number" && Object.is(rounded(value), value);

/** Whether `value` is a number as `roundedUnit` makes them. */
export const isUnit = (value: unknown): value is number => isRounded(value) && value >= 0 && value <= 1;
