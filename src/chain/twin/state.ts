/**
 * The twin's state: what the contracts keep in storage, as plain data (structuredClone copies it whole). The modules beside this file
 * hold the rules; each of their functions checks first and changes afterwards, so that a refusal leaves everything as it was.
 */
import type { Address, Hash, RoundCommit, RoundDecision, RunRecord, SubnetParams, WeightVector } from "../chain.ts";
import { refusal } from "../errors.ts";
import type { CastVote } from "../rounds.ts";

/** What delegators hold together on one hotkey of one subnet. */
export interface Pool {
  readonly hotkey: Hash;
  readonly netuid: number;
  /** Rao. */
  assets: bigint;
  /** Shares of all holders. */
  shares: bigint;
  readonly holders: Map<Hash, bigint>;
}

/** A subnet's part in the emission. */
export interface Accrual {
  /** Rao in its pools. */
  stake: bigint;
  /** The ledger's index when it was last settled. */
  index: bigint;
  /** Rao that wait for its next epoch. */
  pending: bigint;
  /** 2^-64 rao. */
  fraction: bigint;
}

/** Money (Staking.sol). Always: issuance = Σ balances + Σ pool assets + Σ earned + Σ pending + undistributed. */
export interface Ledger {
  issuance: bigint;
  /** Minted, and not yet credited to any subnet. */
  undistributed: bigint;
  /** Rao that empty pools left: part of `undistributed`, shared out with the next settlement. */
  dust: bigint;
  /** 2^-64 rao per staked rao, since the beginning. */
  index: bigint;
  /** 2^-64 rao that the index's last division left. */
  rest: bigint;
  /** Block up to which rao were minted. */
  settledBlock: number;
  stake: bigint;
  readonly balances: Map<Hash, bigint>;
  readonly earned: Map<Hash, bigint>;
  /** By `poolKey(hotkey, netuid)`. */
  readonly pools: Map<string, Pool>;
  readonly accruals: Map<number, Accrual>;
  /** Coldkey of each hotkey that was ever registered. */
  readonly owners: Map<Hash, Hash>;
  /** 65535ths, where it was set. */
  readonly takes: Map<Hash, number>;
}

/** A hash of weights that waits to be revealed. */
export interface PendingCommit {
  readonly hash: string;
  readonly epoch: number;
  readonly block: number;
}

/** One uid. */
export interface Slot {
  readonly hotkey: Hash;
  readonly coldkey: Hash;
  readonly hotkeyAddress: Address;
  readonly registeredAt: number;
  lastUpdate: number;
  /** Weights above 0, uids ascending; undefined before the first ones. */
  row: WeightVector | undefined;
  /** Block in which the votes of its row were made: set, or committed. */
  votedAt: number;
  bonds: WeightVector | undefined;
  commits: readonly PendingCommit[];
  permit: boolean;
  active: boolean;
  stakeWeight: number;
  consensus: number;
  incentive: number;
  dividends: number;
  vtrust: number;
  emission: bigint;
}

/** A subnet with its neurons and its epochs (Subnets.sol, Neurons.sol, Epochs.sol). */
export interface SubnetState {
  readonly netuid: number;
  readonly owner: Hash;
  readonly ownerHotkey: Hash;
  readonly registrationBlock: number;
  params: SubnetParams;
  /** Burn price as of `burnBlock`. */
  burn: bigint;
  burnBlock: number;
  epochIndex: number;
  lastEpochBlock: number;
  readonly slots: Slot[];
}

/** A round of a run (RoundBook.sol); commits and votes by uid. */
export interface RoundState {
  readonly commits: Map<number, RoundCommit>;
  readonly votes: Map<number, CastVote>;
  decision: RoundDecision | undefined;
}

/** A run and its rounds. */
export interface RunState {
  record: RunRecord;
  readonly rounds: Map<number, RoundState>;
  /** The round that was voted on last. */
  voted: number | undefined;
}

/** Everything. */
export interface World {
  readonly chainId: number;
  readonly ledger: Ledger;
  readonly subnets: Map<number, SubnetState>;
  /** Cost of the last subnet and the block it was created in. */
  lock: { readonly cost: bigint; readonly block: number } | undefined;
  readonly lockMin: bigint;
  readonly lockInterval: number;
  /** Proofs that each hotkey has given, so that none serves twice. */
  readonly nonces: Map<Hash, number>;
  readonly runs: Map<number, RunState>;
}

/** The subnet, or SubnetNotExists. */
export function subnetOf(world: World, netuid: number): SubnetState {
  const subnet = world.subnets.get(netuid);
  if (!subnet) throw refusal("SubnetNotExists", netuid);
  return subnet;
}

/** The uid of a hotkey in a subnet, if it has one. */
export function uidOf(subnet: SubnetState, hotkey: Hash): number | undefined {
  const uid = subnet.slots.findIndex((slot) => slot.hotkey === hotkey);
  return uid < 0 ? undefined : uid;
}

/** Whether an epoch is due in `block`: nothing that it reads may change then. */
export const isDue = (subnet: SubnetState, block: number): boolean =>
  block >= subnet.lastEpochBlock + subnet.params.tempo;

/** Throws EpochDue where an epoch must come first. */
export function checkThawed(subnet: SubnetState, block: number): void {
  if (isDue(subnet, block)) throw refusal("EpochDue", subnet.netuid);
}
