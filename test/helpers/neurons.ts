/**
 * Neurons.sol and its views on anvil, between peers that say what a test tells them to (contracts/test/NeuronPeers.sol). Senders need no
 * keys: anvil lets everybody through.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { blake2b } from "@noble/hashes/blake2.js";
import type { Abi, Address, Hex } from "viem";
import {
  bytesToHex,
  concatHex,
  decodeErrorResult,
  encodeFunctionData,
  getAddress,
  hexToBytes,
  numberToHex,
  stringToHex,
} from "viem";
import type { Anvil } from "./anvil.ts";
import { inTurn, startAnvil } from "./anvil.ts";

const root: string = path.resolve(import.meta.dirname, "../..");

/** Hyperparameters as ISubnets.Params has them. */
export type Params = Record<string, bigint | number | boolean>;

/** Easy ones: no limits but those that a test sets. */
export const PARAMS: Params = {
  registrationBlock: 1n,
  weightsVersionKey: 0n,
  weightsSetRateLimit: 0n,
  servingRateLimit: 0n,
  minBurn: 500_000n,
  maxBurn: 100_000_000_000n,
  bondsMovingAverage: 900_000n,
  revealInterval: 1n,
  stakeThreshold: 0n,
  tempo: 360,
  activityCutoffFactor: 13_889,
  burnHalfLife: 360,
  burnIncreaseMult: 1_260_000,
  immunityPeriod: 5000,
  minAllowedWeights: 1,
  kappa: 32_767,
  rho: 10,
  alphaSteepness: 1000,
  alphaLow: 45_875,
  alphaHigh: 58_982,
  bondsPenalty: 65_535,
  ownerCut: 11_796,
  maxUids: 256,
  maxValidators: 64,
  minNonImmuneUids: 10,
  registrationAllowed: true,
  commitReveal: false,
  yuma3: true,
  liquidAlpha: false,
};

/** Outcome of an epoch for one neuron, with what a test leaves out at 0. */
export const outcomeOf = (
  part: Record<string, bigint | number | boolean>,
): Record<string, bigint | number | boolean> => ({
  consensus: 0,
  incentive: 0,
  dividends: 0,
  vtrust: 0,
  stakeWeight: 0,
  emission: 0n,
  permit: false,
  active: false,
  ...part,
});

/** A compiled contract. */
export interface Artifact {
  readonly abi: Abi;
  readonly bytecode: Hex;
  readonly deployedBytecode: Hex;
}

/** The 32-byte account of an address. */
export const accountOf = (address: Address): Hex =>
  bytesToHex(blake2b(hexToBytes(concatHex([stringToHex("evm:"), address])), { dkLen: 32 }));

/** The n-th of many addresses. */
export const person = (n: number): Address => getAddress(numberToHex(0x5ce1_0000 + n, { size: 20 }));

/** What a transaction did. */
export interface Sent {
  readonly gas: number;
  readonly block: number;
  readonly ok: boolean;
  readonly logs: readonly { readonly address: Address; readonly topics: Hex[]; readonly data: Hex }[];
}

/** A contract to talk to. */
export interface Contract {
  readonly address: Address;
  readonly abi: Abi;
  /** A transaction that must succeed. */
  send(from: Address, name: string, ...args: readonly unknown[]): Promise<Sent>;
  /** The revert of a transaction that must fail, as `Name(arguments)`. */
  refusal(from: Address, name: string, ...args: readonly unknown[]): Promise<string>;
  read<T>(name: string, ...args: readonly unknown[]): Promise<T>;
}

/** Everything of a test. */
export interface NeuronWorld {
  readonly anvil: Anvil;
  readonly neurons: Contract;
  readonly peers: Contract;
  readonly metagraph: Contract;
  readonly lookup: Contract;
  readonly extras: Contract;
  artifact(name: string): Artifact;
  at(address: Address, abi: Abi): Contract;
  deploy(name: string): Promise<Address>;
  block(): Promise<number>;
  /** Lets blocks pass so that the next transaction is in `block`. */
  before(block: number): Promise<void>;
  mine(blocks: number): Promise<void>;
  /** Creates a subnet of `owner`'s, whose own account is uid 0. */
  subnet(netuid: number, owner: Address, params?: Params): Promise<void>;
  setParams(netuid: number, params: Params): Promise<void>;
}

const GAS = numberToHex(100_000_000);

/** Compiles what is named, unless it is fresh. */
export function compiled(names: readonly string[]): (name: string) => Artifact {
  const compiler = path.join(root, "scripts/contracts.mjs");
  execFileSync(process.execPath, [compiler, "--quiet", "--only", names.join(",")], { stdio: "inherit" });
  return (name) => JSON.parse(readFileSync(path.join(root, "build/contracts", `${name}.json`), "utf8"));
}

/** Starts one; stop it with `world.anvil.stop()`. */
export async function startNeurons(): Promise<NeuronWorld> {
  const artifact = compiled(["Neurons", "Metagraph", "UidLookup", "Extras", "NeuronPeers"]);
  const anvil = await startAnvil();
  const { client } = anvil;
  const rpc = (method: string, params: unknown[]): Promise<unknown> => client.request({ method, params } as never);
  await rpc("anvil_autoImpersonateAccount", [true]);
  const errors = [...artifact("Neurons").abi, ...artifact("test/NeuronPeers").abi].filter(
    ({ type }) => type === "error",
  );

  // One after the other: of two transactions of one account that come in at once, anvil gives both the same nonce and refuses the second.
  const transact = inTurn(async (from: Address, to: Address | undefined, data: Hex) => {
    const sent = await rpc("eth_sendTransactionSync", [{ from, to, data, gas: GAS, gasPrice: "0x0" }]);
    const receipt = sent as Record<string, string> & { logs: Sent["logs"] };
    const { gasUsed, blockNumber, status, contractAddress, logs } = receipt;
    return {
      gas: Number(gasUsed),
      block: Number(blockNumber),
      ok: status === "0x1",
      logs,
      created: contractAddress as Address,
    };
  });
  const at = (address: Address, abi: Abi): Contract => {
    const calldata = (functionName: string, args: readonly unknown[]): Hex =>
      encodeFunctionData({ abi, functionName, args });
    const refusal = async (from: Address, name: string, ...args: readonly unknown[]): Promise<string> => {
      try {
        await rpc("eth_call", [{ from, to: address, data: calldata(name, args), gas: GAS }, "pending"]);
        return "no refusal";
      } catch (thrown) {
        return errorText(thrown, errors as Abi);
      }
    };
    return {
      address,
      abi,
      refusal,
      send: async (from, name, ...args) => {
        const sent = await transact(from, address, calldata(name, args));
        if (!sent.ok) throw new Error(`${name}: ${await refusal(from, name, ...args)}`);
        return sent;
      },
      read: (name, ...args) => client.readContract({ address, abi, functionName: name, args }) as Promise<never>,
    };
  };
  const deploy = async (name: string): Promise<Address> =>
    getAddress((await transact(client.account.address, undefined, artifact(name).bytecode)).created);
  const contract = async (name: string): Promise<Contract> => at(await deploy(name), artifact(name).abi);

  const [neurons, peers] = [await contract("Neurons"), await contract("test/NeuronPeers")];
  const [metagraph, lookup, extras] = [
    await contract("Metagraph"),
    await contract("UidLookup"),
    await contract("Extras"),
  ];
  const us = client.account.address;
  const links = { staking: peers.address, subnets: peers.address, neurons: neurons.address, epochs: peers.address };
  for (const linked of [neurons, metagraph, lookup, extras]) await linked.send(us, "initialize", links);
  await peers.send(us, "setNeurons", neurons.address);

  const block = async (): Promise<number> => Number(await client.getBlockNumber());
  const mine = (blocks: number): Promise<void> => client.mine({ blocks });
  return {
    ...{ anvil, neurons, peers, metagraph, lookup, extras, artifact, at, deploy, block, mine },
    before: async (target) => {
      const missing = target - 1 - (await block());
      if (missing < 0) throw new Error(`block ${target} is past`);
      if (missing > 0) await mine(missing);
    },
    subnet: async (netuid, owner, params = {}) => {
      const account = accountOf(owner);
      await peers.send(us, "setEpoch", netuid, 0n, BigInt(await block()), false);
      await peers.send(us, "create", netuid, { ...PARAMS, ...params }, account, account, owner);
    },
    setParams: async (netuid, params) => {
      await peers.send(us, "setParams", netuid, { ...PARAMS, ...params });
    },
  };
}

/** `Name(arguments)` of a revert. */
function errorText(thrown: unknown, abi: Abi): string {
  for (let error = thrown as { data?: unknown; cause?: unknown } | undefined; error; error = error.cause as never) {
    const { data } = error;
    const hex = typeof data === "object" && data !== null ? (data as { data?: unknown }).data : data;
    if (typeof hex !== "string" || !hex.startsWith("0x")) continue;
    if (hex === "0x") return "empty revert";
    const { errorName, args } = decodeErrorResult({ abi, data: hex as Hex });
    return `${errorName}(${(args ?? []).join(", ")})`;
  }
  return String(thrown).slice(0, 300);
}
