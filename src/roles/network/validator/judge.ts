/**
 * Which payloads of a round a validator judges, and on which data: drawn from a block after the commit deadline, so that nobody knew
 * beforehand. How they are judged is a scoring's business (score/scoring.ts).
 */
import { roundStart } from "../../../chain/rounds.ts";
import type { Engine } from "../../../engine/engine.ts";
import { contributionOf } from "../../../round/payload.ts";
import { assignmentPlan } from "../../../run/rules.ts";
import { type Evaluation, evaluationStep } from "../../../score/gain.ts";
import { assignedSample, batchTrained, drawPeers, unassignedSample } from "../../../score/samples.ts";
import type { Scoring } from "../../../score/scoring.ts";
import type { State } from "../follower.ts";
import { type ActingNode, drawSeed, roundSeed } from "../node.ts";
import type { Found } from "./collect.ts";

/** What judging takes. */
export interface Judging {
  readonly node: ActingNode;
  readonly engine: Engine;
  readonly scoring: Scoring;
}

/** Judges up to `spec.score.peers` of what was found; begins no further one once the next round's payloads come in. */
export async function judge(
  { node, engine, scoring }: Judging,
  { round, params }: State,
  found: readonly Found[],
): Promise<readonly Evaluation[]> {
  const { spec, chain, record, dataset, assigned, layout, runId } = node;
  const { seqLen } = spec.inner;
  const usable = new Map(found.flatMap(({ commit, payload }) => (payload ? [[commit.uid, payload] as const] : [])));
  const hash = await chain.blockHash(roundStart(record, round, "reveal"));
  if (usable.size === 0 || hash === undefined) return [];
  const drawn = drawSeed(`skein judge ${runId} ${round}`, hash);
  const uids = drawPeers([...usable.keys()], spec.score.peers, `${drawn} ${node.signer.account}`);
  const dealt = await roundSeed(node, round);
  const split = dataset.split("train");
  const plan = assignmentPlan(spec, split.sequences(seqLen));
  const takers = { uids: [...usable.keys()], roundSeed: dealt };
  const { sequences: unassigned } = unassignedSample(plan, round, spec.score.sequences, drawn, takers);
  const contributions = [...usable]
    .filter(([uid]) => uids.includes(uid))
    .map(([uid, payload]) => {
      const trained = { steps: spec.inner.steps, batchTrained: batchTrained(payload.header.tokens, spec.inner) ?? 0 };
      const mine = assignedSample(assigned, round, uid, trained, spec.score.sequences, drawn, dealt);
      return { uid, contribution: contributionOf(payload), assigned: mine, unassigned };
    });
  const step = evaluationStep(spec.outer.lr, usable.size);
  return until(node, roundStart(record, round + 1, "reveal"), (signal) =>
    scoring.evaluate({
      engine,
      params,
      contributions,
      layout,
      step,
      split,
      seqLen,
      signal,
      ...(node.means && { means: node.means }),
    }),
  );
}

/** Does work that is told when `block` has come. */
async function until<T>({ chain }: ActingNode, block: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const [over, done] = [new AbortController(), new AbortController()];
  const watch = chain.waitForBlock(block, done.signal).then(
    () => over.abort(),
    () => undefined, // done, or the chain is away: others will say so
  );
  try {
    return await work(over.signal);
  } finally {
    done.abort();
    await watch;
  }
}
