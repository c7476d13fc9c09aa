/** `skein train --peers`: which flags go together, a live line per round, and the one checkpoint at the end. */
import { utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import { listCheckpoints, saveCheckpoint } from "../../checkpoint/checkpoint.ts";
import type { Dataset } from "../../data/dataset.ts";
import { manifestSha256 } from "../../data/shards/manifest.ts";
import type { Engine } from "../../engine/engine.ts";
import { paramCount } from "../../engine/shape.ts";
import {
  type CohortConfig,
  type CohortHooks,
  type CohortMethodName,
  type CohortResult,
  cohortBytes,
  INNER_STEPS_DEFAULT,
  type RoundReport,
  trainCohort,
} from "../../roles/cohort.ts";
import { paceOf } from "../../roles/pace.ts";
import { folderStore } from "../../store/folder.node.ts";
import type { Store } from "../../store/store.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { bar, bytes, count, duration, figures, short, type Terminal } from "./terminal.ts";
import { finite, RUN_TOKENIZER, type Training, withOpened } from "./training.ts";

/** The flags that several peers bring, and one that they rule out. */
export interface CohortFlags {
  readonly peers?: number;
  readonly method?: CohortMethodName;
  readonly innerSteps?: number;
  readonly outerLr?: number;
  readonly checkpointEvery?: number;
}

/** What the command line says of a cohort; the rest is the training's. */
export type Cohort = Pick<CohortConfig, "peers" | "method" | "outerLr"> & { readonly innerSteps: number };

/** The cohort that `flags` ask for, or undefined for one machine alone. Throws SkeinError("usage") where they do not go together. */
export function cohortOf(flags: CohortFlags): Cohort | undefined {
  const { peers = 1, method = "sparseloco", innerSteps = INNER_STEPS_DEFAULT, outerLr } = flags;
  const refuse = (message: string, remedy: string): never => {
    throw new SkeinError("usage", message, { remedy });
  };
  if (peers === 1) {
    const needing = { "--method": flags.method, "--inner-steps": flags.innerSteps, "--outer-lr": outerLr };
    for (const [flag, value] of Object.entries(needing)) {
      if (value !== undefined) refuse(`${flag} is for several peers`, "give --peers 2 or more, or leave it out");
    }
    return undefined;
  }
  if (flags.checkpointEvery) refuse("several peers save at the end only", "leave --checkpoint-every out");
  if (method === "adamw" && outerLr !== undefined) refuse("adamw has no outer step", "leave --outer-lr out");
  return { peers, method, innerSteps, ...(outerLr === undefined ? {} : { outerLr }) };
}

/** Trains a cohort to its end and saves the model. Throws SkeinError("interrupted") after Ctrl-C, when it is saved too. */
export function runCohort(training: Training, cohort: Cohort, terminal: Terminal): Promise<CohortResult> {
  const { peers, method, innerSteps } = cohort;
  const words = `${peers} in turn, ${method}, rounds of ${count(innerSteps)} steps`;
  return withOpened(
    { ...training, cohort: { peers, words } },
    terminal,
    async (config, dataset, engine) => {
      const { seed, batch, seqLen } = config;
      const validateEvery = config.validateEvery ? 1 : 0;
      const cohortConfig = { ...cohort, seed, batch, seqLen, validateEvery };
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
  const interrupt = listenForInterrupt(terminal, "\nfinishing this step and saving the last whole round");
  const startMs = systemClock.monotonic();
  try {
    const hooks = hooksFor(training, config, terminal);
    const result = await trainCohort({ engine, dataset, schedule, config, signal: interrupt.signal, hooks });
    if (result.rounds > 0) await save(training, config, dataset, engine, result);
    const ms = systemClock.monotonic() - startMs;
    const seconds = Math.round(ms / 10) / 100;
    terminal.event("end", { ...result, loss: result.loss ?? null, seconds, folder: outFolder });
    if (result.stopped) {
      const saved = result.rounds > 0 ? `, its model saved in ${outFolder}` : "";
      throw new SkeinError(
        "interrupted",
        `stopped after round ${count(result.rounds)}${saved}; it cannot be continued`,
      );
    }
    terminal.clear();
    terminal.line(
      `done: ${count(result.rounds)} rounds, ${short(result.tokensSeen)} tokens; took ${duration(ms)}\n` +
        `state root ${result.stateRoot}`,
    );
    return result;
  } finally {
    interrupt.release();
  }
}

async function refuseOccupied(store: Store, folder: string): Promise<void> {
  if ((await listCheckpoints(store)).length === 0) return;
  throw new SkeinError(
    "config",
    `${folder} holds a model already, and a training by several peers cannot be continued`,
    {
      remedy: "train into another folder: --out",
    },
  );
}

/** One checkpoint with the shared params: `skein generate` takes it, `skein train` refuses to go on from it. */
async function save(
  training: Training,
  config: CohortConfig,
  dataset: Dataset,
  engine: Engine,
  { step, tokensSeen }: CohortResult,
): Promise<void> {
  const store = folderStore(training.outFolder);
  await store.put(RUN_TOKENIZER, utf8((await dataset.tokenizer()).toJson()));
  const { peers, method, innerSteps, outerLr, batch, seqLen } = config;
  const cohort = { peers, method, innerSteps, ...(outerLr === undefined ? {} : { outerLr }) };
  await saveCheckpoint(store, engine, {
    seed: String(config.seed),
    dataHash: manifestSha256(dataset.manifest),
    config: JSON.stringify({ batch, seqLen, schedule: training.schedule, cohort }),
    step,
    tokensSeen,
  });
}

function hooksFor({ schedule }: Training, config: CohortConfig, terminal: Terminal): CohortHooks {
  const { peers, method, batch, seqLen } = config;
  const turns = method === "adamw" ? 1 : peers;
  const pace = paceOf(systemClock, (peers / turns) * batch * seqLen);
  let taken = 0; // inner steps of all turns
  return {
    onStart({ rounds, steps, disjoint }) {
      if (!disjoint)
        terminal.note("There is too little text for every peer to have its own: sequences repeat in a round.");
      terminal.line("");
      terminal.event("start", { rounds, steps, disjoint });
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
