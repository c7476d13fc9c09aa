/**
 * A contributor: trains on what it is assigned, sends what it found, follows what became of it. One round, top to bottom:
 *
 *   follow → inner steps → compress → commit → reveal
 *
 * There is nobody to ask and nobody to wait for but the chain's blocks. Killed anywhere it goes on: what is promised on chain lies on the disk
 * first.
 */
import { paramCount } from "../../../engine/shape.ts";
import { baseRound, roundsOf } from "../../../run/rules.ts";
import type { State } from "../follower.ts";
import { stopped, whereNow } from "../node.ts";
import { type Following, follow, startingState, tellStart } from "../sync.ts";
import { newBlockPace, newFit } from "./fit.ts";
import { innerSteps, probe, sawHead, type Trainer, type TrainerOptions } from "./inner.ts";
import { giveMoments, loadTrainer, newMemory, settle } from "./memory.ts";
import { promise, send } from "./send.ts";

export type { TrainerOptions } from "./inner.ts";

/** How a trainer ended. */
export interface TrainerEnd {
  readonly state: State;
  /** Payloads that were committed, by this call. */
  readonly payloads: number;
  /** Whether it was asked to; otherwise the run is over. */
  readonly stopped: boolean;
}

/**
 * Trains until the run is over or `node.signal` says stop; a payload that is committed is still revealed then. Throws SkeinError: "chain",
 * "store", "data", "diverged" (REJECTED_STEPS_MAX steps in a row were not finite), "config" (another process uses this hotkey).
 */
export async function runTrainer(options: TrainerOptions): Promise<TrainerEnd> {
  const trainer = await openTrainer(options);
  const { node, following } = trainer;
  const rounds = roundsOf(node.spec);
  try {
    await finishPending(trainer);
    for (let round = await nextRound(trainer, 0); round < rounds; round = await nextRound(trainer, round + 1)) {
      await follow(following, baseRound(node.spec, round)); // the params that the round starts from
      const work = await innerSteps(trainer, round);
      await follow(following, round); // under a delay the round before is decided by now: what of our last payload was applied is known
      if (work) await send(trainer, work);
    }
    await follow(following, rounds);
    await trainer.revealing;
  } catch (thrown) {
    if (!stopped(node)) throw thrown;
    await trainer.revealing;
  }
  return { state: following.state, payloads: trainer.payloads, stopped: stopped(node) };
}

async function openTrainer(options: TrainerOptions): Promise<Trainer> {
  const { node, replay = false } = options;
  const saved = await loadTrainer(node);
  const memory = saved?.memory ?? newMemory(paramCount(node.spec.model));
  const start = await startingState(node, { saved: saved?.state, replay });
  tellStart(node, start);
  const [fit, pace] = [newFit(), newBlockPace()];
  const following: Following = {
    node,
    state: start.state,
    replay,
    onApplied: async (applied) => {
      const { pending } = memory;
      if (pending?.round === applied.round) {
        node.log.event("outcome", {
          round: applied.round,
          uid: pending.uid,
          applied: applied.hashes.includes(pending.hash),
        });
      }
      settle(memory, applied);
    },
  };
  const trainer = {
    ...options,
    following,
    memory,
    fit,
    pace,
    revealing: Promise.resolve(),
    payloads: 0,
    rivalled: false,
  };
  await giveMoments(options.engine, memory);
  await probe(trainer);
  return trainer;
}

/** The next round from `least` on whose commits are still open for long enough, and whose params have not been left behind. */
async function nextRound(trainer: Trainer, least: number): Promise<number> {
  const { node, following } = trainer;
  const { round: held } = following.state;
  const first = Math.max(least, held === 0 ? 0 : held + node.spec.outer.delay);
  const now = await whereNow(node);
  if (now === undefined) return first;
  sawHead(trainer, now.head);
  const enough = now.phase === "train" && 2 * now.blocksLeft > node.record.trainBlocks;
  return Math.max(first, enough ? now.round : now.round + 1);
}

/** A payload from before a restart: what was promised is kept. */
async function finishPending(trainer: Trainer): Promise<void> {
  const { node, memory, following } = trainer;
  const { pending } = memory;
  if (pending === undefined) return;
  const now = await whereNow(node);
  if (now === undefined || now.round > pending.round || following.state.round > pending.round) return;
  node.log.event("resume", { round: pending.round, hash: pending.hash.slice(2) });
  await promise(trainer, pending);
}
