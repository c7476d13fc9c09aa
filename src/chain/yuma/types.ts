/**
 * What an epoch of Yuma consensus reads and what it leaves: plain data, so that the reference (epoch.ts), the contracts and the twin
 * can be given the same and compared. Everything is per uid: index = uid, all arrays as long as there are neurons.
 *
 * Not here, because our chain does not have them (chain/chain.ts): mechanisms, a root subnet, child hotkeys. Stake arrives as rao.
 */
import type { SubnetParams, WeightVector } from "../chain.ts";

/** The hyperparameters that an epoch reads; units as in `SubnetParams`. */
export type EpochParams = Pick<
  SubnetParams,
  | "tempo"
  | "activityCutoffFactor"
  | "kappa"
  | "bondsPenalty"
  | "bondsMovingAverage"
  | "yuma3"
  | "liquidAlpha"
  | "alphaLow"
  | "alphaHigh"
  | "alphaSteepness"
  | "maxValidators"
  | "stakeThreshold"
>;

/** State of a subnet at the moment an epoch is due. */
export interface EpochInput {
  /** The block whose state this is. */
  readonly block: number;
  /** Block of the last epoch; 0 where there was none, which is read as `block - tempo - 1`. */
  readonly lastEpochBlock: number;
  readonly params: EpochParams;
  /** The uid of the subnet's owner: always permitted, spared by the stake threshold, may vote for itself. */
  readonly ownerUid: number | undefined;
  /** Rao to split; below 2^63. */
  readonly emission: bigint;

  /** Rao staked on each uid; their sum below 2^63. */
  readonly stake: readonly bigint[];
  /** Block of the last accepted weights or commit of weights. */
  readonly lastUpdate: readonly number[];
  /** Block of registration. */
  readonly registeredAt: readonly number[];
  /**
   * Whoever registered after this block gets no vote of the uid's row: the block before the row's vote was made, or that of a commit that
   * still waits; 0: no bound but `lastUpdate`.
   */
  readonly oldestCommit: readonly number[];
  /** Validator permits of the epoch before. */
  readonly permit: readonly boolean[];
  /**
   * Rows of u16 weights by validator's uid. Uids ascend within a row. A weight of 0 that stands in a row is a vote of nothing, a uid
   * that is missing is no vote: the only place where that differs is the decay of bonds under liquid alpha. The contracts store rows
   * in which both are 0, and there 0 is no vote: rows given to compare with them have no zeros.
   */
  readonly weights: ReadonlyMap<number, WeightVector>;
  /** Rows of u16 bonds by validator's uid, as the epoch before left them. Uids ascend within a row. */
  readonly bonds: ReadonlyMap<number, WeightVector>;
}

/** What an epoch leaves on chain. Shares are u16, 65535 = 1. */
export interface EpochOutput {
  readonly stakeWeight: readonly number[];
  readonly consensus: readonly number[];
  readonly incentive: readonly number[];
  readonly dividends: readonly number[];
  readonly vtrust: readonly number[];
  /** Rao to each uid for its incentive. */
  readonly serverEmission: readonly bigint[];
  /** Rao to each uid for its dividends. */
  readonly validatorEmission: readonly bigint[];
  /** Rao to each uid as the chain records it: truncated once, so up to 1 more than the sum of the two parts, which are what is paid. */
  readonly emission: readonly bigint[];
  /** Permits for the next epoch. */
  readonly permit: readonly boolean[];
  readonly active: readonly boolean[];
  /** Rows with at least one bond above 0 in u16; bonds of 0 are left out. */
  readonly bonds: ReadonlyMap<number, WeightVector>;
  /** The same before it is rounded to u16. */
  readonly exact: EpochExact;
}

/** I32F32 numbers (value · 2^32) behind an epoch's output. */
export interface EpochExact {
  /** Normalised stake. */
  readonly stake: readonly bigint[];
  /** Normalised stake of active validators. */
  readonly activeStake: readonly bigint[];
  /** Stake-weighted medians: what a caller of the paged contract supplies as advice. */
  readonly consensus: readonly bigint[];
  readonly incentive: readonly bigint[];
  readonly dividends: readonly bigint[];
  readonly vtrust: readonly bigint[];
}
