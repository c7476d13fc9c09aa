/**
 * The other use of the simulator: not to plan but to break. Small networks of the toy in a world where everything goes wrong that can, drawn from the seed;
 * what must hold all the same is checked. A seed that breaks a promise breaks it again, so all that has to be told of it is the command.
 */
import { AssertionError } from "../../base/assert.ts";
import type { Violation } from "../../sim/result.ts";
import type { Simulated, SimulationOptions } from "../../sim/simulation.ts";
import { linearDataset, linearSpec, smallDataset, smallSpec } from "../../sim/world/toys.ts";
import type { Terminal } from "../shared/terminal.ts";
import { bar, count, duration } from "../shared/terminal.ts";
import { codeVersion } from "../shared/version.ts";
import type { Attackers, SeedRange } from "./flags.ts";
import { engineFor, type ModelName, membersOf, UIDS_MIN } from "./job.ts";

/** A network to break. */
export interface Trial {
  readonly peers: number;
  readonly validators: number;
  readonly rounds: number;
  readonly attackers: readonly Attackers[];
  readonly model: ModelName;
}

/** The trial where nothing is said about it. */
export const TRIAL: Trial = { peers: 4, validators: 3, rounds: 6, attackers: [], model: "linear" };

/** Seconds of a block. */
const BLOCK_SECONDS = 6;
/** Milliseconds of a token: a round's training takes less than half of its phase, and a validator judges all payloads while they are revealed. */
const MS_PER_TOKEN = { trainer: 60, validator: 10 } as const;
/** Broken promises of a seed that are shown. */
const SHOWN_MAX = 20;
/** Lines of a broken seed's log that are shown. */
const LINES_SHOWN = 60;

/** The simulation of a trial's seed. */
export function trialOf(trial: Trial, seed: number): SimulationOptions {
  const { peers, validators, rounds, attackers, model } = trial;
  const dataset = model === "linear" ? linearDataset() : smallDataset();
  const run = { rounds, uids: Math.max(UIDS_MIN, membersOf(trial, attackers)), seed: String(seed), dataset };
  const spec = model === "linear" ? linearSpec(run) : smallSpec(run);
  return {
    ...{ seed: String(seed), spec, dataset, trainers: peers, validators, attackers, weather: "drawn" },
    openEngine: engineFor(model, spec),
    blockSeconds: BLOCK_SECONDS,
    msPerToken: (name) => MS_PER_TOKEN[name.startsWith("v") ? "validator" : "trainer"],
  };
}

/** The command that shows one seed of a trial again. */
export function replayOf(trial: Trial, seed: number): string {
  const { peers, validators, rounds, attackers, model } = trial;
  const kinds = attackers.map(({ adversary, count: number }) => `${adversary.name}${number === 1 ? "" : `:${number}`}`);
  return [
    `skein simulate --faults --seed ${seed}`,
    ...(peers === TRIAL.peers ? [] : [`--peers ${peers}`]),
    ...(validators === TRIAL.validators ? [] : [`--validators ${validators}`]),
    ...(rounds === TRIAL.rounds ? [] : [`--rounds ${rounds}`]),
    ...(kinds.length === 0 ? [] : [`--adversary ${kinds.join(",")}`]),
    ...(model === TRIAL.model ? [] : [`--model ${model}`]),
  ].join(" ");
}

/** What a seed came to. */
export interface SeedEnd {
  readonly seed: number;
  readonly result: Simulated;
  /** What must not be: broken invariants, and a second run that went otherwise. */
  readonly broken: readonly string[];
}

/** How seeds are tried. */
export interface Trying {
  readonly trial: Trial;
  readonly seeds: SeedRange;
  /** Every seed a second time, which must give the same trace. */
  readonly twice: boolean;
  readonly run: (options: SimulationOptions) => Promise<Simulated>;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

/** What all of them came to. */
export interface Tried {
  readonly tried: number;
  /** The newest that broke nothing. */
  readonly calm: SeedEnd | undefined;
  readonly broken: readonly number[];
}

/** Tries seeds one after another and tells of each. */
export async function trySeeds(trying: Trying): Promise<Tried> {
  const { seeds, terminal, signal } = trying;
  const broken: number[] = [];
  let calm: SeedEnd | undefined;
  const all = seeds.last - seeds.first + 1;
  let tried = 0;
  for (let seed = seeds.first; seed <= seeds.last && !signal.aborted; seed++) {
    terminal.status(`${bar(tried / all)} seed ${seed}  ${count(tried)} done, ${broken.length} broken`);
    const end = await trySeed(trying, seed);
    tried += 1;
    terminal.event("seed", fieldsOf(end));
    if (end.broken.length === 0) calm = end;
    if (end.broken.length === 0) continue;
    broken.push(seed);
    for (const line of brokenLines(trying.trial, end)) terminal.line(line);
  }
  terminal.clear();
  return { tried, calm, broken };
}

async function trySeed({ trial, twice, run }: Trying, seed: number): Promise<SeedEnd> {
  const result = await run(trialOf(trial, seed));
  const broken = result.violations.map(violationText);
  if (!twice) return { seed, result, broken };
  const { traceHash } = await run(trialOf(trial, seed));
  const differs = `determinism: the second run went otherwise (${result.traceHash.slice(0, 12)}, ${traceHash.slice(0, 12)})`;
  return { seed, result, broken: traceHash === result.traceHash ? broken : [...broken, differs] };
}

/** A broken promise in words. */
export function violationText({ invariant, atMs, what }: Violation): string {
  return `${invariant}, at ${(atMs / 1000).toFixed(1)} s: ${what}`;
}

function fieldsOf({ seed, result, broken }: SeedEnd): Parameters<Terminal["event"]>[1] {
  const { traceHash, blocks, virtualMs, calls, faults, rounds } = result;
  const applied = rounds.reduce((sum, each) => sum + each.applied, 0);
  return { seed, traceHash, blocks, virtualMs, rounds: rounds.length, applied, calls, faults, broken };
}

/** What is told of a broken seed: the promises, the log's last lines, the command. */
export function brokenLines(trial: Trial, { seed, result, broken }: SeedEnd): string[] {
  return [
    `seed ${seed} breaks ${broken.length === 1 ? "a promise" : `${broken.length} promises`}:`,
    ...broken.slice(0, SHOWN_MAX).map((each) => `  ${each}`),
    ...(broken.length > SHOWN_MAX ? [`  and ${broken.length - SHOWN_MAX} more`] : []),
    "its log's last lines (seconds, node, what):",
    ...result.lines.slice(-LINES_SHOWN).map((line) => `  ${line}`),
    `again: ${replayOf(trial, seed)}   (code: ${codeVersion()})`,
    "",
  ];
}

/** What is told of a seed that was asked for alone and broke nothing. */
export function calmLines({ seed, result }: SeedEnd): string[] {
  const { blocks, virtualMs, rounds, faults, traceHash } = result;
  const named = Object.entries(faults).filter(([, times]) => times > 0);
  return [
    `seed ${seed}: ${rounds.length} rounds in ${count(blocks)} blocks, ${duration(virtualMs)}; nothing is broken`,
    `faults  ${named.length === 0 ? "none" : named.map(([name, times]) => `${times} ${name}`).join(", ")}`,
    `trace   ${traceHash}`,
  ];
}

/** Thrown where promises were broken: a mistake of ours, whatever the seed. `again` are the commands that show it. */
export function brokenPromise(what: string, again: readonly string[]): AssertionError {
  const error = new AssertionError(what);
  error.stack = again.join("\n"); // says more than where this line stands
  return error;
}

/** The same of seeds of a trial. */
export function brokenSeeds(trial: Trial, { tried, broken }: Tried): AssertionError {
  const what = tried === 1 ? "a promise was broken" : `promises were broken in ${broken.length} of ${tried} seeds`;
  return brokenPromise(
    what,
    broken.map((seed) => replayOf(trial, seed)),
  );
}
