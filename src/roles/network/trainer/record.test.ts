/** What a trainer writes down of its work: the same from memory and from the folder, also after a restart, and gone when it was asked for. */
import { describe, expect, it } from "vitest";
import { toyNetwork, toySpec } from "../../../../test/helpers/network.ts";
import { must } from "../../../base/assert.ts";
import { openReference } from "../../../engine/reference/reference.ts";
import { paramCount } from "../../../engine/shape.ts";
import { initParams } from "../../../model/init.ts";
import { stateRoot } from "../../../round/state-root.ts";
import { borderLeaf, decodeBorder, decodeStart, leafCount } from "../../../score/audit/commitment.ts";
import { memoryStore } from "../../../store/memory.ts";
import { type ActingNode, acting } from "../node.ts";
import { takeSteps } from "./inner.ts";
import { forgetStates, recorder, reopenedRecord, type WorkRecord } from "./record.ts";

const spec = toySpec({ audit: { perMille: 1000, spans: 2 } });
const base = initParams(spec.model, "1");
const zeros = (): Float32Array => new Float32Array(paramCount(spec.model));

async function nodeOf(): Promise<ActingNode> {
  const network = await toyNetwork({ spec });
  return acting(await network.node("t1", { local: memoryStore() }));
}

async function recorded(node: ActingNode, memoryBytesMax?: number): Promise<WorkRecord> {
  const { model, inner } = spec;
  const engine = await openReference({ shape: model, seqLen: inner.seqLen, microBatch: 2 });
  const record = recorder(node, engine, { round: 3, baseRoot: stateRoot(base), from: undefined }, memoryBytesMax);
  const dealt = { round: 3, uid: 1, batch: 2, seed: "0x00" };
  await takeSteps({ node, engine }, dealt, { params: base, m: zeros(), v: zeros(), steps: 0 }, record);
  return record.finish(zeros(), base);
}

describe("the record of a round's work", () => {
  it("has a leaf for each border and the states behind them, in memory or in the folder", async () => {
    const node = await nodeOf();
    const [inMemory, inFolder] = [await recorded(node), await recorded(node, 0)];
    const { leaves } = inMemory;
    expect(inFolder.leaves).toEqual(leaves);
    expect(leaves.length).toBe(leafCount(2));
    expect(decodeStart(must(leaves[0], "a start"))).toEqual({ kind: "reference", previous: undefined });
    const keys = await node.local.list("work/3/");
    expect(keys.map((key) => key.slice(7))).toEqual(["m-0", "m-1", "params-1", "params-2", "residual", "v-0", "v-1"]);
    for (const record of [inMemory, inFolder, must(await reopenedRecord(node, 3, leaves, undefined), "a record")]) {
      for (const [part, role] of [
        [0, "m"],
        [1, "params"],
        [1, "v"],
        [2, "params"],
      ] as const) {
        const state = must(decodeBorder(must(leaves[borderLeaf(part)], "a border")), "a state");
        expect(stateRoot(must(await record.vector(role, part), role))).toEqual(state[role]);
      }
      expect(await record.vector("residual", 2)).toEqual(zeros());
      expect(await record.vector("nextM", 1)).toBeUndefined(); // whoever computes the same bits need not show it
    }
  });

  it("is gone when it was dropped, and when a restart finds the states of other rounds", async () => {
    const node = await nodeOf();
    const [first, second] = [await recorded(node, 0), await recorded(node, 0)];
    await forgetStates(node, 3);
    expect((await node.local.list("work/")).length).toBe(7);
    await first.drop();
    expect(await second.vector("m", 0)).toBeUndefined();
    expect(await reopenedRecord(node, 3, second.leaves, undefined)).toBeUndefined();
    await recorded(node, 0);
    await forgetStates(node, undefined);
    expect(await node.local.list("work/")).toEqual([]);
  });
});
