/** Shared checkpoints from one store to another: exact, deduplicated, resumable, from any mirror, whatever mirrors and publishers do. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failingWrites } from "../../../test/helpers/stores.ts";
import { must } from "../../base/assert.ts";
import { bytesOf, utf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { sha256Hex, toHex } from "../../base/hash.ts";
import { seededRandom } from "../../base/random.ts";
import { PIECE_PARAMS, stateRoot } from "../../round/state-root.ts";
import { blobKey, putBlob } from "../../store/blobs.ts";
import { memoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import { type CheckpointFault, fetchCheckpoint, isCheckpointFault } from "./fetch.ts";
import { dropOld } from "./keep.ts";
import { inLanes } from "./lanes.ts";
import { encodeSharedManifest, type SharedManifest } from "./manifest.ts";
import { publishCheckpoint } from "./publish.ts";

const SPEC = "5a".repeat(32);
const COUNT = 3 * PIECE_PARAMS + 1000;
const PIECE_BYTES = 4 * PIECE_PARAMS;

function paramsOf(seed: number): Float32Array {
  const random = seededRandom(seed);
  const params = new Float32Array(COUNT);
  new Uint32Array(params.buffer).forEach((_, i, bits) => {
    bits[i] = random.uint32() & 0xbfffffff; // any finite bits, of either sign
  });
  return params;
}

const THETA = paramsOf(1);
const ROOT = stateRoot(THETA);
const EXPECTED = { specHash: SPEC, round: 7, root: ROOT, paramCount: COUNT };

/** THETA with one element of piece `piece` changed. */
function changed(piece: number): Float32Array {
  const params = THETA.slice();
  params[piece * PIECE_PARAMS] = 42;
  return params;
}

async function published(round = 7, params = THETA, store = memoryStore()) {
  const result = await publishCheckpoint(store, { specHash: SPEC, round, params });
  return { ...result, store };
}

/** `store`, which counts what is asked of it, by method and key. */
function counted(store: Store): Store & { readonly gets: string[]; readonly puts: string[] } {
  const [gets, puts]: [string[], string[]] = [[], []];
  return {
    ...store,
    gets,
    puts,
    get: (key, range) => {
      gets.push(key);
      return store.get(key, range);
    },
    putIfAbsent: async (key, bytes) => {
      puts.push(key);
      return store.putIfAbsent(key, bytes);
    },
  };
}

/** A publisher's manifest that says what it likes. */
async function lie(changes: Partial<SharedManifest>, store: Store): Promise<string> {
  const pieces = Array.from({ length: 4 }, (_, i) =>
    sha256Hex(bytesOf(THETA.subarray(i * PIECE_PARAMS, (i + 1) * PIECE_PARAMS))),
  );
  const truth = { specHash: SPEC, round: 7, stateRoot: toHex(ROOT), paramCount: COUNT, pieces };
  return putBlob(store, encodeSharedManifest({ ...truth, ...changes }));
}

/** What a fetch gave, in short: the hash of the params, or the fault. (Comparing millions of elements one by one takes seconds.) */
function short(result: Float32Array | CheckpointFault): unknown {
  return isCheckpointFault(result) ? result : sha256Hex(bytesOf(result));
}

async function blobsOf(store: Store): Promise<string[]> {
  return store.list("blobs/");
}

describe("publishing and fetching", () => {
  it("gives the same bits to whoever has the root", async () => {
    const { store, manifest, root } = await published();
    expect(root).toEqual(ROOT);
    const local = memoryStore();
    const progress: [number, number][] = [];
    const params = await fetchCheckpoint([local, store], manifest, EXPECTED, (done, all) => progress.push([done, all]));
    expect(short(params)).toBe(short(THETA));
    expect(progress).toEqual([1, 2, 3, 4].map((done) => [done, 4]));
    expect(await local.list()).toEqual(await store.list()); // the node is a mirror now, and no note is left
    expect(short(await fetchCheckpoint([local], manifest, EXPECTED))).toBe(short(params));
  });

  it("works for params of one piece, and of exactly two", async () => {
    for (const count of [1, PIECE_PARAMS, 2 * PIECE_PARAMS]) {
      const params = THETA.slice(0, count);
      const { store, manifest, root } = await published(0, params);
      const expected = { ...EXPECTED, round: 0, root, paramCount: count };
      expect(short(await fetchCheckpoint([memoryStore(), store], manifest, expected))).toBe(short(params));
    }
  });

  it("sends only pieces that the store has not", async () => {
    const { store, newBytes, manifest } = await published();
    const manifestBytes = must(await store.size(blobKey(manifest)), "the manifest");
    expect(newBytes).toBe(4 * COUNT + manifestBytes);
    const again = await published(7, THETA, store);
    expect(again).toMatchObject({ newBytes: 0, manifest });
    const next = await published(8, changed(1), store);
    expect(next.newBytes).toBe(PIECE_BYTES + manifestBytes);
    expect(await blobsOf(store)).toHaveLength(4 + 1 + 1 + 1);
    const expected = { ...EXPECTED, round: 8, root: next.root };
    expect(short(await fetchCheckpoint([store], next.manifest, expected))).toBe(short(changed(1)));
  });

  it("puts the manifest last, and goes on where it failed", async () => {
    const inner = memoryStore();
    for (let n = 0; n < 5; n++) {
      const broken = failingWrites(memoryStore(), n);
      await expect(published(7, THETA, broken)).rejects.toMatchObject({ code: "store" });
      for (const key of await blobsOf(broken)) expect(await broken.size(key)).not.toBeLessThan(4000); // pieces only
    }
    await expect(published(7, THETA, failingWrites(inner, 3))).rejects.toMatchObject({ code: "store" });
    const there = (await blobsOf(inner)).length;
    const store = counted(inner);
    await published(7, THETA, store);
    expect(store.puts).toHaveLength(5 - there);
    expect(there).toBeGreaterThan(0);
  });
});

describe("fetching", () => {
  it("asks nobody for what the node has, and goes on where it was cut off", async () => {
    const { store, manifest } = await published();
    const local = memoryStore();
    const cut = fetchCheckpoint([local, store], manifest, EXPECTED, (done) => {
      if (done === 2) throw new SkeinError("interrupted", "stopped");
    });
    await expect(cut).rejects.toMatchObject({ code: "interrupted" });
    const kept = (await blobsOf(local)).length;
    expect(kept).toBeGreaterThanOrEqual(2);
    const mirror = counted(store);
    const progress: number[] = [];
    expect(short(await fetchCheckpoint([local, mirror], manifest, EXPECTED, (done) => progress.push(done)))).toBe(
      short(THETA),
    );
    expect(mirror.gets).toHaveLength(1 + 4 - kept);
    expect(progress).toEqual([1, 2, 3, 4]);
  });

  it("puts together what different mirrors have", async () => {
    const { store, manifest } = await published();
    const keys = await blobsOf(store);
    const mirrors = [memoryStore(), memoryStore(), memoryStore()];
    for (const [i, key] of keys.entries())
      await must(mirrors[i % 3], "mirror").put(key, must(await store.get(key), key));
    expect(short(await fetchCheckpoint([memoryStore(), ...mirrors], manifest, EXPECTED))).toBe(short(THETA));
  });

  it("passes over mirrors that lie, fail, or send too much", async () => {
    const { store, manifest } = await published();
    const lying: Store = { ...store, get: async () => new Uint8Array(PIECE_BYTES) };
    const failing: Store = { ...store, get: () => Promise.reject(new SkeinError("store", "away")) };
    const endless: Store = { ...store, get: async (_, range) => new Uint8Array(range?.end ?? 0) };
    const good = counted(store);
    const stores = [memoryStore(), lying, failing, endless, good];
    const blamed = new Map<number, string>();
    const onBad = (_: string, at: number, problem: string): unknown => blamed.set(at, problem);
    expect(short(await fetchCheckpoint(stores, manifest, EXPECTED, undefined, onBad))).toBe(short(THETA));
    expect([...blamed.keys()].sort()).toEqual([1, 2, 3]);
    expect(blamed.get(2)).toBe("away");
    expect(good.gets).toHaveLength(5);
    expect(await fetchCheckpoint([memoryStore(), failing], manifest, EXPECTED)).toEqual({ fault: "no manifest" });
  });

  it("shares the work among good mirrors, and asks a bad one last once it is known", async () => {
    const params = new Float32Array(16 * PIECE_PARAMS).map((_, i) => Math.floor(i / PIECE_PARAMS));
    const { store, manifest, root } = await published(7, params);
    const expected = { ...EXPECTED, root, paramCount: params.length };
    const bad = counted({ ...store, get: () => Promise.reject(new SkeinError("store", "away")) });
    const [one, two] = [counted(store), counted(store)];
    const result = await fetchCheckpoint([memoryStore(), bad, one, two], manifest, expected);
    expect(short(result)).toBe(short(params));
    expect(bad.gets.length).toBeLessThanOrEqual(1 + 2); // the manifest, and the first pieces, which are asked for at once
    expect(one.gets.length + two.gets.length).toBe(17);
    expect(Math.min(one.gets.length, two.gets.length)).toBeGreaterThanOrEqual(5);
  });

  it("bears a store that gives a wrong byte now and then, or nothing", async () => {
    const params = new Float32Array(32 * PIECE_PARAMS).map((_, i) => Math.floor(i / PIECE_PARAMS));
    const { store, manifest, root } = await published(7, params);
    const random = seededRandom("a bad line");
    const get: Store["get"] = async (key, range) => {
      const bytes = await store.get(key, range);
      if (random.below(5) === 0) return undefined;
      if (bytes && random.below(5) === 0) bytes.fill(1, random.below(bytes.length));
      return bytes;
    };
    const expected = { ...EXPECTED, root, paramCount: params.length };
    const result = await fetchCheckpoint([memoryStore(), { ...store, get }], manifest, expected);
    expect(short(result)).toBe(short(params));
  });

  it("heals what is damaged in the node's own store", async () => {
    const { store, manifest } = await published();
    const local = memoryStore();
    await fetchCheckpoint([local, store], manifest, EXPECTED);
    for (const key of await blobsOf(local)) {
      await local.put(key, utf8("damaged"));
      expect(short(await fetchCheckpoint([local, store], manifest, EXPECTED)), key).toBe(short(THETA));
      expect(await local.size(key), key).toBe(await store.size(key));
      expect(short(await fetchCheckpoint([local], manifest, EXPECTED)), key).toBe(short(THETA));
    }
  });

  it("says which piece nobody has, keeps the others, and succeeds when it is there", async () => {
    const { store, manifest } = await published();
    const third = blobKey(sha256Hex(bytesOf(THETA.subarray(2 * PIECE_PARAMS, 3 * PIECE_PARAMS))));
    const bytes = must(await store.get(third), "the piece");
    await store.delete(third);
    const local = memoryStore();
    expect(await fetchCheckpoint([local, store], manifest, EXPECTED)).toEqual({ fault: "missing piece", piece: 2 });
    expect((await blobsOf(local)).length).toBeGreaterThanOrEqual(2);
    await store.put(third, bytes);
    expect(short(await fetchCheckpoint([local, store], manifest, EXPECTED))).toBe(short(THETA));
  });

  it("rejects where the node's own disk is full", async () => {
    const { store, manifest } = await published();
    const full = failingWrites(memoryStore(), 3);
    await expect(fetchCheckpoint([full, store], manifest, EXPECTED)).rejects.toMatchObject({ code: "store" });
  });
});

describe("a publisher who lies", () => {
  it("about run, round, root or size is found out before a piece is fetched", async () => {
    const { store } = await published();
    const other = "ee".repeat(32);
    for (const changes of [{ specHash: other }, { round: 8 }, { stateRoot: other }, { paramCount: COUNT + 1 }]) {
      const mirror = counted(store);
      const local = memoryStore();
      const result = await fetchCheckpoint([local, mirror], await lie(changes, store), EXPECTED);
      expect(result).toEqual({ fault: "another checkpoint" });
      expect(mirror.gets).toHaveLength(1);
      expect(await local.list()).toEqual([]);
    }
  });

  it("about the params is found out by the root, and leaves nothing behind that is only his", async () => {
    const { store, manifest } = await published();
    const local = memoryStore();
    await fetchCheckpoint([local, store], manifest, EXPECTED);
    const before = await local.list();
    const wrong = await published(7, changed(3), store);
    const pieces = Array.from({ length: 4 }, (_, i) =>
      sha256Hex(bytesOf(changed(3).subarray(i * PIECE_PARAMS, (i + 1) * PIECE_PARAMS))),
    );
    expect(wrong.root).not.toEqual(ROOT);
    const forged = await lie({ pieces }, store);
    expect(await fetchCheckpoint([local, store], forged, EXPECTED)).toEqual({ fault: "wrong root" });
    expect(await local.list()).toEqual(before);
    expect(short(await fetchCheckpoint([local], manifest, EXPECTED))).toBe(short(THETA));
  });

  it("by naming a blob that is no piece is found out, and cannot make the node delete it", async () => {
    const { store } = await published();
    const local = memoryStore();
    const payload = await putBlob(local, utf8("somebody's payload"));
    const pieces = ["00".repeat(32), "00".repeat(32), "00".repeat(32), "00".repeat(32)].with(0, payload);
    const forged = await lie({ pieces }, store);
    expect(await fetchCheckpoint([local, store], forged, EXPECTED)).toEqual({ fault: "bad piece", piece: 0 });
    expect(await local.list()).toEqual([blobKey(payload)]);
  });

  it("with a blob of any bytes for a manifest is a fault", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const store = memoryStore();
        const result = await fetchCheckpoint([memoryStore(), store], await putBlob(store, bytes), EXPECTED);
        expect(isCheckpointFault(result)).toBe(true);
      }),
    );
  });
});

describe("dropOld", () => {
  it("keeps the newest, with every piece that they name, and nothing of the others", async () => {
    const store = memoryStore();
    const other = await putBlob(store, utf8("a payload"));
    const results = [];
    for (const round of [1, 2, 3, 4]) results.push(await published(round, changed(round % 4), store));
    const freed = await dropOld(store, 2);
    expect(freed.checkpoints).toBe(2);
    for (const [i, { manifest, root }] of results.entries()) {
      const fetched = await fetchCheckpoint([store], manifest, { ...EXPECTED, round: i + 1, root });
      expect(isCheckpointFault(fetched)).toBe(i < 2);
    }
    expect(await blobsOf(store)).toContain(blobKey(other));
    expect(await blobsOf(store)).toHaveLength(1 + 2 + 6); // the payload, two manifests, four pieces and two changed ones
    expect(await dropOld(store, 2)).toEqual({ checkpoints: 0, bytes: 0 });
  });

  it("says how many bytes it freed", async () => {
    const store = memoryStore();
    const total = async (): Promise<number> => {
      let bytes = 0;
      for (const key of await store.list()) bytes += (await store.size(key)) ?? 0;
      return bytes;
    };
    for (const round of [1, 2]) await published(round, changed(round), store);
    const before = await total();
    const { bytes } = await dropOld(store, 1);
    expect(bytes).toBe(before - (await total()));
    expect(bytes).toBeGreaterThan(PIECE_BYTES);
  });

  it("takes each run by itself, and a round's checkpoints together", async () => {
    const store = memoryStore();
    await published(1, changed(1), store);
    await published(5, changed(2), store);
    await published(5, changed(3), store);
    await publishCheckpoint(store, { specHash: "bb".repeat(32), round: 1, params: THETA });
    expect((await dropOld(store, 1)).checkpoints).toBe(1);
  });

  it("forgets fetches that were overtaken, and keeps those that may go on", async () => {
    const { store, manifest } = await published(7);
    const next = await published(9, changed(2), store);
    const local = memoryStore();
    const stop = (): never => {
      throw new SkeinError("interrupted", "stopped");
    };
    await expect(fetchCheckpoint([local, store], manifest, EXPECTED, stop)).rejects.toThrow("stopped");
    const partial = await blobsOf(local);
    expect(partial.length).toBeGreaterThan(0);
    expect(await dropOld(local, 1)).toEqual({ checkpoints: 0, bytes: 0 });
    expect(await blobsOf(local)).toEqual(partial);

    await fetchCheckpoint([local, store], next.manifest, { ...EXPECTED, round: 9, root: next.root });
    expect((await dropOld(local, 1)).checkpoints).toBe(1);
    const { store: clean } = await published(9, changed(2));
    expect(await local.list()).toEqual(await clean.list());
  });

  it("does not take from a fetch under way what it shares with an old checkpoint", async () => {
    const old = await published(7);
    const { store } = old;
    const whole = await published(8, paramsOf(2), store);
    const next = await published(9, changed(3), store);
    const local = memoryStore();
    await fetchCheckpoint([local, store], old.manifest, EXPECTED);
    await fetchCheckpoint([local, store], whole.manifest, { ...EXPECTED, round: 8, root: whole.root });
    const last = blobKey(sha256Hex(bytesOf(changed(3).subarray(3 * PIECE_PARAMS))));
    await store.delete(last);
    const wanted = { ...EXPECTED, round: 9, root: next.root };
    const cut = await fetchCheckpoint([local, store], next.manifest, wanted);
    expect(cut).toEqual({ fault: "missing piece", piece: 3 });
    expect((await dropOld(local, 1)).checkpoints).toBe(1);
    await store.put(last, bytesOf(changed(3).subarray(3 * PIECE_PARAMS)));
    const mirror = counted(store);
    expect(short(await fetchCheckpoint([local, mirror], next.manifest, wanted))).toBe(short(changed(3)));
    expect(mirror.gets).toHaveLength(2); // the manifest and the last piece
  });

  it("goes on after a failure, since manifests go last", async () => {
    const store = memoryStore();
    await published(1, changed(1), store);
    await published(2, changed(2), store);
    for (let n = 0; ; n++) {
      let left = n;
      const failing: Store = {
        ...store,
        delete: (key) => (left-- > 0 ? store.delete(key) : Promise.reject(new SkeinError("store", "read-only"))),
      };
      const done = await dropOld(failing, 1).then(
        () => true,
        () => false,
      );
      if (done) break;
      expect(n).toBeLessThan(5);
    }
    const { store: clean } = await published(2, changed(2));
    expect(await store.list()).toEqual(await clean.list());
  });

  it("does not let a stranger's manifest count, or any manifest delete what is no piece", async () => {
    const store = memoryStore();
    const { manifest } = await published(7, THETA, store);
    const payload = await putBlob(store, utf8("somebody's payload"));
    const zeros = "00".repeat(32);
    await lie({ round: 99, stateRoot: zeros, pieces: [zeros, zeros, zeros, payload] }, store);
    await lie({ round: 1, pieces: [zeros, zeros, zeros, payload] }, store);
    const before = await blobsOf(store);
    await dropOld(store, 1, ({ stateRoot: root }) => root === toHex(ROOT));
    expect(short(await fetchCheckpoint([store], manifest, EXPECTED))).toBe(short(THETA));
    expect(await blobsOf(store)).toHaveLength(before.length - 1); // the old one's manifest and nothing else
    expect(await blobsOf(store)).toContain(blobKey(payload));
  });
});

describe("inLanes", () => {
  it("does each once, a few at a time, and stops where it is told to", async () => {
    let [running, most] = [0, 0];
    const begun: number[] = [];
    const work = async (index: number): Promise<boolean> => {
      begun.push(index);
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
      return index !== 9;
    };
    expect(await inLanes(9, work)).toBe(true);
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(most).toBe(4);
    begun.length = 0;
    expect(await inLanes(100, work)).toBe(false);
    expect(begun.length).toBeLessThan(16);
    expect(running).toBe(0);
    expect(await inLanes(0, work)).toBe(true);
  });

  it("rejects with the first failure, after all others have ended", async () => {
    let running = 0;
    const work = async (index: number): Promise<boolean> => {
      running++;
      for (let i = 0; i < 10 * index; i++) await Promise.resolve();
      running--;
      if (index === 1) throw new Error("one");
      return true;
    };
    await expect(inLanes(50, work)).rejects.toThrow("one");
    expect(running).toBe(0);
  });
});
