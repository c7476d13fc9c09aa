/** Cross-entropy of next-token predictions, in nats. */
import { exactExp, exactLn } from "../../base/exactmath.ts";
import type { Numbers } from "./numbers.ts";

/** max and Σⱼ e^(zⱼ − max) of the `vocab` logits from `at`. */
function normalizer(logits: Numbers, at: number, vocab: number): { max: number; total: number } {
  let max = Number.NEGATIVE_INFINITY;
  for (let j = 0; j < vocab; j++) max = Math.max(max, logits[at + j] as number);
  let total = 0;
  for (let j = 0; j < vocab; j++) total += exactExp((logits[at + j] as number) - max);
  return { max, total };
}

/** loss[n] = ln Σⱼ e^(z[n,j]) − z[n, target n]. logits [rows, vocab], targets [rows] → losses [rows]. */
export function crossEntropyForward(logits: Numbers, targets: Int32Array): Float64Array {
  const vocab = logits.length / targets.length;
  return Float64Array.from(targets, (target, n) => {
    const { max, total } = normalizer(logits, n * vocab, vocab);
    return exactLn(total) + max - (logits[n * vocab + target] as number);
  });
}

/** Gradient of scale·Σₙ loss[n]: dz[n,j] = scale·(softmax(z[n])ⱼ − [j = target n]). Dims as above; dz like logits. */
export function crossEntropyBackward(logits: Numbers, targets: Int32Array, scale: number): Float64Array {
  const vocab = logits.length / targets.length;
  const dlogits = new Float64Array(logits.length);
  targets.forEach((target, n) => {
    const at = n * vocab;
    const { max, total } = normalizer(logits, at, vocab);
    for (let j = 0; j < vocab; j++) {
      const probability = exactExp((logits[at + j] as number) - max) / total;
      dlogits[at + j] = scale * (probability - (j === target ? 1 : 0));
    }
  });
  return dlogits;
}
