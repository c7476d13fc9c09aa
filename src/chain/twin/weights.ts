/**
 * The twin's weights: set, or commit and reveal. To the rule what Neurons.sol does (facts: subtensor's `set_weights` and
 * `commit_weights`, version 2). The hash that is committed never leaves the twin, so its form is the twin's own.
 */
import { assert, must } from "../../base/assert.ts";
import { utf8 } from "../../base/bytes.ts";
import { sha256Hex } from "../../base/hash.ts";
import type { Hash, WeightVector } from "../chain.ts";
import { refusal } from "../errors.ts";
import { stakeOf } from "./ledger.ts";
import { checkThawed, type PendingCommit, type Slot, type SubnetState, subnetOf, uidOf, type World } from "./state.ts";

/** Commits of one hotkey that may wait at a time. */
export const COMMITS_MAX = 10;
const U16_MAX = 65_535;

/** A vote as its caller gives it. */
export interface Vote {
  readonly netuid: number;
  readonly hotkey: Hash;
  readonly weights: WeightVector;
  readonly versionKey: bigint;
  readonly block: number;
}

/** Sets the weights of a hotkey at once. */
export function setWeights(world: World, vote: Vote): void {
  const { netuid, hotkey, block } = vote;
  const subnet = subnetOf(world, netuid);
  if (subnet.params.commitReveal) throw refusal("CommitRevealEnabled");
  checkThawed(subnet, block);
  const slot = voterOf(subnet, hotkey);
  checkRate(subnet, slot, block, "SettingWeightsTooFast");
  slot.row = checkedRow(world, subnet, slot, vote);
  slot.votedAt = block;
  slot.lastUpdate = block;
}

/** Commits to weights that nobody may see yet. */
export function commitWeights(world: World, vote: Vote, salt: readonly number[]): void {
  const { netuid, hotkey, block } = vote;
  const subnet = subnetOf(world, netuid);
  if (!subnet.params.commitReveal) throw refusal("CommitRevealDisabled");
  checkThawed(subnet, block);
  const slot = voterOf(subnet, hotkey);
  checkRate(subnet, slot, block, "CommittingWeightsTooFast");
  const open = openCommits(subnet, slot);
  if (open.length >= COMMITS_MAX) throw refusal("TooManyUnrevealedCommits");
  slot.commits = [...open, { hash: hashOf(world, vote, salt), epoch: subnet.epochIndex, block }];
  slot.lastUpdate = block;
}

/** Opens a commit in the only epoch in which that is allowed; older commits are dropped with it. */
export function revealWeights(world: World, vote: Vote, salt: readonly number[]): void {
  const { netuid, hotkey, block } = vote;
  const subnet = subnetOf(world, netuid);
  if (!subnet.params.commitReveal) throw refusal("CommitRevealDisabled");
  checkThawed(subnet, block);
  const slot = voterOf(subnet, hotkey);
  const at = revealable(subnet, slot, hashOf(world, vote, salt), block);
  slot.row = checkedRow(world, subnet, slot, vote);
  slot.votedAt = must(slot.commits[at], "a commit that was found").block;
  slot.commits = slot.commits.slice(at + 1);
}

/** Commits that may still be revealed. */
const openCommits = ({ params, epochIndex }: SubnetState, slot: Slot): PendingCommit[] =>
  slot.commits.filter(({ epoch }) => epoch + params.revealInterval >= epochIndex);

/**
 * The last block whose newcomers a slot's row may vote for: the one before its vote was made, or without a row that of the oldest commit that
 * can still be revealed; 0 without either.
 */
export function oldestVote(subnet: SubnetState, slot: Slot): number {
  if (slot.row && slot.row.uids.length > 0) return slot.votedAt - 1;
  return openCommits(subnet, slot)[0]?.block ?? 0;
}

/** Where among a slot's commits the one with this hash is, if this is its epoch. */
function revealable(subnet: SubnetState, slot: Slot, hash: string, block: number): number {
  const { params, epochIndex, lastEpochBlock } = subnet;
  if (slot.commits.length === 0) throw refusal("NoWeightsCommitFound");
  let expired = false;
  for (const [i, commit] of slot.commits.entries()) {
    if (commit.hash !== hash) continue;
    const epochsLeft = commit.epoch + params.revealInterval - epochIndex;
    if (epochsLeft === 0) return i;
    if (epochsLeft > 0) {
      throw refusal("RevealTooEarly", epochsLeft, lastEpochBlock + epochsLeft * params.tempo - block);
    }
    expired = true;
  }
  throw refusal(expired ? "ExpiredWeightCommit" : "InvalidRevealCommitHashNotMatch");
}

function voterOf(subnet: SubnetState, hotkey: Hash): Slot {
  const slot = subnet.slots[uidOf(subnet, hotkey) ?? -1];
  if (!slot) throw refusal("HotKeyNotRegisteredInSubNet");
  return slot;
}

function checkRate(subnet: SubnetState, slot: Slot, block: number, error: string): void {
  const left = slot.lastUpdate + subnet.params.weightsSetRateLimit - block;
  if (left > 0) throw refusal(error, left);
}

/** The row as it is stored: largest weight 65535, no zeros, uids ascending. */
function checkedRow(world: World, subnet: SubnetState, slot: Slot, vote: Vote): WeightVector {
  const { uids, values } = vote.weights;
  const { params, slots } = subnet;
  assert([...uids, ...values].every(isCount), "uids and weights are whole numbers from 0");
  if (uids.length !== values.length) throw refusal("WeightVecNotEqualSize");
  if (uids.length > slots.length) throw refusal("UidsLengthExceedUidsInSubNet");
  const owner = slot.hotkey === subnet.ownerHotkey;
  if (!owner && stakeOf(world.ledger, slot.hotkey, subnet.netuid) < params.stakeThreshold) {
    throw refusal("NotEnoughStakeToSetWeights");
  }
  if (vote.versionKey < params.weightsVersionKey) throw refusal("IncorrectWeightVersionKey", params.weightsVersionKey);
  const alone = uids.length === 1 && uids[0] === slots.indexOf(slot);
  const least = Math.min(params.minAllowedWeights, slots.length);
  if (!(alone || owner || slot.permit)) throw refusal("NeuronNoValidatorPermit");
  if (!alone && uids.length < least) throw refusal("WeightVecLengthIsLow", least);
  if (values.some((value) => value > U16_MAX)) throw refusal("ValueOutOfRange");
  for (const [i, uid] of uids.entries()) {
    if (uid >= slots.length) throw refusal("UidVecContainInvalidOne", uid);
    if (uids.indexOf(uid) < i) throw refusal("DuplicateUids");
  }
  return upscaled(vote.weights);
}

const isCount = (n: number): boolean => Number.isInteger(n) && n >= 0;

/** Weights scaled so that the largest is 65535, rounded to the nearest; zeros left out. */
export function upscaled({ uids, values }: WeightVector): WeightVector {
  const max = Math.max(1, ...values);
  const entries = uids
    .map((uid, i) => [uid, Math.floor(((values[i] ?? 0) * U16_MAX * 2 + max) / (2 * max))] as const)
    .filter(([, value]) => value > 0)
    .sort(([a], [b]) => a - b);
  return { uids: entries.map(([uid]) => uid), values: entries.map(([, value]) => value) };
}

function hashOf(world: World, { netuid, hotkey, weights, versionKey }: Vote, salt: readonly number[]): string {
  const parts = [world.chainId, netuid, hotkey, weights.uids, weights.values, salt, String(versionKey)];
  return sha256Hex(utf8(JSON.stringify(parts)));
}
