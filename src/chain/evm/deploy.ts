/**
 * Puts the contracts onto a chain: at the precompiles' addresses where the chain lets its keeper place code (the embedded chain), or at
 * fresh addresses on any EVM chain. Contracts know each other by address for ever, so all are there before the first one is initialized.
 */
import { type Abi, encodeDeployData, encodeFunctionData, getContractAddress, zeroAddress } from "viem";
import { assert, must } from "../../base/assert.ts";
import type { Address, Hash } from "../chain.ts";

/** What the compiler makes of a contract. */
export interface Artifact {
  readonly name: string;
  readonly abi: Abi;
  readonly bytecode: `0x${string}`;
  readonly deployedBytecode: `0x${string}`;
}

/** A contract's role. */
export type ContractRole =
  | "metagraph"
  | "subnets"
  | "neurons"
  | "staking"
  | "uidLookup"
  | "addressMapping"
  | "epochs"
  | "epochPages"
  | "roundBook"
  | "extras";
/** Where the contracts of one chain are. */
export type AddressBook = Readonly<Record<ContractRole, Address>>;

/** Where each contract is on the embedded chain: the precompiles' addresses on Bittensor, and free ones beside them. */
export const FIXED_ADDRESSES: AddressBook = {
  metagraph: "0x0000000000000000000000000000000000000802",
  subnets: "0x0000000000000000000000000000000000000803",
  neurons: "0x0000000000000000000000000000000000000804",
  staking: "0x0000000000000000000000000000000000000805",
  uidLookup: "0x0000000000000000000000000000000000000806",
  addressMapping: "0x000000000000000000000000000000000000080c",
  epochs: "0x0000000000000000000000000000000000000e90",
  epochPages: "0x0000000000000000000000000000000000000e93",
  roundBook: "0x0000000000000000000000000000000000000e91",
  extras: "0x0000000000000000000000000000000000000e92",
};

/** Names of the contracts. */
export const CONTRACT_NAMES: Readonly<Record<ContractRole, string>> = {
  metagraph: "Metagraph",
  subnets: "Subnets",
  neurons: "Neurons",
  staking: "Staking",
  uidLookup: "UidLookup",
  addressMapping: "AddressMapping",
  epochs: "Epochs",
  epochPages: "EpochPages",
  roundBook: "RoundBook",
  extras: "Extras",
};

/** How a chain begins. */
export interface Genesis {
  /** Rao at the beginning, by account; at most 21e15 together. They count as issued. */
  readonly balances: ReadonlyMap<Hash, bigint>;
  /** Rao that the first subnet costs, the least of any. 1000 coins unless given. */
  readonly lockMin?: bigint;
  /** Blocks over which a subnet's doubled cost falls by the last cost. */
  readonly lockInterval?: bigint;
}

/** What a deployment asks of a chain. Each call resolves when its transaction is in a block, and rejects if it was refused. */
export interface DeployPort {
  readonly from: Address;
  /** Transactions of `from` so far. */
  nonce(): Promise<number>;
  /** Sends a transaction; without `to` it creates a contract. */
  send(transaction: { readonly to?: Address; readonly data: `0x${string}` }): Promise<void>;
  /** Puts code at an address, where the chain's keeper may. */
  setCode?(address: Address, code: `0x${string}`): Promise<void>;
}

const LOCK_MIN = 1_000_000_000_000n;
const LOCK_INTERVAL = 100_800n;

/**
 * Deploys contracts and initializes them; returns where they are. `artifacts` are by contract name; a test may bring others under the same
 * names. A contract that is not among them is left out, and a fresh deployment gives it the zero address.
 *
 * @param fixed - at FIXED_ADDRESSES, through `setCode`; otherwise at new addresses of `port.from`
 */
export async function deployContracts(
  port: DeployPort,
  artifacts: ReadonlyMap<string, Artifact>,
  genesis: Genesis,
  { fixed }: { readonly fixed: boolean },
): Promise<AddressBook> {
  const contracts = (Object.keys(CONTRACT_NAMES) as ContractRole[]).flatMap((role) => {
    const artifact = artifacts.get(CONTRACT_NAMES[role]);
    return artifact ? [{ role, artifact }] : [];
  });
  const book = fixed ? FIXED_ADDRESSES : await freshAddresses(port, contracts);
  for (const { role, artifact } of contracts) {
    if (fixed)
      await must(port.setCode?.bind(port), "a port that can place code")(book[role], artifact.deployedBytecode);
    else await port.send({ data: creation(artifact, book, genesis) });
  }
  for (const { role, artifact } of contracts) {
    const data = initialization(artifact, book, genesis);
    if (data) await port.send({ to: book[role], data });
  }
  return book;
}

/** Addresses of the next contracts that `from` creates, one after the other. */
async function freshAddresses(port: DeployPort, contracts: readonly { role: ContractRole }[]): Promise<AddressBook> {
  const nonce = BigInt(await port.nonce());
  const fresh = contracts.map(({ role }, i) => {
    const address = getContractAddress({ from: port.from, nonce: nonce + BigInt(i) });
    return [role, address.toLowerCase() as Address] as const;
  });
  const nowhere = Object.keys(CONTRACT_NAMES).map((role) => [role, zeroAddress] as const);
  return Object.fromEntries([...nowhere, ...fresh]) as AddressBook;
}

function creation({ abi, bytecode }: Artifact, book: AddressBook, genesis: Genesis): `0x${string}` {
  const found = abi.find((item) => item.type === "constructor");
  const inputs = found?.type === "constructor" ? found.inputs : [];
  return encodeDeployData({ abi, bytecode, args: inputs.map((input) => argument(input.name ?? "", book, genesis)) });
}

/** The call of `initialize`, for a contract that has one. */
function initialization({ abi }: Artifact, book: AddressBook, genesis: Genesis): `0x${string}` | undefined {
  const found = abi.find((item) => item.type === "function" && item.name === "initialize");
  if (found?.type !== "function") return undefined;
  const args = found.inputs.map((input) => argument(input.name ?? "", book, genesis));
  return encodeFunctionData({ abi, functionName: "initialize", args });
}

/** What a constructor or `initialize` wants, by its parameter's name: another contract, or a part of the genesis. */
function argument(name: string, book: AddressBook, genesis: Genesis): unknown {
  const parts: Readonly<Record<string, unknown>> = {
    ...book,
    peers: book,
    addresses: book,
    accounts: [...genesis.balances.keys()],
    rao: [...genesis.balances.values()],
    lockMin: genesis.lockMin ?? LOCK_MIN,
    lockInterval: genesis.lockInterval ?? LOCK_INTERVAL,
  };
  assert(Object.hasOwn(parts, name), `a contract's beginning wants ${name}, which a deployment does not know`);
  return parts[name];
}
