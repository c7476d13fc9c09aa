/** The contracts of money with stubs in the place of neurons and epochs, and an auditor who counts everything. */

import { must } from "../../src/base/assert.ts";
import type { Address, Hash } from "../../src/chain/chain.ts";
import {
  accountOf,
  addressOf,
  COIN,
  type Contracts,
  compiled,
  type Mined,
  startContracts,
  type Target,
} from "./contracts.ts";

/** What Auditor.sol counts, in rao. */
export interface Sums {
  readonly issuance: bigint;
  readonly balances: bigint;
  readonly earned: bigint;
  readonly staked: bigint;
  readonly pending: bigint;
  readonly undistributed: bigint;
}

/** What an epoch pays, as the contract wants it. */
export interface Payments {
  readonly owner: Hash;
  readonly ownerRao: bigint;
  readonly burnRao: bigint;
  readonly earners: readonly Hash[];
  readonly earnedRao: readonly bigint[];
  readonly hotkeys: readonly Hash[];
  readonly dividendRao: readonly bigint[];
}

/** Money on a chain. Addresses 1 … PEOPLE have 10,000 coins each at the beginning. */
export interface Money {
  readonly chain: Contracts;
  /** Counts all rao; throws where a rule is broken. */
  audit(): Promise<Sums>;
  /** Does something as someone, then audits. */
  act(from: Address, name: string, ...args: readonly unknown[]): Promise<Mined>;
  /** As the neurons' contract: says whose a hotkey is. */
  own(hotkey: Hash, coldkey: Hash): Promise<void>;
  /** As the epochs: settles and pays what `payments` makes of what is pending. */
  pay(netuid: number, payments: (pending: bigint) => Partial<Payments>): Promise<Payments>;
}

/** People with money at the beginning. */
export const PEOPLE = 6;
export const person: (n: number) => Address = addressOf;
export const account = (n: number): Hash => accountOf(addressOf(n));

/** Who has what is left of the supply. */
export const BANK = 500;

/** Starts a chain with money; `supply` rao in all. */
export async function startMoney(supply: bigint = 10_000n * COIN * BigInt(PEOPLE)): Promise<Money> {
  const artifacts = compiled(["Staking", "Subnets", "AddressMapping"], {
    MoneyStubs: ["NeuronsStub", "EpochsStub"],
    Auditor: ["Auditor"],
  });
  const stub = (name: string) => must(artifacts.get(`${name}Stub`), name);
  artifacts.set("Neurons", stub("Neurons")).set("Epochs", stub("Epochs"));
  const everybody = Array.from({ length: PEOPLE }, (_, i) => account(i + 1));
  const chain = await startContracts(artifacts, {
    balances: new Map([
      ...everybody.map((who) => [who, 10_000n * COIN] as const),
      [account(BANK), supply - 10_000n * COIN * BigInt(PEOPLE)],
    ]),
    lockMin: 10n * COIN,
    lockInterval: 100n,
  });
  const auditor: Target = await chain.place(must(artifacts.get("Auditor"), "Auditor"));
  const { book } = chain;
  const hotkeys = new Set<Hash>([...everybody, account(BANK)]);
  const audit = async (): Promise<Sums> => {
    const subnets = await chain.read<number>("subnets", "subnetCount");
    return chain.read(auditor, "audit", book.staking, [...new Set([...everybody, ...hotkeys])], [...hotkeys], subnets);
  };
  return {
    chain,
    audit,
    async act(from, name, ...args) {
      const mined = await chain.send(from, "staking", name, ...args);
      await audit();
      return mined;
    },
    async own(hotkey, coldkey) {
      await chain.send(book.neurons, "staking", "setOwner", hotkey, coldkey);
      hotkeys.add(hotkey);
    },
    async pay(netuid, payments) {
      await chain.send(book.epochs, "staking", "settle", netuid);
      const { pending } = await chain.read<{ pending: bigint }>("staking", "accrualOf", netuid);
      const all = { ...NOTHING, ...payments(pending) };
      await chain.send(book.epochs, "staking", "payEpoch", netuid, all);
      await audit();
      return all;
    },
  };
}

/** A payment of nothing to nobody. */
export const NOTHING: Payments = {
  owner: `0x${"0".repeat(64)}`,
  ownerRao: 0n,
  burnRao: 0n,
  earners: [],
  earnedRao: [],
  hotkeys: [],
  dividendRao: [],
};
