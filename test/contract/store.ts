/**
 * What every store must do, run over each adapter: `describeStore(name, open)`. `open` gives an empty store and, where the
 * adapter has disk operations that can fail, a way to open the same store so that its n-th operation does. An adapter that cannot do
 * everything says so, and what it cannot do is skipped by name.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { equalBytes, utf8 } from "../../src/base/bytes.ts";
import { sha256Hex } from "../../src/base/hash.ts";
import { KEY_LENGTH_MAX, KEY_PART_LENGTH_MAX } from "../../src/base/limits.ts";
import { blobKey } from "../../src/store/blobs.ts";
import type { Store } from "../../src/store/store.ts";

/** A fresh store for one test. */
export interface StoreUnderTest {
  readonly store: Store;
  /** The store behind it, where this one cannot write under any name; and what names begin with that it reads from there. */
  readonly behind?: Store;
  readonly readable?: string;
  /** The same store, whose n-th disk operation (from 0) fails with the given system error code. */
  readonly failing?: (n: number, code: string) => Store;
  close(): Promise<void>;
}

/** What an adapter can do. */
export interface StoreCapabilities {
  /** Writing under any key; otherwise only blobs under their hash. */
  readonly anyKey: boolean;
  readonly deleting: boolean;
  /** Listing under any prefix. */
  readonly listing: boolean;
}

const ALL: StoreCapabilities = { anyKey: true, deleting: true, listing: true };

const HOSTILE = [
  "",
  "/",
  "..",
  "../a",
  "a/../b",
  "a/..",
  "./a",
  "a/.",
  "/etc/passwd",
  "a//b",
  "a/",
  "a\0b",
  "a\\b",
  "C:\\a",
  "c:a",
  "a b",
  "a~b",
  "é",
  "a\nb",
  "%2e%2e/a",
  "a".repeat(KEY_PART_LENGTH_MAX + 1),
  "a/".repeat(KEY_LENGTH_MAX).concat("a"),
];

async function* chunks(parts: readonly Uint8Array[], failAt = Number.POSITIVE_INFINITY): AsyncGenerator<Uint8Array> {
  for (const [i, part] of parts.entries()) {
    if (i === failAt) throw new Error("source broke");
    yield part;
  }
}

/** Registers the suite for one adapter. */
export function describeStore(
  name: string,
  open: () => Promise<StoreUnderTest>,
  capabilities: StoreCapabilities = ALL,
): void {
  const withStore = async (run: (subject: StoreUnderTest) => Promise<void>): Promise<void> => {
    const subject = await open();
    try {
      await run(subject);
    } finally {
      await subject.close();
    }
  };
  describe(`${name} as a store`, () => {
    reading(withStore);
    addressedWrites(withStore);
    const { anyKey, deleting, listing } = capabilities;
    const lacking = [
      ...(anyKey ? [] : ["any key"]),
      ...(deleting ? [] : ["deleting"]),
      ...(listing ? [] : ["listing"]),
    ];
    describe.skipIf(lacking.length > 0)(
      lacking.length > 0 ? `lacks ${lacking.join(", ")}; so not:` : "everything else",
      () => {
        plainUse(withStore);
        writesThatFail(withStore);
        strangeNames(withStore);
      },
    );
  });
}

type WithStore = (run: (subject: StoreUnderTest) => Promise<void>) => Promise<void>;

/** A way to read what is there, whoever may write it. */
const seeded = async (
  { store, behind, readable = "" }: StoreUnderTest,
  blobs: Readonly<Record<string, Uint8Array>>,
): Promise<(key: string) => string> => {
  for (const [key, bytes] of Object.entries(blobs)) await (behind ?? store).put(`${readable}${key}`, bytes);
  return (key) => `${readable}${key}`;
};

function reading(withStore: WithStore): void {
  it("gives back what is there, whole and in ranges clamped to its end", () =>
    withStore(async (subject) => {
      const { store } = subject;
      const bytes = Uint8Array.from({ length: 300 }, (_, i) => i & 255);
      const named = await seeded(subject, { "a/b.bin": bytes, empty: new Uint8Array(0) });
      expect(await store.get(named("a/b.bin"))).toEqual(bytes);
      expect(await store.size(named("a/b.bin"))).toBe(300);
      expect([await store.get(named("empty")), await store.size(named("empty"))]).toEqual([new Uint8Array(0), 0]);
      expect(await store.get(named("empty"), { start: 0, end: 5 })).toEqual(new Uint8Array(0));
      await fc.assert(
        fc.asyncProperty(fc.nat(400), fc.nat(400), async (start, length) => {
          const range = { start, end: start + length };
          expect(await store.get(named("a/b.bin"), range)).toEqual(bytes.slice(range.start, range.end));
        }),
        { numRuns: 50 },
      );
    }));

  it("says undefined for what is not there, whatever is beside it", () =>
    withStore(async (subject) => {
      const { store } = subject;
      const named = await seeded(subject, { "a/b": utf8("x") });
      for (const key of ["nothing", "a", "a/b/c", "a/c", "no/where/at/all", "toString"].map(named)) {
        expect(await store.get(key)).toBeUndefined();
        expect(await store.get(key, { start: 0, end: 1 })).toBeUndefined();
        expect(await store.get(key, { start: 0, end: 0 })).toBeUndefined();
        expect(await store.size(key)).toBeUndefined();
      }
    }));

  it("gives a copy each time", () =>
    withStore(async (subject) => {
      const named = await seeded(subject, { k: utf8("abc") });
      const read = (await subject.store.get(named("k"))) as Uint8Array;
      read[0] = 0;
      expect(await subject.store.get(named("k"))).toEqual(utf8("abc"));
    }));

  it("reads under the longest keys, and those that start with dots", () =>
    withStore(async (subject) => {
      const part = "a".repeat(KEY_PART_LENGTH_MAX);
      const keys = [part, `${part}x`.slice(1), `x/${part}/y`, "...", "..a", ".a/b..", "__proto__", "constructor"];
      for (const key of keys) {
        const named = await seeded(subject, { [key]: utf8(key) });
        expect(await subject.store.get(named(key))).toEqual(utf8(key));
      }
    }));

  it("refuses hostile keys in every method", () =>
    withStore(async ({ store, behind }) => {
      for (const key of HOSTILE) {
        const refusal = { name: "SkeinError", code: "store" };
        await expect(store.put(key, utf8("x")), key).rejects.toMatchObject(refusal);
        await expect(store.putIfAbsent(key, utf8("x")), key).rejects.toMatchObject(refusal);
        await expect(store.get(key), key).rejects.toMatchObject(refusal);
        await expect(store.size(key), key).rejects.toMatchObject(refusal);
        await expect(store.delete(key), key).rejects.toMatchObject(refusal);
      }
      expect(await (behind ?? store).list()).toEqual([]);
      expect(await (behind ?? store).list("../")).toEqual([]);
    }));

  it("treats a range that is none as a bug", () =>
    withStore(async (subject) => {
      const named = await seeded(subject, { k: utf8("abc") });
      for (const range of [
        { start: -1, end: 2 },
        { start: 2, end: 1 },
        { start: 0.5, end: 1 },
        { start: 0, end: Number.POSITIVE_INFINITY },
      ]) {
        await expect(subject.store.get(named("k"), range)).rejects.toMatchObject({ name: "AssertionError" });
      }
    }));
}

function addressedWrites(withStore: WithStore): void {
  const blob = Uint8Array.from({ length: 100_000 }, (_, i) => (i * i) & 255);
  const key = blobKey(sha256Hex(blob));

  it("takes blobs under their hash, as arrays and as streams, empty ones too", () =>
    withStore(async ({ store }) => {
      await store.put(key, chunks([blob.subarray(0, 7), utf8(""), blob.subarray(7)]));
      expect(equalBytes((await store.get(key)) as Uint8Array, blob)).toBe(true);
      await store.put(key, blob);
      const empty = blobKey(sha256Hex(new Uint8Array(0)));
      await store.put(empty, chunks([]));
      expect([await store.get(empty), await store.size(empty)]).toEqual([new Uint8Array(0), 0]);
    }));

  it("writes a blob once, and one of many at a time wins", () =>
    withStore(async ({ store }) => {
      const won = await Promise.all(Array.from({ length: 8 }, () => store.putIfAbsent(key, blob)));
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(await store.putIfAbsent(key, blob)).toBe(false);
      expect(equalBytes((await store.get(key)) as Uint8Array, blob)).toBe(true);
    }));

  it("keeps a copy of the blob as it was", () =>
    withStore(async ({ store }) => {
      const changing = utf8("abc");
      await store.put(blobKey(sha256Hex(changing)), changing);
      changing[0] = 0;
      expect(await store.get(blobKey(sha256Hex(utf8("abc"))))).toEqual(utf8("abc"));
    }));

  it("keeps nothing of a blob whose source breaks, at whichever part", () =>
    withStore(async ({ store }) => {
      const parts = [blob.subarray(0, 10), blob.subarray(10, 20), blob.subarray(20)];
      for (let n = 0; n < parts.length; n++) {
        await expect(store.put(key, chunks(parts, n))).rejects.toThrow("source broke");
        expect(await store.get(key)).toBeUndefined();
      }
    }));
}

function plainUse(withStore: WithStore): void {
  it("says undefined for what is not there", () =>
    withStore(async ({ store }) => {
      await store.put("a/b", utf8("x"));
      for (const key of ["nothing", "a", "a/b/c", "a/c", "no/where/at/all"]) {
        expect(await store.get(key)).toBeUndefined();
        expect(await store.get(key, { start: 0, end: 1 })).toBeUndefined();
        expect(await store.size(key)).toBeUndefined();
        await store.delete(key);
      }
      expect(await store.list()).toEqual(["a/b"]);
    }));

  it("keeps copies: changing the array afterwards changes nothing", () =>
    withStore(async ({ store }) => {
      const bytes = utf8("abc");
      await store.put("k", bytes);
      bytes[0] = 0;
      const read = await store.get("k");
      expect(read).toEqual(utf8("abc"));
      (read as Uint8Array)[0] = 0;
      expect(await store.get("k")).toEqual(utf8("abc"));
    }));

  it("writes streams, empty ones too, and replaces whole blobs", () =>
    withStore(async ({ store }) => {
      await store.put("k", chunks([utf8("one "), utf8(""), utf8("two")]));
      expect(await store.get("k")).toEqual(utf8("one two"));
      await store.put("k", [utf8("x")]);
      expect(await store.get("k")).toEqual(utf8("x"));
      await store.put("k", chunks([]));
      expect(await store.get("k")).toEqual(new Uint8Array(0));
      expect(await store.size("k")).toBe(0);
    }));

  it("putIfAbsent writes once, and one of many at a time wins", () =>
    withStore(async ({ store }) => {
      expect(await store.putIfAbsent("k", utf8("first"))).toBe(true);
      expect(await store.putIfAbsent("k", utf8("second"))).toBe(false);
      expect(await store.get("k")).toEqual(utf8("first"));
      const values = Array.from({ length: 8 }, (_, i) => utf8(`writer ${i}`));
      const won = await Promise.all(values.map((value) => store.putIfAbsent("race/k", value)));
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(await store.get("race/k")).toEqual(values[won.indexOf(true)]);
    }));

  it("lists keys by prefix in ascending byte order", () =>
    withStore(async ({ store }) => {
      const keys = ["b", "a/b", "a-c", "a.d", "a0", "A/z", "a/B", ".hidden", "a/b.c/d"].filter((k) => k !== "a/b");
      for (const key of keys) await store.put(key, utf8(key));
      expect(await store.list()).toEqual([...keys].sort());
      expect(await store.list("a")).toEqual(keys.filter((k) => k.startsWith("a")).sort());
      expect(await store.list("a/b")).toEqual(["a/b.c/d"]);
      expect(await store.list("zzz")).toEqual([]);
    }));

  it("forgets what was deleted; then the name serves for the other kind", () =>
    withStore(async ({ store }) => {
      await store.put("a/b/c", utf8("x"));
      await store.delete("a/b/c");
      expect(await store.get("a/b/c")).toBeUndefined();
      expect(await store.list()).toEqual([]);
      await store.put("a", utf8("now a blob"));
      await store.delete("a");
      await store.put("a/b", utf8("a folder again"));
      expect(await store.list()).toEqual(["a/b"]);
    }));

  it("bears many writers of one key at a time: one of their blobs, whole", () =>
    withStore(async ({ store }) => {
      const values = Array.from({ length: 8 }, (_, i) => new Uint8Array(1000).fill(i));
      await Promise.all(values.map((value) => store.put("k", [value.subarray(0, 500), value.subarray(500)])));
      const read = await store.get("k");
      expect(values).toContainEqual(read);
    }));
}

function writesThatFail(withStore: WithStore): void {
  it("keeps the old blob when the source breaks, at whichever part", () =>
    withStore(async ({ store }) => {
      const parts = ["a", "b", "c", "d"].map(utf8);
      for (let n = 0; n < parts.length; n++) {
        await expect(store.put("fresh", chunks(parts, n))).rejects.toThrow("source broke");
        expect(await store.get("fresh")).toBeUndefined();
      }
      await store.put("k", utf8("old"));
      for (let n = 0; n < parts.length; n++) {
        await expect(store.put("k", chunks(parts, n))).rejects.toThrow("source broke");
        expect(await store.get("k")).toEqual(utf8("old"));
      }
      expect(await store.list()).toEqual(["k"]);
    }));

  it("keeps old or new, never a part, whichever operation of the disk fails", () =>
    withStore(async ({ store, failing }) => {
      if (!failing) return; // memory has no operations that fail
      const parts = ["new ", "blob"].map(utf8);
      let failures = 0;
      for (let n = 0; n === failures; n++) {
        for (const code of ["EIO", "ENOSPC", "EACCES"]) {
          await store.put("k", utf8("old"));
          const broken = failing(n, code);
          const outcome = await broken.put("k", chunks(parts)).then(
            () => "written",
            (thrown: unknown) => thrown,
          );
          const now = new TextDecoder().decode(await store.get("k"));
          if (outcome === "written") {
            expect(now).toBe("new blob");
            continue;
          }
          expect(outcome).toMatchObject({ name: "SkeinError", code: "store" });
          expect((outcome as { remedy?: string }).remedy).toBeTruthy();
          expect(["old", "new blob"]).toContain(now);
          failures = n + 1;
        }
        expect(await store.list()).toEqual(["k"]);
      }
      expect(failures).toBeGreaterThanOrEqual(5); // open, two writes, sync, publish, sync of the folder
    }));

  it("putIfAbsent leaves nothing or the whole blob, whichever operation fails", () =>
    withStore(async ({ store, failing }) => {
      if (!failing) return;
      for (let n = 0; n < 5; n++) {
        await store.delete("k");
        await expect(failing(n, "EIO").putIfAbsent("k", utf8("new"))).rejects.toMatchObject({ code: "store" });
        expect([undefined, "new"]).toContain(textOf(await store.get("k")));
      }
    }));
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes && new TextDecoder().decode(bytes);
}

function strangeNames(withStore: WithStore): void {
  it("takes the longest keys, and those that start with dots", () =>
    withStore(async ({ store }) => {
      const part = "a".repeat(KEY_PART_LENGTH_MAX);
      for (const key of [
        part,
        `${part}x`.slice(1),
        `x/${part}/y`,
        "...",
        "..a",
        ".a/b..",
        "__proto__",
        "constructor",
      ]) {
        await store.put(key, utf8(key));
        expect(await store.get(key)).toEqual(utf8(key));
      }
      expect(await store.get("toString")).toBeUndefined();
    }));

  it("refuses a blob and a folder of one name", () =>
    withStore(async ({ store }) => {
      await store.put("a/b", utf8("x"));
      const refusal = { name: "SkeinError", code: "store", message: expect.stringContaining("share one name") };
      await expect(store.put("a", utf8("y"))).rejects.toMatchObject(refusal);
      await expect(store.putIfAbsent("a", utf8("y"))).rejects.toMatchObject(refusal);
      await expect(store.put("a/b/c", utf8("y"))).rejects.toMatchObject(refusal);
      await expect(store.put("a/b/c/d", utf8("y"))).rejects.toMatchObject(refusal);
      expect(await store.list()).toEqual(["a/b"]);
    }));
}
