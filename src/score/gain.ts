/**
 * What a payload is worth: how much a small step along it lowers the loss. L(θ) − L(θ − β·Δ̂), in nats a token, on sequences that the
 * peer was assigned and on sequences that nobody was (Gauntlet, arXiv 2505.21684: LossScore on D_assigned and D_rand).
 *
 * Departures: the step is meant to be the one that the round would take along this payload alone, not a fixed share of the outer learning
 * rate; losses at θ are computed once a sequence, however many peers are judged on it; and a gain comes with its standard error, so that what is
 * chance is not taken for harm. Everything is a function of params, payloads and sequences, so on a deterministic engine anybody gets the same
 * numbers, whoever else is judged and in whatever order.
 */
import { assert, must } from "../base/assert.ts";
import { NATS_MAX } from "../base/limits.ts";
import type { TokenSource } from "../data/dataset.ts";
import type { Engine } from "../engine/engine.ts";
import type { ParamEntry } from "../engine/shape.ts";
import { batchOf } from "../evaluate/validation.ts";
import type { ApplySettings } from "../round/aggregation.ts";
import { applyTensor } from "../round/apply.ts";
import type { Contribution } from "../round/contribution.ts";
import type { MeansKernel } from "../round/means.ts";

/** A payload to judge, and on what. */
export interface JudgedPayload {
  readonly uid: number;
  readonly contribution: Contribution;
  /** Sequences that the peer trained on. */
  readonly assigned: readonly number[];
  /** Sequences that nobody trained on in this round. */
  readonly unassigned: readonly number[];
}

/** By what payloads are judged. */
export interface EvaluationSetup {
  readonly engine: Engine;
  /** θ, from which the payloads started or to which they will be applied. */
  readonly params: Float32Array;
  readonly layout: readonly ParamEntry[];
  /** β: how far to go along a payload; see `evaluationStep`. In (0, 1000]. */
  readonly step: number;
  readonly split: TokenSource;
  readonly seqLen: number;
  /** Changes the speed and nothing else. */
  readonly means?: MeansKernel;
}

/** What to judge, with what. */
export interface EvaluationJob extends EvaluationSetup {
  readonly contributions: readonly JudgedPayload[];
  /** Once aborted, the payload under way is given up and no further one is begun. */
  readonly signal?: AbortSignal;
}

/** Losses and gains of one payload: means over its sequences, in nats a token, within ±NATS_MAX; zeros where it had no sequences. */
export interface Evaluation {
  readonly uid: number;
  /** Loss before minus loss after, on assigned sequences. */
  readonly gainAssigned: number;
  /** The same on unassigned sequences: what a payload is rated by. */
  readonly gainUnassigned: number;
  /** Standard error of `gainUnassigned` as a mean over sequences; its own magnitude where one sequence says nothing of chance. */
  readonly noise: number;
  /** The same of `gainAssigned`. */
  readonly noiseAssigned: number;
  readonly lossAssignedBefore: number;
  readonly lossAssignedAfter: number;
  readonly lossUnassignedBefore: number;
  readonly lossUnassignedAfter: number;
}

/** Judges payloads one by one, as they come. Nobody else may use the engine meanwhile; its params are θ between two calls. */
export interface Evaluator {
  /** Computes the losses at θ of sequences that will be needed. Ends early where `signal` says so. */
  prepare(sequences: readonly number[], signal?: AbortSignal): Promise<void>;
  /** Judges a payload; undefined where `signal` said stop before it was through. Rejects with what the engine or the data throw. */
  evaluate(judged: JudgedPayload, signal?: AbortSignal): Promise<Evaluation | undefined>;
}

/** The step that a round with `committed` payloads takes along each of them (rule "mean-all"): outerLr / committed. */
export function evaluationStep(outerLr: number, committed: number): number {
  return outerLr / Math.max(1, committed);
}

/** An evaluator at θ, which goes into the engine. */
export async function openEvaluator(setup: EvaluationSetup): Promise<Evaluator> {
  const { engine, params } = setup;
  const before = new Map<number, number>();
  const prepare = async (sequences: readonly number[], signal?: AbortSignal): Promise<void> => {
    const wanted = sequences.filter((each) => !before.has(each));
    await addLosses(before, setup, wanted, signal);
  };
  await engine.write("params", params);
  return {
    prepare,
    async evaluate(judged, signal) {
      const sequences = [...new Set([...judged.assigned, ...judged.unassigned])];
      await prepare(sequences, signal);
      if (signal?.aborted) return undefined;
      const after = new Map<number, number>();
      try {
        await moveAlong(setup, judged.contribution);
        await addLosses(after, setup, sequences, signal);
      } finally {
        await engine.write("params", params);
      }
      return after.size < sequences.length ? undefined : evaluationOf(judged, before, after);
    },
  };
}

/**
 * Judges payloads in their order; fewer where `signal` says so. The engine's params are afterwards what they were before, to the bit, also
 * where this rejects. Rejects with what the engine or the data throw.
 */
export async function evaluatePayloads(job: EvaluationJob): Promise<Evaluation[]> {
  const { engine, params, contributions, signal } = job;
  const held = await engine.read("params");
  assert(held.length === params.length, "the engine holds a model of this size");
  const done: Evaluation[] = [];
  try {
    const evaluator = await openEvaluator(job);
    for (const judged of contributions) {
      const found = await evaluator.evaluate(judged, signal);
      if (found === undefined) break;
      done.push(found);
    }
  } finally {
    await engine.write("params", held);
  }
  return done;
}

/** Puts θ − β · contribution into the engine, rounded as the outer step rounds. */
async function moveAlong(
  { engine, params, layout, step, means }: EvaluationSetup,
  contribution: Contribution,
): Promise<void> {
  const settings: ApplySettings = { aggregation: { rule: "mean-all", clip: "none" }, outerLr: step };
  for (const [index, { offset, length }] of layout.entries()) {
    const tensor = params.slice(offset, offset + length);
    applyTensor(tensor, [contribution.tensor(index)], settings, means);
    await engine.write("params", tensor, offset);
  }
}

/** Adds the loss of each of `sequences` under the engine's params, until told to stop. A loss that is not finite counts as the largest. */
async function addLosses(
  losses: Map<number, number>,
  { engine, split, seqLen }: EvaluationSetup,
  sequences: readonly number[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const rows = engine.options.microBatch;
  for (let at = 0; at < sequences.length && !signal?.aborted; at += rows) {
    const some = sequences.slice(at, at + rows);
    const found = await engine.losses(await batchOf(split, some, seqLen));
    some.forEach((sequence, row) => {
      const loss = must(found[row], "a loss for each row");
      losses.set(sequence, Number.isFinite(loss) ? Math.min(loss, NATS_MAX) : NATS_MAX);
    });
  }
}

function evaluationOf(
  { uid, assigned, unassigned }: JudgedPayload,
  before: ReadonlyMap<number, number>,
  after: ReadonlyMap<number, number>,
): Evaluation {
  const [lossAssignedBefore, lossAssignedAfter] = [meanOver(assigned, before), meanOver(assigned, after)];
  const [lossUnassignedBefore, lossUnassignedAfter] = [meanOver(unassigned, before), meanOver(unassigned, after)];
  return {
    uid,
    gainAssigned: lossAssignedBefore - lossAssignedAfter,
    gainUnassigned: lossUnassignedBefore - lossUnassignedAfter,
    noise: noiseOver(unassigned, before, after),
    noiseAssigned: noiseOver(assigned, before, after),
    lossAssignedBefore,
    lossAssignedAfter,
    lossUnassignedBefore,
    lossUnassignedAfter,
  };
}

function meanOver(sequences: readonly number[], losses: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const sequence of sequences) sum += must(losses.get(sequence), "a loss for each sequence");
  return sequences.length === 0 ? 0 : sum / sequences.length;
}

/** Standard error of the mean gain: √(Σ (g − mean)² / (n − 1) / n). */
function noiseOver(
  sequences: readonly number[],
  before: ReadonlyMap<number, number>,
  after: ReadonlyMap<number, number>,
): number {
  const gains = sequences.map((each) => must(before.get(each), "a loss") - must(after.get(each), "a loss"));
  const mean = gains.reduce((sum, gain) => sum + gain, 0) / Math.max(1, gains.length);
  if (gains.length < 2) return Math.abs(mean);
  const squares = gains.reduce((sum, gain) => sum + (gain - mean) * (gain - mean), 0);
  return Math.sqrt(squares / (gains.length - 1) / gains.length);
}
