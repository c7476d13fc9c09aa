/**
 * The rotations of RoPE (Su et al. 2021, "RoFormer", eq. 34) as a table, the same bits on every machine: engines take it as
 * data and never call a cosine.
 *
 * Pair i of a head at position t turns by t·θ^(−2i/hd). Pairs are (i, i + hd/2), "rotate half", as in Hugging Face's Llama;
 * the paper pairs neighbours. Departure from Hugging Face: the angle is formed in float64, not float32, so it stays exact
 * to about 1e-10 radians at position 131,071 (float32 angles are wrong by several thousandths there).
 */
import { exactCos, exactPow, exactSin } from "../base/exactmath.ts";

/** Cosines and sines, each [seqLen, headDim/2] row-major. */
export interface RopeTable {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/**
 * The table for positions 0 to seqLen − 1 (at most SEQ_MAX, so that every angle stays within exactmath's range).
 *
 * The error of an angle is t times the frequency's (a few 1e-16 relative): at most 1e-10 or so, 500 times less than the
 * rounding to float32 that follows.
 */
export function ropeTable(headDim: number, seqLen: number, theta: number): RopeTable {
  const half = headDim / 2;
  const frequency = Float64Array.from({ length: half }, (_, i) => exactPow(theta, (-2 * i) / headDim));
  const cos = new Float32Array(seqLen * half);
  const sin = new Float32Array(seqLen * half);
  for (let t = 0; t < seqLen; t++) {
    for (let i = 0; i < half; i++) {
      const angle = t * (frequency[i] as number);
      cos[t * half + i] = exactCos(angle);
      sin[t * half + i] = exactSin(angle);
    }
  }
  return { cos, sin };
}
