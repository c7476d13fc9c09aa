/**
 * The twin's run registry and rounds: who commits to what and when, votes, and the decision. To the rule what RoundBook.sol does.
 * The timetable and the count of votes are rounds.ts's, which everybody uses who recomputes a decision.
 */
import { assert } from "../../base/assert.ts";
import type { Hash, RoundCommit, RoundDecision, RoundVote, RunTerms } from "../chain.ts";
import { refusal } from "../errors.ts";
import { ballotsOf, bitmapOf, NULL_HASH, roundStart, seedBlock, tally, uidsOf } from "../rounds.ts";
import { stakeOf } from "./ledger.ts";
import { type RoundState, type RunState, type SubnetState, subnetOf, uidOf, type World } from "./state.ts";

/** Registers a run; returns its number. */
export function createRun(world: World, owner: Hash, terms: RunTerms, block: number): number {
  const { netuid, specHash, genesisRoot, startBlock, trainBlocks, revealBlocks, voteBlocks } = terms;
  subnetOf(world, netuid);
  if (specHash === NULL_HASH || genesisRoot === NULL_HASH) throw refusal("EmptyHash");
  if (trainBlocks === 0 || revealBlocks === 0 || voteBlocks === 0) throw refusal("EmptyPhase");
  if (startBlock < block) throw refusal("StartInThePast", block);
  const runId = world.runs.size;
  const specs = [{ fromRound: 0, specHash }];
  const record = {
    netuid,
    specHash,
    genesisRoot,
    startBlock,
    trainBlocks,
    revealBlocks,
    voteBlocks,
    runId,
    owner,
    specs,
  };
  world.runs.set(runId, { record, rounds: new Map(), voted: undefined });
  return runId;
}

/** What `upgradeRun` asks for. */
export interface Upgrade {
  readonly runId: number;
  readonly fromRound: number;
  readonly specHash: Hash;
}

/** Another spec from a round that has not begun; what was announced for it or for later rounds is taken back. */
export function upgradeRun(world: World, owner: Hash, { runId, fromRound, specHash }: Upgrade, block: number): void {
  const run = runOf(world, runId);
  const { record } = run;
  if (record.owner !== owner) throw refusal("NotRunOwner");
  if (specHash === NULL_HASH) throw refusal("EmptyHash");
  if (roundStart(record, fromRound) <= block) throw refusal("RoundHasBegun", fromRound);
  const specs = record.specs.filter((spec) => spec.fromRound < fromRound);
  run.record = { ...record, specs: [...specs, { fromRound, specHash }] };
}

/** A payload's hash on its way into a round. */
export interface PayloadClaim {
  readonly runId: number;
  readonly round: number;
  readonly payloadHash: Hash;
}

/** Commits to a payload while the round's training lasts; a second commit replaces the first. */
export function commitPayload(world: World, hotkey: Hash, claim: PayloadClaim, block: number): void {
  const { runId, round, payloadHash } = claim;
  const run = runOf(world, runId);
  const uid = memberOf(subnetOf(world, run.record.netuid), hotkey);
  const begin = roundStart(run.record, round);
  if (block < begin) throw refusal("RoundNotBegun", begin - block);
  if (block >= begin + run.record.trainBlocks) throw refusal("CommitsClosed");
  if (payloadHash === NULL_HASH) throw refusal("EmptyHash");
  roundOf(run, round).commits.set(uid, { uid, hotkey, payloadHash, block });
}

/** The block that a transaction is in, and the hashes of those before it, as far back as the EVM knows them. */
export interface Moment {
  readonly block: number;
  readonly hashOf: (block: number) => Hash;
}

/** A validator's vote on its way into a round. */
export interface RoundBallot {
  readonly runId: number;
  readonly round: number;
  readonly uids: readonly number[];
  readonly stateRoot: Hash;
}

/** Votes in the round's last phase; a second vote replaces the first. Decides the round voted on before, if nobody has. */
export function vote(world: World, hotkey: Hash, ballot: RoundBallot, now: Moment): void {
  const { runId, round, uids, stateRoot } = ballot;
  const { block } = now;
  const run = runOf(world, runId);
  const subnet = subnetOf(world, run.record.netuid);
  const uid = memberOf(subnet, hotkey);
  const open = roundStart(run.record, round, "vote");
  if (block < open) throw refusal("VotesNotOpen", open - block);
  if (block >= open + run.record.voteBlocks) throw refusal("VotesClosed");
  if (!subnet.slots[uid]?.permit) throw refusal("NeuronNoValidatorPermit");
  const bitmap = bitmapOf(uids);
  if (run.voted !== undefined && run.voted !== round) settleRound(world, run, run.voted, now);
  run.voted = round;
  const stake = stakeOf(world.ledger, hotkey, subnet.netuid);
  roundOf(run, round).votes.set(uid, { uid, hotkey, stake, bitmap, stateRoot });
}

/** Decides a round that is over. */
export function decideRound(world: World, runId: number, round: number, now: Moment): void {
  const run = runOf(world, runId);
  const end = roundStart(run.record, round + 1);
  if (now.block < end) throw refusal("VotesStillOpen", end - now.block);
  if (run.rounds.get(round)?.decision) throw refusal("AlreadyDecided");
  settleRound(world, run, round, now);
}

function settleRound(world: World, run: RunState, round: number, { block, hashOf }: Moment): void {
  const state = roundOf(run, round);
  if (state.decision) return;
  const { slots, netuid } = subnetOf(world, run.record.netuid);
  const seats = slots.map(({ hotkey, permit }) => ({ hotkey, permit, stake: stakeOf(world.ledger, hotkey, netuid) }));
  const { ballots, total } = ballotsOf([...state.votes.values()], seats);
  const { accepted, stateRoot } = tally(ballots, total, state.commits.keys());
  const incentives = accepted.map((uid) => slots[uid]?.incentive ?? 0);
  const seed = hashOf(seedBlock(run.record, round, block));
  state.decision = { round, accepted, incentives, seed, stateRoot, block };
}

/** The run, or RunNotExists. */
export function runOf(world: World, runId: number): RunState {
  const run = world.runs.get(runId);
  if (!run) throw refusal("RunNotExists", runId);
  return run;
}

/** Commits of a round, by uid. */
export const commitsView = (world: World, runId: number, round: number): RoundCommit[] =>
  [...(runOf(world, runId).rounds.get(round)?.commits.values() ?? [])].sort((a, b) => a.uid - b.uid);

/** Votes of a round, by uid. */
export const votesView = (world: World, runId: number, round: number): RoundVote[] =>
  [...(runOf(world, runId).rounds.get(round)?.votes.values() ?? [])]
    .map(({ uid, bitmap, stateRoot }) => ({ uid, uids: uidsOf(bitmap), stateRoot }))
    .sort((a, b) => a.uid - b.uid);

/** How a round was decided, if it was. */
export const decisionView = (world: World, runId: number, round: number): RoundDecision | undefined =>
  runOf(world, runId).rounds.get(round)?.decision;

function roundOf(run: RunState, round: number): RoundState {
  assert(Number.isSafeInteger(round) && round >= 0, "rounds are counted from 0");
  const known = run.rounds.get(round);
  if (known) return known;
  const fresh: RoundState = { commits: new Map(), votes: new Map(), decision: undefined };
  run.rounds.set(round, fresh);
  return fresh;
}

function memberOf(subnet: SubnetState, hotkey: Hash): number {
  const uid = uidOf(subnet, hotkey);
  if (uid === undefined) throw refusal("HotKeyNotRegisteredInSubNet");
  return uid;
}
