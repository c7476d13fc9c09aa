/**
 * What a payload is worth: how much a small step along it lowers the loss. L(θ) − L(θ − β·Δ̂), in nats a token, on sequences that the
 * peer was assigned and on sequences that nobody was (Gauntlet, arXiv 2505.21684: LossScore on D_assigned and D_rand).
 *
 * Departures: the step is meant to be the one that the round would take along this payload alone, not a fixed share of the outer learning
 * rate; and losses at θ are computed once a sequence, however many peers are judged on it. Everything is a function of params, payloads and
 * sequences, so on a deterministic engine anybody gets the same numbers.
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

/** What to judge, with what. */
export interface EvaluationJob {
  readonly engine: Engine;
  /** θ, from which the payloads started or to which they will be applied. */
  readonly params: Float32Array;
  readonly contributions: readonly JudgedPayload[];
  readonly layout: readonly ParamEntry[];
  /** β: how far to go along a payload; see `evaluationStep`. In (0, 1000]. */
  readonly step: number;
  readonly split: TokenSource;
  readonly seqLen: number;
  /** Changes the speed and nothing else. */
  readonly means?: MeansKernel;
  /** Once aborted, no further payload is begun. */
  readonly signal?: AbortSignal;
}

/** Losses and gains of one payload: means over its sequences, in nats a token, within ±NATS_MAX; zeros where it had no sequences. */
export interface Evaluation {
  readonly uid: number;
  /** Loss before minus loss after, on assigned sequences. */
  readonly gainAssigned: number;
  /** The same on unassigned sequences: what a payload is rated by. */
  readonly gainUnassigned: number;
  readonly lossAssignedBefore: number;
  readonly lossAssignedAfter: number;
  readonly lossUnassignedBefore: number;
  readonly lossUnassignedAfter: number;
}

/** The step that a round with `accepted` contributions takes along each of them (rule "mean-all"): outerLr / accepted. */
export function evaluationStep(outerLr: number, accepted: number): number {
  return outerLr / Math.max(1, accepted);
}

/**
 * Judges payloads in their order; fewer where `signal` says so. The engine's params are afterwards what they were before, to the bit, also
 * where this rejects. Rejects with what the engine or the data throw.
 */
export async function evaluatePayloads(job: EvaluationJob): Promise<Evaluation[]> {
  const { engine, params, contributions, signal } = job;
  const held = await engine.read("params");
  assert(held.length === params.length, "the engine holds a model of this size");
  const before = new Map<number, number>();
  const done: Evaluation[] = [];
  try {
    await engine.write("params", params);
    for (const judged of contributions) {
      if (signal?.aborted) break;
      const sequences = [...new Set([...judged.assigned, ...judged.unassigned])];
      await addLosses(
        before,
        job,
        sequences.filter((each) => !before.has(each)),
      );
      await moveAlong(job, judged.contribution);
      const after = new Map<number, number>();
      await addLosses(after, job, sequences);
      await engine.write("params", params);
      done.push(evaluationOf(judged, before, after));
    }
  } finally {
    await engine.write("params", held);
  }
  return done;
}

/** Puts θ − β · contribution into the engine, rounded as the outer step rounds. */
async function moveAlong(
  { engine, params, layout, step, means }: EvaluationJob,
  contribution: Contribution,
): Promise<void> {
  const settings: ApplySettings = { aggregation: { rule: "mean-all", clip: "none" }, outerLr: step };
  for (const [index, { offset, length }] of layout.entries()) {
    const tensor = params.slice(offset, offset + length);
    applyTensor(tensor, [contribution.tensor(index)], settings, means);
    await engine.write("params", tensor, offset);
  }
}

/** Adds the loss of each of `sequences` under the engine's params. A loss that is not finite counts as the largest. */
async function addLosses(
  losses: Map<number, number>,
  { engine, split, seqLen }: EvaluationJob,
  sequences: readonly number[],
): Promise<void> {
  const rows = engine.options.microBatch;
  for (let at = 0; at < sequences.length; at += rows) {
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
