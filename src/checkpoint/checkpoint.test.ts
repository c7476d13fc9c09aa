import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failingWrites } from "../../test/helpers/stores.ts";
import { TOY_SHAPE } from "../../test/helpers/toy.ts";
import { bytesOf, concatBytes, utf8 } from "../base/bytes.ts";
import { sha256, sha256Hex } from "../base/hash.ts";
import { HEADER_BYTES_MAX } from "../base/limits.ts";
import type { Engine } from "../engine/engine.ts";
import { openReference } from "../engine/reference/reference.ts";
import { type ModelShape, paramLayout } from "../engine/shape.ts";
import { initParams } from "../model/init.ts";
import { memoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import {
  checkpointKey,
  latestCheckpoint,
  listCheckpoints,
  loadCheckpoint,
  loadLatest,
  readCheckpointInfo,
  saveCheckpoint,
  verifyCheckpoint,
} from "./checkpoint.ts";
import { type CheckpointInfo, decodeHead, encodeHead } from "./format.ts";

const TINY: ModelShape = { ...TOY_SHAPE, vocabSize: 3, dim: 2, layers: 1, heads: 1, headDim: 2, ffnDim: 2 };
const FACTS = { step: 7, tokensSeen: 1234, seed: "s€ed\ud800", dataHash: "ab".repeat(32), config: '{"lr":0.1}' };

async function engineOf(shape: ModelShape, seed: number): Promise<Engine> {
  const engine = await openReference({ shape, seqLen: 8, microBatch: 1 });
  for (const [i, vector] of (["params", "m", "v"] as const).entries()) {
    await engine.write(vector, initParams(shape, seed * 3 + i));
  }
  engine.setStepCount(seed + 5);
  return engine;
}

async function stateOf(engine: Engine): Promise<string> {
  const parts = [await engine.read("params"), await engine.read("m"), await engine.read("v")];
  return `${engine.stepCount()} ${sha256Hex(concatBytes(parts.map(bytesOf)))}`;
}

async function saved(
  shape: ModelShape = TINY,
): Promise<{ store: Store; key: string; bytes: Uint8Array; engine: Engine }> {
  const store = memoryStore();
  const engine = await engineOf(shape, 1);
  const key = await saveCheckpoint(store, engine, FACTS);
  return { store, key, bytes: (await store.get(key)) ?? new Uint8Array(0), engine };
}

const DAMAGE = { name: "SkeinError", code: "checkpoint" };

/** A file with the given header and data, whose hashes are right. */
function forged(header: string | Uint8Array, data: Uint8Array): Uint8Array {
  const json = typeof header === "string" ? utf8(header) : header;
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(json.length), true);
  const head = concatBytes([prefix, json]);
  return concatBytes([head, data, sha256(head), sha256(data)]);
}

describe("saving and loading", () => {
  it("gives back the engine's state and the facts", async () => {
    const { store, key, engine } = await saved(TOY_SHAPE);
    expect(key).toBe("step-00000007.safetensors");
    const info: CheckpointInfo = { ...FACTS, shape: TOY_SHAPE, optimizerSteps: 6 };
    const other = await engineOf(TOY_SHAPE, 2);
    expect(await readCheckpointInfo(store, key)).toEqual(info);
    expect(await verifyCheckpoint(store, key)).toEqual(info);
    expect(await loadCheckpoint(store, key, other)).toEqual(info);
    expect(await stateOf(other)).toBe(await stateOf(engine));

    const generator = await engineOf(TOY_SHAPE, 3);
    const moments = await generator.read("m");
    await loadCheckpoint(store, key, generator, ["params"]);
    expect(await generator.read("params")).toEqual(await engine.read("params"));
    expect(await generator.read("m")).toEqual(moments);
  });

  it("writes plain safetensors: every tensor where its header says, no gap, no overlap", async () => {
    const { bytes, engine } = await saved();
    const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect((8 + headerBytes) % 8).toBe(0);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes)));
    expect(Object.values(header.__metadata__).every((value) => typeof value === "string")).toBe(true);
    const data = bytes.slice(8 + headerBytes);
    let end = 0;
    for (const vector of ["params", "m", "v"] as const) {
      const flat = await engine.read(vector);
      for (const entry of paramLayout(TINY)) {
        const tensor = header[`${vector}/${entry.name}`];
        expect(tensor.dtype).toBe("F32");
        expect(tensor.shape).toEqual(entry.dims);
        expect(tensor.data_offsets[0]).toBe(end);
        end = tensor.data_offsets[1];
        const values = new Float32Array(data.slice(tensor.data_offsets[0], end).buffer);
        expect(values).toEqual(flat.slice(entry.offset, entry.offset + entry.length));
      }
    }
    expect(header.integrity).toEqual({ dtype: "U8", shape: [64], data_offsets: [end, data.length] });
    expect(Object.keys(header)).toHaveLength(2 + 3 * paramLayout(TINY).length);
  });

  it("moves pieces of at most 4 MiB, whatever the size", async () => {
    const shape: ModelShape = { ...TINY, vocabSize: 400_000, dim: 4, headDim: 4, tied: true };
    const inner = memoryStore();
    let largest = 0;
    const store: Store = {
      ...inner,
      put: async (key, bytes) => {
        const parts: Uint8Array[] = [];
        for await (const part of bytes as AsyncIterable<Uint8Array>) {
          largest = Math.max(largest, part.length);
          parts.push(part.slice());
        }
        await inner.put(key, parts);
      },
      get: async (key, range) => {
        largest = Math.max(largest, (range?.end ?? Number.POSITIVE_INFINITY) - (range?.start ?? 0));
        return inner.get(key, range);
      },
    };
    const engine = await engineOf(shape, 1);
    const key = await saveCheckpoint(store, engine, FACTS);
    const other = await openReference({ shape, seqLen: 8, microBatch: 1 });
    await loadCheckpoint(store, key, other);
    expect(await stateOf(other)).toBe(await stateOf(engine));
    expect(largest).toBe(4 << 20);
  });

  it("keeps the last N, deleting only after the newer one is there", async () => {
    const store = memoryStore();
    const engine = await engineOf(TINY, 1);
    const log: string[] = [];
    const logged: Store = {
      ...store,
      put: (key, bytes) => store.put(key, bytes).then(() => void log.push(`put ${key}`)),
      delete: (key) => store.delete(key).then(() => void log.push(`delete ${key}`)),
    };
    await store.put("step-notes.txt", utf8("mine"));
    await store.put(checkpointKey(999), utf8("a later one of another run"));
    for (const step of [10, 20, 30]) await saveCheckpoint(logged, engine, { ...FACTS, step }, 2);
    expect(log).toEqual([10, 20, 30].map((s) => `put ${checkpointKey(s)}`).concat(`delete ${checkpointKey(10)}`));
    expect((await listCheckpoints(store)).map(({ step }) => step)).toEqual([999, 30, 20]);
    expect(await store.list("step-notes")).toHaveLength(1);
  });

  it("orders by step beyond eight digits and ignores other names", async () => {
    const store = memoryStore();
    for (const step of [5, 99_999_999, 100_000_000, 2_000_000_000]) await store.put(checkpointKey(step), utf8(""));
    for (const key of [
      "step-5.safetensors",
      "step-000000005.safetensors",
      "step-0000000a.safetensors",
      "x/step-00000001.safetensors",
    ]) {
      await store.put(key, utf8(""));
    }
    const steps = (await listCheckpoints(store)).map(({ step }) => step);
    expect(steps).toEqual([2_000_000_000, 100_000_000, 99_999_999, 5]);
  });

  it("leaves the older checkpoint when any write fails", async () => {
    const { store, engine } = await saved();
    const probe = failingWrites(store, Number.POSITIVE_INFINITY);
    await saveCheckpoint(probe, engine, { ...FACTS, step: 8 }, 1);
    await saveCheckpoint(store, engine, FACTS);
    await store.delete(checkpointKey(8));
    expect(probe.writes()).toBe(6); // head, params, m, v, hashes, publication
    for (let n = 0; n < probe.writes(); n++) {
      const broken = failingWrites(store, n);
      await expect(saveCheckpoint(broken, engine, { ...FACTS, step: 8 }, 1)).rejects.toMatchObject({ code: "store" });
      expect((await latestCheckpoint(store))?.info.step).toBe(7);
    }
  });
});

describe("damage", () => {
  it("is detected wherever one byte of the file is changed", async () => {
    const { store, key, bytes } = await saved();
    const engine = await engineOf(TINY, 9);
    const before = await stateOf(engine);
    for (let at = 0; at < bytes.length; at++) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
      await store.put(key, flipped);
      await expect(loadCheckpoint(store, key, engine), `byte ${at}`).rejects.toMatchObject(DAMAGE);
    }
    expect(await stateOf(engine)).toBe(before); // nothing of them reached the engine
  });

  it("is detected wherever the file is cut, and where something is added", async () => {
    const { store, key, bytes } = await saved();
    for (let length = 0; length < bytes.length; length++) {
      await store.put(key, bytes.subarray(0, length));
      await expect(verifyCheckpoint(store, key), `${length} bytes`).rejects.toMatchObject(DAMAGE);
    }
    await store.put(key, concatBytes([bytes, new Uint8Array(1)]));
    await expect(verifyCheckpoint(store, key)).rejects.toMatchObject(DAMAGE);
    await expect(verifyCheckpoint(store, checkpointKey(1))).rejects.toMatchObject(DAMAGE);
  });

  it("in the head is seen without reading the data", async () => {
    const { store, key, bytes } = await saved();
    const at = new TextDecoder().decode(bytes.subarray(0, 2000)).indexOf("1234");
    const flipped = bytes.slice();
    flipped[at] = 0x39; // tokensSeen 1234 → 9234: canonical, but not what was hashed
    await store.put(key, flipped);
    await expect(readCheckpointInfo(store, key)).rejects.toMatchObject({ message: expect.stringContaining("hash") });
  });

  it("a header of any length costs no memory", async () => {
    const store = memoryStore();
    const key = checkpointKey(7);
    for (const length of [2n ** 64n - 1n, 2n ** 63n, 2n ** 32n, BigInt(HEADER_BYTES_MAX) + 1n, 1000n]) {
      const file = new Uint8Array(100);
      new DataView(file.buffer).setBigUint64(0, length, true);
      await store.put(key, file);
      await expect(readCheckpointInfo(store, key)).rejects.toMatchObject(DAMAGE);
    }
  });

  it("made on purpose, with right hashes, is refused: offsets, dtypes, names, order, spacing, duplicates", async () => {
    const { store, key, bytes } = await saved();
    const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const json = new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes));
    const data = bytes.slice(8 + headerBytes, bytes.length - 64);
    await store.put(key, forged(json, data));
    await verifyCheckpoint(store, key); // the forger's tool itself works
    const changes: [string, (text: string) => string][] = [
      ["overlap", (t) => t.replace('"data_offsets":[24,32]', '"data_offsets":[20,28]')],
      ["gap", (t) => t.replace('"data_offsets":[24,32]', '"data_offsets":[28,32]')],
      ["huge offset", (t) => t.replace('"data_offsets":[24,32]', '"data_offsets":[24,9e99]')],
      ["dtype", (t) => t.replace("F32", "F64")],
      ["dims", (t) => t.replace('"shape":[3,2]', '"shape":[2,3]')],
      ["prototype", (t) => t.replace('"params/embed"', '"__proto__"')],
      ["constructor", (t) => t.replace('"params/embed"', '"constructor"')],
      ["polluted metadata", (t) => t.replace('"__metadata__":{', '"__metadata__":{"__proto__":{"polluted":"yes"},')],
      ["duplicate", (t) => t.replace('{"__metadata__"', '{"params/embed":1,"__metadata__"')],
      ["space", (t) => t.replace('":{', '": {').trimEnd()],
      ["shape too large", (t) => t.replace('\\"layers\\":1', '\\"layers\\":1000000000')],
      ["shape not JSON", (t) => t.replace('{\\"vocabSize', '[\\"vocabSize')],
      ["another shape", (t) => t.replace('\\"vocabSize\\":3', '\\"vocabSize\\":4')],
      ["step not a count", (t) => t.replace('"step":"7"', '"step":"07"')],
      ["step negative", (t) => t.replace('"step":"7"', '"step":"-7"')],
      ["step not text", (t) => t.replace('"step":"7"', '"step":7')],
      ["step beyond integers", (t) => t.replace('"step":"7"', '"step":"99999999999999999999"')],
      ["version", (t) => t.replace('"version":"1"', '"version":"2"')],
      ["format", (t) => t.replace("skein checkpoint", "pt")],
      ["not JSON", () => "{"],
      ["an array", () => "[]"],
      ["deep nesting", () => "[".repeat(1 << 20)],
      ["invalid UTF-8", (t) => t.replace("s€ed", "s\u0001ed")],
    ];
    for (const [name, change] of changes) {
      const changed = change(json);
      expect(changed, name).not.toBe(json);
      await store.put(key, forged(changed, data));
      await expect(verifyCheckpoint(store, key), name).rejects.toMatchObject(DAMAGE);
    }
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  it("of arbitrary bytes is an error with code checkpoint, never anything else", async () => {
    const store = memoryStore();
    const key = checkpointKey(7);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, framed) => {
        await store.put(key, framed ? forged(bytes, new Uint8Array(0)) : bytes);
        await expect(verifyCheckpoint(store, key)).rejects.toMatchObject(DAMAGE);
      }),
      { numRuns: 300 },
    );
  });

  it("a file under another step's name is refused; a copy under a name of its own is not", async () => {
    const { store, bytes } = await saved();
    await store.put("best.safetensors", bytes);
    expect((await verifyCheckpoint(store, "best.safetensors")).step).toBe(7);
    await store.put(checkpointKey(8), bytes);
    await expect(verifyCheckpoint(store, checkpointKey(8))).rejects.toMatchObject(DAMAGE);
  });

  it("a header of any facts is read back as it was", () => {
    const facts = fc.record({
      step: fc.maxSafeNat(),
      optimizerSteps: fc.maxSafeNat(),
      tokensSeen: fc.maxSafeNat(),
      seed: fc.string({ unit: "binary" }),
      dataHash: fc.string(),
      config: fc.json(),
    });
    fc.assert(
      fc.property(facts, (given) => {
        const info: CheckpointInfo = { ...given, shape: TINY };
        expect(decodeHead(encodeHead(info))).toEqual(info);
      }),
    );
  });
});

describe("loadLatest", () => {
  it("takes the newest that is whole and reports those it passed over", async () => {
    const store = memoryStore();
    const engine = await engineOf(TINY, 1);
    expect(await loadLatest(store, engine)).toBeUndefined();
    for (const step of [1, 2, 3]) {
      engine.setStepCount(step);
      await saveCheckpoint(store, engine, { ...FACTS, step });
    }
    await store.put(checkpointKey(3), utf8("torn"));
    await store.put(checkpointKey(4), new Uint8Array(0));
    const loaded = await loadLatest(store, engine);
    expect(loaded).toMatchObject({ key: checkpointKey(2), info: { step: 2 } });
    expect(loaded?.damaged.map(({ key }) => key)).toEqual([checkpointKey(4), checkpointKey(3)]);
    expect(engine.stepCount()).toBe(2);
    expect(await latestCheckpoint(store)).toEqual(loaded);

    for (const step of [1, 2]) await store.put(checkpointKey(step), utf8("torn"));
    await expect(loadLatest(store, engine)).rejects.toMatchObject({ ...DAMAGE, remedy: expect.any(String) });
  });

  it("asks before it touches the engine, and refuses another shape", async () => {
    const { store } = await saved();
    const engine = await engineOf(TINY, 2);
    const before = await stateOf(engine);
    const accept = (): never => {
      throw new Error("not this one");
    };
    await expect(loadLatest(store, engine, accept)).rejects.toThrow("not this one");
    expect(await stateOf(engine)).toBe(before);
    const other = await engineOf({ ...TINY, ffnDim: 4 }, 2);
    await expect(loadLatest(store, other)).rejects.toMatchObject(DAMAGE);
  });

  it("passes on a store's own trouble", async () => {
    const { store, engine } = await saved();
    const denied = Object.assign(new Error("denied"), { code: "store" });
    const broken: Store = { ...store, get: () => Promise.reject(denied) };
    await expect(loadLatest(broken, engine)).rejects.toBe(denied);
  });
});
