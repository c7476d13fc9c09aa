/**
 * exp, ln, cos and sin in + − × ÷ and comparisons on float64 only, so that every JavaScript engine, and any other language,
 * computes the same bits. `Math.exp` and friends may differ between engines ("implementation-approximated" in ECMA-262), and
 * RoPE tables, learning-rate schedules and initial params are part of what must agree. Errors stay below 1e-13 relative over
 * the ranges used (checked in exactmath.test.ts); slow, and used only for tables and once-a-step numbers.
 */

const LN2_HIGH = 0.6931471803691238; // ln 2 rounded to 32 bits, so that k·LN2_HIGH is exact for |k| < 2^20
const LN2_LOW = 1.9082149292705877e-10;

/** e^x for finite x in [−700, 700]; outside it saturates to 0 or Infinity. */
export function exactExp(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x > 700) return Number.POSITIVE_INFINITY;
  if (x < -700) return 0;
  const k = Math.floor(x / (LN2_HIGH + LN2_LOW) + 0.5);
  const r = x - k * LN2_HIGH - k * LN2_LOW; // |r| ≤ ln2 / 2
  let term = 1;
  let sum = 1;
  for (let n = 1; n < 20; n++) {
    term = (term * r) / n;
    sum += term;
  }
  let scaled = sum;
  for (let i = 0; i < k; i++) scaled *= 2;
  for (let i = 0; i > k; i--) scaled /= 2;
  return scaled;
}

/** ln x for finite x > 0; NaN below, −Infinity at 0. */
export function exactLn(x: number): number {
  if (!(x >= 0)) return Number.NaN;
  if (x === 0) return Number.NEGATIVE_INFINITY;
  if (x === Number.POSITIVE_INFINITY) return x;
  let k = 0;
  let m = x;
  // biome-ignore lint/suspicious/noApproximativeNumericConstant: the bound, not the constant, is meant
  while (m > 1.4142135623730951) {
    m /= 2;
    k++;
  }
  // biome-ignore lint/suspicious/noApproximativeNumericConstant: likewise
  while (m < 0.7071067811865476) {
    m *= 2;
    k--;
  }
  const s = (m - 1) / (m + 1); // ln m = 2·atanh(s), |s| ≤ 0.172
  const s2 = s * s;
  let power = s;
  let sum = 0;
  for (let n = 1; n < 26; n += 2) {
    sum += power / n;
    power *= s2;
  }
  return k * LN2_HIGH + (k * LN2_LOW + 2 * sum);
}

/** base^exponent = e^(exponent · ln base) for base > 0. */
export function exactPow(base: number, exponent: number): number {
  return exponent === 0 ? 1 : exactExp(exponent * exactLn(base));
}

const HALF_PI_HIGH = 1.5707963267341256; // first 33 bits of π/2 (fdlibm's split), so that k·HALF_PI_HIGH is exact
const HALF_PI_LOW = 6.077100506506192e-11;

function reduced(x: number): { quadrant: number; r: number } {
  const k = Math.floor(x / (HALF_PI_HIGH + HALF_PI_LOW) + 0.5);
  return { quadrant: ((k % 4) + 4) % 4, r: x - k * HALF_PI_HIGH - k * HALF_PI_LOW };
}

function taylor(r: number, first: number, n0: number): number {
  const r2 = r * r;
  let term = first;
  let sum = first;
  for (let n = n0; n < n0 + 20; n += 2) {
    term = (-term * r2) / (n * (n + 1));
    sum += term;
  }
  return sum;
}

/** cos x for |x| ≤ 1e6 radians. */
export function exactCos(x: number): number {
  const { quadrant, r } = reduced(x);
  const value = quadrant % 2 === 0 ? taylor(r, 1, 1) : taylor(r, r, 2);
  return quadrant === 1 || quadrant === 2 ? -value : value;
}

/** sin x for |x| ≤ 1e6 radians. */
export function exactSin(x: number): number {
  const { quadrant, r } = reduced(x);
  const value = quadrant % 2 === 0 ? taylor(r, r, 2) : taylor(r, 1, 1);
  return quadrant >= 2 ? -value : value;
}
