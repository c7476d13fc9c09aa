import { describe, expect, it } from "vitest";
import { benchOver, COIN, refused, testSigner } from "../../../test/contract/chain-kit.ts";
import { createTwin, type Twin, type TwinOptions } from "./twin.ts";

const ANN = testSigner("ann");
const BOB = testSigner("bob");
const open = (options: TwinOptions = {}): Twin =>
  createTwin({ balances: new Map([[ANN.account, 5000n * COIN]]), lockMin: COIN, ...options });

/** Makes blocks until `action` is done. */
async function mined<T>(chain: Twin, action: Promise<T>): Promise<T> {
  let done = false;
  const result = action.finally(() => {
    done = true;
  });
  for (let i = 0; i < 10 && !done; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    chain.mine();
  }
  return result;
}

describe("the twin's blocks", () => {
  it("take all waiting transactions in the order they came, where they are not made at once", async () => {
    const chain = open({ automine: false });
    const first = chain.as(ANN).transfer(BOB.account, 2n * COIN);
    const second = chain.as(BOB).transfer(ANN.account, COIN);
    const third = chain.as(BOB).transfer(ANN.account, 2n * COIN);
    const failed = refused(third, "NotEnoughBalanceToStake");
    expect((await chain.funds(BOB.account)).balance).toBe(0n);
    chain.mine(3);
    expect((await first).block).toBe(1);
    expect((await second).block).toBe(1);
    expect((await first).hash).not.toBe((await second).hash);
    await failed;
    expect((await chain.funds(BOB.account)).balance).toBe(COIN);
    expect((await chain.head()).block).toBe(3);
  });

  it("come, with nothing in them, where all that waited was refused", async () => {
    const chain = open({ automine: false });
    const failed = refused(chain.as(BOB).transfer(ANN.account, 1n), "NotEnoughBalanceToStake");
    expect(chain.mine().block).toBe(1);
    await failed;
    const empty = open({ automine: false });
    expect(empty.mine()).toEqual(await chain.head());
  });

  it("push an epoch that is due before what waits, also in other blocks", async () => {
    const chain = open({ automine: false });
    const { netuid } = await mined(chain, chain.as(ANN).createSubnet(ANN, 2n * COIN, { tempo: 5 }));
    chain.mine(10);
    const registered = mined(chain, chain.as(ANN).register(netuid, BOB, 2n * COIN));
    expect(await registered).toMatchObject({ uid: 1 });
    expect((await chain.metagraph(netuid)).subnet.epoch.index).toBe(1);
  });

  it("have hashes that tell histories apart, and stamps from a rule, a clock or their maker", async () => {
    const [one, other] = [open(), open()];
    await one.as(ANN).transfer(BOB.account, 1n);
    await other.as(ANN).transfer(BOB.account, 2n);
    expect((await one.head()).hash).not.toBe((await other.head()).hash);
    expect((await one.head()).timestamp).toBe(12);
    expect(one.mine(1, 500)).toMatchObject({ block: 2, timestamp: 500 });
    expect(one.mine().timestamp).toBe(512);
    let now = 1_000_000;
    const clocked = open({ startSeconds: 999_000, seconds: () => now });
    expect(clocked.mine(2).timestamp).toBe(1_000_001); // two in one second still differ
    now += 60;
    expect(clocked.mine().timestamp).toBe(1_000_060);
    expect(createTwin({ chainId: 5 }).mine().hash).not.toBe(createTwin({ chainId: 6 }).mine().hash);
  });

  it("go back to a saved state, which later blocks do not touch", async () => {
    const chain = open();
    const bench = benchOver({
      chain,
      mine: async (n) => void chain.mine(n),
      fund: async () => {},
      close: async () => {},
    });
    const { netuid } = await chain.as(ANN).createSubnet(ANN, 2n * COIN, { tempo: 5 });
    await chain.as(ANN).addStake(netuid, ANN.account, COIN);
    const saved = chain.save();
    const account = chain.as(ANN);
    await bench.epoch(netuid);
    const later = chain.save();
    expect(later).not.toEqual(saved);
    chain.restore(saved);
    expect(chain.save()).toEqual(saved);
    await bench.epoch(netuid);
    expect(chain.save()).toEqual(later);
    await account.claim(); // an account outlives the return
    expect((await chain.funds(ANN.account)).earned).toBe(0n);
  });

  it("treats a signer that is not its account as a bug", () => {
    expect(() => open().as({ ...ANN, account: BOB.account })).toThrow("does not belong");
  });
});
