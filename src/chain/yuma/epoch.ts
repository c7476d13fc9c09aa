/**
 * Yuma consensus: one epoch of a subnet, from stake and weights to shares, bonds and rao. The slow, obvious version, to the bit what
 * subtensor computes; the contracts and the twin are held against it.
 *
 * Source: opentensor/subtensor (public domain), pallets/subtensor/src/epoch/run_epoch.rs, `epoch_mechanism`: the sparse path, which is
 * the one in production. Departures: none in the arithmetic; the inputs are simpler (types.ts).
 */
import { assert } from "../../base/assert.ts";
import { bondsOf } from "./bonds.ts";
import {
  add,
  div,
  fromInteger,
  fromU16Share,
  mul,
  normalise,
  normaliseRao,
  shareOf,
  sum,
  toU16Share,
} from "./fixed.ts";
import type { Matrix } from "./matrix.ts";
import { columnSums, filterEntries, mapEntries, matrixOf, normaliseRows, rowSums, toU16Rows } from "./matrix.ts";
import { consensusOf } from "./median.ts";
import { nextPermits } from "./permits.ts";
import type { EpochInput, EpochOutput } from "./types.ts";

/** Above this the sum of a row of weights could leave I32F32. */
const UIDS_MAX = 32_767;

/** Computes one epoch. Total over its inputs' ranges (types.ts): no validators, no stake, no votes are all in order. */
export function epoch(input: EpochInput): EpochOutput {
  checkLengths(input);
  const { params, ownerUid } = input;
  const active = activeOf(input);
  const stake = stakeOf(input);
  const permitted = input.permit.map((permit, uid) => permit || uid === ownerUid);
  const activeStake = normalise(stake.map((s, uid) => (active[uid] && permitted[uid] ? s : 0n)));

  const weights = normaliseRows(countedWeights(input, permitted));
  const consensus = consensusOf(activeStake, weights, fromU16Share(params.kappa));
  const clipped = clip(weights, consensus);
  const vtrust = rowSums(clipped);
  const incentive = normalise(columnSums(mapEntries(clipped, (weight, i) => mul(activeStake[i] ?? 0n, weight))));
  const { bonds, dividends } = bondsOf(input, { weights, clipped, activeStake, consensus, incentive });

  const permit = nextPermits(stake, params.maxValidators, ownerUid);
  return {
    stakeWeight: stake.map(toU16Share),
    consensus: consensus.map(toU16Share),
    incentive: incentive.map(toU16Share),
    dividends: dividends.map(toU16Share),
    vtrust: vtrust.map(toU16Share),
    ...emissionOf(input.emission, incentive, dividends, sum(activeStake) === 0n ? stake : activeStake),
    permit,
    active,
    bonds: toU16Rows(bonds, permit),
    exact: { stake, activeStake, consensus, incentive, dividends, vtrust },
  };
}

function checkLengths({ stake, lastUpdate, registeredAt, oldestCommit, permit }: EpochInput): void {
  const n = stake.length;
  assert(n <= UIDS_MAX, `an epoch of ${n} uids; at most ${UIDS_MAX}`);
  const same = [lastUpdate, registeredAt, oldestCommit, permit].every((column) => column.length === n);
  assert(same, "an epoch's inputs differ in length");
}

/** Who has updated its weights lately enough. */
function activeOf({ block, params, lastUpdate }: EpochInput): boolean[] {
  const cutoff = Math.max(1, Math.floor((params.activityCutoffFactor * params.tempo) / 1000));
  return lastUpdate.map((updated) => updated + cutoff >= block);
}

/** Stake as shares; what is below the threshold counts as none, but for the owner. */
function stakeOf({ stake, params, ownerUid }: EpochInput): bigint[] {
  return normaliseRao(stake.map((rao, uid) => (uid !== ownerUid && rao < params.stakeThreshold ? 0n : rao)));
}

/**
 * The votes that count: those of permitted validators, for others than themselves (the owner may vote for itself), and for uids whose
 * holder was there when the vote was cast.
 */
function countedWeights(input: EpochInput, permitted: readonly boolean[]): Matrix {
  const { ownerUid, registeredAt, lastUpdate, oldestCommit } = input;
  return filterEntries(matrixOf(registeredAt.length, input.weights, fromInteger), (i, j) => {
    if (permitted[i] !== true) return false;
    if (i === j && i !== ownerUid) return false;
    const [registered, updated, committed] = [registeredAt[j] ?? 0, lastUpdate[i] ?? 0, oldestCommit[i] ?? 0];
    if (updated <= registered) return false;
    return committed === 0 || committed >= registered;
  });
}

/** Weights cut off at consensus; a weight for a uid without consensus is no vote. */
function clip(weights: Matrix, consensus: readonly bigint[]): Matrix {
  return mapEntries(weights, (weight, _, j) => {
    const limit = consensus[j] ?? 0n;
    if (limit >= weight) return weight;
    return limit > 0n ? limit : undefined;
  });
}

/** Rao by incentive and by dividends; where there are neither, all of it by stake, to the validators' side. */
function emissionOf(
  rao: bigint,
  incentive: readonly bigint[],
  dividends: readonly bigint[],
  fallback: readonly bigint[],
): Pick<EpochOutput, "serverEmission" | "validatorEmission" | "emission"> {
  const both = incentive.map((share, uid) => add(share, dividends[uid] ?? 0n));
  const total = sum(both);
  const split = (shares: readonly bigint[]): bigint[] => shares.map((share) => shareOf(div(share, total), rao));
  if (total !== 0n)
    return { serverEmission: split(incentive), validatorEmission: split(dividends), emission: split(both) };
  const validatorEmission = fallback.map((share) => shareOf(share, rao));
  return { serverEmission: incentive.map(() => 0n), validatorEmission, emission: validatorEmission };
}
