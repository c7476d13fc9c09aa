/** `skein up`: the first run. Text that is already here, a model small enough to learn while one watches, samples as it does. */
import { Command } from "commander";
import { PRESETS, withVocab } from "../model/presets.ts";
import { HOME, type SharedOptions, withEngine, withJson } from "./shared/options.ts";
import { prepareDefault } from "./shared/prepare.ts";
import { processTerminal, table } from "./shared/terminal.ts";
import { openDataFolder, runTraining } from "./shared/training.ts";

interface UpFlags extends SharedOptions {
  readonly dir: string;
}

/** The verb `up`. */
export function upCommand(): Command {
  const command = new Command("up")
    .summary("the first run: watch a small model learn (npm start)")
    .description(
      "Prepares text that is already on this disk (documents of the installed packages; nothing is downloaded), trains " +
        "a model of under a million params on it, and shows now and then what it writes. Takes minutes. Ctrl-C saves; " +
        "started again it goes on.",
    )
    .option("--dir <folder>", "where everything goes; delete it to start over", HOME);
  withJson(withEngine(command)).addHelpText(
    "after",
    "\nExamples:\n  skein up\n  skein up --dir /tmp/first --threads 1\n  skein up --json",
  );
  return command.action(up);
}

async function up(flags: UpFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  terminal.line("Skein: a small language model, trained on this machine while you watch. Ctrl-C saves and stops.\n");
  const preset = PRESETS.nano;
  const dataFolder = await prepareDefault(preset.shape.vocabSize, terminal, flags.dir);
  const { manifest } = await openDataFolder(dataFolder);
  const { shape } = withVocab(preset, manifest.tokenizer.vocabSize);
  const outFolder = `${flags.dir}/${preset.name}`;
  await runTraining(
    {
      dataFolder,
      outFolder,
      presetName: preset.name,
      shape,
      schedule: preset.schedule,
      config: {
        seed: "1",
        batch: preset.batch,
        seqLen: preset.seqLen,
        checkpointEvery: 50,
        validateEvery: 100,
        sampleEvery: 100,
        samplePrompt: "Returns the",
        sampleTokens: 40,
        validationSequences: 32,
      },
      engine: flags.engine,
      ...(flags.threads === undefined ? {} : { threads: flags.threads }),
      microBatch: preset.batch,
      recompute: false,
      settings: { data: dataFolder, preset: preset.name },
    },
    terminal,
  );
  terminal.line("\nWhat next:");
  const next = [
    [`  skein generate ${outFolder} --prompt "To install"`, "let it write"],
    ["  skein doctor", "see what larger models this machine can train"],
    ["  skein data my-texts/ --out data/", "prepare text of your own"],
    ["  skein train --data data/ --out run/ --preset 2m", "and train on it"],
  ];
  for (const line of table(next)) terminal.line(line);
}
