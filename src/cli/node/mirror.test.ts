import { describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { memoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import { below, kept } from "./mirror.ts";

/** A store with one blob that counts what is asked of it, and can be away. */
function remoteStore(): { readonly store: Store; readonly asked: string[]; away: boolean } {
  const inner = memoryStore();
  const remote = { asked: [] as string[], away: false };
  const store: Store = {
    ...inner,
    get: (key, range) => {
      remote.asked.push(key);
      return remote.away ? Promise.reject(new SkeinError("store", "does not answer")) : inner.get(key, range);
    },
  };
  return Object.assign(remote, { store });
}

describe("a dataset read through this machine's own store", () => {
  it("asks the other store once for each piece", async () => {
    const remote = remoteStore();
    await remote.store.put("data/shard", utf8("abcdefgh"));
    const pieces = kept(below(remote.store, "data/"), memoryStore());
    for (let i = 0; i < 3; i++) {
      expect(await pieces.get("shard", { start: 0, end: 4 })).toEqual(utf8("abcd"));
      expect(await pieces.get("shard", { start: 4, end: 8 })).toEqual(utf8("efgh"));
      expect(await pieces.get("shard")).toEqual(utf8("abcdefgh"));
    }
    expect(remote.asked).toEqual(["data/shard", "data/shard", "data/shard"]);
    expect(await pieces.get("other")).toBeUndefined();
  });

  it("replaces what was kept when it is asked to, and says whether the other store is away", async () => {
    const [remote, local] = [remoteStore(), memoryStore()];
    await remote.store.put("shard", utf8("right"));
    await local.put("data/shard/whole", utf8("wrong"));
    const pieces = kept(remote.store, local);
    expect(await pieces.get("shard")).toEqual(utf8("wrong"));
    remote.away = true;
    await expect(pieces.fresh.get("shard")).rejects.toMatchObject({ code: "store" });
    expect(pieces.isAway()).toBe(true);
    remote.away = false;
    expect(await pieces.fresh.get("shard")).toEqual(utf8("right"));
    expect(pieces.isAway()).toBe(false);
    expect(await pieces.get("shard")).toEqual(utf8("right"));
  });

  it("does without its own store where that cannot be used, and is never written to", async () => {
    const remote = remoteStore();
    await remote.store.put("shard", utf8("right"));
    const broken = (): Promise<never> => Promise.reject(new SkeinError("store", "the disk is full"));
    const pieces = kept(remote.store, { ...memoryStore(), get: broken, put: broken });
    expect(await pieces.get("shard")).toEqual(utf8("right"));
    expect(await pieces.size("shard")).toBe(5);
    await expect(pieces.put("shard", utf8("x"))).rejects.toMatchObject({ code: "store" });
    await expect(pieces.list()).rejects.toMatchObject({ code: "store" });
  });
});
