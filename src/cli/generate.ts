/** `skein generate`: text from a checkpoint, as it comes. */
import { statSync } from "node:fs";
import path from "node:path";
import { Command } from "commander";
import { fromUtf8 } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import { SkeinError } from "../base/errors.ts";
import { SEQ_MAX, TOKENIZER_BYTES_MAX } from "../base/limits.ts";
import { systemRandom } from "../base/random.ts";
import { latestCheckpoint, loadCheckpoint, readCheckpointInfo } from "../checkpoint/checkpoint.ts";
import { loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import { openEngine, planMemory } from "../engine/open.node.ts";
import { type Generated, generate } from "../evaluate/generate.ts";
import { SAMPLE_DEFAULTS } from "../evaluate/sample.ts";
import { folderStore } from "../store/folder.node.ts";
import type { Store } from "../store/store.ts";
import { listenForInterrupt } from "./shared/interrupt.ts";
import { bytesMaxOf, checkMemory, thisMachine } from "./shared/machine.ts";
import { HOME, realNumber, type SharedOptions, wholeNumber, withEngine, withJson } from "./shared/options.ts";
import { figures, processTerminal, type Terminal } from "./shared/terminal.ts";
import { RUN_TOKENIZER } from "./shared/training.ts";

interface GenerateFlags extends SharedOptions {
  readonly prompt: string;
  readonly tokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed?: string;
  readonly context?: number;
}

/** Tokens the model looks back on unless told otherwise; what small presets train with. */
const CONTEXT_DEFAULT = 256;

/** The verb `generate`. */
export function generateCommand(): Command {
  const command = new Command("generate")
    .summary("write with a trained model")
    .description("Continues a text with what was trained. Prints it as it comes.")
    .argument("[run]", "a run folder (its newest checkpoint is taken) or one checkpoint file", `${HOME}/up/model`)
    .option("--prompt <text>", "the text to continue; none begins a new document", "")
    .option("--tokens <n>", "how many tokens to write at most", wholeNumber(1, 1e6), 200)
    .option(
      "--temperature <t>",
      "0 takes the likeliest token always, 1 is the model's own distribution",
      realNumber(0, 100),
      SAMPLE_DEFAULTS.temperature,
    )
    .option("--top-k <k>", "choose among the k likeliest; 0 = all", wholeNumber(0), SAMPLE_DEFAULTS.topK)
    .option(
      "--top-p <p>",
      "choose among the likeliest that together have this share",
      realNumber(0, 1, true),
      SAMPLE_DEFAULTS.topP,
    )
    .option("--seed <text>", "the same seed writes the same text again (default: another text every time)")
    .option(
      "--context <n>",
      "tokens to look back on (default: as many as it was trained with)",
      wholeNumber(1, SEQ_MAX),
    )
    .addHelpText(
      "after",
      `
Examples:
  skein generate                                        with what \`skein up\` trains
  skein generate run/ --prompt "It was a dark" --tokens 100
  skein generate run/step-00001000.safetensors --temperature 0
  skein generate run/ --seed 7 --json | jq -r .text`,
    );
  return withJson(withEngine(command)).action(run);
}

async function run(place: string, flags: GenerateFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const { store, key } = await findCheckpoint(place);
  const tokenizer = await tokenizerOf(store, place);
  const info = await readCheckpointInfo(store, key);
  const options = {
    shape: info.shape,
    seqLen: flags.context ?? trainedLength(info.config) ?? CONTEXT_DEFAULT,
    microBatch: 1,
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
  };
  const machine = thisMachine();
  checkMemory(options, bytesMaxOf(flags.engine, flags.threads ?? machine.cores, machine), (candidate) =>
    planMemory(flags.engine, candidate),
  );
  const engine = await openEngine({ engine: flags.engine, ...options });
  const interrupt = listenForInterrupt(terminal, "stopping");
  try {
    await loadCheckpoint(store, key, engine, ["params"]);
    const seed = flags.seed ?? String(systemRandom.uint32());
    const startMs = systemClock.monotonic();
    terminal.stream(flags.prompt);
    const result = await generate(engine, tokenizer, flags.prompt, {
      maxTokens: flags.tokens,
      temperature: flags.temperature,
      topK: flags.topK,
      topP: flags.topP,
      seed,
      onText: (text) => {
        terminal.stream(text);
        terminal.event("text", { text });
      },
      signal: interrupt.signal,
    });
    terminal.line();
    tellEnd(result, { seed, key, step: info.step, seconds: (systemClock.monotonic() - startMs) / 1000 }, terminal);
    if (result.reason === "stopped") throw new SkeinError("interrupted", "stopped");
  } finally {
    interrupt.release();
    await engine.close();
  }
}

function tellEnd(
  result: Generated,
  facts: { seed: string; key: string; step: number; seconds: number },
  terminal: Terminal,
): void {
  const tokensPerSecond = result.tokens / facts.seconds;
  terminal.note(
    `[${result.tokens} tokens, ${figures(tokensPerSecond)} a second, after step ${facts.step}, --seed ${facts.seed}]`,
  );
  terminal.event("generated", {
    text: result.text,
    tokens: result.tokens,
    reason: result.reason,
    tokensPerSecond: Math.round(tokensPerSecond * 10) / 10,
    seed: facts.seed,
    checkpoint: facts.key,
    step: facts.step,
  });
}

/** The store and key that `place` means: a run folder's newest good checkpoint, or a file. */
async function findCheckpoint(place: string): Promise<{ store: Store; key: string }> {
  const stat = statSync(place, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new SkeinError("checkpoint", `there is no ${place}`, {
      remedy: "name a run folder or a checkpoint file; `skein up` or `skein train` makes one",
    });
  }
  if (stat.isFile()) return { store: folderStore(path.dirname(place)), key: path.basename(place) };
  const store = folderStore(place);
  const latest = await latestCheckpoint(store);
  if (latest !== undefined) return { store, key: latest.key };
  throw new SkeinError("checkpoint", `${place} holds no checkpoint`, {
    remedy: "train first: `skein train` writes a checkpoint when it stops and now and then before",
  });
}

async function tokenizerOf(store: Store, place: string): Promise<Tokenizer> {
  const bytes = await store.get(RUN_TOKENIZER, { start: 0, end: TOKENIZER_BYTES_MAX + 1 });
  if (bytes !== undefined && bytes.length <= TOKENIZER_BYTES_MAX) return loadTokenizer(fromUtf8(bytes));
  throw new SkeinError("data", `there is no usable ${RUN_TOKENIZER} beside the checkpoint in ${place}`, {
    remedy: `copy the dataset's ${RUN_TOKENIZER} there`,
  });
}

/** Tokens in a training sequence, where the run's settings say so. */
function trainedLength(config: string): number | undefined {
  try {
    const seqLen: unknown = JSON.parse(config)?.seqLen;
    return typeof seqLen === "number" && Number.isSafeInteger(seqLen) && seqLen >= 1 && seqLen <= SEQ_MAX
      ? seqLen
      : undefined;
  } catch {
    return undefined;
  }
}
