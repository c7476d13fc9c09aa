import { describe, expect, it } from "vitest";
import { utf8 } from "../../base/bytes.ts";
import { SkeinError } from "../../base/errors.ts";
import { buildDataset } from "../../data/build.ts";
import { type Dataset, openDataset } from "../../data/dataset.ts";
import { byteTokenizer } from "../../data/tokenizer.ts";
import { memoryStore } from "../../store/memory.ts";
import type { Store } from "../../store/store.ts";
import { below, dataSources, kept } from "./mirror.ts";

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

/** A store with a dataset under "data/". */
async function remoteDataset(): Promise<ReturnType<typeof remoteStore>> {
  const [built, remote] = [memoryStore(), remoteStore()];
  const text = "to be or not to be, that is the question";
  const documents = [{ name: "a", text, split: "train" }] as const;
  await buildDataset({ documents, tokenizer: byteTokenizer(), shardTokens: 16, pieceBytes: 16 }, built);
  for (const key of await built.list()) await remote.store.put(`data/${key}`, (await built.get(key)) ?? utf8(""));
  return remote;
}

/** The same with every byte turned round. */
const lying = (store: Store): Store => ({
  ...store,
  get: async (key, range) => (await store.get(key, range))?.map((byte) => 255 - byte),
});

async function firstTokens(dataset: Dataset): Promise<string> {
  return String.fromCharCode(...(await dataset.split("train").sequence(0, 30)));
}

describe("a run's dataset", () => {
  const TEXT = "to be or not to be, that is the";

  it("comes from a mirror where the gateway is away, and from the machine's own store the next time", async () => {
    const [gateway, mirror, local] = [await remoteDataset(), await remoteDataset(), memoryStore()];
    const { pieces, others, isAway } = dataSources(gateway.store, [mirror.store], local);
    const dataset = await openDataset(pieces, { mirrors: others });
    expect(mirror.asked).toEqual([]);
    gateway.away = true;
    gateway.asked.length = 0;
    expect(await firstTokens(dataset)).toBe(TEXT);
    expect([gateway.asked.length, isAway()]).toEqual([1, false]); // then the mirror is asked first
    mirror.away = true;
    const again = dataSources(gateway.store, [mirror.store], local);
    expect(await firstTokens(await openDataset(again.pieces, { mirrors: again.others }))).toBe(TEXT);
  });

  it("is right wherever one source is, and away while the gateway is and no mirror has it", async () => {
    const [gateway, mirror, empty] = [await remoteDataset(), await remoteDataset(), remoteStore()];
    const read = async (stores: readonly [Store, ...Store[]]): Promise<string> => {
      const [first, ...rest] = stores;
      const { pieces, others, isAway } = dataSources(first, rest, memoryStore());
      return openDataset(pieces, { mirrors: others }).then(firstTokens, (thrown: unknown) => {
        expect(thrown).toMatchObject({ code: "data" });
        return isAway() ? "away" : "damaged";
      });
    };
    expect(await read([gateway.store, lying(mirror.store)])).toBe(TEXT);
    expect(await read([lying(gateway.store), empty.store, mirror.store])).toBe(TEXT);
    expect(await read([lying(gateway.store), lying(mirror.store)])).toBe("damaged");
    expect(await read([lying(gateway.store)])).toBe("damaged");
    gateway.away = true;
    expect(await read([gateway.store, lying(mirror.store), mirror.store])).toBe(TEXT);
    for (const rest of [[], [empty.store], [lying(mirror.store)]])
      expect(await read([gateway.store, ...rest])).toBe("away");
  });
});
