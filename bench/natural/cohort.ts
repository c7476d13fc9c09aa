/**
 * Peers of unequal strength for bench/natural.ts: each takes the inner steps of a round on its own data with its own AdamW moments, and compresses
 * with its own error feedback, all with the production pieces. What is sent is kept as one sparse vector over all params, which is what
 * everything is compared as.
 */
import { must } from "../../src/base/assert.ts";
import { type Random, seededRandom } from "../../src/base/random.ts";
import { compressor, type SentTensor, valuesOf } from "../../src/codec/feedback.ts";
import type { CodecParams } from "../../src/codec/params.ts";
import type { Assignment, AssignmentPlan } from "../../src/data/assignment.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { ModelShape, ParamEntry } from "../../src/engine/shape.ts";
import { batchOf } from "../../src/evaluate/validation.ts";
import { pseudoGradient } from "../../src/optim/outer.ts";
import { learningRate } from "../../src/optim/schedule.ts";
import type { Contribution, SparseTensor } from "../../src/round/contribution.ts";
import type { RunSpec } from "../../src/run/spec.ts";

/** What does not change during a run. */
export interface Setting {
  readonly engine: Engine;
  readonly dataset: Dataset;
  readonly shape: ModelShape;
  readonly layout: readonly ParamEntry[];
  readonly inner: RunSpec["inner"];
  readonly codec: CodecParams;
  readonly outer: RunSpec["outer"];
  readonly plan: AssignmentPlan;
  readonly assigned: Assignment;
  readonly seed: number;
}

/** What a peer keeps between rounds. */
export interface Peer {
  readonly name: string;
  readonly uid: number;
  /** Sequences of a step. */
  readonly batch: number;
  readonly m: Float32Array;
  readonly v: Float32Array;
  readonly residual: Float32Array;
  steps: number;
}

/** A payload: its tensors, and the same as one vector. */
export interface Sent {
  readonly name: string;
  /** Whose data it claims to have trained on. */
  readonly uid: number;
  readonly tensors: readonly SentTensor[];
  readonly vector: SparseTensor;
}

/** A peer that has done nothing yet. */
export function newPeer(name: string, uid: number, batch: number, length: number): Peer {
  const zeros = (): Float32Array => new Float32Array(length);
  return { name, uid, batch, m: zeros(), v: zeros(), residual: zeros(), steps: 0 };
}

/** The sequences that a uid is dealt for step `step`, `batch` of them. */
export function dealt({ assigned }: Setting, round: number, uid: number, step: number, batch: number): number[] {
  return Array.from({ length: batch }, (_, slot) => assigned.at(round, uid, step, slot).sequence);
}

/** Any sequences of the training split, for who does not train on what it was dealt. */
export function anySequences({ dataset, inner }: Setting, random: Random, count: number): number[] {
  const all = dataset.split("train").sequences(inner.seqLen);
  return Array.from({ length: count }, () => random.below(all));
}

/** A round's inner steps from `params`; the pseudo-gradient. The peer's moments move on. */
export async function train(
  setting: Setting,
  peer: Peer,
  round: number,
  params: Float32Array,
  sequencesOf: (step: number) => readonly number[],
): Promise<Float32Array> {
  const { engine, dataset, inner } = setting;
  if (inner.resetMoments) {
    peer.m.fill(0);
    peer.v.fill(0);
    peer.steps = 0;
  }
  await engine.write("params", params);
  await engine.write("m", peer.m);
  await engine.write("v", peer.v);
  engine.setStepCount(peer.steps);
  for (let step = 0; step < inner.steps; step++) {
    const rows = await batchOf(dataset.split("train"), sequencesOf(step), inner.seqLen);
    const lr = learningRate(inner.schedule, round * inner.steps + step);
    await engine.trainStep(rows, { ...inner.adamw, lr });
  }
  peer.m.set(await engine.read("m"));
  peer.v.set(await engine.read("v"));
  peer.steps = engine.stepCount();
  return pseudoGradient(params, await engine.read("params"));
}

/** Compresses a pseudo-gradient; `residual` moves on. */
export function compressed(
  { layout, codec }: Setting,
  name: string,
  uid: number,
  delta: Float32Array,
  residual: Float32Array,
): Sent {
  const { compress } = compressor(codec);
  const tensors = layout.map(({ dims, offset, length }) =>
    compress(dims, delta.subarray(offset, offset + length), residual.subarray(offset, offset + length)),
  );
  return sentOf(layout, name, uid, tensors);
}

/** Tensors with their one vector. */
export function sentOf(layout: readonly ParamEntry[], name: string, uid: number, tensors: readonly SentTensor[]): Sent {
  const count = tensors.reduce((sum, { indices }) => sum + indices.length, 0);
  const vector = { indices: new Int32Array(count), values: new Float32Array(count) };
  let at = 0;
  for (const [t, tensor] of tensors.entries()) {
    const { offset } = must(layout[t], "a tensor of the layout");
    vector.values.set(valuesOf(tensor), at);
    for (const index of tensor.indices) vector.indices[at++] = offset + index;
  }
  return { name, uid, tensors, vector };
}

/** As aggregation reads it. */
export function asContribution({ tensors }: Sent): Contribution {
  return {
    tensor(index) {
      const tensor = must(tensors[index], "a tensor of the layout");
      return { indices: tensor.indices, values: valuesOf(tensor) };
    },
  };
}

/** L2 norm. */
export function norm(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) ** 2;
  return Math.sqrt(sum);
}

/** All params as a sparse vector that leaves nothing out. */
export function denseVector(values: Float32Array): SparseTensor {
  return { indices: Int32Array.from(values, (_, i) => i), values };
}

/** How alike two sparse vectors are: cosine, and common indices by the indices of one (payloads of a run have equally many). */
export function likeness(a: SparseTensor, b: SparseTensor): { readonly cosine: number; readonly overlap: number } {
  let [i, j, common, product] = [0, 0, 0, 0];
  while (i < a.indices.length && j < b.indices.length) {
    const [x, y] = [a.indices[i] as number, b.indices[j] as number];
    if (x === y) {
      common++;
      product += (a.values[i] as number) * (b.values[j] as number);
    }
    if (x <= y) i++;
    if (y <= x) j++;
  }
  const scale = norm(a.values) * norm(b.values);
  return { cosine: scale > 0 ? product / scale : 0, overlap: common / a.indices.length };
}

/** A stream for one purpose in one round. */
export function randomFor({ seed }: Setting, what: string, round: number): Random {
  return seededRandom(`natural ${seed} ${what} ${round}`);
}
