/** The contract suite over the EVM client and the real contracts, at the fixed addresses. */
import { afterAll } from "vitest";
import { describeChain } from "../contract/chain.ts";
import { evmPool } from "../helpers/evm-chain.ts";

const pool = evmPool({ fixed: true });
afterAll(() => pool.close());

describeChain("the EVM client", pool.open);
