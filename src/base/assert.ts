/**
 * Assertions: for our own mistakes only. A broken assertion is a bug and throws; a peer's bad bytes are values (faults),
 * an operator's trouble is a `SkeinError`.
 */

/** Thrown when the program contradicts itself. Never caught to go on. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws `AssertionError` unless `condition` holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Returns `value` unless it is null or undefined, which is a bug. */
export function must<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new AssertionError(`missing: ${what}`);
  return value;
}
