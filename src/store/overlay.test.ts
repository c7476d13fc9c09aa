import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { describeStore } from "../../test/contract/store.ts";
import { utf8 } from "../base/bytes.ts";
import { memoryStore } from "./memory.ts";
import { overlayStore, type StorePart } from "./overlay.ts";
import type { Store } from "./store.ts";

const nothing = async (): Promise<void> => {};

describeStore("overlayStore, in the part at the bottom", async () => ({
  store: overlayStore([
    { at: "", store: memoryStore() },
    { at: "served/data/", store: memoryStore(), readOnly: true },
    { at: "run.json", store: memoryStore(), readOnly: true },
  ]),
  close: nothing,
}));

describeStore("overlayStore, with a part over some keys", async () => ({
  store: overlayStore([
    { at: "", store: memoryStore() },
    { at: "race/", store: memoryStore() },
  ]),
  close: nothing,
}));

/** A run's spec and data over a store of blobs. */
async function served(): Promise<{ store: Store; rest: Store; data: Store; spec: Store }> {
  const [rest, data, spec] = [memoryStore(), memoryStore(), memoryStore()];
  await data.put("manifest.json", utf8("manifest"));
  await data.put("train/0.bin", utf8("tokens"));
  await spec.put("run.json", utf8("spec"));
  await rest.put("blobs/ab", utf8("blob"));
  const parts: readonly StorePart[] = [
    { at: "run.json", store: spec, readOnly: true },
    { at: "", store: rest },
    { at: "data/", store: data, readOnly: true },
  ];
  return { store: overlayStore(parts), rest, data, spec };
}

describe("overlayStore", () => {
  it("reads every key from the part it belongs to, in ranges too", async () => {
    const { store } = await served();
    expect(await store.get("run.json")).toEqual(utf8("spec"));
    expect(await store.get("data/manifest.json")).toEqual(utf8("manifest"));
    expect(await store.get("data/train/0.bin", { start: 2, end: 4 })).toEqual(utf8("ke"));
    expect(await store.size("blobs/ab")).toBe(4);
    expect(await store.get("manifest.json")).toBeUndefined();
    expect(await store.get("run.jsonx")).toBeUndefined();
    expect(await store.get("data")).toBeUndefined();
  });

  it("lists all parts as one, in order, whatever the prefix cuts", async () => {
    const { store } = await served();
    const all = ["blobs/ab", "data/manifest.json", "data/train/0.bin", "run.json"];
    expect(await store.list()).toEqual(all);
    for (const prefix of [
      "",
      "d",
      "data",
      "data/",
      "data/t",
      "data/train/0.bin",
      "run",
      "run.json",
      "run.json/",
      "x",
    ]) {
      expect(await store.list(prefix), prefix).toEqual(all.filter((key) => key.startsWith(prefix)));
    }
  });

  it("refuses to write what is read-only, and leaves it as it was", async () => {
    const { store, data, spec } = await served();
    const refusal = { name: "SkeinError", code: "store", message: expect.stringContaining("read-only") };
    for (const key of ["run.json", "data/manifest.json", "data/new"]) {
      await expect(store.put(key, utf8("x"))).rejects.toMatchObject(refusal);
      await expect(store.putIfAbsent(key, utf8("x"))).rejects.toMatchObject(refusal);
      await expect(store.delete(key)).rejects.toMatchObject(refusal);
    }
    expect(await data.list()).toEqual(["manifest.json", "train/0.bin"]);
    expect(await spec.get("run.json")).toEqual(utf8("spec"));
  });

  it("lets no blob take the name of a part's folder, nor a folder that of a part's blob", async () => {
    const { store, rest } = await served();
    const refusal = { name: "SkeinError", code: "store", message: expect.stringContaining("share one name") };
    for (const key of ["data", "run.json/x", "run.json/x/y"]) {
      await expect(store.put(key, utf8("x")), key).rejects.toMatchObject(refusal);
      await expect(store.putIfAbsent(key, utf8("x")), key).rejects.toMatchObject(refusal);
    }
    expect(await rest.list()).toEqual(["blobs/ab"]);
  });

  it("hides what the part at the bottom has under another part's keys", async () => {
    const { store, rest } = await served();
    await rest.put("data/manifest.json", utf8("forged"));
    await rest.put("data/extra", utf8("forged"));
    await rest.put("run.json", utf8("forged"));
    expect(await store.get("data/manifest.json")).toEqual(utf8("manifest"));
    expect(await store.get("data/extra")).toBeUndefined();
    expect(await store.get("run.json")).toEqual(utf8("spec"));
    expect(await store.list("data/")).toEqual(["data/manifest.json", "data/train/0.bin"]);
  });

  it("does what one store would, whatever is written where (against a plain one)", async () => {
    const part = fc.constantFrom("a", "b", "data", "run.json");
    const key = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(key, fc.boolean()), { maxLength: 30 }), async (steps) => {
        const [plain, bottom] = [memoryStore(), memoryStore()];
        const store = overlayStore([
          { at: "", store: bottom },
          { at: "data/", store: memoryStore() },
          { at: "data/b/", store: memoryStore() },
        ]);
        for (const each of [plain, store]) {
          await each.put("data/first", utf8("always there")); // the folders of parts are taken from the beginning
          await each.put("data/b/first", utf8("always there"));
        }
        for (const [name, deletes] of steps) {
          if (deletes) {
            await Promise.all([plain.delete(name), store.delete(name)]);
            continue;
          }
          const outcomes = await Promise.all([plain, store].map((each) => outcomeOf(each.put(name, utf8(name)))));
          expect(outcomes[1]).toBe(outcomes[0]);
        }
        expect(await store.list()).toEqual(await plain.list());
        for (const name of await plain.list()) expect(await store.get(name)).toEqual(await plain.get(name));
      }),
      { numRuns: 200 },
    );
  });

  it("takes places that are none as a bug", () => {
    const store = memoryStore();
    expect(() => overlayStore([])).toThrow("no other");
    expect(() => overlayStore([{ at: "a/", store }])).toThrow("no other");
    for (const at of ["/", "../", "a//", "a b"]) {
      expect(
        () =>
          overlayStore([
            { at: "", store },
            { at, store },
          ]),
        at,
      ).toThrow("no part can be at");
    }
    const twice = { at: "", store };
    expect(() => overlayStore([twice, twice])).toThrow("same place");
  });
});

const outcomeOf = (work: Promise<void>): Promise<string> =>
  work.then(
    () => "written",
    (thrown: Error) => thrown.message.replace(/^.*?:/, ""), // a part says the key as it sees it
  );
