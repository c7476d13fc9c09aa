import { describe, expect, it } from "vitest";
import { describeStore } from "../../../test/contract/store.ts";
import { played, playedUntil } from "../../../test/helpers/played.ts";
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import { sha256Hex } from "../../base/hash.ts";
import { blobKey, getBlob, putBlob } from "../../store/blobs.ts";
import { memoryStore } from "../../store/memory.ts";
import { encodeNews, newsKey } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";
import { streamsOf } from "../streams.ts";
import { type Timeline, timeline } from "../timeline.ts";
import { type Line, MESSAGE_BYTES, openLine } from "./link.ts";
import { forwardNews, linkedStore, mirrorOf, type StoreWorld, storeWorld } from "./store.ts";
import { CALM, type LineWeather, type StoreWeather } from "./weather.ts";

interface Setting {
  readonly line?: Partial<LineWeather>;
  readonly store?: Partial<StoreWeather>;
  readonly healMs?: number;
  readonly scale?: number;
  readonly seed?: string;
  readonly behind?: Store;
}

interface Opened {
  readonly clock: Timeline;
  readonly world: StoreWorld;
  readonly line: Line;
  readonly shared: Store;
}

function opened({ line = {}, store = {}, healMs = 1e12, scale = 1, seed = "s", behind }: Setting = {}): Opened {
  const clock = timeline();
  const weather = { ...CALM, line: { ...CALM.line, ...line }, store: { ...CALM.store, ...store }, healMs };
  const streams = streamsOf(seed);
  const world = storeWorld({ store: behind ?? memoryStore(), weather, streams, clock });
  const lineOf = openLine({ name: "n1", weather, streams, clock, scale });
  return { clock, world, line: lineOf, shared: linkedStore(lineOf, world) };
}

const textAt = async (store: Store, key: string): Promise<string | undefined> => {
  const bytes = await store.get(key);
  return bytes && fromUtf8(bytes);
};

describeStore("linkedStore in calm weather", async () => {
  const { clock, shared } = opened({ healMs: 0 });
  const close = async (): Promise<void> => expect([clock.pending, clock.now()]).toEqual([0, 0]);
  return { store: shared, close };
});

describeStore("the world's store, which remembers", async () => {
  const { world } = opened({ store: { stale: 1, staleMs: 1000 } });
  return { store: world.store, close: async () => {} };
});

describeStore("forwardNews", async () => ({ store: forwardNews(memoryStore()), close: async () => {} }));

describe("old reads", () => {
  it("see new keys later, and replaced ones with what they had", async () => {
    const { clock, world, shared } = opened({ store: { stale: 1, staleMs: 10_000 } });
    await world.store.put("k", utf8("old"));
    await playedUntil(clock, 60_000);
    await shared.put("k", utf8("new"));
    await shared.put("fresh/x", utf8("x"));
    const seen = new Set<string>();
    for (let i = 0; i < 20; i++) {
      await playedUntil(clock, clock.now() + 500);
      seen.add(`${await textAt(shared, "k")} ${await textAt(shared, "fresh/x")} ${await shared.list("fresh/")}`);
      expect([undefined, 1]).toContain(await shared.size("fresh/x"));
    }
    expect([...seen].some((each) => each.startsWith("old"))).toBe(true);
    expect([...seen].some((each) => each.includes("undefined"))).toBe(true);
    expect([...seen].some((each) => each === "new x fresh/x")).toBe(true);
    await playedUntil(clock, clock.now() + 10_000);
    for (let i = 0; i < 20; i++) {
      expect(await textAt(shared, "k")).toBe("new");
      expect(await shared.list()).toEqual(["fresh/x", "k"]);
    }
    expect(world.faults["stale"]).toBeGreaterThan(5);
    expect(await textAt(world.store, "k")).toBe("new");
  });

  it("see what was deleted, in ranges too", async () => {
    const { clock, shared, world } = opened({ store: { stale: 1, staleMs: 10_000 } });
    await world.store.put("k", utf8("abcdef"));
    await playedUntil(clock, 20_000);
    await world.store.delete("k");
    await world.store.delete("nothing");
    const seen = new Set<string>();
    for (let i = 0; i < 30; i++) {
      const bytes = await shared.get("k", { start: 2, end: 99 });
      seen.add(`${bytes && fromUtf8(bytes)} ${await shared.list()} ${await shared.list("z")}`);
    }
    expect([...seen].some((each) => each.startsWith("cdef"))).toBe(true);
    expect([...seen].every((each) => /^(cdef|undefined) k? $/.test(each))).toBe(true);
    expect(world.remembered).toBe(1);
  });

  it("never see a blob wrong, and write none twice", async () => {
    const { clock, shared, world } = opened({ store: { stale: 0.5, staleMs: 5000 } });
    for (let i = 0; i < 50; i++) {
      const bytes = utf8(`blob ${i}`);
      const key = blobKey(await putBlob(shared, bytes));
      expect(await shared.putIfAbsent(key, bytes)).toBe(false);
      await shared.put(key, bytes);
      for (let look = 0; look < 4; look++) expect([undefined, `blob ${i}`]).toContain(await textAt(shared, key));
      await playedUntil(clock, clock.now() + 100);
    }
    expect(world.faults["stale"]).toBeGreaterThan(10);
  });

  it("remember a bounded time only, and nothing where there are none", async () => {
    const { clock, world } = opened({ store: { stale: 0.5, staleMs: 5000 } });
    for (let i = 0; i < 500; i++) {
      await world.store.put("k", utf8(`${i}`));
      await world.store.put(`x/${i}`, utf8(`${i}`));
      await playedUntil(clock, clock.now() + 100);
    }
    expect(world.remembered).toBeLessThanOrEqual(102);
    const calm = opened();
    await calm.world.store.put("k", utf8("x"));
    expect(calm.world.remembered).toBe(0);
  });
});

describe("a store whose bytes are wrong in passing", () => {
  it("flips one bit of an answer, and has the right bytes the next time", async () => {
    const { shared, world } = opened({ store: { corrupt: 0.5 } });
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => i);
    const hash = await putBlob(shared, bytes);
    let wrong = 0;
    for (let i = 0; i < 100; i++) {
      const read = (await shared.get(blobKey(hash))) as Uint8Array;
      const bits = read.reduce((sum, byte, at) => sum + ((byte ^ at).toString(2).match(/1/g)?.length ?? 0), 0);
      expect(bits).toBeLessThanOrEqual(1);
      wrong += bits;
    }
    expect(wrong).toBe(world.faults["corrupt"]);
    expect(wrong).toBeGreaterThan(20);
    expect(sha256Hex((await world.store.get(blobKey(hash))) as Uint8Array)).toBe(hash);
    let blamed = 0;
    for (let i = 0; i < 20; i++) await getBlob([shared], hash, 64, () => blamed++);
    expect(blamed).toBeGreaterThan(2);
  });

  it("leaves what is absent or empty as it is", async () => {
    const { shared } = opened({ store: { corrupt: 1 } });
    await shared.put("empty", new Uint8Array(0));
    expect(await shared.get("empty")).toEqual(new Uint8Array(0));
    expect(await shared.get("nothing")).toBeUndefined();
  });
});

describe("uploads", () => {
  it("that break off are tried again, and leave nothing until they are through", async () => {
    const { clock, world, line, shared } = opened({ store: { cutOff: 0.3 } });
    for (let i = 0; i < 50; i++) await played(clock, shared.put(`k/${i}`, [utf8("a"), utf8("b")]));
    const { "cut off": cuts = 0 } = world.faults;
    expect(cuts).toBeGreaterThan(10);
    expect(line.upBytes).toBe((50 + cuts) * (2 + MESSAGE_BYTES));
    expect(await world.store.list()).toHaveLength(50);
  });

  it("that always break off are given up", async () => {
    const { clock, world, shared } = opened({ store: { cutOff: 1 } });
    const refusal = { code: "store", details: "6 attempts; the last one: the connection ended early" };
    await expect(played(clock, putBlob(shared, utf8("x")))).rejects.toMatchObject(refusal);
    expect(await world.store.list()).toEqual([]);
  });

  it("whose answer is lost are done again: the second time, it was there", async () => {
    const found = new Set<boolean>();
    for (let i = 0; i < 40; i++) {
      const { clock, shared } = opened({ line: { loss: 0.3 }, seed: `${i}` });
      found.add(await played(clock, shared.putIfAbsent("k", utf8("x"))));
    }
    expect(found).toEqual(new Set([true, false]));
  });

  it("of large blobs that are there cost a question", async () => {
    const { line, shared } = opened();
    const blob = new Uint8Array(1 << 20).fill(7);
    await putBlob(shared, blob);
    const before = line.upBytes;
    expect(before).toBe(2 * MESSAGE_BYTES + blob.length);
    await putBlob(shared, blob);
    expect(line.upBytes - before).toBe(MESSAGE_BYTES);
  });
});

describe("a late copy of a write", () => {
  const record = (round: number): { key: string; bytes: Uint8Array } => {
    const news = { kind: "answer", round, hash: "0".repeat(64), account: `0x${"1".repeat(64)}` } as const;
    return { key: newsKey(news), bytes: encodeNews({ ...news, signature: "2".repeat(130) }) };
  };
  const story = async (behind: Store): Promise<string[]> => {
    const { clock, shared, world } = opened({ line: { duplicate: 1 }, behind });
    for (const round of [1, 2, 3]) {
      const { key, bytes } = record(round);
      await played(clock, shared.put(key, bytes));
      await shared.putIfAbsent("first", utf8(`${round}`));
    }
    const seen: string[] = [];
    while (clock.step()) {
      await playedUntil(clock, clock.now());
      seen.push((await textAt(world.store, record(1).key))?.match(/"round":(\d)/)?.[1] ?? "");
    }
    expect(await textAt(world.store, "first")).toBe("1");
    return seen;
  };

  it("overwrites newer news, but not what is written once", async () => {
    expect(new Set(await story(memoryStore())).size).toBeGreaterThan(1);
  });

  it("is refused by a store that takes news as a gateway does", async () => {
    expect(new Set(await story(forwardNews(memoryStore())))).toEqual(new Set(["3"]));
    const store = forwardNews(memoryStore());
    await store.put(record(2).key, record(2).bytes);
    await store.put(record(2).key, record(2).bytes);
    const refusal = { code: "store", message: expect.stringContaining("answered 409") };
    await expect(store.put(record(1).key, record(1).bytes)).rejects.toMatchObject(refusal);
    await expect(store.put(record(2).key, utf8("no record"))).rejects.toMatchObject({ code: "store" });
    expect(await store.get(record(2).key)).toEqual(record(2).bytes);
  });
});

describe("bytes on a line", () => {
  it("count `scale` times where they are a blob of numbers", async () => {
    const { clock, line, shared } = opened({ scale: 1000, line: { upBps: 8e6, downBps: 8e6 } });
    const payload = new Uint8Array(1000).fill(9);
    await played(clock, putBlob(shared, payload));
    expect(line.upBytes).toBe(1_000_000 + MESSAGE_BYTES);
    expect(clock.now()).toBe(Math.ceil((1_000_000 + MESSAGE_BYTES) / 1000) + 1); // the answer takes one more
    const before = [line.upBytes, line.downBytes] as const;
    const hash = await played(clock, putBlob(shared, utf8('{"report":1}')));
    await played(clock, shared.put("news", utf8("news")));
    expect(line.upBytes - before[0]).toBe(12 + 4 + 2 * MESSAGE_BYTES);
    await played(clock, shared.get(blobKey(hash)));
    await played(clock, shared.list("news"));
    expect(line.downBytes - before[1]).toBe(12 + 9 + 4 * MESSAGE_BYTES);
  });
});

describe("a mirror", () => {
  it("is read over the line, while the shared store is away, and not written", async () => {
    const clock = timeline();
    const outages = [{ what: "store" as const, nodes: undefined, fromMs: 0, untilMs: 1e9 }];
    const weather = { ...CALM, line: { ...CALM.line, latencyMs: 5 }, outages, healMs: 1e9 };
    const line = openLine({ name: "n1", weather, streams: streamsOf("s"), clock });
    const folder = memoryStore();
    const hash = await putBlob(folder, utf8("x"));
    const mirror = mirrorOf(folder, line);
    expect(await played(clock, getBlob([mirror], hash, 9))).toEqual(utf8("x"));
    expect(await played(clock, mirror.list())).toEqual([blobKey(hash)]);
    expect([clock.now(), line.downBytes > 0]).toEqual([20, true]);
    for (const write of [mirror.put("k", utf8("x")), mirror.putIfAbsent("k", utf8("x")), mirror.delete("k")])
      await expect(write).rejects.toMatchObject({ code: "store" });
  });
});

describe("healed weather", () => {
  it("has right and fresh reads, and whole uploads", async () => {
    const { clock, world, shared } = opened({
      store: { stale: 1, staleMs: 5000, corrupt: 1, cutOff: 1 },
      healMs: 10_000,
    });
    await playedUntil(clock, 9999);
    await world.store.put("k", utf8("old"));
    await playedUntil(clock, 10_000);
    await shared.put("k", utf8("new"));
    for (let i = 0; i < 20; i++) expect(await textAt(shared, "k")).toBe("new");
    expect(world.faults).toEqual({});
  });
});
