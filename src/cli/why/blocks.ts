/**
 * The chain for whoever goes over a run's past: it stands still in one block, and knows the hashes of blocks that contracts have forgotten. All rules that
 * draw by a block's hash can then be followed again, as long as a node still has that block.
 */
import { utf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { fieldsIn, isAccount, jsonIn } from "../../base/json.ts";
import type { Chain, Hash } from "../../chain/chain.ts";
import { openWire } from "../../store/transfer.ts";

/** Bytes of a block without its transactions, of which it names the hashes. */
const BLOCK_BYTES_MAX = 4 << 20;

/** A hash of a block, however old; undefined where it is not to be had. */
export type BlockHash = (block: number) => Promise<Hash | undefined>;

/** Asks the node at `rpcUrl` for old blocks. Rejects with SkeinError("store") where it does not answer. */
export function archiveOf(rpcUrl: string, signal?: AbortSignal): BlockHash {
  const wire = openWire({ attempts: 3 }, signal);
  return async (block) => {
    const number = `0x${block.toString(16)}`;
    const call = { jsonrpc: "2.0", id: 1, method: "eth_getBlockByNumber", params: [number, false] };
    const { body } = await wire.ask(rpcUrl, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: utf8(JSON.stringify(call)),
      bytesMax: BLOCK_BYTES_MAX,
    });
    const found = fieldsIn(fieldsIn(jsonIn(body)).get("result"));
    const hash = found.get("hash");
    return found.get("number") === number && isAccount(hash) ? hash : undefined; // a hash has an account's form
  };
}

/** `chain` as it stood in `block`. Waiting for later blocks rejects with SkeinError("store"): what is not there now will not come. */
export function chainAt(chain: Chain, block: number, archive: BlockHash): Chain {
  return {
    ...chain,
    async head() {
      const head = await chain.head();
      return { ...head, block: Math.min(head.block, block) };
    },
    async blockHash(at) {
      return at > block ? undefined : ((await chain.blockHash(at)) ?? archive(at));
    },
    async waitForBlock(at, signal) {
      if (signal?.aborted === true) throw new SkeinError("interrupted", "stopped on request");
      if (at <= block) return chain.waitForBlock(at, signal);
      throw new SkeinError("store", "something that the run was made from cannot be had any more", {
        remedy: "try again later, or ask about a newer round: what came since a checkpoint is enough for that",
      });
    },
  };
}
