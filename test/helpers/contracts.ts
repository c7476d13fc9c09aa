/**
 * The contracts on a test's anvil: calls by name, from any address (anvil lets tests act as anybody, so nothing is signed), refusals as
 * text.
 */
import { spawnSync } from "node:child_process";
import path from "node:path";
import { blake2b } from "@noble/hashes/blake2.js";
import { type Abi, decodeErrorResult, decodeFunctionResult, encodeFunctionData, toHex } from "viem";
import type { Address, Hash } from "../../src/chain/chain.ts";
import { loadArtifacts } from "../../src/chain/evm/artifacts.node.ts";
import {
  type AddressBook,
  type Artifact,
  CONTRACT_NAMES,
  type ContractRole,
  deployContracts,
  FIXED_ADDRESSES,
  type Genesis,
} from "../../src/chain/evm/deploy.ts";
import { type Anvil, inTurn, startAnvil } from "./anvil.ts";

/** One coin. */
export const COIN = 1_000_000_000n;
const GAS = toHex(900_000_000);

/** A transaction in a block. */
export interface Mined {
  readonly block: number;
  readonly gas: number;
  readonly hash: Hash;
  readonly logs: readonly RawLog[];
}

/** An event as the chain has it. */
export interface RawLog {
  readonly address: Address;
  readonly topics: [Hash, ...Hash[]];
  readonly data: Hash;
}

/** Contracts on an anvil. */
export interface Contracts {
  readonly anvil: Anvil;
  readonly book: AddressBook;
  readonly artifacts: ReadonlyMap<string, Artifact>;
  /** Result of a view; the caller says what type it has. */
  read<T>(target: ContractRole | Target, name: string, ...args: readonly unknown[]): Promise<T>;
  /** A transaction that must not be refused. */
  send(from: Address, target: ContractRole | Target, name: string, ...args: readonly unknown[]): Promise<Mined>;
  /** What the chain would say to a transaction: "ErrorName(arguments)", or "" where it would accept it. */
  refusal(from: Address, target: ContractRole | Target, name: string, ...args: readonly unknown[]): Promise<string>;
  /** The same with native coin sent along. */
  refusalWithValue(
    from: Address,
    target: ContractRole | Target,
    name: string,
    ...args: readonly unknown[]
  ): Promise<string>;
  /** Puts a test's own contract onto the chain. */
  place(artifact: Artifact): Promise<Target>;
  mine(blocks: number): Promise<void>;
  block(): Promise<number>;
  rpc<T>(method: string, ...params: readonly unknown[]): Promise<T>;
}

/** A contract that is not one of the product's. */
export interface Target {
  readonly address: Address;
  readonly abi: Abi;
}

/** The account of an address, computed apart from the product. */
export function accountOf(address: Address): Hash {
  const text = new TextEncoder().encode("evm:");
  const bytes = Buffer.concat([text, Buffer.from(address.slice(2), "hex")]);
  return toHex(blake2b(bytes, { dkLen: 32 }));
}

/** The n-th address of a test; nobody has its key. */
export const addressOf = (n: number): Address => toHex(0xa0000n + BigInt(n), { size: 20 });

/**
 * Compiles what is not compiled yet, and loads it: product contracts, and those of files in contracts/test/. With SKEIN_CONTRACTS=built
 * it takes what build/contracts/ holds.
 */
export function compiled(
  product: readonly string[],
  test: Readonly<Record<string, readonly string[]>> = {},
): Map<string, Artifact> {
  const root = path.resolve(import.meta.dirname, "../..");
  const only = [...product, ...Object.keys(test)].join(",");
  const command = ["scripts/contracts.mjs", "--quiet", "--only", only];
  const run =
    process.env["SKEIN_CONTRACTS"] === "built"
      ? undefined
      : spawnSync(process.execPath, command, { cwd: root, encoding: "utf8" });
  if (run && run.status !== 0) throw new Error(run.stderr);
  return new Map([...loadArtifacts(product), ...loadArtifacts(Object.values(test).flat(), "test")]);
}

/** An anvil with contracts, at the fixed addresses unless told otherwise. Its own account is the deployer. */
export async function startContracts(
  artifacts: ReadonlyMap<string, Artifact>,
  genesis: Genesis,
  { fixed = true }: { readonly fixed?: boolean } = {},
): Promise<Contracts> {
  const anvil = await startAnvil();
  const rpc = <T>(method: string, ...params: readonly unknown[]): Promise<T> => call<T>(anvil.url, method, params);
  await rpc("anvil_autoImpersonateAccount", true);
  const errors: Abi = [...artifacts.values()].flatMap(({ abi }) => abi.filter(({ type }) => type === "error"));
  // One after the other: of two transactions of one account that come in at once, anvil gives both the same nonce and refuses the second.
  const execute = inTurn(async (from: Address, to: Address | undefined, data: Hash): Promise<Mined> => {
    const hash = await rpc<Hash>("eth_sendTransaction", { from, ...(to && { to }), data, gas: GAS, gasPrice: "0x0" });
    const receipt = await receiptOf(rpc, hash);
    if (receipt.status !== "0x1") throw new Error(`refused: ${await attempt(from, to, data, "0x0", "latest")}`);
    return { block: Number(receipt.blockNumber), gas: Number(receipt.gasUsed), hash, logs: receipt.logs };
  });
  const attempt = async (
    from: Address,
    to: Address | undefined,
    data: Hash,
    value: Hash,
    at: string,
  ): Promise<string> => {
    try {
      await rpc("eth_call", { from, to, data, value, gas: GAS }, at);
      return "";
    } catch (thrown) {
      return refusalText(thrown, errors);
    }
  };
  const from = anvil.client.account.address;
  const book = await deployContracts(
    {
      from,
      nonce: async () => Number(await rpc<string>("eth_getTransactionCount", from, "latest")),
      send: async ({ to, data }) => void (await execute(from, to, data)),
      setCode: (address, code) => rpc("anvil_setCode", address, code),
    },
    artifacts,
    genesis,
    { fixed },
  );
  const targetOf = (target: ContractRole | Target): Target => {
    if (typeof target !== "string") return target;
    const artifact = artifacts.get(CONTRACT_NAMES[target]);
    if (!artifact) throw new Error(`${target} is not on this chain`);
    return { address: book[target], abi: artifact.abi };
  };
  const encoded = (target: ContractRole | Target, functionName: string, args: readonly unknown[]) => {
    const { address, abi } = targetOf(target);
    return { address, abi, data: encodeFunctionData({ abi, functionName, args }) };
  };
  return {
    anvil,
    book,
    artifacts,
    rpc,
    async read<T>(target: ContractRole | Target, name: string, ...args: readonly unknown[]) {
      const { address, abi, data } = encoded(target, name, args);
      const result = await rpc<Hash>("eth_call", { to: address, data, gas: GAS }, "latest");
      return decodeFunctionResult({ abi, functionName: name, args, data: result }) as T;
    },
    send(sender, target, name, ...args) {
      const { address, data } = encoded(target, name, args);
      return execute(sender, address, data);
    },
    refusal(sender, target, name, ...args) {
      const { address, data } = encoded(target, name, args);
      return attempt(sender, address, data, "0x0", "pending");
    },
    async refusalWithValue(sender, target, name, ...args) {
      await rpc("anvil_setBalance", sender, "0x64");
      const { address, data } = encoded(target, name, args);
      return attempt(sender, address, data, "0x1", "pending");
    },
    async place({ abi, deployedBytecode }) {
      const address = toHex(BigInt(FIXED_ADDRESSES.extras) + 0x100n + BigInt(placed++), { size: 20 });
      await rpc("anvil_setCode", address, deployedBytecode);
      return { address, abi };
    },
    mine: (blocks) => rpc("anvil_mine", toHex(blocks)),
    block: async () => Number(await rpc<string>("eth_blockNumber")),
  };
}

let placed = 0;

interface Receipt {
  readonly status: string;
  readonly blockNumber: string;
  readonly gasUsed: string;
  readonly logs: readonly RawLog[];
}

/** Asks until the transaction is in a block, which anvil may make a moment after it has answered. */
async function receiptOf(rpc: Contracts["rpc"], hash: Hash): Promise<Receipt> {
  for (let asked = 0; asked < 10_000; asked++) {
    const receipt = await rpc<Receipt | null>("eth_getTransactionReceipt", hash);
    if (receipt) return receipt;
  }
  throw new Error(`${hash} is in no block`);
}

class RpcError extends Error {
  readonly data: unknown;

  constructor(message: string, data: unknown) {
    super(message);
    this.data = data;
  }
}

async function call<T>(url: string, method: string, params: readonly unknown[]): Promise<T> {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  const answer = (await response.json()) as { result: T; error?: { message: string; data?: unknown } };
  if (answer.error) throw new RpcError(`${method}: ${answer.error.message}`, answer.error.data);
  return answer.result;
}

function refusalText(thrown: unknown, abi: Abi): string {
  if (!(thrown instanceof RpcError) || typeof thrown.data !== "string") throw thrown;
  try {
    const { errorName, args = [] } = decodeErrorResult({ abi, data: thrown.data as Hash });
    return `${errorName}(${(args as readonly unknown[]).join(", ")})`;
  } catch {
    return `${thrown.message} ${thrown.data}`;
  }
}
