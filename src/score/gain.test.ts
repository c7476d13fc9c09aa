/** What a payload is worth: honest work gains, its opposite loses, nothing is nothing; the engine is left as it was. */
import { beforeAll, describe, expect, it } from "vitest";
import { TOY_SHAPE, toyDataset } from "../../test/helpers/toy.ts";
import { must } from "../base/assert.ts";
import { bytesOf } from "../base/bytes.ts";
import { sha256Hex } from "../base/hash.ts";
import { NATS_MAX } from "../base/limits.ts";
import { bodyLayout, decodeBody, encodeBody } from "../codec/body.ts";
import { compressor, valuesOf } from "../codec/feedback.ts";
import { assignment } from "../data/assignment.ts";
import type { Engine } from "../engine/engine.ts";
import { openExactWasm } from "../engine/exact/wasm.ts";
import { openReference } from "../engine/reference/reference.ts";
import { type ParamEntry, paramLayout } from "../engine/shape.ts";
import { batchOf } from "../evaluate/validation.ts";
import { initParams } from "../model/init.ts";
import { PRESETS } from "../model/presets.ts";
import { pseudoGradient } from "../optim/outer.ts";
import type { Contribution } from "../round/contribution.ts";
import { type EvaluationJob, evaluatePayloads, evaluationStep, type JudgedPayload, openEvaluator } from "./gain.ts";
import { assignedSample, unassignedSample } from "./samples.ts";

const SEQ_LEN = 8;
const SPLIT = toyDataset(3, 6000).split("train");
const PLAN = { seed: "5", sequences: SPLIT.sequences(SEQ_LEN), uidsMax: 3, stepsPerRound: 8, batch: 4 };
const LAYOUT = paramLayout(TOY_SHAPE);
const ASSIGNED = assignment(PLAN);

/** All elements of `vector`, of either sign, as a contribution. */
function dense(vector: Float32Array, layout: readonly ParamEntry[], sign = 1): Contribution {
  return {
    tensor(index) {
      const { offset, length } = must(layout[index], "a tensor");
      const values = vector.slice(offset, offset + length).map((v) => sign * v);
      return { indices: Int32Array.from(values.keys()), values };
    },
  };
}

/** What the codec makes of `vector`. */
function compressed(vector: Float32Array): Contribution {
  const codec = { chunkSide: 8, k: 16, bits: 2, beta: 0.95 } as const;
  const layout = bodyLayout(
    LAYOUT.map(({ dims }) => dims),
    codec,
  );
  const { compress } = compressor(codec);
  const sent = LAYOUT.map(({ dims, offset, length }) =>
    compress(dims, vector.subarray(offset, offset + length), new Float32Array(length)),
  );
  const tensors = decodeBody(encodeBody(sent, layout), layout);
  if (typeof tensors === "string") throw new Error(tensors);
  return {
    tensor(index) {
      const tensor = must(tensors[index], "a tensor");
      return { indices: tensor.indices, values: valuesOf(tensor) };
    },
  };
}

/** The pseudo-gradient of uid `uid` in round 0 from `params`. */
async function trained(engine: Engine, params: Float32Array, uid: number): Promise<Float32Array> {
  await engine.write("params", params);
  for (const vector of ["m", "v"] as const) await engine.write(vector, new Float32Array(params.length));
  engine.setStepCount(0);
  for (let step = 0; step < PLAN.stepsPerRound; step++) {
    const slots = Array.from({ length: PLAN.batch }, (_, slot) => ASSIGNED.at(0, uid, step, slot, "hash").sequence);
    await engine.trainStep(await batchOf(SPLIT, slots, SEQ_LEN), { lr: 0.01 });
  }
  return pseudoGradient(params, await engine.read("params"));
}

function judged(uid: number, contribution: Contribution): JudgedPayload {
  const trainedOn = { steps: PLAN.stepsPerRound, batchTrained: PLAN.batch };
  const assigned = assignedSample(ASSIGNED, 0, uid, trainedOn, 12, "later", "hash");
  const { sequences } = unassignedSample(PLAN, 0, 12, "later");
  return { uid, contribution, assigned, unassigned: sequences };
}

const engine = await openReference({ shape: TOY_SHAPE, seqLen: SEQ_LEN, microBatch: 5 });
const params = initParams(TOY_SHAPE, 1);
const base = { engine, params, layout: LAYOUT, split: SPLIT, seqLen: SEQ_LEN, step: evaluationStep(1, 2) };
let honest: Float32Array;
beforeAll(async () => {
  honest = await trained(engine, params, 1);
});

describe("evaluatePayloads", () => {
  it("finds that honest work gains on both samples, compressed or not, and that its opposite loses", async () => {
    const contributions = [
      judged(1, dense(honest, LAYOUT)),
      judged(1, compressed(honest)),
      judged(1, dense(honest, LAYOUT, -1)),
    ];
    const [whole, sent, opposite] = await evaluatePayloads({ ...base, contributions });
    for (const gain of [whole?.gainAssigned, whole?.gainUnassigned, sent?.gainAssigned, sent?.gainUnassigned]) {
      expect(gain).toBeGreaterThan(0.02);
    }
    expect(opposite?.gainAssigned).toBeLessThan(-0.02);
    expect(opposite?.gainUnassigned).toBeLessThan(-0.02);
  });

  it("says what the losses are, as the engine has them", async () => {
    const [found] = await evaluatePayloads({ ...base, contributions: [judged(1, dense(honest, LAYOUT))] });
    const { assigned, unassigned } = judged(1, dense(honest, LAYOUT));
    const loss = async (at: Float32Array, sequences: readonly number[]): Promise<number> => {
      await engine.write("params", at);
      const losses = await engine.losses(await batchOf(SPLIT, sequences, SEQ_LEN));
      return losses.reduce((a, b) => a + b) / losses.length;
    };
    const moved = params.map((p, i) => Math.fround(p - base.step * (honest[i] as number)));
    expect(found?.lossAssignedBefore).toBeCloseTo(await loss(params, assigned), 12);
    expect(found?.lossUnassignedBefore).toBeCloseTo(await loss(params, unassigned), 12);
    expect(found?.lossAssignedAfter).toBeCloseTo(await loss(moved, assigned), 12);
    expect(found?.lossUnassignedAfter).toBeCloseTo(await loss(moved, unassigned), 12);
    expect(found?.gainUnassigned).toBe((found?.lossUnassignedBefore ?? 0) - (found?.lossUnassignedAfter ?? 0));
  });

  it("finds nothing in a payload of zeros or of nothing, and takes ruin for a bounded loss", async () => {
    const zeros = dense(new Float32Array(params.length), LAYOUT);
    const nothing: Contribution = { tensor: () => ({ indices: new Int32Array(0), values: new Float32Array(0) }) };
    const ruin = dense(
      params.map((p) => 1e6 * p),
      LAYOUT,
    );
    const results = await evaluatePayloads({ ...base, contributions: [zeros, nothing, ruin].map((c) => judged(0, c)) });
    for (const { gainAssigned, gainUnassigned } of results.slice(0, 2))
      expect([gainAssigned, gainUnassigned]).toEqual([0, 0]);
    const { gainUnassigned, lossUnassignedAfter } = must(results[2], "the third");
    expect(lossUnassignedAfter).toBe(NATS_MAX);
    expect(gainUnassigned).toBeGreaterThan(-NATS_MAX);
    expect(gainUnassigned).toBeLessThan(-NATS_MAX / 2);
  });

  it("counts no gain where there are no sequences", async () => {
    const one = { ...judged(1, dense(honest, LAYOUT)), assigned: [] };
    const [found] = await evaluatePayloads({ ...base, contributions: [one] });
    expect(found).toMatchObject({ gainAssigned: 0, lossAssignedBefore: 0, lossAssignedAfter: 0 });
    expect(found?.gainUnassigned).toBeGreaterThan(0);
  });

  it("gives the same whoever else is judged, in whatever order", async () => {
    const [one, two] = [judged(1, dense(honest, LAYOUT)), judged(2, dense(honest, LAYOUT, -1))];
    const both = await evaluatePayloads({ ...base, contributions: [one, two] });
    const reversed = await evaluatePayloads({ ...base, contributions: [two, one] });
    expect([...reversed].reverse()).toEqual(both);
    expect(await evaluatePayloads({ ...base, contributions: [two] })).toEqual(both.slice(1));
  });

  it("computes a loss at the params once a sequence", async () => {
    const rows: number[] = [];
    const counting: Engine = {
      ...engine,
      losses: (batch) => {
        rows.push(batch.rows);
        return engine.losses(batch);
      },
    };
    const contributions = [judged(1, dense(honest, LAYOUT)), judged(2, dense(honest, LAYOUT))];
    await evaluatePayloads({ ...base, engine: counting, contributions });
    const distinct = new Set(contributions.flatMap(({ assigned, unassigned }) => [...assigned, ...unassigned])).size;
    const after = contributions.reduce((n, { assigned, unassigned }) => n + assigned.length + unassigned.length, 0);
    expect(distinct).toBe(36);
    expect(rows.reduce((a, b) => a + b)).toBe(distinct + after);
    expect(Math.max(...rows)).toBe(5);
  });

  it("leaves the engine as it was, to the bit, also where judging fails", async () => {
    const held = initParams(TOY_SHAPE, 99);
    held[0] = -0;
    for (const vector of ["m", "v"] as const) await engine.write(vector, initParams(TOY_SHAPE, vector));
    engine.setStepCount(7);
    const state = async (): Promise<string[]> => {
      const vectors = [await engine.read("params"), await engine.read("m"), await engine.read("v")];
      return [...vectors.map((vector) => sha256Hex(bytesOf(vector))), String(engine.stepCount())];
    };
    await engine.write("params", held);
    const before = await state();
    await evaluatePayloads({ ...base, contributions: [judged(1, dense(honest, LAYOUT))] });
    expect(await state()).toEqual(before);

    const broken: Contribution = { tensor: () => ({ indices: Int32Array.of(9e6), values: Float32Array.of(1) }) };
    const job = { ...base, contributions: [judged(1, dense(honest, LAYOUT)), judged(2, broken)] };
    await expect(evaluatePayloads(job)).rejects.toMatchObject({ name: "AssertionError" });
    expect(await state()).toEqual(before);
  });

  it("gives up the payload under way when told to", async () => {
    const contributions = [0, 1, 2].map((uid) => judged(uid, dense(honest, LAYOUT)));
    const controller = new AbortController();
    const watched = contributions.map((each, i) => ({
      ...each,
      contribution: {
        tensor: (index: number) => {
          if (i === 1) controller.abort();
          return each.contribution.tensor(index);
        },
      },
    }));
    const done = await evaluatePayloads({ ...base, contributions: watched, signal: controller.signal });
    expect(done).toEqual((await evaluatePayloads({ ...base, contributions })).slice(0, 1));
    expect(await evaluatePayloads({ ...base, contributions, signal: AbortSignal.abort() })).toEqual([]);
  });

  it("gives the same bits on the exact engine for any threads and micro-batch", async () => {
    const { shape } = PRESETS.nano;
    const [layout, start] = [paramLayout(shape), initParams(shape, 4)];
    const contribution = dense(initParams(shape, 5), layout);
    const results: unknown[] = [];
    for (const [threads, microBatch] of [
      [1, 4],
      [2, 3],
    ] as const) {
      const exact = await openExactWasm({ shape, seqLen: SEQ_LEN, microBatch, threads });
      const job: EvaluationJob = {
        ...base,
        engine: exact,
        params: start,
        layout,
        contributions: [judged(1, contribution)],
      };
      results.push(await evaluatePayloads(job));
      await exact.close();
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[0]).not.toEqual([]);
  });
});

describe("the noise of a gain", () => {
  it("is the standard error of its mean over sequences", async () => {
    const one = judged(1, dense(honest, LAYOUT));
    const [found] = await evaluatePayloads({ ...base, contributions: [one] });
    const each = await evaluatePayloads({
      ...base,
      contributions: one.unassigned.map((sequence) => ({ ...one, unassigned: [sequence] })),
    });
    const gains = each.map(({ gainUnassigned }) => gainUnassigned);
    const mean = gains.reduce((a, b) => a + b) / gains.length;
    const deviation = Math.sqrt(gains.reduce((sum, g) => sum + (g - mean) ** 2, 0) / (gains.length - 1));
    expect(gains.length).toBe(12);
    expect(found?.gainUnassigned).toBeCloseTo(mean, 12);
    expect(found?.noise).toBeCloseTo(deviation / Math.sqrt(12), 12);
    expect(each.map(({ noise }) => noise)).toEqual(gains.map(Math.abs)); // one sequence proves nothing
  });
  it("is zero where there is no gain to be uncertain of", async () => {
    const one = { ...judged(1, dense(honest, LAYOUT)), unassigned: [] };
    expect((await evaluatePayloads({ ...base, contributions: [one] }))[0]?.noise).toBe(0);
  });
});

describe("an evaluator", () => {
  it("judges payloads as they come, and gives what judging all at once gives", async () => {
    const contributions = [0, 1, 2].map((uid) => judged(uid, dense(honest, LAYOUT, uid - 1)));
    const evaluator = await openEvaluator(base);
    await evaluator.prepare(must(contributions[0], "one").unassigned);
    const found = [];
    for (const each of [...contributions].reverse()) found.push(await evaluator.evaluate(each));
    expect(found.reverse()).toEqual(await evaluatePayloads({ ...base, contributions }));
  });

  it("stops between two micro-batches, and is as good as before", async () => {
    const stop = new AbortController();
    let calls = 0;
    const counting: Engine = {
      ...engine,
      losses: (batch) => {
        if (++calls === 7) stop.abort();
        return engine.losses(batch);
      },
    };
    const one = judged(1, dense(honest, LAYOUT));
    const evaluator = await openEvaluator({ ...base, engine: counting });
    expect(await evaluator.evaluate(one, stop.signal)).toBeUndefined();
    expect(calls).toBe(7); // 24 sequences before and as many after would be ten
    expect(sha256Hex(bytesOf(await engine.read("params")))).toBe(sha256Hex(bytesOf(params)));
    expect(await evaluator.evaluate(one)).toEqual((await evaluatePayloads({ ...base, contributions: [one] }))[0]);
    await evaluator.prepare(one.assigned, AbortSignal.abort());
    expect(await evaluator.evaluate(one, AbortSignal.abort())).toBeUndefined();
  });
});

it("takes the outer step's share of one among those committed", () => {
  expect([evaluationStep(0.8, 4), evaluationStep(0.8, 1), evaluationStep(0.8, 0)]).toEqual([0.2, 0.8, 0.8]);
});
