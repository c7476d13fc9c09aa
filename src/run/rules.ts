/**
 * What follows from a run's spec alone, for everybody alike: which params a round starts from, how many rounds there are, who trains on
 * what at which rate, how payloads look and how they are applied. Pure functions; whoever takes part and whoever audits calls the same ones.
 */
import { assert } from "../base/assert.ts";
import { type BodyLayout, bodyLayout } from "../codec/body.ts";
import type { AssignmentPlan } from "../data/assignment.ts";
import { paramLayout } from "../engine/shape.ts";
import { learningRate } from "../optim/schedule.ts";
import type { ExchangeSettings } from "../round/exchange.ts";
import { PAYLOAD_HEADER_BYTES, PAYLOAD_SIGNATURE_BYTES, payloadBytesMax } from "../round/payload.ts";
import type { RunSpec } from "./spec.ts";

/** Bits that place and sign of a kept value take on average, as measured (docs/LOG.md, entry 10); its level takes the rest. */
const PLACE_BITS = 6.5;

/** Peers train round r from θ(base(r)), the params before round base(r) = max(0, r − delay). */
export function baseRound(spec: Pick<RunSpec, "outer">, round: number): number {
  assert(Number.isSafeInteger(round) && round >= 0, `${round} is no round`);
  return Math.max(0, round - spec.outer.delay);
}

/** Rounds of the run, 0 to this − 1; the last may go beyond the schedule's last step. */
export function roundsOf({ inner }: Pick<RunSpec, "inner">): number {
  return Math.ceil(inner.schedule.steps / inner.steps);
}

/** Blocks of a round. */
export function blocksOf({ timing }: Pick<RunSpec, "timing">): number {
  return timing.trainBlocks + timing.revealBlocks + timing.voteBlocks;
}

/** Sequences that a round hands out, to all uids. */
export function slotsOf({ uids, inner }: RunSpec): number {
  return uids * inner.steps * inner.batch;
}

/** Tokens that one peer trains on in a round, at most. */
export function peerTokensOf({ inner }: RunSpec): number {
  return inner.steps * inner.batch * inner.seqLen;
}

/** Who trains on what, given the number of sequences in the training split: `assignment` of data/assignment.ts takes it. */
export function assignmentPlan({ seed, uids, inner }: RunSpec, sequences: number): AssignmentPlan {
  return { seed, sequences, uidsMax: uids, stepsPerRound: inner.steps, batch: inner.batch };
}

/** The learning rate of inner step `step`, from 0 to H − 1, of a round. */
export function learningRateAt({ inner }: RunSpec, round: number, step: number): number {
  assert(Number.isSafeInteger(step) && step >= 0 && step < inner.steps, `a round has no step ${step}`);
  return learningRate(inner.schedule, round * inner.steps + step);
}

/** How a round's payloads are selected and applied. */
export function exchangeSettings({ outer }: RunSpec): ExchangeSettings {
  const { aggregation, lr, cap, newcomerSlots } = outer;
  return { aggregation, outerLr: lr, cap, newcomerSlots };
}

/** The form of the run's payload bodies. */
export function bodyLayoutOf({ model, codec }: RunSpec): BodyLayout {
  const dims = paramLayout(model).map((entry) => entry.dims);
  return bodyLayout(dims, codec);
}

/** Bytes of the longest payload that the run accepts. */
export function payloadLimit(spec: RunSpec): number {
  return payloadBytesMax(bodyLayoutOf(spec));
}

/** Bytes that a payload will have, about: for plans and people. */
export function payloadEstimate(spec: RunSpec): number {
  const { keptCount, levelBytes } = bodyLayoutOf(spec);
  const body = levelBytes + Math.ceil((keptCount * (PLACE_BITS + spec.codec.bits)) / 8);
  return PAYLOAD_HEADER_BYTES + body + PAYLOAD_SIGNATURE_BYTES;
}
