/** Cohorts: each method learns, is what it says it is, and gives the same bits everywhere. */
import { describe, expect, it } from "vitest";
import { TOY_SHAPE, toyDataset } from "../../test/helpers/toy.ts";
import { must } from "../base/assert.ts";
import { utf8 } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import { toHex } from "../base/hash.ts";
import { bodyLayout, decodeBody, encodeBody } from "../codec/body.ts";
import { compressor, valuesOf } from "../codec/feedback.ts";
import { CODEC_DEFAULTS } from "../codec/params.ts";
import { assignment } from "../data/assignment.ts";
import type { Engine } from "../engine/engine.ts";
import { openExactWasm } from "../engine/exact/wasm.ts";
import { openReference } from "../engine/reference/reference.ts";
import { paramLayout } from "../engine/shape.ts";
import { batchOf } from "../evaluate/validation.ts";
import { initParams } from "../model/init.ts";
import { PRESETS } from "../model/presets.ts";
import { pseudoGradient } from "../optim/outer.ts";
import { learningRate, type Schedule } from "../optim/schedule.ts";
import { AGGREGATION_NAMES, AGGREGATIONS } from "../round/aggregation.ts";
import { exchange } from "../round/exchange.ts";
import { PAYLOAD_HEADER_BYTES, PAYLOAD_SIGNATURE_BYTES } from "../round/payload.ts";
import { stateRoot } from "../round/state-root.ts";
import { memoryStore } from "../store/memory.ts";
import {
  COHORT_METHODS,
  type CohortConfig,
  type CohortHooks,
  type CohortOptions,
  type RoundReport,
  trainCohort,
} from "./cohort.ts";
import { cohortKey, listCohortStates } from "./cohort-state.ts";
import { REJECTED_STEPS_MAX } from "./solo.ts";

const SCHEDULE: Schedule = { kind: "constant", lr: 0.01, warmupSteps: 2, steps: 24 };
const CONFIG: CohortConfig = { seed: 5, peers: 3, method: "sparseloco", innerSteps: 4, batch: 2, seqLen: 8 };
const DATASET = toyDataset(1, 1200, 200);

function openToy(): Promise<Engine> {
  return openReference({ shape: TOY_SHAPE, seqLen: 8, microBatch: 8 });
}

/** Trains; returns the result with all reports and the final params. */
async function trained(config: Partial<CohortConfig>, changes: Partial<CohortOptions> = {}) {
  const engine = changes.engine ?? (await openToy());
  const reports: RoundReport[] = [];
  const hooks = { ...changes.hooks, onRound: (report: RoundReport) => void reports.push(report) };
  const options = { dataset: DATASET, schedule: SCHEDULE, ...changes, engine, config: { ...CONFIG, ...config }, hooks };
  const result = await trainCohort(options);
  return { ...result, reports, params: await engine.read("params") };
}

/** Plain AdamW from the seed's first params, over the batches that the uids of `config` are assigned, as one. */
async function adamwAlone(config: CohortConfig): Promise<Float32Array> {
  const engine = await openToy();
  const { seed, peers, innerSteps = 0, batch, seqLen } = config;
  const train = DATASET.split("train");
  const sequences = train.sequences(seqLen);
  const { at } = assignment({ seed: String(seed), sequences, uidsMax: peers, stepsPerRound: innerSteps, batch });
  await engine.write("params", initParams(TOY_SHAPE, seed));
  for (let step = 0; step < SCHEDULE.steps; step++) {
    const indices: number[] = [];
    for (let i = 0; i < peers * batch; i++) {
      const [round, within] = [Math.floor(step / innerSteps), step % innerSteps];
      indices.push(at(round, Math.floor(i / batch), within, i % batch).sequence);
    }
    await engine.trainStep(await batchOf(train, indices, seqLen), { lr: learningRate(SCHEDULE, step) });
  }
  return engine.read("params");
}

describe("every method", () => {
  it.each(COHORT_METHODS)("%s learns, and reports each round", async (method) => {
    const { reports, ...result } = await trained({ method, validateEvery: 3, codec: { chunkSide: 8, k: 16 } });
    const [first, last] = [must(reports[0], "first"), must(reports.at(-1), "last")];
    expect(last.loss).toBeLessThan(first.loss - 0.05);
    expect(must(last.validation, "validation")).toBeLessThan(must(reports[2]?.validation, "validation"));
    expect(reports.map(({ round }) => round)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(reports.map(({ validation }) => validation !== undefined)).toEqual([false, false, true, false, false, true]);
    expect(last).toMatchObject({ rounds: 6, step: 24, steps: 24, tokensSeen: 24 * 3 * 2 * 8 });
    expect(result).toMatchObject({ rounds: 6, step: 24, tokensSeen: 24 * 3 * 2 * 8, stopped: false, loss: last.loss });
    expect(last.stateRoot).toBe(result.stateRoot);
    expect(toHex(stateRoot(result.params))).toBe(result.stateRoot);
    expect(last.ratio).toBeCloseTo((4 * result.params.length) / last.bytes, 12);
    expect(new Set(reports.map(({ stateRoot }) => stateRoot)).size).toBe(6);
  });

  it.each(COHORT_METHODS)("%s gives the same state root for any threads and micro-batch", async (method) => {
    const shape = PRESETS.nano.shape;
    const schedule: Schedule = { ...SCHEDULE, steps: 3 };
    const settings = { method, peers: 2, innerSteps: 2, batch: 2, seqLen: 8 };
    const roots: string[] = [];
    for (const [threads, microBatch] of [
      [1, 4],
      [2, 1],
    ] as const) {
      const engine = await openExactWasm({ shape, seqLen: 8, microBatch, threads });
      roots.push((await trained(settings, { engine, schedule })).stateRoot);
      await engine.close();
    }
    expect(roots[0]).toBe(roots[1]);
  });

  it.each(COHORT_METHODS)("%s starts afresh whatever the engine held, and depends on the seed", async (method) => {
    const schedule: Schedule = { ...SCHEDULE, steps: 8 };
    const engine = await openToy();
    const first = await trained({ method }, { engine, schedule });
    const second = await trained({ method }, { engine, schedule });
    const other = await trained({ method, seed: 6 }, { engine, schedule });
    expect(second.reports).toEqual(first.reports);
    expect(other.stateRoot).not.toBe(first.stateRoot);
  });

  it.each(COHORT_METHODS)("%s shows its peers the same data, each its own", async (method) => {
    const dataset = toyDataset(2, 12 * 4 * 8 + 1); // two rounds' worth: disjoint within a round
    const engine = await openToy();
    const rows: string[] = [];
    const watched: Engine = {
      ...engine,
      trainStep: (batch, step) => {
        for (let at = 0; at < batch.tokens.length; at += 9) rows.push(batch.tokens.slice(at, at + 9).join());
        return engine.trainStep(batch, step);
      },
    };
    const schedule: Schedule = { ...SCHEDULE, steps: 4 };
    let disjoint = false;
    const hooks: CohortOptions["hooks"] = {
      onStart(start) {
        disjoint = start.disjoint;
      },
    };
    await trained({ method, peers: 3, batch: 2 }, { engine: watched, dataset, schedule, hooks });
    expect(disjoint).toBe(true);
    const train = dataset.split("train");
    const plan = { seed: "5", sequences: 48, uidsMax: 3, stepsPerRound: 4, batch: 2 };
    const numbers = Array.from(
      { length: 24 },
      (_, i) => assignment(plan).at(0, Math.floor(i / 8), Math.floor(i / 2) % 4, i % 2).sequence,
    );
    const expected = await Promise.all(numbers.map(async (n) => (await train.sequence(n, 8)).join()));
    expect([...rows].sort()).toEqual([...expected].sort());
    expect(new Set(numbers).size).toBe(24);
  });

  it("ends after the round in which it is told to", async () => {
    const { reports, ...result } = await trained({}, stopIn(2));
    expect(result).toMatchObject({ rounds: 3, step: 12, stopped: true, stateRoot: reports[2]?.stateRoot });
    expect(toHex(stateRoot(result.params))).toBe(result.stateRoot);
  });
});

/** Options that stop a run in the middle of a round. */
function stopIn(stopRound: number): Pick<CohortOptions, "signal" | "hooks"> {
  const controller = new AbortController();
  const onStep = ({ round }: { readonly round: number }): void => {
    if (round === stopRound) controller.abort();
  };
  return { signal: controller.signal, hooks: { onStep } };
}

describe("a stopped run", () => {
  it.each(COHORT_METHODS)("%s goes on to the same bits", async (method) => {
    const whole = await trained({ method });
    const store = memoryStore();
    const first = await trained({ method }, { store, ...stopIn(1) });
    expect(first).toMatchObject({ rounds: 2, stopped: true });
    const starts: unknown[] = [];
    const hooks: CohortHooks = { onStart: (start) => void starts.push(start) };
    const second = await trained({ method }, { store, hooks });
    expect(starts).toMatchObject([{ round: 2, resumedFrom: cohortKey(2), rounds: 6 }]);
    expect([...first.reports, ...second.reports]).toEqual(whole.reports);
    expect(second).toMatchObject({ rounds: 6, stopped: false, stateRoot: whole.stateRoot });
    const [engine, fresh] = [await openToy(), await openToy()];
    await trained({ method }, { engine });
    const third = await trained({ method }, { store, engine: fresh });
    for (const vector of ["m", "v"] as const) expect(await fresh.read(vector)).toEqual(await engine.read(vector));
    expect(fresh.stepCount()).toBe(engine.stepCount());
    expect(third).toMatchObject({ rounds: 6, loss: undefined, stateRoot: whole.stateRoot });
    expect(third.params).toEqual(whole.params);
  });

  it("goes on from wherever it was killed: each saved state leads to the same end", async () => {
    const whole = await trained({});
    for (const killedAt of [1, 3, 5]) {
      const store = memoryStore();
      const onRound = ({ round }: RoundReport): void => {
        if (round === killedAt + 1) throw new Error("killed");
      };
      const engine = await openToy();
      const options = { engine, dataset: DATASET, schedule: SCHEDULE, store, hooks: { onRound } };
      await expect(trainCohort({ ...options, config: { ...CONFIG, checkpointEvery: 1 } })).rejects.toThrow("killed");
      expect(await listCohortStates(store)).toContain(cohortKey(killedAt));
      expect((await trained({}, { store })).stateRoot).toBe(whole.stateRoot);
    }
  });

  it("takes the state before a damaged one, and says so where none is left", async () => {
    const store = memoryStore();
    const whole = await trained({ checkpointEvery: 1 }, { store });
    expect(await listCohortStates(store)).toEqual([cohortKey(6), cohortKey(5)]);
    const spoil = async (key: string): Promise<void> => {
      const bytes = must(await store.get(key), "the state").slice();
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
      await store.put(key, bytes);
    };
    await spoil(cohortKey(6));
    expect((await trained({}, { store })).stateRoot).toBe(whole.stateRoot);
    await spoil(cohortKey(5));
    await spoil(cohortKey(6));
    await expect(trained({}, { store })).rejects.toMatchObject({ code: "checkpoint" });
  });

  it("is refused where its settings or data are others", async () => {
    const store = memoryStore();
    await trained({}, { store, ...stopIn(0) });
    for (const other of [{ seed: 6 }, { batch: 1 }, { method: "diloco" as const }, { codec: { k: 32 } }]) {
      await expect(trained(other, { store }), JSON.stringify(other)).rejects.toMatchObject({ code: "config" });
    }
    await expect(trained({}, { store, dataset: toyDataset(2, 1200, 200) })).rejects.toMatchObject({ code: "config" });
    await trained({ validateEvery: 2, checkpointEvery: 3 }, { store }); // these change no result
  });
});

describe("adamw", () => {
  it("is AdamW over the union of the peers' batches, to the bit", async () => {
    const config: CohortConfig = { ...CONFIG, method: "adamw" };
    expect((await trained(config)).params).toEqual(await adamwAlone(config));
  });

  it("sends a dense gradient in every step", async () => {
    const { reports } = await trained({ method: "adamw", innerSteps: 10 });
    expect(reports.map(({ ratio }) => ratio)).toEqual([1 / 10, 1 / 10, 1 / 4]);
  });
});

describe("diloco", () => {
  it("with one peer, outer rate 1 and no momentum is AdamW, but for the rounding of the outer step", async () => {
    const config: CohortConfig = { ...CONFIG, method: "diloco", peers: 1, outerLr: 1, outerMomentum: 0 };
    const [ours, alone] = [(await trained(config)).params, await adamwAlone(config)];
    expect(Math.max(...ours.map((value, i) => Math.abs(value - (alone[i] as number))))).toBeLessThan(1e-5);
    const momentum = (await trained({ ...config, outerMomentum: 0.9 })).params;
    expect(Math.max(...momentum.map((value, i) => Math.abs(value - (alone[i] as number))))).toBeGreaterThan(1e-2);
  });

  it("sends the model once a round", async () => {
    const { reports } = await trained({ method: "diloco" });
    expect(reports.every(({ ratio }) => ratio === 1)).toBe(true);
  });
});

describe("sparseloco", () => {
  it.each(AGGREGATION_NAMES)("with %s: whoever has the payloads and nothing else gets the same state", async (name) => {
    const aggregation = AGGREGATIONS[name];
    const codec = { ...CODEC_DEFAULTS, chunkSide: 8, k: 4 };
    const payloads: Uint8Array[][] = [];
    const onPayload = ({ round, payload }: { readonly round: number; readonly payload: Uint8Array }): void => {
      payloads[round] = [...(payloads[round] ?? []), payload.slice()];
    };
    const { reports } = await trained({ aggregation, codec, outerLr: 0.8 }, { hooks: { onPayload } });
    const layout = paramLayout(TOY_SHAPE);
    const dims = layout.map((entry) => entry.dims);
    let params = initParams(TOY_SHAPE, CONFIG.seed);
    const rules = { aggregation, outerLr: 0.8, cap: 3, newcomerSlots: 0 };
    const roots = payloads.map((round) => {
      const offers = round.map((payload, uid) => {
        const body = payload.subarray(PAYLOAD_HEADER_BYTES, -PAYLOAD_SIGNATURE_BYTES);
        const tensors = decodeBody(body, bodyLayout(dims, codec));
        if (typeof tensors === "string") throw new Error(tensors);
        const tensor = (index: number) => {
          const sent = must(tensors[index], "tensor");
          return { indices: sent.indices, values: valuesOf(sent) };
        };
        return { uid, incentive: 0, newcomer: false, contribution: { tensor } };
      });
      const result = exchange(params, layout, offers, rules, utf8(""));
      params = result.params;
      return toHex(result.tree.root());
    });
    expect(roots).toEqual(reports.map(({ stateRoot }) => stateRoot));
    const sizes = payloads.map((round) => round.reduce((sum, { length }) => sum + length, 0) / 3);
    expect(reports.map(({ bytes }) => bytes)).toEqual(sizes);
  });

  it("sends of each peer the compressed pseudo-gradient, with that peer's own error feedback", async () => {
    const codec = { ...CODEC_DEFAULTS, chunkSide: 8, k: 4 };
    const engine = await openToy();
    let start = initParams(TOY_SHAPE, CONFIG.seed);
    const deltas: Float32Array[] = [];
    const watched: Engine = {
      ...engine,
      async write(vector, values, ...offset) {
        if (vector === "params") start = values.slice();
        await engine.write(vector, values, ...offset);
      },
      async read(vector, ...range) {
        const values = await engine.read(vector, ...range);
        if (vector === "params") deltas.push(pseudoGradient(start, values));
        return values;
      },
    };
    const bodies: Uint8Array[] = [];
    const onPayload = ({ payload }: { readonly payload: Uint8Array }): void => {
      bodies.push(payload.slice(PAYLOAD_HEADER_BYTES, -PAYLOAD_SIGNATURE_BYTES));
    };
    await trained({ codec }, { engine: watched, hooks: { onPayload } });
    const entries = paramLayout(TOY_SHAPE);
    const layout = bodyLayout(
      entries.map(({ dims }) => dims),
      codec,
    );
    const residuals = [0, 1, 2].map(() => entries.map(({ length }) => new Float32Array(length)));
    const { compress } = compressor(codec);
    const expected = deltas.slice(0, 18).map((delta, i) => {
      const parts = entries.map(({ dims, offset, length }, t) =>
        compress(dims, delta.slice(offset, offset + length), must(residuals[i % 3]?.[t], "residual")),
      );
      return encodeBody(parts, layout);
    });
    expect(bodies).toEqual(expected);
    expect(bodies).toHaveLength(18);
  });

  it("follows AdamW where one peer sends everything, for what rounding leaves comes later", async () => {
    const codec = { chunkSide: 64, k: 4096, bits: 2, beta: 1 } as const;
    const config: CohortConfig = { ...CONFIG, peers: 1, codec };
    const [sparse, alone] = [(await trained(config)).params, await adamwAlone(config)];
    const start = initParams(TOY_SHAPE, CONFIG.seed);
    const distance = (a: Float32Array, b: Float32Array): number =>
      Math.sqrt(a.reduce((sum, value, i) => sum + (value - (b[i] as number)) ** 2, 0));
    expect(distance(sparse, alone)).toBeLessThan(0.5 * distance(start, alone));
  });

  it("sends less than a hundredth of the model", async () => {
    const shape = PRESETS.nano.shape;
    const engine = await openExactWasm({ shape, seqLen: 8, microBatch: 2, threads: 1 });
    const schedule: Schedule = { ...SCHEDULE, steps: 4 };
    const { reports } = await trained({ peers: 2, innerSteps: 2, batch: 1 }, { engine, schedule });
    await engine.close();
    expect(Math.min(...reports.map(({ ratio }) => ratio))).toBeGreaterThan(100);
  });
});

describe("what cannot work", () => {
  it.each<[string, Partial<CohortConfig>]>([
    ["peers", { peers: 0 }],
    ["peers", { peers: 1.5 }],
    ["innerSteps", { innerSteps: 0 }],
    ["method", { method: "gossip" as unknown as "adamw" }],
    ["outerLr", { outerLr: 0 }],
    ["momentum", { method: "diloco", outerMomentum: 1 }],
    ["bits", { codec: { bits: 3 as unknown as 1 } }],
    ["batch", { batch: 0 }],
    ["seqLen", { seqLen: 0.5 }],
  ])("is refused before it begins: %s", async (name, config) => {
    const error: unknown = await trained(config).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(SkeinError);
    expect((error as SkeinError).message).toContain(name);
  });

  it("ends a run whose peer takes no step any more", async () => {
    const engine = await openToy();
    let calls = 0;
    const rejected = { loss: Number.NaN, gradNorm: Number.NaN, applied: false };
    const broken: Engine = {
      ...engine,
      trainStep: (batch, step) => (calls++ >= 4 ? Promise.resolve(rejected) : engine.trainStep(batch, step)),
    };
    const error: unknown = await trained({ innerSteps: 12 }, { engine: broken }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "diverged" });
    expect((error as SkeinError).message).toContain("peer 0");
    expect(calls).toBe(4 + REJECTED_STEPS_MAX);
  });
});
