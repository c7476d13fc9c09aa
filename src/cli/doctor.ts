/** `skein doctor`: what this machine is, which engines work, how fast each preset trains here, and the largest that fits. */
import { Command } from "commander";
import { must } from "../base/assert.ts";
import { systemClock } from "../base/clock.ts";
import type { EngineOptions } from "../engine/engine.ts";
import { describeEngines, type EngineName, planMemory } from "../engine/open.node.ts";
import { paramCount } from "../engine/shape.ts";
import { trainFlopsPerToken } from "../model/count.ts";
import { PRESET_NAMES, PRESETS, type Preset } from "../model/presets.ts";
import { checkRun } from "./node/checkup.ts";
import { bytesMaxOf, type Machine, settingsThatFit, thisMachine } from "./shared/machine.ts";
import { type SharedOptions, withEngine, withJson } from "./shared/options.ts";
import { measureSpeed } from "./shared/speed.ts";
import { bytes, count, duration, processTerminal, short, type Terminal, table } from "./shared/terminal.ts";

interface DoctorOptions extends SharedOptions {
  readonly quick?: boolean;
  readonly rpc?: string;
}

/** Whether and how a preset can be trained here. */
interface Verdict {
  readonly preset: Preset;
  readonly params: number;
  /** Bytes of the engine's plan with the preset's own batch. */
  readonly planBytes: number;
  readonly recomputeBytes: number;
  /** The preset's settings, or the nearest that fit; undefined where none do. */
  readonly settings: EngineOptions | undefined;
  readonly tokensPerSecond: number;
  readonly measured: boolean;
}

/** Milliseconds that all measurements together may take, about. */
const BUDGET_MS = 60_000;
const QUICK_BUDGET_MS = 8_000;

/** The verb `doctor`. */
export function doctorCommand(): Command {
  const command = new Command("doctor")
    .summary("what this machine is, which engines work, how fast they train, what fits")
    .description(
      "Says what this machine is, which engines work on it and why others do not, how many tokens a second it " +
        "trains of each preset (measured where that takes seconds, estimated from the measurements otherwise), and " +
        "the largest preset that fits in its memory. With a join link: whether it can join that run, and what it would do there.",
    )
    .argument("[link]", "a run's join link")
    .option("--rpc <url>", "with a link: a node of the run's chain (default: through the gateway)")
    .option("--quick", "measure for seconds instead of a minute")
    .addHelpText(
      "after",
      "\nExamples:\n  skein doctor\n  skein doctor --engine wasm --threads 1\n  skein doctor --quick --json\n" +
        "  skein doctor http://192.0.2.7:8640/r/5f0c…",
    );
  return withJson(withEngine(command)).action(doctor);
}

async function doctor(link: string | undefined, options: DoctorOptions): Promise<void> {
  const terminal = processTerminal(options.json === true);
  const machine = thisMachine();
  tellMachine(machine, terminal);
  const threads = options.threads ?? machine.cores;
  if (link !== undefined) {
    const budgetMs = options.quick === true ? QUICK_BUDGET_MS : BUDGET_MS;
    const { engine, rpc } = options;
    return checkRun({ link, rpc, engine, threads, machine, budgetMs }, terminal);
  }
  await tellEngines(terminal);
  const { verdicts, backend } = await examine(options.engine, threads, machine, options.quick === true, terminal);
  tellSpeeds(verdicts, backend, threads, terminal);
  tellLargest(verdicts, machine, terminal);
}

function tellMachine(machine: Machine, terminal: Terminal): void {
  terminal.event("machine", { ...machine });
  terminal.line("This machine");
  terminal.line(`  ${machine.cpu}, ${machine.cores} ${machine.cores === 1 ? "thread" : "threads"}`);
  terminal.line(`  ${bytes(machine.memoryBytes)} of memory, ${bytes(machine.availableBytes)} available now`);
  terminal.line(`  ${machine.system}, Node ${machine.node}`);
}

async function tellEngines(terminal: Terminal): Promise<void> {
  const engines = await describeEngines();
  terminal.line("\nEngines");
  const rows = engines.map(({ name, available, backend, reason }) => [
    `  ${name}`,
    available ? "works" : "does not work",
    available ? backend : (reason ?? ""),
  ]);
  for (const line of table(rows)) terminal.line(line);
  for (const { name, available, backend, reason, remedy } of engines) {
    terminal.event("engine", { name, available, backend, reason: reason ?? null, remedy: remedy ?? null });
    if (!available && remedy !== undefined) terminal.line(`  to use ${name}: ${remedy}`);
  }
}

/** Goes through the presets, smallest first: measures while the budget lasts, then estimates from the last measurement. */
async function examine(
  engine: EngineName,
  threads: number,
  machine: Machine,
  quick: boolean,
  terminal: Terminal,
): Promise<{ verdicts: Verdict[]; backend: string }> {
  const verdicts: Verdict[] = [];
  const endMs = systemClock.monotonic() + (quick ? QUICK_BUDGET_MS : BUDGET_MS);
  const bytesMax = bytesMaxOf(engine, threads, machine);
  let flopsPerSecond = 0;
  let backend = "";
  for (const name of PRESET_NAMES) {
    const preset = PRESETS[name];
    const plan = (options: EngineOptions) => planMemory(engine, options);
    const wanted: EngineOptions = { shape: preset.shape, seqLen: preset.seqLen, microBatch: preset.batch, threads };
    const settings = settingsThatFit(wanted, bytesMax, plan);
    const flops = trainFlopsPerToken(preset.shape, preset.seqLen);
    const stepMs = flopsPerSecond === 0 ? 0 : (flops * preset.batch * preset.seqLen * 1000) / flopsPerSecond;
    // A measurement is one short warm-up and at least one full step; leave half the time to the larger ones.
    const measured = settings !== undefined && 2.5 * stepMs < (endMs - systemClock.monotonic()) / 2;
    if (measured) {
      terminal.status(`measuring ${name} …`, true);
      const budgetMs = (endMs - systemClock.monotonic()) / 3;
      const probe = await measureSpeed({ engine, ...settings }, preset.batch, budgetMs);
      backend = probe.backend;
      flopsPerSecond = flops * probe.tokensPerSecond;
    }
    verdicts.push({
      preset,
      params: paramCount(preset.shape),
      planBytes: plan(wanted).totalBytes,
      recomputeBytes: plan({ ...wanted, microBatch: 1, recompute: true }).totalBytes,
      settings,
      tokensPerSecond: flopsPerSecond / flops,
      measured,
    });
  }
  terminal.clear();
  return { verdicts, backend };
}

function tellSpeeds(verdicts: readonly Verdict[], backend: string, threads: number, terminal: Terminal): void {
  terminal.line(`\nTraining (${backend}, ${threads} ${threads === 1 ? "thread" : "threads"})`);
  const rows = [["  preset", "params", "tokens/s", "", "a whole run", "memory", "at least", ""]];
  for (const verdict of verdicts) {
    const { preset, params, planBytes, recomputeBytes, settings, tokensPerSecond, measured } = verdict;
    const runTokens = preset.schedule.steps * preset.batch * preset.seqLen;
    const flags = settings && flagsOf(settings, preset);
    rows.push([
      `  ${preset.name}`,
      short(params),
      settings ? count(tokensPerSecond) : "",
      settings ? (measured ? "measured" : "estimated") : "",
      settings ? duration((runTokens / tokensPerSecond) * 1000) : "",
      bytes(planBytes),
      bytes(recomputeBytes),
      settings ? (flags ?? "") : "does not fit",
    ]);
    terminal.event("preset", {
      name: preset.name,
      params,
      fits: settings !== undefined,
      flags: flags ?? null,
      planBytes,
      smallestPlanBytes: recomputeBytes,
      tokensPerSecond: settings ? Math.round(tokensPerSecond) : null,
      measured,
      runSeconds: settings ? Math.round(runTokens / tokensPerSecond) : null,
    });
  }
  for (const line of table(rows, [1, 2, 4, 5, 6])) terminal.line(line);
  terminal.line("  (memory: with the preset's batch at once; at least: with --micro-batch 1 --recompute)");
}

/** What must be added to `skein train` so that it fits. */
function flagsOf(settings: EngineOptions, preset: Preset): string {
  const smaller = settings.microBatch < preset.batch ? `--micro-batch ${settings.microBatch}` : "";
  return [smaller, settings.recompute ? "--recompute" : ""].filter((flag) => flag !== "").join(" ");
}

function tellLargest(verdicts: readonly Verdict[], machine: Machine, terminal: Terminal): void {
  const largest = verdicts.filter(({ settings }) => settings !== undefined).at(-1);
  const plain = verdicts.filter(({ settings, preset }) => settings !== undefined && flagsOf(settings, preset) === "");
  terminal.event("largest", {
    preset: largest?.preset.name ?? null,
    presetWithoutFlags: plain.at(-1)?.preset.name ?? null,
  });
  if (largest === undefined) {
    terminal.line(
      `\nNo preset fits in ${bytes(machine.availableBytes)}. Close other programs, or use a machine with more memory.`,
    );
    return;
  }
  const flags = flagsOf(must(largest.settings, "settings of a preset that fits"), largest.preset);
  terminal.line(
    `\nThe largest preset that fits in memory: ${largest.preset.name}${flags === "" ? "" : ` (with ${flags})`}.`,
  );
  const within = verdicts.filter(({ settings, tokensPerSecond, preset }) => {
    const seconds = (preset.schedule.steps * preset.batch * preset.seqLen) / tokensPerSecond;
    return settings !== undefined && seconds < 86_400;
  });
  const inTime = within.at(-1)?.preset.name;
  if (inTime !== undefined)
    terminal.line(`The largest that a day is enough for: ${inTime}. Try \`skein train --preset ${inTime}\`.`);
}
