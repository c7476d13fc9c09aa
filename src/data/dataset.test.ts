import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionError } from "../base/assert.ts";
import { SkeinError } from "../base/errors.ts";
import { memoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { buildDataset } from "./build.ts";
import { openDataset } from "./dataset.ts";
import { type Manifest, manifestSha256 } from "./shards/manifest.ts";
import { byteTokenizer } from "./tokenizer.ts";

const TEXT = Array.from({ length: 400 }, (_, i) => `line ${i} of the text`).join("\n");

/** A dataset of one document per split, in shards of 501 tokens and pieces of 64 bytes. */
async function built(): Promise<{ store: Store; manifest: Manifest; train: number[] }> {
  const store = memoryStore();
  const documents = [
    { name: "a", text: TEXT, split: "train" },
    { name: "b", text: "held out", split: "valid" },
  ] as const;
  const manifest = await buildDataset(
    { documents, tokenizer: byteTokenizer(), shardTokens: 501, pieceBytes: 64 },
    store,
  );
  return { store, manifest, train: [...new TextEncoder().encode(TEXT), 256] };
}

async function dataError(work: Promise<unknown>): Promise<SkeinError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(SkeinError);
  expect((error as SkeinError).code).toBe("data");
  expect((error as SkeinError).remedy).toMatch(/./);
  return error as SkeinError;
}

/** Counts bytes read, and changes what `change` says. */
function spying(store: Store, change: (key: string, bytes: Uint8Array) => Uint8Array | undefined = (_, b) => b) {
  const reads: string[] = [];
  const get: Store["get"] = async (key, range) => {
    reads.push(key);
    const bytes = await store.get(key, range);
    return bytes && change(key, bytes);
  };
  return { ...store, get, reads };
}

describe("openDataset", () => {
  it("gives every sequence of every length, across shards and pieces", async () => {
    const { store, manifest, train } = await built();
    const source = (await openDataset(store)).split("train");
    expect(source.tokens).toBe(train.length);
    expect(manifest.splits.train.shards.length).toBeGreaterThan(10);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3000 }), fc.nat(), async (length, at) => {
        const count = source.sequences(length);
        expect(count).toBe(Math.floor((train.length - 1) / length));
        const index = at % count;
        const tokens = await source.sequence(index, length);
        expect([...tokens]).toEqual(train.slice(index * length, index * length + length + 1));
      }),
      { numRuns: 60 },
    );
    const valid = (await openDataset(store)).split("valid");
    expect(valid.tokens).toBe(9);
    expect(valid.sequences(9)).toBe(0);
  });

  it("treats requests out of range as bugs", async () => {
    const source = (await openDataset((await built()).store)).split("train");
    expect(() => source.sequences(0)).toThrow(AssertionError);
    await expect(source.sequence(-1, 4)).rejects.toThrow(AssertionError);
    await expect(source.sequence(source.sequences(4), 4)).rejects.toThrow(AssertionError);
    await expect(source.sequence(0.5, 4)).rejects.toThrow(AssertionError);
  });

  it("reads a piece once while it is kept, keeps no more than told, and shares reads under way", async () => {
    const { store } = await built();
    const binReads = (spy: { reads: string[] }): number => spy.reads.filter((key) => key.endsWith(".bin")).length;
    const roomy = spying(store);
    const source = (await openDataset(roomy)).split("train");
    await Promise.all(Array.from({ length: 8 }, () => source.sequence(0, 16)));
    expect(binReads(roomy)).toBe(1);
    const tight = spying(store);
    const narrow = (await openDataset(tight, { cacheBytes: 64 })).split("train");
    for (const index of [0, 0, 10, 10, 0]) await narrow.sequence(index, 16);
    expect(binReads(tight)).toBe(3);
  });

  it("names shard, piece and remedy where a byte is wrong, whichever byte it is", async () => {
    const { store, manifest, train } = await built();
    const [shard] = manifest.splits.train.shards;
    const bytes = (await store.get(shard?.name ?? "")) as Uint8Array;
    for (const at of [0, 1, 63, 64, 500, bytes.length - 1]) {
      const bent = bytes.slice();
      bent[at] = (bent[at] as number) ^ 1;
      await store.put(shard?.name ?? "", bent);
      const source = (await openDataset(store)).split("train");
      const error = await dataError(source.sequence(Math.floor(at / 2 / 8), 8));
      expect(error.message).toContain(`shard ${shard?.name}, piece ${Math.floor(at / 64)}`);
      const elsewhere = at < 64 ? 10 : 0; // other pieces are still good
      expect([...(await source.sequence(elsewhere, 8))]).toEqual(train.slice(elsewhere * 8, elsewhere * 8 + 9));
    }
  });

  it("notices what is missing, short, long or exchanged", async () => {
    const cases: [RegExp, (key: string, bytes: Uint8Array) => Uint8Array | undefined][] = [
      [/\.bin, piece 0.*is missing/, (key, b) => (key.endsWith(".bin") ? undefined : b)],
      [/piece 0.*has only 10 of 64/, (key, b) => (key.endsWith(".bin") ? b.subarray(0, 10) : b)],
      [/piece list .*is missing/, (key, b) => (key.endsWith(".pieces") ? undefined : b)],
      [/piece list .*sha256/, (key, b) => (key.endsWith(".pieces") ? b.subarray(1) : b)],
      [/piece list .*sha256/, (key, b) => (key.endsWith(".pieces") ? new Uint8Array([...b, 0]) : b)],
    ];
    for (const [message, change] of cases) {
      const { store } = await built();
      const source = (await openDataset(spying(store, change))).split("train");
      expect((await dataError(source.sequence(0, 8))).message).toMatch(message);
    }
  });

  it("goes to the next mirror where one has not what it should", async () => {
    const { store, train } = await built();
    const bad = spying(store, (key, b) =>
      key.endsWith(".bin") ? b.map((byte) => byte ^ 1) : key === "manifest.json" ? b : undefined,
    );
    const empty = memoryStore();
    const source = (await openDataset(empty, { mirrors: [bad, store] })).split("train");
    expect([...(await source.sequence(3, 8))]).toEqual(train.slice(24, 33));
    await dataError((await openDataset(bad, { mirrors: [empty] })).split("train").sequence(0, 8));
  });

  it("passes on what is no trouble with data", async () => {
    const broken: Store = { ...memoryStore(), get: () => Promise.reject(new TypeError("bug")) };
    await expect(openDataset(broken)).rejects.toThrow(TypeError);
    await expect(openDataset(memoryStore())).rejects.toThrow(/dataset: is missing/);
  });

  it("holds the manifest against a hash, and the tokenizer against the manifest", async () => {
    const { store, manifest } = await built();
    await openDataset(store, { manifestSha256: manifestSha256(manifest) });
    await dataError(openDataset(store, { manifestSha256: "0".repeat(64) }));
    const dataset = await openDataset(store);
    expect((await dataset.tokenizer()).toJson()).toBe(byteTokenizer().toJson());
    await store.put(manifest.tokenizer.name, new TextEncoder().encode(`${byteTokenizer().toJson()} `));
    await dataError((await openDataset(store)).tokenizer());
  });
});
