/**
 * Whose contributions a round applies, and in which order: a pure function of public facts, so that everybody gets the same list
 * (design: no leader). Established peers come by the incentive of the last epoch, largest first; some places are kept for
 * newcomers, who have earned nothing yet, and drawn by hash from the block at which the round closed, which nobody could choose.
 * The list is capped; what one kind leaves free the other may fill.
 */
import { assert, must } from "../base/assert.ts";
import { concatBytes, utf8 } from "../base/bytes.ts";
import { sha256Hex } from "../base/hash.ts";
import { CONTRIBUTIONS_MAX } from "../base/limits.ts";

/** A peer whose payload is available and valid, by vote. */
export interface Candidate {
  /** Unique among the candidates; a whole number from 0. */
  readonly uid: number;
  /** Share of the last epoch's consensus, in any unit that is the same for all; 0 or more, finite. */
  readonly incentive: number;
  /** Whether it competes for the places of newcomers. */
  readonly newcomer: boolean;
}

/** How many are taken. */
export interface SelectSettings {
  /** Contributions a round applies at most. */
  readonly cap: number;
  /** Places kept for newcomers, at most `cap`. */
  readonly newcomerSlots: number;
}

/** The candidates of a decision: `incentives` are those of the uids in `accepted`, in their order. Who has earned nothing is a newcomer. */
export function candidatesOf(accepted: readonly number[], incentives: readonly number[]): Candidate[] {
  return accepted.map((uid, i) => {
    const incentive = must(incentives[i], "an incentive for each uid");
    return { uid, incentive, newcomer: incentive === 0 };
  });
}

/** Uids in the order in which their contributions are summed. `seed`: the block hash that decides between newcomers. */
export function selectContributors(
  candidates: readonly Candidate[],
  { cap, newcomerSlots }: SelectSettings,
  seed: Uint8Array,
): number[] {
  assert(Number.isInteger(cap) && cap >= 0 && cap <= CONTRIBUTIONS_MAX, `a round cannot apply ${cap} contributions`);
  assert(Number.isInteger(newcomerSlots) && newcomerSlots >= 0 && newcomerSlots <= cap, "more newcomers than places");
  assert(new Set(candidates.map(({ uid }) => uid)).size === candidates.length, "a uid stands twice");
  for (const { uid, incentive } of candidates) {
    assert(Number.isSafeInteger(uid) && uid >= 0, `${uid} is no uid`);
    assert(Number.isFinite(incentive) && incentive >= 0, `uid ${uid} has the incentive ${incentive}`);
  }
  const established = candidates
    .filter(({ newcomer }) => !newcomer)
    .sort((a, b) => b.incentive - a.incentive || a.uid - b.uid)
    .map(({ uid }) => uid);
  const newcomers = candidates
    .filter(({ newcomer }) => newcomer)
    .map(({ uid }) => ({ uid, lot: sha256Hex(concatBytes([seed, utf8(` newcomer ${uid}`)])) }))
    .sort((a, b) => (a.lot < b.lot ? -1 : 1))
    .map(({ uid }) => uid);
  const free = cap - Math.min(newcomerSlots, newcomers.length);
  const first = established.slice(0, free);
  return [...first, ...newcomers.slice(0, cap - first.length)];
}
