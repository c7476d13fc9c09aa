/** The checkpoints that a validator publishes, so that nobody need replay the whole run. */
import { SkeinError } from "../../../base/errors.ts";
import type { Hash } from "../../../chain/chain.ts";
import { publishCheckpoint } from "../../../checkpoint/shared/publish.ts";
import { putNews } from "../../../store/news.ts";
import type { State } from "../follower.ts";
import { type ActingNode, chainHash, stopped } from "../node.ts";

/** A validator's checkpoints. */
export interface Checkpoints {
  /**
   * Begins to publish a checkpoint of a round that is due for one, or to tell of it a round later, when the votes have confirmed its root. Goes on beside the
   * round, which waits for no store; where what was begun before is still under way, it is left out.
   */
  publish(state: State): void;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

/** A checkpoint that nobody was told of. */
interface Untold {
  readonly round: number;
  readonly manifest: string;
  readonly root: Hash;
}

/** Checkpoints of which none is published yet. */
export function openCheckpoints(node: ActingNode): Checkpoints {
  const { spec, specHash, shared, signer, log, chain, runId } = node;
  let untold: Untold | undefined;
  let underWay: Promise<void> | undefined;
  const tell = async ({ round, manifest, root }: Untold): Promise<void> => {
    const decision = await chain.decision(runId, round);
    const news = { kind: "checkpoint", round, hash: manifest, account: signer.account } as const;
    if (decision?.stateRoot === root) await putNews(shared, news, signer.sign);
    untold = undefined;
  };
  const make = async ({ round, params }: State): Promise<void> => {
    const made = await publishCheckpoint(shared, { specHash, round, params });
    const { manifest, newBytes } = made;
    untold = { round, manifest, root: chainHash(made.root) };
    log.event("checkpoint", { round, manifest, newBytes });
  };
  const tried = async (work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (thrown) {
      if (!(thrown instanceof SkeinError)) throw thrown;
      if (!stopped(node)) log.event("store-trouble", { what: "checkpoint", why: thrown.message });
    }
  };
  return {
    publish(state) {
      const { round } = state;
      const isDue = round > 0 && round % spec.checkpointEvery === 0;
      const known = untold !== undefined && untold.round < round ? untold : undefined;
      if (underWay !== undefined) {
        if (isDue) log.event("store-trouble", { what: "checkpoint", why: "the one before is still on its way" });
        return;
      }
      if (!isDue && known === undefined) return;
      const work = async (): Promise<void> => {
        if (known !== undefined) await tried(tell(known));
        if (isDue) await tried(make(state));
        underWay = undefined;
      };
      underWay = work();
    },
    idle: async () => void (await underWay),
  };
}
