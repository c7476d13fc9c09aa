import { afterAll, beforeAll, expect, it } from "vitest";
import { type Anvil, inTurn, startAnvil } from "../helpers/anvil.ts";

let anvil: Anvil;
beforeAll(async () => {
  anvil = await startAnvil();
});
afterAll(() => anvil.stop());

it("gives each test a chain of its own, where an account without coin can act", async () => {
  expect(await anvil.client.getChainId()).toBe(anvil.chain.id);
  const poor = anvil.newAccount();
  const hash = await poor.sendTransaction({ to: poor.account.address, value: 0n });
  const receipt = await poor.waitForTransactionReceipt({ hash });
  expect([receipt.status, receipt.blockNumber]).toEqual(["success", 1n]);
});

it("lets calls wait for each other, whether they end well or not", async () => {
  const events: string[] = [];
  const ends: (() => void)[] = [];
  const work = inTurn(async (name: string) => {
    events.push(`${name} begins`);
    await new Promise<void>((resolve) => ends.push(resolve));
    events.push(`${name} ends`);
    if (name === "bad") throw new Error(name);
    return name;
  });
  const results = Promise.allSettled([work("a"), work("bad"), work("b")]);
  for (const count of [1, 2, 3]) {
    await expect.poll(() => ends.length).toBe(count);
    ends[count - 1]?.();
  }
  expect((await results).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(events).toEqual(["a begins", "a ends", "bad begins", "bad ends", "b begins", "b ends"]);
});
