/**
 * Operating trouble: something outside the program is not as it must be (a file, a setting, the machine), and a person can
 * mend it. Every error says what happened in one line, the details, and the remedy. The `code` is stable and machine-readable.
 */

/** What went wrong, as a stable word; the command line maps it to an exit code. */
export type ErrorCode =
  | "usage" // the command line or an option is wrong
  | "config" // a configuration contradicts itself
  | "data" // a corpus, shard, manifest or tokenizer is unusable
  | "checkpoint" // a checkpoint is damaged or does not fit
  | "memory" // the plan does not fit this machine
  | "engine" // an engine is not available here or failed
  | "diverged" // the loss or the gradients stopped being finite
  | "chain" // the chain refused or cannot be reached
  | "store" // a file or blob could not be read or written
  | "interrupted"; // stopped on request

/** Optional parts of a `SkeinError`. */
export interface ErrorParts {
  /** More lines for the curious: values, paths, limits. */
  readonly details?: string;
  /** What the reader can do about it, as an imperative sentence. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

/**
 * An error for people: short message, details, remedy.
 *
 * @example
 * throw new SkeinError("data", "manifest.json names a shard that is missing", { remedy: "run `skein data` again" });
 */
export class SkeinError extends Error {
  override readonly name = "SkeinError";
  readonly code: ErrorCode;
  readonly details: string | undefined;
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, message: string, parts: ErrorParts = {}) {
    super(message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.code = code;
    this.details = parts.details;
    this.remedy = parts.remedy;
  }
}

/**
 * Any value as a short text for a message. Never throws, whatever a stranger's value does when it is turned into text (an object out of
 * JSON may well have a `toString` that is null).
 */
export function shown(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "a list" : "an object";
}

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : shown(thrown);
}

/** The system's word for what went wrong ("ENOENT"), or "". */
export function systemCode(thrown: unknown): string {
  return typeof thrown === "object" && thrown !== null && "code" in thrown ? String(thrown.code) : "";
}
