/**
 * Reading the fields of an object that a stranger wrote: each is asked for by name with what it may be, and what is wrong is told with
 * its path, what was found, what is allowed and what to do. Fields that nobody knows are refused, so that a spelling mistake is not a
 * setting lost.
 */
import { SkeinError, shown } from "../base/errors.ts";
import { isHash } from "../base/json.ts";

/** Characters of a stranger's text that are shown in a message. */
const SHOWN_MAX = 40;
/** Characters that are invisible or change how what follows is shown: controls, line breaks, joiners, directions, tags. */
const INVISIBLE =
  /[\p{Cc}\p{Surrogate}\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/u;
const ALL_INVISIBLE = new RegExp(INVISIBLE, "gu");

/** Numbers from `min` to `max`; `open` names the ends that are themselves left out. */
export interface Range {
  readonly min: number;
  readonly max: number;
  readonly open?: "min" | "max" | "both";
}

/** The fields of one object. Every method throws SkeinError("config") where the field is not as asked. */
export interface Fields {
  /** Whole number from `min` to `max`. */
  whole(name: string, min: number, max: number): number;
  /** Any finite number within `range`. */
  real(name: string, range?: Range): number;
  /** 1 to `charsMax` visible characters, without a blank at either end. */
  text(name: string, charsMax: number): string;
  /** A sha256: 64 lower-case hex digits. */
  hash(name: string): string;
  /** One of `choices`. */
  choice<T extends string | number>(name: string, choices: readonly T[]): T;
  /** true or false. */
  truth(name: string): boolean;
  /** The field as it is. */
  raw(name: string): unknown;
  /** The object in a field; its fields are exactly `names`. */
  object(name: string, names: readonly string[]): Fields;
}

/** The error for what is found at `path`. `allowed` finishes "<path> must be …". */
export function refusal(path: string, allowed: string, value: unknown): SkeinError {
  const problem = value === undefined ? "it is missing" : `not ${quoted(value)}`;
  return wrong(path, `must be ${allowed}${value === undefined ? "; " : ", "}${problem}`);
}

/** The error "run spec: <path> <problem>". */
export function wrong(path: string, problem: string, remedy: string = `correct ${path || "it"}`): SkeinError {
  return new SkeinError("config", `run spec: ${path === "" ? "it" : path} ${problem}`, { remedy });
}

/** A stranger's value for a message: short, in one line, visible. */
export function quoted(value: unknown): string {
  return typeof value === "string"
    ? JSON.stringify(value.slice(0, SHOWN_MAX)).replace(ALL_INVISIBLE, "?")
    : shown(value).slice(0, SHOWN_MAX);
}

/**
 * Opens `value`, which stands at `path` ("" for the whole), as an object with exactly the fields `names`.
 *
 * @example
 * fieldsOf({ cap: 20 }, "outer", ["cap"]).whole("cap", 1, 256); // 20
 */
export function fieldsOf(value: unknown, path: string, names: readonly string[]): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refusal(path, "an object", value);
  const found = new Map<string, unknown>(Object.entries(value));
  const at = (name: string): string => (path === "" ? name : `${path}.${name}`);
  for (const name of found.keys()) {
    if (names.includes(name)) continue;
    const where = path === "" ? "the fields are" : `the fields of ${path} are`;
    throw wrong(at(quoted(name)), "is no field that this version knows", `take it away; ${where} ${names.join(", ")}`);
  }
  for (const name of names) if (!found.has(name)) throw wrong(at(name), "is missing", `add ${at(name)}`);
  return {
    raw: (name) => found.get(name),
    object: (name, inner) => fieldsOf(found.get(name), at(name), inner),
    whole(name, min, max) {
      const value = found.get(name);
      if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return unsigned(value);
      throw refusal(at(name), `a whole number from ${min} to ${max}`, value);
    },
    real(name, range) {
      const value = found.get(name);
      if (typeof value === "number" && Number.isFinite(value) && (!range || inside(value, range)))
        return unsigned(value);
      throw refusal(at(name), range ? `a number in ${rangeText(range)}` : "a number", value);
    },
    text(name, charsMax) {
      const value = found.get(name);
      if (typeof value === "string" && isVisible(value, charsMax)) return value;
      throw refusal(at(name), `1 to ${charsMax} visible characters without a blank at either end`, value);
    },
    hash(name) {
      const value = found.get(name);
      if (isHash(value)) return value;
      throw refusal(at(name), "a sha256, which is 64 hex digits in lower case", value);
    },
    truth(name) {
      const value = found.get(name);
      if (typeof value === "boolean") return value;
      throw refusal(at(name), "true or false", value);
    },
    choice(name, choices) {
      const value = found.get(name);
      const choice = choices.find((each) => each === value);
      if (choice !== undefined) return choice;
      throw refusal(at(name), choices.map((each) => JSON.stringify(each)).join(" or "), value);
    },
  };
}

function isVisible(text: string, charsMax: number): boolean {
  return text !== "" && text.length <= charsMax && text.trim() === text && !INVISIBLE.test(text);
}

function inside(value: number, { min, max, open }: Range): boolean {
  const aboveMin = open === "min" || open === "both" ? value > min : value >= min;
  return aboveMin && (open === "max" || open === "both" ? value < max : value <= max);
}

function rangeText({ min, max, open }: Range): string {
  const left = open === "min" || open === "both" ? "(" : "[";
  return `${left}${min}, ${max}${open === "max" || open === "both" ? ")" : "]"}`;
}

/** −0 has no canonical form, and means 0. */
function unsigned(value: unknown): number {
  return (value as number) + 0;
}
