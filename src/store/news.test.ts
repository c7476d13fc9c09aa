import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromUtf8, utf8 } from "../base/bytes.ts";
import { sha256Hex, toHex } from "../base/hash.ts";
import { accountOfBytes } from "../chain/keys/account.ts";
import { signerOf } from "../chain/keys/signer.ts";
import { memoryStore } from "./memory.ts";
import {
  decodeNews,
  encodeNews,
  isAuthentic,
  NEWS_BYTES_MAX,
  NEWS_KINDS,
  type News,
  type NewsRecord,
  newsKey,
  newsOfKey,
  newsPrefix,
  putNews,
  readNews,
  readNewsBy,
  signNews,
} from "./news.ts";

const signer = signerOf(new Uint8Array(32).fill(9));
const hex = (digits: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: digits / 2, maxLength: digits / 2 }).map(toHex);
const records: fc.Arbitrary<NewsRecord> = fc
  .record({
    kind: fc.constantFrom(...NEWS_KINDS),
    round: fc.maxSafeNat(),
    hash: hex(64),
    account: hex(64).map((digits) => `0x${digits}`),
    signature: hex(130),
    time: fc.option(fc.maxSafeNat(), { nil: undefined }),
  })
  .map(({ time, ...rest }) => (time === undefined ? rest : { ...rest, time }));
const news: News = { kind: "checkpoint", round: 12, hash: sha256Hex(utf8("x")), account: signer.account, time: 5 };

describe("a record of news", () => {
  it("comes back from its bytes, and only from those", () => {
    fc.assert(
      fc.property(records, (record) => {
        const bytes = encodeNews(record);
        expect(decodeNews(bytes)).toEqual(record);
        expect(bytes.length).toBeLessThan(500);
        const text = fromUtf8(bytes);
        for (const other of [`${text} `, ` ${text}`, text.replace('":', '": '), text.replace("}", ',"more":1}')]) {
          expect(decodeNews(utf8(other))).toEqual({ fault: expect.any(String) });
        }
      }),
    );
  });

  it("is a fault where any byte is another, or it is another record with another signature", async () => {
    const bytes = encodeNews(await signNews(news, signer.sign));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = bytes.slice();
        changed[at] = (changed[at] ?? 0) ^ change;
        const record = decodeNews(changed);
        return "fault" in record || !isAuthentic(record, accountOfBytes);
      }),
      { numRuns: 300 },
    );
  });

  it("is refused in any form but its own", () => {
    const good = {
      kind: "report",
      round: 1,
      hash: "a".repeat(64),
      account: `0x${"b".repeat(64)}`,
      signature: "c".repeat(130),
    };
    const bad: Record<string, unknown>[] = [
      { kind: "gossip" },
      { kind: undefined },
      { round: -1 },
      { round: 1.5 },
      { round: "1" },
      { round: 2 ** 53 },
      { round: null },
      { hash: "A".repeat(64) },
      { hash: `${"a".repeat(64)}\n` },
      { hash: ["a".repeat(64)] },
      { account: "b".repeat(64) },
      { signature: "c".repeat(128) },
      { time: -1 },
      { time: "now" },
      { time: null },
    ];
    for (const change of bad) {
      expect(decodeNews(utf8(JSON.stringify({ ...good, ...change }))), JSON.stringify(change)).toEqual({
        fault: "not a record",
      });
    }
    expect(decodeNews(utf8(JSON.stringify(good)))).toEqual({ fault: "not in its one form" }); // names not in order
    expect(decodeNews(new Uint8Array(NEWS_BYTES_MAX + 1))).toEqual({ fault: "too long" });
    expect(decodeNews(utf8("{"))).toEqual({ fault: "not JSON" });
    expect(decodeNews(utf8('{"__proto__":{"kind":"report"}}'))).toEqual({ fault: "not a record" });
  });

  it("decodes from any bytes without throwing", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => "fault" in decodeNews(bytes)));
    fc.assert(fc.property(fc.json(), (text) => "fault" in decodeNews(utf8(text))));
  });

  it("is authentic where the account's key signed just this", async () => {
    const record = await signNews(news, signer.sign);
    expect(isAuthentic(record, accountOfBytes)).toBe(true);
    const other = signerOf(new Uint8Array(32).fill(8));
    const changes: Partial<NewsRecord>[] = [{ kind: "report" }, { round: 13 }, { hash: "0".repeat(64) }, { time: 6 }];
    changes.push({ account: other.account }, { signature: (await signNews(news, other.sign)).signature });
    for (const change of changes) expect(isAuthentic({ ...record, ...change }, accountOfBytes)).toBe(false);
    const { time, ...timeless } = record;
    expect([time, isAuthentic(timeless, accountOfBytes)]).toEqual([5, false]);
    expect(isAuthentic({ ...record, signature: "0".repeat(130) }, accountOfBytes)).toBe(false);
  });

  it("is stored under its kind and account", async () => {
    const store = memoryStore();
    const record = await putNews(store, news, signer.sign);
    const key = `news/checkpoint/${signer.account.slice(2)}`;
    expect([newsKey(news), await store.list(newsPrefix("checkpoint"))]).toEqual([key, [key]]);
    expect(decodeNews((await store.get(key)) as Uint8Array)).toEqual(record);
    expect(newsOfKey(key)).toEqual({ kind: "checkpoint", account: signer.account });
    for (const bad of [`${key}0`, key.replace("checkpoint", "gossip"), `x${key}`, `${key}\n`, "news/", ""]) {
      expect(newsOfKey(bad), bad).toBeUndefined();
    }
  });

  it("is read with all others of its kind, newest first, without what is none", async () => {
    const store = memoryStore();
    const told: NewsRecord[] = [];
    for (let i = 0; i < 20; i++) {
      const author = signerOf(new Uint8Array(32).fill(i + 1));
      told.push(await putNews(store, { ...news, round: i % 7, account: author.account }, author.sign));
    }
    const other = await putNews(store, { ...news, kind: "report" }, signer.sign);
    await store.put(newsKey({ kind: "checkpoint", account: `0x${"00".repeat(32)}` }), utf8("{"));
    await store.put(newsKey({ kind: "checkpoint", account: `0x${"01".repeat(32)}` }), encodeNews(other));
    const found = await readNews(store, "checkpoint", 100);
    expect(new Set(found)).toEqual(new Set(told));
    expect(found.map(({ round }) => round)).toEqual(told.map(({ round }) => round).sort((a, b) => b - a));
    expect(await readNews(store, "report", 100)).toEqual([other]);
    expect(await readNews(store, "checkpoint", 7)).toHaveLength(5); // two of the first seven are none
  });

  it("is read of the accounts that are asked for, whoever else writes", async () => {
    const store = memoryStore();
    const [one, two] = [7, 8].map((fill) => signerOf(new Uint8Array(32).fill(fill)));
    if (one === undefined || two === undefined) throw new Error("two signers");
    const old = await putNews(store, { ...news, round: 3, account: one.account }, one.sign);
    const same = await putNews(store, { ...news, round: 3, account: two.account }, two.sign);
    const mine = await putNews(store, { ...news, round: 9 }, signer.sign);
    for (let i = 0; i < 300; i++) {
      const account = `0x${String(i).padStart(64, "0")}`;
      await store.put(newsKey({ kind: "checkpoint", account }), encodeNews({ ...mine, account, round: 99 }));
    }
    const accounts = [two, one, signer, signerOf(new Uint8Array(32).fill(99))].map(({ account }) => account);
    expect(await readNewsBy(store, "checkpoint", accounts)).toEqual([mine, same, old]);
    expect(await readNewsBy(store, "report", accounts)).toEqual([]);
  });
});
