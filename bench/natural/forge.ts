/**
 * Payloads of those who did not do the work, for bench/natural.ts: copies perturbed in several ways, the second helping of one computation,
 * an echo of the last update, noise.
 */
import { must } from "../../src/base/assert.ts";
import type { Random } from "../../src/base/random.ts";
import { chunksOf } from "../../src/codec/chunks.ts";
import type { SentTensor } from "../../src/codec/feedback.ts";
import { SIGN } from "../../src/codec/levels.ts";
import type { CodecParams } from "../../src/codec/params.ts";
import { compressed, type Sent, type Setting, sentOf } from "./cohort.ts";

/** Ways to perturb a copy. */
export const PERTURBATIONS = ["signs", "places", "low places"] as const;
/** One of them: signs turned, values moved within their chunk, or only those of the low level moved. */
export type Perturbation = (typeof PERTURBATIONS)[number];

const NONE = 255;

/** Codes of a tensor by place; NONE where nothing is sent. */
function dense({ grid, indices, codes }: SentTensor): Uint8Array {
  const all = new Uint8Array(grid.rows * grid.cols).fill(NONE);
  indices.forEach((at, j) => {
    all[at] = codes[j] as number;
  });
  return all;
}

function withCodes(tensor: SentTensor, all: Uint8Array): SentTensor {
  const [indices, codes] = [new Int32Array(tensor.indices.length), new Uint8Array(tensor.indices.length)];
  let j = 0;
  for (let at = 0; at < all.length; at++) {
    if (all[at] === NONE) continue;
    indices[j] = at;
    codes[j++] = all[at] as number;
  }
  return { ...tensor, indices, codes };
}

/** Moves each value for which `moves` says so to a free place of its chunk. */
function moved(tensor: SentTensor, codec: CodecParams, random: Random, moves: (code: number) => boolean): SentTensor {
  const all = dense(tensor);
  for (const { start, height, width, stride } of chunksOf(tensor.grid, codec)) {
    const place = (n: number): number => start + Math.floor(n / width) * stride + (n % width);
    const kept = Array.from({ length: height * width }, (_, n) => place(n)).filter((at) => all[at] !== NONE);
    if (kept.length === height * width) continue;
    for (const at of kept) {
      const code = all[at] as number;
      if (!moves(code)) continue;
      let to = place(random.below(height * width));
      while (all[to] !== NONE) to = place(random.below(height * width));
      all[at] = NONE;
      all[to] = code;
    }
  }
  return withCodes(tensor, all);
}

/** A copy of `original` with a share of its values perturbed; "low places": the share of all values, taken from those of the low level first. */
export function perturbed(
  { layout, codec }: Setting,
  original: Sent,
  how: Perturbation,
  share: number,
  random: Random,
): Sent {
  const tensors = original.tensors.map((tensor) => {
    if (how === "signs") {
      return { ...tensor, codes: tensor.codes.map((code) => (random.uniform() < share ? code ^ SIGN : code)) };
    }
    const low = tensor.codes.reduce((sum, code) => sum + (code & 1 ? 0 : 1), 0) / tensor.codes.length;
    const shareLow = how === "places" ? share : Math.min(1, share / low);
    const shareHigh = how === "places" ? share : Math.max(0, (share - low) / (1 - low));
    return moved(tensor, codec, random, (code) => random.uniform() < (code & 1 ? shareHigh : shareLow));
  });
  return sentOf(layout, `${how} ${share}`, original.uid, tensors);
}

/** Everything turned round. */
export function flipped({ layout }: Setting, original: Sent, name: string, uid: number): Sent {
  const tensors = original.tensors.map((tensor) => ({ ...tensor, codes: tensor.codes.map((code) => code ^ SIGN) }));
  return sentOf(layout, name, uid, tensors);
}

/** The levels of `original` at random places with random signs: noise of the same norm. */
export function noiseLike({ layout, codec }: Setting, original: Sent, name: string, uid: number, random: Random): Sent {
  const tensors = original.tensors.map((tensor) => {
    const codes = tensor.codes.map((code) => (random.uniform() < 0.5 ? code ^ SIGN : code));
    return moved({ ...tensor, codes }, codec, random, () => true);
  });
  return sentOf(layout, name, uid, tensors);
}

/** What the next k places of each chunk hold: the second payload of one computation. `left` is the residual after the first; it moves on. */
export function secondHelping(setting: Setting, name: string, uid: number, left: Float32Array): Sent {
  const { beta } = setting.codec;
  const nothing = left.slice(); // a = β·e + (1 − β)·e = e
  for (let i = 0; i < nothing.length; i++) nothing[i] = (left[i] as number) - Math.fround(beta) * (left[i] as number);
  return compressed(setting, name, uid, nothing, left);
}

/** What top-k keeps of share · a + (1 − share) · b. */
export function blend(setting: Setting, a: Sent, b: Sent, share: number, length: number): Sent {
  const sum = new Float32Array(length);
  for (const [{ vector }, part] of [
    [a, share],
    [b, 1 - share],
  ] as const) {
    vector.indices.forEach((at, j) => {
      sum[at] = must(sum[at], "a param") + part * must(vector.values[j], "a value");
    });
  }
  return compressed(setting, `blend ${share}`, a.uid, sum, new Float32Array(length));
}
