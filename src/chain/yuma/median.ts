/**
 * Consensus: for each uid, the largest weight that a majority of active stake stands behind; what a validator gives beyond it is
 * clipped. Source: `weighted_median_col_sparse` in subtensor's epoch/math.rs, whose pivot search returns the v among the scores with
 * stake(W < v) ≤ total − majority < stake(W ≤ v), which is the order statistic here. At the edges it returns the largest score
 * (majority 0) or the smallest (majority above the total, which rounding leaves a little below 1).
 */
import { normalise, sum } from "./fixed.ts";
import type { Matrix } from "./matrix.ts";
import { at } from "./matrix.ts";

/** The largest of `scores` such that those at or above it have `majority` of stake; the smallest where none has; 0 of no scores. */
export function weightedMedian(stake: readonly bigint[], scores: readonly bigint[], majority: bigint): bigint {
  const order = scores.map((score, k) => ({ score, stake: stake[k] ?? 0n })).sort(descending);
  let behind = 0n;
  for (const [k, entry] of order.entries()) {
    behind += entry.stake;
    const last = order[k + 1]?.score !== entry.score;
    if (last && behind >= majority) return entry.score;
  }
  return order.at(-1)?.score ?? 0n;
}

const descending = (a: { score: bigint }, b: { score: bigint }): number =>
  a.score < b.score ? 1 : a.score > b.score ? -1 : 0;

/** The consensus on each column of `weights`. Rows without active stake have no say; a row that does not name a uid gives it 0. */
export function consensusOf(activeStake: readonly bigint[], weights: Matrix, majority: bigint): bigint[] {
  const voters = [...activeStake.keys()].filter((i) => (activeStake[i] ?? 0n) > 0n);
  const stake = normalise(voters.map((i) => activeStake[i] ?? 0n));
  const total = sum(stake);
  return weights.map((_, j) => {
    const scores = voters.map((i) => at(weights[i], j));
    return total === 0n ? 0n : weightedMedian(stake, scores, majority);
  });
}
