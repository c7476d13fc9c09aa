/**
 * What a chain must do that is shown late because its newest blocks may be replaced: what it has told never changes. Run over each adapter:
 * `describeSettled(name, open)`.
 */
import { describe, expect, it } from "vitest";
import type { Chain, Hash } from "../../src/chain/chain.ts";
import { COIN, testSigner } from "./chain-kit.ts";

/** A chain that is shown `LAG` blocks late, whose blocks come when asked for. */
export interface SettledUnderTest {
  readonly chain: Chain;
  /** Holds money. */
  readonly rich: string;
  mine(blocks: number): Promise<void>;
  /** The newest block, seen from the chain's own side. */
  newest(): Promise<number>;
  /** Takes back the newest blocks; their transactions are lost unless they are `kept`, for the blocks that come next. */
  reorg(depth: number, kept: boolean): Promise<void>;
  /** Transactions that wait for a block. */
  pending(): Promise<number>;
  close(): Promise<void>;
}

/** Blocks that the chain is late. */
export const LAG = 2;

const account = (name: string): Hash => testSigner(name).account;

/** Registers the suite for one adapter. */
export function describeSettled(name: string, open: () => Promise<SettledUnderTest>): void {
  const withChain = async (run: (under: SettledUnderTest) => Promise<void>): Promise<void> => {
    const under = await open();
    try {
      await run(under);
    } finally {
      await under.close();
    }
  };
  describe(`${name}, some blocks late`, () => {
    it("shows the newest block that is deep enough", () =>
      withChain(async ({ chain, mine, newest }) => {
        await mine(10);
        const head = await chain.head();
        expect([chain.lag, head.block]).toEqual([LAG, (await newest()) - LAG]);
        expect(await chain.blockHash(head.block)).toBe(head.hash);
        expect(await chain.blockHash(head.block + 1)).toBeUndefined();
        const waiting = soon(chain.waitForBlock(head.block + 1));
        expect(await waiting.isThere()).toBe(false);
        await mine(1);
        expect((await waiting.result).block).toBe(head.block + 1);
      }));

    it("tells of a transaction once its block is deep enough", () =>
      withChain(async (under) => {
        const { chain, rich, mine, newest } = under;
        await mine(5);
        const next = (await newest()) + 1;
        const sent = soon(chain.as(testSigner(rich)).transfer(account("bob"), COIN));
        await arrived(under, 1);
        for (let block = next; block < next + LAG; block++) {
          await mine(1);
          expect(await sent.isThere()).toBe(false);
          expect((await chain.funds(account("bob"))).balance).toBe(0n);
        }
        await mine(1);
        expect(await sent.result).toMatchObject({ block: next });
        expect((await chain.head()).block).toBeGreaterThanOrEqual(next);
        expect((await chain.funds(account("bob"))).balance).toBe(COIN);
      }));

    it("never goes back, and shows nothing of what a reorg took away", () =>
      withChain(async (under) => {
        const { chain, rich, mine, newest } = under;
        await mine(10);
        const before = await chain.head();
        const first = soon(chain.as(testSigner(rich)).transfer(account("bob"), COIN));
        await arrived(under, 1);
        await mine(2);
        const shown = await chain.head();
        expect(shown.block).toBe(before.block + 2);
        await under.reorg(LAG, false);
        expect(await newest()).toBe(shown.block);
        expect(await chain.head()).toEqual(shown);
        expect(await chain.blockHash(before.block)).toBe(before.hash);
        expect((await chain.funds(account("bob"))).balance).toBe(0n);
        expect(await first.isThere()).toBe(false);
        await arrived(under, 1); // the same transaction, sent again
        const next = (await newest()) + 1;
        await mine(1);
        expect(await chain.head()).toEqual(shown);
        await mine(2);
        expect(await first.result).toMatchObject({ block: next });
        expect(await chain.blockHash(shown.block)).toBe(shown.hash);
      }));

    it("happens once, in the order in which it was sent, whatever is replaced meanwhile", () =>
      withChain(async (under) => {
        const { chain, rich, mine } = under;
        await mine(5);
        const sums = [1n, 10n, 100n, 1000n];
        const all = sums.map((rao) => soon(chain.as(testSigner(rich)).transfer(account("cat"), rao)));
        for (const [i, each] of all.entries()) {
          for (let turn = 0; !(await each.isThere()); turn++) {
            await arrived(under, 0);
            await mine(1);
            if (turn % 3 === 0) await under.reorg(1, (i + turn) % 2 === 0);
            expect(turn).toBeLessThan(100);
          }
        }
        const receipts = await Promise.all(all.map(({ result }) => result));
        const blocks = receipts.map(({ block }) => block);
        expect(blocks).toEqual([...blocks].sort((a, b) => a - b));
        expect((await chain.funds(account("cat"))).balance).toBe(1111n);
        await mine(2 * LAG);
        expect((await chain.funds(account("cat"))).balance).toBe(1111n);
      }));
  });
}

/** Milliseconds in which a client that looks every few of them has looked. */
const LOOK_MS = 150;
const WAIT_MS_MAX = 10_000;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Something that may be there soon. */
function soon<T>(result: Promise<T>): { readonly result: Promise<T>; isThere(): Promise<boolean> } {
  let isThere = false;
  void result.then(
    () => {
      isThere = true;
    },
    () => undefined,
  );
  return {
    result,
    async isThere() {
      await pause(LOOK_MS);
      return isThere;
    },
  };
}

/** Waits until `count` transactions wait for a block. */
async function arrived({ pending }: SettledUnderTest, count: number): Promise<void> {
  for (let waited = 0; (await pending()) < count; waited += 10) {
    expect(waited).toBeLessThan(WAIT_MS_MAX);
    await pause(10);
  }
}
