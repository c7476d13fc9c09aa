/** The EVM client on a chain whose newest blocks are replaced. */
import { afterAll, expect, it } from "vitest";
import { connectEvm } from "../../src/chain/evm/client.ts";
import { COIN, testSigner } from "../contract/chain-kit.ts";
import { describeSettled, LAG } from "../contract/chain-settled.ts";
import { type Contracts, startContracts } from "../helpers/contracts.ts";
import { everyContract } from "../helpers/evm-chain.ts";
import { startProxy } from "../helpers/flaky-proxy.ts";

const artifacts = everyContract();
const started: Contracts[] = [];
afterAll(async () => void (await Promise.all(started.map(({ anvil }) => anvil.stop()))));

const RICH = testSigner("rich");

async function host(): Promise<Contracts> {
  const contracts = await startContracts(
    artifacts,
    { balances: new Map([[RICH.account, 1000n * COIN]]) },
    { fixed: true },
  );
  started.push(contracts);
  await contracts.rpc("evm_setAutomine", false);
  return contracts;
}

describeSettled("the EVM client", async () => {
  const { anvil, rpc, mine, block } = await host();
  const chain = await connectEvm({ rpcUrl: anvil.url, pollMs: 10, settleBlocks: LAG, patience: { resendMs: 300 } });
  return {
    chain,
    rich: "rich",
    mine: async (blocks) => {
      for (let i = 0; i < blocks; i++) await mine(1);
    },
    newest: block,
    async reorg(depth, kept) {
      // anvil makes the blocks anew at once; so that the head is seen going back, they are taken away
      await rpc("anvil_rollback", depth);
      if (!kept) await rpc("anvil_dropAllTransactions");
    },
    pending: async () => Number((await rpc<{ pending: string }>("txpool_status")).pending),
    async close() {
      await chain.close();
      await anvil.stop();
    },
  };
});

it("is shown late unless it is one of our own, and says so when more was replaced than it allows for", async () => {
  const { anvil, rpc, mine } = await host();
  const own = await connectEvm({ rpcUrl: anvil.url, pollMs: 10 });
  const rewrite = (body: string): string => body.replaceAll("web3_clientVersion", "no_method");
  const proxy = await startProxy({ target: () => anvil.url, rewrite });
  const other = await connectEvm({ rpcUrl: proxy.url, pollMs: 10 });
  expect([own.lag, other.lag]).toEqual([0, 3]);
  const late = await connectEvm({ rpcUrl: anvil.url, pollMs: 10, settleBlocks: 1 });
  await mine(5);
  const { block } = await late.head();
  await rpc("anvil_rollback", 3);
  await rpc("anvil_setNextBlockBaseFeePerGas", "0x7");
  await mine(4);
  await expect(late.head()).rejects.toThrow(`the chain has replaced block ${block}`);
  await expect(late.metagraph(1)).rejects.toMatchObject({ code: "chain" });
  await expect(connectEvm({ rpcUrl: anvil.url, settleBlocks: 65 })).rejects.toMatchObject({ code: "usage" });
  for (const chain of [own, other, late]) await chain.close();
  await proxy.close();
});
