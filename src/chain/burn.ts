/**
 * The price of a uid, in rao. Each registration multiplies it (by 1.26 unless the subnet says otherwise); from block to block it falls so
 * that it halves in `burnHalfLife` blocks.
 *
 * Source: subtensor's registration price (continuous decay by a Q32 factor f with f^halfLife = 1/2, found by bisection; a bump at each
 * registration; both kept within the subnet's bounds). Departure: subtensor multiplies once a block, which a contract cannot; here the
 * fall over d blocks is one product with f^d, where the power is taken by squaring with a floor at each product. BurnPrice.sol has the
 * same steps, so both agree to the rao (test/chain/burn.test.ts).
 */

/** 1 in Q32. */
const ONE = 1n << 32n;
const HALF = ONE / 2n;
const MILLION = 1_000_000n;
/** Half-lives after which nothing is left of any price. */
const HALF_LIVES_MAX = 64n;

/** Rao of a new subnet's first price, before its bounds. */
export const BURN_INITIAL = 1_000_000_000n;

/** The bounds and the speed of a price. */
export interface BurnTerms {
  /** Rao. */
  readonly minBurn: bigint;
  readonly maxBurn: bigint;
  /** Blocks; 0 keeps the price. */
  readonly burnHalfLife: number;
  /** Millionths by which a registration multiplies the price. */
  readonly burnIncreaseMult: number;
}

/** base^exponent of Q32 numbers of at most 1: by squaring, lowest bit first, each product floored. */
export function powQ32(base: bigint, exponent: bigint): bigint {
  let result = ONE;
  let factor = base;
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * factor) >> 32n;
    factor = (factor * factor) >> 32n;
  }
  return result;
}

/** The largest Q32 number below 1 whose power `halfLife` is at most 1/2; 1 where the half-life is 0. */
export function decayFactor(halfLife: number): bigint {
  if (halfLife === 0) return ONE;
  let low = 0n;
  for (let bit = HALF; bit > 0n; bit >>= 1n) {
    if (powQ32(low + bit, BigInt(halfLife)) <= HALF) low += bit;
  }
  return low;
}

/** The price `blocks` blocks after it was `burn`. */
export function burnAfter(burn: bigint, blocks: number, terms: BurnTerms): bigint {
  const halfLife = BigInt(terms.burnHalfLife);
  const gone = halfLife > 0n && BigInt(blocks) >= halfLife * HALF_LIVES_MAX;
  const left = gone ? 0n : (burn * powQ32(decayFactor(terms.burnHalfLife), BigInt(blocks))) >> 32n;
  return within(left, terms);
}

/** The price right after a registration that burned `burn`. */
export const burnBumped = (burn: bigint, terms: BurnTerms): bigint =>
  within((burn * BigInt(terms.burnIncreaseMult)) / MILLION, terms);

/** Keeps a price within a subnet's bounds. */
export function within(burn: bigint, { minBurn, maxBurn }: BurnTerms): bigint {
  if (burn > maxBurn) return maxBurn;
  return burn < minBurn ? minBurn : burn;
}
