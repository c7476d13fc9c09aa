/** The EVM client, loaded when it is asked for: its library is large, and most of what imports this package needs no chain. */
import type { Chain } from "./chain.ts";
import type { EvmOptions } from "./evm/client.ts";

/** Connects to an EVM chain that has the contracts. Throws SkeinError("chain") where nobody answers, or they are not there. */
export async function connectChain(options: EvmOptions): Promise<Chain> {
  const { connectEvm } = await import("./evm/client.ts");
  return connectEvm(options);
}
