/** The twin under random operations: every rao is where it should be, to the unit, and a refusal changes nothing. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { benchOver, COIN, testSigner } from "../../../test/contract/chain-kit.ts";
import {
  CAST,
  checkInvariants,
  everything,
  type Operation,
  operations,
  perform,
  sameStory,
  stage,
} from "../../../test/contract/chain-ops.ts";
import type { World } from "./state.ts";
import { createTwin, type Twin } from "./twin.ts";

const TREASURY = testSigner("treasury");
const SUPPLY = 1_000_000n * COIN;

function open(supply = SUPPLY): { chain: Twin; bench: ReturnType<typeof benchOver> } {
  const chain = createTwin({ balances: new Map([[TREASURY.account, supply]]), lockMin: COIN, lockInterval: 100 });
  return {
    chain,
    bench: benchOver({
      chain,
      mine: async (blocks) => void chain.mine(blocks),
      fund: async (account, rao) => void (await chain.as(TREASURY).transfer(account, rao)),
      close: () => chain.close(),
    }),
  };
}

/** Stories of up to 160 operations; more on request. */
const STORIES = Number(process.env["SKEIN_CHAIN_STORIES"] ?? 25);

const sum = (values: Iterable<bigint>): bigint => [...values].reduce((total, value) => total + value, 0n);

/** The ledger's books, to the unit and to 2^-64 of it. */
function checkLedger({ ledger, subnets }: World): void {
  const pools = [...ledger.pools.values()];
  const accruals = [...ledger.accruals.values()];
  const assets = sum(pools.map((pool) => pool.assets));
  const pending = sum(accruals.map((accrual) => accrual.pending));
  expect(sum(ledger.balances.values()) + assets + sum(ledger.earned.values()) + pending + ledger.undistributed).toBe(
    ledger.issuance,
  );
  const fractions = accruals.map(({ fraction, stake, index }) => fraction + stake * (ledger.index - index));
  expect((ledger.dust << 64n) + ledger.rest + sum(fractions)).toBe(ledger.undistributed << 64n);
  expect(assets).toBe(ledger.stake);
  expect(sum(accruals.map(({ stake }) => stake))).toBe(ledger.stake);
  for (const pool of pools) {
    expect(sum(pool.holders.values())).toBe(pool.shares);
    expect(pool.assets >= 0n && (pool.shares > 0n || pool.assets === 0n)).toBe(true);
    expect([...pool.holders.values()].every((shares) => shares > 0n)).toBe(true);
  }
  for (const amounts of [ledger.balances, ledger.earned]) {
    expect([...amounts.values()].every((rao) => rao >= 0n)).toBe(true);
  }
  for (const { slots, params } of subnets.values()) {
    expect(slots.length).toBeLessThanOrEqual(params.maxUids);
    expect(slots.every(({ hotkey, coldkey }) => ledger.owners.get(hotkey) === coldkey)).toBe(true);
  }
}

async function play(story: readonly Operation[]): Promise<Record<string, number>> {
  const { chain, bench } = open();
  await stage(bench, story);
  const outcomes: Record<string, number> = {};
  for (const operation of story) {
    const before = chain.save();
    const outcome = await perform(bench, operation);
    const after = chain.save();
    outcomes[`${operation.kind} ${outcome}`] = (outcomes[`${operation.kind} ${outcome}`] ?? 0) + 1;
    if (outcome !== "ok" && after.blocks.head.block === before.blocks.head.block) expect(after).toEqual(before);
    checkLedger(after.world);
  }
  await checkInvariants(bench);
  return outcomes;
}

describe("the twin under random operations", () => {
  it(
    "keeps its books to the unit, and is as it was after a refusal",
    async () => {
      const seen: Record<string, number> = {};
      await fc.assert(
        fc.asyncProperty(operations(160), async (story) => {
          for (const [what, count] of Object.entries(await play(story))) seen[what] = (seen[what] ?? 0) + count;
        }),
        { numRuns: STORIES, seed: 20_261_121 },
      );
      // A story in which nothing ever works would prove nothing.
      for (const kind of [
        "setWeights",
        "commitWeights",
        "revealWeights",
        "register",
        "moveStake",
        "stepEpoch",
        "vote",
      ]) {
        expect(seen[`${kind} ok`], `${kind} in ${JSON.stringify(seen, undefined, 1)}`).toBeGreaterThan(3);
      }
    },
    60_000 + STORIES * 2000,
  );

  it("tells the same story twice the same way, also from a copy of its state", async () => {
    await fc.assert(
      fc.asyncProperty(operations(60), async (story) => {
        const [one, other] = [open(), open()];
        await sameStory(one.bench, other.bench, story);
        expect(await other.chain.head()).toEqual(await one.chain.head());
        const copy = open(0n);
        copy.chain.restore(one.chain.save());
        expect(await everything(copy.bench)).toEqual(await everything(one.bench));
        copy.chain.mine(30);
        one.chain.mine(30);
        for (const bench of [copy.bench, one.bench]) await perform(bench, { kind: "stepEpoch", actor: 0, a: 0, b: 1 });
        expect(await copy.chain.head()).toEqual(await one.chain.head());
        expect(copy.chain.save()).toEqual(one.chain.save());
        expect(await other.chain.head()).not.toEqual(await one.chain.head());
      }),
      { numRuns: 3, seed: 7 },
    );
  }, 60_000);

  it("leaves nothing behind when everybody leaves", async () => {
    const { chain, bench } = open();
    await stage(bench, []);
    chain.mine(100);
    await bench.as("anyone").stepEpoch(1);
    for (const name of CAST) {
      await bench.as(name).claim();
      const rao = await bench.staked(name, 1, name);
      if (rao > 0n) await bench.as(name).removeStake(1, testSigner(name).account, rao);
    }
    const { ledger } = chain.save().world;
    expect(ledger.stake).toBe(0n);
    expect(
      [...ledger.pools.values()].every(({ assets, shares, holders }) => assets + shares === 0n && holders.size === 0),
    ).toBe(true);
    checkLedger(chain.save().world);
  });
});
