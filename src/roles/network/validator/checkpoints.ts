/** The checkpoints that a validator publishes, so that nobody need replay the whole run. */
import type { Hash } from "../../../chain/chain.ts";
import { publishCheckpoint } from "../../../checkpoint/shared/publish.ts";
import { putNews } from "../../../store/news.ts";
import type { State } from "../follower.ts";
import { type ActingNode, attempt, chainHash } from "../node.ts";

/** A validator's checkpoints. */
export interface Checkpoints {
  /** Publishes a checkpoint of a round that is due for one, and tells of it a round later, when the votes have confirmed its root. */
  publish(state: State): Promise<void>;
}

/** Checkpoints of which none is published yet. */
export function openCheckpoints(node: ActingNode): Checkpoints {
  const { spec, specHash, shared, signer, log, chain, runId } = node;
  let untold: { readonly round: number; readonly manifest: string; readonly root: Hash } | undefined;
  return {
    async publish({ round, params }) {
      if (untold !== undefined && untold.round < round) {
        const { manifest, root, round: of } = untold;
        untold = undefined;
        const decision = await chain.decision(runId, of);
        const news = { kind: "checkpoint", round: of, hash: manifest, account: signer.account } as const;
        if (decision?.stateRoot === root)
          await attempt(node, "checkpoint", async () => void (await putNews(shared, news, signer.sign)));
      }
      if (round === 0 || round % spec.checkpointEvery !== 0) return;
      await attempt(node, "checkpoint", async () => {
        const made = await publishCheckpoint(shared, { specHash, round, params });
        const { manifest, newBytes } = made;
        untold = { round, manifest, root: chainHash(made.root) };
        log.event("checkpoint", { round, manifest, newBytes });
      });
    },
  };
}
