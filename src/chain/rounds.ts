/**
 * Rounds on the chain's clock, and the count of votes: what contracts/src/RoundBook.sol computes, as pure functions. The contract says
 * why the rules are as they are.
 *
 * Round r takes the blocks from start + r·n, n = train + reveal + vote blocks: commits in the first part, uploads in the second, votes in
 * the third; from its end on it can be decided.
 */
import { assert } from "../base/assert.ts";
import type { Hash, RunRecord, RunTerms } from "./chain.ts";

/** Uids that a vote's bitmap holds. */
const UIDS_MAX = 256;
/** What the contracts keep where there is no hash. */
export const NULL_HASH: Hash = `0x${"0".repeat(64)}`;

type Timing = Pick<RunTerms, "startBlock" | "trainBlocks" | "revealBlocks" | "voteBlocks">;

/** What a round's blocks are for. */
export type Phase = "train" | "reveal" | "vote";

/** Where a run stands. */
export interface RoundPhase {
  readonly round: number;
  readonly phase: Phase;
  /** Blocks until the next phase, at least 1. */
  readonly blocksLeft: number;
}

/** Blocks of a round. */
export function roundBlocks({ trainBlocks, revealBlocks, voteBlocks }: Timing): number {
  return trainBlocks + revealBlocks + voteBlocks;
}

/** The first block of a round, or of one of its phases. */
export function roundStart(timing: Timing, round: number, phase: Phase = "train"): number {
  const before = { train: 0, reveal: timing.trainBlocks, vote: timing.trainBlocks + timing.revealBlocks }[phase];
  return timing.startBlock + round * roundBlocks(timing) + before;
}

/** Where a run stands in `block`; undefined before its start. A transaction sent now is at the earliest in block head + lag + 1 (chain.ts). */
export function phaseAt(timing: Timing, block: number): RoundPhase | undefined {
  if (block < timing.startBlock) return undefined;
  const round = Math.floor((block - timing.startBlock) / roundBlocks(timing));
  const left = (phase: Phase): number => roundStart(timing, round, phase) - block;
  if (left("reveal") > 0) return { round, phase: "train", blocksLeft: left("reveal") };
  if (left("vote") > 0) return { round, phase: "reveal", blocksLeft: left("vote") };
  return { round, phase: "vote", blocksLeft: roundStart(timing, round + 1) - block };
}

/** How far back the EVM knows the hashes of blocks: in block b those of b − 256 to b − 1. */
export const HASHES_KEPT = 256;

/** The block whose hash is the seed of a round that is decided in block `decidedAt`: the round's last, or else the one before the decision. */
export function seedBlock(timing: Timing, round: number, decidedAt: number): number {
  const last = roundStart(timing, round + 1) - 1;
  assert(decidedAt > last, "a round is decided after its last block");
  return decidedAt - last <= HASHES_KEPT ? last : decidedAt - 1;
}

/** The spec that holds in a round. */
export function specAt(specs: RunRecord["specs"], round: number): Hash {
  const spec = specs.findLast(({ fromRound }) => fromRound <= round);
  assert(spec, "a run without a spec from round 0");
  return spec.specHash;
}

/** Uids as a vote's bitmap: bit i stands for uid i. */
export function bitmapOf(uids: Iterable<number>): bigint {
  let bitmap = 0n;
  for (const uid of uids) {
    assert(Number.isInteger(uid) && uid >= 0 && uid < UIDS_MAX, `uid ${uid} does not fit a bitmap`);
    bitmap |= 1n << BigInt(uid);
  }
  return bitmap;
}

/** The uids of a bitmap, ascending. */
export function uidsOf(bitmap: bigint): number[] {
  const uids: number[] = [];
  for (let [uid, rest] = [0, bitmap]; rest > 0n; uid++, rest >>= 1n) if (rest & 1n) uids.push(uid);
  return uids;
}

/** A vote as it was cast. */
export interface CastVote {
  readonly uid: number;
  readonly hotkey: Hash;
  /** Rao of its validator when it was cast. */
  readonly stake: bigint;
  /** The uids it is for. */
  readonly bitmap: bigint;
  readonly stateRoot: Hash;
}

/** A uid when the round is decided. */
export interface Seat {
  readonly hotkey: Hash;
  readonly stake: bigint;
  readonly permit: boolean;
}

/** A vote that counts. */
export interface Ballot {
  readonly uid: number;
  /** Rao. */
  readonly power: bigint;
  readonly bitmap: bigint;
  readonly stateRoot: Hash;
}

/** The outcome of a count. */
export interface Tally {
  /** uids, ascending. */
  readonly accepted: readonly number[];
  readonly stateRoot: Hash | undefined;
}

/**
 * The votes that count, and how much: of validators that still hold the uid they voted with and a permit, with the lesser of their
 * stakes then and now. `total` is the stake of all permitted validators. `seats` by uid.
 */
export function ballotsOf(
  votes: readonly CastVote[],
  seats: readonly Seat[],
): { readonly ballots: readonly Ballot[]; readonly total: bigint } {
  const total = seats.reduce((sum, { permit, stake }) => (permit ? sum + stake : sum), 0n);
  const ballots = votes.flatMap(({ uid, hotkey, stake, bitmap, stateRoot }) => {
    const seat = seats[uid];
    if (!seat?.permit || seat.hotkey !== hotkey) return [];
    return [{ uid, power: stake < seat.stake ? stake : seat.stake, bitmap, stateRoot }];
  });
  return { ballots, total };
}

/** What more than half of `total` stands behind: uids out of the `committed` ones, and a state root. */
export function tally(ballots: readonly Ballot[], total: bigint, committed: Iterable<number>): Tally {
  const majority = (backs: (ballot: Ballot) => boolean): boolean =>
    2n * ballots.reduce((sum, ballot) => (backs(ballot) ? sum + ballot.power : sum), 0n) > total;
  const accepted = [...new Set(committed)]
    .sort((a, b) => a - b)
    .filter((uid) => majority(({ bitmap }) => ((bitmap >> BigInt(uid)) & 1n) === 1n));
  const root = ballots.map(({ stateRoot }) => stateRoot).find((r) => majority(({ stateRoot }) => stateRoot === r));
  return { accepted, stateRoot: root === NULL_HASH ? undefined : root };
}
