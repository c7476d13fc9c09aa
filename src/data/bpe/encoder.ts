/**
 * Encoding and decoding with byte-level BPE: added tokens are cut out first, the rest is normalized, split into pre-tokens, and
 * each pre-token merged; what a pre-token became is remembered, since text repeats itself (about 98 % hits on English prose).
 */
import { SkeinError } from "../../base/errors.ts";
import { bytesOfLetters, lettersOf } from "./alphabet.ts";
import type { AddedToken, ByteLevelParts } from "./format.ts";
import { mergeSymbols } from "./merge.ts";

/** Ids that grow. */
interface Ids {
  data: Int32Array;
  length: number;
}

/** Pre-tokens remembered before the memory starts anew, and the longest worth remembering: about 10 MB. */
const CACHE_ENTRIES_MAX = 1 << 16;
const CACHE_CHARS_MAX = 48;

function push(ids: Ids, id: number): void {
  if (ids.length === ids.data.length) {
    const wider = new Int32Array(ids.data.length * 2);
    wider.set(ids.data);
    ids.data = wider;
  }
  ids.data[ids.length++] = id;
}

/** pre-token → ids, with a memory. */
function preTokenEncoder(parts: ByteLevelParts): (preToken: string, out: Ids) => void {
  const { byteIds, merges, vocab, ignoreMerges } = parts;
  const encoder = new TextEncoder();
  let cache = new Map<string, number | Int32Array>();
  const compute = (preToken: string): number | Int32Array => {
    const bytes = encoder.encode(preToken);
    const whole = ignoreMerges ? vocab.get(lettersOf(bytes)) : undefined;
    if (whole !== undefined) return whole;
    const symbols = Int32Array.from(bytes, (byte) => byteIds[byte] as number);
    const count = mergeSymbols(merges, symbols);
    return count === 1 ? (symbols[0] as number) : symbols.slice(0, count);
  };
  return (preToken, out) => {
    let ids = cache.get(preToken);
    if (ids === undefined) {
      ids = compute(preToken);
      if (preToken.length <= CACHE_CHARS_MAX) {
        if (cache.size >= CACHE_ENTRIES_MAX) cache = new Map();
        cache.set(preToken, ids);
      }
    }
    if (typeof ids === "number") push(out, ids);
    else for (const id of ids) push(out, id);
  };
}

/** A section of a text: either an added token or text to go on with. */
type Section = number | string;

/** Cuts the added tokens out of a text: the leftmost first, of several there the longest. */
function sectionCutter(tokens: readonly AddedToken[]): (text: string) => Section[] {
  if (tokens.length === 0) return (text) => [text];
  const byContent = new Map(tokens.map((token) => [token.content, token]));
  const contents = [...byContent.keys()].sort((a, b) => b.length - a.length);
  const regex = new RegExp(contents.map((content) => content.replace(/[\^$\\.*+?()[\]{}|/]/g, "\\$&")).join("|"), "gu");
  return (text) => {
    const sections: Section[] = [];
    let end = 0;
    for (const match of text.matchAll(regex)) {
      const token = byContent.get(match[0]);
      if (token === undefined || match.index < end) continue;
      const before = text.slice(end, match.index);
      sections.push(token.lstrip ? before.replace(/\p{White_Space}+$/u, "") : before, token.id);
      end = match.index + match[0].length;
      if (token.rstrip) while (/^\p{White_Space}/u.test(text[end] ?? "")) end++;
    }
    sections.push(text.slice(end));
    return sections;
  };
}

/** Every lone surrogate becomes U+FFFD, which is what UTF-8 would make of it anyway; patterns then see what bytes will say. */
function wellFormed(text: string): string {
  return /\p{Surrogate}/u.test(text) ? text.replace(/\p{Surrogate}/gu, "\ufffd") : text;
}

/** text → ids. With `plain`, the texts of special tokens are ordinary text. */
export type Encode = (text: string, plain: boolean) => Int32Array;

/** The encoder of `parts`. */
export function makeEncoder(parts: ByteLevelParts, added: readonly AddedToken[]): Encode {
  const cutters = [false, true].map((plain) => {
    const tokens = plain ? added.filter((token) => !token.special) : added;
    return {
      raw: sectionCutter(tokens.filter((token) => !token.normalized)),
      normalized: sectionCutter(
        tokens.filter((t) => t.normalized).map((t) => (parts.nfc ? { ...t, content: t.content.normalize("NFC") } : t)),
      ),
    };
  });
  const encodePreToken = preTokenEncoder(parts);
  const encodeInto = (text: string, plain: boolean, out: Ids): void => {
    const cut = cutters[plain ? 1 : 0] as (typeof cutters)[0];
    for (const section of cut.raw(wellFormed(text))) {
      if (typeof section === "number") push(out, section);
      else {
        for (const part of cut.normalized(parts.nfc ? section.normalize("NFC") : section)) {
          if (typeof part === "number") push(out, part);
          else if (part !== "") for (const preToken of parts.split(part)) encodePreToken(preToken, out);
        }
      }
    }
  };
  return (text, plain) => {
    const out: Ids = { data: new Int32Array(Math.max(16, text.length >> 1)), length: 0 };
    try {
      encodeInto(text, plain, out);
    } catch (thrown) {
      if (!(thrown instanceof RangeError)) throw thrown; // the regular expression ran out of stack
      throw new SkeinError("data", "this tokenizer's pattern cannot cope with the text", {
        details: thrown.message,
        remedy: "cut the text into shorter documents",
      });
    }
    return out.data.slice(0, out.length);
  };
}

/** ids → text. Ids that stand for nothing become U+FFFD, and so do bytes that are no UTF-8. */
export function makeDecoder(parts: ByteLevelParts, added: readonly AddedToken[]): (ids: ArrayLike<number>) => string {
  const texts = new Map<number, Uint8Array>();
  const encoder = new TextEncoder();
  for (const [text, id] of parts.vocab) texts.set(id, bytesOfLetters(text) ?? encoder.encode(text));
  for (const { content, id } of added) texts.set(id, encoder.encode(content));
  const unknown = encoder.encode("\ufffd");
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return (ids) => {
    let length = 0;
    for (let i = 0; i < ids.length; i++) length += (texts.get(ids[i] as number) ?? unknown).length;
    const bytes = new Uint8Array(length);
    let at = 0;
    for (let i = 0; i < ids.length; i++) {
      const part = texts.get(ids[i] as number) ?? unknown;
      bytes.set(part, at);
      at += part.length;
    }
    return decoder.decode(bytes);
  };
}
