/** `skein up`: the first run. A whole network on this machine: a chain, a gateway, validators and trainers, which train one model together. */
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { fromUtf8, utf8 } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import { SkeinError } from "../base/errors.ts";
import { HISTORY_BYTES_MAX, SPEC_BYTES_MAX } from "../base/limits.ts";
import { fileLog } from "../base/log/file.node.ts";
import { type LogFields, numberIn, textIn } from "../base/log/log.ts";
import { readBounded, writeWhole } from "../chain/files.node.ts";
import { takeLock } from "../chain/local/disk/lock.node.ts";
import { paramCount } from "../engine/shape.ts";
import { commentedSpec } from "../run/commented.ts";
import { readSpecText, specHash } from "../run/parse.ts";
import { makeSpec, RUN_PRESETS } from "../run/presets.ts";
import { roundsOf } from "../run/rules.ts";
import type { RunSpec } from "../run/spec.ts";
import { PEER_ADVERSARIES } from "../sim/adversary/registry.ts";
import { listenForInterrupt } from "./shared/interrupt.ts";
import { HOME, type SharedOptions, wholeNumber, withEngine, withJson } from "./shared/options.ts";
import { prepareDefault } from "./shared/prepare.ts";
import { count, figures, processTerminal, type Terminal, table } from "./shared/terminal.ts";
import { openDataFolder } from "./shared/training.ts";
import { type Board, newBoard, settleBoard, tellBoard } from "./up/board.ts";
import { parseTold, type Told } from "./up/events.ts";
import { type ModelKeeper, modelKeeper, type Published } from "./up/model.ts";
import { type NetworkEnd, runNetwork } from "./up/network.ts";
import { filesOf, nodesOf, type UpPlan } from "./up/plan.ts";
import { choosePorts } from "./up/ports.ts";
import { openShow, type Show } from "./up/view/show.ts";
import type { Scene } from "./up/view/view.ts";
import { shortHash } from "./up/words.ts";

interface UpFlags extends SharedOptions {
  readonly dir: string;
  readonly trainers: number;
  readonly validators: number;
  readonly adversary?: readonly string[];
  readonly rounds?: number;
  readonly host: string;
}

const DIR: string = path.join(HOME, "up");
const PRESET = RUN_PRESETS.laptop;
const HELP_COLUMNS = 110;
/** Events that come too often to be kept. */
const FLEETING: readonly string[] = ["step", "checkpoint-fetch", "block", "request"];

/** The verb `up`. */
export function upCommand(): Command {
  const command = new Command("up")
    .summary("the first run: a whole network on this machine (npm start)")
    .description(
      "Starts a chain, a gateway, validators and trainers on this machine, each a process of its own, and shows how they " +
        "train a small model together. The text is what is already on this disk (documents of the installed packages; " +
        "nothing is downloaded). Ctrl-C stops all of them; started again, the run goes on where it was.",
    )
    .option("--dir <folder>", "where everything goes; delete it to start over", DIR)
    .option("--trainers <n>", "how many train", wholeNumber(1, 64), 4)
    .option("--validators <n>", "how many validate", wholeNumber(1, 16), 2)
    .option("--adversary <kinds>", "dishonest trainers besides, one of each kind: garbage,copycat,…", attacksOf)
    .option("--rounds <n>", "stop after so many more rounds (default: at the run's end)", wholeNumber(1, 1e9))
    .option("--host <address>", "the gateway's address: 0.0.0.0 lets other machines join", "127.0.0.1");
  withJson(withEngine(command, "1 for each node")).addHelpText(
    "after",
    `
Examples:
  skein up
  skein up --rounds 5 --dir first/
  skein up --trainers 2 --validators 1
  skein up --adversary copycat,sign-flip,garbage    watch them being found out
  skein up --json

Kinds of attack:
${wrapped(PEER_ADVERSARIES).join("\n")}`,
  );
  return command.action(up);
}

/** Names as lines of a help. */
function wrapped(names: readonly string[]): string[] {
  const lines: string[] = [];
  for (const name of names) {
    const last = lines.at(-1);
    const fits = last !== undefined && last.length + name.length + 3 <= HELP_COLUMNS;
    if (last !== undefined) lines[lines.length - 1] = fits ? `${last}, ${name}` : `${last},`;
    if (!fits) lines.push(`  ${name}`);
  }
  return lines;
}

/** Kinds of attack, as trainers make them. A parser for commander. */
function attacksOf(text: string): readonly string[] {
  const kinds = text.split(",").map((kind) => kind.trim());
  const unknown = kinds.find((kind) => !PEER_ADVERSARIES.includes(kind));
  if (unknown === undefined) return kinds;
  throw new InvalidArgumentError(`No trainer's attack is called ${JSON.stringify(unknown)}.`);
}

async function up(flags: UpFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const dir = path.normalize(flags.dir).replace(/[/\\]+$/, "");
  await fs.mkdir(dir, { recursive: true });
  const lock = await takeLock(path.join(dir, "lock"), {
    code: "config",
    message: `this network is already running in ${dir}`,
    remedy: "use that one, stop it, or choose another folder with --dir",
  });
  try {
    await upIn(dir, flags, terminal);
  } finally {
    await lock.release();
  }
}

async function upIn(dir: string, flags: UpFlags, terminal: Terminal): Promise<void> {
  const { trainers, validators, adversary: adversaries = [], engine, threads = 1, host } = flags;
  terminal.line("Skein: a whole network on this machine, training one small language model. Ctrl-C stops and saves.\n");
  const dataFolder = await prepareDefault(PRESET.model.vocabSize, terminal, dir);
  const spec = await specOf(dir, dataFolder, terminal);
  const all = trainers + adversaries.length;
  if (all + validators > spec.uids)
    throw new SkeinError("usage", `${all} trainers and ${validators} validators are too many for one run`, {
      details: `its spec has ${spec.uids} uids`,
      remedy: "start fewer: --trainers, --validators",
    });
  const plan: UpPlan = {
    ...{ dir, dataFolder, trainers, validators, adversaries, engine, threads, host },
    ports: await choosePorts(dir),
  };
  const board = newBoard(nodesOf(plan));
  await recall(board, filesOf(dir).history);
  const scene = sceneOf(spec, dir);
  tellStart(board, terminal);
  const show = openShow(board, scene, { terminal, glass: process.stdout, env: process.env });
  const end = await perform({ plan, spec, board, show, terminal, rounds: flags.rounds });
  tellEnd(end, board, spec, plan, terminal);
}

/** The run's spec: the one that is there, or a new one. */
async function specOf(dir: string, dataFolder: string, terminal: Terminal): Promise<RunSpec> {
  const file = filesOf(dir).spec;
  const there = await readBounded(file, SPEC_BYTES_MAX);
  if (there !== undefined) return readSpecText(fromUtf8(there));
  const { manifest } = await openDataFolder(dataFolder);
  const spec = makeSpec({ preset: PRESET.name, name: PRESET.name, seed: "1", manifest });
  await writeWhole(file, utf8(commentedSpec(spec)));
  terminal.event("spec", { file, uids: spec.uids, rounds: roundsOf(spec) });
  return spec;
}

function sceneOf(spec: RunSpec, folder: string): Scene {
  const { trainBlocks, revealBlocks, voteBlocks } = spec.timing;
  const timing = { train: trainBlocks, reveal: revealBlocks, vote: voteBlocks };
  return { name: spec.name, params: paramCount(spec.model), timing, rounds: roundsOf(spec), folder };
}

/** Makes a board what it was when the history ended. */
async function recall(board: Board, file: string): Promise<void> {
  for (const line of (await lastText(file)).split("\n")) {
    const told = parseTold(line);
    if (told !== undefined) tellBoard(board, told);
  }
  settleBoard(board);
}

/** The last HISTORY_BYTES_MAX bytes of a file; "" where there is none. */
async function lastText(file: string): Promise<string> {
  const handle = await fs.open(file, "r").catch(() => undefined);
  if (handle === undefined) return "";
  try {
    const { size } = await handle.stat();
    const bytes = new Uint8Array(Math.min(size, HISTORY_BYTES_MAX));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, size - bytes.length);
    return new TextDecoder().decode(bytes.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

function tellStart({ last, root, rounds }: Board, terminal: Terminal): void {
  terminal.event("begin", { node: "up", round: last === undefined ? 0 : last.round + 1, root: root ?? null });
  if (last === undefined || root === undefined) return;
  terminal.line(
    `going on: ${count(rounds)} rounds are over, state root ${shortHash(root)} after round ${last.round}\n`,
  );
}

interface Performance {
  readonly plan: UpPlan;
  readonly spec: RunSpec;
  readonly board: Board;
  readonly show: Show;
  readonly terminal: Terminal;
  readonly rounds: number | undefined;
}

/** Runs the network and shows it, until its end. */
async function perform({ plan, spec, board, show, terminal, rounds }: Performance): Promise<NetworkEnd> {
  const { link: linkFile, history } = filesOf(plan.dir);
  const log = fileLog(history);
  const keeper = await keeperOf(plan, spec, (kind, fields) => tell("up", kind, fields));
  function tell(node: string, kind: string, fields: LogFields): void {
    const told: Told = { node, kind, fields, timeMs: systemClock.now() };
    if (!FLEETING.includes(kind)) log.event(kind, { ...fields, node });
    tellBoard(board, told);
    show.told(told);
    const published = publishedIn(told, board);
    if (published !== undefined) keeper.offer(published);
  }
  const note = (text: string): void => tell("up", "note", { text: text.trim() });
  const interrupt = listenForInterrupt({ ...terminal, note }, "stopping; what is promised is still sent");
  const { signal } = interrupt;
  const program = [process.execPath, process.argv[1] ?? ""] as const;
  const onLink = async (link: string): Promise<void> => {
    await writeWhole(linkFile, utf8(`${link}\n`));
  };
  try {
    const limit = rounds === undefined ? {} : { rounds };
    const end = await runNetwork({ plan, specHash: specHash(spec), program, board, ...limit, tell, onLink, signal });
    await keeper.rest();
    return end;
  } finally {
    interrupt.release();
    show.close();
  }
}

async function keeperOf(
  { dir, dataFolder, engine }: UpPlan,
  spec: RunSpec,
  tell: (kind: string, fields: LogFields) => void,
): Promise<ModelKeeper> {
  const { blobs, model: folder } = filesOf(dir);
  const dataset = await openDataFolder(dataFolder);
  return modelKeeper(
    { spec, dataset, blobs, folder, engine },
    (round, text) => tell("sample", { round, text }),
    (why) => tell("note", { text: `the model could not be written to ${folder}: ${why}` }),
  );
}

/** The checkpoint that an event tells of, where it is of the newest params. */
function publishedIn({ kind, fields }: Told, { last, root }: Board): Published | undefined {
  const [round, manifest] = [numberIn(fields, "round"), textIn(fields, "manifest")];
  if (kind !== "checkpoint" || round === undefined || manifest === undefined) return undefined;
  return root !== undefined && last?.round === round - 1 ? { round, manifest, root } : undefined;
}

/** What became of the dishonest, beside the honest; nothing where nobody was. */
function dishonestLines({ nodes }: Board): string[] {
  const trainers = [...nodes.values()].filter(({ role }) => role === "trainer");
  const dishonest = trainers.filter(({ adversary }) => adversary !== undefined);
  if (dishonest.length === 0) return [];
  const honest = trainers.filter(({ adversary }) => adversary === undefined);
  const mean = honest.reduce((sum, { earned }) => sum + earned, 0) / Math.max(1, honest.length);
  const rows = dishonest.map(({ name, weight, earned, trouble = "nothing has come out" }) => [
    `  ${name}`,
    weight === undefined ? "" : weight.toFixed(2),
    figures(earned),
    trouble,
  ]);
  const heading = ["  dishonest", "weight", "earned", "found out"];
  return [...table([heading, ...rows], [1, 2]), `  (an honest trainer has earned ${figures(mean)} coins)`, ""];
}

function tellEnd(end: NetworkEnd, board: Board, spec: RunSpec, { dir }: UpPlan, terminal: Terminal): void {
  const { last, root, rounds, losses, sample } = board;
  terminal.event("end", {
    ...{ node: "up", why: end, round: last === undefined ? 0 : last.round + 1, rounds, root: root ?? null },
    ...{ loss: losses.at(-1)?.loss ?? null, folder: dir },
  });
  for (const line of dishonestLines(board)) terminal.line(line);
  const params =
    last === undefined || root === undefined
      ? "before the first round was over"
      : `after ${count(last.round + 1)} of ${count(roundsOf(spec))} rounds, state root ${shortHash(root)}`;
  const again = `skein up${dir === path.normalize(DIR) ? "" : ` --dir ${dir}`}`;
  const write = `skein generate ${filesOf(dir).model} --prompt "To install"`;
  if (end === "stopped") {
    const words = sample === undefined ? "" : `\n\`${write}\` lets it write`;
    throw new SkeinError("interrupted", `stopped ${params}\n\`${again}\` goes on from there${words}`);
  }
  terminal.line(end === "over" ? `the run is over ${params}` : `stopped as asked ${params}`);
  terminal.line("\nWhat next:");
  const next = [
    ...(end === "over" ? [] : [[`  ${again}`, "go on; and in another terminal, while it runs:"]]),
    ...(end === "over" ? [] : [[`  skein join $(cat ${filesOf(dir).link})`, "train in it yourself"]]),
    ...(sample === undefined ? [] : [[`  ${write}`, "let it write"]]),
    ["  skein init", "write down a run of your own, for other machines too"],
    ...(end === "over" ? [[`  rm -r ${dir}`, "start this one over"]] : []),
  ];
  for (const line of table(next)) terminal.line(line);
}
