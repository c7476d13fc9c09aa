/**
 * The writing half of the EVM client: one holder of a key. Weights, registrations and settings are refused while an epoch is due, since
 * nothing that it reads may change; whoever meets that pushes the epoch page by page and tries again, so that nobody above has to know.
 */
import { encodeAbiParameters, encodeFunctionData, type Hex, keccak256, parseEventLogs } from "viem";
import type { Address, ChainAccount, Hash, Receipt, Signer, SubnetParams, WeightVector } from "../chain.ts";
import { refusal, refusalName } from "../errors.ts";
import { bitmapOf } from "../rounds.ts";
import { EPOCHS_ABI, NEURONS_ABI, ROUND_BOOK_ABI, STAKING_ABI, SUBNETS_ABI, UID_LOOKUP_ABI } from "./abi.ts";
import type { AddressBook } from "./deploy.ts";
import { asked, type Link, nonsense } from "./link.ts";
import { authorization, registrationWithProof } from "./proofs.ts";
import { paramsView } from "./reads.ts";
import type { Call, Sender, Sent } from "./transactions.ts";

/** Pages that one caller pushes before it gives up: an epoch of 256 uids takes less than ten. */
const PAGES_MAX = 64;
/** Columns that are more than all stages of an epoch have together. */
const ALL_COLUMNS = 4096n;
/** Columns of a page, the first that fits: all of a small subnet's epoch, or what 64 validators fill a page with. */
const PAGE_COLUMNS = [ALL_COLUMNS, 256n, 128n, 48n] as const;
/** Gas of a page, below the most that a transaction may have on Ethereum. */
const PAGE_GAS = 16_000_000n;
/** Epochs.sol's stage in which medians can be supplied. */
const CONSENSUS = 1;

/** What an account needs of its chain. */
export interface AccountContext {
  readonly link: Link;
  readonly book: AddressBook;
  readonly signer: Signer;
  readonly send: Sender;
}

/** Acts as the holder of a key. */
export function accountFor(context: AccountContext): ChainAccount {
  return {
    account: context.signer.account,
    ...money(context),
    ...membership(context),
    ...votes(context),
    ...rounds(context, (netuid) => uidFor(context, netuid)),
    stepEpoch: (netuid) => stepEpoch(context, netuid),
  };
}

/** The receipt alone. */
const plain = ({ block, hash, gas }: Receipt): Receipt => ({ block, hash, gas });

/** Sends what `callNow` says; where an epoch of `netuid` stands in the way, pushes it first. */
async function pushing(context: AccountContext, netuid: number, callNow: () => Call | Promise<Call>): Promise<Sent> {
  for (let pages = 0; ; pages++) {
    try {
      return await context.send(await callNow());
    } catch (thrown) {
      if (refusalName(thrown) !== "EpochDue" || pages >= PAGES_MAX) throw thrown;
      await stepEpoch(context, netuid).catch((inner: unknown) => {
        // Somebody else was faster: then the next try says how things stand.
        if (refusalName(inner) === undefined) throw inner;
      });
    }
  }
}

async function stepEpoch({ link, book, send }: AccountContext, netuid: number): Promise<Receipt | undefined> {
  const { client } = link;
  const contract = { address: book.epochs, abi: EPOCHS_ABI, args: [netuid], blockTag: "pending" } as const;
  const [frozen, [stage]] = await asked(
    "an epoch",
    Promise.all([
      client.readContract({ ...contract, functionName: "frozen" }),
      client.readContract({ ...contract, functionName: "progress" }),
    ]),
  );
  if (!frozen) return undefined;
  const call = (data: Hex): Call => ({ to: book.epochs, data });
  const abi = EPOCHS_ABI;
  const page = (columns: bigint): Call =>
    call(encodeFunctionData({ abi, functionName: "step", args: [netuid, columns] }));
  if (stage !== CONSENSUS) return plain(await send(await firstThatFits(link, PAGE_COLUMNS.map(page), page(16n))));
  if (await fits(link, page(ALL_COLUMNS))) return plain(await send(page(ALL_COLUMNS)));
  const words = await asked("an epoch's medians", client.readContract({ ...contract, functionName: "medians" }));
  const functionName = "stepWithMedians";
  const more = PAGE_COLUMNS.map((columns) =>
    call(encodeFunctionData({ abi, functionName, args: [netuid, words, columns] })),
  );
  const least = call(encodeFunctionData({ abi, functionName, args: [netuid, words] }));
  return plain(await send(await firstThatFits(link, more, least)));
}

async function firstThatFits(link: Link, calls: readonly Call[], least: Call): Promise<Call> {
  for (const call of calls) if (await fits(link, call)) return call;
  return least;
}

/** Whether a call has room in a page. Refusals count as fitting: sending tells them. */
async function fits({ client }: Link, call: Call): Promise<boolean> {
  try {
    await client.call({ ...call, gas: PAGE_GAS, blockTag: "pending" });
    return true;
  } catch (thrown) {
    return refusalName(await asked("a page", Promise.reject(thrown)).catch((error: unknown) => error)) !== undefined;
  }
}

type Money = Pick<ChainAccount, "transfer" | "addStake" | "removeStake" | "moveStake" | "setTake" | "claim">;

function money({ book: { staking: to }, send }: AccountContext): Money {
  const abi = STAKING_ABI;
  const act = async (data: Hex): Promise<Receipt> => plain(await send({ to, data }));
  return {
    transfer: (account, rao) => act(encodeFunctionData({ abi, functionName: "transfer", args: [account, rao] })),
    addStake: (netuid, hotkey, rao) =>
      act(encodeFunctionData({ abi, functionName: "addStake", args: [hotkey, rao, BigInt(netuid)] })),
    removeStake: (netuid, hotkey, rao) =>
      act(encodeFunctionData({ abi, functionName: "removeStake", args: [hotkey, rao, BigInt(netuid)] })),
    moveStake: (from, dest, rao) => {
      const args = [from.hotkey, dest.hotkey, BigInt(from.netuid), BigInt(dest.netuid), rao] as const;
      return act(encodeFunctionData({ abi, functionName: "moveStake", args }));
    },
    setTake: (hotkey, take) => act(encodeFunctionData({ abi, functionName: "setTake", args: [hotkey, take] })),
    claim: () => act(encodeFunctionData({ abi, functionName: "claim" })),
  };
}

type Membership = Pick<ChainAccount, "createSubnet" | "setSubnet" | "register">;

function membership(context: AccountContext): Membership {
  const { link, book, signer, send } = context;
  const registry = { address: book.subnets, abi: SUBNETS_ABI } as const;
  return {
    async createSubnet(hotkey, costMax, params = {}) {
      const permission = await authorization(context, hotkey);
      if (permission !== undefined) await send({ to: book.neurons, data: permission });
      const reading = link.client.readContract({ ...registry, functionName: "defaultParams" });
      const args = [hotkey.account, costMax, paramsView(await asked("default settings", reading), params)] as const;
      const sent = await send({
        to: book.subnets,
        data: encodeFunctionData({ abi: SUBNETS_ABI, functionName: "createSubnet", args }),
      });
      const logs = logsOf(sent, book.subnets);
      const [created] = parseEventLogs({ abi: SUBNETS_ABI, eventName: "SubnetCreated", logs });
      if (!created) throw nonsense("the report on a new subnet");
      return { ...plain(sent), netuid: created.args.netuid };
    },
    async setSubnet(netuid, params: Partial<SubnetParams>) {
      const sent = await pushing(context, netuid, async () => {
        const reading = link.client.readContract({ ...registry, functionName: "params", args: [netuid] });
        const args = [netuid, paramsView(await asked("settings", reading), params)] as const;
        return { to: book.subnets, data: encodeFunctionData({ abi: SUBNETS_ABI, functionName: "setParams", args }) };
      });
      return plain(sent);
    },
    async register(netuid, hotkey, burnMax) {
      const own = hotkey.account === signer.account;
      const args = [netuid, hotkey.account, burnMax] as const;
      const sent = await pushing(context, netuid, async () => ({
        to: book.neurons,
        data: own
          ? encodeFunctionData({ abi: NEURONS_ABI, functionName: "registerLimit", args })
          : await registrationWithProof(context, netuid, hotkey, burnMax),
      }));
      const logs = logsOf(sent, book.neurons);
      const [registered] = parseEventLogs({ abi: NEURONS_ABI, eventName: "NeuronRegistered", logs });
      if (!registered) throw nonsense("the report on a registration");
      return { ...plain(sent), uid: registered.args.uid };
    },
  };
}

/** What one contract has reported. */
function logsOf({ logs }: Sent, address: Address): Sent["logs"] {
  return logs.filter((log) => log.address.toLowerCase() === address.toLowerCase());
}

type Votes = Pick<ChainAccount, "setWeights" | "commitWeights" | "revealWeights">;

function votes(context: AccountContext): Votes {
  const { book, link, signer } = context;
  const abi = NEURONS_ABI;
  const act = async (netuid: number, data: Hex): Promise<Receipt> =>
    plain(await pushing(context, netuid, () => ({ to: book.neurons, data })));
  return {
    async setWeights(netuid, weights, versionKey = 0n) {
      checkWeights(weights);
      const args = [netuid, weights.uids, weights.values, versionKey] as const;
      return act(netuid, encodeFunctionData({ abi, functionName: "setWeights", args }));
    },
    async commitWeights(netuid, weights, salt, versionKey = 0n) {
      const where = { chainId: link.chainId, contract: book.neurons, netuid, hotkey: signer.account };
      const hash = commitHash({ ...where, weights, salt, versionKey });
      return act(netuid, encodeFunctionData({ abi, functionName: "commitWeights", args: [netuid, hash] }));
    },
    async revealWeights(netuid, weights, salt, versionKey = 0n) {
      checkWeights(weights);
      const args = [netuid, weights.uids, weights.values, salt, versionKey] as const;
      return act(netuid, encodeFunctionData({ abi, functionName: "revealWeights", args }));
    },
  };
}

/** Refuses what cannot even be written down for the contract. */
export function checkWeights({ uids, values }: WeightVector): void {
  const isU16 = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= 0xffff;
  if (!values.every(isU16)) throw refusal("ValueOutOfRange");
  const strange = uids.find((uid) => !isU16(uid));
  if (strange !== undefined) throw refusal("UidVecContainInvalidOne", strange);
}

/** What a commit to weights says. */
export interface WeightsCommit {
  readonly chainId: number;
  readonly contract: Address;
  readonly netuid: number;
  readonly hotkey: Hash;
  readonly weights: WeightVector;
  readonly salt: readonly number[];
  readonly versionKey: bigint;
}

/** keccak256 of everything a reveal must repeat, bound to chain and contract (Neurons.sol, commitHashOf). */
export function commitHash({ chainId, contract, netuid, hotkey, weights, salt, versionKey }: WeightsCommit): Hash {
  checkWeights(weights);
  const types = ["uint256", "address", "uint16", "bytes32", "uint16[]", "uint16[]", "uint16[]", "uint64"];
  const values = [BigInt(chainId), contract, netuid, hotkey, weights.uids, weights.values, salt, versionKey];
  return keccak256(
    encodeAbiParameters(
      types.map((type) => ({ type })),
      values,
    ),
  );
}

type Rounds = Pick<ChainAccount, "createRun" | "upgradeRun" | "commitPayload" | "vote" | "decideRound">;

/** Runs and their rounds; `uidIn` finds the account's uid in a subnet. */
export function rounds(context: AccountContext, uidIn: (netuid: number) => Promise<number>): Rounds {
  const { book, send } = context;
  const to = book.roundBook;
  const abi = ROUND_BOOK_ABI;
  const act = async (data: Hex): Promise<Receipt> => plain(await send({ to, data }));
  return {
    async createRun({ netuid, specHash, genesisRoot, startBlock, trainBlocks, revealBlocks, voteBlocks }) {
      const args = [netuid, specHash, genesisRoot, BigInt(startBlock), trainBlocks, revealBlocks, voteBlocks] as const;
      const sent = await send({ to, data: encodeFunctionData({ abi, functionName: "createRun", args }) });
      const [created] = parseEventLogs({ abi, eventName: "RunCreated", logs: logsOf(sent, to) });
      if (!created) throw nonsense("the report on a new run");
      return { ...plain(sent), runId: Number(created.args.runId) };
    },
    upgradeRun: (runId, fromRound, specHash) =>
      act(encodeFunctionData({ abi, functionName: "upgradeRun", args: [BigInt(runId), BigInt(fromRound), specHash] })),
    async commitPayload(runId, round, payloadHash) {
      const args = [BigInt(runId), BigInt(round), await uidIn(await netuidOf(context, runId)), payloadHash] as const;
      return act(encodeFunctionData({ abi, functionName: "commit", args }));
    },
    async vote(runId, round, uids, stateRoot) {
      const bitmap = bitmapOf(uids);
      const args = [
        BigInt(runId),
        BigInt(round),
        await uidIn(await netuidOf(context, runId)),
        bitmap,
        stateRoot,
      ] as const;
      return act(encodeFunctionData({ abi, functionName: "vote", args }));
    },
    decideRound: (runId, round) =>
      act(encodeFunctionData({ abi, functionName: "decide", args: [BigInt(runId), BigInt(round)] })),
  };
}

/** The subnet of a run. */
async function netuidOf({ link: { client }, book }: AccountContext, runId: number): Promise<number> {
  const run = { address: book.roundBook, abi: ROUND_BOOK_ABI, functionName: "runOf", args: [BigInt(runId)] } as const;
  const [{ netuid }] = await asked("a run", client.readContract(run));
  if (!Number.isInteger(netuid) || netuid > 0xffff) throw nonsense("a run");
  return netuid;
}

/** The account's uid. */
async function uidFor({ link: { client }, book, signer }: AccountContext, netuid: number): Promise<number> {
  const args = [netuid, signer.address, 1] as const;
  const lookup = { address: book.uidLookup, abi: UID_LOOKUP_ABI, functionName: "uidLookup", args } as const;
  const [item] = await asked("a uid", client.readContract(lookup));
  if (!item) throw refusal("HotKeyNotRegisteredInSubNet");
  if (!Number.isInteger(item.uid) || item.uid > 0xffff) throw nonsense("a uid");
  return item.uid;
}
