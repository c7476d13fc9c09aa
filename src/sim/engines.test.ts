/** Engines that take turns. */
import { expect, it } from "vitest";
import { TOY_SHAPE } from "../../test/helpers/toy.ts";
import { openReference } from "../engine/reference/reference.ts";
import { workshop } from "./engines.ts";

it("does one thing at a time in the order asked, whatever each takes, and goes on after a failure", async () => {
  const shop = workshop();
  const done: string[] = [];
  let [open, finish] = [0, (): void => undefined];
  const slow = shop.does(async () => {
    open += 1;
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    done.push("slow");
  });
  const failing = shop.does(async () => {
    done.push("failing");
    throw new Error("no");
  });
  const last = shop.does(async () => done.push("last"));
  await Promise.resolve();
  expect([open, shop.waiting, done]).toEqual([1, 3, []]);
  finish();
  await expect(failing).rejects.toThrow("no");
  await Promise.all([slow, last]);
  expect([shop.waiting, done]).toEqual([0, ["slow", "failing", "last"]]);
});

it("leaves an engine what it is", async () => {
  const shop = workshop();
  const plain = await openReference({ shape: TOY_SHAPE, seqLen: 8, microBatch: 2 });
  const engine = shop.engine(plain);
  await engine.write("params", Float32Array.of(1, 2, 3), 4);
  engine.setStepCount(5);
  const [tokens, prompt] = [Int32Array.from({ length: 18 }, (_, i) => i % 13), Int32Array.of(1, 2)];
  const batch = { tokens, rows: 2, length: 8 };
  expect(await engine.read("params", 4, 3)).toEqual(Float32Array.of(1, 2, 3));
  expect([engine.stepCount(), engine.name, engine.deterministic]).toEqual([5, plain.name, plain.deterministic]);
  expect(await engine.losses(batch)).toEqual(await plain.losses(batch));
  expect(await engine.logits(prompt)).toEqual(await plain.logits(prompt));
  expect((await engine.gradients(batch)).loss).toBeGreaterThan(0);
  expect((await engine.trainStep(batch, { lr: 0.01 })).applied).toBe(true);
  expect(shop.waiting).toBe(0);
  await engine.close();
});
