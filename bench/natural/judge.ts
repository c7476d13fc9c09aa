/**
 * What a validator could find out about payloads, for bench/natural.ts: the gain of each on each of some sequences after a step of some size, and the
 * slope of the loss along it: the product of a sequence's gradient with the payload, which takes one backward pass for any number of payloads.
 */

import { batchOf } from "../../src/evaluate/validation.ts";
import { applyTensor } from "../../src/round/apply.ts";
import type { SparseTensor } from "../../src/round/contribution.ts";
import { unassignedSample } from "../../src/score/samples.ts";
import { asContribution, dealt, randomFor, type Sent, type Setting } from "./cohort.ts";
import type { Judgement } from "./record.ts";

/** Sequences of a set: of those that a uid was dealt, and of those that nobody was. */
const DEALT = 16;
const NOT_DEALT = 32;
/** Rounds back at which a peer's older data is looked at, and how many sequences of it. */
const LAGS = [1, 2, 4];
const OLDER = 8;

/** What is to be judged. */
export interface Job {
  readonly round: number;
  readonly params: Float32Array;
  /** Sequences that uid i really takes of each step; all there are for uids beyond. */
  readonly batches: readonly number[];
  readonly sent: readonly Sent[];
  readonly perturbed: readonly Sent[];
}

interface Sample {
  readonly sequences: readonly number[];
  readonly steps: readonly number[];
}

/** Different ones of the sequences that `uid` is dealt in a round, in random order, with the steps they belong to. */
function sampleOf(setting: Setting, { batches }: Job, uid: number, round: number, count: number): Sample {
  const batch = batches[uid] ?? setting.inner.batch;
  const random = randomFor(setting, `sample ${uid}`, round);
  const chosen = new Set<number>();
  while (chosen.size < Math.min(count, setting.inner.steps * batch))
    chosen.add(random.below(setting.inner.steps * batch));
  const slots = [...chosen].map((slot) => [Math.floor(slot / batch), slot % batch] as const);
  return {
    sequences: slots.map(([step, at]) => dealt(setting, round, uid, step, batch)[at] as number),
    steps: slots.map(([step]) => step),
  };
}

/**
 * Slopes of all payloads on all sets. Gains: with the step of a round of so many peers (outer rate / peers), and with four times the outer rate,
 * of each payload on its own set and on the set U that nobody was dealt; with the whole outer rate on all sets.
 */
export async function judged(setting: Setting, job: Job): Promise<Judgement> {
  const { round, params, batches, sent, perturbed } = job;
  const uids = [...new Set([...batches.keys(), 9, ...sent.map(({ uid }) => uid)])]; // uid 9 is a copier's
  const samples = new Map(uids.map((uid) => [`A${uid}`, sampleOf(setting, job, uid, round, DEALT)]));
  const { plan, outer } = setting;
  const { sequences } = unassignedSample(plan, round, NOT_DEALT, String(round));
  samples.set("U", { sequences, steps: [] });
  for (const lag of LAGS.filter((each) => each <= round)) {
    for (const uid of batches.keys())
      samples.set(`A${uid} before ${lag}`, sampleOf(setting, job, uid, round - lag, OLDER));
  }
  const payloads = [...sent, ...perturbed];
  const found: Record<string, number[][]> = {};
  for (const [set, each] of samples)
    found[set] = await slopes(setting, params, each.sequences, set === "U" ? payloads : sent);
  const all: { step: number; payload: string; set: string; values: readonly number[] }[] = [];
  const own = sent.flatMap((each) => [`A${each.uid}`, "U"].map((set) => ({ sent: each, set })));
  const everywhere = sent.flatMap((each) => [...uids.map((uid) => `A${uid}`), "U"].map((set) => ({ sent: each, set })));
  const disguised = perturbed.map((each) => ({ sent: each, set: "U" }));
  for (const [step, wanted] of [
    [outer.lr / batches.length, [...own, ...disguised]],
    [outer.lr, everywhere],
    [4 * outer.lr, own],
  ] as const) {
    const list = wanted.map((each) => ({ ...each, sequences: (samples.get(each.set) as Sample).sequences }));
    const values = await gains(setting, params, step, list);
    for (const [i, { sent, set }] of list.entries())
      all.push({ step, payload: sent.name, set, values: values[i] as number[] });
  }
  const steps = Object.fromEntries([...samples].map(([set, each]) => [set, each.steps]));
  return {
    payloads: payloads.map(({ name }) => name),
    uids: payloads.map(({ uid }) => uid),
    slopes: found,
    steps,
    gains: all,
  };
}

/** Losses of each of `sequences` under the engine's params. */
async function losses({ engine, dataset, inner }: Setting, sequences: readonly number[]): Promise<number[]> {
  const found: number[] = [];
  const rows = engine.options.microBatch;
  for (let at = 0; at < sequences.length; at += rows) {
    found.push(
      ...(await engine.losses(await batchOf(dataset.split("train"), sequences.slice(at, at + rows), inner.seqLen))),
    );
  }
  return found;
}

/** L(θ) − L(θ − step · payload) for each payload (outer) and each of its sequences (inner). Leaves θ in the engine. */
export async function gains(
  setting: Setting,
  params: Float32Array,
  step: number,
  judged: readonly { readonly sent: Sent; readonly sequences: readonly number[] }[],
): Promise<number[][]> {
  const { engine, layout } = setting;
  await engine.write("params", params);
  const all = [...new Set(judged.flatMap(({ sequences }) => sequences))];
  const values = await losses(setting, all);
  const before = new Map(all.map((sequence, i) => [sequence, values[i] as number]));
  const found: number[][] = [];
  for (const { sent, sequences } of judged) {
    const contribution = asContribution(sent);
    const moved = params.slice();
    for (const [index, { offset, length }] of layout.entries()) {
      const settings = { aggregation: { rule: "mean-all", clip: "none" }, outerLr: step } as const;
      applyTensor(moved.subarray(offset, offset + length), [contribution.tensor(index)], settings);
    }
    await engine.write("params", moved);
    const after = await losses(setting, sequences);
    found.push(sequences.map((sequence, i) => (before.get(sequence) as number) - (after[i] as number)));
  }
  await engine.write("params", params);
  return found;
}

/** g(sequence) · payload for each sequence (outer) and each payload (inner): what gain / step tends to for small steps. */
export async function slopes(
  { engine, dataset, inner }: Setting,
  params: Float32Array,
  sequences: readonly number[],
  sent: readonly Sent[],
): Promise<number[][]> {
  await engine.write("params", params);
  const found: number[][] = [];
  for (const sequence of sequences) {
    await engine.gradients(await batchOf(dataset.split("train"), [sequence], inner.seqLen));
    const gradient = await engine.read("grads");
    found.push(sent.map(({ vector }) => product(vector, gradient)));
  }
  return found;
}

/** Σ values · dense[indices]. */
export function product({ indices, values }: SparseTensor, dense: Float32Array): number {
  let sum = 0;
  for (let j = 0; j < indices.length; j++) sum += (values[j] as number) * (dense[indices[j] as number] as number);
  return sum;
}
