import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SkeinError } from "../base/errors.ts";
import { sha256Hex } from "../base/hash.ts";
import { seededRandom } from "../base/random.ts";
import { memoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { type BuildOptions, type BuildProgress, buildDataset } from "./build.ts";
import { openDataset } from "./dataset.ts";
import type { Document } from "./document.ts";
import { encodeManifest, parseManifest, type SplitName } from "./shards/manifest.ts";
import { byteTokenizer } from "./tokenizer.ts";

const tokenizer = byteTokenizer();

function documentsOf(count: number, seed = "documents"): Document[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, (_, i) => ({
    name: `d${i}`,
    text: Array.from({ length: 1 + random.below(30) }, () => `word${random.below(1000)}`).join(" "),
  }));
}

const SMALL = { tokenizer, shardTokens: 500, pieceBytes: 64, validFraction: 0.1 } as const;

/** Everything in a store. */
async function contents(store: Store): Promise<Record<string, string>> {
  const out: Record<string, string> = {};
  for (const key of await store.list()) out[key] = sha256Hex((await store.get(key)) as Uint8Array);
  return out;
}

/** All documents of a split, read back. */
async function readBack(store: Store, split: SplitName): Promise<string[]> {
  const dataset = await openDataset(store);
  const source = dataset.split(split);
  if (source.tokens === 0) return [];
  const tokens: number[] = [];
  for (let i = 0; i < source.tokens - 1; i++) tokens.push((await source.sequence(i, 1))[0] as number);
  tokens.push((await source.sequence(source.tokens - 2, 1))[1] as number);
  expect(tokens.at(-1)).toBe(256);
  return (await dataset.tokenizer()).decode(tokens).split("<|endoftext|>").slice(0, -1);
}

async function failure(promise: Promise<unknown>): Promise<SkeinError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(SkeinError);
  return error as SkeinError;
}

/** A store whose n-th write, counted over puts and deletes, and all later ones fail; like a process that was killed there. */
function killedAt(store: Store, n: number): Store & { writes: string[] } {
  const writes: string[] = [];
  const guard = (key: string): void => {
    if (writes.length >= n) throw new SkeinError("store", "killed");
    writes.push(key);
  };
  return {
    ...store,
    writes,
    put: async (key, bytes) => {
      guard(key);
      await store.put(key, bytes);
    },
    delete: async (key) => {
      guard(key);
      await store.delete(key);
    },
  };
}

describe("buildDataset", () => {
  it("keeps every document once, in order, in one split, each ended", async () => {
    const store = memoryStore();
    const documents = documentsOf(100);
    const repeated = [...documents, ...documents.slice(0, 10), { name: "blank", text: " \n" }];
    const manifest = await buildDataset({ ...SMALL, documents: repeated, description: "made up" }, store);
    const [train, valid] = [await readBack(store, "train"), await readBack(store, "valid")];
    const inOrder = (texts: string[]): string[] =>
      documents.map(({ text }) => text).filter((text) => texts.includes(text));
    expect(train).toEqual(inOrder(train));
    expect(valid).toEqual(inOrder(valid));
    expect([...train, ...valid].sort()).toEqual(documents.map(({ text }) => text).sort());
    expect(valid.length).toBeGreaterThan(2);
    expect(valid.length).toBeLessThan(25);
    expect(manifest.source).toEqual({
      description: "made up",
      bytes: documents.reduce((sum, { text }) => sum + text.length, 0),
      trainDocuments: train.length,
      validDocuments: valid.length,
      duplicates: 10,
      empty: 1,
    });
    expect(manifest.splits.train.shards.length).toBeGreaterThan(5);
    expect(manifest.splits.train.shards.slice(0, -1).every(({ tokens }) => tokens === 500)).toBe(true);
    expect(parseManifest((await store.get("manifest.json")) as Uint8Array)).toEqual(manifest);
    expect((await store.list()).includes("journal.json")).toBe(false);
  });

  it("moves no document to another split when others are added", async () => {
    const valid = async (count: number): Promise<string[]> => {
      const store = memoryStore();
      await buildDataset({ ...SMALL, documents: documentsOf(100).slice(0, count) }, store);
      return readBack(store, "valid");
    };
    const [some, all] = [await valid(60), await valid(100)];
    expect(all.slice(0, some.length)).toEqual(some);
  });

  it("treats special tokens in documents as the text they are", async () => {
    const store = memoryStore();
    const text = "a <|endoftext|> b";
    await buildDataset({ tokenizer, documents: [{ name: "x", text, split: "train" }] }, store);
    const row = await (await openDataset(store)).split("train").sequence(0, text.length);
    expect([...row].filter((token) => token === 256)).toEqual([256]);
  });

  it("takes the split a document asks for", async () => {
    const store = memoryStore();
    const documents: Document[] = documentsOf(40).map((d, i) => ({ ...d, split: i % 4 === 0 ? "valid" : "train" }));
    await buildDataset({ ...SMALL, documents }, store);
    expect(await readBack(store, "valid")).toEqual(documents.filter((_, i) => i % 4 === 0).map((d) => d.text));
  });

  it("finds something to validate on in small corpora", async () => {
    const build = async (documents: Document[], validFraction = 0.001): Promise<[string[], string[]]> => {
      const store = memoryStore();
      await buildDataset({ ...SMALL, documents, validFraction }, store);
      return [await readBack(store, "train"), await readBack(store, "valid")];
    };
    expect(await build(documentsOf(3))).toEqual([
      documentsOf(3)
        .slice(0, 2)
        .map((d) => d.text),
      [documentsOf(3)[2]?.text],
    ]);
    const [train, valid] = await build([{ name: "only", text: "one two three four five six seven eight nine ten" }]);
    expect([train, valid]).toEqual([["one two three four five six seven eight "], ["nine ten"]]);
    expect(await build([{ name: "only", text: "x" }])).toEqual([["x"], []]);
    expect((await build(documentsOf(3), 0))[1]).toEqual([]);
    expect((await build([{ name: "mine", text: "all to train", split: "train" }]))[1]).toEqual([]);
  });

  it("chooses uint16 to 65,536 tokens and uint32 above", async () => {
    const wide = { ...tokenizer, vocabSize: 70_000, encode: () => Int32Array.of(69_999, 3) };
    const store = memoryStore();
    const manifest = await buildDataset(
      { tokenizer: wide, documents: [{ name: "x", text: "x y", split: "train" }] },
      store,
    );
    expect(manifest.dtype).toBe("uint32");
    expect([...((await store.get(manifest.splits.train.shards[0]?.name ?? "")) as Uint8Array)].slice(0, 8)).toEqual([
      0x6f, 0x11, 1, 0, 3, 0, 0, 0,
    ]);
    const narrow = await buildDataset({ tokenizer, documents: documentsOf(1) }, memoryStore());
    expect(narrow.dtype).toBe("uint16");
  });

  it("reports progress that only grows", async () => {
    const seen: BuildProgress[] = [];
    await buildDataset(
      { ...SMALL, documents: documentsOf(50), totalBytes: 123, onProgress: (p) => seen.push(p) },
      memoryStore(),
    );
    for (let i = 1; i < seen.length; i++) {
      for (const key of ["bytes", "documents", "tokens", "shards"] as const) {
        expect(seen[i]?.[key]).toBeGreaterThanOrEqual(seen[i - 1]?.[key] as number);
      }
    }
    expect(seen.at(-1)).toMatchObject({ documents: 50, totalBytes: 123 });
  });

  it("refuses an empty corpus and settings out of range", async () => {
    expect((await failure(buildDataset({ ...SMALL, documents: [] }, memoryStore()))).code).toBe("data");
    const blank = [
      { name: "a", text: "" },
      { name: "b", text: "\n\n" },
    ];
    expect((await failure(buildDataset({ ...SMALL, documents: blank }, memoryStore()))).details).toMatch(
      /without text: 2/,
    );
    const bad: Partial<BuildOptions>[] = [
      { shardTokens: 0 },
      { shardTokens: 1.5 },
      { pieceBytes: 6 },
      { pieceBytes: 0 },
      { pieceBytes: 4, shardTokens: 1 << 20 },
      { validFraction: 0.9 },
      { validFraction: Number.NaN },
      { description: "x".repeat(2000) },
    ];
    for (const options of bad) {
      const error = await failure(buildDataset({ ...SMALL, documents: documentsOf(3), ...options }, memoryStore()));
      expect(error.code, JSON.stringify(options)).toBe("usage");
    }
  });
});

describe("resuming", () => {
  const documents = [...documentsOf(60), ...documentsOf(5)];
  const options: BuildOptions = { ...SMALL, shardTokens: 900, documents };

  it("ends in the same bytes after a kill at any write", async () => {
    const whole = memoryStore();
    const counter = killedAt(whole, Number.POSITIVE_INFINITY);
    await buildDataset(options, counter);
    const wanted = await contents(whole);
    const writes = counter.writes.length;
    expect(writes).toBeGreaterThan(15);
    for (let n = 0; n < writes; n++) {
      const store = memoryStore();
      expect((await failure(buildDataset(options, killedAt(store, n)))).message).toBe("killed");
      await buildDataset(options, store);
      expect(await contents(store), `killed at write ${n}`).toEqual(wanted);
    }
  });

  it("ends in the same bytes after being killed again and again", async () => {
    const [whole, store] = [memoryStore(), memoryStore()];
    await buildDataset(options, whole);
    for (let run = 0, done = false; !done; run++) {
      expect(run).toBeLessThan(60);
      done = await buildDataset(options, killedAt(store, 8)).then(
        () => true,
        () => false,
      );
    }
    expect(await contents(store)).toEqual(await contents(whole));
  });

  it("neither tokenizes nor writes again what is finished", async () => {
    const store = memoryStore();
    await failure(buildDataset(options, killedAt(store, 12)));
    const finished = (await store.list()).filter((key) => key.endsWith(".bin"));
    let encoded = 0;
    const counting = {
      ...tokenizer,
      encode: (text: string) => {
        encoded++;
        return tokenizer.encode(text);
      },
    };
    const again = killedAt(store, Number.POSITIVE_INFINITY);
    const manifest = await buildDataset({ ...options, tokenizer: counting }, again);
    expect(encoded).toBeLessThan(manifest.source.trainDocuments + manifest.source.validDocuments - 10);
    expect(finished.filter((key) => again.writes.includes(key)).length).toBeLessThanOrEqual(1);
  });

  it("writes again what was damaged in between", async () => {
    const [whole, store] = [memoryStore(), memoryStore()];
    await buildDataset(options, whole);
    await failure(buildDataset(options, killedAt(store, 12)));
    const [first] = (await store.list()).filter((key) => key.startsWith("train-00000"));
    await store.put(first as string, Uint8Array.of(1, 2, 3));
    await buildDataset(options, store);
    expect(await contents(store)).toEqual(await contents(whole));
  });

  it("takes a journal full of anything for none", async () => {
    const whole = memoryStore();
    await buildDataset(options, whole);
    const wanted = await contents(whole);
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json(), fc.string()), async (text) => {
        const store = memoryStore();
        await store.put("journal.json", new TextEncoder().encode(text));
        await buildDataset(options, store);
        expect(await contents(store)).toEqual(wanted);
      }),
      { numRuns: 25 },
    );
  });

  it("starts afresh with other settings, and says so where the documents changed", async () => {
    const store = memoryStore();
    await failure(buildDataset(options, killedAt(store, 12)));
    const other = { ...options, documents: documentsOf(60, "others") };
    expect(await failure(buildDataset(other, store))).toMatchObject({
      code: "data",
      message: expect.stringMatching(/not those/),
    });
    await buildDataset(other, store);
    const [direct, resized] = [memoryStore(), memoryStore()];
    await buildDataset(other, direct);
    expect(await contents(store)).toEqual(await contents(direct));
    await failure(buildDataset(options, killedAt(resized, 12)));
    await buildDataset({ ...other, shardTokens: 300 }, resized);
    await buildDataset({ ...other, shardTokens: 300 }, direct);
    expect(await contents(resized)).toEqual(await contents(direct));
  });

  it("notices fewer documents, and takes in more", async () => {
    const fewer = memoryStore();
    await failure(buildDataset(options, killedAt(fewer, 12)));
    expect((await failure(buildDataset({ ...options, documents: documents.slice(0, 3) }, fewer))).message).toMatch(
      /not those/,
    );
    const longer = { ...options, documents: [...documents, ...documentsOf(9, "more")] };
    const whole = memoryStore();
    const counter = killedAt(whole, Number.POSITIVE_INFINITY);
    await buildDataset(longer, counter);
    for (let n = 12; n < counter.writes.length - 6; n++) {
      const more = memoryStore();
      await buildDataset(options, killedAt(more, n)).catch(() => undefined);
      await buildDataset(longer, more);
      expect(await contents(more), `killed at write ${n}`).toEqual(await contents(whole));
    }
  });

  it("leaves the old dataset readable until the new one is whole", async () => {
    const store = memoryStore();
    const old = await buildDataset({ ...SMALL, documents: documentsOf(30, "old") }, store);
    for (let n = 0; ; n++) {
      const ended = await buildDataset(options, killedAt(store, n)).then(
        () => true,
        () => false,
      );
      const now = parseManifest((await store.get("manifest.json")) as Uint8Array);
      await readBack(store, "train");
      if (sha256Hex(encodeManifest(now)) !== sha256Hex(encodeManifest(old))) break;
      expect(ended).toBe(false);
    }
    await buildDataset(options, store);
    const fresh = memoryStore();
    await buildDataset(options, fresh);
    expect(await contents(store)).toEqual(await contents(fresh));
  });

  it("stops on request and goes on", async () => {
    const store = memoryStore();
    const controller = new AbortController();
    const stopped = {
      ...options,
      signal: controller.signal,
      onProgress: ({ shards }: BuildProgress) => shards > 2 && controller.abort(),
    };
    expect((await failure(buildDataset(stopped as BuildOptions, store))).code).toBe("interrupted");
    await buildDataset(options, store);
    const whole = memoryStore();
    await buildDataset(options, whole);
    expect(await contents(store)).toEqual(await contents(whole));
  });
});
