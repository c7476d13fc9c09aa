/** `skein train --peers`: which flags go together, a live line per round, and the model beside the saved state. */
import { utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { SkeinError, shown } from "../../base/errors.ts";
import { listCheckpoints, saveCheckpoint } from "../../checkpoint/checkpoint.ts";
import type { Dataset } from "../../data/dataset.ts";
import { manifestSha256 } from "../../data/shards/manifest.ts";
import type { Engine } from "../../engine/engine.ts";
import { paramCount } from "../../engine/shape.ts";
import {
  COHORT_METHODS,
  type CohortConfig,
  type CohortHooks,
  type CohortMethodName,
  type CohortResult,
  cohortBytes,
  INNER_STEPS_DEFAULT,
  type RoundReport,
  trainCohort,
} from "../../roles/cohort.ts";
import { listCohortStates } from "../../roles/cohort-state.ts";
import { paceOf } from "../../roles/pace.ts";
import { AGGREGATIONS, type Aggregation } from "../../round/aggregation.ts";
import { bestMeans } from "../../round/native/native.node.ts";
import { folderStore } from "../../store/folder.node.ts";
import type { Store } from "../../store/store.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { type RunSettings, writeSettings } from "./settings.ts";
import { bar, bytes, count, duration, figures, short, type Terminal } from "./terminal.ts";
import { finite, RUN_TOKENIZER, type Training, withOpened } from "./training.ts";

/** How peers train together where nothing else is said. */
export const METHOD_DEFAULT: CohortMethodName = "sparseloco";

/** What the command line says of a cohort; the rest is the training's. */
export type Cohort = Pick<CohortConfig, "peers" | "method" | "outerLr" | "aggregation" | "codec"> & {
  readonly innerSteps: number;
};

/** Which settings mean nothing under a method. */
const MEANINGLESS: Readonly<Record<CohortMethodName, readonly string[]>> = {
  sparseloco: [],
  diloco: ["aggregation", "k", "bits", "beta"],
  adamw: ["outerLr", "aggregation", "k", "bits", "beta"],
};

/** The cohort that `settings` ask for, or undefined for one machine alone. Throws SkeinError("usage") where they do not go together. */
export function cohortOf(settings: RunSettings): Cohort | undefined {
  const {
    peers = 1,
    method = METHOD_DEFAULT,
    innerSteps = INNER_STEPS_DEFAULT,
    outerLr,
    aggregation,
    ...rest
  } = settings;
  const given = new Map(Object.entries(settings));
  if (peers === 1) {
    const needing = ["method", "innerSteps", "outerLr", "aggregation", "k", "bits", "beta"];
    refuseGiven(given, needing, "is for several peers", "give --peers 2 or more, or leave it out");
    return undefined;
  }
  if (!isMethod(method)) throw new SkeinError("config", `there is no method ${shown(method)}`);
  refuseGiven(given, MEANINGLESS[method], `means nothing under ${method}`, "leave it out");
  const codec = Object.fromEntries(
    Object.entries({ k: rest.k, bits: rest.bits, beta: rest.beta }).filter(([, x]) => x !== undefined),
  );
  const rule = new Map<string, Aggregation>(Object.entries(AGGREGATIONS)).get(aggregation ?? "mean-all");
  if (rule === undefined) throw new SkeinError("config", `there is no aggregation ${shown(aggregation)}`);
  return {
    peers,
    method,
    innerSteps,
    codec,
    aggregation: rule,
    ...(outerLr === undefined ? {} : { outerLr }),
  };
}

function isMethod(name: string): name is CohortMethodName {
  return COHORT_METHODS.some((method) => method === name);
}

function refuseGiven(given: ReadonlyMap<string, unknown>, names: readonly string[], why: string, remedy: string): void {
  const name = names.find((each) => given.get(each) !== undefined);
  if (name === undefined) return;
  const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new SkeinError("usage", `${flag} ${why}`, { remedy });
}

/** Trains a cohort, or goes on, to its end. Throws SkeinError("interrupted") after Ctrl-C, when its state is saved. */
export function runCohort(training: Training, cohort: Cohort, terminal: Terminal): Promise<CohortResult> {
  const { peers, method, innerSteps } = cohort;
  const words = `${peers} in turn, ${method}, rounds of ${count(innerSteps)} steps`;
  return withOpened(
    { ...training, cohort: { peers, words } },
    terminal,
    async (config, dataset, engine) => {
      const { seed, batch, seqLen } = config;
      const validateEvery = config.validateEvery ? 1 : 0;
      const checkpointEvery = Math.ceil((training.config.checkpointEvery || Number.MAX_SAFE_INTEGER) / innerSteps);
      const cohortConfig = { ...cohort, seed, batch, seqLen, validateEvery, checkpointEvery };
      return train(training, cohortConfig, dataset, engine, terminal);
    },
    cohortBytes(cohort, paramCount(training.shape)),
  );
}

async function train(
  training: Training,
  config: CohortConfig,
  dataset: Dataset,
  engine: Engine,
  terminal: Terminal,
): Promise<CohortResult> {
  const { schedule, outFolder } = training;
  const store = folderStore(outFolder);
  await refuseOccupied(store, outFolder);
  const interrupt = listenForInterrupt(terminal, "\nfinishing this round and saving");
  const startMs = systemClock.monotonic();
  try {
    const accepted = async (): Promise<void> => {
      await store.put(RUN_TOKENIZER, utf8((await dataset.tokenizer()).toJson()));
      await writeSettings(outFolder, training.settings);
    };
    const hooks = hooksFor(training, config, accepted, terminal);
    const means = bestMeans();
    const result = await trainCohort({
      engine,
      dataset,
      schedule,
      config,
      store,
      means,
      signal: interrupt.signal,
      hooks,
    });
    await saveModel(training, config, dataset, engine, result);
    const ms = systemClock.monotonic() - startMs;
    const seconds = Math.round(ms / 10) / 100;
    terminal.event("end", { ...result, loss: result.loss ?? null, seconds, folder: outFolder });
    if (result.stopped) {
      throw new SkeinError(
        "interrupted",
        `stopped after round ${count(result.rounds)}, saved in ${outFolder}; the same command goes on from there`,
      );
    }
    terminal.clear();
    const took = result.loss === undefined ? "was done already" : `took ${duration(ms)}`;
    terminal.line(
      `done: ${count(result.rounds)} rounds, ${short(result.tokensSeen)} tokens; ${took}\n` +
        `state root ${result.stateRoot}`,
    );
    return result;
  } finally {
    interrupt.release();
  }
}

async function refuseOccupied(store: Store, folder: string): Promise<void> {
  if ((await listCohortStates(store)).length > 0 || (await listCheckpoints(store)).length === 0) return;
  throw new SkeinError("config", `${folder} holds a training on one machine`, {
    remedy: "train into another folder: --out",
  });
}

/** A checkpoint with the shared params, for `skein generate`; `skein train` on one machine refuses to go on from it. */
async function saveModel(
  training: Training,
  config: CohortConfig,
  dataset: Dataset,
  engine: Engine,
  { step, tokensSeen }: CohortResult,
): Promise<void> {
  const { peers, method, innerSteps, outerLr, batch, seqLen } = config;
  const cohort = { peers, method, innerSteps, ...(outerLr === undefined ? {} : { outerLr }) };
  const info = {
    seed: String(config.seed),
    dataHash: manifestSha256(dataset.manifest),
    config: JSON.stringify({ batch, seqLen, schedule: training.schedule, cohort }),
    step,
    tokensSeen,
  };
  await saveCheckpoint(folderStore(training.outFolder), engine, info, 1);
}

function hooksFor(
  { schedule }: Training,
  config: CohortConfig,
  accepted: () => Promise<void>,
  terminal: Terminal,
): CohortHooks {
  const { peers, method, batch, seqLen } = config;
  const turns = method === "adamw" ? 1 : peers;
  const pace = paceOf(systemClock, (peers / turns) * batch * seqLen);
  let taken = 0; // inner steps of all turns
  return {
    async onStart({ round, resumedFrom, rounds, steps, disjoint }) {
      await accepted();
      taken = Math.min(round * (config.innerSteps ?? INNER_STEPS_DEFAULT), steps) * turns;
      if (!disjoint)
        terminal.note("There is too little text for every peer to have its own: sequences repeat in a round.");
      terminal.line(resumedFrom === undefined ? "" : `going on after round ${count(round)}\n`);
      terminal.event("start", { round, resumedFrom: resumedFrom ?? null, rounds, steps, disjoint });
      pace.resume();
    },
    onStep({ round, step, uids, loss, applied }) {
      taken += 1;
      const { tokensPerSecond, etaMs } = pace.step(schedule.steps * turns - taken);
      const share = taken / (schedule.steps * turns);
      const who = turns === 1 ? "" : `peer ${uids[0]}  `;
      const where = `round ${round + 1}  ${who}step ${step}/${schedule.steps}  loss ${loss.toFixed(3)}`;
      const speed = `${count(tokensPerSecond)} tokens/s  ${duration(etaMs)} left`;
      terminal.status(`${bar(share)} ${String(Math.floor(share * 100)).padStart(3)} %  ${where}  ${speed}`);
      if (!applied) terminal.note(`${who}step ${step} was skipped: its loss or gradients were not finite`);
      pace.resume();
    },
    onCheckpoint({ round, key }) {
      terminal.event("checkpoint", { round, key });
    },
    onRound(report) {
      terminal.line(roundLine(report));
      const { loss, validation } = report;
      terminal.event("round", {
        ...report,
        loss: finite(loss),
        validation: validation === undefined ? null : finite(validation),
      });
      pace.resume();
    },
  };
}

function roundLine({ round, rounds, loss, validation, bytes: sent, ratio }: RoundReport): string {
  const place = `round ${String(round).padStart(String(rounds).length)}`;
  const measured = validation === undefined ? "" : `  validation ${validation.toFixed(3)}`;
  const share = ratio > 1 ? `${figures(ratio)}× smaller than the model` : `${figures(1 / ratio)}× the model`;
  return `${place}  loss ${loss.toFixed(3)}${measured}  ${bytes(Math.round(sent))} per peer, ${share}`;
}
