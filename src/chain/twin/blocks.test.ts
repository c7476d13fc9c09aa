import { describe, expect, it } from "vitest";
import { benchOver, COIN, refused, testSigner } from "../../../test/contract/chain-kit.ts";
import { seededRandom } from "../../base/random.ts";
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

describe("a reorg of the twin", () => {
  const CAT = testSigner("cat");
  const forking = (): Twin => {
    const chain = open({ automine: false });
    chain.allowReorgs(3);
    return chain;
  };
  const balance = async (chain: Twin, { account }: typeof ANN): Promise<bigint> => (await chain.funds(account)).balance;

  it("takes blocks back, lets their transactions wait again, and tells nobody", async () => {
    const chain = forking();
    const paid = chain.as(ANN).transfer(BOB.account, COIN);
    chain.mine(2);
    const receipt = await paid;
    const [one, two] = [await chain.blockHash(1), await chain.blockHash(2)];
    expect(chain.pending()).toBe(0);
    expect(chain.reorg(2)).toBe(2);
    expect([(await chain.head()).block, await balance(chain, BOB), chain.pending()]).toEqual([0, 0n, 1]);
    expect(await chain.blockHash(1)).toBeUndefined();
    const waited = chain.waitForBlock(2);
    chain.mine();
    expect([await balance(chain, BOB), chain.pending()]).toEqual([COIN, 0]);
    chain.mine();
    expect(await waited).toEqual(await chain.head());
    expect(await chain.blockHash(1)).not.toBe(one);
    expect(await chain.blockHash(2)).not.toBe(two);
    expect((await paid).hash).toBe(receipt.hash);
  });

  it("goes back no further than is remembered, and nowhere where nothing is", async () => {
    const chain = forking();
    chain.mine();
    expect(chain.reorg(3)).toBe(1);
    expect(chain.reorg(3)).toBe(0);
    expect(() => chain.reorg(4)).toThrow("from 1 to 3 blocks");
    expect(() => open({ automine: false }).reorg(1)).toThrow("from 1 to 0 blocks");
    expect(() => open().allowReorgs(1)).toThrow("come by themselves");
    chain.mine(3);
    chain.restore(chain.save());
    expect(chain.reorg(1)).toBe(0);
  });

  it("makes of the rest what its caller says: another order, later, or nothing", async () => {
    const chain = forking();
    const ann = chain.as(ANN);
    const sent = [ann.transfer(BOB.account, COIN), ann.transfer(CAT.account, COIN)];
    const back = chain.as(BOB).transfer(CAT.account, COIN);
    chain.mine();
    await Promise.all([...sent, back]);
    const seen: string[] = [];
    chain.reorg(1, (dropped) => {
      seen.push(...dropped.map(({ sender }) => sender));
      const [first, second, third] = dropped.map((each) => ({ dropped: each }));
      return first && second && third ? [third, { ...first, notBefore: 3 }, second] : [];
    });
    expect(seen).toEqual([ANN.account, ANN.account, BOB.account]);
    chain.mine(2); // BOB has nothing yet to pay with, and ANN's second waits behind her first
    expect([await balance(chain, BOB), await balance(chain, CAT), chain.pending()]).toEqual([0n, 0n, 2]);
    chain.mine();
    expect([await balance(chain, BOB), await balance(chain, CAT), chain.pending()]).toEqual([COIN, COIN, 0]);
    expect(() => chain.reorg(1, (dropped) => [...dropped].reverse().map((each) => ({ dropped: each })))).toThrow(
      "keep their order",
    );
    const other = forking();
    const lost = other.as(ANN).transfer(BOB.account, COIN);
    other.mine();
    await lost;
    other.reorg(1, () => []);
    other.mine();
    expect(await balance(other, BOB)).toBe(0n);
  });

  it("tells whoever asked to be told anew", () => {
    const chain = forking();
    const told: string[] = [];
    const fortune = {
      onDone: (_: unknown, value: number): void => void told.push(`done ${value}`),
      onRefused: (): void => void told.push("refused"),
      onDropped: (): void => void told.push("dropped"),
    };
    const change = (block: number): number => {
      if (block > 2) throw new Error("too late");
      return block;
    };
    chain.enter({ sender: ANN.account, text: "test", change }, fortune, 2);
    chain.mine(2);
    chain.reorg(1);
    chain.mine();
    chain.reorg(2, (dropped) => dropped.map((each) => ({ dropped: each, notBefore: 3 })));
    chain.mine(4);
    expect(told).toEqual(["done 2", "dropped", "done 2", "dropped", "refused"]);
  });

  it("leaves the world as it was in that block, keeps the books, and tells the same story twice the same way", async () => {
    const story = async (seed: string): Promise<{ hashes: string[]; chain: Twin }> => {
      const chain = forking();
      const random = seededRandom(seed);
      const cast = [ANN, BOB, CAT];
      const someone = (): typeof ANN => cast[random.below(cast.length)] ?? ANN;
      const hashes: string[] = [];
      void chain.as(ANN).createSubnet(ANN, 2n * COIN, { tempo: 7, maxUids: 4, immunityPeriod: 1 });
      const states = new Map([[0, chain.save()]]);
      for (let i = 0; i < 150; i++) {
        const [who, whom, rao] = [someone(), someone(), BigInt(1 + random.below(100)) * COIN];
        const account = chain.as(who);
        const acts = [
          () => account.transfer(whom.account, rao),
          () => account.addStake(1, whom.account, rao),
          () => account.removeStake(1, whom.account, rao),
          () => account.register(1, whom, 100n * COIN),
          () => account.setWeights(1, { uids: [0], values: [1] }),
          () => account.stepEpoch(1),
        ];
        acts[random.below(acts.length)]?.().catch(() => undefined);
        await new Promise((resolve) => setImmediate(resolve));
        hashes.push(chain.mine().hash);
        states.set(chain.peek().blocks.head.block, chain.save());
        if (random.below(8) > 0) continue;
        chain.reorg(1 + random.below(3));
        expect(chain.save()).toEqual(states.get(chain.peek().blocks.head.block));
      }
      return { hashes, chain };
    };
    const [one, two, other] = [await story("one"), await story("one"), await story("other")];
    expect(two.hashes).toEqual(one.hashes);
    expect(two.chain.save()).toEqual(one.chain.save());
    expect(new Set(one.hashes).size).toBe(150);
    for (const { chain } of [one, other]) {
      const { ledger, subnets } = chain.peek().world;
      expect(chain.peek().blocks.head.block).toBeGreaterThan(80); // beyond the first copies of the world
      expect(subnets.get(1)?.epochIndex).toBeGreaterThan(0);
      const sum = (values: Iterable<bigint>): bigint => [...values].reduce((total, rao) => total + rao, 0n);
      const [assets, pending] = [
        sum([...ledger.pools.values()].map((pool) => pool.assets)),
        sum([...ledger.accruals.values()].map((accrual) => accrual.pending)),
      ];
      const all = sum(ledger.balances.values()) + assets + sum(ledger.earned.values()) + pending + ledger.undistributed;
      expect(all).toBe(ledger.issuance);
    }
  });
});
