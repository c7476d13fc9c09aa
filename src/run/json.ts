/**
 * JSON as people write it in run.json: `//` begins a comment that goes to the end of its line. Why not JSON.parse with the comments
 * taken out: its messages differ between JavaScript engines and mostly name no line, and where a field stands twice it takes the
 * second one without a word. Everything else is RFC 8259; json.test.ts holds it against JSON.parse.
 */
import { SkeinError } from "../base/errors.ts";

/** Levels of lists and objects; a run spec has four. */
const DEPTH_MAX = 16;
/** Characters of the text that are shown in a message. */
const SHOWN_MAX = 40;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** A place in the text, and the two ways of going on. */
interface Scanner {
  /** The character at the present place, after white space and comments; "" at the end. */
  peek(): string;
  /** Takes it. */
  take(): string;
  /** Takes a string in double quotes. */
  string(): string;
  /** Takes letters, digits and signs up to the next white space or punctuation. */
  word(): string;
  /** Throws SkeinError("config") for the present place. */
  fail(problem: string): never;
}

function scannerOf(text: string): Scanner {
  let at = text.startsWith("\ufeff") ? 1 : 0; // some editors put it first
  let begun = at; // where the newest piece began
  const fail = (problem: string): never => {
    const before = text.slice(0, begun).split("\n");
    const line = text.split("\n")[before.length - 1] ?? "";
    throw new SkeinError("config", `run spec, line ${before.length}: ${problem}`, {
      details: line.trim().slice(0, 2 * SHOWN_MAX),
      remedy: "correct that line: JSON with // comments, names in double quotes, commas between fields",
    });
  };
  const skip = (): void => {
    for (;;) {
      while (at < text.length && " \t\r\n".includes(text.charAt(at))) at++;
      begun = at;
      if (!text.startsWith("//", at)) return;
      const end = text.indexOf("\n", at);
      at = end < 0 ? text.length : end;
    }
  };
  const peek = (): string => {
    skip();
    return text.charAt(at);
  };
  return {
    peek,
    fail,
    take() {
      const taken = peek();
      at++;
      return taken;
    },
    string() {
      skip();
      let end = at + 1;
      while (end < text.length && text[end] !== '"' && text[end] !== "\n") end += text[end] === "\\" ? 2 : 1;
      if (text[end] !== '"') fail("a text begins and does not end on this line");
      const quoted = text.slice(at, end + 1);
      at = end + 1;
      try {
        return JSON.parse(quoted) as string;
      } catch {
        return fail(`${quoted.slice(0, SHOWN_MAX)} is no text that JSON allows`);
      }
    },
    word() {
      skip();
      const from = at;
      while (at < text.length && !' \t\r\n,:{}[]"/'.includes(text.charAt(at))) at++;
      return text.slice(from, at);
    },
  };
}

/**
 * The value that `text` says, made of plain objects, lists, texts, numbers, booleans and null. Throws SkeinError("config") naming the
 * line. The caller bounds the text's length.
 *
 * @example
 * readJson('{"steps": 30} // of a round'); // { steps: 30 }
 */
export function readJson(text: string): unknown {
  const scanner = scannerOf(text);
  const value = readValue(scanner, DEPTH_MAX);
  if (scanner.peek() !== "") scanner.fail(`${found(scanner)} after the end`);
  return value;
}

function found(scanner: Scanner): string {
  const next = scanner.peek();
  return next === "" ? "the end" : next;
}

function readValue(scanner: Scanner, depth: number): unknown {
  const next = scanner.peek();
  if (next === '"') return scanner.string();
  if (next !== "{" && next !== "[") return readWord(scanner);
  if (depth === 0) scanner.fail(`more than ${DEPTH_MAX} levels`);
  return next === "{" ? readObject(scanner, depth - 1) : readList(scanner, depth - 1);
}

function readObject(scanner: Scanner, depth: number): object {
  const entries = new Map<string, unknown>();
  readItems(scanner, "}", () => {
    if (scanner.peek() !== '"') scanner.fail(`a name in double quotes is missing before ${found(scanner)}`);
    const name = scanner.string();
    if (entries.has(name)) scanner.fail(`${JSON.stringify(name.slice(0, SHOWN_MAX))} stands there twice`);
    if (scanner.peek() !== ":") scanner.fail(`a : is missing before ${found(scanner)}`);
    scanner.take();
    entries.set(name, readValue(scanner, depth));
  });
  return Object.fromEntries(entries);
}

function readList(scanner: Scanner, depth: number): unknown[] {
  const items: unknown[] = [];
  readItems(scanner, "]", () => items.push(readValue(scanner, depth)));
  return items;
}

/** Takes an opening bracket, items with commas between them, and the closing bracket. */
function readItems(scanner: Scanner, close: "}" | "]", readItem: () => void): void {
  scanner.take();
  if (scanner.peek() === close) {
    scanner.take();
    return;
  }
  for (;;) {
    readItem();
    const next = scanner.peek();
    if (next !== "," && next !== close) scanner.fail(`a comma or ${close} is missing before ${found(scanner)}`);
    scanner.take();
    if (next === close) return;
    if (scanner.peek() === close) scanner.fail(`a comma stands before ${close}, where nothing follows`);
  }
}

function readWord(scanner: Scanner): unknown {
  if (scanner.peek() === "") scanner.fail("the text ends too early");
  const word = scanner.word();
  if (word === "true" || word === "false") return word === "true";
  if (word === "null") return null;
  const number = Number(word);
  if (NUMBER.test(word) && Number.isFinite(number)) return number;
  return scanner.fail(`${word.slice(0, SHOWN_MAX) || found(scanner)} is no value that JSON allows`);
}
