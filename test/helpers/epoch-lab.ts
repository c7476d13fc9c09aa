/**
 * Plays epochs on the contract (contracts/test/EpochLab.sol), many in one call of a test's anvil, and gives back what came of them in
 * the reference's terms. A call is not a transaction: nothing of it stays.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Abi, Hex, TransactionReceipt } from "viem";
import { decodeFunctionResult, encodeFunctionData } from "viem";
import { must } from "../../src/base/assert.ts";
import type { WeightVector } from "../../src/chain/chain.ts";
import type { EpochInput, EpochOutput } from "../../src/chain/yuma/types.ts";
import type { Anvil, AnvilClient } from "./anvil.ts";

/** A compiled contract. */
export interface Artifact {
  readonly abi: Abi;
  readonly bytecode: Hex;
  readonly deployedBytecode: Hex;
}

/** Reads `build/contracts/<name>.json` of the working folder, which is the project root; `test/<name>` for those that only tests deploy. */
export function artifact(name: string): Artifact {
  const file = path.resolve(`build/contracts/${name}.json`);
  return JSON.parse(readFileSync(file, "utf8")) as Artifact;
}

/** Deploys a contract without constructor arguments and returns its address. */
export async function deploy(client: AnvilClient, { bytecode }: Pick<Artifact, "bytecode">): Promise<Hex> {
  const { contractAddress } = await client.sendTransactionSync({
    account: client.account,
    chain: client.chain,
    data: bytecode,
    gas: GAS_MAX,
  });
  return must(contractAddress ?? undefined, "no contract was deployed");
}

/** Sends a call and returns its receipt; throws where it reverts. Receipts come with the transaction: nothing is polled for. */
export async function send(
  client: AnvilClient,
  to: { readonly address: Hex; readonly abi: Abi },
  functionName: string,
  args: readonly unknown[],
): Promise<TransactionReceipt> {
  const { account, chain } = client;
  const receipt = await client.writeContractSync({ ...to, functionName, args, account, chain, gas: GAS_MAX });
  if (receipt.status !== "success") throw new Error(`${functionName} reverted`);
  return receipt;
}

const GAS_MAX = 900_000_000n;

/** One epoch to play. */
export interface Play {
  /** Epochs with the same netuid follow each other; the first one brings its past along (`input.permit`, `input.bonds`). */
  readonly netuid: number;
  readonly input: EpochInput;
  readonly first: boolean;
  /** Uids whose holder changed since the epoch before. */
  readonly cleared?: readonly number[];
  /** Sizes of the steps, over and over. */
  readonly pages: readonly number[];
  /** Medians to supply, as `packMedians` gives them. */
  readonly medians?: readonly bigint[];
  /** 65535ths of the rao that go to the owner before the rest is shared out. */
  readonly ownerCut?: number;
}

/** What the contract made of an epoch. */
export type Played = Omit<EpochOutput, "exact" | "serverEmission" | "validatorEmission"> & {
  /** Rao paid for incentive and for dividends by uid, to the owner's coldkey, and burned. */
  readonly paidServer: readonly bigint[];
  readonly paidValidator: readonly bigint[];
  readonly paidOwner: bigint;
  readonly burned: bigint;
};

/** Medians as the contract takes them: word 4b + q has the columns 16b + q, + 4, + 8, + 12, 64 bits each, lowest first. */
export function packMedians(consensus: readonly bigint[]): bigint[] {
  const blocks = Math.ceil(consensus.length / 16);
  return Array.from({ length: 4 * blocks }, (_, w) =>
    [0, 1, 2, 3].reduce((word, k) => {
      const column = 16 * Math.floor(w / 4) + (w % 4) + 4 * k;
      return word | ((consensus[column] ?? 0n) << BigInt(64 * k));
    }, 0n),
  );
}

/** The rao that an epoch gets of `input.emission` when the owner's part is cut off. */
export function raoLeft(emission: bigint, ownerCut: number): bigint {
  return emission - (emission * BigInt(ownerCut)) / 65_535n;
}

/** u16 numbers by uid in words of sixteen. */
export function packRow(row: WeightVector | undefined, n: number): bigint[] {
  const words = Array.from({ length: Math.ceil(n / 16) }, () => 0n);
  for (const [k, uid] of (row?.uids ?? []).entries()) {
    const w = Math.floor(uid / 16);
    words[w] = (words[w] ?? 0n) | (BigInt(row?.values[k] ?? 0) << BigInt(16 * (uid % 16)));
  }
  return words;
}

/** The stored numbers above 0 of words of sixteen. */
export function unpackRow(words: readonly bigint[]): WeightVector {
  const values = words.flatMap((word) =>
    Array.from({ length: 16 }, (_, k) => Number((word >> BigInt(16 * k)) & 0xffffn)),
  );
  const uids = [...values.keys()].filter((j) => values[j] !== 0);
  return { uids, values: uids.map((j) => values[j] ?? 0) };
}

/** The contracts of the laboratory on a fresh chain. */
export class EpochLab {
  readonly #client: AnvilClient;
  readonly #address: Hex;
  readonly #abi: Abi;

  private constructor(client: AnvilClient, address: Hex, abi: Abi) {
    this.#client = client;
    this.#address = address;
    this.#abi = abi;
  }

  static async open({ client }: Anvil): Promise<EpochLab> {
    const names = ["EpochSubnetsStub", "EpochNeuronsStub", "EpochStakingStub", "EpochsOfTest", "EpochLab"];
    const artifacts = names.map((name) => artifact(`test/${name}`));
    const pages = await deploy(client, artifact("EpochPages"));
    const addresses: Hex[] = [];
    for (const one of artifacts) addresses.push(await deploy(client, one));
    const [subnets, neurons, staking, epochs, lab] = addresses as [Hex, Hex, Hex, Hex, Hex];
    const [{ abi: epochsAbi }, { abi }] = artifacts.slice(3) as [Artifact, Artifact];
    await send(client, { address: epochs, abi: epochsAbi }, "initialize", [
      { staking, subnets, neurons, epochs },
      pages,
    ]);
    await send(client, { address: lab, abi }, "setUp", [subnets, neurons, staking, epochs]);
    return new EpochLab(client, lab, abi);
  }

  /** Throws what the contract reverts with. */
  async play(plays: readonly Play[]): Promise<Played[]> {
    const size = plays.reduce((sum, { input }) => sum + resultWords(input.stake.length), 0);
    const script = [BigInt(size), ...plays.flatMap(tapeOf)];
    const data = encodeFunctionData({ abi: this.#abi, functionName: "play", args: [script] });
    const called = await this.#client.call({ to: this.#address, data, gas: 100_000_000_000n });
    const words = decodeFunctionResult({
      abi: this.#abi,
      functionName: "play",
      data: must(called.data, "the call gave nothing back"),
    }) as readonly bigint[];
    let place = 0;
    return plays.map(({ input }) => {
      const n = input.stake.length;
      const own = words.slice(place, place + resultWords(n));
      place += resultWords(n);
      return playedOf(own, n);
    });
  }
}

const UID_WORDS = 10;
const resultWords = (n: number): number => n * (UID_WORDS + 16) + 2;

function tapeOf({ netuid, input, first, cleared = [], pages, medians = [], ownerCut = 0 }: Play): bigint[] {
  const { params, stake, ownerUid } = input;
  const hotkey = (uid: number): bigint => (BigInt(netuid) << 64n) | BigInt(4 * uid + 4);
  const n = stake.length;
  // A chain without an epoch yet has no bonds; the reference reads its bonds as of a tempo ago, which may lie before block 0.
  const past = input.lastEpochBlock === 0 ? input.block - params.tempo - 1 : input.lastEpochBlock;
  const [last, bonds] = past < 0 ? [0, new Map<number, WeightVector>()] : [past, input.bonds];
  const ints = (values: readonly number[]): bigint[] => values.map(BigInt);
  const list = (values: readonly bigint[]): bigint[] => [BigInt(values.length), ...values];
  const tape = ints([netuid, input.block]);
  tape.push(1n, ownerUid === undefined ? 2n : hotkey(ownerUid)); // the owner's coldkey and hotkey
  tape.push(...ints([last, params.tempo, params.activityCutoffFactor, params.kappa, params.bondsPenalty]));
  tape.push(...ints([params.bondsMovingAverage, params.alphaLow, params.alphaHigh, params.alphaSteepness & 0xffff]));
  tape.push(BigInt(params.maxValidators), params.stakeThreshold, BigInt(ownerCut));
  tape.push(BigInt(Number(params.yuma3) | (Number(params.liquidAlpha) << 1)));
  tape.push(input.emission, BigInt(n));
  for (let i = 0; i < n; i++) {
    const times = [input.registeredAt[i] ?? 0, input.lastUpdate[i] ?? 0, input.oldestCommit[i] ?? 0];
    tape.push(hotkey(i), stake[i] ?? 0n, ...ints(times));
  }
  tape.push(...rowsOf(input.weights, n));
  tape.push(first ? 1n : 0n);
  if (first) {
    tape.push(BigInt(last), bitmap(input.permit), bitmap(input.permit.map((_, uid) => bonds.has(uid))));
    tape.push(...rowsOf(bonds, n));
  }
  tape.push(...list(ints(cleared)), ...list(ints(pages)), ...list(medians));
  return tape;
}

function rowsOf(rows: ReadonlyMap<number, WeightVector>, n: number): bigint[] {
  const words = [BigInt(rows.size)];
  for (const [uid, row] of rows) {
    const packed = packRow(row, n);
    words.push(BigInt(uid), BigInt(packed.length), ...packed);
  }
  return words;
}

const bitmap = (flags: readonly boolean[]): bigint =>
  flags.reduce((bits, flag, k) => (flag ? bits | (1n << BigInt(k)) : bits), 0n);

function playedOf(words: readonly bigint[], n: number): Played {
  const column = (k: number): bigint[] => Array.from({ length: n }, (_, uid) => words[UID_WORDS * uid + k] ?? 0n);
  const shares = (k: number): number[] => column(k).map(Number);
  const flags = (k: number): boolean[] => column(k).map((bit) => bit === 1n);
  const bonds = new Map<number, WeightVector>();
  for (let uid = 0; uid < n; uid++) {
    const at = UID_WORDS * n + 16 * uid;
    const row = unpackRow(words.slice(at, at + 16));
    if (row.uids.length > 0) bonds.set(uid, row);
  }
  return {
    consensus: shares(0),
    incentive: shares(1),
    dividends: shares(2),
    vtrust: shares(3),
    stakeWeight: shares(4),
    emission: column(5),
    permit: flags(6),
    active: flags(7),
    paidServer: column(8),
    paidValidator: column(9),
    bonds,
    paidOwner: words[26 * n] ?? 0n,
    burned: words[26 * n + 1] ?? 0n,
  };
}
