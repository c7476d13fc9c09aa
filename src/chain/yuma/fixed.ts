/**
 * The fixed-point numbers of subtensor's epoch as bigints. I32F32 is a signed 64-bit integer that stands for value / 2^32, I64F64 the
 * same with 64 bits on both sides.
 *
 * Source: opentensor/subtensor, pallets/subtensor/src/epoch/math.rs, over substrate-fixed 0.6. Rules: products are floored, quotients
 * truncated towards zero, x / 0 = 0, everything else saturates.
 */

/** 1 in I32F32. */
export const ONE: bigint = 1n << 32n;
const HALF = ONE / 2n;
const MAX = (1n << 63n) - 1n;
const MIN = -(1n << 63n);
const U16_MAX = 65_535n;
const U64_MAX = (1n << 64n) - 1n;
/** e to 32 bits, of exp(1) alone; the series of other powers does not pass through it. */
const E = 11_674_931_554n;
const EXP_MAX = 20n * ONE;

function clamp(x: bigint, low: bigint, high: bigint): bigint {
  return x < low ? low : x > high ? high : x;
}

const saturate = (x: bigint): bigint => clamp(x, MIN, MAX);

/** a + b. */
export const add = (a: bigint, b: bigint): bigint => saturate(a + b);

/** a − b. */
export const sub = (a: bigint, b: bigint): bigint => saturate(a - b);

/** a · b, floored. */
export const mul = (a: bigint, b: bigint): bigint => saturate((a * b) >> 32n);

/** a / b, truncated; 0 where b is 0 or the quotient does not fit. */
export function div(a: bigint, b: bigint): bigint {
  if (b === 0n) return 0n;
  const quotient = (a << 32n) / b;
  return quotient < MIN || quotient > MAX ? 0n : quotient;
}

/** The sum of numbers that are not negative. */
export function sum(values: Iterable<bigint>): bigint {
  let total = 0n;
  for (const value of values) total += value;
  return saturate(total);
}

/** Each number over the sum of all; the numbers themselves where the sum is 0. */
export function normalise(values: readonly bigint[]): bigint[] {
  const total = sum(values);
  return total === 0n ? [...values] : values.map((value) => div(value, total));
}

/** Rao as shares of their sum: divided in I64F64, then floored to I32F32. The sum is below 2^63. */
export function normaliseRao(rao: readonly bigint[]): bigint[] {
  const total = rao.reduce((a, b) => a + b, 0n);
  return total === 0n ? rao.map(() => 0n) : rao.map((x) => ((x << 64n) / total) >> 32n);
}

/** The integer n as I32F32. */
export const fromInteger = (n: number): bigint => BigInt(n) << 32n;

/** n / 65535 as I32F32, truncated. */
export const fromU16Share = (n: number): bigint => fromInteger(n) / U16_MAX;

/** x · 65535, truncated, within u16. */
export const toU16Share = (x: bigint): number => Number(clamp(mul(x, U16_MAX << 32n) >> 32n, 0n, U16_MAX));

/** The share x of an amount of rao, truncated. */
export const shareOf = (x: bigint, rao: bigint): bigint => clamp((x * rao) >> 32n, 0n, U64_MAX);

/** e^x by 31 terms of its series, of |x| ≤ 20 (others count as ±20); a negative power is the reciprocal of the positive one. */
export function exp(x: bigint): bigint {
  const power = clamp(x, -EXP_MAX, EXP_MAX);
  if (power === 0n) return ONE;
  if (power === ONE) return E;
  const size = power < 0n ? -power : power;
  let term = size;
  let result = add(size, ONE);
  for (let i = 2n; i < 32n; i++) {
    term = mul(term, size) / i;
    result = add(result, term);
  }
  return power < 0n ? div(ONE, result) : result;
}

/**
 * The weight of the new observation in a bond's moving average under liquid alpha: between `low` and `high`, by a sigmoid over how far
 * the vote lies above the consensus (buying) or below the old bond (selling). `steepness` is in hundredths.
 */
export function liquidAlpha(
  vote: bigint,
  bond: bigint,
  consensus: bigint,
  { low, high, steepness }: { readonly low: bigint; readonly high: bigint; readonly steepness: number },
): bigint {
  const distance = clamp(vote >= bond ? sub(vote, consensus) : sub(bond, vote), 0n, ONE);
  const slope = fromInteger(steepness) / -100n;
  const sigmoid = div(ONE, add(ONE, exp(mul(slope, sub(distance, HALF)))));
  return clamp(add(low, mul(sigmoid, sub(high, low))), low, high);
}
