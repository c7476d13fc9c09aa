/**
 * Training on one machine, without a network.
 *
 * A run is a function of model shape, seed, data and settings: stopping it anywhere, cleanly or by kill -9, and starting it
 * again gives the same bits as never stopping it, on any deterministic engine. That holds because everything the next step
 * depends on is in the checkpoint, and because only the step's number chooses its batch and its learning rate.
 */
import { systemClock } from "../base/clock.ts";
import { SkeinError } from "../base/errors.ts";
import { loadLatest, saveCheckpoint } from "../checkpoint/checkpoint.ts";
import { passOrder } from "../data/assignment.ts";
import type { Engine } from "../engine/engine.ts";
import { generate } from "../evaluate/generate.ts";
import { batchOf, validationLoss } from "../evaluate/validation.ts";
import { initTensors } from "../model/init.ts";
import { learningRate } from "../optim/schedule.ts";
import { paceOf } from "./pace.ts";
import { checkSolo, factsOf, refuseOther, type SoloOptions, type SoloResult } from "./solo-options.ts";

export type { SoloConfig, SoloHooks, SoloOptions, SoloResult, StepReport } from "./solo-options.ts";

/** Steps in a row whose loss or gradients are not finite, after which a run gives up. */
export const REJECTED_STEPS_MAX = 5;

/**
 * Trains to the end of the schedule, from the newest checkpoint in `store` where there is one.
 *
 * Throws SkeinError: "checkpoint" where that was made with other settings or all are damaged, "diverged" where
 * REJECTED_STEPS_MAX steps in a row were not finite, "data", "config", and "store" where a checkpoint cannot be written. In
 * each case the checkpoints written so far are whole, and the same call goes on from the newest.
 */
export async function trainSolo(options: SoloOptions): Promise<SoloResult> {
  const { engine, dataset, schedule, config, hooks = {}, signal } = options;
  checkSolo(options);
  const train = dataset.split("train");
  const sequences = train.sequences(config.seqLen);
  const order = passOrder(String(config.seed), sequences);
  const stepTokens = config.batch * config.seqLen;

  let step = await resumeOrBegin(options);
  let savedAt = step;
  let rejected = 0; // in a row
  let loss: number | undefined;
  const pace = paceOf(options.clock ?? systemClock, stepTokens);
  while (step < schedule.steps && !signal?.aborted) {
    const lr = learningRate(schedule, step);
    const slots = Array.from({ length: config.batch }, (_, row) => order(step * config.batch + row));
    const result = await engine.trainStep(await batchOf(train, slots, config.seqLen), { ...config.adamw, lr });
    step += 1;
    loss = result.loss;
    rejected = result.applied ? 0 : rejected + 1;

    const tokensSeen = step * stepTokens;
    const pass = (step * config.batch) / sequences;
    const speed = pace.step(schedule.steps - step);
    await hooks.onStep?.({ step, steps: schedule.steps, lr, ...result, tokensSeen, pass, ...speed });
    if (rejected === REJECTED_STEPS_MAX) throw divergence(step, savedAt);

    if (due(step, config.validateEvery)) await validate(options, step);
    if (due(step, config.sampleEvery)) await sample(options, step);
    if (due(step, config.checkpointEvery) && rejected === 0) savedAt = await save(options, step);
    pace.resume();
  }
  // Rejected steps leave no checkpoint, unless they are the last: a resumed run repeats them and counts them again.
  if (savedAt < step && (rejected === 0 || step === schedule.steps)) await save(options, step);
  return { step, tokensSeen: step * stepTokens, loss, stopped: step < schedule.steps };
}

function due(step: number, every = 0): boolean {
  return every > 0 && step % every === 0;
}

/** Loads the newest checkpoint of this run, or the first params; returns the steps taken. */
async function resumeOrBegin(options: SoloOptions): Promise<number> {
  const { engine, store, schedule, config, hooks } = options;
  const loaded = await loadLatest(store, engine, (info) => refuseOther(options, info));
  if (!loaded) await begin(engine, config.seed);
  const step = loaded?.info.step ?? 0;
  await hooks?.onStart?.({ step, steps: schedule.steps, resumedFrom: loaded?.key, damaged: loaded?.damaged ?? [] });
  return step;
}

/** First params, no moments, no steps: whatever the engine held before. */
async function begin(engine: Engine, seed: string | number): Promise<void> {
  for (const { entry, start, values } of initTensors(engine.options.shape, seed)) {
    await engine.write("params", values, entry.offset + start);
    values.fill(0);
    await engine.write("m", values, entry.offset + start);
    await engine.write("v", values, entry.offset + start);
  }
  engine.setStepCount(0);
}

async function save(options: SoloOptions, step: number): Promise<number> {
  const { engine, store, config, hooks } = options;
  const info = { ...factsOf(options), step, tokensSeen: step * config.batch * config.seqLen };
  const key = await saveCheckpoint(store, engine, info, config.keep ?? 3);
  await hooks?.onCheckpoint?.({ step, key });
  return step;
}

async function validate(options: SoloOptions, step: number): Promise<void> {
  const { engine, dataset, config, hooks } = options;
  const size = { sequences: config.validationSequences ?? 64, length: config.seqLen };
  const { loss } = await validationLoss(engine, dataset.split("valid"), size);
  await hooks?.onValidation?.({ step, loss });
}

async function sample(options: SoloOptions, step: number): Promise<void> {
  const { engine, dataset, config, hooks, signal } = options;
  const prompt = config.samplePrompt ?? "";
  const settings = { maxTokens: config.sampleTokens ?? 48, seed: `${config.seed}/${step}`, ...(signal && { signal }) };
  const { text } = await generate(engine, await dataset.tokenizer(), prompt, settings);
  await hooks?.onSample?.({ step, prompt, text });
}

function divergence(step: number, savedAt: number): SkeinError {
  const good = savedAt === 0 ? "there is no checkpoint yet" : `the checkpoint of step ${savedAt} is from before`;
  const message = `loss or gradients were not finite in ${REJECTED_STEPS_MAX} steps in a row, up to step ${step}`;
  return new SkeinError("diverged", message, {
    details: `No params were changed in those steps; ${good}.`,
    remedy: "train into another folder with a lower learning rate or a longer warmup",
  });
}
