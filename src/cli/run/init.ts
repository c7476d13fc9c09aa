/** `skein init`: writes the spec of a new run, with comments, for its owner to read, change and launch. */
import { access } from "node:fs/promises";
import { Command } from "commander";
import { utf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { systemRandom } from "../../base/random.ts";
import { writeWhole } from "../../chain/files.node.ts";
import { paramCount } from "../../engine/shape.ts";
import { commentedSpec } from "../../run/commented.ts";
import { specHash } from "../../run/parse.ts";
import { makeSpec, RUN_PRESET_NAMES, RUN_PRESETS, type RunPreset, runPresetNamed } from "../../run/presets.ts";
import { blocksOf, payloadEstimate, payloadLimit, peerTokensOf, roundsOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { withJson } from "../shared/options.ts";
import { prepareDefault } from "../shared/prepare.ts";
import { bytes, count, duration, processTerminal, short, type Terminal, table } from "../shared/terminal.ts";
import { openDataFolder } from "../shared/training.ts";

interface InitFlags {
  readonly preset: string;
  readonly name?: string;
  readonly data?: string;
  readonly seed?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

const PRESET_DEFAULT = "laptop";

/** The verb `init`. */
export function initCommand(): Command {
  const rows = RUN_PRESET_NAMES.map((name) => [`  ${name}`, describe(RUN_PRESETS[name])]);
  const command = new Command("init")
    .summary("write down a new run: model, data, rounds")
    .description(
      "Writes run.json: the model, the dataset by its hash, and the rules by which peers train and exchange, each with " +
        "a comment. Its hash is the run's name, so look it over and change what you like before you launch it.",
    )
    .argument("[file]", "where it goes", "run.json")
    .option("--preset <name>", "kind of run, see below", PRESET_DEFAULT)
    .option("--name <text>", "what people call it (default: the preset's name)")
    .option("--data <folder>", "what `skein data` made (default: the documents of the installed packages)")
    .option("--seed <text>", "chooses first params and data order (default: drawn, so that no two runs are alike)")
    .option("--force", "write over what is there");
  return withJson(command)
    .addHelpText(
      "after",
      `
Presets:
${table(rows).join("\n")}

Examples:
  skein init                                            a run for this machine and its neighbours
  skein init --data data/ --preset 2m --name "Books"    for a few dozen laptops
  skein init other.json --seed 7 --force                the same again, from other params`,
    )
    .action(init);
}

function describe({ model, uids, inner, timing, blockSeconds, description }: RunPreset): string {
  const round = duration(blocksOf({ timing }) * blockSeconds * 1000);
  return `${short(paramCount(model))} params, up to ${uids} uids, rounds of ${inner.steps} steps in ${round}: ${description}`;
}

async function init(file: string, flags: InitFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const preset = runPresetNamed(flags.preset);
  if (flags.force !== true && (await exists(file))) throw isThere(file);
  const dataFolder = flags.data ?? (await prepareDefault(preset.model.vocabSize, terminal));
  const { manifest } = await openDataFolder(dataFolder);
  terminal.status("making the first params, for their hash");
  const seed = flags.seed ?? drawnSeed();
  const spec = makeSpec({ preset: preset.name, name: flags.name ?? preset.name, seed, manifest });
  if (!(await writeWhole(file, utf8(commentedSpec(spec)), { ifAbsent: flags.force !== true }))) throw isThere(file);
  terminal.clear();
  if (spec.uids < preset.uids)
    terminal.note(
      `The text is enough for ${spec.uids} uids with data of their own; ${preset.name} has ${preset.uids}.`,
    );
  tell(spec, preset, { file, dataFolder, trainTokens: manifest.splits.train.tokens }, terminal);
  terminal.line(`\nLook ${file} over, then: skein launch ${file}`);
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

function isThere(file: string): SkeinError {
  return new SkeinError("usage", `${file} is there already`, {
    remedy: "name another file, or write over it: --force",
  });
}

/** 64 random bits in hex. */
function drawnSeed(): string {
  const word = (): string => systemRandom.uint32().toString(16).padStart(8, "0");
  return word() + word();
}

interface Origin {
  readonly file: string;
  readonly dataFolder: string;
  readonly trainTokens: number;
}

function tell(spec: RunSpec, preset: RunPreset, { file, dataFolder, trainTokens }: Origin, terminal: Terminal): void {
  const { name, model, seed, uids, inner, timing } = spec;
  const [params, rounds, blocks, hash] = [paramCount(model), roundsOf(spec), blocksOf(spec), specHash(spec)];
  const [tokens, payload] = [peerTokensOf(spec), payloadEstimate(spec)];
  const ratio = `${count((4 * params) / payload)}× smaller than the model`;
  const seconds = blocks * preset.blockSeconds;
  const lines = [
    `run     ${name}, from ${preset.name} with seed ${seed}: ${file}`,
    `model   ${short(params)} params (vocabulary ${count(model.vocabSize)}, width ${model.dim}, ${model.layers} layers)`,
    `data    ${dataFolder}: ${short(trainTokens)} tokens to train on`,
    `rounds  ${count(rounds)} of ${inner.steps} steps with ${inner.batch} × ${inner.seqLen} tokens`,
    `round   ${blocks} blocks: ${timing.trainBlocks} to train, ${timing.revealBlocks} to reveal, ${timing.voteBlocks} to vote; ` +
      `${duration(1000 * seconds)} at ${preset.blockSeconds} s a block, ${duration(1000 * seconds * rounds)} for all rounds`,
    `tokens  ${short(tokens)} a round and peer, ${short(tokens * uids)} where all ${uids} uids are taken`,
    `payload about ${bytes(payload)} a round and peer, ${bytes(payloadLimit(spec))} at most; ${ratio}`,
    `hash    ${hash}`,
  ];
  for (const line of lines) terminal.line(line);
  terminal.event("run", {
    ...{ file, name, preset: preset.name, seed, specHash: hash, genesisRoot: spec.genesisRoot },
    ...{ data: dataFolder, manifestSha256: spec.data.manifest, trainTokens, params, uids, rounds },
    ...{ roundBlocks: blocks, roundSeconds: seconds, roundTokens: tokens },
    ...{ payloadBytes: payload, payloadBytesMax: payloadLimit(spec) },
  });
}
