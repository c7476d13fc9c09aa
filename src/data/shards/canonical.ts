/**
 * JSON with exactly one byte string for each value, so that a hash names a value: keys sorted by UTF-16 code units, no white
 * space, strings as `JSON.stringify` writes them, whole numbers only. This is RFC 8785 (JSON Canonicalization Scheme)
 * restricted to whole numbers in ±(2^53 − 1) and to well-formed strings.
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

/** Whether `value` has a canonical form: no fractions, no lone surrogates, no undefined, at most `depth` levels. */
export function isCanonicalValue(value: unknown, depth = 32): value is CanonicalValue {
  if (value === null || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isSafeInteger(value) && !Object.is(value, -0);
  if (typeof value === "string") return !/\p{Surrogate}/u.test(value);
  if (typeof value !== "object" || depth === 0) return false;
  if (Array.isArray(value)) return value.every((item) => isCanonicalValue(item, depth - 1));
  return Object.entries(value).every(([key, item]) => isCanonicalValue(key) && isCanonicalValue(item, depth - 1));
}

function write(value: CanonicalValue): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  const object = value as { readonly [key: string]: CanonicalValue };
  const keys = Object.keys(object).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${write(object[key] as CanonicalValue)}`).join(",")}}`;
}

/** The canonical form of `value`. */
export function canonicalJson(value: CanonicalValue): string {
  assert(isCanonicalValue(value), "value has no canonical form");
  return write(value);
}
