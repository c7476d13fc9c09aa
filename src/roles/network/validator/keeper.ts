/** What a validator does beside the rounds: pushes epochs that are due, and votes weights. */
import { messageOf } from "../../../base/errors.ts";
import type { WeightVector } from "../../../chain/chain.ts";
import { refusalName } from "../../../chain/errors.ts";
import { phaseAt, roundStart } from "../../../chain/rounds.ts";
import type { ActingNode } from "../node.ts";
import { weightVoter } from "./weights.ts";

/** Looks at the epoch in every so many parts of it. */
export const KEEPER_LOOKS = 8;
/** Transactions of the keeper at most: pages of an epoch, a reveal, a commit. Each takes a block, and as many more as the chain is shown late. */
const KEEPER_CALLS = 5;

/** Keeps until `over` or the node says stop; `weights` are asked for when a vote is due. */
export async function keep(node: ActingNode, weights: () => WeightVector, over: AbortSignal): Promise<void> {
  const { chain, record, log } = node;
  const signal = node.signal ? AbortSignal.any([node.signal, over]) : over;
  const voter = await weightVoter(node);
  const { subnet } = await chain.metagraph(record.netuid);
  const pause = Math.max(1, Math.floor(subnet.params.tempo / KEEPER_LOOKS));
  try {
    for (let { block } = await chain.head(); !signal.aborted; ) {
      const free = keeperBlock(node, block);
      if (free === block) {
        await pushEpoch(node);
        await voter.step(weights);
      }
      ({ block } = await chain.waitForBlock(free === block ? block + pause : free, signal));
    }
  } catch (thrown) {
    if (signal.aborted) return;
    log.event("keeper-failed", { why: messageOf(thrown) });
    throw thrown;
  }
}

/**
 * The first block from `block` on in which the keeper may begin. Transactions of one key go into blocks one after another: where the keeper's came shortly
 * before the votes open, the vote would wait behind them, and be too late.
 */
function keeperBlock({ record, chain: { lag } }: ActingNode, block: number): number {
  const at = phaseAt(record, block);
  if (at === undefined) return block;
  const left = roundStart(record, at.round, "vote") - block;
  return left >= Math.min(KEEPER_CALLS * (1 + lag), record.trainBlocks + record.revealBlocks - lag)
    ? block
    : roundStart(record, at.round + 1);
}

async function pushEpoch({ acting, record, log }: ActingNode): Promise<void> {
  for (;;) {
    try {
      const page = await acting.stepEpoch(record.netuid);
      if (page === undefined) return;
      log.event("epoch", { block: page.block });
    } catch (thrown) {
      if (refusalName(thrown) === undefined) throw thrown;
      return; // somebody else was faster
    }
  }
}
