/**
 * Names Node: what the embedded chain begins with: the contracts at the precompiles' addresses, and money for whoever owns the chain. Runs
 * against a bare anvil, before the chain's first block that clients see. The EVM client is loaded when a chain is made, once in its life.
 */
import type { Genesis } from "../evm/deploy.ts";
import { keyOfMnemonic } from "../keys/mnemonic.ts";
import { signerOf } from "../keys/signer.ts";
import type { GenesisTools } from "./boot.node.ts";

/** Puts the contracts in place and gives `genesis` out. For `startLocalChain({ prepareGenesis })`. */
export function contractsGenesis(genesis: Genesis): (tools: GenesisTools) => Promise<void> {
  return async ({ rpc, rpcUrl, mnemonic }) => {
    const [{ deployEvm }, { loadArtifacts }] = await Promise.all([
      import("../evm/client.ts"),
      import("../evm/artifacts.node.ts"),
    ]);
    const keeper = signerOf(await keyOfMnemonic(mnemonic));
    await deployEvm(rpcUrl, keeper, loadArtifacts(), genesis, {
      setCode: async (address, code) => void (await rpc("anvil_setCode", [address, code])),
    });
  };
}
