/**
 * What the client calls of each contract. Metagraph, neurons' and staking's first lines are Bittensor's own functions, at its precompiles'
 * addresses there; Extras and the rest are our contracts' only. test/chain/abi.test.ts compares every line with the compiled contracts.
 */
import { type ParseAbi, parseAbi } from "viem";

const METAGRAPH = [
  "function getUidCount(uint16 netuid) view returns (uint16)",
  "function getStake(uint16 netuid, uint16 uid) view returns (uint64)",
  "function getConsensus(uint16 netuid, uint16 uid) view returns (uint16)",
  "function getIncentive(uint16 netuid, uint16 uid) view returns (uint16)",
  "function getDividends(uint16 netuid, uint16 uid) view returns (uint16)",
  "function getEmission(uint16 netuid, uint16 uid) view returns (uint64)",
  "function getVtrust(uint16 netuid, uint16 uid) view returns (uint16)",
  "function getValidatorStatus(uint16 netuid, uint16 uid) view returns (bool)",
  "function getLastUpdate(uint16 netuid, uint16 uid) view returns (uint64)",
  "function getIsActive(uint16 netuid, uint16 uid) view returns (bool)",
  "function getHotkey(uint16 netuid, uint16 uid) view returns (bytes32)",
  "function getColdkey(uint16 netuid, uint16 uid) view returns (bytes32)",
] as const;

/** One value a call, of each uid: Bittensor's 0x802. */
export const METAGRAPH_ABI: ParseAbi<typeof METAGRAPH> = parseAbi(METAGRAPH);

const NEURONS = [
  "function setWeights(uint16 netuid, uint16[] uids, uint16[] values, uint64 versionKey) payable",
  "function commitWeights(uint16 netuid, bytes32 commitHash) payable",
  "function revealWeights(uint16 netuid, uint16[] uids, uint16[] values, uint16[] salt, uint64 versionKey) payable",
  "function registerLimit(uint16 netuid, bytes32 hotkey, uint64 limitPrice) payable",
  "function registerWithProof(uint16 netuid, address hotkey, uint64 limitPrice, uint64 deadline, bytes signature) payable",
  "function authorizeWithProof(address hotkey, uint64 deadline, bytes signature)",
  "function nonces(address hotkey) view returns (uint64)",
  "function ownerOf(bytes32 hotkey) view returns (bytes32)",
  "function authorizedOf(bytes32 hotkey) view returns (bytes32)",
  "event NeuronRegistered(uint16 indexed netuid, uint16 indexed uid, bytes32 indexed hotkey, bytes32 coldkey, uint64 burned)",
] as const;

/** Registration and weights: Bittensor's 0x804, and proofs of hotkeys. */
export const NEURONS_ABI: ParseAbi<typeof NEURONS> = parseAbi(NEURONS);

const STAKING = [
  "function addStake(bytes32 hotkey, uint256 rao, uint256 netuid) payable",
  "function removeStake(bytes32 hotkey, uint256 rao, uint256 netuid) payable",
  "function moveStake(bytes32 fromHotkey, bytes32 toHotkey, uint256 fromNetuid, uint256 toNetuid, uint256 rao) payable",
  "function transfer(bytes32 to, uint256 rao)",
  "function claim() returns (uint256)",
  "function setTake(bytes32 hotkey, uint16 take)",
  "struct Position { bytes32 hotkey; uint16 netuid; uint64 rao; }",
  "function positionsOf(bytes32 coldkey) view returns (Position[])",
  "function balanceOf(bytes32 account) view returns (uint256)",
  "function earnedOf(bytes32 account) view returns (uint256)",
  "function issuance() view returns (uint256 total, uint256 perBlock)",
] as const;

/** Money: Bittensor's 0x805, and the ledger. */
export const STAKING_ABI: ParseAbi<typeof STAKING> = parseAbi(STAKING);

const SUBNETS = [
  "struct Params { uint64 registrationBlock; uint64 weightsVersionKey; uint64 weightsSetRateLimit; uint64 servingRateLimit; uint64 minBurn; uint64 maxBurn; uint64 bondsMovingAverage; uint64 revealInterval; uint64 stakeThreshold; uint32 tempo; uint32 activityCutoffFactor; uint32 burnHalfLife; uint32 burnIncreaseMult; uint16 immunityPeriod; uint16 minAllowedWeights; uint16 kappa; uint16 rho; uint16 alphaSteepness; uint16 alphaLow; uint16 alphaHigh; uint16 bondsPenalty; uint16 ownerCut; uint16 maxUids; uint16 maxValidators; uint16 minNonImmuneUids; bool registrationAllowed; bool commitReveal; bool yuma3; bool liquidAlpha; }",
  "function createSubnet(bytes32 hotkey, uint256 costMax, Params p) returns (uint16)",
  "function setParams(uint16 netuid, Params p)",
  "function params(uint16 netuid) view returns (Params)",
  "function defaultParams() view returns (Params)",
  "function nextLockCost() view returns (uint256)",
  "event SubnetCreated(uint16 indexed netuid, bytes32 indexed coldkey, bytes32 indexed hotkey, uint256 cost)",
] as const;

/** The subnet registry. */
export const SUBNETS_ABI: ParseAbi<typeof SUBNETS> = parseAbi(SUBNETS);

const SUBNET_GETTERS = [
  "function getNetworkRegistrationBlock(uint16 netuid) view returns (uint64)",
  "function getWeightsSetRateLimit(uint16 netuid) view returns (uint64)",
  "function getServingRateLimit(uint16 netuid) view returns (uint64)",
  "function getImmunityPeriod(uint16 netuid) view returns (uint16)",
  "function getActivityCutoffFactor(uint16 netuid) view returns (uint32)",
  "function getMinAllowedWeights(uint16 netuid) view returns (uint16)",
  "function getWeightsVersionKey(uint16 netuid) view returns (uint64)",
  "function getCommitRevealWeightsEnabled(uint16 netuid) view returns (bool)",
  "function getCommitRevealWeightsInterval(uint16 netuid) view returns (uint64)",
  "function getYuma3Enabled(uint16 netuid) view returns (bool)",
  "function getNetworkRegistrationAllowed(uint16 netuid) view returns (bool)",
  "function getKappa(uint16 netuid) view returns (uint16)",
  "function getRho(uint16 netuid) view returns (uint16)",
  "function getMinBurn(uint16 netuid) view returns (uint64)",
  "function getMaxBurn(uint16 netuid) view returns (uint64)",
  "function getBondsMovingAverage(uint16 netuid) view returns (uint64)",
  "function getLiquidAlphaEnabled(uint16 netuid) view returns (bool)",
  "function getAlphaValues(uint16 netuid) view returns (uint16, uint16)",
  "function getAlphaSigmoidSteepness(uint16 netuid) view returns (uint16)",
] as const;

/** Hyperparameters one by one: Bittensor's 0x803. */
export const SUBNET_GETTERS_ABI: ParseAbi<typeof SUBNET_GETTERS> = parseAbi(SUBNET_GETTERS);

const EPOCHS = [
  "function step(uint16 netuid, uint256 maxColumns)",
  "function stepWithMedians(uint16 netuid, uint256[] words)",
  "function stepWithMedians(uint16 netuid, uint256[] words, uint256 maxColumns)",
  "function medians(uint16 netuid) view returns (uint256[])",
  "function progress(uint16 netuid) view returns (uint8 stage, uint16 nextColumn, uint16 columns, uint64 openedAt)",
  "function frozen(uint16 netuid) view returns (bool)",
] as const;

/** Epochs, page by page. */
export const EPOCHS_ABI: ParseAbi<typeof EPOCHS> = parseAbi(EPOCHS);

const ROUND_BOOK = [
  "function createRun(uint16 netuid, bytes32 specHash, bytes32 genesisRoot, uint64 startBlock, uint32 trainBlocks, uint32 revealBlocks, uint32 voteBlocks) returns (uint64)",
  "function upgradeRun(uint64 runId, uint64 fromRound, bytes32 specHash)",
  "function commit(uint64 runId, uint64 round, uint16 uid, bytes32 payloadHash)",
  "function vote(uint64 runId, uint64 round, uint16 uid, uint256 bitmap, bytes32 stateRoot)",
  "function decide(uint64 runId, uint64 round)",
  "struct Clock { uint16 netuid; uint64 startBlock; uint32 trainBlocks; uint32 revealBlocks; uint32 voteBlocks; uint64 voted; }",
  "struct Spec { uint64 fromRound; bytes32 specHash; }",
  "function runOf(uint64 runId) view returns (Clock clock, bytes32 owner, bytes32 genesisRoot, Spec[] specs)",
  "struct Decision { uint64 decidedAt; uint256 accepted; bytes32 stateRoot; bytes32 seed; uint16[] incentives; }",
  "function decisionOf(uint64 runId, uint64 round) view returns (Decision)",
  "event RunCreated(uint64 indexed runId, uint16 indexed netuid, bytes32 indexed owner, bytes32 specHash, bytes32 genesisRoot, uint64 startBlock, uint32 trainBlocks, uint32 revealBlocks, uint32 voteBlocks)",
  "event Committed(uint64 indexed runId, uint64 indexed round, uint16 indexed uid, bytes32 hotkey, bytes32 payloadHash)",
  "event Voted(uint64 indexed runId, uint64 indexed round, uint16 indexed uid, bytes32 hotkey, uint256 bitmap, bytes32 stateRoot, uint64 stake)",
  "event RoundDecided(uint64 indexed runId, uint64 indexed round, uint256 accepted, bytes32 stateRoot, bytes32 seed, uint16[] incentives, uint256 total, uint16[] voters, uint64[] powers)",
] as const;

/** Runs and their rounds. */
export const ROUND_BOOK_ABI: ParseAbi<typeof ROUND_BOOK> = parseAbi(ROUND_BOOK);

const EXTRAS = [
  "struct Params { uint64 registrationBlock; uint64 weightsVersionKey; uint64 weightsSetRateLimit; uint64 servingRateLimit; uint64 minBurn; uint64 maxBurn; uint64 bondsMovingAverage; uint64 revealInterval; uint64 stakeThreshold; uint32 tempo; uint32 activityCutoffFactor; uint32 burnHalfLife; uint32 burnIncreaseMult; uint16 immunityPeriod; uint16 minAllowedWeights; uint16 kappa; uint16 rho; uint16 alphaSteepness; uint16 alphaLow; uint16 alphaHigh; uint16 bondsPenalty; uint16 ownerCut; uint16 maxUids; uint16 maxValidators; uint16 minNonImmuneUids; bool registrationAllowed; bool commitReveal; bool yuma3; bool liquidAlpha; }",
  "struct SubnetView { uint16 netuid; bytes32 owner; bytes32 ownerHotkey; uint64 burn; uint16 neurons; uint64 stake; uint64 pending; uint64 epochIndex; uint64 lastBlock; uint64 dueBlock; bool open; Params params; }",
  "struct NeuronView { uint16 uid; bytes32 hotkey; bytes32 coldkey; address hotkeyAddress; uint64 registeredAt; uint64 lastUpdate; uint64 stake; bool permit; bool active; uint16 consensus; uint16 incentive; uint16 dividends; uint16 vtrust; uint16 stakeWeight; uint64 emission; }",
  "struct MetagraphView { uint64 blockNumber; SubnetView subnet; NeuronView[] neurons; }",
  "struct Row { uint16 uid; uint16[] uids; uint16[] values; }",
  "function getMetagraph(uint16 netuid) view returns (MetagraphView)",
  "function getSubnet(uint16 netuid) view returns (SubnetView)",
  "function getSubnets() view returns (SubnetView[])",
  "function getWeights(uint16 netuid) view returns (Row[])",
  "function getBonds(uint16 netuid) view returns (Row[])",
] as const;

/** Everything about a subnet in one call. */
export const EXTRAS_ABI: ParseAbi<typeof EXTRAS> = parseAbi(EXTRAS);

const UID_LOOKUP = [
  "struct LookupItem { uint16 uid; uint64 block_associated; }",
  "function uidLookup(uint16 netuid, address evmAddress, uint16 limit) view returns (LookupItem[])",
] as const;

/** From an address to uids: Bittensor's 0x806. */
export const UID_LOOKUP_ABI: ParseAbi<typeof UID_LOOKUP> = parseAbi(UID_LOOKUP);
