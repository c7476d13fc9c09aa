/**
 * The chain as everything above it sees it: the only clock, the only arbiter and the paymaster. Adapters: the in-memory twin (twin/)
 * and any EVM chain through JSON-RPC (evm/); one contract suite runs over both (test/contract/).
 *
 * What a chain has told never changes. Where its newest blocks may still be replaced by others (a reorg), an adapter shows them late: `head` is the newest block
 * that is deep enough, everything is read as of that block, and a receipt is given once its block is that deep and holds the transaction. So nobody above ever sees
 * a reorg; what is sent gets into a block that is `lag` ahead of what is seen. A refusal alone is of the newest block there is: it says why something cannot be
 * sent now. How deep is deep enough is the adapter's to know; where a reorg goes deeper all the same, it says so and answers nothing any more.
 *
 * Amounts are bigint rao (1e9 rao = 1 coin), accounts are 32 bytes in hex: blake2b-256("evm:" ‖ 20-byte address), which is what
 * Bittensor maps EVM callers to. Names and units of hyperparameters are subtensor's. Every refusal of the chain is a SkeinError with
 * code "chain", whose message says what is wrong and whose remedy says what to do, with the blocks left where waiting helps.
 */

/** 32 bytes in lower-case hex with 0x: an account, a hash or a state root. */
export type Hash = `0x${string}`;
/** A 20-byte EVM address in hex with 0x. */
export type Address = `0x${string}`;

/** The newest block that is told of. */
export interface Head {
  readonly block: number;
  readonly hash: Hash;
  /** Seconds since 1970. */
  readonly timestamp: number;
}

/** Hyperparameters of a subnet that its owner may set. Names and units as in subtensor. */
export interface SubnetParams {
  /** Blocks of an epoch. */
  readonly tempo: number;
  readonly maxUids: number;
  readonly maxValidators: number;
  /** Blocks. */
  readonly immunityPeriod: number;
  /** Thousandths of tempo after which a validator without an update counts as inactive. */
  readonly activityCutoffFactor: number;
  /** Blocks between two updates of one validator's weights. */
  readonly weightsSetRateLimit: number;
  /** Blocks between two axon updates. */
  readonly servingRateLimit: number;
  readonly weightsVersionKey: bigint;
  readonly minAllowedWeights: number;
  readonly minNonImmuneUids: number;
  readonly registrationAllowed: boolean;
  /** Rao. */
  readonly minBurn: bigint;
  readonly maxBurn: bigint;
  /** Blocks in which the burn price halves. */
  readonly burnHalfLife: number;
  /** Millionths by which a registration multiplies the burn price. */
  readonly burnIncreaseMult: number;
  /** Rao below which stake counts as none. */
  readonly stakeThreshold: bigint;
  readonly commitReveal: boolean;
  /** Epochs between commit and reveal. */
  readonly revealInterval: number;
  readonly kappa: number;
  readonly rho: number;
  readonly bondsPenalty: number;
  /** Millionths. */
  readonly bondsMovingAverage: number;
  readonly yuma3: boolean;
  readonly liquidAlpha: boolean;
  readonly alphaLow: number;
  readonly alphaHigh: number;
  readonly alphaSteepness: number;
  /** 65535ths of a subnet's emission. */
  readonly ownerCut: number;
}

/** A subnet. */
export interface Subnet {
  readonly netuid: number;
  readonly owner: Hash;
  readonly ownerHotkey: Hash;
  readonly registrationBlock: number;
  readonly params: SubnetParams;
  /** Rao that a registration burns in the next block. */
  readonly burn: bigint;
  readonly neurons: number;
  /** Rao staked on its hotkeys. */
  readonly stake: bigint;
  /** Rao waiting for the next epoch. */
  readonly pending: bigint;
  readonly epoch: EpochClock;
}

/** Where a subnet's epochs stand. */
export interface EpochClock {
  /** Epochs finished. */
  readonly index: number;
  /** Block of the last epoch. */
  readonly lastBlock: number;
  /** Block from which the next one is due. */
  readonly dueBlock: number;
  /** Whether one is being computed. */
  readonly open: boolean;
}

/** One uid in a metagraph; shares are 65535ths. */
export interface Neuron {
  readonly uid: number;
  readonly hotkey: Hash;
  readonly coldkey: Hash;
  /** The hotkey's EVM address where the chain knows it (zero address otherwise). */
  readonly hotkeyAddress: Address;
  readonly registeredAt: number;
  readonly lastUpdate: number;
  readonly stake: bigint;
  readonly permit: boolean;
  readonly active: boolean;
  readonly consensus: number;
  readonly incentive: number;
  readonly dividends: number;
  readonly vtrust: number;
  /** Rao of the last epoch. */
  readonly emission: bigint;
}

/** Snapshot of all uids of a subnet at one block. */
export interface Metagraph {
  readonly block: number;
  readonly subnet: Subnet;
  readonly neurons: readonly Neuron[];
}

/** What a coldkey has staked on a hotkey. */
export interface StakePosition {
  readonly hotkey: Hash;
  readonly netuid: number;
  readonly rao: bigint;
}

/** An account's money. */
export interface Funds {
  /** Free rao. */
  readonly balance: bigint;
  /** Rao earned and not yet claimed. */
  readonly earned: bigint;
  readonly stakes: readonly StakePosition[];
}

/** One validator's vote: uids and u16 values of the same length. */
export interface WeightVector {
  readonly uids: readonly number[];
  readonly values: readonly number[];
}

/** What a run promises on chain; timing in blocks. Round r begins at `start + r·roundBlocks`. */
export interface RunTerms {
  readonly netuid: number;
  /** sha256 of the canonical run.json. */
  readonly specHash: Hash;
  /** State root before round 0. */
  readonly genesisRoot: Hash;
  readonly startBlock: number;
  /** Blocks from a round's start to its commit deadline, from there to the reveal deadline, from there to the vote deadline. The next
   * round's training begins when this one's ends its last phase. */
  readonly trainBlocks: number;
  readonly revealBlocks: number;
  readonly voteBlocks: number;
}

/** A run as the chain knows it. */
export interface RunRecord extends RunTerms {
  readonly runId: number;
  readonly owner: Hash;
  /** Spec hashes by the round from which they hold, the first from round 0. */
  readonly specs: readonly { readonly fromRound: number; readonly specHash: Hash }[];
}

/** A commit or a vote of one round. */
export interface RoundCommit {
  readonly uid: number;
  readonly hotkey: Hash;
  readonly payloadHash: Hash;
  readonly block: number;
}

/** A validator's vote on a round: whose payloads it found available and valid, and the params' state root before this round. */
export interface RoundVote {
  readonly uid: number;
  readonly uids: readonly number[];
  readonly stateRoot: Hash;
}

/**
 * How a round was decided. A null round accepts nobody.
 *
 * It holds all that a replay needs to select among the accepted payloads as everybody did when the round was over, and keeps it for ever:
 * incentives are overwritten by the next epoch and hashes of blocks are forgotten, so without them here whoever joins late would have to find
 * a node that kept every old state.
 */
export interface RoundDecision {
  readonly round: number;
  /** uids that more than half of the voting power backed, ascending. */
  readonly accepted: readonly number[];
  /** Incentives (65535ths, of the last epoch) of the uids in `accepted`, in their order, as of the decision. */
  readonly incentives: readonly number[];
  /**
   * What chance in the round's selection comes from: the hash of its last block, roundStart(round + 1) − 1. All votes are cast when it
   * becomes known, and it is the same whoever decides and when, so nobody can choose it but, within limits, whoever makes that block.
   * Where the decision comes more than 256 blocks after that block, the EVM does not know its hash any more, and it is the hash of the block
   * before the decision: then who decides chooses among blocks, which everybody else prevents by deciding earlier.
   */
  readonly seed: Hash;
  /** The state root that more than half of it named, if there is one. */
  readonly stateRoot: Hash | undefined;
  readonly block: number;
}

/** Reading. */
export interface Chain {
  /** EVM chain id; tells chains apart in signatures. */
  readonly chainId: number;
  /** Blocks between `head` and the newest one there may be: what is sent now gets into block head + lag + 1 at the earliest. */
  readonly lag: number;
  /** Never an earlier one than before. */
  head(): Promise<Head>;
  /**
   * Hash of a block that is at most 256 blocks old; undefined where it is not yet there. Nothing is promised about older ones: contracts
   * cannot see them and nodes may forget them, so they are undefined too, even where a node would still know. What is needed later is
   * written down, as a round's `seed` is.
   */
  blockHash(block: number): Promise<Hash | undefined>;
  /** Waits until `block` is there. Throws SkeinError("interrupted"). */
  waitForBlock(block: number, signal?: AbortSignal): Promise<Head>;
  subnets(): Promise<readonly Subnet[]>;
  /** Throws SkeinError("chain") where there is no such subnet. */
  metagraph(netuid: number): Promise<Metagraph>;
  /** Rows of weights that count in the next epoch, by uid. */
  weights(netuid: number): Promise<ReadonlyMap<number, WeightVector>>;
  /** Bonds by validator's uid. */
  bonds(netuid: number): Promise<ReadonlyMap<number, WeightVector>>;
  funds(coldkey: Hash): Promise<Funds>;
  /** Rao in existence, and rao minted in the next block. */
  issuance(): Promise<{ readonly total: bigint; readonly perBlock: bigint }>;
  /** Rao that creating a subnet burns in the next block. */
  subnetCost(): Promise<bigint>;
  run(runId: number): Promise<RunRecord>;
  commits(runId: number, round: number): Promise<readonly RoundCommit[]>;
  votes(runId: number, round: number): Promise<readonly RoundVote[]>;
  /** undefined while it is not decided. */
  decision(runId: number, round: number): Promise<RoundDecision | undefined>;
  /** Acts as the holder of a key. */
  as(signer: Signer): ChainAccount;
  close(): Promise<void>;
}

/** Whoever holds a key: an address, and signatures by it. Implemented by keys/ from a private key. */
export interface Signer {
  readonly address: Address;
  /** blake2b-256("evm:" ‖ address). */
  readonly account: Hash;
  /** 65-byte r ‖ s ‖ v ECDSA signature over a 32-byte digest. */
  sign(digest: Uint8Array): Promise<Uint8Array>;
}

/** A transaction that is in a block, for good. */
export interface Receipt {
  readonly block: number;
  readonly hash: Hash;
  readonly gas: bigint;
}

/** Writing as one account. Resolves when the transaction is in a block that is told of. All are idempotent where the chain makes that possible. */
export interface ChainAccount {
  readonly account: Hash;
  transfer(to: Hash, rao: bigint): Promise<Receipt>;
  /** Creates a subnet whose uid 0 is `hotkey`; pays at most `costMax`. */
  createSubnet(
    hotkey: Signer,
    costMax: bigint,
    params?: Partial<SubnetParams>,
  ): Promise<Receipt & { readonly netuid: number }>;
  setSubnet(netuid: number, params: Partial<SubnetParams>): Promise<Receipt>;
  /** Registers `hotkey`, which signs a proof; this account is its coldkey and pays at most `burnMax`. */
  register(netuid: number, hotkey: Signer, burnMax: bigint): Promise<Receipt & { readonly uid: number }>;
  addStake(netuid: number, hotkey: Hash, rao: bigint): Promise<Receipt>;
  removeStake(netuid: number, hotkey: Hash, rao: bigint): Promise<Receipt>;
  moveStake(
    from: { netuid: number; hotkey: Hash },
    to: { netuid: number; hotkey: Hash },
    rao: bigint,
  ): Promise<Receipt>;
  setTake(hotkey: Hash, take: number): Promise<Receipt>;
  /** Moves what this account has earned to its balance. */
  claim(): Promise<Receipt>;
  /** As a hotkey. Refused where the subnet wants commit–reveal. */
  setWeights(netuid: number, weights: WeightVector, versionKey?: bigint): Promise<Receipt>;
  commitWeights(netuid: number, weights: WeightVector, salt: readonly number[], versionKey?: bigint): Promise<Receipt>;
  revealWeights(netuid: number, weights: WeightVector, salt: readonly number[], versionKey?: bigint): Promise<Receipt>;
  /** Pushes an epoch that is due or open one page further; undefined where there is nothing to do. */
  stepEpoch(netuid: number): Promise<Receipt | undefined>;
  createRun(terms: RunTerms): Promise<Receipt & { readonly runId: number }>;
  /** The spec that holds from a future round on. By the run's owner. */
  upgradeRun(runId: number, fromRound: number, specHash: Hash): Promise<Receipt>;
  /** As a hotkey with a uid. A second commit of a round replaces the first until the deadline. */
  commitPayload(runId: number, round: number, payloadHash: Hash): Promise<Receipt>;
  /** As a hotkey with a permit. */
  vote(runId: number, round: number, uids: readonly number[], stateRoot: Hash): Promise<Receipt>;
  /** By anybody, after the vote deadline; decides once. */
  decideRound(runId: number, round: number): Promise<Receipt>;
}
