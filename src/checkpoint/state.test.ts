import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failingWrites } from "../../test/helpers/stores.ts";
import { must } from "../base/assert.ts";
import { memoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { decodeHeaderLength } from "./format.ts";
import { loadState, type StateVectors, saveState } from "./state.ts";

const KEY = "s.safetensors";
const zeros = (like: StateVectors): StateVectors =>
  new Map([...like].map(([name, { length }]) => [name, new Float32Array(length)]));

async function saved(facts: string, vectors: StateVectors): Promise<{ store: Store; bytes: Uint8Array }> {
  const store = memoryStore();
  await saveState(store, KEY, facts, vectors);
  return { store, bytes: must(await store.get(KEY), "the blob") };
}

const SOME: StateVectors = new Map([
  ["m/0", Float32Array.of(1, -0, Number.NaN, Number.POSITIVE_INFINITY)],
  ["empty", new Float32Array(0)],
  ["v/0", Float32Array.of(2 ** -149)],
]);

describe("a state", () => {
  it("comes back with its facts, whatever they are", async () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 9 }), { maxLength: 4 });
    const values = fc.array(fc.array(fc.float(), { maxLength: 9 }), { minLength: 4, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary" }), names, values, async (facts, keys, all) => {
        const usable = keys.filter((name) => !["__metadata__", "integrity", "__proto__"].includes(name));
        const vectors = new Map(usable.sort().map((name, i) => [name, Float32Array.from(must(all[i], "values"))]));
        fc.pre(usable.every((name) => !/^[0-9]+$/.test(name))); // objects put such names first
        const { store } = await saved(facts, vectors);
        const into = zeros(vectors);
        expect(await loadState(store, KEY, into)).toBe(facts);
        expect(into).toEqual(vectors);
      }),
      { numRuns: 100 },
    );
  });

  it("opens as safetensors: length, JSON header, data", async () => {
    const { bytes } = await saved("f", SOME);
    const length = decodeHeaderLength(bytes, bytes.length);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<string, unknown>;
    expect(header["v/0"]).toEqual({ dtype: "F32", shape: [1], data_offsets: [16, 20] });
    expect(bytes.length).toBe(8 + length + 20 + 64);
  });

  it("is undefined where there is none, and refused before a vector is touched", async () => {
    expect(await loadState(memoryStore(), KEY, SOME)).toBeUndefined();
    const { store } = await saved("f", SOME);
    const into = zeros(SOME);
    const refusal = loadState(store, KEY, into, (facts) => {
      throw new Error(`no ${facts}`);
    });
    await expect(refusal).rejects.toThrow("no f");
    expect(into).toEqual(zeros(SOME));
  });

  it("refuses every file but its own: any byte changed, cut or added, and other vectors", async () => {
    const { store, bytes } = await saved("f", SOME);
    const damage = { name: "SkeinError", code: "checkpoint" };
    const refused = async (changed: Uint8Array): Promise<void> => {
      await store.put(KEY, changed);
      await expect(loadState(store, KEY, zeros(SOME))).rejects.toMatchObject(damage);
    };
    for (let i = 0; i < bytes.length; i++) await refused(bytes.map((b, j) => (j === i ? b ^ 4 : b)));
    for (let i = 0; i < bytes.length; i += 7) await refused(bytes.subarray(0, i));
    await refused(Uint8Array.from([...bytes, 0]));
    await store.put(KEY, bytes);
    for (const other of [new Map([["m/0", new Float32Array(4)]]), new Map([...SOME, ["w", new Float32Array(1)]])]) {
      await expect(loadState(store, KEY, other)).rejects.toMatchObject(damage);
    }
    expect(await loadState(store, KEY, zeros(SOME))).toBe("f");
  });

  it("takes any bytes for a damaged file", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        const store = memoryStore();
        await store.put(KEY, bytes);
        await expect(loadState(store, KEY, zeros(SOME))).rejects.toMatchObject({ code: "checkpoint" });
      }),
    );
  });

  it("leaves the old one where writing fails", async () => {
    const { store } = await saved("old", SOME);
    await expect(saveState(failingWrites(store, 1), KEY, "new", SOME)).rejects.toMatchObject({ code: "store" });
    expect(await loadState(store, KEY, zeros(SOME))).toBe("old");
  });
});
