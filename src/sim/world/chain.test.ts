/** The chain as events of time, and a node's sight of it over its line. */
import { describe, expect, it } from "vitest";
import { COIN, refused, testHash, testSigner } from "../../../test/contract/chain-kit.ts";
import { describeSettled, LAG } from "../../../test/contract/chain-settled.ts";
import { SkeinError } from "../../base/errors.ts";
import { PATIENCE as EVM_PATIENCE } from "../../chain/evm/link.ts";
import { createTwin, type Twin } from "../../chain/twin/twin.ts";
import { streamsOf } from "../streams.ts";
import { type Timeline, timeline } from "../timeline.ts";
import { type Ask, type ChainWorld, chainWorld, nodeChain } from "./chain.ts";
import { openLine } from "./link.ts";
import { PATIENCE } from "./transactions.ts";
import { CALM, type ChainWeather, type Weather } from "./weather.ts";

const ANN = testSigner("ann");
const BOB = testSigner("bob");
const BLOCK_MS = 6000;

interface Scene {
  readonly twin: Twin;
  readonly clock: Timeline;
  readonly world: ChainWorld;
  readonly weather: Weather;
  readonly blocks: readonly number[];
  /** Lets time pass until `work` is done. */
  during<T>(work: Promise<T>): Promise<T>;
  /** Lets `ms` pass. */
  pass(ms: number): Promise<void>;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function scene(chain: Partial<ChainWeather> = {}, { seed = "test", healMs = Infinity } = {}): Scene {
  const twin = createTwin({
    ...{ automine: false, blockSeconds: 6, lockMin: COIN },
    balances: new Map([[ANN.account, 5000n * COIN]]),
  });
  twin.allowReorgs(2);
  const clock = timeline();
  const weather: Weather = { ...CALM, chain: { ...CALM.chain, ...chain }, healMs };
  const blocks: number[] = [];
  const onBlock = (block: number): void => void blocks.push(block);
  const world = chainWorld({ twin, weather, streams: streamsOf(seed), clock, blockMs: BLOCK_MS, onBlock });
  const during = async <T>(work: Promise<T>): Promise<T> => {
    let isDone = false;
    const end = work.finally(() => {
      isDone = true;
    });
    end.catch(() => undefined);
    for (;;) {
      await turn();
      if (isDone || !clock.step()) return end;
    }
  };
  return { twin, clock, world, weather, blocks, during, pass: (ms) => during(clock.sleep(ms)) };
}

/** A line on which everything takes `latencyMs`; `away` says when nobody hears and what is lost. */
function lineOf({ clock }: Scene, latencyMs: number, away: (what: string) => boolean = () => false): Ask {
  return async (what, _, work, signal) => {
    await clock.sleep(latencyMs);
    if (signal?.aborted) throw new SkeinError("interrupted", "over");
    if (away(what)) {
      await clock.sleep(6000);
      throw new SkeinError("chain", `nobody answers (${what})`);
    }
    const value = await work();
    await clock.sleep(latencyMs);
    return value;
  };
}

/** Reorgs may come, and hardly ever do: nodes see the chain two blocks late. */
const LATE: Partial<ChainWeather> = { reorg: 1e-12, reorgDepth: LAG };

const nodeOf = (it: Scene, ask: Ask = lineOf(it, 10)) => nodeChain({ world: it.world, name: "p1", ask });

describeSettled("a node's sight of a simulated chain", async () => {
  const it = scene(LATE);
  return {
    ...{ chain: nodeOf(it, lineOf(it, 0)), rich: "ann" },
    mine: (blocks) => it.pass(blocks * BLOCK_MS),
    newest: async () => (await it.twin.head()).block,
    reorg: async (depth) => void it.twin.reorg(depth),
    pending: async () => it.twin.pending(),
    close: async () => it.world.stop(),
  };
});

describe("blocks", () => {
  it("come one after another in calm weather, until they are stopped", async () => {
    const it = scene();
    await it.pass(5.5 * BLOCK_MS);
    expect(it.blocks).toEqual([1, 2, 3, 4, 5]);
    expect(it.world.faults).toEqual({});
    it.world.stop();
    await it.pass(5 * BLOCK_MS);
    expect((await it.twin.head()).block).toBe(5);
  });

  it("are slow now and then, and made again, until the weather heals; the same way twice", async () => {
    const healMs = 300 * BLOCK_MS;
    const story = async (seed: string) => {
      const it = scene({ slow: 0.1, slowFactor: 4, reorg: 0.2, reorgDepth: 2 }, { seed, healMs });
      await it.pass(healMs);
      const faults = { ...it.world.faults };
      const before = it.blocks.length;
      await it.pass(4 * BLOCK_MS); // one may still be slow
      const healed = it.blocks.length;
      await it.pass(50 * BLOCK_MS);
      expect(it.blocks.length - healed).toBe(50);
      expect(it.world.faults).toEqual(faults);
      return { hash: (await it.twin.head()).hash, blocks: it.blocks.slice(0, before), faults };
    };
    const [one, two, other] = [await story("a"), await story("a"), await story("b")];
    expect(two).toEqual(one);
    expect(other.hash).not.toBe(one.hash);
    expect(one.faults["slow block"]).toBeGreaterThan(10);
    expect(one.faults["reorg"]).toBeGreaterThan(20);
    const again = one.blocks.filter((block, i) => block <= (one.blocks[i - 1] ?? 0));
    expect(again.length).toBe(one.faults["reorg"]);
  });

  it("lose no transaction to reorgs that would be accepted whenever it comes", async () => {
    const it = scene({ reorg: 0.3, reorgDepth: 2 }, { healMs: 200 * BLOCK_MS });
    const ann = it.twin.as(ANN);
    const sent: Promise<unknown>[] = [];
    for (let i = 0; i < 100; i++) {
      sent.push(ann.transfer(BOB.account, COIN));
      await it.pass(BLOCK_MS);
    }
    await it.pass(120 * BLOCK_MS);
    await Promise.all(sent);
    expect(it.twin.pending()).toBe(0);
    expect((await it.twin.funds(BOB.account)).balance).toBe(100n * COIN);
    expect(it.world.faults["reorg"]).toBeGreaterThan(20);
  });
});

describe("a node's sight of the chain", () => {
  it("takes its line's time, and is of the moment in which the question arrives", async () => {
    const it = scene();
    const chain = nodeOf(it, lineOf(it, 1000));
    await it.pass(BLOCK_MS - 500);
    const head = await it.during(chain.head());
    expect([head.block, it.clock.now()]).toEqual([1, BLOCK_MS + 1500]);
    expect(await it.during(chain.blockHash(1))).toBe(head.hash);
    expect((await it.during(chain.funds(ANN.account))).balance).toBe(5000n * COIN);
    await refused(it.during(chain.metagraph(7)), "SubnetNotExists");
  });

  it("waits for blocks through an outage, and gives up where it is too long", async () => {
    const it = scene();
    let isAway = false;
    const questions: number[] = [];
    const chain = nodeOf(
      it,
      lineOf(it, 10, () => {
        questions.push(it.clock.now());
        return isAway;
      }),
    );
    expect(await it.during(chain.waitForBlock(2))).toMatchObject({ block: 2 });
    expect(it.clock.now()).toBe(2 * BLOCK_MS + 20);
    expect(questions.length).toBe(3); // one a block
    isAway = true;
    const waited = chain.waitForBlock(10);
    await it.pass(100_000);
    isAway = false;
    expect((await it.during(waited)).block).toBeGreaterThanOrEqual(10);
    isAway = true;
    const given = chain.waitForBlock(1000);
    await expect(it.during(given)).rejects.toMatchObject({ code: "chain" });
    const stop = new AbortController();
    const stopped = chain.waitForBlock(1000, stop.signal);
    stop.abort();
    await expect(it.during(stopped)).rejects.toMatchObject({ code: "interrupted" });
    const closed = chain.waitForBlock(1000);
    await chain.close();
    await expect(it.during(closed)).rejects.toMatchObject({ code: "interrupted" });
  });

  it("asks once for all who wait, and wakes those whose head has gone back", async () => {
    const it = scene();
    let questions = 0;
    const chain = nodeOf(
      it,
      lineOf(it, 10, () => {
        questions += 1;
        return false;
      }),
    );
    const all = Promise.all([chain.waitForBlock(3), chain.waitForBlock(3), chain.waitForBlock(4)]);
    await it.pass(2.5 * BLOCK_MS);
    it.twin.reorg(2);
    await it.during(all);
    expect(it.clock.now()).toBe(6 * BLOCK_MS + 20);
    expect(questions).toBe(7);
  });
});

describe("a node's transactions", () => {
  it("have production's patience", () => {
    const { pollMs, resendMs, giveUpMs } = EVM_PATIENCE;
    expect(PATIENCE).toEqual({ pollMs, resendMs, giveUpMs });
  });

  it("come into the next block, one after another, with the refusals and the epochs of the twin's own accounts", async () => {
    const it = scene();
    const ann = nodeOf(it).as(ANN);
    const { netuid, block } = await it.during(ann.createSubnet(ANN, 2n * COIN, { tempo: 5 }));
    expect([netuid, block, it.clock.now()]).toEqual([1, 1, BLOCK_MS + 20]);
    const two = await it.during(Promise.all([ann.transfer(BOB.account, COIN), ann.transfer(BOB.account, 2n * COIN)]));
    expect(two.map((receipt) => receipt.block)).toEqual([2, 3]);
    await it.pass(10 * BLOCK_MS);
    expect(await it.during(ann.register(netuid, BOB, 2n * COIN))).toMatchObject({ uid: 1 });
    expect((await it.twin.metagraph(netuid)).subnet.epoch.index).toBe(1);
    await refused(it.during(ann.register(netuid, BOB, 2n * COIN)), "HotKeyAlreadyRegisteredInSubNet");
    expect(await it.during(ann.stepEpoch(netuid))).toBeUndefined();
  });

  it("are sent again where a node loses them, and happen once", async () => {
    const it = scene({ drop: 0.5 });
    const ann = nodeOf(it).as(ANN);
    const sent = Array.from({ length: 20 }, () => ann.transfer(BOB.account, COIN));
    await it.during(Promise.all(sent));
    expect((await it.twin.funds(BOB.account)).balance).toBe(20n * COIN);
    expect(it.world.faults["dropped transaction"]).toBeGreaterThan(5);
    expect(it.world.faults["late transaction"]).toBeGreaterThan(2);
  });

  it("are asked for again where their receipt is lost, also by another block after a reorg", async () => {
    const it = scene(LATE);
    let isAway = false;
    const ann = nodeOf(
      it,
      lineOf(it, 10, (what) => isAway && what === "a receipt"),
    ).as(ANN);
    const sent = ann.transfer(BOB.account, COIN);
    isAway = true;
    await it.pass(3.5 * BLOCK_MS);
    it.twin.reorg(2); // 3 and 2: the transaction is in 1
    isAway = false;
    expect(await it.during(sent)).toMatchObject({ block: 1 });
    await it.pass(2 * BLOCK_MS);
    const next = ann.transfer(BOB.account, COIN);
    isAway = true;
    await it.pass(1.2 * BLOCK_MS);
    const { block } = await it.twin.head();
    it.twin.reorg(1, (dropped) => dropped.map((each) => ({ dropped: each, notBefore: block + 2 })));
    isAway = false;
    expect(await it.during(next)).toMatchObject({ block: block + 2 });
    expect((await it.twin.funds(BOB.account)).balance).toBe(2n * COIN);
  });

  it("are given up, and resumed where they are wanted again", async () => {
    const it = scene();
    let isAway = false;
    const ann = nodeOf(
      it,
      lineOf(it, 10, (what) => isAway && what === "a receipt"),
    ).as(ANN);
    isAway = true;
    const sent = ann.transfer(BOB.account, COIN);
    await expect(it.during(sent)).rejects.toThrow("in no block after 300 s");
    expect(it.clock.now()).toBeGreaterThanOrEqual(300_000);
    expect(it.clock.now()).toBeLessThan(310_000);
    isAway = false;
    expect(await it.during(ann.transfer(BOB.account, COIN))).toMatchObject({ block: 1 });
    expect((await it.twin.funds(BOB.account)).balance).toBe(COIN);
    await it.during(ann.transfer(BOB.account, COIN));
    expect((await it.twin.funds(BOB.account)).balance).toBe(2n * COIN);
  });

  it("may be taken out of their block before their receipt, and are then refused", async () => {
    const it = scene(LATE);
    const chain = nodeOf(it);
    const ann = chain.as(ANN);
    const { netuid } = await it.during(ann.createSubnet(ANN, 2n * COIN));
    const { block } = await it.during(chain.head());
    const startBlock = block + 4;
    const terms = { netuid, specHash: testHash("spec"), genesisRoot: testHash("genesis"), startBlock };
    const { runId } = await it.during(ann.createRun({ ...terms, trainBlocks: 4, revealBlocks: 1, voteBlocks: 1 }));
    await it.during(chain.waitForBlock(startBlock));
    const commit = ann.commitPayload(runId, 0, testHash("payload"));
    await it.pass(1.1 * BLOCK_MS);
    expect((await it.twin.commits(runId, 0)).length).toBe(1);
    expect((await it.during(chain.commits(runId, 0))).length).toBe(0);
    it.twin.reorg(1, (dropped) => dropped.map((each) => ({ dropped: each, notBefore: startBlock + 4 })));
    await refused(it.during(commit), "CommitsClosed");
    await it.pass(4 * BLOCK_MS);
    expect(await it.during(chain.commits(runId, 0))).toEqual([]);
    expect(it.twin.pending()).toBe(0);
  });

  it("still happen when the process that sent them is over", async () => {
    const it = scene();
    const over = new AbortController();
    const chain = nodeChain({ world: it.world, name: "p1", ask: lineOf(it, 10), over: over.signal });
    const sent = chain.as(ANN).transfer(BOB.account, COIN);
    await it.pass(100);
    over.abort();
    await expect(it.during(sent)).rejects.toMatchObject({ code: "interrupted" });
    await it.pass(BLOCK_MS);
    expect((await it.twin.funds(BOB.account)).balance).toBe(COIN);
  });

  it("all happen once over a bad line in bad weather", async () => {
    const it = scene({ drop: 0.2, reorg: 0.1, reorgDepth: 2, slow: 0.1, slowFactor: 5 }, { healMs: 3_600_000 });
    const line = { latencyMs: 100, jitterMs: 2000, upBps: 1e5, downBps: 1e6, loss: 0.1, duplicate: 0.1 };
    const weather = { ...it.weather, line };
    const { ask } = openLine({ name: "p1", weather, streams: streamsOf("bad"), clock: it.clock });
    const over: Ask = (what, sizes, work, signal) => ask("chain", what, sizes, work, signal);
    const ann = nodeOf(it, over).as(ANN);
    let failed = 0;
    for (let i = 0; i < 60; i++) {
      await it.during(ann.transfer(BOB.account, COIN)).catch(() => {
        failed += 1;
      });
    }
    await it.pass(3_600_000);
    expect(failed).toBe(0);
    expect((await it.twin.funds(BOB.account)).balance).toBe(60n * COIN);
    expect(Object.keys(it.world.faults).sort()).toEqual([
      "dropped transaction",
      "late transaction",
      "reorg",
      "slow block",
    ]);
  });
});
