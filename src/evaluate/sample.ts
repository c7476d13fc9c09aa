/**
 * Choosing the next token from logits: temperature, top-k (Fan et al. 2018), top-p (Holtzman et al. 2020), in this order, as
 * Hugging Face's `generate` applies them.
 *
 * `Math.exp` is used here, not base/exactmath: sampled text is for people, nothing that machines must agree on depends on it,
 * and exactExp costs some 20 multiplications and divisions per vocabulary entry. A seed gives the same text on the same
 * machine; on another it could differ where a draw falls within a rounding error of a border.
 */
import { assert } from "../base/assert.ts";
import { SkeinError, shown } from "../base/errors.ts";
import type { Random } from "../base/random.ts";

/** How to choose. */
export interface SampleOptions {
  /** 0 takes the likeliest token always; 1 is the model's own distribution. Default 0.8. */
  readonly temperature?: number;
  /** Choose among the k likeliest only; 0 = all. Default 50. */
  readonly topK?: number;
  /** Choose among the likeliest whose probabilities add up to p; 1 = all. Default 1. */
  readonly topP?: number;
}

/** The defaults of `SampleOptions`. */
export const SAMPLE_DEFAULTS = { temperature: 0.8, topK: 50, topP: 1 } as const;

/** `options` with its defaults filled in. Throws SkeinError("config") where a value makes no sense. */
export function checkSampling(options: SampleOptions): Required<SampleOptions> {
  const temperature = options.temperature ?? SAMPLE_DEFAULTS.temperature;
  const topK = options.topK ?? SAMPLE_DEFAULTS.topK;
  const topP = options.topP ?? SAMPLE_DEFAULTS.topP;
  const refuse = (name: string, rule: string, value: unknown): never => {
    throw new SkeinError("config", `${name} must be ${rule}, not ${shown(value)}`);
  };
  if (!(temperature >= 0 && temperature <= 100)) refuse("temperature", "a number from 0 to 100", temperature);
  if (!Number.isSafeInteger(topK) || topK < 0) refuse("topK", "a whole number, 0 for all tokens", topK);
  if (!(topP > 0 && topP <= 1)) refuse("topP", "a number above 0 and up to 1", topP);
  return { temperature, topK, topP };
}

/** The index of the largest logit, the first of equals. */
function likeliest(logits: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] as number) > (logits[best] as number)) best = i;
  return best;
}

/** A token drawn from `logits` [vocabSize]. Throws SkeinError("diverged") where not all of them are finite. */
export function sampleToken(logits: Float32Array, options: Required<SampleOptions>, random: Random): number {
  assert(logits.length > 0, "there is nothing to choose from");
  if (!logits.every(Number.isFinite)) {
    throw new SkeinError("diverged", "the model's predictions are not finite numbers", {
      remedy: "use an older checkpoint",
    });
  }
  const { temperature, topK, topP } = options;
  const best = likeliest(logits);
  if (temperature === 0) return best;
  const peak = logits[best] as number;
  const probability = Float64Array.from(logits, (logit) => Math.exp((logit - peak) / temperature));
  if (topK === 0 && topP === 1) return drawn(probability, undefined, random);
  const order = Uint32Array.from(logits, (_, i) => i).sort(
    (a, b) => (logits[b] as number) - (logits[a] as number) || a - b,
  );
  const first = order.subarray(0, topK === 0 ? order.length : topK);
  return drawn(probability, first.subarray(0, nucleus(probability, first, topP)), random);
}

/** How many of `order` it takes for their share of the total to reach topP; at least 1. */
function nucleus(probability: Float64Array, order: Uint32Array, topP: number): number {
  if (topP === 1) return order.length;
  let total = 0;
  for (const token of order) total += probability[token] as number;
  let sum = 0;
  for (let n = 0; n < order.length; n++) {
    sum += probability[order[n] as number] as number;
    if (sum >= topP * total) return n + 1;
  }
  return order.length;
}

/** One of `among` (default: all), each with chance proportional to its probability. */
function drawn(probability: Float64Array, among: Uint32Array | undefined, random: Random): number {
  const tokens = among ?? Uint32Array.from(probability, (_, i) => i);
  let total = 0;
  for (const token of tokens) total += probability[token] as number;
  let left = random.uniform() * total;
  for (const token of tokens) {
    left -= probability[token] as number;
    if (left < 0) return token;
  }
  return tokens[0] as number; // rounding used the last of it up
}
