import { describeChain } from "../../../test/contract/chain.ts";
import { COIN, testSigner } from "../../../test/contract/chain-kit.ts";
import { createTwin } from "./twin.ts";

const TREASURY = testSigner("treasury");

describeChain("the twin", async ({ supply = 1_000_000n * COIN, lockMin, lockInterval }) => {
  const chain = createTwin({
    balances: new Map([[TREASURY.account, supply]]),
    ...(lockMin === undefined ? {} : { lockMin }),
    ...(lockInterval === undefined ? {} : { lockInterval }),
  });
  return {
    chain,
    mine: async (blocks) => void chain.mine(blocks),
    fund: async (account, rao) => void (await chain.as(TREASURY).transfer(account, rao)),
    close: () => chain.close(),
  };
});
