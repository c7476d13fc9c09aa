/** What a run on one machine is given and tells, which of it must stay the same for a checkpoint to be continued, and checks. */
import type { Clock } from "../base/clock.ts";
import { SkeinError } from "../base/errors.ts";
import type { CheckpointInfo, DamagedCheckpoint } from "../checkpoint/checkpoint.ts";
import type { Dataset, TokenSource } from "../data/dataset.ts";
import { manifestSha256 } from "../data/shards/manifest.ts";
import { type Engine, STEP_DEFAULTS, type StepOptions } from "../engine/engine.ts";
import { shapeJson } from "../model/parse.ts";
import { checkSchedule, type Schedule } from "../optim/schedule.ts";
import type { Store } from "../store/store.ts";

/** The settings of a run, besides the model and the schedule. "Every" counts steps; 0 is never. */
export interface SoloConfig {
  /** Chooses first params and data order. */
  readonly seed: string | number;
  /** Sequences in a step. The engine's microBatch says how many it computes at a time, which changes no result. */
  readonly batch: number;
  /** Tokens in a sequence; at most the engine's seqLen. */
  readonly seqLen: number;
  /** AdamW and clipping, where they are not to be STEP_DEFAULTS. */
  readonly adamw?: Omit<StepOptions, "lr">;
  /** Default 0: at the end and on request only. */
  readonly checkpointEvery?: number;
  /** Checkpoints to keep. Default 3. */
  readonly keep?: number;
  readonly validateEvery?: number;
  /** Sequences to validate on. Default 64. */
  readonly validationSequences?: number;
  readonly sampleEvery?: number;
  /** Default: none, which begins a document. */
  readonly samplePrompt?: string;
  /** Default 48. */
  readonly sampleTokens?: number;
}

/** What a step did, for people and logs. */
export interface StepReport {
  /** Steps taken, this one included. */
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly lr: number;
  readonly gradNorm: number;
  /** False where loss or gradients were not finite and the step changed nothing. */
  readonly applied: boolean;
  readonly tokensSeen: number;
  /** Passes over the training data so far, with fraction. */
  readonly pass: number;
  /** Of training alone, smoothed over about ten steps; 0 while unknown. */
  readonly tokensPerSecond: number;
  /** Estimated milliseconds to the end, validation and checkpoints included. */
  readonly etaMs: number;
}

/** What is told while a run goes on. A hook that returns a promise is waited for; one that throws ends the run. */
export interface SoloHooks {
  /** `resumedFrom` is the checkpoint's key, undefined where the run begins; `damaged` lists checkpoints passed over. */
  readonly onStart?: (start: {
    readonly step: number;
    readonly steps: number;
    readonly resumedFrom: string | undefined;
    readonly damaged: readonly DamagedCheckpoint[];
  }) => void | Promise<void>;
  readonly onStep?: (report: StepReport) => void | Promise<void>;
  readonly onValidation?: (result: { readonly step: number; readonly loss: number }) => void | Promise<void>;
  readonly onSample?: (sample: {
    readonly step: number;
    readonly prompt: string;
    readonly text: string;
  }) => void | Promise<void>;
  readonly onCheckpoint?: (saved: { readonly step: number; readonly key: string }) => void | Promise<void>;
}

/** Everything a run on one machine needs. */
export interface SoloOptions {
  readonly engine: Engine;
  readonly dataset: Dataset;
  readonly schedule: Schedule;
  readonly config: SoloConfig;
  /** Where checkpoints go, and come from. */
  readonly store: Store;
  readonly clock?: Clock;
  /** Ends the run after the current step, with a checkpoint. */
  readonly signal?: AbortSignal;
  readonly hooks?: SoloHooks;
}

/** How a run ended. */
export interface SoloResult {
  /** Steps taken in all. */
  readonly step: number;
  readonly tokensSeen: number;
  /** Loss of the last step; undefined where none was left to take. */
  readonly loss: number | undefined;
  /** Whether the signal ended it before its last step. */
  readonly stopped: boolean;
}

/** Longest value shown of a setting that differs. */
const SHOWN_MAX = 200;

/** Checks settings and data before anything is begun. Throws SkeinError("config") or ("data"). */
export function checkSolo(options: Pick<SoloOptions, "engine" | "config" | "dataset" | "schedule">): void {
  const { engine, config, dataset, schedule } = options;
  checkSchedule(schedule);
  const whole = (name: keyof SoloConfig, least: number, value: number | undefined): void => {
    if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return;
    throw new SkeinError("config", `${name} must be a whole number of at least ${least}, not ${value}`);
  };
  whole("batch", 1, config.batch);
  whole("seqLen", 1, config.seqLen);
  whole("keep", 1, config.keep);
  whole("validationSequences", 1, config.validationSequences);
  for (const name of ["checkpointEvery", "validateEvery", "sampleEvery", "sampleTokens"] as const) {
    whole(name, 0, config[name]);
  }
  if (config.seqLen > engine.options.seqLen) {
    throw new SkeinError(
      "config",
      `sequences of ${config.seqLen} tokens do not fit an engine opened for ${engine.options.seqLen}`,
    );
  }
  const { vocabSize } = dataset.manifest.tokenizer;
  if (vocabSize > engine.options.shape.vocabSize) {
    const model = `the model's vocabulary of ${engine.options.shape.vocabSize}`;
    throw new SkeinError("config", `the dataset's tokenizer has ${vocabSize} tokens, more than ${model}`, {
      remedy: "give the model the dataset's vocabulary",
    });
  }
  checkSplit("training", dataset.split("train"), config.seqLen);
  if (config.validateEvery) checkSplit("validation", dataset.split("valid"), config.seqLen);
}

function checkSplit(name: string, source: TokenSource, length: number): void {
  if (source.sequences(length) > 0) return;
  throw new SkeinError("data", `the ${name} split has ${source.tokens} tokens, fewer than one sequence of ${length}`, {
    remedy: "prepare more text, or use shorter sequences",
  });
}

/** The facts of a run that its checkpoints carry and that must not change. */
export function factsOf(options: SoloOptions): Pick<CheckpointInfo, "seed" | "dataHash" | "config"> {
  const { config, schedule, dataset } = options;
  const adamw = { ...STEP_DEFAULTS, ...config.adamw };
  const clipNorm = Number.isFinite(adamw.clipNorm) ? adamw.clipNorm : "off"; // JSON has no Infinity
  const settings = { batch: config.batch, seqLen: config.seqLen, schedule, adamw: { ...adamw, clipNorm } };
  return { seed: String(config.seed), dataHash: manifestSha256(dataset.manifest), config: JSON.stringify(settings) };
}

/** Throws SkeinError("checkpoint"), naming each setting that differs, unless the checkpoint was made by this run. */
export function refuseOther(options: SoloOptions, info: CheckpointInfo): void {
  const facts = factsOf(options);
  const there = settingsOf(info, shapeJson(info.shape));
  const here = settingsOf(facts, shapeJson(options.engine.options.shape));
  const names = [...new Set([...there.keys(), ...here.keys()])];
  const show = (value: string | undefined): string => (value ?? "nothing").slice(0, SHOWN_MAX);
  const differing = names.filter((name) => there.get(name) !== here.get(name));
  if (differing.length === 0) return;
  throw new SkeinError("checkpoint", `the checkpoint was made with other settings: ${differing.join(", ")}`, {
    details: differing.map((n) => `${n}: ${show(there.get(n))} in the checkpoint, ${show(here.get(n))} now`).join("\n"),
    remedy: "go on with the checkpoint's settings, or train into another folder",
  });
}

/** Every setting by its dotted name, as JSON text. */
function settingsOf(facts: Pick<CheckpointInfo, "seed" | "dataHash" | "config">, shape: string): Map<string, string> {
  const settings = new Map([
    ["seed", JSON.stringify(facts.seed)],
    ["data", facts.dataHash],
  ]);
  const add = (prefix: string, json: string): void => {
    for (const [name, value] of Object.entries(parsedObject(json))) {
      const nested = typeof value === "object" && value !== null;
      if (nested && prefix === "") add(`${name}.`, JSON.stringify(value));
      else settings.set(prefix + name, JSON.stringify(value));
    }
  };
  add("model.", shape);
  add("", facts.config);
  return settings;
}

function parsedObject(json: string): object {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null ? value : { config: json };
  } catch {
    return { config: json };
  }
}
