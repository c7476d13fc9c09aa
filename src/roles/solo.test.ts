import { describe, expect, it } from "vitest";
import { failingWrites } from "../../test/helpers/stores.ts";
import { TOY_SHAPE, toyDataset } from "../../test/helpers/toy.ts";
import { bytesOf, utf8 } from "../base/bytes.ts";
import { manualClock } from "../base/clock.ts";
import { SkeinError } from "../base/errors.ts";
import { sha256Hex } from "../base/hash.ts";
import { seededRandom } from "../base/random.ts";
import { listCheckpoints, readCheckpointInfo } from "../checkpoint/checkpoint.ts";
import type { Batch, Engine } from "../engine/engine.ts";
import { openReference } from "../engine/reference/reference.ts";
import type { Schedule } from "../optim/schedule.ts";
import { memoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { REJECTED_STEPS_MAX, type SoloConfig, type SoloHooks, type SoloOptions, trainSolo } from "./solo.ts";

const STEPS = 20;
const SCHEDULE: Schedule = { kind: "cosine", lr: 0.02, warmupSteps: 3, steps: STEPS, floorLr: 0.002, annealSteps: 4 };
const CONFIG: SoloConfig = { seed: 7, batch: 3, seqLen: 8, checkpointEvery: 4, keep: 2 };
const DATASET = toyDataset();

function openToy(): Promise<Engine> {
  return openReference({ shape: TOY_SHAPE, seqLen: 8, microBatch: 2 });
}

async function optionsWith(changes: Partial<SoloOptions> = {}): Promise<SoloOptions> {
  const engine = changes.engine ?? (await openToy());
  const clock = manualClock();
  return { engine, dataset: DATASET, schedule: SCHEDULE, config: CONFIG, store: memoryStore(), clock, ...changes };
}

async function stateOf(engine: Engine): Promise<string> {
  const hashes: (string | number)[] = [engine.stepCount()];
  for (const vector of ["params", "m", "v"] as const) hashes.push(sha256Hex(bytesOf(await engine.read(vector))));
  return hashes.join(" ");
}

/** What an uninterrupted run ends with, and its losses. */
const straight = (async () => {
  const losses: number[] = [];
  const options = await optionsWith({ hooks: { onStep: ({ loss }) => void losses.push(loss) } });
  const result = await trainSolo(options);
  const last = (await listCheckpoints(options.store))[0];
  const file = sha256Hex((await options.store.get(last?.key ?? "")) ?? new Uint8Array(0));
  return { losses, result, state: await stateOf(options.engine), file };
})();

/** An engine whose `when`-th training steps (counted from 0 in this process) see a loss that is no number. */
function rejecting(engine: Engine, when: (call: number) => boolean): Engine {
  let calls = 0;
  return {
    ...engine,
    trainStep: (batch, step) =>
      when(calls++)
        ? Promise.resolve({ loss: Number.NaN, gradNorm: Number.NaN, applied: false })
        : engine.trainStep(batch, step),
  };
}

describe("an uninterrupted run", () => {
  it("learns, reports every step, and ends with a checkpoint", async () => {
    const { losses, result } = await straight;
    expect(losses).toHaveLength(STEPS);
    expect(result).toMatchObject({ step: STEPS, stopped: false, tokensSeen: STEPS * 24, loss: losses.at(-1) });
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) - 0.1);
  });

  it("trains on every sequence once a pass, in an order of its own each pass", async () => {
    const engine = await openToy();
    const rows: string[] = [];
    const watched: Engine = {
      ...engine,
      trainStep: (batch, step) => {
        for (let at = 0; at < batch.tokens.length; at += 9) rows.push(batch.tokens.slice(at, at + 9).join());
        return engine.trainStep(batch, step);
      },
    };
    const dataset = toyDataset(1, 8 * 12 + 1);
    await trainSolo(await optionsWith({ engine: watched, dataset, schedule: { ...SCHEDULE, steps: 8 } }));
    const source = dataset.split("train");
    const all = await Promise.all(Array.from({ length: 12 }, async (_, i) => (await source.sequence(i, 8)).join()));
    const [first, second] = [rows.slice(0, 12), rows.slice(12)];
    expect([...first].sort()).toEqual([...all].sort());
    expect([...second].sort()).toEqual([...all].sort());
    expect(first).not.toEqual(second);
    expect(first).not.toEqual(all);
  });

  it("calls its hooks in order and at the right steps", async () => {
    const log: string[] = [];
    const hooks: SoloHooks = {
      onStart: ({ step, resumedFrom }) => void log.push(`start ${step} ${resumedFrom}`),
      onStep: ({ step, lr, pass, tokensSeen }) => {
        expect(lr).toBeGreaterThan(0);
        expect(tokensSeen).toBe(24 * step);
        expect(pass).toBeCloseTo((3 * step) / DATASET.split("train").sequences(8), 12);
        log.push(`step ${step}`);
      },
      onValidation: ({ step, loss }) => void log.push(`valid ${step} ${loss > 0}`),
      onSample: ({ step, prompt }) => void log.push(`sample ${step} ${prompt}`),
      onCheckpoint: ({ step, key }) => void log.push(`checkpoint ${step} ${key.length}`),
    };
    const config = { ...CONFIG, validateEvery: 2, sampleEvery: 3, samplePrompt: "a", validationSequences: 2 };
    await trainSolo(await optionsWith({ hooks, config, schedule: { ...SCHEDULE, steps: 9 } }));
    expect(log.filter((line) => !line.startsWith("step"))).toEqual([
      "start 0 undefined",
      "valid 2 true",
      "sample 3 a",
      "valid 4 true",
      "checkpoint 4 25",
      "valid 6 true",
      "sample 6 a",
      "valid 8 true",
      "checkpoint 8 25",
      "sample 9 a",
      "checkpoint 9 25",
    ]);
    expect(log.filter((line) => line.startsWith("step"))).toHaveLength(9);
  });

  it("tells tokens per second of training alone, and when it will end", async () => {
    const clock = manualClock();
    const engine = await openToy();
    const timed: Engine = {
      ...engine,
      trainStep: (batch, step) => clock.sleep(100).then(() => engine.trainStep(batch, step)),
      losses: (batch) => clock.sleep(300).then(() => engine.losses(batch)),
    };
    const seen: [number, number][] = [];
    const hooks: SoloHooks = { onStep: (report) => void seen.push([report.tokensPerSecond, report.etaMs]) };
    const config = { ...CONFIG, validateEvery: 1, validationSequences: 2 };
    await trainSolo(await optionsWith({ engine: timed, clock, hooks, config, schedule: { ...SCHEDULE, steps: 8 } }));
    expect(seen.map(([speed]) => speed)).toEqual(Array(8).fill(240));
    expect(seen[0]?.[1]).toBe(700); // 100 ms a step as far as is known
    expect(seen[1]?.[1]).toBe(6 * 250); // 500 ms in two steps
    expect(seen[7]?.[1]).toBe(0);
  });

  it("gives the same bits whether or not it validates, samples or saves on the way", async () => {
    const config = {
      ...CONFIG,
      validateEvery: 3,
      sampleEvery: 2,
      sampleTokens: 3,
      checkpointEvery: 1,
      validationSequences: 3,
    };
    const options = await optionsWith({ config });
    await trainSolo(options);
    expect(await stateOf(options.engine)).toBe((await straight).state);
  });

  it("begins from the seed, whatever the engine held", async () => {
    const options = await optionsWith();
    await options.engine.write("m", new Float32Array(100).fill(3));
    await options.engine.write("params", new Float32Array(100).fill(3));
    options.engine.setStepCount(11);
    await trainSolo(options);
    expect(await stateOf(options.engine)).toBe((await straight).state);
  });
});

/** Runs until the end in a new process, so to speak: a new engine, the same store. */
async function finish(store: Store): Promise<{ state: string; losses: number[]; from: string | undefined }> {
  const losses: number[] = [];
  let from: string | undefined;
  const hooks: SoloHooks = {
    onStep: ({ loss }) => void losses.push(loss),
    onStart: (start) => {
      from = start.resumedFrom;
    },
  };
  const options = await optionsWith({ store, hooks });
  await trainSolo(options);
  return { state: await stateOf(options.engine), losses, from };
}

describe("stopping and going on", () => {
  it("after an abort at any step continues bit for bit", async () => {
    for (let at = 0; at <= STEPS; at++) {
      const store = memoryStore();
      const stop = new AbortController();
      const hooks: SoloHooks = { onStep: ({ step }) => void (step === at && stop.abort()) };
      if (at === 0) stop.abort();
      const result = await trainSolo(await optionsWith({ store, hooks, signal: stop.signal }));
      expect(result).toMatchObject({ step: at, stopped: at < STEPS });
      const rest = await finish(store);
      expect(rest.state).toBe((await straight).state);
      expect(rest.losses).toEqual((await straight).losses.slice(at));
    }
  });

  it("after many deaths at random points continues bit for bit, down to the checkpoint's bytes", async () => {
    const random = seededRandom("deaths");
    for (let trial = 0; trial < 5; trial++) {
      const store = memoryStore();
      for (let deaths = 0; deaths < 6; deaths++) {
        let left = 1 + random.below(7);
        const engine = await openToy();
        const dying: Engine = {
          ...engine,
          trainStep: (batch, step) =>
            left-- > 0 ? engine.trainStep(batch, step) : Promise.reject(new Error("killed")),
        };
        await trainSolo(await optionsWith({ store, engine: dying })).catch((thrown) =>
          expect(thrown.message).toBe("killed"),
        );
      }
      expect((await finish(store)).state).toBe((await straight).state);
      const last = (await listCheckpoints(store))[0];
      expect(sha256Hex((await store.get(last?.key ?? "")) ?? new Uint8Array(0))).toBe((await straight).file);
    }
  });

  it("with a store that fails at the n-th write, for every n, loses nothing", async () => {
    const probe = failingWrites(memoryStore(), Number.POSITIVE_INFINITY);
    await trainSolo(await optionsWith({ store: probe }));
    expect(probe.writes()).toBe(30); // five checkpoints of six writes
    for (let n = 0; n < probe.writes(); n++) {
      const store = memoryStore();
      const failed = trainSolo(await optionsWith({ store: failingWrites(store, n) }));
      await expect(failed).rejects.toMatchObject({ code: "store" });
      const whole = (await listCheckpoints(store)).length;
      expect(whole).toBe(Math.min(2, Math.floor(n / 6)));
      const rest = await finish(store);
      expect(rest.from === undefined).toBe(whole === 0);
      expect(rest.state).toBe((await straight).state);
    }
  });

  it("when the newest checkpoint is damaged goes on from the one before and says so", async () => {
    const store = memoryStore();
    await trainSolo(await optionsWith({ store }));
    const [newest, older] = await listCheckpoints(store);
    await store.put(newest?.key ?? "", utf8("damaged"));
    const told: unknown[] = [];
    const options = await optionsWith({ store, hooks: { onStart: (start) => void told.push(start) } });
    await trainSolo(options);
    expect(told[0]).toMatchObject({ step: 16, resumedFrom: older?.key, damaged: [{ key: newest?.key }] });
    expect(await stateOf(options.engine)).toBe((await straight).state);
  });

  it("when all is done does nothing", async () => {
    const store = memoryStore();
    await trainSolo(await optionsWith({ store }));
    const result = await trainSolo(await optionsWith({ store }));
    expect(result).toEqual({ step: STEPS, tokensSeen: STEPS * 24, loss: undefined, stopped: false });
  });

  it("refuses a checkpoint of other settings, naming each, and touches nothing", async () => {
    const store = memoryStore();
    await trainSolo(await optionsWith({ store }));
    const key = (await listCheckpoints(store))[0]?.key ?? "";
    const before = await readCheckpointInfo(store, key);
    const cases: [string[], Partial<SoloOptions>][] = [
      [["seed"], { config: { ...CONFIG, seed: 8 } }],
      [["batch"], { config: { ...CONFIG, batch: 4 } }],
      [["seqLen"], { config: { ...CONFIG, seqLen: 7 } }],
      [["adamw.beta2"], { config: { ...CONFIG, adamw: { beta2: 0.99 } } }],
      [["adamw.clipNorm"], { config: { ...CONFIG, adamw: { clipNorm: Number.POSITIVE_INFINITY } } }],
      [["schedule.lr", "schedule.steps"], { schedule: { ...SCHEDULE, lr: 0.03, steps: 30 } }],
      [["data"], { dataset: toyDataset(2) }],
      [
        ["model.ffnDim"],
        { engine: await openReference({ shape: { ...TOY_SHAPE, ffnDim: 16 }, seqLen: 8, microBatch: 1 }) },
      ],
    ];
    for (const [names, changes] of cases) {
      const options = await optionsWith({ store, ...changes });
      const state = await stateOf(options.engine);
      const thrown = await trainSolo(options).catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(SkeinError);
      expect(thrown).toMatchObject({ code: "checkpoint", remedy: expect.any(String) });
      for (const name of names) expect((thrown as SkeinError).message).toContain(name);
      expect((thrown as SkeinError).details?.split("\n")).toHaveLength(names.length);
      expect(await stateOf(options.engine)).toBe(state);
    }
    expect(await readCheckpointInfo(store, key)).toEqual(before);
  });

  it("goes on with another microBatch, engine length, and how often it reports", async () => {
    const store = memoryStore();
    const stop = new AbortController();
    const hooks: SoloHooks = { onStep: ({ step }) => void (step === 9 && stop.abort()) };
    await trainSolo(await optionsWith({ store, hooks, signal: stop.signal }));
    const engine = await openReference({ shape: TOY_SHAPE, seqLen: 32, microBatch: 1 });
    await trainSolo(
      await optionsWith({ store, engine, config: { ...CONFIG, checkpointEvery: 0, validateEvery: 5, keep: 1 } }),
    );
    expect(await stateOf(engine)).toBe((await straight).state);
  });
});

describe("steps that are not finite", () => {
  it("are counted, and give up after a bounded number, keeping the last good checkpoint", async () => {
    const store = memoryStore();
    const engine = rejecting(await openToy(), (call) => call >= 10);
    const applied: boolean[] = [];
    const hooks: SoloHooks = { onStep: (report) => void applied.push(report.applied) };
    const thrown = await trainSolo(await optionsWith({ store, engine, hooks })).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: "diverged", remedy: expect.any(String) });
    expect(applied).toEqual([...Array(10).fill(true), ...Array(REJECTED_STEPS_MAX).fill(false)]);
    expect((await listCheckpoints(store)).map(({ step }) => step)).toEqual([8, 4]);
  });

  it("single ones are passed over, and the run with them continues bit for bit too", async () => {
    const bad = (call: number): boolean => [3, 4, 9].includes(call);
    const whole = await optionsWith({ engine: rejecting(await openToy(), bad) });
    await trainSolo(whole);
    expect(whole.engine.stepCount()).toBe(STEPS - 3);
    for (const at of [4, 5, 6, 12]) {
      const store = memoryStore();
      const stop = new AbortController();
      const hooks: SoloHooks = { onStep: ({ step }) => void (step === at && stop.abort()) };
      const first = await optionsWith({ store, hooks, signal: stop.signal, engine: rejecting(await openToy(), bad) });
      await trainSolo(first);
      const from = (await listCheckpoints(store))[0]?.step ?? 0;
      expect(from).toBe(at === 4 || at === 5 ? 0 : at);
      const second = await optionsWith({ store, engine: rejecting(await openToy(), (call) => bad(call + from)) });
      await trainSolo(second);
      expect(await stateOf(second.engine)).toBe(await stateOf(whole.engine));
    }
  });

  it("a last step that is rejected still ends with a checkpoint", async () => {
    const store = memoryStore();
    const engine = rejecting(await openToy(), (call) => call === STEPS - 1);
    const result = await trainSolo(await optionsWith({ store, engine }));
    expect(result.loss).toBeNaN();
    expect((await listCheckpoints(store))[0]?.step).toBe(STEPS);
  });
});

describe("bad settings", () => {
  it("are refused before anything happens", async () => {
    const cases: [string, Partial<SoloOptions>][] = [
      ["config", { config: { ...CONFIG, batch: 0 } }],
      ["config", { config: { ...CONFIG, seqLen: 9 } }],
      ["config", { config: { ...CONFIG, seqLen: 1.5 } }],
      ["config", { config: { ...CONFIG, keep: 0 } }],
      ["config", { config: { ...CONFIG, validateEvery: -1 } }],
      ["config", { schedule: { ...SCHEDULE, lr: Number.NaN } }],
      ["data", { dataset: toyDataset(1, 5) }],
      ["data", { dataset: toyDataset(1, 500, 3), config: { ...CONFIG, validateEvery: 1 } }],
    ];
    for (const [code, changes] of cases) {
      const engine: Engine = { ...(await openToy()), write: () => Promise.reject(new Error("touched")) };
      await expect(trainSolo(await optionsWith({ engine, ...changes }))).rejects.toMatchObject({ code });
    }
  });

  it("tokens outside the vocabulary are a data error", async () => {
    const engine = await openToy();
    const strange: Engine = {
      ...engine,
      trainStep: (batch: Batch, step) => engine.trainStep({ ...batch, tokens: batch.tokens.map(() => 99) }, step),
    };
    await expect(trainSolo(await optionsWith({ engine: strange }))).rejects.toMatchObject({ code: "data" });
  });
});
