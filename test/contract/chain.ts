/**
 * What every chain must do, run over each adapter: `describeChain(name, open)`. Blocks are counted from receipts, so that adapters may
 * need different numbers of transactions for one step; numbers written out as literals are to the rao.
 */
import { describe, expect, it } from "vitest";
import { epochsAndWeights } from "./chain-epochs.ts";
import { type Bench, benchOver, type ChainTestOptions, COIN, type OpenChain, testSigner } from "./chain-kit.ts";
import { membersAndMoney } from "./chain-money.ts";
import { runsAndRounds } from "./chain-rounds.ts";

/** Runs a test on a fresh chain, which it closes. */
export type WithChain = (run: (bench: Bench) => Promise<void>, options?: ChainTestOptions) => Promise<void>;

/** Registers the suite for one adapter. */
export function describeChain(name: string, open: OpenChain): void {
  const withChain: WithChain = async (run, options = {}) => {
    const subject = await open(options);
    try {
      await run(benchOver(subject));
    } finally {
      await subject.close();
    }
  };
  describe(`${name} as a chain`, () => {
    describe("blocks", () => blocks(withChain));
    membersAndMoney(withChain);
    epochsAndWeights(withChain);
    runsAndRounds(withChain);
  });
}

function blocks(withChain: WithChain): void {
  it("numbers them, stamps them, and knows the hashes of the last ones", () =>
    withChain(async ({ chain, mine }) => {
      const first = await chain.head();
      await mine(3);
      const head = await chain.head();
      expect(head.block).toBe(first.block + 3);
      expect(head.timestamp).toBeGreaterThanOrEqual(first.timestamp);
      expect(await chain.blockHash(head.block)).toBe(head.hash);
      expect(await chain.blockHash(first.block)).toBe(first.hash);
      expect(head.hash).not.toBe(first.hash);
      expect(await chain.blockHash(head.block + 1)).toBeUndefined();
      await mine(300);
      expect(await chain.blockHash(first.block)).toBeUndefined();
    }));

  it("waits for a block that is there, that comes, or until it is told to stop", () =>
    withChain(async ({ chain, mine, block }) => {
      expect((await chain.waitForBlock(await block())).block).toBe(await block());
      const target = (await block()) + 2;
      const waiting = chain.waitForBlock(target);
      await mine(2);
      expect((await waiting).block).toBeGreaterThanOrEqual(target);
      const stop = new AbortController();
      const stopped = chain.waitForBlock(target + 1_000_000, stop.signal);
      stop.abort();
      await expect(stopped).rejects.toMatchObject({ name: "SkeinError", code: "interrupted" });
      await expect(chain.waitForBlock(target + 1_000_000, stop.signal)).rejects.toMatchObject({ code: "interrupted" });
    }));

  it("puts a transaction into a block of its own", () =>
    withChain(async ({ chain, fund, as, block }) => {
      await fund(testSigner("ann").account, 5n * COIN);
      const before = await block();
      const receipt = await as("ann").transfer(testSigner("bob").account, COIN);
      expect(receipt.block).toBe(before + 1);
      expect(receipt.hash).toMatch(/^0x[0-9a-f]{64}$/);
      expect(await block()).toBe(before + 1);
      expect(chain.chainId).toBeGreaterThan(0);
    }));
}
