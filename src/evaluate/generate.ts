/**
 * Text from a model, token by token, handed on as soon as it is whole characters.
 *
 * A token of a byte-level vocabulary may end in the middle of a character; decoding then ends in one to three U+FFFD, one for
 * each part of a cut character of at most 4 bytes. So the last three U+FFFD at the end are held back until the next token
 * settles what they are, and whatever bytes come, the pieces together are what decoding all tokens at once gives. Decoding
 * begins at the last settled piece but one, not at zero: some tokenizers treat the beginning of a text specially.
 */
import { assert } from "../base/assert.ts";
import { type Random, seededRandom } from "../base/random.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { Engine } from "../engine/engine.ts";
import { checkSampling, type SampleOptions, sampleToken } from "./sample.ts";

/** How to generate. */
export interface GenerateOptions extends SampleOptions {
  /** Tokens to generate at most. */
  readonly maxTokens: number;
  /** Equal seeds give equal text on the same machine. Default 0. */
  readonly seed?: string | number;
  /** Receives text as it comes; all of it together is the result's `text`. */
  readonly onText?: (text: string) => void;
  /** Stops between two tokens. */
  readonly signal?: AbortSignal;
}

/** What was generated, without the prompt. */
export interface Generated {
  readonly text: string;
  readonly tokens: number;
  /** Why it ended: the model ended the document, `maxTokens`, or the signal. */
  readonly reason: "end" | "length" | "stopped";
}

const CUT_CHARACTER = /\ufffd{1,3}$/;

/** Turns tokens into text that never ends inside a character. */
export function textStream(
  tokenizer: Pick<Tokenizer, "decode">,
  onText: (text: string) => void,
): { push(token: number): void; end(): void } {
  let settled: number[] = [];
  let pending: number[] = [];
  let sent = 0; // characters of the pending tokens' text handed on already
  const emit = (stable: (text: string) => string): void => {
    const before = tokenizer.decode(settled).length;
    const text = tokenizer.decode([...settled, ...pending]).slice(before);
    const ready = stable(text);
    if (ready.length > sent) onText(ready.slice(sent));
    sent = Math.max(sent, ready.length);
    if (ready.length < text.length) return;
    settled = pending;
    pending = [];
    sent = 0;
  };
  return {
    push(token) {
      pending.push(token);
      emit((text) => text.replace(CUT_CHARACTER, ""));
    },
    end() {
      if (pending.length > 0) emit((text) => text);
    },
  };
}

/**
 * Continues `prompt`; an empty prompt begins a document. The model sees the last `seqLen` tokens. Ends at the end-of-text token.
 *
 * @example
 * const { text } = await generate(engine, tokenizer, "Once upon a time", { maxTokens: 50, seed: 1 });
 */
export async function generate(
  engine: Engine,
  tokenizer: Tokenizer,
  prompt: string,
  options: GenerateOptions,
): Promise<Generated> {
  const sampling = checkSampling(options);
  assert(Number.isSafeInteger(options.maxTokens) && options.maxTokens >= 0, "maxTokens must be a whole number");
  const random: Random = seededRandom(`sample/${options.seed ?? 0}`);
  const context = prompt === "" ? [tokenizer.endOfText] : [...tokenizer.encode(prompt)];
  let text = "";
  const stream = textStream(tokenizer, (part) => {
    text += part;
    options.onText?.(part);
  });
  let reason: Generated["reason"] = "length";
  let tokens = 0;
  while (tokens < options.maxTokens) {
    if (options.signal?.aborted) {
      reason = "stopped";
      break;
    }
    const logits = await engine.logits(Int32Array.from(context.slice(-engine.options.seqLen)));
    const token = sampleToken(logits, sampling, random);
    if (token === tokenizer.endOfText) {
      reason = "end";
      break;
    }
    context.push(token);
    tokens++;
    stream.push(token);
  }
  stream.end();
  return { text, tokens, reason };
}
