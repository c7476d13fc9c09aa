/** `skein simulate`: what a planned run would come to, or whether anything breaks it, in virtual time on this machine. */
import { writeFile } from "node:fs/promises";
import { Command, Option } from "commander";
import { SkeinError } from "../base/errors.ts";
import { PEER_ADVERSARIES } from "../sim/adversary/registry.ts";
import type { Simulated, SimulationOptions } from "../sim/simulation.ts";
import { listenForInterrupt } from "./shared/interrupt.ts";
import { wholeNumber, withJson } from "./shared/options.ts";
import { bar, processTerminal, type Terminal, table } from "./shared/terminal.ts";
import { outcomeFields, planFields } from "./simulate/fields.ts";
import {
  type Attackers,
  attackersOf,
  optionName,
  PLAN_OPTIONS,
  type SeedRange,
  SWEPT_NAMES,
  type Sweep,
  seedsOf,
  sweepOf,
} from "./simulate/flags.ts";
import { jobOf, MODELS, type ModelName, type Question } from "./simulate/job.ts";
import { measureOf, type Outcome } from "./simulate/measure.ts";
import { openPlan, PLAN_NAMES, type Plan, type PlanChanges, planOf } from "./simulate/plan.ts";
import { reportPage } from "./simulate/report.ts";
import { brokenPromise, brokenSeeds, calmLines, TRIAL, type Trial, trySeeds, violationText } from "./simulate/seeds.ts";
import { outcomeLines, type Swept, sweepRows } from "./simulate/view.ts";

/** What `skein simulate` is given. */
export interface SimulateFlags extends PlanChanges {
  readonly seed?: number;
  readonly seeds?: SeedRange;
  readonly rounds?: number;
  readonly adversary?: readonly Attackers[];
  readonly faults?: boolean;
  readonly twice?: boolean;
  readonly model: ModelName;
  readonly sweep?: Sweep;
  readonly report?: string;
  readonly json?: boolean;
}

const PLAN_DEFAULT = "laptop";
const ROUNDS_DEFAULT = 10;
/** Broken promises of one plan that are shown. */
const VIOLATIONS_SHOWN_MAX = 5;
/** Options that say how long things take: where faults are drawn, so are they. */
const TIMES = ["link", "latency", "speed", "ratio", "delay", "block", "innerSteps", "sweep", "report"] as const;

/** The verb `simulate`. */
export function simulateCommand(): Command {
  const command = new Command("simulate")
    .summary("what a planned run would come to; or whether faults break it")
    .description(
      "Runs a whole network in one process and in virtual time: the real trainers, validators, codec, chain and pay, with a toy in the " +
        "model's place, on lines and machines that take as long as the plan's would. Says how much of their time peers would train, what " +
        "they and attackers would earn, what they would send and fetch, and what loss a scaling law promises.\n\n" +
        "With --faults it is a test instead: a small network in which everything goes wrong that can, drawn from the seed, and the promises " +
        "that must be kept all the same. A broken one ends with 1 and the command that shows it again.",
    )
    .argument("[plan]", `a run.json, or one of ${PLAN_NAMES.join(", ")} (default: ${PLAN_DEFAULT})`)
    .option("--seed <n>", "chooses everything that is left to chance (default: 1)", wholeNumber(0))
    .option(
      "--rounds <n>",
      `rounds (default: ${ROUNDS_DEFAULT}, with --faults ${TRIAL.rounds})`,
      wholeNumber(1, 10_000),
    )
    .option("--peers <n>", `honest trainers (default: the plan's, with --faults ${TRIAL.peers})`, PLAN_OPTIONS.peers)
    .option("--validators <n>", `validators (default: 2, with --faults ${TRIAL.validators})`, PLAN_OPTIONS.validators)
    .option("--adversary <kinds>", `dishonest trainers besides: NAME or NAME:COUNT, with commas`, attackersOf);
  return withJson(withFaults(withTimes(command)))
    .addHelpText(
      "after",
      `
Kinds of dishonest trainers:
  ${wrapped(PEER_ADVERSARIES, 106).join("\n  ")}

Examples:
  skein simulate                                        the preset laptop, eight peers
  skein simulate run.json --peers 64 --link 10/50       your run, on lines that you expect
  skein simulate --adversary copycat,sign-flip:2        what dishonesty would earn
  skein simulate covenant-72b --sweep link=110/500,1000/1000 --report covenant.html
  skein simulate --faults --seeds 1-1000                look for what breaks`,
    )
    .action(run);
}

/** Adds what says how long things take, and what is told of it. */
function withTimes(command: Command): Command {
  return command
    .option("--link <up/down>", "a peer's line in Mb/s (default: the plan's, else 20/100)", PLAN_OPTIONS.link)
    .option("--latency <ms>", "of a message, at least (default: 50)", PLAN_OPTIONS.latency)
    .option("--speed <tokens/s>", "that a peer trains on (default: what the plan asks for)", PLAN_OPTIONS.speed)
    .option("--ratio <x>", "bytes of the model in float32 to a payload's (default: the codec's)", PLAN_OPTIONS.ratio)
    .option("--delay <rounds>", "by which updates are applied later, 0 or 1 (default: the plan's)", PLAN_OPTIONS.delay)
    .option("--block <seconds>", "of the chain (default: the plan's, for a run.json 12)", PLAN_OPTIONS.block)
    .option("--inner-steps <n>", "steps of a round (default: the plan's)", PLAN_OPTIONS.innerSteps)
    .option("--sweep <setting=values>", `one of ${SWEPT_NAMES.join(", ")} with several values, with commas`, sweepOf)
    .option("--report <file>", "a page with charts, as one HTML file");
}

function withFaults(command: Command): Command {
  return command
    .option("--faults", "test: faults drawn from the seed, promises checked")
    .option("--seeds <first-last>", "test these seeds, one after another", seedsOf)
    .option("--twice", "test every seed a second time: it must go the same way")
    .addOption(
      new Option("--model <name>", "the toy: linear is fast, small is a real transformer, slow")
        .choices(MODELS)
        .default("linear"),
    );
}

/** Words with commas in lines of at most `columns`. */
function wrapped(words: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length + 2 <= columns) lines[lines.length - 1] = `${last}, ${word}`;
    else lines.push(word);
  }
  return lines.map((line, i) => (i < lines.length - 1 ? `${line},` : line));
}

async function run(source: string | undefined, flags: SimulateFlags): Promise<void> {
  const terminal = processTerminal(flags.json === true);
  const isTest = flags.faults === true || flags.seeds !== undefined || flags.twice === true;
  if (isTest) return test(source, flags, terminal);
  const base = await openPlan(source ?? PLAN_DEFAULT);
  const { sweep } = flags;
  const question: Question = {
    seed: String(flags.seed ?? 1),
    rounds: flags.rounds ?? ROUNDS_DEFAULT,
    attackers: flags.adversary ?? [],
    model: flags.model,
  };
  const plans = (sweep?.values ?? [{ text: "", changes: {} }]).map(({ text, changes }) => ({
    value: text,
    plan: planOf(base, { ...flags, ...changes }),
  }));
  const swept: Swept[] = [];
  let broken = 0;
  for (const { value, plan } of plans) {
    const { outcome, violations } = await play(
      plan,
      question,
      sweep === undefined ? "" : `${sweep.name} ${value}  `,
      terminal,
    );
    broken += violations;
    swept.push({ value, plan, outcome });
    terminal.event("plan", { ...planFields(plan), ...(sweep && { [sweep.name]: value }) });
    terminal.event("outcome", outcomeFields(plan, outcome));
  }
  await show(swept, flags, terminal);
  if (broken > 0) throw brokenPromise("a promise was broken, see above", [commandLine()]);
}

/** What was typed. */
const commandLine = (): string => `skein ${process.argv.slice(2).join(" ")}`;

interface Played {
  readonly outcome: Outcome;
  readonly violations: number;
}

/** Simulates one plan. */
async function play(plan: Plan, question: Question, label: string, terminal: Terminal): Promise<Played> {
  const job = jobOf(plan, question);
  const measure = measureOf(plan, job.spec);
  terminal.status(`${label}setting up ${plan.peers} trainers and ${plan.validators} validators`, true);
  const result = await inTurns({
    ...job,
    onEvent: (name, event) => measure.onEvent(name, event),
    onRound: ({ round, commits }) =>
      terminal.status(
        `${label}${bar((round + 1) / question.rounds)} round ${round + 1}/${question.rounds}  ${commits} payloads`,
      ),
  });
  terminal.clear();
  const violations = result.violations.filter(({ invariant }) => invariant !== "liveness");
  const stuck = result.violations.length - violations.length;
  if (stuck > 0) terminal.note("rounds move nothing: this plan's phases are too short for its validators and lines");
  for (const violation of violations.slice(0, VIOLATIONS_SHOWN_MAX))
    terminal.note(`a promise was broken: ${violationText(violation)}`);
  if (violations.length > VIOLATIONS_SHOWN_MAX) terminal.note(`and ${violations.length - VIOLATIONS_SHOWN_MAX} more`);
  for (const { invariant, atMs, what } of violations) terminal.event("violation", { invariant, atMs, what });
  return { outcome: measure.outcome(result), violations: violations.length };
}

/** The simulation, with a turn of this process's event loop between two events. What it is made of is loaded here: no other verb needs it. */
async function inTurns(options: SimulationOptions): Promise<Simulated> {
  const { simulate } = await import("../sim/simulation.ts");
  return simulate({ ...options, turn: () => new Promise((resolve) => setImmediate(resolve)) });
}

async function show(swept: readonly Swept[], { sweep, report }: SimulateFlags, terminal: Terminal): Promise<void> {
  const [first] = swept;
  if (first === undefined) return;
  const { plan, outcome } = first;
  const rows = sweep === undefined ? [] : sweepRows(sweep.name, swept);
  const lines =
    sweep === undefined
      ? outcomeLines(plan, outcome)
      : table(
          rows,
          rows[0]?.map((_, i) => i),
        );
  for (const line of lines) terminal.line(line);
  if (report === undefined) return;
  const page = reportPage({
    command: commandLine(),
    plan,
    outcome,
    ...(sweep && { sweep: { name: sweep.name, swept } }),
  });
  try {
    await writeFile(report, page);
  } catch (cause) {
    throw new SkeinError("usage", `${report} cannot be written: ${(cause as Error).message}`, {
      remedy: "name another file: --report",
      cause,
    });
  }
  terminal.line(`\nreport  ${report}`);
  terminal.event("report", { file: report });
}

async function test(source: string | undefined, flags: SimulateFlags, terminal: Terminal): Promise<void> {
  const given = TIMES.filter((name) => flags[name] !== undefined);
  if (source !== undefined || given.length > 0) {
    const what = source !== undefined ? "a plan" : `--${optionName(given[0] ?? "")}`;
    throw new SkeinError("usage", `faults are drawn with all that takes time: ${what} does not go with them`, {
      remedy: "leave out one or the other",
    });
  }
  const { peers = TRIAL.peers, validators = TRIAL.validators, rounds = TRIAL.rounds, adversary, model } = flags;
  const trial: Trial = { peers, validators, rounds, attackers: adversary ?? [], model };
  const seeds = flags.seeds ?? { first: flags.seed ?? 1, last: flags.seed ?? 1 };
  const interrupt = listenForInterrupt(terminal, "\nstopping after this seed");
  try {
    const { signal } = interrupt;
    const trying = { trial, seeds, twice: flags.twice === true, run: inTurns, terminal, signal };
    const ended = await trySeeds(trying);
    const { tried, calm, broken } = ended;
    terminal.event("end", { tried, broken });
    if (broken.length > 0) throw brokenSeeds(trial, ended);
    if (signal.aborted) throw new SkeinError("interrupted", `stopped after ${tried} seeds, none of them broken`);
    if (seeds.first === seeds.last && calm) for (const line of calmLines(calm)) terminal.line(line);
    else terminal.line(`${tried} seeds, none of them broken`);
  } finally {
    interrupt.release();
  }
}
