/** Engines that take virtual time: how much, in which order, and that they compute what they compute. */
import { describe, expect, it } from "vitest";
import { drawBatch, OPTIONS, STEP } from "../../../test/contract/engine-kit.ts";
import { type Timeline, timeline } from "../timeline.ts";
import { type ComputeKind, timedEngine } from "./compute.ts";
import { openLinear } from "./linear.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lets time pass until `work` is done; gives the time of its end. */
async function endOf(clock: Timeline, work: Promise<unknown>): Promise<number> {
  let endMs: number | undefined;
  void work.finally(() => {
    endMs = clock.now();
  });
  for (;;) {
    await turn();
    if (endMs !== undefined) return endMs;
    expect(clock.step()).toBe(true);
  }
}

async function timed(slowness = 1) {
  const clock = timeline(1000);
  const told: [ComputeKind, number][] = [];
  const inner = await openLinear(OPTIONS);
  const engine = timedEngine(inner, {
    ...{ clock, msPerToken: 3, slowness },
    onCompute: (kind, ms) => told.push([kind, ms]),
  });
  return { clock, told, inner, engine };
}

describe("an engine that takes time", () => {
  const batch = drawBatch("time", OPTIONS, 2, 10); // 20 tokens

  it("takes it by tokens: all of it for gradients, a third for losses, none for vectors", async () => {
    const { clock, told, engine } = await timed();
    expect(await endOf(clock, engine.trainStep(batch, STEP))).toBe(1060);
    expect(await endOf(clock, engine.gradients(batch))).toBe(1120);
    expect(await endOf(clock, engine.losses(batch))).toBe(1140);
    expect(await endOf(clock, engine.logits(batch.tokens.slice(0, 5)))).toBe(1145);
    expect(await endOf(clock, engine.write("m", await engine.read("params")))).toBe(1145);
    expect(told).toEqual([
      ["train", 60],
      ["train", 60],
      ["losses", 20],
      ["losses", 5],
    ]);
  });

  it("is as slow as its node", async () => {
    const { clock, engine } = await timed(2.5);
    expect(await endOf(clock, engine.trainStep(batch, STEP))).toBe(1150);
  });

  it("does one thing at a time, and lets what is under way finish before it closes", async () => {
    const { clock, told, inner, engine } = await timed();
    const calls = [engine.trainStep(batch, STEP), engine.losses(batch), engine.close()];
    expect(inner.stepCount()).toBe(0);
    const ends = await Promise.all([endOf(clock, Promise.all(calls)), calls[1]?.then(() => clock.now())]);
    expect(ends).toEqual([1080, 1080]);
    expect(told.length).toBe(2);
    await expect(engine.read("params")).rejects.toThrow(/closed/);
    await expect(inner.read("params")).rejects.toThrow(/closed/);
  });

  it("gives what the engine gives, and refuses at once what it refuses", async () => {
    const { clock, told, engine } = await timed();
    const plain = await openLinear(OPTIONS);
    const step = engine.trainStep(batch, STEP);
    await endOf(clock, step);
    expect(await step).toEqual(await plain.trainStep(batch, STEP));
    expect(await engine.read("params")).toEqual(await plain.read("params"));
    expect([engine.stepCount(), engine.name, engine.options]).toEqual([1, plain.name, plain.options]);
    await expect(engine.losses({ ...batch, rows: 0 })).rejects.toMatchObject({ code: "data" });
    expect([clock.now(), told.length]).toEqual([1060, 1]);
  });
});
