/** What the chain's contract suite stands on: signers out of names, a chain under test with a few steps that tests repeat. */
import { expect } from "vitest";
import { must } from "../../src/base/assert.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { sha256, sha256Hex } from "../../src/base/hash.ts";
import type {
  Chain,
  ChainAccount,
  Hash,
  Neuron,
  Receipt,
  Signer,
  Subnet,
  SubnetParams,
} from "../../src/chain/chain.ts";
import { refusalName } from "../../src/chain/errors.ts";
import { signerOf } from "../../src/chain/keys/signer.ts";

/** Rao of a coin. */
export const COIN: bigint = 1_000_000_000n;

/** How a chain under test begins. */
export interface ChainTestOptions {
  /** Rao issued at the beginning; `fund` draws on them. A million coins unless told. */
  readonly supply?: bigint;
  /** Least rao that a subnet costs: 1000 coins unless told. */
  readonly lockMin?: bigint;
  /** Blocks in which its doubled cost falls back: 100,800 unless told. */
  readonly lockInterval?: number;
}

/** A fresh chain, whose transactions each get a block at once. */
export interface ChainUnderTest {
  readonly chain: Chain;
  mine(blocks: number): Promise<void>;
  fund(account: Hash, rao: bigint): Promise<void>;
  close(): Promise<void>;
}

/** Opens a fresh chain. */
export type OpenChain = (options: ChainTestOptions) => Promise<ChainUnderTest>;

/** A signer whose private key follows from its name. */
export const testSigner = (name: string): Signer => signerOf(sha256(utf8(`skein test key ${name}`)));

/** A 32-byte value out of a text. */
export const testHash = (text: string): Hash => `0x${sha256Hex(utf8(text))}`;

/** A chain with the steps that tests repeat. */
export interface Bench extends ChainUnderTest {
  /** The account of a named signer. */
  as(name: string): ChainAccount;
  /** Mines until the next transaction lands in `block`. */
  before(block: number): Promise<void>;
  block(): Promise<number>;
  subnet(netuid: number): Promise<Subnet>;
  neuron(netuid: number, uid: number): Promise<Neuron>;
  balance(name: string): Promise<bigint>;
  /** Rao of a named coldkey on a named hotkey. */
  staked(coldkey: string, netuid: number, hotkey: string): Promise<bigint>;
  /** A subnet of "owner", whose uid 0 is the owner's own key; params are set on top of `OPEN`. */
  open(params?: Partial<SubnetParams>): Promise<number>;
  /** Registers a named hotkey for a named coldkey; returns its uid. */
  register(netuid: number, hotkey: string, coldkey?: string): Promise<number>;
  /** Mines until an epoch is due and pushes it to its end; returns the block it began in. */
  epoch(netuid: number): Promise<number>;
}

/** Params of most tests' subnets: weights at any time, nobody immune, short epochs. */
export const OPEN: Partial<SubnetParams> = {
  tempo: 50,
  commitReveal: false,
  weightsSetRateLimit: 0,
  immunityPeriod: 0,
};

/** Steps over a chain under test. */
export function benchOver(subject: ChainUnderTest): Bench {
  const { chain } = subject;
  const accountOfName = (name: string): ChainAccount => chain.as(testSigner(name));
  const block = async (): Promise<number> => (await chain.head()).block;
  const before = async (target: number): Promise<void> => {
    const gap = target - 1 - (await block());
    expect(gap, `block ${target} is gone`).toBeGreaterThanOrEqual(0);
    if (gap > 0) await subject.mine(gap);
  };
  const subnet = async (netuid: number): Promise<Subnet> => (await chain.metagraph(netuid)).subnet;
  const bench: Bench = {
    ...subject,
    as: accountOfName,
    before,
    block,
    subnet,
    neuron: async (netuid, uid) => must((await chain.metagraph(netuid)).neurons[uid], `uid ${uid}`),
    balance: async (name) => (await chain.funds(testSigner(name).account)).balance,
    async staked(coldkey, netuid, hotkey) {
      const { stakes } = await chain.funds(testSigner(coldkey).account);
      const account = testSigner(hotkey).account;
      return stakes.find((stake) => stake.netuid === netuid && stake.hotkey === account)?.rao ?? 0n;
    },
    async open(params = {}) {
      const owner = testSigner("owner");
      await subject.fund(owner.account, 10_000n * COIN);
      const { netuid } = await chain.as(owner).createSubnet(owner, await chain.subnetCost(), { ...OPEN, ...params });
      return netuid;
    },
    async register(netuid, hotkey, coldkey = hotkey) {
      const { uid } = await accountOfName(coldkey).register(netuid, testSigner(hotkey), 1000n * COIN);
      return uid;
    },
    async epoch(netuid) {
      const due = (await subnet(netuid)).epoch.dueBlock;
      if ((await block()) + 1 < due) await before(due);
      const first = await accountOfName("anyone").stepEpoch(netuid);
      while (await accountOfName("anyone").stepEpoch(netuid));
      return must<Receipt>(first, "an epoch to push").block;
    },
  };
  return bench;
}

/** Expects a refusal by its name; returns the error. */
export async function refused(action: Promise<unknown>, name: string): Promise<Error> {
  const thrown = await action.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(refusalName(thrown) ?? thrown, `expected ${name}`).toBe(name);
  const error = thrown as Error & { remedy?: string };
  expect(error.remedy, `a remedy for ${name}`).toBeTruthy();
  return error;
}
