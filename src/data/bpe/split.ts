/**
 * Pre-tokenizers of byte-level BPE: text → pre-tokens, which are then encoded each by itself. Understood are ByteLevel, Split
 * and Digits in any Sequence that has one ByteLevel, at its end (GPT-2, GPT-4, Llama 3, Qwen, SmolLM are of this kind). The
 * change from bytes to letters, ByteLevel's other half, happens in the encoder.
 */
import { shown } from "../../base/errors.ts";
import { REGEX_CHARS_MAX } from "../../base/limits.ts";
import { nestedRepeat, translateRegex } from "./regex.ts";

/** Cuts a text into pre-tokens; together they are the text, except where the tokenizer drops or prefixes something. */
export type Splitter = (text: string) => string[];

/** A splitter, or why there is none. `refuse` tells that nobody should try this pattern. */
export type SplitterOrReason =
  | { readonly split: Splitter; readonly unsupported?: never; readonly refuse?: never }
  | { readonly split?: never; readonly unsupported: string; readonly refuse?: boolean };

/** GPT-2's pattern (Radford et al. 2019, encoder.py), which ByteLevel applies unless told otherwise. */
export const GPT2_PATTERN: string =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const SEQUENCE_DEPTH_MAX = 4;
const STAGES_MAX = 16;

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Matches and the gaps between them, in order. */
function isolated(text: string, regex: RegExp): string[] {
  const matches: readonly string[] = text.match(regex) ?? [];
  let covered = 0;
  for (const match of matches) covered += match.length;
  if (covered === text.length && !matches.includes("")) return matches as string[];
  const out: string[] = [];
  let end = 0;
  for (const match of text.matchAll(regex)) {
    if (match[0] === "") continue;
    if (match.index > end) out.push(text.slice(end, match.index));
    out.push(match[0]);
    end = match.index + match[0].length;
  }
  if (end < text.length) out.push(text.slice(end));
  return out;
}

function fromPattern(source: string, keepGaps: boolean): SplitterOrReason {
  if (source.length > REGEX_CHARS_MAX)
    return { unsupported: `a pattern above ${REGEX_CHARS_MAX} characters`, refuse: true };
  if (nestedRepeat(source)) return { unsupported: "a pattern with a repeat inside a repeat", refuse: true };
  const { regex, unsupported } = translateRegex(source);
  if (regex === undefined) return { unsupported: `a pattern with ${unsupported}` };
  if (keepGaps) return { split: (text) => isolated(text, regex) };
  return { split: (text) => (text.match(regex) ?? []).filter((match) => match !== "") };
}

function fromSplit(config: Json): SplitterOrReason {
  const { pattern, behavior, invert = false } = config;
  if (!isObject(pattern)) return { unsupported: "a Split without pattern" };
  const keepGaps = behavior === "Isolated";
  if (!keepGaps && !(behavior === "Removed" && invert === true)) {
    return { unsupported: `Split with behavior ${shown(behavior)}${invert === true ? ", inverted" : ""}` };
  }
  const { Regex: regex, String: literal } = pattern;
  if (typeof regex === "string") return fromPattern(regex, keepGaps);
  if (typeof literal !== "string" || literal === "")
    return { unsupported: "a Split whose pattern is neither Regex nor String" };
  return fromPattern(literal.replace(/[\^$\\.*+?()[\]{}|/]/g, "\\$&"), keepGaps);
}

function fromByteLevel(config: Json): SplitterOrReason {
  const prefix = config["add_prefix_space"] === true;
  const withRegex = config["use_regex"] !== false;
  const inner = withRegex ? fromPattern(GPT2_PATTERN, true) : { split: (text: string) => [text] };
  const { split } = inner;
  if (split === undefined || !prefix) return inner;
  return { split: (text) => split(text.startsWith(" ") ? text : ` ${text}`) };
}

function flatten(config: unknown, depth: number): Json[] | undefined {
  if (!isObject(config) || depth > SEQUENCE_DEPTH_MAX) return undefined;
  if (config["type"] !== "Sequence") return [config];
  const parts = config["pretokenizers"];
  if (!Array.isArray(parts) || parts.length > STAGES_MAX) return undefined;
  const out: Json[] = [];
  for (const part of parts) {
    const stages = flatten(part, depth + 1);
    if (stages === undefined || out.length + stages.length > STAGES_MAX) return undefined;
    out.push(...stages);
  }
  return out;
}

function fromStage(stage: Json): SplitterOrReason {
  if (stage["type"] === "ByteLevel") return fromByteLevel(stage);
  if (stage["type"] === "Split") return fromSplit(stage);
  // Rust's char::is_numeric is the general category N.
  if (stage["type"] === "Digits") return fromPattern(stage["individual_digits"] === true ? "\\p{N}" : "\\p{N}+", true);
  return { unsupported: `the pre-tokenizer ${shown(stage["type"])}` };
}

/** The splitter of a tokenizer.json's `pre_tokenizer`. Never throws. */
export function compileSplitter(config: unknown): SplitterOrReason {
  const stages = flatten(config, 0);
  if (stages === undefined) return { unsupported: "no pre-tokenizer, or one nested too deep" };
  const byteLevels = stages.filter((stage) => stage["type"] === "ByteLevel").length;
  if (byteLevels !== 1 || stages.at(-1)?.["type"] !== "ByteLevel") {
    return { unsupported: "a pre-tokenizer that does not end in ByteLevel" };
  }
  const splitters: Splitter[] = [];
  for (const stage of stages) {
    const compiled = fromStage(stage);
    if (compiled.split === undefined) return compiled;
    splitters.push(compiled.split);
  }
  const [first, ...rest] = splitters as [Splitter, ...Splitter[]];
  if (stages.length === 2 && stages[1]?.["use_regex"] === false && stages[1]?.["add_prefix_space"] !== true) {
    return { split: first }; // the usual case: no second pass
  }
  return { split: (text) => rest.reduce((pieces, split) => pieces.flatMap((piece) => split(piece)), first(text)) };
}
