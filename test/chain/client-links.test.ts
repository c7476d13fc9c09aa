/** The EVM client on bad links: each transaction happens once, whatever is lost, doubled, raced for or started anew. */
import { afterEach, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.ts";
import { manualClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Chain, Hash } from "../../src/chain/chain.ts";
import { connectEvm, type EvmOptions } from "../../src/chain/evm/client.ts";
import { COIN, OPEN, refused, testSigner } from "../contract/chain-kit.ts";
import { type Contracts, startContracts } from "../helpers/contracts.ts";
import { everyContract, TREASURY } from "../helpers/evm-chain.ts";
import { type Door, type Fate, type ProxyPlan, startProxy } from "../helpers/flaky-proxy.ts";

const artifacts = everyContract();
const account = (name: string): Hash => testSigner(name).account;
const toClose: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close();
});

async function host(): Promise<Contracts> {
  const contracts = await startContracts(
    artifacts,
    { balances: new Map([[TREASURY.account, 1_000_000n * COIN]]), lockMin: COIN },
    { fixed: true },
  );
  toClose.push(() => contracts.anvil.stop());
  return contracts;
}

async function proxyTo(plan: ProxyPlan): Promise<Door> {
  const proxy = await startProxy(plan);
  toClose.push(proxy.close);
  return proxy;
}

async function client(rpcUrl: string, options: Partial<EvmOptions> = {}): Promise<Chain> {
  const chain = await connectEvm({ rpcUrl, pollMs: 20, ...options });
  toClose.push(chain.close);
  return chain;
}

/** Stops blocks from coming with transactions; they come by `mine`. */
const holdBlocks = ({ rpc }: Contracts): Promise<unknown> => rpc("evm_setAutomine", false);

const balance = async (chain: Chain, who: string): Promise<bigint> => (await chain.funds(account(who))).balance;

describe("transactions happen once", () => {
  it("however much of what is said is lost, doubled or refused for lack of time", async () => {
    const { anvil } = await host();
    const random = seededRandom("links");
    const fates: Fate[] = ["lose", "loseAnswer", "busy", "twice"];
    const fate = (): Fate => (random.uint32() % 4 === 0 ? must(fates[random.uint32() % 4], "a fate") : "pass");
    const flaky = await proxyTo({ target: () => anvil.url, fate });
    const chain = await client(flaky.url, { patience: { resendMs: 300 } });
    const sums = [1n, 10n, 100n, 1000n, 10_000n, 100_000n, 1_000_000n, 10_000_000n];
    const receipts = await Promise.all(sums.map((rao) => chain.as(TREASURY).transfer(account("ann"), rao)));
    expect(await balance(chain, "ann")).toBe(11_111_111n);
    expect(new Set(receipts.map(({ hash }) => hash)).size).toBe(sums.length);
    expect(receipts.map(({ block }) => block)).toEqual(
      receipts.map((_, i) => must(receipts[0], "a receipt").block + i),
    );
  }, 60_000);

  it("where several programs use one key at once", async () => {
    const { anvil } = await host();
    const programs = await Promise.all([1, 2, 3].map(() => client(anvil.url)));
    await Promise.all(
      programs.flatMap((chain, i) =>
        [0, 1, 2].map((k) => chain.as(TREASURY).transfer(account("ann"), 10n ** BigInt(3 * i + k))),
      ),
    );
    expect(await balance(must(programs[0], "a program"), "ann")).toBe(111_111_111n);
  }, 30_000);

  it("where two programs spend the same money: one of them is told", async () => {
    const contracts = await host();
    const [one, other] = [await client(contracts.anvil.url), await client(contracts.anvil.url)];
    await one.as(TREASURY).transfer(account("ann"), 5n * COIN);
    await holdBlocks(contracts);
    const ann = testSigner("ann");
    const both = [one.as(ann).transfer(account("bob"), 3n * COIN), other.as(ann).transfer(account("cat"), 3n * COIN)];
    const settled = Promise.allSettled(both);
    await mineUntil(contracts, settled);
    const failed = (await settled).flatMap(({ status }, i) => (status === "rejected" ? [i] : []));
    expect(failed).toHaveLength(1);
    await refused(both[failed[0] === 0 ? 0 : 1] as Promise<unknown>, "NotEnoughBalanceToStake");
    expect((await balance(one, "bob")) + (await balance(one, "cat"))).toBe(3n * COIN);
  }, 30_000);

  it("and one that fails in its block says why", async () => {
    const contracts = await host();
    // What is estimated as of the newest block does not see the other's transaction.
    const rewrite = (body: string): string => body.replaceAll('"pending"', '"latest"');
    const proxy = await proxyTo({ target: () => contracts.anvil.url, rewrite });
    const chain = await client(proxy.url);
    const { netuid } = await chain.as(TREASURY).createSubnet(TREASURY, COIN, { ...OPEN, tempo: 5000 });
    for (const name of ["ann", "bob"]) await chain.as(TREASURY).transfer(account(name), 5n * COIN);
    await holdBlocks(contracts);
    const limit = ((await chain.metagraph(netuid)).subnet.burn * 11n) / 10n; // the next price is 1.26 times as much
    const both = ["ann", "bob"].map((name) => chain.as(testSigner(name)).register(netuid, testSigner(name), limit));
    const settled = Promise.allSettled(both);
    await inPool(contracts, 2);
    await contracts.mine(1);
    const results = await settled;
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const failed = results.findIndex(({ status }) => status === "rejected");
    await refused(both[failed] as Promise<unknown>, "RegistrationPriceLimitExceeded");
  }, 30_000);
});

/** Mines whenever something waits, until `done`. */
async function mineUntil(contracts: Contracts, done: Promise<unknown>): Promise<void> {
  let over = false;
  void done.then(() => {
    over = true;
  });
  while (!over) {
    const { pending } = await contracts.rpc<{ pending: string }>("txpool_status");
    if (Number(pending) > 0) await contracts.mine(1);
  }
}

async function inPool({ rpc }: Contracts, count: number): Promise<void> {
  while (Number((await rpc<{ pending: string }>("txpool_status")).pending) < count);
}

describe("a chain that wants to be paid", () => {
  const GWEI = 1_000_000_000n;
  const setBaseFee = async ({ rpc, mine }: Contracts, fee: bigint): Promise<void> => {
    await rpc("anvil_setNextBlockBaseFeePerGas", `0x${fee.toString(16)}`);
    await mine(1);
  };

  it("is paid what it takes, and more for the same transaction where that has become too little", async () => {
    const contracts = await host();
    const chain = await client(contracts.anvil.url, { patience: { resendMs: 50 } });
    await setBaseFee(contracts, GWEI);
    const transfer = () => chain.as(TREASURY).transfer(account("ann"), 3n);
    await expect(transfer()).rejects.toMatchObject({
      code: "chain",
      message: "the account cannot pay for the transaction's gas",
    });
    await contracts.rpc("anvil_setBalance", TREASURY.address, `0x${(10n ** 18n).toString(16)}`);
    await transfer();
    expect(await balance(chain, "ann")).toBe(3n);
    await holdBlocks(contracts);
    const dear = transfer();
    await inPool(contracts, 1);
    await setBaseFee(contracts, 20n * GWEI);
    expect(await balance(chain, "ann")).toBe(3n);
    await mineUntil(contracts, dear);
    await dear;
    expect(await balance(chain, "ann")).toBe(6n);
  }, 30_000);
});

describe("a chain that stands still", () => {
  it("is given up in time; the same again is the same transaction", async () => {
    const contracts = await host();
    const clock = manualClock();
    const chain = await client(contracts.anvil.url, { clock, pollMs: 1000, patience: { giveUpMs: 20_000 } });
    await holdBlocks(contracts);
    const transfer = () => chain.as(TREASURY).transfer(account("ann"), 7n);
    await expect(transfer()).rejects.toMatchObject({
      code: "chain",
      message: "a transaction was in no block after 20 s",
      remedy: expect.stringContaining("will not happen twice"),
    });
    await contracts.mine(1);
    const receipt = await transfer();
    expect(await balance(chain, "ann")).toBe(7n);
    expect(receipt.block).toBe((await chain.head()).block);
    await contracts.rpc("evm_setAutomine", true);
    expect((await transfer()).hash).not.toBe(receipt.hash);
    expect(await balance(chain, "ann")).toBe(14n);
  }, 30_000);

  it("takes back what it had in its pool only: what is sent again comes into the next chain's block", async () => {
    const contracts = await host();
    const second = { url: "" };
    const proxy = await proxyTo({ target: () => second.url || contracts.anvil.url });
    const chain = await client(proxy.url, { patience: { resendMs: 100, retries: 1 } });
    await holdBlocks(contracts);
    const sending = chain.as(TREASURY).transfer(account("ann"), 9n);
    await inPool(contracts, 1);
    const state = await contracts.rpc<string>("anvil_dumpState");
    const head = await chain.head();
    const waiting = chain.waitForBlock(head.block + 1);
    await contracts.anvil.stop();
    const restarted = await startContractsFrom(contracts, state);
    second.url = restarted;
    expect((await sending).block).toBe(head.block + 1);
    expect((await waiting).block).toBeGreaterThanOrEqual(head.block + 1);
    expect(await balance(chain, "ann")).toBe(9n);
  }, 30_000);
});

/** A new anvil with an old one's state. */
async function startContractsFrom({ anvil }: Contracts, state: string): Promise<string> {
  const { startAnvil } = await import("../helpers/anvil.ts");
  const next = await startAnvil({ chainId: anvil.chain.id });
  toClose.push(() => next.stop());
  await next.client.request({ method: "anvil_loadState", params: [state as `0x${string}`] });
  return next.url;
}
