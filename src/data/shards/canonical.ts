/**
 * JSON with exactly one byte string for each value, so that a hash names a value: keys sorted by UTF-16 code units, no white
 * space, strings and numbers as `JSON.stringify` writes them. This is RFC 8785 (JSON Canonicalization Scheme) restricted to
 * well-formed strings and, unless fractions are asked for, to whole numbers in ±(2^53 − 1): a manifest counts, and every
 * language writes whole numbers alike; a run's spec has rates, and fractions are written as ECMAScript writes them.
 */
import { assert } from "../../base/assert.ts";

/** What canonical JSON can hold. */
export type CanonicalValue =
  | string
  | number
  | boolean
  | null
  | readonly CanonicalValue[]
  | { readonly [key: string]: CanonicalValue };

/** Which numbers may stand in it: whole ones in ±(2^53 − 1), or every finite one. Never −0, which JSON would write as 0. */
export type CanonicalNumbers = "whole" | "finite";

/** Levels of lists and objects that canonical JSON can have. */
const DEPTH_MAX = 32;

/** Whether `value` has a canonical form: such numbers only, no lone surrogates, no undefined, at most 32 levels. */
export function isCanonicalValue(value: unknown, numbers: CanonicalNumbers = "whole"): value is CanonicalValue {
  return isCanonical(value, numbers, DEPTH_MAX);
}

function isCanonical(value: unknown, numbers: CanonicalNumbers, depth: number): boolean {
  if (value === null || typeof value === "boolean") return true;
  if (typeof value === "number") {
    return (numbers === "whole" ? Number.isSafeInteger(value) : Number.isFinite(value)) && !Object.is(value, -0);
  }
  if (typeof value === "string") return !/\p{Surrogate}/u.test(value);
  if (typeof value !== "object" || depth === 0) return false;
  if (Array.isArray(value)) return value.every((item) => isCanonical(item, numbers, depth - 1));
  return Object.entries(value).every(
    ([key, item]) => isCanonical(key, numbers, depth) && isCanonical(item, numbers, depth - 1),
  );
}

function write(value: CanonicalValue): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  const object = value as { readonly [key: string]: CanonicalValue };
  const keys = Object.keys(object).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${write(object[key] as CanonicalValue)}`).join(",")}}`;
}

/** The canonical form of `value`. */
export function canonicalJson(value: CanonicalValue, numbers: CanonicalNumbers = "whole"): string {
  assert(isCanonicalValue(value, numbers), "value has no canonical form");
  return write(value);
}
