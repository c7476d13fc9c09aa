/** RMSNorm (Zhang & Sennrich 2019, eq. 4), with ε inside the root as Llama has it. */
import type { Numbers } from "./numbers.ts";

/** r = 1 / √(mean(x²) + ε) of the `dim` values from `at`. */
function inverseRms(x: Numbers, at: number, dim: number, eps: number): number {
  let squares = 0;
  for (let i = 0; i < dim; i++) squares += (x[at + i] as number) ** 2;
  return 1 / Math.sqrt(squares / dim + eps);
}

/** y = x·r·gain with r = 1/√(mean(x²) + ε), for each row. x [rows, dim], gain [dim] → y [rows, dim]. */
export function rmsnormForward(x: Numbers, gain: Numbers, eps: number): Float64Array {
  const dim = gain.length;
  const y = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += dim) {
    const r = inverseRms(x, at, dim, eps);
    for (let i = 0; i < dim; i++) y[at + i] = (x[at + i] as number) * r * (gain[i] as number);
  }
  return y;
}

/**
 * With x̂ = x·r and ĝ = dy·gain: dgain = Σ_rows dy·x̂ and dx = r·(ĝ − x̂·mean(ĝ·x̂)), since ∂r/∂xⱼ = −r³·xⱼ/dim.
 *
 * dy and x [rows, dim], gain [dim] → dx like x, dgain like gain.
 */
export function rmsnormBackward(
  dy: Numbers,
  x: Numbers,
  gain: Numbers,
  eps: number,
): { dx: Float64Array; dgain: Float64Array } {
  const dim = gain.length;
  const dx = new Float64Array(x.length);
  const dgain = new Float64Array(dim);
  for (let at = 0; at < x.length; at += dim) {
    const r = inverseRms(x, at, dim, eps);
    let mean = 0;
    for (let i = 0; i < dim; i++) {
      const xhat = (x[at + i] as number) * r;
      dgain[i] = (dgain[i] as number) + (dy[at + i] as number) * xhat;
      mean += ((dy[at + i] as number) * (gain[i] as number) * xhat) / dim;
    }
    for (let i = 0; i < dim; i++) {
      dx[at + i] = r * ((dy[at + i] as number) * (gain[i] as number) - (x[at + i] as number) * r * mean);
    }
  }
  return { dx, dgain };
}
