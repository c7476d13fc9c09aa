/**
 * Several peers trained in one process: what a run over the network does, without the network, and the baselines it is compared
 * with, on the same data with the same engine.
 *
 * In a round every peer takes H AdamW steps from the shared params on its own data, and then all agree on new params, by one of
 * the methods of cohort-methods.ts. Peers take turns on one engine: its params, moments and step count are replaced before
 * each turn. Under "adamw" all peers are one worker, whose batch is theirs in the order of uids.
 *
 * The result is a function of shape, seed, data and settings. All methods see the same sequences: step t of peer u in round r trains on
 * what data/assignment.ts gives it, no sequence twice in a round where there is data enough. With a store the whole state is saved
 * between rounds (cohort-state.ts), and a run that was stopped or killed goes on to the same bits.
 */
import { assert, must } from "../base/assert.ts";
import { bytesOf } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import { sha256Stream, toHex } from "../base/hash.ts";
import { type Assignment, assignment } from "../data/assignment.ts";
import { paramCount } from "../engine/shape.ts";
import { batchOf, validationLoss } from "../evaluate/validation.ts";
import { initParams } from "../model/init.ts";
import { learningRate } from "../optim/schedule.ts";
import { stateRoot } from "../round/state-root.ts";
import { cohortMethod } from "./cohort-methods.ts";
import { type CohortOptions, type CohortResult, type CohortSettings, settingsOf, type Work } from "./cohort-options.ts";
import { type CohortState, identityOf, loadCohort, saveCohort, type Worker } from "./cohort-state.ts";
import { REJECTED_STEPS_MAX } from "./solo.ts";

export {
  COHORT_METHODS,
  type CohortConfig,
  type CohortHooks,
  type CohortMethod,
  type CohortMethodName,
  type CohortOptions,
  type CohortResult,
  cohortBytes,
  INNER_STEPS_DEFAULT,
  type Message,
  type RoundReport,
  type Work,
} from "./cohort-options.ts";

/** A run's fixed parts. */
interface Run {
  readonly options: CohortOptions;
  readonly settings: CohortSettings;
  readonly assigned: Assignment;
  readonly identity: string;
}

/**
 * Trains a cohort, or goes on with what the store holds, to the end of the schedule. Afterwards the engine holds the shared params
 * and the AdamW state of the last worker.
 *
 * Throws SkeinError: "config", "data", and "diverged" where REJECTED_STEPS_MAX steps of a peer in a row were not finite or a
 * pseudo-gradient cannot be sent.
 */
export async function trainCohort(options: CohortOptions): Promise<CohortResult> {
  const { engine, dataset, schedule, hooks = {}, signal } = options;
  const settings = settingsOf(options);
  const { seed, peers, innerSteps, batch, seqLen } = settings;
  const sequences = dataset.split("train").sequences(seqLen);
  const assigned = assignment({ seed: String(seed), sequences, uidsMax: peers, stepsPerRound: innerSteps, batch });
  const run = { options, settings, assigned, identity: identityOf(options, settings) };
  const rounds = Math.ceil(schedule.steps / innerSteps);
  const method = options.exchange ?? cohortMethod(settings, engine.options.shape, options.means);

  const state: CohortState = {
    round: 0,
    params: initParams(engine.options.shape, seed),
    workers: workersOf(settings, paramCount(engine.options.shape)),
    method,
  };
  const resumedFrom = await resume(run, state);
  let savedAt = state.round;
  let root = stateRoot(state.params);
  let loss: number | undefined;
  const stepAfter = (round: number): number => Math.min(round * innerSteps, schedule.steps);
  await hooks.onStart?.({
    round: state.round,
    resumedFrom,
    rounds,
    steps: schedule.steps,
    disjoint: assigned.disjoint,
  });
  while (state.round < rounds && !signal?.aborted) {
    const { round, params } = state;
    const messages: Uint8Array[] = [];
    let [lossSum, bytes] = [0, 0];
    for (const worker of state.workers) {
      const work = await takeSteps(run, worker, { round, start: params, baseRoot: root });
      const sent = method.send(work);
      messages.push(sent.message);
      lossSum += work.loss;
      bytes += sent.bytes;
      if (settings.method !== "sparseloco" || options.exchange !== undefined) continue;
      await hooks.onPayload?.({ round, uid: work.uid, payload: sent.message });
    }
    ({ params: state.params, root } = method.merge(round, params, messages));
    await engine.write("params", state.params);
    state.round = round + 1;

    loss = lossSum / state.workers.length;
    bytes /= state.workers.length;
    const [done, step] = [state.round, stepAfter(state.round)];
    const validation = due(done, settings.validateEvery) ? await validate(run) : undefined;
    const [tokensSeen, ratio] = [step * peers * batch * seqLen, (4 * params.length) / bytes];
    const progress = { round: done, rounds, step, steps: schedule.steps, tokensSeen };
    await hooks.onRound?.({ ...progress, loss, validation, bytes, ratio, stateRoot: toHex(root) });
    if (due(done, settings.checkpointEvery)) savedAt = await save(run, state);
  }
  if (savedAt < state.round) await save(run, state);
  await swapIn(options, must(state.workers.at(-1), "a worker"), state.params);
  const step = stepAfter(state.round);
  const tokensSeen = step * peers * batch * seqLen;
  return { rounds: state.round, step, tokensSeen, loss, stateRoot: toHex(root), stopped: state.round < rounds };
}

async function resume({ options, identity }: Run, state: CohortState): Promise<string | undefined> {
  return options.store && loadCohort(options.store, identity, state);
}

async function save({ options, identity }: Run, state: CohortState): Promise<number> {
  if (!options.store) return state.round;
  const key = await saveCohort(options.store, identity, state);
  await options.hooks?.onCheckpoint?.({ round: state.round, key });
  return state.round;
}

function due(round: number, every: number): boolean {
  return every > 0 && round % every === 0;
}

function workersOf({ method, peers }: CohortSettings, length: number): Worker[] {
  const uids = Array.from({ length: peers }, (_, uid) => uid);
  const groups = method === "adamw" ? [uids] : uids.map((uid) => [uid]);
  return groups.map((uids) => {
    const [m, v] = [new Float32Array(length), new Float32Array(length)];
    return { uids, m, v, optimizerSteps: 0, rejected: 0 };
  });
}

/** A worker's turn: its inner steps of one round. Their mean loss comes with the work. */
async function takeSteps(
  { options, settings, assigned }: Run,
  worker: Worker,
  from: Pick<Work, "round" | "start" | "baseRoot">,
): Promise<Work & { readonly loss: number }> {
  const { engine, dataset, schedule, hooks } = options;
  const { innerSteps, batch, seqLen, adamw } = settings;
  const { uids } = worker;
  const { round } = from;
  const first = round * innerSteps;
  const steps = Math.min(innerSteps, schedule.steps - first);
  const data = sha256Stream();
  let lossSum = 0;
  await swapIn(options, worker, from.start);
  for (let step = 0; step < steps; step++) {
    const sequenceOf = (uid: number, slot: number): number => assigned.at(round, uid, step, slot).sequence;
    const indices = uids.flatMap((uid) => Array.from({ length: batch }, (_, slot) => sequenceOf(uid, slot)));
    const rows = await batchOf(dataset.split("train"), indices, seqLen);
    data.update(bytesOf(rows.tokens));
    const lr = learningRate(schedule, first + step);
    const { loss, applied } = await engine.trainStep(rows, { ...adamw, lr });
    lossSum += loss;
    worker.rejected = applied ? 0 : worker.rejected + 1;
    await hooks?.onStep?.({ round, uids, step: first + step + 1, lr, loss, applied });
    if (worker.rejected === REJECTED_STEPS_MAX) throw divergence(worker, first + step + 1);
  }
  const end = await swapOut(options, worker);
  const [uid] = uids;
  assert(uid !== undefined, "a worker has a uid");
  const tokens = steps * uids.length * batch * seqLen;
  return { ...from, uid, end, steps, tokens, dataDigest: data.digest(), loss: lossSum / steps };
}

async function swapIn({ engine }: CohortOptions, worker: Worker, params: Float32Array): Promise<void> {
  await engine.write("params", params);
  await engine.write("m", worker.m);
  await engine.write("v", worker.v);
  engine.setStepCount(worker.optimizerSteps);
}

/** Takes the worker's AdamW state out of the engine; returns its params. */
async function swapOut({ engine }: CohortOptions, worker: Worker): Promise<Float32Array> {
  worker.m.set(await engine.read("m"));
  worker.v.set(await engine.read("v"));
  worker.optimizerSteps = engine.stepCount();
  return engine.read("params");
}

/** Validation loss of the params in the engine. */
async function validate({ options, settings }: Run): Promise<number> {
  const size = { sequences: settings.validationSequences, length: settings.seqLen };
  return (await validationLoss(options.engine, options.dataset.split("valid"), size)).loss;
}

function divergence({ uids }: Worker, step: number): SkeinError {
  const who = uids.length === 1 ? `peer ${uids[0]}` : "the peers";
  const message = `loss or gradients of ${who} were not finite in ${REJECTED_STEPS_MAX} steps in a row, up to step ${step}`;
  return new SkeinError("diverged", message, { remedy: "train with a lower learning rate or a longer warmup" });
}
