import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { utf8 } from "../base/bytes.ts";
import { SkeinError } from "../base/errors.ts";
import { sha256Hex } from "../base/hash.ts";
import { blobHash, blobKey, getBlob, putBlob } from "./blobs.ts";
import { memoryStore } from "./memory.ts";
import { mirrored } from "./mirrored.ts";
import type { Store } from "./store.ts";

const bytes = utf8("a payload");
const hash = sha256Hex(bytes);

/** A store whose reads give `found`, or fail where that is an error. */
const giving = (found: Uint8Array | SkeinError | undefined): Store & { asked: number } => {
  const answer = async (): Promise<Uint8Array | undefined> => {
    store.asked++;
    if (found instanceof SkeinError) throw found;
    return found;
  };
  const store = { ...memoryStore(), asked: 0, get: answer, size: async () => (await answer())?.length };
  return store;
};
const away = (): Store & { asked: number } => giving(new SkeinError("store", "it is away"));

describe("blob keys", () => {
  it("name a hash, and only that form is one", () => {
    expect(blobKey(hash)).toBe(`blobs/${hash.slice(0, 2)}/${hash}`);
    expect(blobHash(blobKey(hash))).toBe(hash);
    const other = hash.startsWith("00") ? "01" : "00";
    const bad = [
      hash,
      `blobs/${hash}`,
      `blobs/${other}/${hash}`,
      `${blobKey(hash)}/`,
      `/${blobKey(hash)}`,
      `x${blobKey(hash)}`,
    ];
    bad.push(blobKey(hash).toUpperCase(), `${blobKey(hash)}\n`, `blobs/${hash.slice(0, 2)}/${hash.slice(0, 63)}`, "");
    for (const key of bad) expect(blobHash(key), key).toBeUndefined();
    fc.assert(fc.property(fc.string(), (text) => blobHash(text) === undefined));
    expect(() => blobKey("0x")).toThrow("64 hex digits");
  });
});

describe("getBlob", () => {
  it("gives what putBlob stored", async () => {
    const store = memoryStore();
    expect(await putBlob(store, bytes)).toBe(hash);
    expect(await putBlob(store, bytes)).toBe(hash);
    expect(await getBlob([store], hash, bytes.length)).toEqual(bytes);
    expect(await getBlob([], hash, 100)).toBeUndefined();
  });

  it("passes over mirrors that fail, lack it, or give other or more bytes", async () => {
    const good = memoryStore();
    await putBlob(good, bytes);
    const bad: [number, string][] = [];
    const mirrors = [away(), giving(undefined), giving(utf8("others")), giving(new Uint8Array(100)), good];
    expect(await getBlob(mirrors, hash, bytes.length, (index, problem) => bad.push([index, problem]))).toEqual(bytes);
    expect(bad).toEqual([
      [0, "it is away"],
      [2, "other bytes than the hash says"],
      [3, `more than ${bytes.length} bytes`],
    ]);
    expect(await getBlob(mirrors.slice(0, 4), hash, bytes.length)).toBeUndefined();
  });

  it("asks once more where a byte came wrong, and then counts it as a lie", async () => {
    const damaged = (times: number): Store & { asked: number } => {
      const store = giving(bytes);
      const get = async (): Promise<Uint8Array> => (store.asked++ < times ? bytes.map((byte) => byte ^ 1) : bytes);
      return Object.assign(store, { get });
    };
    const bad: [number, string][] = [];
    const tell = (index: number, problem: string): void => void bad.push([index, problem]);
    expect(await getBlob([damaged(1)], hash, bytes.length, tell)).toEqual(bytes);
    expect(bad).toEqual([]);
    const liar = damaged(2);
    expect(await getBlob([liar], hash, bytes.length, tell)).toBeUndefined();
    expect([bad, liar.asked]).toEqual([[[0, "other bytes than the hash says"]], 2]);
  });

  it("takes no more than it must, whatever the blob's size", async () => {
    const asked: unknown[] = [];
    const store = { ...memoryStore(), get: async (...args: unknown[]) => void asked.push(args[1]) };
    await getBlob([store as unknown as Store], hash, 10);
    expect(asked).toEqual([{ start: 0, end: 11 }]);
  });

  it("ends when it is interrupted", async () => {
    const stopped = giving(new SkeinError("interrupted", "stopped"));
    await expect(getBlob([stopped, away()], hash, 10)).rejects.toMatchObject({ code: "interrupted" });
  });
});

describe("mirrored", () => {
  it("reads from whichever has it, writes to the first", async () => {
    const [first, second] = [memoryStore(), memoryStore()];
    const store = mirrored([first, second]);
    await second.put("a/b", utf8("there"));
    await store.put("a/c", utf8("here"));
    expect([await store.get("a/b"), await store.size("a/b"), await store.get("a/b", { start: 1, end: 2 })]).toEqual([
      utf8("there"),
      5,
      utf8("h"),
    ]);
    expect(await first.get("a/c")).toEqual(utf8("here"));
    expect([await second.get("a/c"), await store.get("no")]).toEqual([undefined, undefined]);
    expect(await store.putIfAbsent("a/c", utf8("x"))).toBe(false);
    await store.delete("a/c");
    expect(await first.list()).toEqual([]);
  });

  it("asks a store that failed last, until it answers again", async () => {
    const good = memoryStore();
    await good.put("k", utf8("x"));
    const flaky = away();
    const problems: number[] = [];
    const store = mirrored([flaky, good], (index) => problems.push(index));
    for (let i = 0; i < 3; i++) expect(await store.get("k")).toEqual(utf8("x"));
    expect([flaky.asked, problems]).toEqual([1, [0]]);
    expect(await store.get("absent")).toBeUndefined(); // nobody has it, so it is asked again
    expect(flaky.asked).toBe(2);
  });

  it("passes over wrong bytes under a blob's name", async () => {
    const good = memoryStore();
    await putBlob(good, bytes);
    const problems: string[] = [];
    const store = mirrored([giving(utf8("forged")), good], (_, problem) => problems.push(problem));
    expect(await store.get(blobKey(hash))).toEqual(bytes);
    expect(problems).toEqual(["other bytes than the hash says"]);
    expect(await mirrored([giving(utf8("forged"))]).get(blobKey(hash))).toBeUndefined();
  });

  it("fails where all fail, and at once where it is interrupted", async () => {
    await expect(mirrored([away(), away()]).get("k")).rejects.toMatchObject({ code: "store" });
    await expect(mirrored([away()]).list("news/")).resolves.toEqual([]);
    expect(await mirrored([away(), memoryStore()]).size("k")).toBeUndefined();
    const stopped = giving(new SkeinError("interrupted", "stopped"));
    await expect(mirrored([stopped, memoryStore()]).get("k")).rejects.toMatchObject({ code: "interrupted" });
  });
});
