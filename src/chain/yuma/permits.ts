/**
 * Who may validate: the uids with the most stake. Source: `is_topk_nonzero` in subtensor's epoch/math.rs.
 */

/**
 * The `count` largest of `stake` that are not 0, and the owner. Among equals the lower uid loses. Stake is compared after
 * normalisation to I32F32, so amounts that differ by less than 2^-32 of the total are equals.
 */
export function nextPermits(stake: readonly bigint[], count: number, ownerUid: number | undefined): boolean[] {
  const ascending = [...stake.keys()].sort((a, b) => compare(stake[a] ?? 0n, stake[b] ?? 0n)); // stable: equals stay in order of uid
  const chosen = new Set(ascending.slice(Math.max(0, stake.length - count)));
  return stake.map((s, uid) => uid === ownerUid || (s !== 0n && chosen.has(uid)));
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
