/**
 * Causal scaled dot-product attention (Vaswani et al. 2017, eq. 1) with grouped queries (Ainslie et al. 2023): query head h
 * reads key/value head ⌊h / (heads / kvHeads)⌋. The probabilities of one sequence are held whole, [heads, length, length].
 */
import { exactExp } from "../../base/exactmath.ts";
import type { Numbers } from "./numbers.ts";

/** How the heads lie in q, k and v. */
export interface HeadDims {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

function dot(a: Numbers, aAt: number, b: Numbers, bAt: number, n: number): number {
  let total = 0;
  for (let i = 0; i < n; i++) total += (a[aAt + i] as number) * (b[bAt + i] as number);
  return total;
}

/** into[at..] += scale·x[xAt..], n elements. */
function addScaled(into: Float64Array, at: number, x: Numbers, xAt: number, scale: number, n: number): void {
  for (let i = 0; i < n; i++) into[at + i] = (into[at + i] as number) + scale * (x[xAt + i] as number);
}

/** Indices of the first element of query head h at position t, and of the key/value head it reads at position s. */
function indexing(dims: HeadDims): { q: (t: number, h: number) => number; kv: (s: number, h: number) => number } {
  const { heads, kvHeads, headDim } = dims;
  const group = heads / kvHeads;
  return {
    q: (t, h) => (t * heads + h) * headDim,
    kv: (s, h) => (s * kvHeads + Math.floor(h / group)) * headDim,
  };
}

/** Replaces the `n` scores from `at` by their softmax: e^(s − max) / Σ e^(s − max). */
function softmax(scores: Float64Array, at: number, n: number): void {
  let max = Number.NEGATIVE_INFINITY;
  for (let s = 0; s < n; s++) max = Math.max(max, scores[at + s] as number);
  let total = 0;
  for (let s = 0; s < n; s++) {
    const e = exactExp((scores[at + s] as number) - max);
    scores[at + s] = e;
    total += e;
  }
  for (let s = 0; s < n; s++) scores[at + s] = (scores[at + s] as number) / total;
}

/**
 * P[h,t,s] = softmax over s ≤ t of q[t,h]·k[s,h′]/√hd, and out[t,h] = Σₛ P[h,t,s]·v[s,h′], h′ the head that h reads.
 *
 * q [length, heads·hd], k and v [length, kvHeads·hd] → out like q, probs [heads, length, length], zero for s > t.
 */
export function attentionForward(
  q: Numbers,
  k: Numbers,
  v: Numbers,
  dims: HeadDims,
): { out: Float64Array; probs: Float64Array } {
  const { heads, headDim } = dims;
  const length = q.length / (heads * headDim);
  const scale = 1 / Math.sqrt(headDim);
  const at = indexing(dims);
  const out = new Float64Array(q.length);
  const probs = new Float64Array(heads * length * length);
  for (let h = 0; h < heads; h++) {
    for (let t = 0; t < length; t++) {
      const row = (h * length + t) * length;
      for (let s = 0; s <= t; s++) probs[row + s] = scale * dot(q, at.q(t, h), k, at.kv(s, h), headDim);
      softmax(probs, row, t + 1);
      for (let s = 0; s <= t; s++) addScaled(out, at.q(t, h), v, at.kv(s, h), probs[row + s] as number, headDim);
    }
  }
  return { out, probs };
}

/** Gradients of attention's three inputs, each like its input. */
export interface AttentionGrads {
  readonly dq: Float64Array;
  readonly dk: Float64Array;
  readonly dv: Float64Array;
}

/**
 * dv[s] += P[t,s]·dout[t];  dP[t,s] = dout[t]·v[s];  dS[t,s] = P[t,s]·(dP[t,s] − Σᵤ P[t,u]·dP[t,u]);
 * dq[t] = Σₛ dS[t,s]·k[s]/√hd;  dk[s] += dS[t,s]·q[t]/√hd, for each query head; heads that share k and v add up.
 */
export function attentionBackward(
  dout: Numbers,
  saved: { readonly q: Numbers; readonly k: Numbers; readonly v: Numbers; readonly probs: Numbers },
  dims: HeadDims,
): AttentionGrads {
  const { q, k, v, probs } = saved;
  const { heads, headDim } = dims;
  const length = q.length / (heads * headDim);
  const scale = 1 / Math.sqrt(headDim);
  const at = indexing(dims);
  const [dq, dk, dv] = [new Float64Array(q.length), new Float64Array(k.length), new Float64Array(v.length)];
  const dp = new Float64Array(length);
  for (let h = 0; h < heads; h++) {
    for (let t = 0; t < length; t++) {
      const row = (h * length + t) * length;
      let mean = 0;
      for (let s = 0; s <= t; s++) {
        const p = probs[row + s] as number;
        const d = dot(dout, at.q(t, h), v, at.kv(s, h), headDim);
        dp[s] = d;
        mean += p * d;
        addScaled(dv, at.kv(s, h), dout, at.q(t, h), p, headDim);
      }
      for (let s = 0; s <= t; s++) {
        const ds = scale * (probs[row + s] as number) * ((dp[s] as number) - mean);
        addScaled(dq, at.q(t, h), k, at.kv(s, h), ds, headDim);
        addScaled(dk, at.kv(s, h), q, at.q(t, h), ds, headDim);
      }
    }
  }
  return { dq, dk, dv };
}
