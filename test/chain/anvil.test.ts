import { afterAll, beforeAll, expect, it } from "vitest";
import { type Anvil, startAnvil } from "../helpers/anvil.ts";

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
