/**
 * What every adapter checks before it does anything else: keys and ranges.
 *
 * What a store key may be. Keys arrive from manifests that strangers wrote and end in file paths, so the rule is a short
 * list of what is allowed: no key can leave the store's folder, hide
 * from `list`, or collide with a temporary file (those carry a "~", which no key may).
 */
import { assert } from "../base/assert.ts";
import { SkeinError } from "../base/errors.ts";
import { KEY_LENGTH_MAX, KEY_PART_LENGTH_MAX } from "../base/limits.ts";
import type { ByteRange } from "./store.ts";

const PART = /^[A-Za-z0-9._-]+$/;

/** Why `key` is no store key, or undefined where it is one. */
export function keyFault(key: string): string | undefined {
  if (typeof key !== "string") return "is not text";
  if (key.length > KEY_LENGTH_MAX) return `is longer than ${KEY_LENGTH_MAX} characters`;
  for (const part of key.split("/")) {
    if (part === "") return "has an empty part";
    if (part === "." || part === "..") return 'has a part that is "." or ".."';
    if (part.length > KEY_PART_LENGTH_MAX) return `has a part longer than ${KEY_PART_LENGTH_MAX} characters`;
    if (!PART.test(part)) return "has a character outside A-Z a-z 0-9 . _ -";
  }
  return undefined;
}

/** Throws SkeinError("store") unless `key` is a store key. Accepts untrusted values. */
export function checkKey(key: string): void {
  const fault = keyFault(key);
  if (fault === undefined) return;
  const shown = JSON.stringify(String(key).slice(0, 80));
  throw new SkeinError("store", `${shown} is no store key: it ${fault}`, {
    remedy: "use a relative path of the characters A-Z a-z 0-9 . _ - with / between its parts",
  });
}

/** Every proper folder of `key`: "a/b/c" gives "a", "a/b". A store holds no blob under those names while it holds `key`. */
export function parentsOf(key: string): string[] {
  const parts = key.split("/");
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join("/"));
}

/** Throws AssertionError unless `range` is a half-open range of whole non-negative numbers. */
export function assertRange(range: ByteRange): void {
  const { start, end } = range;
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(end);
  assert(whole && start >= 0 && end >= start, `byte range [${start}, ${end}) is no range`);
}

/** The error of writing `key` where it, or a part of it, is taken by the other kind of thing. */
export function nameTaken(key: string, cause?: unknown): SkeinError {
  return new SkeinError("store", `cannot write ${key}: a blob and a folder of blobs would share one name`, {
    remedy: "choose another key, or delete what is in the way",
    cause,
  });
}
