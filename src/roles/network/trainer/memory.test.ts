/** A trainer's file: whole round trips, and every kind of damage. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toyNetwork } from "../../../../test/helpers/network.ts";
import { must } from "../../../base/assert.ts";
import { SkeinError } from "../../../base/errors.ts";
import { paramCount } from "../../../engine/shape.ts";
import { stateRoot } from "../../../round/state-root.ts";
import { memoryStore } from "../../../store/memory.ts";
import { type ActingNode, acting } from "../node.ts";
import { loadTrainer, newMemory, promised, saveTrainer, settle } from "./memory.ts";

const KEY = "trainer.safetensors";
const leaves = Array.from({ length: 6 }, (_, i) => new Uint8Array(32).fill(i)); // as many as the tiny run's two spans have

async function saved(): Promise<{ node: ActingNode; bytes: Uint8Array }> {
  const network = await toyNetwork();
  const node = acting(await network.node("t1", { local: memoryStore() }));
  const params = Float32Array.from({ length: paramCount(node.spec.model) }, (_, i) => i / 7);
  const memory = newMemory(params.length);
  memory.residual.fill(1);
  memory.next.residual.fill(2);
  memory.moments.m.fill(3);
  memory.moments = { ...memory.moments, steps: 12 };
  memory.next.moments.v.fill(4);
  memory.next.moments = { ...memory.next.moments, steps: 16 };
  memory.link = { round: 2, hash: `0x${"cd".repeat(32)}`, leaves };
  memory.pending = { ...memory.link, round: 4, uid: 2, batch: 8, hash: `0x${"ab".repeat(32)}` };
  await saveTrainer(node, { round: 4, params, roots: new Map([[4, stateRoot(params)]]) }, memory);
  return { node, bytes: (await node.local.get(KEY)) as Uint8Array };
}

describe("a trainer's file", () => {
  it("gives back what was saved", async () => {
    const { node } = await saved();
    const loaded = await loadTrainer(node);
    expect(loaded?.state.round).toBe(4);
    expect(loaded?.state.params[7]).toBe(1);
    const { pending, link, residual, next, moments } = must(loaded, "what was saved").memory;
    expect(link).toEqual({ round: 2, hash: `0x${"cd".repeat(32)}`, leaves });
    expect(pending).toEqual({ round: 4, uid: 2, batch: 8, hash: `0x${"ab".repeat(32)}`, leaves });
    expect([residual[0], next.residual[0], moments.m[9], next.moments.v[5]]).toEqual([1, 2, 3, 4]);
    expect([moments.steps, next.moments.steps]).toEqual([12, 16]);
  });

  it("is refused where it is another hotkey's", async () => {
    const { bytes } = await saved();
    const network = await toyNetwork();
    const local = memoryStore();
    await local.put(KEY, bytes);
    const other = acting(await network.node("t2", { local }));
    await expect(loadTrainer(other)).rejects.toThrow(/another run or another hotkey/);
  });

  it("is refused, and nothing else happens, where any of its bytes are other ones", async () => {
    const { node, bytes } = await saved();
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        await node.local.put(
          KEY,
          bytes.map((byte, i) => (i === at ? byte ^ flip : byte)),
        );
        await expect(loadTrainer(node)).rejects.toThrow(SkeinError);
      }),
      { numRuns: 150 },
    );
    await node.local.put(KEY, bytes.subarray(0, 1000));
    await expect(loadTrainer(node)).rejects.toThrow(SkeinError);
  });
});

const withPending = () => {
  const memory = newMemory(1);
  memory.residual[0] = 1;
  memory.next.residual[0] = 2;
  memory.next.moments.m[0] = 3;
  memory.pending = { round: 3, uid: 0, batch: 1, hash: "0xaa", leaves };
  return memory;
};

describe("error feedback", () => {
  const applied = (round: number, hashes: readonly `0x${string}`[]) => ({
    round,
    uids: [],
    hashes,
    accepted: [],
    bytes: 0,
  });

  it("moves on where the payload was applied, and stays where it was not", () => {
    const yes = withPending();
    settle(yes, applied(3, ["0xbb", "0xaa"]));
    expect([yes.residual[0], yes.pending]).toEqual([2, undefined]);
    const no = withPending();
    settle(no, applied(3, ["0xbb"]));
    expect([no.residual[0], no.pending]).toEqual([1, undefined]);
  });

  it("waits for its own round, and stays where that was missed", () => {
    const memory = withPending();
    settle(memory, applied(2, ["0xaa"]));
    expect(memory.pending).toBeDefined();
    settle(memory, applied(4, ["0xaa"]));
    expect([memory.residual[0], memory.pending]).toEqual([1, undefined]);
  });
});

describe("moments", () => {
  it("move on where the payload is promised, which the next goes on from", () => {
    const memory = withPending();
    expect(memory.link).toBeUndefined();
    promised(memory);
    expect(memory.moments.m[0]).toBe(3);
    expect(memory.link).toEqual({ round: 3, hash: "0xaa", leaves });
    memory.pending = { round: 4, uid: 0, batch: 1, hash: "0xbb", leaves };
    promised(memory);
    expect(memory.link?.round).toBe(4);
    expect(memory.moments.m[0]).toBe(0);
  });
});
