/** Peers that upload at the wrong time. */
import { phaseAt, roundStart } from "../../chain/rounds.ts";
import type { ActingNode } from "../../roles/network/node.ts";
import { blobHash, putBlob } from "../../store/blobs.ts";
import type { Adversary } from "./adversary.ts";
import { withShared, withTamper } from "./hands.ts";

/** The block in which a late peer uploads: the last in which a vote counts, or, in every second round, the one after. */
async function lateBlock({ chain, record }: ActingNode): Promise<number> {
  const { block } = await chain.head();
  const { round } = phaseAt(record, block) ?? { round: 0 };
  return roundStart(record, round + 1) - (round % 2 === 0 ? 1 : 0);
}

/** Kind 8. */
export const TIMING: readonly Adversary[] = [
  {
    name: "late",
    number: 8,
    who: "peer",
    does: "uploads in the last block of the votes, or just after it",
    defence: "what is not there when a validator votes is not backed, and was not sent as far as the rating knows",
    trainer: (options) =>
      withShared(options, (shared) => ({
        async putIfAbsent(key, bytes) {
          if (blobHash(key) !== undefined) await options.node.chain.waitForBlock(await lateBlock(options.node));
          return shared.putIfAbsent(key, bytes);
        },
      })),
  },
  {
    name: "early",
    number: 8,
    who: "peer",
    does: "uploads before the commits are closed",
    defence: "none is needed: it shows its work to copiers, whose commits come later",
    trainer: (options) =>
      withTamper(options, {
        async bytes(bytes) {
          await putBlob(options.node.shared, bytes);
          return bytes;
        },
      }),
  },
];
