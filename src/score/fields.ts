/**
 * What the documents of scoring are made of: JSON of known fields, with numbers in millionths of a nat within ±NATS_MAX, so that what follows
 * from published numbers can be recomputed from them.
 */
import { NATS_MAX } from "../base/limits.ts";

const PARTS = 1_000_000;

/** `x` to the nearest millionth, within ±NATS_MAX; never −0. NaN, which no finite loss gives, is 0. */
export function rounded(x: number): number {
  if (Number.isNaN(x)) return 0;
  return Math.round(Math.max(-NATS_MAX, Math.min(NATS_MAX, x)) * PARTS) / PARTS + 0;
}

/** Whether `value` is a number as `rounded` makes them. */
export const isRounded = (value: unknown): value is number =>
  typeof value === "number" && Object.is(rounded(value), value);

/** Whether `value` is a whole number from 0 to 2^53 − 1, and not −0. */
export const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);

/** Whether `value` is a sha256 in lower-case hex. */
export const isHash = (value: unknown): value is string => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);

/** Whether `value` is an account as the chain writes them: 0x and 64 lower-case hex digits. */
export const isAccount = (value: unknown): value is string =>
  typeof value === "string" && value.startsWith("0x") && isHash(value.slice(2));

/** The fields of a JSON object; none for anything else. */
export function fieldsOf(json: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof json === "object" && json !== null ? Object.entries(json) : []);
}

/** The JSON value in `bytes`; undefined where they are no JSON in UTF-8. Never throws. */
export function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
