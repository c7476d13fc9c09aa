/** Gradient clipping (Pascanu et al. 2013, algorithm 1) and AdamW (Loshchilov & Hutter 2019, algorithm 2, decay scaled by lr). */
import { exactPow } from "../../base/exactmath.ts";
import type { StepOptions } from "../engine.ts";
import type { Numbers } from "./numbers.ts";

/** √Σ g². */
export function globalNorm(grads: Numbers): number {
  let squares = 0;
  for (const g of grads) squares += g * g;
  return Math.sqrt(squares);
}

/** What gradients are multiplied by so that their norm is at most `clipNorm`: min(1, clipNorm / norm). */
export function clipScale(norm: number, clipNorm: number): number {
  return norm > clipNorm ? clipNorm / norm : 1;
}

/** What AdamW changes: params and both moments, all of one length. */
export interface AdamState<T extends Numbers = Numbers> {
  readonly params: T;
  readonly m: T;
  readonly v: T;
}

/**
 * Updates `state` in place by step number `step` (from 1), with g = scale·grads:
 *
 * m ← β₁·m + (1 − β₁)·g;  v ← β₂·v + (1 − β₂)·g²;  m̂ = m / (1 − β₁ˢ);  v̂ = v / (1 − β₂ˢ);
 * p ← p − lr·(m̂ / (√v̂ + ε) + decay·p)
 */
export function adamwStep(
  state: AdamState,
  grads: Numbers,
  scale: number,
  step: number,
  options: Required<StepOptions>,
): void {
  const { params, m, v } = state;
  const { lr, beta1, beta2, eps, weightDecay } = options;
  const correction1 = 1 - exactPow0(beta1, step);
  const correction2 = 1 - exactPow0(beta2, step);
  for (let i = 0; i < params.length; i++) {
    const g = scale * (grads[i] as number);
    m[i] = beta1 * (m[i] as number) + (1 - beta1) * g;
    v[i] = beta2 * (v[i] as number) + (1 - beta2) * g * g;
    const direction = (m[i] as number) / correction1 / (Math.sqrt((v[i] as number) / correction2) + eps);
    const p = params[i] as number;
    params[i] = p - lr * (direction + weightDecay * p);
  }
}

/** base^exponent for base ≥ 0; exactPow knows no base of zero. */
function exactPow0(base: number, exponent: number): number {
  return base === 0 ? 0 : exactPow(base, exponent);
}
