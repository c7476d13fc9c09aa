/**
 * A contributor: trains on what it is assigned, sends what it found, follows what became of it. One round, top to bottom:
 *
 *   follow → inner steps → compress → commit → reveal
 *
 * There is nobody to ask and nobody to wait for but the chain's blocks. Killed anywhere it goes on: what is promised on chain lies on the disk
 * first.
 */
import { SkeinError } from "../../../base/errors.ts";
import type { Engine } from "../../../engine/engine.ts";
import { paramCount } from "../../../engine/shape.ts";
import { baseRound, roundsOf } from "../../../run/rules.ts";
import { workClass } from "../../../score/audit/commitment.ts";
import { rootOf, type State } from "../follower.ts";
import { type ActingNode, reached, roundSeed, stopped, whereNow } from "../node.ts";
import { type Following, follow, startingState, tellStart } from "../sync.ts";
import { answerDeadline } from "../work.ts";
import { challengeOf } from "./answer.ts";
import { newBlockPace, newFit } from "./fit.ts";
import { innerSteps, probe, sawHead, type Trainer, type TrainerOptions, takeSteps } from "./inner.ts";
import { type Link, loadTrainer, newMemory, type Pending, settle } from "./memory.ts";
import { forgetStates, recorder, reopenedRecord } from "./record.ts";
import { answerLater, forgetLater, forgetPayload, promise, revealLater, send, sendAnswersLater } from "./send.ts";

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
  } catch (thrown) {
    if (!stopped(node)) throw thrown;
  }
  await Promise.all([trainer.revealing, trainer.answering]);
  return { state: following.state, payloads: trainer.payloads, stopped: stopped(node) };
}

async function openTrainer(options: TrainerOptions): Promise<Trainer> {
  const { node, engine, replay = false } = options;
  checkClass(node, engine);
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
    answering: Promise.resolve(),
    payloads: 0,
    lastPromise: undefined,
  };
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
  const { lag } = node.chain;
  const enough = now.phase === "train" && 2 * (now.blocksLeft - lag) > node.record.trainBlocks - lag;
  return Math.max(first, enough ? now.round : now.round + 1);
}

/** Whoever cannot prove its work could only lose by taking part. */
function checkClass({ spec }: ActingNode, engine: Engine): void {
  const { perMille, tolerance } = spec.audit;
  if (perMille === 0 || tolerance > 0 || workClass(engine) !== "tolerant") return;
  const message = "this run admits only engines that compute the same bits everywhere, so that work can be replayed";
  throw new SkeinError("config", message, {
    details: `${engine.name} (${engine.backend}) does not`,
    remedy: "take the exact engine",
  });
}

/** A payload from before a restart: what was promised is kept, and answered for. */
async function finishPending(trainer: Trainer): Promise<void> {
  const { node, memory, following } = trainer;
  const { pending, link } = memory;
  await forgetStates(node, pending?.round);
  sendAnswersLater(trainer);
  if (pending === undefined) return;
  const { round, hash } = pending;
  const commits = await node.chain.commits(node.runId, round);
  if (commits.some(({ payloadHash }) => payloadHash === hash)) {
    revealLater(trainer, pending);
  } else {
    const now = await whereNow(node);
    const isOver = now === undefined || now.round > round || following.state.round > round;
    if (!isOver) node.log.event("resume", { round, hash: hash.slice(2) });
    if (!isOver) await promise(trainer, pending, undefined);
    else {
      memory.pending = undefined;
      await forgetPayload(node, pending);
    }
  }
  if (memory.pending === undefined) return;
  await answerAgain(trainer, pending, link);
  forgetLater(trainer, link);
}

/** Answers for a payload from before a restart, which `from` came before: from what is in the folder, else by doing its steps again. */
async function answerAgain(trainer: Trainer, pending: Pending, from: Link | undefined): Promise<void> {
  const { node, engine, memory, following } = trainer;
  const { round, uid, batch, leaves } = pending;
  const { block } = await node.chain.head();
  if (leaves.length === 0 || block >= answerDeadline(node, round)) return;
  await reached(node, round, "reveal"); // there is nothing else to do in this round
  if ((await challengeOf(node, pending))?.part === undefined) return;
  const kept = await reopenedRecord(node, round, leaves, from);
  if (kept !== undefined) return answerLater(trainer, pending, kept);
  if (!engine.deterministic || following.state.round !== baseRound(node.spec, round)) return;
  node.log.event("again", { round, uid });
  const seed = await roundSeed(node, round);
  const record = recorder(node, engine, { round, baseRoot: rootOf(following.state), from });
  const before = memory.next.moments; // they changed places when the payload was promised
  await takeSteps(trainer, { round, uid, batch, seed }, { params: following.state.params, ...before }, record);
  answerLater(trainer, pending, await record.finish(memory.residual, memory.next.residual));
}
