/**
 * What a simulated network stands for: a run that somebody means to make, with its model, its rounds, its peers' lines and machines. From a preset, a
 * run.json, or Covenant-72B; options change what they name. A plan says how long everything takes; a toy in the model's place does the rest (job.ts).
 */
import { readFile } from "node:fs/promises";
import { SkeinError } from "../../base/errors.ts";
import { ROUND_BLOCKS_MAX } from "../../base/limits.ts";
import { paramCount } from "../../engine/shape.ts";
import { readSpecText, roundsSeen } from "../../run/parse.ts";
import { RUN_PRESET_NAMES, RUN_PRESETS, type RunPresetName } from "../../run/presets.ts";
import { blocksOf, payloadEstimate, roundsOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { COVENANT_PLAN } from "./covenant.ts";
import { type Line, type Phases, type PhaseWork, type PlanBase, payloadBytesAt, phasesFor } from "./schedule.ts";

/** What options say otherwise. */
export interface PlanChanges {
  readonly peers?: number;
  readonly validators?: number;
  readonly link?: Pick<Line, "upMbps" | "downMbps">;
  readonly latency?: number;
  readonly speed?: number;
  readonly ratio?: number;
  readonly delay?: 0 | 1;
  readonly block?: number;
  readonly innerSteps?: number;
}

/** A planned run, complete. */
export interface Plan extends Pick<RunSpec, "uids" | "inner" | "codec" | "outer" | "score" | "audit"> {
  readonly name: string;
  /** Of the model. */
  readonly params: number;
  readonly rounds: number;
  /** Honest trainers, and validators. */
  readonly peers: number;
  readonly validators: number;
  /** Tokens that one peer trains on in a round, at most. */
  readonly roundTokens: number;
  readonly payloadBytes: number;
  readonly line: Line;
  readonly speed: number;
  /** Seconds of a full round's training, and of a validator's judging. */
  readonly computeS: number;
  readonly judgeS: number;
  readonly blockS: number;
  readonly phases: Phases;
}

/** Names of plans that need no file. */
export const PLAN_NAMES: readonly string[] = [...RUN_PRESET_NAMES, COVENANT_PLAN.name];

/** A home's line in many countries. */
const LINE: Line = { upMbps: 20, downMbps: 100, latencyMs: 50 };
const PEERS = 8;
const VALIDATORS = 2;
/** Seconds of a block where a run.json leaves it to the chain. */
const BLOCK_SECONDS = 12;
/** Share of the training phase that full training takes where no speed is named: as the presets are meant. */
const BUSY_SHARE = 0.6;
/** Of the work of a training step, what it takes only to measure a loss. */
export const FORWARD_SHARE: number = 1 / 3;

/** The plan called `source`: a name, or a run.json. Throws SkeinError("usage") where there is neither, "config" for what is no run spec. */
export async function openPlan(source: string): Promise<PlanBase> {
  if (source === COVENANT_PLAN.name) return COVENANT_PLAN;
  const preset = RUN_PRESET_NAMES.find((name): name is RunPresetName => name === source);
  if (preset !== undefined) return RUN_PRESETS[preset];
  let text: string;
  try {
    text = await readFile(source, "utf8");
  } catch (cause) {
    throw new SkeinError("usage", `there is no plan and no file ${JSON.stringify(source)}`, {
      remedy: `name a run.json, or one of ${PLAN_NAMES.join(", ")}`,
      cause,
    });
  }
  return { ...readSpecText(text), blockSeconds: BLOCK_SECONDS };
}

/** The plan in full. */
export function planOf(base: PlanBase, changes: PlanChanges = {}): Plan {
  const { name, model, uids, codec, score, audit } = base;
  const inner = { ...base.inner, steps: changes.innerSteps ?? base.inner.steps };
  const validators = changes.validators ?? VALIDATORS;
  const peers = changes.peers ?? base.peers ?? Math.max(1, Math.min(PEERS, base.uids - validators));
  const line = { ...LINE, ...base.line, ...changes.link };
  const outer = { ...base.outer, delay: changes.delay ?? base.outer.delay };
  const params = paramCount(model);
  const ratio = changes.ratio ?? base.ratio;
  const payloadBytes = ratio === undefined ? payloadEstimate(asSpec(base)) : payloadBytesAt(params, ratio);
  const roundTokens = tokensOf(inner);
  const busyS = BUSY_SHARE * (base.timing?.trainBlocks ?? 1) * base.blockSeconds;
  const speed = changes.speed ?? base.speed ?? tokensOf(base.inner) / busyS;
  const computeS = roundTokens / speed;
  const judgeS = (FORWARD_SHARE * judgedTokens({ score, inner }, peers)) / speed;
  const work = {
    ...{ computeS, payloadBytes, applied: Math.min(peers, outer.cap), delay: outer.delay },
    ...{ sent: peers, judgeS },
    line: { ...line, latencyMs: changes.latency ?? line.latencyMs },
  };
  const blockS = changes.block ?? base.blockSeconds;
  return {
    ...{ name, params, peers, validators, roundTokens, payloadBytes, speed, computeS, judgeS },
    ...{ uids, inner, codec, outer, score, audit, line: work.line },
    rounds: roundsOf({ inner }),
    ...(base.timing === undefined
      ? fitting(work, blockS, roundsSeen({ outer, audit }))
      : { blockS, phases: base.timing }),
  };
}

/** The shortest phases for the work, of longer blocks where rounds would have more of them than they may (run/parse.ts). */
function fitting(work: Omit<PhaseWork, "blockS">, blockS: number, seen: number): Pick<Plan, "blockS" | "phases"> {
  const phases = phasesFor({ ...work, blockS });
  const isShort = seen * blocksOf({ timing: phases }) <= ROUND_BLOCKS_MAX;
  return isShort ? { blockS, phases } : fitting(work, 2 * blockS, seen);
}

/** Tokens of a round that a validator measures losses on: the sample of nobody before and after each payload, each peer's own twice, and validation. */
export function judgedTokens({ score, inner }: Pick<RunSpec, "score" | "inner">, peers: number): number {
  const each = 2 * score.sequences + score.unassigned;
  const sequences = Math.min(peers, score.peers) * each + score.unassigned + score.validationSequences;
  return sequences * inner.seqLen;
}

function tokensOf({ steps, batch, seqLen }: RunSpec["inner"]): number {
  return steps * batch * seqLen;
}

/** What the rules of a spec take; they look at nothing that is made up here. */
function asSpec(base: PlanBase): RunSpec {
  const timing = base.timing ?? { trainBlocks: 1, revealBlocks: 1, voteBlocks: 1 };
  const data = { manifest: "", tokenizer: "" };
  return { protocol: 1, seed: "", genesisRoot: "", checkpointEvery: 1, ...base, data, timing };
}
