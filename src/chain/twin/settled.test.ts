/** The twin as it is told some blocks late: at every block what it was that many blocks ago, whatever was replaced since. */
import { describe, expect, it } from "vitest";
import { COIN, testHash, testSigner } from "../../../test/contract/chain-kit.ts";
import { seededRandom } from "../../base/random.ts";
import type { Chain } from "../chain.ts";
import { createTwin, type Twin } from "./twin.ts";

const LAG = 3;
const RUN = 0;
const ANN = testSigner("ann");
const names = ["bob", "cat", "dan"].map(testSigner);

/** All that a chain says. */
async function sayings(chain: Omit<Chain, "as">): Promise<unknown> {
  const { block } = await chain.head();
  const subnets = await chain.subnets();
  const each = subnets.map(({ netuid }) =>
    Promise.all([chain.metagraph(netuid), chain.weights(netuid), chain.bonds(netuid)]),
  );
  const funds = [ANN, ...names].map(({ account }) => chain.funds(account));
  const hashes = Array.from({ length: 6 }, (_, i) => chain.blockHash(block + 1 - i));
  return {
    head: await chain.head(),
    subnets,
    each: await Promise.all(each),
    funds: await Promise.all(funds),
    hashes: await Promise.all(hashes),
    issuance: await chain.issuance(),
    ...(subnets.length > 0 && { commits: await chain.commits(RUN, 0), decision: await chain.decision(RUN, 0) }),
  };
}

function newTwin(): Twin {
  return createTwin({ automine: false, lockMin: COIN, balances: new Map([[ANN.account, 100_000n * COIN]]) });
}

/** Makes a subnet with a run. */
async function settle(twin: Twin): Promise<void> {
  const ann = twin.as(ANN);
  const phases = { startBlock: 20, trainBlocks: 10, revealBlocks: 2, voteBlocks: 4 };
  const terms = { netuid: 1, specHash: testHash("spec"), genesisRoot: testHash("genesis"), ...phases };
  const acts = [
    () => ann.createSubnet(ANN, 10n * COIN, { tempo: 10, weightsSetRateLimit: 0, commitReveal: false }),
    ...names.map((hotkey) => () => ann.register(1, hotkey, 1000n * COIN)),
    () => ann.addStake(1, ANN.account, 1000n * COIN),
    () => ann.createRun(terms),
  ];
  for (const act of acts) {
    const done = act();
    while (twin.pending() === 0) await Promise.resolve();
    twin.mine();
    await done;
  }
}

describe("a twin some blocks late", () => {
  it.each([1, 2, 3])("says what it said before, and nothing of what was replaced (story %i)", async (story) => {
    const random = seededRandom(`settled ${story}`);
    const twin = newTwin();
    await settle(twin);
    twin.allowReorgs(LAG);
    const late = twin.settled(LAG);
    expect(late.lag).toBe(LAG);
    const { block: first } = await twin.head();
    const said = new Map<number, unknown>([[first, await sayings(twin)]]);
    const acts = [
      () => twin.as(ANN).transfer(names[random.below(3)]?.account ?? ANN.account, COIN),
      () => twin.as(ANN).setWeights(1, { uids: [1, 2, 3], values: [1 + random.below(9), 2, 3] }),
      () => twin.as(names[random.below(3)] ?? ANN).commitPayload(RUN, 0, testHash(`${random.below(1000)}`)),
      () => twin.as(ANN).vote(RUN, 0, [1, 3], testHash("root")),
      () => twin.as(ANN).decideRound(RUN, 0),
      () => twin.as(ANN).stepEpoch(1),
    ];
    for (let turn = 0; turn < 80; turn++) {
      void acts[random.below(acts.length)]?.().catch(() => undefined);
      if (random.below(4) === 0) {
        const { block } = await twin.head();
        const highest = Math.max(...said.keys());
        const room = block - (highest - LAG);
        if (room > 0) twin.reorg(1 + random.below(room), (dropped) => dropped.map((each) => ({ dropped: each })));
      }
      twin.mine();
      said.set((await twin.head()).block, await sayings(twin));
      const { block } = await late.head();
      expect(block).toBe(Math.max(first, ...[...said.keys()].map((each) => each - LAG)));
      expect(await sayings(late)).toEqual(said.get(block));
    }
    expect((await late.decision(RUN, 0))?.accepted).toBeDefined();
    expect((await late.metagraph(1)).subnet.epoch.index).toBeGreaterThan(2);
  });

  it("begins anew where the chain is restored", async () => {
    const twin = newTwin();
    const late = twin.settled(LAG);
    const start = twin.save();
    twin.mine(10);
    expect((await late.head()).block).toBe(7);
    twin.restore(start);
    expect((await late.head()).block).toBe(0);
    twin.mine(4);
    expect(await sayings(late)).toMatchObject({ head: { block: 1 } });
    const waiting = late.waitForBlock(5);
    twin.mine(4);
    expect((await waiting).block).toBe(5);
  });

  it("is not taken back", () => {
    const twin = newTwin();
    twin.allowReorgs(LAG);
    twin.settled(1);
    twin.mine(5);
    expect(() => twin.reorg(2)).toThrow("stays");
  });
});
