/**
 * From validators' rows to a uid's coins: what the last epoch paid, as the chain has it, and what one would pay that were reckoned now from the rows,
 * stakes and bonds that are on chain, by the Yuma reference (chain/yuma/). Pure.
 *
 * Where no row has changed since the last epoch, both say the same. Departure: the chain also bounds which holders of a uid an old row may still
 * speak of by the block of its commit, which it does not show; that matters only in the epoch in which a uid changes hands.
 */
import type { Metagraph, Neuron, WeightVector } from "../../chain/chain.ts";
import { epoch } from "../../chain/yuma/epoch.ts";

/** Rows by validator's uid. */
export type Rows = ReadonlyMap<number, WeightVector>;

/** A uid's shares, 0 to 1, and rao. */
export interface Shares {
  readonly consensus: number;
  readonly incentive: number;
  readonly dividends: number;
  readonly emission: bigint;
}

/** What one validator's row says of a uid. */
export interface RowVote {
  readonly validator: number;
  /** Its part of the stake that votes. */
  readonly stake: number;
  /** The uid's part of its row; 0 where the row does not name it, or there is none. */
  readonly share: number;
  /** Whether there is a row. */
  readonly voted: boolean;
}

/** How a uid is paid. */
export interface Pay {
  /** Epochs that are finished. */
  readonly epochs: number;
  /** Of the last one, as the chain has it. */
  readonly last: Shares;
  /** Rao that it paid to all uids. */
  readonly paid: bigint;
  /** Of an epoch that were reckoned now and paid as much; before the first, what waits for it. */
  readonly next: Shares;
  /** What the rows of now say of the uid; of validators with a permit and stake, by uid. */
  readonly votes: readonly RowVote[];
}

const U16_MAX = 65_535;

/** How `uid`, which is one of the metagraph's, is paid. */
export function payOf(metagraph: Metagraph, weights: Rows, bonds: Rows, uid: number): Pay {
  const { neurons, subnet } = metagraph;
  const paid = neurons.reduce((sum, { emission }) => sum + emission, 0n);
  const done = epoch({
    block: metagraph.block,
    lastEpochBlock: subnet.epoch.lastBlock,
    params: subnet.params,
    ownerUid: neurons.find(({ hotkey }) => hotkey === subnet.ownerHotkey)?.uid,
    emission: paid > 0n ? paid : subnet.pending,
    stake: neurons.map(({ stake }) => stake),
    lastUpdate: neurons.map(({ lastUpdate }) => lastUpdate),
    registeredAt: neurons.map(({ registeredAt }) => registeredAt),
    oldestCommit: neurons.map(() => 0),
    permit: neurons.map(({ permit }) => permit),
    weights,
    bonds,
  });
  const own = neurons[uid];
  return {
    epochs: subnet.epoch.index,
    last: sharesOf({ ...own }),
    paid,
    next: sharesOf({
      consensus: done.consensus[uid],
      incentive: done.incentive[uid],
      dividends: done.dividends[uid],
      emission: done.emission[uid],
    }),
    votes: votesFor(uid, neurons, weights),
  };
}

function sharesOf({
  consensus = 0,
  incentive = 0,
  dividends = 0,
  emission = 0n,
}: {
  readonly consensus?: number | undefined;
  readonly incentive?: number | undefined;
  readonly dividends?: number | undefined;
  readonly emission?: bigint | undefined;
}): Shares {
  return {
    consensus: consensus / U16_MAX,
    incentive: incentive / U16_MAX,
    dividends: dividends / U16_MAX,
    emission,
  };
}

function votesFor(uid: number, neurons: readonly Neuron[], weights: Rows): RowVote[] {
  const voters = neurons.filter(({ permit, stake }) => permit && stake > 0n);
  const all = voters.reduce((sum, { stake }) => sum + stake, 0n);
  return voters.map(({ uid: validator, stake }) => {
    const row = weights.get(validator);
    const part = Number((stake * 1_000_000n) / all) / 1_000_000;
    return { validator, stake: part, share: shareIn(row, uid), voted: row !== undefined && row.uids.length > 0 };
  });
}

/** A uid's part of a row, 0 to 1. */
export function shareIn(row: WeightVector | undefined, uid: number): number {
  if (row === undefined) return 0;
  const sum = row.values.reduce((total, value) => total + value, 0);
  return sum === 0 ? 0 : (row.values[row.uids.indexOf(uid)] ?? 0) / sum;
}

/** Whether a row on chain is what a report voted: the chain scales rows so that the largest value is 65535, as votes are. */
export function isRowOf(row: WeightVector, votes: WeightVector): boolean {
  if (row.uids.length !== votes.uids.length) return false;
  return row.uids.every((uid, i) => votes.uids[i] === uid && votes.values[i] === row.values[i]);
}
