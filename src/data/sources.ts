/**
 * Documents out of streams of bytes: plain text and Markdown (a text is a document; one that is too long is cut at blank lines
 * or line breaks) and JSON Lines (a line is a document). What is no text is skipped and reported, never guessed at: bytes with a
 * NUL are binary unless they begin as UTF-16; text that is mostly not UTF-8 has another encoding. A few invalid bytes become
 * U+FFFD. Memory is bounded by the document limit, whatever the size of the file.
 */
import { assert } from "../base/assert.ts";
import { SkeinError } from "../base/errors.ts";
import { DOCUMENT_CHARS_MAX, LINE_BYTES_MAX } from "../base/limits.ts";
import type { Document } from "./document.ts";

/** Something that was left out, and why. */
export interface Skip {
  readonly name: string;
  readonly reason: "binary" | "encoding" | "line" | "unreadable";
  /** Line of a JSONL file, from 1. */
  readonly line?: number;
  readonly detail?: string;
}

/** How to read sources. */
export interface SourceOptions {
  /** Longest document, in UTF-16 units. Default 2^20; at most 2^26. */
  readonly documentCharsMax?: number;
  /** Field of a JSON line that holds the text. Default "text". */
  readonly field?: string;
  /** Unusable lines of one JSONL file that are skipped before it is an error. Default 100. */
  readonly badLinesMax?: number;
  /** The split all documents go to. Default: their content decides. */
  readonly split?: "train" | "valid";
  readonly onSkip?: (skip: Skip) => void;
}

type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

const CHARS_DEFAULT = 1 << 20;

function charsMax(options: SourceOptions): number {
  const { documentCharsMax = CHARS_DEFAULT } = options;
  assert(
    documentCharsMax >= 2 && documentCharsMax <= DOCUMENT_CHARS_MAX,
    `documentCharsMax must lie from 2 to ${DOCUMENT_CHARS_MAX}`,
  );
  return documentCharsMax;
}

/** Where to cut `text` so that the front has at most `max` units: behind a blank line, else a line, else a word, else anywhere. */
function cutAt(text: string, max: number): number {
  for (const mark of ["\n\n", "\n", " "]) {
    const at = text.lastIndexOf(mark, max - mark.length);
    if (at >= max / 2) return at + mark.length;
  }
  const last = text.charCodeAt(max - 1);
  return last >= 0xd800 && last < 0xdc00 ? max - 1 : max;
}

/** More than a few characters of `text` are U+FFFD. */
function garbled(text: string): boolean {
  let count = 0;
  for (let at = text.indexOf("\ufffd"); at >= 0; at = text.indexOf("\ufffd", at + 1)) count++;
  return count > 2 + text.length / 100;
}

/** Cuts a stream of text into parts of at most `max` units. */
async function* parts(texts: AsyncIterable<string>, max: number): AsyncGenerator<string> {
  let rest = "";
  for await (const text of texts) {
    rest += text;
    while (rest.length > max) {
      const at = cutAt(rest, max);
      yield rest.slice(0, at);
      rest = rest.slice(at);
    }
  }
  if (rest !== "") yield rest;
}

class BinaryFound extends Error {}

/** Decodes UTF-8, or UTF-16 where the bytes begin so. Throws BinaryFound at a NUL. */
async function* decoded(chunks: Chunks): AsyncGenerator<string> {
  let decoder: TextDecoder | undefined;
  let wide = false;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    if (decoder === undefined) {
      const [a, b] = chunk;
      wide = (a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff);
      decoder = new TextDecoder(wide ? (a === 0xff ? "utf-16le" : "utf-16be") : "utf-8");
    }
    if (!wide && chunk.includes(0)) throw new BinaryFound();
    yield decoder.decode(chunk, { stream: true });
  }
  if (decoder !== undefined) yield decoder.decode();
}

function named(name: string, text: string, options: SourceOptions): Document {
  return options.split === undefined ? { name, text } : { name, text, split: options.split };
}

/** The documents of a text: one, or several named "name#1", "name#2", … where it is too long for one. */
export async function* textDocuments(
  name: string,
  chunks: Chunks,
  options: SourceOptions = {},
): AsyncGenerator<Document> {
  const max = charsMax(options);
  let number = 0;
  let held: string | undefined;
  const emit = function* (text: string, last: boolean): Generator<Document> {
    number++;
    const part = last && number === 1 ? name : `${name}#${number}`;
    if (garbled(text)) options.onSkip?.({ name: part, reason: "encoding", detail: "not UTF-8" });
    else if (text.trim() !== "") yield named(part, text, options);
  };
  try {
    for await (const text of parts(decoded(chunks), max)) {
      if (held !== undefined) yield* emit(held, false);
      held = text;
    }
  } catch (thrown) {
    if (!(thrown instanceof BinaryFound)) throw thrown;
    options.onSkip?.({ name, reason: "binary" });
    return;
  }
  if (held !== undefined) yield* emit(held, true);
}

/** A line of a stream of bytes; undefined where it is longer than the limit. */
async function* linesOf(chunks: Chunks, bytesMax: number): AsyncGenerator<string | undefined> {
  const decoder = new TextDecoder();
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  const take = (): string | undefined => {
    const text =
      bytes > bytesMax
        ? undefined
        : pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") + decoder.decode();
    pieces = [];
    bytes = 0;
    return text;
  };
  const add = (piece: Uint8Array): void => {
    bytes += piece.length;
    if (bytes > bytesMax) pieces = [];
    else pieces.push(piece.slice());
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      add(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    if (start < chunk.length) add(chunk.subarray(start));
  }
  if (bytes > 0) yield take();
}

/** The text of a JSON line, or what is wrong with it. */
function textOf(line: string | undefined, field: string): { text: string } | { trouble: string } {
  if (line === undefined) return { trouble: "longer than the limit" };
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { trouble: "not JSON" };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { trouble: "not a JSON object" };
  const text = Object.hasOwn(value, field) ? (value as Record<string, unknown>)[field] : undefined;
  return typeof text === "string" ? { text } : { trouble: `no text in the field "${field}"` };
}

/**
 * The documents of a JSON Lines stream, named "name:line". Unusable lines are skipped and reported; more than `badLinesMax` of
 * them throw SkeinError("data").
 */
export async function* jsonlDocuments(
  name: string,
  chunks: Chunks,
  options: SourceOptions = {},
): AsyncGenerator<Document> {
  const { field = "text", badLinesMax = 100, onSkip } = options;
  const max = charsMax(options);
  let line = 0;
  let bad = 0;
  for await (const bytes of linesOf(chunks, LINE_BYTES_MAX)) {
    line++;
    const content = bytes?.trim();
    if (content === "") continue;
    const result = textOf(content, field);
    if ("trouble" in result) {
      bad++;
      onSkip?.({ name, reason: "line", line, detail: result.trouble });
      if (bad > badLinesMax) {
        throw new SkeinError("data", `${name}: ${bad} unusable lines, the last is line ${line}: ${result.trouble}`, {
          remedy: `check that each line is a JSON object with the text in "${field}", or name another field`,
        });
      }
      continue;
    }
    let part = 0;
    for await (const text of parts(once(result.text), max)) {
      part++;
      if (text.trim() !== "")
        yield named(result.text.length > max ? `${name}:${line}#${part}` : `${name}:${line}`, text, options);
    }
  }
}

async function* once(text: string): AsyncGenerator<string> {
  yield text;
}

/**
 * The documents of a file by the end of its name: .jsonl and .ndjson are JSON Lines, everything else is text.
 *
 * @example
 * for await (const { name, text } of documentsOf("notes.md", [new TextEncoder().encode("# Notes")])) console.log(name, text);
 */
export function documentsOf(name: string, chunks: Chunks, options: SourceOptions = {}): AsyncGenerator<Document> {
  return /\.(?:jsonl|ndjson)$/i.test(name)
    ? jsonlDocuments(name, chunks, options)
    : textDocuments(name, chunks, options);
}
