/** A training as `skein train` shows it: the plan before it, the live line in it, what to do next after it. */
import { utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import { type Dataset, openDataset } from "../../data/dataset.ts";
import { MANIFEST_KEY } from "../../data/shards/manifest.ts";
import type { Engine, EngineOptions } from "../../engine/engine.ts";
import { type EngineName, openEngine, planMemory } from "../../engine/open.node.ts";
import { type ModelShape, paramCount } from "../../engine/shape.ts";
import type { PresetName } from "../../model/presets.ts";
import type { Schedule } from "../../optim/schedule.ts";
import { type SoloConfig, type SoloHooks, type SoloResult, type StepReport, trainSolo } from "../../roles/solo.ts";
import { folderStore } from "../../store/folder.node.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { bytesMaxOf, checkMemory, thisMachine } from "./machine.ts";
import { type RunSettings, writeSettings } from "./settings.ts";
import { bar, bytes, count, duration, figures, short, type Terminal } from "./terminal.ts";

/** Name of the tokenizer's file in a run folder, beside the checkpoints: a run folder can generate by itself. */
export const RUN_TOKENIZER = "tokenizer.json";

/** Everything that is decided before a training begins. */
export interface Training {
  readonly dataFolder: string;
  readonly outFolder: string;
  readonly presetName: PresetName;
  readonly shape: ModelShape;
  readonly schedule: Schedule;
  readonly config: SoloConfig;
  /** Where several peers train: how many, and how they do it in words. */
  readonly cohort?: { readonly peers: number; readonly words: string };
  readonly engine: EngineName;
  readonly threads?: number;
  readonly microBatch: number;
  readonly recompute: boolean;
  /** What a later `skein train --out` of this folder begins from. */
  readonly settings: RunSettings;
}

/** Opens the dataset in `folder`. Throws SkeinError("data") with the command that makes one where there is none. */
export async function openDataFolder(folder: string): Promise<Dataset> {
  const store = folderStore(folder);
  if ((await store.size(MANIFEST_KEY)) !== undefined) return openDataset(store);
  throw new SkeinError("data", `there is no dataset in ${folder}`, {
    remedy: `make one: skein data <texts> --out ${folder}`,
  });
}

/** Trains, or goes on, to the end. Throws SkeinError("interrupted") after Ctrl-C, when the checkpoint is written. */
export function runTraining(training: Training, terminal: Terminal): Promise<SoloResult> {
  return withOpened(training, terminal, (config, dataset, engine) =>
    train({ ...training, config }, dataset, engine, terminal),
  );
}

/**
 * Opens dataset and engine for `work`, tells the plan, and closes the engine at the end, however that comes. `besideBytes`: what
 * the work holds beside the engine.
 */
export async function withOpened<T>(
  training: Training,
  terminal: Terminal,
  work: (config: SoloConfig, dataset: Dataset, engine: Engine) => Promise<T>,
  besideBytes = 0,
): Promise<T> {
  const dataset = await openDataFolder(training.dataFolder);
  const options: EngineOptions = {
    shape: training.shape,
    seqLen: training.config.seqLen,
    microBatch: training.microBatch,
    recompute: training.recompute,
    ...(training.threads === undefined ? {} : { threads: training.threads }),
  };
  const machine = thisMachine();
  const threads = training.threads ?? machine.cores;
  const availableBytes = bytesMaxOf(training.engine, threads, machine) - besideBytes;
  checkMemory(options, availableBytes, (candidate) => planMemory(training.engine, candidate));
  const engine = await openEngine({ engine: training.engine, ...options });
  try {
    const config = withoutEmptyValidation(training, dataset, terminal);
    tellPlan(training, dataset, engine, availableBytes, terminal);
    return await work(config, dataset, engine);
  } finally {
    await engine.close();
  }
}

async function train(training: Training, dataset: Dataset, engine: Engine, terminal: Terminal): Promise<SoloResult> {
  const { config, schedule, outFolder } = training;
  const store = folderStore(outFolder);
  const tokenizer = await dataset.tokenizer();
  /** What stands beside the checkpoints. Not written before the run is accepted: a refused start leaves no trace. */
  const accepted = async (): Promise<void> => {
    await store.put(RUN_TOKENIZER, utf8(tokenizer.toJson()));
    await writeSettings(outFolder, training.settings);
  };
  const interrupt = listenForInterrupt(terminal, "\nfinishing this step and saving");
  const startMs = systemClock.monotonic();
  try {
    const hooks = hooksFor(training, accepted, terminal);
    const result = await trainSolo({ engine, dataset, schedule, config, store, signal: interrupt.signal, hooks });
    const ms = systemClock.monotonic() - startMs;
    terminal.event("end", { ...result, loss: result.loss ?? null, seconds: Math.round(ms) / 1000, folder: outFolder });
    if (result.stopped) {
      throw new SkeinError(
        "interrupted",
        `stopped after step ${count(result.step)}, saved in ${outFolder}; the same command goes on from there`,
      );
    }
    terminal.clear();
    const took = result.loss === undefined ? "was done already" : `took ${duration(ms)}`;
    terminal.line(`done: ${count(result.step)} steps, ${short(result.tokensSeen)} tokens; ${took}`);
    return result;
  } finally {
    interrupt.release();
  }
}

function withoutEmptyValidation(training: Training, dataset: Dataset, terminal: Terminal): SoloConfig {
  const { config } = training;
  if (dataset.split("valid").sequences(config.seqLen) > 0) return config;
  terminal.note("The dataset has too little text set aside to validate on: no validation loss is shown.");
  return { ...config, validateEvery: 0 };
}

function tellPlan(
  training: Training,
  dataset: Dataset,
  engine: Engine,
  availableBytes: number,
  terminal: Terminal,
): void {
  const { config, schedule, shape, presetName, cohort } = training;
  const peers = cohort?.peers ?? 1;
  const tokens = schedule.steps * peers * config.batch * config.seqLen;
  const trainTokens = dataset.split("train").tokens;
  const params = paramCount(shape);
  const { threads, microBatch, recompute } = engine.options;
  const split = microBatch < config.batch ? `, ${microBatch} sequences at a time` : "";
  const lines = [
    `model   ${presetName}: ${short(params)} params (vocabulary ${count(shape.vocabSize)}, width ${shape.dim}, ${shape.layers} layers)`,
    `data    ${training.dataFolder}: ${short(trainTokens)} tokens to train on, ${short(dataset.split("valid").tokens)} set aside`,
    `plan    ${count(schedule.steps)} steps of ${cohort ? `${peers} × ` : ""}${config.batch} × ${config.seqLen} tokens: ${short(tokens)} tokens, ${figures(tokens / trainTokens)} passes over the data`,
    ...(cohort ? [`peers   ${cohort.words}`] : []),
    `engine  ${engine.name} (${engine.backend}), ${threads} ${threads === 1 ? "thread" : "threads"}${split}${recompute ? ", recomputing" : ""}`,
    `memory  ${bytes(engine.plan.totalBytes)} of the ${bytes(availableBytes)} available`,
    `folder  ${training.outFolder}`,
  ];
  for (const line of lines) terminal.line(line);
  terminal.event("plan", {
    preset: presetName,
    params,
    vocabSize: shape.vocabSize,
    data: training.dataFolder,
    out: training.outFolder,
    trainTokens,
    steps: schedule.steps,
    ...(cohort ? { peers } : {}),
    batch: config.batch,
    seqLen: config.seqLen,
    lr: schedule.lr,
    seed: config.seed,
    tokens,
    engine: engine.name,
    backend: engine.backend,
    threads,
    microBatch,
    recompute,
    planBytes: engine.plan.totalBytes,
  });
}

function hooksFor(training: Training, accepted: () => Promise<void>, terminal: Terminal): SoloHooks {
  let last: StepReport | undefined;
  return {
    async onStart({ step, steps, resumedFrom, damaged }) {
      await accepted();
      for (const { key, problem } of damaged) terminal.note(`passed over ${key}: ${problem}`);
      if (resumedFrom !== undefined) terminal.line(`going on from step ${count(step)}\n`);
      else terminal.line("");
      terminal.event("start", {
        step,
        steps,
        resumedFrom: resumedFrom ?? null,
        damaged: damaged.map(({ key }) => key),
      });
    },
    onStep(report) {
      last = report;
      terminal.status(statusLine(report), report.step === report.steps);
      if (!report.applied) terminal.note(`step ${report.step} was skipped: its loss or gradients were not finite`);
      terminal.event("step", { ...report, loss: finite(report.loss), gradNorm: finite(report.gradNorm) });
    },
    onValidation({ step, loss }) {
      terminal.line(resultLine(step, training.schedule.steps, last, loss));
      terminal.event("validation", { step, loss });
    },
    onSample({ step, prompt, text }) {
      terminal.line(quote(`${prompt}${text}`));
      terminal.event("sample", { step, prompt, text });
    },
    onCheckpoint({ step, key }) {
      terminal.event("checkpoint", { step, key });
    },
  };
}

/** `x`, or null where it is not finite: JSON has no NaN. */
export function finite(x: number): number | null {
  return Number.isFinite(x) ? x : null;
}

function statusLine(report: StepReport): string {
  const share = report.step / report.steps;
  const speed = report.tokensPerSecond > 0 ? `${count(report.tokensPerSecond)} tokens/s  ` : "";
  return `${bar(share)} ${String(Math.floor(share * 100)).padStart(3)} %  step ${report.step}/${report.steps}  loss ${report.loss.toFixed(3)}  ${speed}${duration(report.etaMs)} left`;
}

function resultLine(step: number, steps: number, last: StepReport | undefined, loss: number): string {
  const place = `step ${String(step).padStart(String(steps).length)}`;
  return `${place}  loss ${last?.loss.toFixed(3) ?? "?"}  validation ${loss.toFixed(3)}`;
}

/** A sample's text on one indented line, cut to 200 characters. */
function quote(text: string): string {
  const flat = [...text.replace(/\s+/g, " ").trim()];
  return `    “${flat.slice(0, 200).join("")}${flat.length > 200 ? "…" : ""}”`;
}
