/**
 * Tokenizers that are not byte-level BPE, through the npm package @huggingface/tokenizers (pure JavaScript, one dependency-free
 * module), imported only when such a file is opened. The package trusts its input and ignores some settings silently; both are
 * mended here: the file is checked first, and what the package would get wrong is refused by name.
 */
import { messageOf, SkeinError, shown } from "../base/errors.ts";
import { REGEX_CHARS_MAX, TOKEN_CHARS_MAX, VOCAB_MAX } from "../base/limits.ts";
import type { Json, TokenizerFile } from "./bpe/format.ts";
import { isObject, tokenizerError } from "./bpe/format.ts";
import { nestedRepeat } from "./bpe/regex.ts";

/** What is used of the package. */
interface HuggingFaceTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: (number | undefined)[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
  token_to_id(token: string): number | undefined;
}
type HuggingFaceModule = { Tokenizer: new (file: object, config: object) => HuggingFaceTokenizer };

/** A tokenizer behind the package. */
export interface OtherTokenizer {
  readonly vocabSize: number;
  encode(text: string, plain: boolean): Int32Array;
  decode(tokens: ArrayLike<number>): string;
  idOf(text: string): number | undefined;
}

const MODELS: readonly unknown[] = ["BPE", "Unigram", "WordPiece"];
const SPLIT_LIKE: readonly unknown[] = ["MergedWithPrevious", "MergedWithNext", "Contiguous"];
const NODES_MAX = 4096;

function unsupported(piece: string): SkeinError {
  return new SkeinError("data", `tokenizer.json: ${piece} is not supported`, {
    remedy: "use a byte-level BPE tokenizer (GPT-2, Llama 3, Qwen and SmolLM have such), or train one",
  });
}

function vocabSizeOf(file: TokenizerFile): number {
  const { vocab } = file.model;
  let size = 0;
  const seen = (text: unknown, id: unknown): void => {
    if (typeof text !== "string" || text === "" || text.length > TOKEN_CHARS_MAX) {
      throw tokenizerError("a vocabulary entry has no text, or too much");
    }
    if (!Number.isSafeInteger(id) || (id as number) < 0 || (id as number) >= VOCAB_MAX) {
      throw tokenizerError("a vocabulary entry has no usable id");
    }
    size = Math.max(size, (id as number) + 1);
  };
  if (Array.isArray(vocab)) {
    if (vocab.length > VOCAB_MAX) throw tokenizerError(`the vocabulary has more than ${VOCAB_MAX} entries`);
    for (const [id, entry] of vocab.entries()) {
      if (!Array.isArray(entry) || !Number.isFinite(entry[1])) throw tokenizerError("a vocabulary entry has no score");
      seen(entry[0], id);
    }
  } else if (isObject(vocab)) {
    const entries = Object.entries(vocab);
    if (entries.length > VOCAB_MAX) throw tokenizerError(`the vocabulary has more than ${VOCAB_MAX} entries`);
    for (const [text, id] of entries) seen(text, id);
  } else throw tokenizerError("the model has no vocabulary");
  for (const { content, id } of file.added) seen(content, id);
  return size;
}

/** Refuses patterns that may take exponential time, and settings that the package ignores. */
function checkPipeline(node: unknown, budget: { nodes: number }, depth = 0): void {
  if (--budget.nodes < 0 || depth > 16) throw tokenizerError("its pipeline is too large");
  if (typeof node !== "object" || node === null) return;
  for (const [name, value] of Object.entries(node)) {
    if (name === "Regex" && typeof value === "string") {
      if (value.length > REGEX_CHARS_MAX) throw unsupported(`a pattern above ${REGEX_CHARS_MAX} characters`);
      if (nestedRepeat(value)) throw unsupported("a pattern with a repeat inside a repeat");
    }
    if (name === "behavior" && SPLIT_LIKE.includes(value)) throw unsupported(`Split with behavior ${shown(value)}`);
    checkPipeline(value, budget, depth + 1);
  }
}

/**
 * Gemma's files split on a space which their normalizer has replaced already: a split that never happens and that the
 * package could not do. It is left out.
 */
function withoutIdleSplit(root: Json): Json {
  const { normalizer, pre_tokenizer: splitter } = root;
  if (!isObject(normalizer) || !isObject(splitter) || normalizer["type"] !== "Replace" || splitter["type"] !== "Split")
    return root;
  const [replaced, wanted] = [normalizer["pattern"], splitter["pattern"]];
  if (!isObject(replaced) || !isObject(wanted) || typeof wanted["String"] !== "string") return root;
  const idle = replaced["String"] === wanted["String"] && !String(normalizer["content"]).includes(wanted["String"]);
  return idle ? { ...root, pre_tokenizer: null } : root;
}

function checkModel(model: Json): void {
  if (!MODELS.includes(model["type"])) throw unsupported(`the model ${shown(model["type"])}`);
  if (model["type"] === "BPE") {
    const { merges } = model;
    if (!Array.isArray(merges) || merges.length > VOCAB_MAX)
      throw tokenizerError("the model has no usable list of merges");
    const pairs = typeof merges[0] === "string" ? (m: unknown) => typeof m === "string" : Array.isArray;
    if (!merges.every(pairs)) throw tokenizerError("a merge is no pair");
  }
  if (model["type"] === "Unigram") {
    const { vocab, unk_id: unknown } = model;
    const known = Array.isArray(vocab) && Number.isSafeInteger(unknown) && vocab[unknown as number] !== undefined;
    if (!known) throw unsupported("Unigram without an unknown token");
  }
}

function guarded<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof SkeinError) throw cause;
    throw new SkeinError("data", `tokenizer.json: ${what}: ${messageOf(cause)}`, {
      cause,
      remedy: "use a byte-level BPE tokenizer, or train one",
    });
  }
}

/** Opens `file` with the package; `reason` says why our own code did not. Throws SkeinError("data"). */
export async function openHuggingFace(file: TokenizerFile, reason: string): Promise<OtherTokenizer> {
  checkModel(file.model);
  const vocabSize = vocabSizeOf(file);
  const blank = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] };
  const root = withoutIdleSplit({ ...blank, ...file.root });
  for (const part of ["normalizer", "pre_tokenizer", "decoder"]) checkPipeline(root[part], { nodes: NODES_MAX });
  const { Tokenizer } = (await import("@huggingface/tokenizers")) as unknown as HuggingFaceModule;
  const open = (added: unknown): HuggingFaceTokenizer =>
    guarded(`cannot be used (not our own byte-level BPE because of ${reason})`, () => {
      // A copy, since the package keeps and changes what it is given.
      return new Tokenizer(
        { ...root, post_processor: null, added_tokens: added },
        { clean_up_tokenization_spaces: false },
      );
    });
  const full = open(file.root["added_tokens"] ?? []);
  let plainOne: HuggingFaceTokenizer | undefined;
  return {
    vocabSize,
    idOf: (text) => full.token_to_id(text),
    encode(text, plain) {
      if (plain)
        plainOne ??= open(((file.root["added_tokens"] ?? []) as Json[]).filter((token) => token["special"] !== true));
      const tokenizer = plain && plainOne ? plainOne : full;
      return guarded("cannot encode", () => {
        const { ids } = tokenizer.encode(text, { add_special_tokens: false });
        if (!ids.every((id) => Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < vocabSize)) {
          throw new SkeinError("data", "tokenizer.json: part of the text has no token", {
            remedy: "use a tokenizer with byte_fallback or an unknown token",
          });
        }
        return Int32Array.from(ids as number[]);
      });
    },
    decode(tokens) {
      const ids = Array.from(tokens);
      if (ids.length === 0) return "";
      return guarded("cannot decode", () =>
        full.decode(ids, { skip_special_tokens: false, clean_up_tokenization_spaces: false }),
      );
    },
  };
}
