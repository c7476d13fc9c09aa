/**
 * Outer optimizers of the baselines that SparseLoCo is compared with: dense DiLoCo (Douillard et al. 2023, arXiv 2311.08105,
 * algorithm 1), where the mean pseudo-gradient goes through SGD with Nesterov momentum, and plain averaging of the peers' params
 * (McMahan et al. 2017), which is the same with learning rate 1 and no momentum. SparseLoCo's own outer step is round/apply.ts.
 *
 * Momentum as PyTorch's SGD has it (Sutskever et al. 2013 in the form without a separate look-ahead): b ← μ·b + g, b = g in the
 * first step; then θ ← θ − lr·(g + μ·b), or θ − lr·b without Nesterov. Where PyTorch's vector code uses fused multiply-add, the
 * product and sum are taken in float64 here and rounded once, which gives its bits (outer.test.ts) but for one case in 2^28
 * or so. lr and μ are rounded to float32 first, as PyTorch does with scalars.
 */
import { assert } from "../base/assert.ts";
import { SkeinError, shown } from "../base/errors.ts";

/** Settings of the outer SGD. */
export interface OuterSgd {
  /** Outer learning rate, in (0, 100]. */
  readonly lr: number;
  /** μ in [0, 1); 0 keeps no state. */
  readonly momentum: number;
  /** Whether the step looks ahead along the momentum. */
  readonly nesterov: boolean;
}

/** DiLoCo as published: Nesterov momentum 0.9, outer learning rate 0.7. */
export const DILOCO: OuterSgd = { lr: 0.7, momentum: 0.9, nesterov: true };
/** Plain averaging: the new params are the mean of the peers' params. */
export const AVERAGING: OuterSgd = { lr: 1, momentum: 0, nesterov: false };

/** What an outer optimizer keeps between rounds. */
export interface OuterState {
  /** Momentum b, as long as the params; absent before the first round and where momentum is 0. */
  readonly momentum?: Float32Array;
}

/** Throws SkeinError("config") unless `settings` are usable. Accepts untrusted values. */
export function checkOuterSgd({ lr, momentum, nesterov }: OuterSgd): void {
  const wrong = (what: string): never => {
    throw new SkeinError("config", `outer optimizer: ${what}`, { remedy: "correct that setting" });
  };
  if (typeof lr !== "number" || !(lr > 0 && lr <= 100)) wrong(`lr must lie in (0, 100], not ${shown(lr)}`);
  if (typeof momentum !== "number" || !(momentum >= 0 && momentum < 1))
    wrong(`momentum must lie in [0, 1), not ${shown(momentum)}`);
  if (typeof nesterov !== "boolean") wrong("nesterov must be true or false");
  if (nesterov && momentum === 0) wrong("nesterov needs momentum");
}

/** The mean of equally long `vectors`, at least one: summed in their order in float64, divided, rounded once to float32. */
export function meanOf(vectors: readonly Float32Array[]): Float32Array {
  const [first] = vectors;
  assert(first !== undefined, "the mean of nothing");
  assert(
    vectors.every(({ length }) => length === first.length),
    "vectors of different lengths have no mean",
  );
  const mean = new Float32Array(first.length);
  for (let i = 0; i < mean.length; i++) {
    let sum = 0;
    for (const vector of vectors) sum += vector[i] as number;
    mean[i] = sum / vectors.length;
  }
  return mean;
}

/** θ(start) − θ(end): what a peer's inner steps did, with the sign of a gradient. Lengths must agree. */
export function pseudoGradient(start: Float32Array, end: Float32Array): Float32Array {
  assert(start.length === end.length, `${start.length} params became ${end.length}`);
  return start.map((value, i) => value - (end[i] as number));
}

/**
 * One outer step along the mean pseudo-gradient; for parts of the params too, each with its own state. Nothing is changed in
 * place. Lengths must agree.
 */
export function outerStep(
  params: Float32Array,
  gradient: Float32Array,
  state: OuterState,
  settings: OuterSgd,
): { readonly params: Float32Array; readonly state: OuterState } {
  checkOuterSgd(settings);
  assert(gradient.length === params.length, `${params.length} params with a gradient of ${gradient.length}`);
  const lr = Math.fround(settings.lr);
  if (settings.momentum === 0) {
    return { params: params.map((value, i) => value - lr * (gradient[i] as number)), state: {} };
  }
  const mu = Math.fround(settings.momentum);
  const before = state.momentum;
  assert(before === undefined || before.length === params.length, "the momentum has another length than the params");
  const momentum = before
    ? before.map((b, i) => Math.fround(mu * b) + (gradient[i] as number))
    : Float32Array.from(gradient);
  const next = params.map((value, i) => {
    const b = momentum[i] as number;
    const direction = settings.nesterov ? Math.fround((gradient[i] as number) + mu * b) : b;
    return value - lr * direction;
  });
  return { params: next, state: { momentum } };
}
