/**
 * A peer's work in a round: H AdamW steps from the params that all start from, on the data that are dealt to its uid. The batch is as large as
 * this machine can do in time.
 */
import { bytesOf } from "../../../base/bytes.ts";
import { SkeinError } from "../../../base/errors.ts";
import { sha256Stream } from "../../../base/hash.ts";
import type { Head } from "../../../chain/chain.ts";
import { roundStart } from "../../../chain/rounds.ts";
import type { Batch, Engine, StepResult } from "../../../engine/engine.ts";
import { batchOf } from "../../../evaluate/validation.ts";
import { pseudoGradient } from "../../../optim/outer.ts";
import { learningRateAt } from "../../../run/rules.ts";
import { REJECTED_STEPS_MAX } from "../../solo.ts";
import { rootOf } from "../follower.ts";
import { type ActingNode, nextBlock, roundSeed, stopped, uidOf } from "../node.ts";
import type { Following } from "../sync.ts";
import { type DataNode, type Dealt, stepBatch } from "../work.ts";
import type { BlockPace, Fit } from "./fit.ts";
import { giveMoments, type Link, type Memory, type Moments, takeMoments } from "./memory.ts";
import { type Recorder, recorder } from "./record.ts";
import type { Tamper } from "./tamper.ts";
import type { Work } from "./work.ts";

/** What a trainer is given beside its footing. */
export interface TrainerOptions {
  readonly node: ActingNode;
  readonly engine: Engine;
  /** Sequences of a step, at most; the run's unless given. */
  readonly batch?: number;
  /** Recompute the run from its first params instead of taking a checkpoint. */
  readonly replay?: boolean;
  /** Gets the hotkey a uid, where it has none or has lost it. */
  readonly register: () => Promise<void>;
  /** How it deviates; an honest peer has none. */
  readonly tamper?: Tamper;
}

/** A trainer at work. */
export interface Trainer extends TrainerOptions {
  readonly following: Following;
  readonly memory: Memory;
  readonly fit: Fit;
  readonly pace: BlockPace;
  /** Uploads under way. */
  revealing: Promise<void>;
  /** Answers to challenges under way: they may take until the next payload is revealed, which must not wait for them. */
  answering: Promise<void>;
  payloads: number;
  /** The newest promise of this process. */
  lastPromise: Link | undefined;
}

/** Finds out how fast this machine is, before it promises anything: one pass over one sequence, then one that counts. */
export async function probe({ node, engine, fit }: Trainer): Promise<void> {
  const { seqLen } = node.spec.inner;
  const batch = await batchOf(node.dataset.split("train"), [0], seqLen);
  await engine.gradients(batch); // warms up
  const startMs = node.clock.monotonic();
  await engine.gradients(batch);
  fit.took(1, node.clock.monotonic() - startMs, true);
}

/** H steps from θ(base) on the peer's own data; undefined where it has no uid yet, or was too slow. */
export async function innerSteps(trainer: Trainer, round: number): Promise<Work | undefined> {
  const { node, engine, memory, fit, following } = trainer;
  const { spec, clock, log } = node;
  if (memory.pending?.round === round) return undefined; // made before a restart
  const uid = await seat(trainer);
  const { steps, seqLen } = spec.inner;
  const seed = await roundSeed(node, round);
  const { params } = following.state;
  const baseRoot = rootOf(following.state);
  const batch = await batchFor(trainer, round);
  const record = spec.audit.perMille > 0 ? recorder(node, engine, { round, baseRoot, from: memory.link }) : undefined;
  const data = sha256Stream();
  const startMs = clock.monotonic();
  let [lossSum, rejected] = [0, 0];
  const isDone = await takeSteps(trainer, { round, uid, batch, seed }, { params, ...memory.moments }, record, {
    before: (rows) => void data.update(bytesOf(rows.tokens)),
    async after(step, { loss, applied }) {
      lossSum += loss;
      rejected = applied ? 0 : rejected + 1;
      if (rejected === REJECTED_STEPS_MAX) throw divergence(round);
      log.event("step", { round, step: step + 1, steps, loss: Number.isFinite(loss) ? loss : null });
      if (!(await tooLate(trainer, round))) return true;
      fit.took((step + 1) * batch, clock.monotonic() - startMs);
      log.event("late", { round, step: step + 1, steps, batch });
      return false;
    },
  });
  if (!isDone) {
    await record?.drop();
    return undefined;
  }
  const trainMs = clock.monotonic() - startMs;
  fit.took(steps * batch, trainMs);
  if (!spec.inner.resetMoments) await takeMoments(engine, memory);
  const delta = pseudoGradient(params, await engine.read("params"));
  const [tokens, loss] = [steps * batch * seqLen, lossSum / steps];
  return { round, uid, baseRoot, delta, tokens, dataDigest: data.digest(), loss, trainMs, recorder: record };
}

/** Hears of each step. */
interface StepWatch {
  before?(rows: Batch): void;
  /** Says whether to go on. */
  after?(step: number, result: StepResult): Promise<boolean>;
}

/** A round's steps, from the given params and moments, written down by `record`; false where `watch` ended them. */
export async function takeSteps(
  { node, engine }: { readonly node: DataNode; readonly engine: Engine },
  dealt: Dealt,
  from: Moments & { readonly params: Float32Array },
  record: Recorder | undefined,
  watch: StepWatch = {},
): Promise<boolean> {
  const { steps, adamw } = node.spec.inner;
  await engine.write("params", from.params);
  await giveMoments(engine, from); // never what is in the engine: a round that came too late has left its own
  for (let step = 0; step < steps; step++) {
    await record?.before(step);
    const rows = await stepBatch(node, dealt, step);
    watch.before?.(rows);
    const result = await engine.trainStep(rows, { ...adamw, lr: learningRateAt(node.spec, dealt.round, step) });
    if ((await watch.after?.(step, result)) === false) return false;
  }
  await record?.before(steps);
  return true;
}

/** The hotkey's uid, which it gets where it has none. */
async function seat({ node, register }: Trainer): Promise<number> {
  const { account } = node.signer;
  let uid = await uidOf(node, account);
  if (uid === undefined) {
    await register();
    uid = await uidOf(node, account);
  }
  if (uid === undefined)
    throw new SkeinError("chain", "the hotkey has no uid although it was registered", { remedy: "try again" });
  if (uid < node.spec.uids) return uid;
  throw new SkeinError("config", `uid ${uid} has no data: the run deals them to ${node.spec.uids} uids`, {
    remedy: "ask the run's owner to set the subnet's maxUids to the run's uids",
  });
}

/** Takes the newest block's time; gives its number. */
export function sawHead({ node, pace }: Trainer, { block }: Head): number {
  pace.saw(block, node.clock.monotonic());
  return block;
}

async function batchFor(trainer: Trainer, round: number): Promise<number> {
  const { node, pace, fit, batch } = trainer;
  const { inner } = node.spec;
  const block = sawHead(trainer, await node.chain.head());
  const blocks = roundStart(node.record, round, "reveal") - nextBlock(node, block);
  return fit.batch(inner.steps, Math.min(inner.batch, batch ?? inner.batch), blocks * (pace.blockMs() ?? 1000));
}

/** Whether a commit of `round` sent now would come too late. */
async function tooLate(trainer: Trainer, round: number): Promise<boolean> {
  const { node } = trainer;
  if (stopped(node)) throw new SkeinError("interrupted", "stopped in a round");
  const block = sawHead(trainer, await node.chain.head());
  return nextBlock(node, block) >= roundStart(node.record, round, "reveal");
}

function divergence(round: number): SkeinError {
  const message = `loss or gradients were not finite in ${REJECTED_STEPS_MAX} steps in a row of round ${round}`;
  return new SkeinError("diverged", message, {
    remedy: "report it to the run's owner: its learning rate may be too high",
  });
}
