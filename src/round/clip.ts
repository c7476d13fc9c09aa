/**
 * Median-norm clipping: the factor by which each contribution's values of one tensor are multiplied, so that its L2 norm is at
 * most the lower median of all norms. As Templar does it, without its 10⁻⁸ in the denominator, which here is never zero.
 *
 * Norms are compared as squares, and the one square root is Newton's iteration in a fixed number of float64 operations:
 * ECMA-262 leaves `Math.sqrt` "implementation-approximated", and although every known engine rounds it correctly, nothing that
 * decides the params may rest on that.
 */
import { assert } from "../base/assert.ts";

/** √q for q in (0, 1), to within 2 units in the last place and at most 1; operation by operation in docs/protocol/apply.md. */
export function rootOfFraction(q: number): number {
  assert(q > 0 && q < 1, `${q} is not in (0, 1)`);
  let mantissa = q;
  let scale = 1;
  while (mantissa < 0.25) {
    mantissa = mantissa * 4;
    scale = scale * 0.5;
  }
  let x = 0.5 * (1 + mantissa); // at most 25 % above the root; each iteration about squares the error: 6 reach float64
  for (let n = 0; n < 6; n++) x = 0.5 * (x + mantissa / x);
  return x * scale;
}

/** The factor, in [0, 1], for a contribution of squared norm `squared` where the median of the squares is `median`. */
export function clipFactor(squared: number, median: number): number {
  if (squared <= median) return 1;
  return median === 0 ? 0 : rootOfFraction(median / squared);
}

/** The factor of each contribution to one tensor, in order, from their squared norms: float64 in [0, 1]. */
export function clipFactors(squares: Float64Array): Float64Array {
  const median = squares.slice().sort()[(squares.length - 1) >> 1] ?? 0; // typed arrays sort by number
  return squares.map((squared) => clipFactor(squared, median));
}
