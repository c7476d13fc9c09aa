/** What payloads did, against the same round without them. */
import { expect, it, vi } from "vitest";
import { toyNetwork } from "../../../test/helpers/network.ts";
import { openReference } from "../../engine/reference/reference.ts";
import { harmOf } from "./harm.ts";

vi.setConfig({ testTimeout: 60_000 });

it("says that an honest peer's payloads helped, and nothing of rounds without them", async () => {
  const network = await toyNetwork();
  const { spec } = network;
  const ends = ["t1", "t2"].map((name) => network.trainer(name));
  await network.during(Promise.all([...ends, network.validator("v1"), network.validator("v2")]));
  const engine = await openReference({ shape: spec.model, seqLen: spec.inner.seqLen, microBatch: 8 });
  const node = await network.node("onlooker");
  const harm = await harmOf(node, [network.signer("t1").account], engine);
  expect(harm.length).toBeGreaterThan(7);
  expect(harm.reduce((sum, { nats }) => sum + nats, 0)).toBeLessThan(0);
  expect(await harmOf(node, [network.signer("nobody").account], engine)).toEqual([]);
  await engine.close();
});
