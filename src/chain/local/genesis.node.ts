/**
 * Names Node: what the embedded chain begins with: the contracts at the precompiles' addresses, and money for whoever owns the chain. Runs
 * against a bare anvil, before the chain's first block that clients see. The EVM library is loaded when a chain is made, once in its life.
 */
import type { Hex } from "viem";
import { SkeinError } from "../../base/errors.ts";
import type { Genesis } from "../evm/deploy.ts";
import type { GenesisTools } from "./boot.node.ts";

const GAS = 30_000_000n;

/** Puts the contracts in place and gives `genesis` out. For `startLocalChain({ prepareGenesis })`. */
export function contractsGenesis(genesis: Genesis): (tools: GenesisTools) => Promise<void> {
  return async ({ rpc, rpcUrl, chainId, mnemonic }) => {
    const [{ createPublicClient, http, serializeTransaction }, { mnemonicToAccount }, { deployContracts }, artifacts] =
      await Promise.all([
        import("viem"),
        import("viem/accounts"),
        import("../evm/deploy.ts"),
        import("../evm/artifacts.node.ts"),
      ]);
    const account = mnemonicToAccount(mnemonic);
    const client = createPublicClient({ transport: http(rpcUrl), cacheTime: 0, pollingInterval: 10 });
    const nonce = (): Promise<number> => client.getTransactionCount({ address: account.address });
    const send = async ({ to, data }: { readonly to?: Hex; readonly data: Hex }): Promise<void> => {
      const fees = { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n, gas: GAS, nonce: await nonce() };
      const transaction = { type: "eip1559", chainId, data, ...(to === undefined ? {} : { to }), ...fees } as const;
      const serializedTransaction = await account.signTransaction(transaction, { serializer: serializeTransaction });
      const hash = await client.sendRawTransaction({ serializedTransaction });
      const { status } = await client.waitForTransactionReceipt({ hash });
      if (status !== "success") throw new SkeinError("chain", `setting up the contracts failed in transaction ${hash}`);
    };
    const port = {
      from: account.address,
      nonce,
      send,
      setCode: async (address: Hex, code: Hex): Promise<void> => void (await rpc("anvil_setCode", [address, code])),
    };
    await deployContracts(port, artifacts.loadArtifacts(), genesis, { fixed: true });
  };
}
