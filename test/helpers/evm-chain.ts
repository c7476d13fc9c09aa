/**
 * Chains for tests of the EVM client: anvils with the real contracts. One that is closed goes back to its first block and is given to the
 * next test that wants the same beginning, which takes a tenth of the time of a new one.
 */
import type { Signer } from "../../src/chain/chain.ts";
import { connectEvm } from "../../src/chain/evm/client.ts";
import { CONTRACT_NAMES, type Genesis } from "../../src/chain/evm/deploy.ts";
import { COIN, type OpenChain, testSigner } from "../contract/chain-kit.ts";
import { type Contracts, compiled, startContracts } from "./contracts.ts";

/** Holds the supply of a chain of tests. */
export const TREASURY: Signer = testSigner("treasury");

/** All contracts of the product. */
export const everyContract = (): ReturnType<typeof compiled> => compiled(Object.values(CONTRACT_NAMES));

/** Opens chains on anvils, and ends them all. */
export interface EvmPool {
  readonly open: OpenChain;
  close(): Promise<void>;
}

interface Host {
  readonly contracts: Contracts;
  snapshot: string;
}

/** A pool; `fixed` says whether the contracts are at the fixed addresses. */
export function evmPool({ fixed }: { readonly fixed: boolean }): EvmPool {
  const artifacts = everyContract();
  const idle = new Map<string, Host[]>();
  const all: Contracts[] = [];
  const start = async (genesis: Genesis): Promise<Host> => {
    const contracts = await startContracts(artifacts, genesis, { fixed });
    all.push(contracts);
    return { contracts, snapshot: await contracts.rpc<string>("evm_snapshot") };
  };
  return {
    async open({ supply = 1_000_000n * COIN, lockMin, lockInterval }) {
      const genesis: Genesis = {
        balances: new Map([[TREASURY.account, supply]]),
        ...(lockMin === undefined ? {} : { lockMin }),
        ...(lockInterval === undefined ? {} : { lockInterval: BigInt(lockInterval) }),
      };
      const key = `${supply} ${lockMin} ${lockInterval}`;
      const host = idle.get(key)?.pop() ?? (await start(genesis));
      const { anvil, book, rpc, mine } = host.contracts;
      const chain = await connectEvm({ rpcUrl: anvil.url, contracts: book, pollMs: 25 });
      return {
        chain,
        mine,
        fund: async (account, rao) => void (await chain.as(TREASURY).transfer(account, rao)),
        async close() {
          await chain.close();
          await rpc("evm_revert", host.snapshot);
          host.snapshot = await rpc<string>("evm_snapshot");
          idle.set(key, [...(idle.get(key) ?? []), host]);
        },
      };
    },
    close: async () => void (await Promise.all(all.map(({ anvil }) => anvil.stop()))),
  };
}
