/** `skein train`: trains on this machine, or goes on where the run folder stopped. */
import { Command, Option } from "commander";
import { CONTRIBUTIONS_MAX, SEQ_MAX } from "../base/limits.ts";
import { CODEC_DEFAULTS } from "../codec/params.ts";
import { paramCount } from "../engine/shape.ts";
import { PRESET_NAMES, PRESETS, type Preset, type PresetName, presetNamed, withVocab } from "../model/presets.ts";
import { withSteps } from "../optim/schedule.ts";
import { COHORT_METHODS, INNER_STEPS_DEFAULT } from "../roles/cohort.ts";
import { AGGREGATION_NAMES } from "../round/aggregation.ts";
import { cohortOf, METHOD_DEFAULT, runCohort } from "./shared/cohort.ts";
import { HOME, realNumber, type SharedOptions, wholeNumber, withEngine, withJson } from "./shared/options.ts";
import { prepareDefault } from "./shared/prepare.ts";
import { type RunSettings, readSettings } from "./shared/settings.ts";
import { processTerminal, short, table } from "./shared/terminal.ts";
import { openDataFolder, runTraining, type Training } from "./shared/training.ts";

interface TrainFlags extends SharedOptions, RunSettings {
  readonly out?: string;
  readonly checkpointEvery?: number;
  readonly microBatch?: number;
  readonly recompute?: boolean;
}

const PRESET_DEFAULT: PresetName = "nano";

/** The verb `train`. */
export function trainCommand(): Command {
  const rows = PRESET_NAMES.map((name) => [`  ${name}`, describe(PRESETS[name])]);
  const command = new Command("train")
    .summary("train on this machine, or go on where a run stopped")
    .description(
      "Trains a model. Whatever --out already holds is continued exactly; started again after Ctrl-C, a crash or a " +
        "kill, the run ends with the same model as if it had never stopped. Ctrl-C finishes the step and saves; a " +
        "second Ctrl-C ends at once.",
    )
    .option("--data <folder>", "what `skein data` made (default: the documents of the installed packages)")
    .option("--out <folder>", `where checkpoints go and come from (default: ${HOME}/<preset>)`)
    .option("--preset <name>", `model and settings, see below (default: ${PRESET_DEFAULT})`)
    .option("--steps <n>", "length of the run (default: the preset's)", wholeNumber(1, 1e9))
    .option("--batch <n>", "sequences in a step (default: the preset's)", wholeNumber(1, 1e6))
    .option("--seq <n>", "tokens in a sequence (default: the preset's)", wholeNumber(1, SEQ_MAX))
    .option("--lr <rate>", "peak learning rate (default: the preset's)", realNumber(0, 100, true))
    .option("--seed <text>", "chooses first params and data order (default: 1)")
    .option(
      "--micro-batch <n>",
      "sequences computed at a time: less memory, same result (default: the batch)",
      wholeNumber(1, 1e6),
    )
    .option("--recompute", "keep less in memory and compute it again: a third slower, same result")
    .option(
      "--checkpoint-every <n>",
      "steps between checkpoints (default: 100; 0: at the end only)",
      wholeNumber(0, 1e9),
    );
  withJson(withEngine(withPeers(command))).addHelpText(
    "after",
    `
Presets:
${table(rows).join("\n")}

Examples:
  skein train --data data/ --out run/ --preset 2m       begin
  skein train --out run/                                go on with the same settings
  skein train --steps 500 --seed 7 --out try7/          a short try on the default corpus
  skein train --preset 125m --micro-batch 1 --recompute where memory is short
  skein train --peers 8 --data data/ --out eight/       eight peers that exchange payloads
  skein train --peers 8 --method adamw --out base/      the same data, one optimizer: what to compare with`,
  );
  return command.action(train);
}

/** Adds the options of training by several peers in this process. */
function withPeers(command: Command): Command {
  return command
    .option(
      "--peers <n>",
      "peers that train together here, in turn, each on its own data; --steps and --batch are each peer's " +
        `(default: 1; default of --out with more: ${HOME}/<preset>-<method>)`,
      wholeNumber(1, CONTRIBUTIONS_MAX),
    )
    .addOption(
      new Option("--method <name>", "how peers agree (default: sparseloco; needs --peers)").choices(COHORT_METHODS),
    )
    .option(
      "--inner-steps <n>",
      `steps of a round (default: ${INNER_STEPS_DEFAULT}; needs --peers)`,
      wholeNumber(1, 1e9),
    )
    .option(
      "--outer-lr <rate>",
      "outer learning rate (default: 1 for sparseloco, 0.7 for diloco; needs --peers)",
      realNumber(0, 100, true),
    )
    .addOption(
      new Option("--aggregation <rule>", "how sparseloco makes one update of all (default: mean-all)").choices(
        AGGREGATION_NAMES,
      ),
    )
    .option(
      "--k <n>",
      `values that sparseloco sends of ${CODEC_DEFAULTS.chunkSide ** 2} (default: ${CODEC_DEFAULTS.k})`,
      wholeNumber(1, CODEC_DEFAULTS.chunkSide ** 2),
    )
    .option("--bits <n>", `bits of such a value, 1 or 2 (default: ${CODEC_DEFAULTS.bits})`, wholeNumber(1, 2))
    .option("--beta <x>", `decay of what was not sent (default: ${CODEC_DEFAULTS.beta})`, realNumber(0, 1));
}

function describe({ shape, seqLen, batch, schedule, description }: Preset): string {
  return `${short(paramCount(shape))} params, ${short(schedule.steps)} steps of ${batch} × ${seqLen} tokens: ${description}`;
}

async function train(flags: TrainFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const suffix = (flags.peers ?? 1) > 1 ? `-${flags.method ?? METHOD_DEFAULT}` : "";
  const outFolder = flags.out ?? `${HOME}/${flags.preset ?? PRESET_DEFAULT}${suffix}`;
  const settings = { ...(await readSettings(outFolder)), ...settingsOf(flags) };
  const cohort = cohortOf(settings);
  const preset = presetNamed(settings.preset ?? PRESET_DEFAULT);
  const dataFolder = settings.data ?? (await prepareDefault(preset.shape.vocabSize, terminal));
  const { manifest } = await openDataFolder(dataFolder);
  const { shape } = withVocab(preset, manifest.tokenizer.vocabSize);
  const schedule = withSteps(preset.schedule, settings.steps ?? preset.schedule.steps);
  const scale = (settings.lr ?? schedule.lr) / schedule.lr;
  const batch = settings.batch ?? preset.batch;
  const training: Training = {
    dataFolder,
    outFolder,
    presetName: preset.name,
    shape,
    schedule: {
      ...schedule,
      lr: settings.lr ?? schedule.lr,
      ...(schedule.kind === "cosine" ? { floorLr: schedule.floorLr * scale } : {}),
    },
    config: {
      seed: settings.seed ?? "1",
      batch,
      seqLen: settings.seq ?? preset.seqLen,
      checkpointEvery: flags.checkpointEvery ?? 100,
      validateEvery: Math.max(10, Math.ceil(schedule.steps / 200) * 10),
    },
    engine: flags.engine,
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    microBatch: Math.min(batch, flags.microBatch ?? batch),
    recompute: flags.recompute === true,
    settings: { ...settings, data: dataFolder, preset: preset.name },
  };
  await (cohort ? runCohort(training, cohort, terminal) : runTraining(training, terminal));
  terminal.line(`\nNext: skein generate ${outFolder} --prompt "The"`);
}

/** Those flags that are settings, and were given. */
function settingsOf(flags: TrainFlags): RunSettings {
  const { data, preset, steps, batch, seq, lr, seed } = flags;
  const { peers, method, innerSteps, outerLr, aggregation, k, bits, beta } = flags;
  const together = { peers, method, innerSteps, outerLr, aggregation, k, bits, beta };
  const all = { data, preset, steps, batch, seq, lr, seed, ...together };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}
