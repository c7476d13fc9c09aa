/**
 * Translates the regular expressions of tokenizer.json into JavaScript's. They are written for Oniguruma (Ruby syntax, Unicode),
 * which differs: `\s` is the White_Space property (with U+0085, without U+FEFF), `\d` is any decimal digit, `(?i:…)` exists
 * (JavaScript has it only since 2024). What has no certain counterpart (`\w`, anchors, nested classes, possessive repeats, …)
 * is answered with the reason, and the caller falls back or refuses.
 *
 * A pattern comes from a stranger, and JavaScript's engine backtracks: a repeat inside a repeat, which may take exponential
 * time, is refused by `nestedRepeat`. What is left is polynomial in the text, and as fast as the tokenizer's author made it.
 */

/** A compiled pattern, or why it could not be translated. */
export type Translation =
  | { readonly regex: RegExp; readonly unsupported?: never }
  | { readonly unsupported: string; readonly regex?: never };

class Unsupported extends Error {}

const SYNTAX = /[\^$\\.*+?()[\]{}|/]/;
const CATEGORY = /^(?:L[ultmo]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cfn]?)$/;
const SCRIPT = /^[A-Z][a-z]{2,20}(?:_[A-Z][a-z]{2,20})?$/;

interface Cursor {
  readonly pattern: string;
  at: number;
}

function property(cursor: Cursor): string {
  const found = /^\\([pP])\{(\^?)([A-Za-z_]{1,32})\}/.exec(cursor.pattern.slice(cursor.at, cursor.at + 40));
  if (!found) throw new Unsupported("a \\p without a property in braces");
  const [whole, letter, caret, name = ""] = found;
  cursor.at += whole.length;
  const negated = (letter === "P") !== (caret === "^");
  if (CATEGORY.test(name)) return `\\${negated ? "P" : "p"}{${name}}`;
  if (SCRIPT.test(name)) {
    try {
      new RegExp(`\\p{Script=${name}}`, "u");
      return `\\${negated ? "P" : "p"}{Script=${name}}`;
    } catch {
      // falls through: not a script either
    }
  }
  throw new Unsupported(`the property \\p{${name}}`);
}

/** One escape, translated. Sets `cursor` behind it. */
function escapeSequence(cursor: Cursor, inClass: boolean): string {
  const { pattern, at } = cursor;
  const c = pattern[at + 1] ?? "";
  if (c === "p" || c === "P") return property(cursor);
  const hex = /^\\(?:u([0-9A-Fa-f]{4})|x\{([0-9A-Fa-f]{1,6})\}|x([0-7][0-9A-Fa-f]))/.exec(pattern.slice(at, at + 12));
  if (hex) {
    cursor.at += hex[0].length;
    return `\\u{${hex[1] ?? hex[2] ?? hex[3]}}`;
  }
  cursor.at += 2;
  const shorthand = new Map(
    Object.entries({ s: "\\p{White_Space}", S: "\\P{White_Space}", d: "\\p{Nd}", D: "\\P{Nd}" }),
  );
  const known = shorthand.get(c);
  if (known !== undefined) return known;
  if (/[rntfv]/.test(c)) return `\\${c}`;
  if (SYNTAX.test(c) || (inClass && c === "-")) return `\\${c}`;
  if (c !== "" && /[^A-Za-z0-9]/.test(c) && c.charCodeAt(0) < 0x80) return c;
  throw new Unsupported(`the escape \\${c}`);
}

function foldSafeEscape(cursor: Cursor, inClass: boolean, fold: boolean): string {
  if (fold && /[pP]/.test(cursor.pattern[cursor.at + 1] ?? "")) {
    throw new Unsupported("a property where case is ignored");
  }
  return escapeSequence(cursor, inClass);
}

/** Both cases of an ASCII letter, and the two letters outside ASCII that fold to one. */
function bothCases(c: string): string {
  const extra = /s/i.test(c) ? "\u017f" : /k/i.test(c) ? "\u212a" : "";
  return c.toLowerCase() + c.toUpperCase() + extra;
}

function classItem(cursor: Cursor, fold: boolean): string {
  const { pattern, at } = cursor;
  const c = String.fromCodePoint(pattern.codePointAt(at) ?? 0);
  if (c === "\\") return foldSafeEscape(cursor, true, fold);
  if (c === "[") throw new Unsupported("a class within a class");
  if (c === "&" && pattern[at + 1] === "&") throw new Unsupported("an intersection of classes");
  const range = /^([A-Za-z])-([A-Za-z])/.exec(pattern.slice(at, at + 3));
  if (fold && range) {
    const [whole, from = "", to = ""] = range;
    if (/[a-z]/.test(from) !== /[a-z]/.test(to)) throw new Unsupported("a range across cases where case is ignored");
    cursor.at += whole.length;
    return `${from.toLowerCase()}-${to.toLowerCase()}${from.toUpperCase()}-${to.toUpperCase()}\u017f\u212a`;
  }
  cursor.at += c.length;
  if (!fold) return c === "^" ? "\\^" : c;
  if (c.charCodeAt(0) >= 0x80) throw new Unsupported("a letter outside ASCII where case is ignored");
  return /[A-Za-z]/.test(c) ? bothCases(c) : c === "^" ? "\\^" : c;
}

function characterClass(cursor: Cursor, fold: boolean): string {
  const { pattern } = cursor;
  let out = "[";
  cursor.at++;
  if (pattern[cursor.at] === "^") {
    out += "^";
    cursor.at++;
  }
  if (pattern[cursor.at] === "]") throw new Unsupported("an empty class");
  while (pattern[cursor.at] !== "]") {
    if (cursor.at >= pattern.length) throw new Unsupported("a class without end");
    out += classItem(cursor, fold);
  }
  cursor.at++;
  return `${out}]`;
}

/** A quantifier at the cursor, or "". */
function quantifier(cursor: Cursor): string {
  const found = /^(?:[*+?]|\{\d{1,4}(?:,\d{0,4})?\})\??/.exec(cursor.pattern.slice(cursor.at, cursor.at + 13));
  if (!found) return "";
  if (/^\{\d+\}\?$/.test(found[0])) throw new Unsupported("a question mark behind an exact count");
  cursor.at += found[0].length;
  if (/[*+?]/.test(cursor.pattern[cursor.at] ?? "")) throw new Unsupported("a possessive or stacked repeat");
  return found[0];
}

function group(cursor: Cursor, fold: boolean[]): string {
  const opening = /^\((?:\?(?:i:|:|=|!|<=|<!))?/.exec(cursor.pattern.slice(cursor.at, cursor.at + 4))?.[0] ?? "(";
  cursor.at += opening.length;
  if (cursor.pattern[cursor.at] === "?") throw new Unsupported("a group of a special kind");
  fold.push(opening === "(?i:" || fold.at(-1) === true);
  return opening === "(" || opening === "(?i:" ? "(?:" : opening;
}

function atom(cursor: Cursor, fold: boolean[]): string {
  const c = String.fromCodePoint(cursor.pattern.codePointAt(cursor.at) ?? 0);
  const ignoreCase = fold.at(-1) === true;
  if (c === "\\") return foldSafeEscape(cursor, false, ignoreCase);
  if (c === "[") return characterClass(cursor, ignoreCase);
  if (c === "(") return group(cursor, fold);
  cursor.at += c.length;
  if (c === ")") {
    if (fold.length === 1) throw new Unsupported("a bracket without partner");
    fold.pop();
    return c;
  }
  if (c === "|") return c;
  if (c === ".") return "[^\\n]";
  if (c === "^" || c === "$") throw new Unsupported(`the anchor ${c}`);
  if (c === "]" || c === "}" || c === "{") return `\\${c}`;
  if (!ignoreCase) return c;
  if (c.charCodeAt(0) >= 0x80) throw new Unsupported("a letter outside ASCII where case is ignored");
  return /[A-Za-z]/.test(c) ? `[${bothCases(c)}]` : c;
}

/** The JavaScript form of an Oniguruma `pattern`, with flags "gu". Never throws. */
export function translateRegex(pattern: string): Translation {
  const cursor: Cursor = { pattern, at: 0 };
  const fold: boolean[] = [false];
  let out = "";
  try {
    while (cursor.at < pattern.length) out += quantifier(cursor) || atom(cursor, fold);
    return { regex: new RegExp(out, "gu") };
  } catch (thrown) {
    if (thrown instanceof Unsupported) return { unsupported: thrown.message };
    if (thrown instanceof SyntaxError) return { unsupported: "a pattern that is not well formed" };
    throw thrown;
  }
}

/** A quantifier that allows more than one: * or + or a count in braces; group 1 is the least count, 2 the comma, 3 the most. */
const REPEAT = /^(?:[*+]|\{(\d*)(,?)(\d*)\})/;

/**
 * True where `pattern` repeats a group that holds a choice or another quantifier, such as (a+)*, (a|ab)+ or (a?){9}: those can
 * be matched in exponentially many ways.
 */
export function nestedRepeat(pattern: string): boolean {
  const open: boolean[] = [false]; // for each open group: whether it can match in more than one way
  let last = false; // the same of the atom just read
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i] as string;
    const repeat = REPEAT.exec(pattern.slice(i, i + 24));
    if (repeat || c === "?") {
      const once = c === "?" || repeat?.[0] === "{1}" || repeat?.[0] === "{0,1}";
      if (last && !once) return true;
      open[open.length - 1] = true;
      i += (repeat?.[0].length ?? 1) - 1;
      if (/[?+]/.test(pattern[i + 1] ?? "")) i++; // lazy or possessive
      last = true; // for a quantifier upon a quantifier
    } else if (c === "(") {
      open.push(false);
      last = false;
      i += /^\((?:\?(?:[a-z]*[:>=!]|<[=!]))?/.exec(pattern.slice(i, i + 12))?.[0].length ?? 1;
      i--;
    } else if (c === ")") {
      last = open.length > 1 ? (open.pop() as boolean) : false;
      if (last) open[open.length - 1] = true;
    } else {
      if (c === "|") open[open.length - 1] = true;
      if (c === "\\") i++;
      else if (c === "[") i = endOfClass(pattern, i);
      last = false;
    }
  }
  return false;
}

function endOfClass(pattern: string, start: number): number {
  let depth = 0;
  for (let i = start; i < pattern.length; i++) {
    const c = pattern[i];
    if (c === "\\") i++;
    else if (c === "[") depth++;
    else if (c === "]" && --depth === 0) return i;
  }
  return pattern.length;
}
