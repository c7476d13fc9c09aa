/**
 * A chain that has Bittensor's precompiles and not our Extras: Bittensor itself (chain id 964, its test net 945). The metagraph is put
 * together from single values, all of one block; weights, registration and stake go to the same addresses with the same arguments as on
 * our own chains. Source: the declarations of the runtime's precompiles, spec version 425.
 *
 * Differences: commits to weights are blake2b-256 over SCALE; the runtime computes its epochs itself; there are no proofs of hotkeys. What
 * the precompiles do not tell is zero in a metagraph (owner, price, pending rao, epoch clock, blocks of registration), or subtensor's
 * default (NOT_TOLD); what they cannot do is refused. Runs and rounds work where a RoundBook has been deployed.
 */
import { blake2b } from "@noble/hashes/blake2.js";
import { bytesToHex, encodeFunctionData, type Hex, hexToBytes } from "viem";
import { concatBytes } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import type {
  Address,
  ChainAccount,
  Hash,
  Metagraph,
  Neuron,
  Receipt,
  Subnet,
  SubnetParams,
  WeightVector,
} from "../chain.ts";
import { refusal } from "../errors.ts";
import { METAGRAPH_ABI, NEURONS_ABI, STAKING_ABI, SUBNET_GETTERS_ABI } from "./abi.ts";
import { type AccountContext, checkWeights, rounds } from "./account.ts";
import type { AddressBook } from "./deploy.ts";
import { asked, isHash, type Link, nonsense, shownBlock } from "./link.ts";
import { type Reads, roundsOf } from "./reads.ts";
import { isTransient } from "./refusals.ts";

const ZERO_HASH: Hash = `0x${"0".repeat(64)}`;
const ZERO_ADDRESS: Address = `0x${"0".repeat(40)}`;
/** uids of a subnet on Bittensor, at most; asked for by so many at a time. */
const UIDS_MAX = 4096;
const UIDS_AT_ONCE = 8;

/** Hyperparameters that no precompile tells: what a new subnet of subtensor has. */
const NOT_TOLD = {
  tempo: 360,
  maxUids: 256,
  maxValidators: 64,
  minNonImmuneUids: 10,
  burnHalfLife: 360,
  burnIncreaseMult: 1_260_000,
  stakeThreshold: 0n,
  bondsPenalty: 65_535,
  ownerCut: 11_796,
} as const satisfies Partial<SubnetParams>;

/** Whether the metagraph precompile answers. */
export async function isBittensor({ client }: Link, { metagraph }: AddressBook): Promise<boolean> {
  try {
    const address = { address: metagraph, abi: METAGRAPH_ABI } as const;
    return Number.isInteger(await client.readContract({ ...address, functionName: "getUidCount", args: [1] }));
  } catch (thrown) {
    if (isTransient(thrown)) await asked("the metagraph", Promise.reject(thrown));
    return false;
  }
}

/** The reading half. `missing` are those of our own contracts that are not there. */
export function bittensorReads(link: Link, book: AddressBook, missing: readonly Address[]): Reads {
  const no = (what: string) => async (): Promise<never> => {
    throw notAvailable(what);
  };
  return {
    metagraph: (netuid) => metagraphOf(link, book, netuid),
    subnets: no("the list of subnets"),
    weights: no("the table of weights"),
    bonds: no("the table of bonds"),
    funds: no("the list of an account's money"),
    issuance: no("the number of rao"),
    subnetCost: no("the cost of a subnet"),
    ...(missing.includes(book.roundBook)
      ? { run: no("a run"), commits: no("a run"), votes: no("a run"), decision: no("a run") }
      : roundsOf(link, book)),
  };
}

async function metagraphOf(link: Link, book: AddressBook, netuid: number): Promise<Metagraph> {
  const blockNumber = await shownBlock(link);
  const at = { blockNumber } as const;
  const count = await uidCount(link, book, netuid, blockNumber);
  const [subnet, neurons] = [await subnetOf(link, book, netuid, at), [] as Neuron[]];
  for (let uid = 0; uid < count; uid += UIDS_AT_ONCE) {
    const some = Array.from({ length: Math.min(UIDS_AT_ONCE, count - uid) }, (_, i) => uid + i);
    neurons.push(...(await Promise.all(some.map((each) => neuronOf(link, book, netuid, each, at)))));
  }
  const stake = neurons.reduce((sum, each) => sum + each.stake, 0n);
  return { block: Number(blockNumber), subnet: { ...subnet, neurons: count, stake }, neurons };
}

async function uidCount({ client }: Link, book: AddressBook, netuid: number, blockNumber: bigint): Promise<number> {
  const contract = { address: book.metagraph, abi: METAGRAPH_ABI, blockNumber } as const;
  const count = await asked("uids", client.readContract({ ...contract, functionName: "getUidCount", args: [netuid] }));
  if (!Number.isInteger(count) || count > UIDS_MAX) throw nonsense("uids");
  if (count === 0) throw refusal("SubnetNotExists", netuid);
  return count;
}

interface At {
  readonly blockNumber: bigint;
}

async function neuronOf({ client }: Link, book: AddressBook, netuid: number, uid: number, at: At): Promise<Neuron> {
  const contract = { address: book.metagraph, abi: METAGRAPH_ABI, args: [netuid, uid], ...at } as const;
  const [hotkey, coldkey, lastUpdate, stake, permit, active, consensus, incentive, dividends, vtrust, emission] =
    await asked(
      `uid ${uid}`,
      Promise.all([
        client.readContract({ ...contract, functionName: "getHotkey" }),
        client.readContract({ ...contract, functionName: "getColdkey" }),
        client.readContract({ ...contract, functionName: "getLastUpdate" }),
        client.readContract({ ...contract, functionName: "getStake" }),
        client.readContract({ ...contract, functionName: "getValidatorStatus" }),
        client.readContract({ ...contract, functionName: "getIsActive" }),
        client.readContract({ ...contract, functionName: "getConsensus" }),
        client.readContract({ ...contract, functionName: "getIncentive" }),
        client.readContract({ ...contract, functionName: "getDividends" }),
        client.readContract({ ...contract, functionName: "getVtrust" }),
        client.readContract({ ...contract, functionName: "getEmission" }),
      ]),
    );
  if (!isHash(hotkey) || !isHash(coldkey)) throw nonsense(`uid ${uid}`);
  const shares = { consensus, incentive, dividends, vtrust };
  const keys = { uid, hotkey, coldkey, hotkeyAddress: ZERO_ADDRESS, registeredAt: 0 };
  return { ...keys, lastUpdate: Number(lastUpdate), stake, permit, active, ...shares, emission };
}

async function subnetOf(
  { client }: Link,
  book: AddressBook,
  netuid: number,
  at: At,
): Promise<Omit<Subnet, "neurons" | "stake">> {
  const contract = { address: book.subnets, abi: SUBNET_GETTERS_ABI, args: [netuid], ...at } as const;
  const read = client.readContract;
  const [registered, limits, rules, prices, alphas] = await asked(
    "settings",
    Promise.all([
      read({ ...contract, functionName: "getNetworkRegistrationBlock" }),
      Promise.all([
        read({ ...contract, functionName: "getWeightsSetRateLimit" }),
        read({ ...contract, functionName: "getServingRateLimit" }),
        read({ ...contract, functionName: "getImmunityPeriod" }),
        read({ ...contract, functionName: "getActivityCutoffFactor" }),
        read({ ...contract, functionName: "getMinAllowedWeights" }),
        read({ ...contract, functionName: "getWeightsVersionKey" }),
      ]),
      Promise.all([
        read({ ...contract, functionName: "getCommitRevealWeightsEnabled" }),
        read({ ...contract, functionName: "getCommitRevealWeightsInterval" }),
        read({ ...contract, functionName: "getYuma3Enabled" }),
        read({ ...contract, functionName: "getNetworkRegistrationAllowed" }),
        read({ ...contract, functionName: "getKappa" }),
        read({ ...contract, functionName: "getRho" }),
      ]),
      Promise.all([
        read({ ...contract, functionName: "getMinBurn" }),
        read({ ...contract, functionName: "getMaxBurn" }),
        read({ ...contract, functionName: "getBondsMovingAverage" }),
      ]),
      Promise.all([
        read({ ...contract, functionName: "getLiquidAlphaEnabled" }),
        read({ ...contract, functionName: "getAlphaValues" }),
        read({ ...contract, functionName: "getAlphaSigmoidSteepness" }),
      ]),
    ]),
  );
  const [setRate, servingRate, immunityPeriod, activityCutoffFactor, minAllowedWeights, weightsVersionKey] = limits;
  const [commitReveal, revealInterval, yuma3, registrationAllowed, kappa, rho] = rules;
  const [minBurn, maxBurn, bondsMovingAverage] = prices;
  const [liquidAlpha, [alphaLow, alphaHigh], steepness] = alphas;
  const params: SubnetParams = {
    ...NOT_TOLD,
    ...{ immunityPeriod, activityCutoffFactor, minAllowedWeights, weightsVersionKey, minBurn, maxBurn },
    ...{ commitReveal, yuma3, registrationAllowed, kappa, rho, liquidAlpha, alphaLow, alphaHigh },
    weightsSetRateLimit: Number(setRate),
    servingRateLimit: Number(servingRate),
    revealInterval: Number(revealInterval),
    bondsMovingAverage: Number(bondsMovingAverage),
    alphaSteepness: (steepness << 16) >> 16,
  };
  const epoch = { index: 0, lastBlock: 0, dueBlock: 0, open: false };
  const owner = { owner: ZERO_HASH, ownerHotkey: ZERO_HASH };
  return { netuid, ...owner, registrationBlock: Number(registered), params, burn: 0n, pending: 0n, epoch };
}

/** The writing half. */
export function bittensorAccount(context: AccountContext, missing: readonly Address[]): ChainAccount {
  const { book, link, signer } = context;
  const no = (what: string) => async (): Promise<never> => {
    throw notAvailable(what);
  };
  const aRun = no("a run");
  const uidIn = async (netuid: number): Promise<number> => uidOf(link, book, netuid, signer.account);
  return {
    account: signer.account,
    transfer: no("a transfer between accounts"),
    createSubnet: no("creating a subnet"),
    setSubnet: no("changing a subnet's settings"),
    setTake: no("setting a take"),
    claim: no("claiming, which the chain does by itself,"),
    stepEpoch: async () => undefined,
    ...seats(context),
    ...votes(context),
    ...(missing.includes(book.roundBook)
      ? { createRun: aRun, upgradeRun: aRun, commitPayload: aRun, vote: aRun, decideRound: aRun }
      : rounds(context, uidIn)),
  };
}

const plain = ({ block, hash, gas }: Receipt): Receipt => ({ block, hash, gas });

function seats({
  book,
  link,
  send,
}: AccountContext): Pick<ChainAccount, "register" | "addStake" | "removeStake" | "moveStake"> {
  const abi = STAKING_ABI;
  const act = async (to: Address, data: Hex): Promise<Receipt> => plain(await send({ to, data }));
  return {
    async register(netuid, hotkey, burnMax) {
      const args = [netuid, hotkey.account, burnMax] as const;
      const data = encodeFunctionData({ abi: NEURONS_ABI, functionName: "registerLimit", args });
      const receipt = await act(book.neurons, data);
      return { ...receipt, uid: await uidOf(link, book, netuid, hotkey.account) };
    },
    addStake: (netuid, hotkey, rao) =>
      act(book.staking, encodeFunctionData({ abi, functionName: "addStake", args: [hotkey, rao, BigInt(netuid)] })),
    removeStake: (netuid, hotkey, rao) =>
      act(book.staking, encodeFunctionData({ abi, functionName: "removeStake", args: [hotkey, rao, BigInt(netuid)] })),
    moveStake: (from, to, rao) => {
      const args = [from.hotkey, to.hotkey, BigInt(from.netuid), BigInt(to.netuid), rao] as const;
      return act(book.staking, encodeFunctionData({ abi, functionName: "moveStake", args }));
    },
  };
}

function votes({
  book,
  signer,
  send,
}: AccountContext): Pick<ChainAccount, "setWeights" | "commitWeights" | "revealWeights"> {
  const abi = NEURONS_ABI;
  const act = async (data: Hex): Promise<Receipt> => plain(await send({ to: book.neurons, data }));
  return {
    async setWeights(netuid, weights, versionKey = 0n) {
      checkWeights(weights);
      const args = [netuid, weights.uids, weights.values, versionKey] as const;
      return act(encodeFunctionData({ abi, functionName: "setWeights", args }));
    },
    async commitWeights(netuid, weights, salt, versionKey = 0n) {
      const hash = scaleCommitHash({ hotkey: signer.account, netuid, weights, salt, versionKey });
      return act(encodeFunctionData({ abi, functionName: "commitWeights", args: [netuid, hash] }));
    },
    async revealWeights(netuid, weights, salt, versionKey = 0n) {
      checkWeights(weights);
      const args = [netuid, weights.uids, weights.values, salt, versionKey] as const;
      return act(encodeFunctionData({ abi, functionName: "revealWeights", args }));
    },
  };
}

/** A hotkey's uid: nothing tells it but the uids themselves. Throws HotKeyNotRegisteredInSubNet. */
async function uidOf(link: Link, book: AddressBook, netuid: number, hotkey: Hash): Promise<number> {
  const blockNumber = await shownBlock(link);
  const count = await uidCount(link, book, netuid, blockNumber);
  const contract = { address: book.metagraph, abi: METAGRAPH_ABI, functionName: "getHotkey", blockNumber } as const;
  const readings = Array.from({ length: count }, (_, uid) =>
    link.client.readContract({ ...contract, args: [netuid, uid] }),
  );
  const uid = (await asked("hotkeys", Promise.all(readings))).indexOf(hotkey);
  if (uid < 0) throw refusal("HotKeyNotRegisteredInSubNet");
  return uid;
}

function notAvailable(what: string): SkeinError {
  return new SkeinError("chain", `${what} is not available on this chain`, {
    remedy: "use a chain with this project's contracts: `skein chain deploy` puts them onto any EVM chain",
  });
}

/** What a commit to weights says on Bittensor. */
export interface ScaleCommit {
  readonly hotkey: Hash;
  readonly netuid: number;
  readonly weights: WeightVector;
  readonly salt: readonly number[];
  readonly versionKey: bigint;
}

/** blake2b-256 of SCALE((AccountId32, netuid u16, Vec<u16> uids, Vec<u16> values, Vec<u16> salt, u64 version)): subtensor's commit of weights. */
export function scaleCommitHash({ hotkey, netuid, weights, salt, versionKey }: ScaleCommit): Hash {
  checkWeights(weights);
  const lists = [weights.uids, weights.values, salt].map((list) => concatBytes([compact(list.length), u16s(list)]));
  const bytes = concatBytes([hexToBytes(hotkey), u16s([netuid]), ...lists, u64(versionKey)]);
  return bytesToHex(blake2b(bytes, { dkLen: 32 }));
}

/** SCALE's compact form of a length: two bits say how many bytes follow. */
function compact(length: number): Uint8Array {
  if (length < 1 << 6) return Uint8Array.of(length << 2);
  if (length < 1 << 14) return u16s([(length << 2) | 1]);
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, length * 4 + 2, true);
  return bytes;
}

function u16s(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(2 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint16(2 * i, value, true);
  return bytes;
}

function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}
