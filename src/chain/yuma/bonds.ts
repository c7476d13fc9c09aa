/**
 * Bonds: a validator's stake in the uids it votes for, a moving average over epochs, from which its dividends come. Source:
 * subtensor's epoch/run_epoch.rs (sparse path), math.rs.
 *
 * Two kinds. Yuma 2: bonds are shares of a uid, each column sums to 1; the new observation is a validator's share of the stake behind
 * the uid. Yuma 3: bonds are weights, one validator's independent of the others'; stake enters when dividends are reckoned. Liquid
 * alpha (Yuma 3 only) makes the average of each pair fast or slow by how the vote stands to consensus and to the old bond.
 */
import { add, fromInteger, fromU16Share, liquidAlpha, mul, normalise, ONE, sub } from "./fixed.ts";
import type { Matrix, Row } from "./matrix.ts";
import { at, filterEntries, mapEntries, matrixOf, normaliseColumns, rowSums, upscaleColumns } from "./matrix.ts";
import type { EpochInput, EpochParams } from "./types.ts";

/** What bonds are reckoned from. */
export interface BondSources {
  /** Normalised weights. */
  readonly weights: Matrix;
  /** The same, clipped at consensus. */
  readonly clipped: Matrix;
  readonly activeStake: readonly bigint[];
  readonly consensus: readonly bigint[];
  readonly incentive: readonly bigint[];
}

/** New bonds as they are stored, and each uid's share of the dividends. */
export interface BondOutcome {
  readonly bonds: Matrix;
  readonly dividends: readonly bigint[];
}

/** The bonds and dividends of one epoch. */
export function bondsOf(input: EpochInput, sources: BondSources): BondOutcome {
  const votes = penalised(sources.weights, sources.clipped, fromU16Share(input.params.bondsPenalty));
  return input.params.yuma3 ? yuma3(input, votes, sources) : yuma2(input, votes, sources);
}

/** Weights moved towards the clipped ones by `penalty`. What is not above 0 then is no vote, unless nothing was moved. */
export function penalised(weights: Matrix, clipped: Matrix, penalty: bigint): Matrix {
  if (penalty === 0n) return weights;
  if (penalty === ONE) return clipped;
  return mapEntries(weights, (weight, i, j) => {
    const moved = add(weight, mul(penalty, sub(at(clipped[i], j), weight)));
    return moved > 0n ? moved : undefined;
  });
}

function yuma2(input: EpochInput, votes: Matrix, { activeStake, incentive }: BondSources): BondOutcome {
  const old = normaliseColumns(oldBonds(input, fromInteger));
  const bought = normaliseColumns(mapEntries(votes, (vote, i) => mul(vote, activeStake[i] ?? 0n)));
  const bonds = normaliseColumns(movingAverage(bought, old, alphaOf(input.params)));
  const dividends = normalise(rowSums(mapEntries(bonds, (bond, _, j) => mul(bond, incentive[j] ?? 0n))));
  return { bonds: upscaleColumns(bonds), dividends };
}

function yuma3(input: EpochInput, votes: Matrix, { activeStake, incentive, consensus }: BondSources): BondOutcome {
  const old = oldBonds(input, fromU16Share);
  const liquid = input.params.liquidAlpha && consensus.some((c) => c !== 0n);
  const bonds = liquid
    ? liquidAverage(votes, old, consensus, input.params)
    : movingAverage(votes, old, alphaOf(input.params));
  const shares = mapEntries(normaliseColumns(bonds), (bond, _, j) => mul(bond, incentive[j] ?? 0n));
  const dividends = normalise(rowSums(shares).map((share, i) => mul(share, activeStake[i] ?? 0n)));
  return { bonds, dividends };
}

/** The stored bonds, without those in uids registered since the last epoch. */
function oldBonds({ block, lastEpochBlock, params, registeredAt, bonds }: EpochInput, value: (n: number) => bigint) {
  const since = lastEpochBlock === 0 ? Math.max(0, block - params.tempo) : lastEpochBlock + 1;
  return filterEntries(matrixOf(registeredAt.length, bonds, value), (_, j) => (registeredAt[j] ?? 0) < since);
}

/** The weight of the new observation where it is the same for all. */
function alphaOf({ bondsMovingAverage }: EpochParams): bigint {
  return sub(ONE, fromInteger(bondsMovingAverage) / 1_000_000n);
}

/** alpha · new + (1 − alpha) · old; entries that are not above 0 are dropped. */
function movingAverage(newer: Matrix, older: Matrix, alpha: bigint): Matrix {
  const rest = sub(ONE, alpha);
  return newer.map((row, i) => {
    const average = (j: number): bigint => add(mul(alpha, at(row, j)), mul(rest, at(older[i], j)));
    return positive(
      [...new Set([...row.keys(), ...(older[i]?.keys() ?? [])])].sort((a, b) => a - b),
      average,
    );
  });
}

/** The same with an alpha for each pair, at most 1. Bonds in uids that the validator no longer names are dropped, not averaged. */
function liquidAverage(votes: Matrix, older: Matrix, consensus: readonly bigint[], params: EpochParams): Matrix {
  const range = {
    low: fromU16Share(params.alphaLow),
    high: fromU16Share(params.alphaHigh),
    steepness: params.alphaSteepness,
  };
  return votes.map((row, i) => {
    const average = (j: number): bigint => {
      const [vote, bond] = [at(row, j), at(older[i], j)];
      const alpha = liquidAlpha(vote, bond, consensus[j] ?? 0n, range);
      const moved = add(mul(sub(ONE, alpha), bond), mul(alpha, vote));
      return moved < ONE ? moved : ONE;
    };
    return positive([...row.keys()], average);
  });
}

/** A row of the values above 0. */
function positive(columns: readonly number[], value: (j: number) => bigint): Row {
  return new Map(columns.map((j) => [j, value(j)] as const).filter(([, v]) => v > 0n));
}
