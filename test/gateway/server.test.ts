/** A gateway and its clients over real sockets: what is served, what is taken, what is refused. */
import http from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { equalBytes, utf8 } from "../../src/base/bytes.ts";
import { manualClock } from "../../src/base/clock.ts";
import { SkeinError } from "../../src/base/errors.ts";
import { sha256Hex } from "../../src/base/hash.ts";
import { NEWS_KEYS_MAX } from "../../src/base/limits.ts";
import { askInfo } from "../../src/gateway/client.ts";
import { parseLink } from "../../src/run/link.ts";
import { blobKey, getBlob, putBlob } from "../../src/store/blobs.ts";
import { httpStore } from "../../src/store/http.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { decodeNews, encodeNews, newsKey, newsPrefix, putNews, signNews } from "../../src/store/news.ts";
import { type GatewayUnderTest, HASTY, keyed, SPEC_HASH, signedHeaders, testGateway } from "../helpers/gateway.ts";
import { request } from "../helpers/raw-http.ts";

const BLOB = Uint8Array.from({ length: 700_000 }, (_, i) => (i * 31) & 255);
const BLOB_KEY = blobKey(sha256Hex(BLOB));

/** Quicker than the test runner's own comparison. */
const isSame = (found: Uint8Array | undefined, expected: Uint8Array): boolean =>
  found !== undefined && equalBytes(found, expected);

describe("what a gateway serves", () => {
  let subject: GatewayUnderTest;
  let port = 0;
  beforeAll(async () => {
    subject = await testGateway({ progress: async () => ({ block: 99, round: 4, peers: 3 }) });
    port = subject.gateway.port;
    await putBlob(subject.behind, BLOB);
    await subject.behind.put("run.json", utf8('{"a":1}'));
    await subject.behind.put("data/shard.bin", BLOB);
    await subject.behind.put("keys/hot.json", utf8("secret"));
  });
  afterAll(() => subject.close());

  const get = (path: string, headers: Record<string, string> = {}): ReturnType<typeof request> =>
    request(port, "GET", path, headers);

  it("leads from its address to the page, for people", async () => {
    const root = await get("/");
    expect([root.status, root.headers.get("location")]).toEqual([302, `r/${SPEC_HASH}`]);
    const page = await get(`/r/${SPEC_HASH}`, { host: "run.example:80" });
    expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    expect(page.body).toContain(`npx skein join http://run.example:80/r/${SPEC_HASH}`);
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; script-src 'sha256-/);
    expect((await get(`/r/${SPEC_HASH}`, { host: "<script>" })).body).toContain(
      `npx skein join http://localhost/r/${SPEC_HASH}`,
    );
    expect((await get(`/r/${SPEC_HASH}/`)).headers.get("location")).toBe(`../${SPEC_HASH}`);
    expect(await get(`/r/${"0".repeat(64)}`)).toMatchObject({
      status: 404,
      body: expect.stringContaining("another run"),
    });
  });

  it("says which run it is and where that stands", async () => {
    const { status, body } = await get("/info");
    expect([status, JSON.parse(body)]).toEqual([
      200,
      {
        protocol: 1,
        specHash: SPEC_HASH,
        runId: 3,
        chainId: 1337,
        netuid: 7,
        contracts: null,
        faucet: false,
        name: "a run",
        params: 807_000,
        rounds: 100,
        progress: { block: 99, round: 4, peers: 3 },
      },
    ]);
    const link = parseLink(subject.gateway.link);
    expect(await askInfo(link, { patience: HASTY })).toMatchObject({ specHash: SPEC_HASH, netuid: 7 });
    await expect(askInfo({ ...link, specHash: "0".repeat(64) }, { patience: HASTY })).rejects.toMatchObject({
      code: "config",
    });
  });

  it("gives blobs whole, in ranges, and not again to whom it has them", async () => {
    const tag = `"${sha256Hex(BLOB)}"`;
    const path = `/store/${BLOB_KEY}`;
    const whole = await get(path);
    expect([whole.status, whole.body.length]).toEqual([200, BLOB.length]);
    expect(Object.fromEntries(whole.headers)).toMatchObject({
      etag: tag,
      "accept-ranges": "bytes",
      "content-length": `${BLOB.length}`,
      "content-type": "application/octet-stream",
      "x-content-type-options": "nosniff",
      "cache-control": "public, max-age=31536000, immutable",
      "access-control-allow-origin": "*",
    });
    const part = await get(path, { range: "bytes=10-19" });
    expect([part.status, part.headers.get("content-range"), part.body]).toEqual([
      206,
      `bytes 10-19/${BLOB.length}`,
      Buffer.from(BLOB.subarray(10, 20)).toString("latin1"),
    ]);
    expect((await get(path, { range: `bytes=${BLOB.length}-` })).headers.get("content-range")).toBe(
      `bytes */${BLOB.length}`,
    );
    for (const range of [`bytes=${BLOB.length}-`, "bytes=5-4", "bytes=x"])
      expect((await get(path, { range })).status, range).toBe(416);
    expect(await get(path, { "if-none-match": tag })).toMatchObject({ status: 304, body: "" });
    expect((await get(path, { range: "bytes=0-1", "if-range": '"other"' })).status).toBe(200);
    const head = await request(port, "HEAD", path, { range: "bytes=0-1" });
    expect([head.status, head.headers.get("content-length"), head.body]).toEqual([200, `${BLOB.length}`, ""]);
  });

  it("gives the run's spec and data, each with a tag for going on", async () => {
    expect(await get("/store/run.json")).toMatchObject({ status: 200, body: '{"a":1}' });
    expect((await get("/store/run.json")).headers.get("etag")).toBe(`"${sha256Hex(utf8('{"a":1}'))}"`);
    expect((await get("/store/data/shard.bin")).headers.get("etag")).toBe(`"${SPEC_HASH}-${BLOB.length}"`);
    const store = httpStore({ base: subject.gateway.url, patience: HASTY });
    expect(isSame(await store.get("data/shard.bin", { start: 5, end: 300_000 }), BLOB.slice(5, 300_000))).toBe(true);
  });

  it("gives nothing else that lies in its store, nor a way out of it", async () => {
    expect((await get("/store/keys/hot.json")).status).toBe(404);
    const ways = [
      "../etc/passwd",
      "data/../keys/hot.json",
      "data/%2e%2e/keys/hot.json",
      "..%2fetc/passwd",
      "data//x",
      "data/",
      "/etc/passwd",
      "",
    ];
    for (const way of ways) {
      const { status, body } = await get(`/store/${way}`);
      expect([400, 404], way).toContain(status);
      expect(body).not.toContain("secret");
    }
    expect([
      (await get("/list/")).status,
      (await get("/list/keys/")).status,
      (await get("/list/news/../keys")).status,
    ]).toEqual([400, 403, 400]);
  });

  it("answers other methods and addresses with what there is, and browsers' questions with yes", async () => {
    const post = await request(port, "POST", "/info", { "content-length": "0" });
    expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
    expect((await request(port, "DELETE", `/store/${BLOB_KEY}`)).status).toBe(405);
    expect((await get("/nothing")).status).toBe(404);
    for (const path of ["/rpc", "/faucet"])
      expect((await request(port, "POST", path, { "content-length": "0" })).status).toBe(404);
    const asked = await request(port, "OPTIONS", `/store/${BLOB_KEY}`, {
      origin: "https://x",
      "access-control-request-method": "PUT",
    });
    expect([asked.status, asked.headers.get("access-control-allow-methods")]).toEqual([
      204,
      "GET, HEAD, PUT, POST, OPTIONS",
    ]);
    expect(asked.headers.get("access-control-allow-headers")).toContain("x-skein-signature");
  });

  it("tells its log every request, in one event", async () => {
    const before = subject.log.events.length;
    await get(`/store/${BLOB_KEY}?secret=1`, { range: "bytes=0-9" });
    expect(subject.log.events.slice(before)).toMatchObject([
      {
        kind: "request",
        fields: { method: "GET", path: `/store/${BLOB_KEY}`, status: 206, bytes: 10, ms: expect.any(Number) },
      },
    ]);
  });
});

describe("what a gateway takes", () => {
  const body = utf8("a small payload");
  const key = blobKey(sha256Hex(body));
  const put = async (
    port: number,
    at: string,
    bytes: Uint8Array,
    headers: Record<string, string>,
  ): ReturnType<typeof request> =>
    request(port, "PUT", `/store/${at}`, { "content-length": `${bytes.length}`, ...headers }, bytes);

  it("is blobs of registered hotkeys, once", async () => {
    const { gateway, behind, as, close } = await testGateway();
    expect(await putBlob(as(1), BLOB)).toBe(sha256Hex(BLOB));
    expect(isSame(await behind.get(BLOB_KEY), BLOB)).toBe(true);
    expect(isSame(await getBlob([as(9)], sha256Hex(BLOB), BLOB.length), BLOB)).toBe(true); // anybody reads
    const headers = await signedHeaders(keyed(1), key, body);
    expect((await put(gateway.port, key, body, headers)).status).toBe(201);
    expect((await put(gateway.port, key, body, headers)).status).toBe(200);
    await close();
  });

  it("is nothing of strangers, nothing unsigned, nothing else than was signed", async () => {
    const { gateway, behind, as, close } = await testGateway();
    const { port } = gateway;
    await expect(putBlob(as(4), BLOB)).rejects.toMatchObject({
      code: "store",
      message: expect.stringContaining("not registered"),
      remedy: expect.stringContaining("register"),
    });
    const good = await signedHeaders(keyed(1), key, body);
    const { "x-skein-signature": signature = "", "x-skein-address": address = "" } = good;
    expect((await put(port, key, body, {})).status).toBe(401);
    expect((await put(port, key, body, { "x-skein-address": address })).status).toBe(401);
    expect((await put(port, key, body, { ...good, "x-skein-address": keyed(2).address })).status).toBe(401);
    expect((await put(port, key, body, { ...good, "x-skein-signature": signature.replace(/^../, "00") })).status).toBe(
      401,
    );
    expect((await put(port, key, body, await signedHeaders(keyed(1), key, body, "0".repeat(64)))).status).toBe(401);
    const forged = utf8("b small payload");
    expect(await put(port, key, forged, good)).toMatchObject({ status: 422, body: expect.stringContaining("sha256") });
    expect((await put(port, "run.json", body, await signedHeaders(keyed(1), "run.json", body))).status).toBe(403);
    expect((await put(port, "data/x", body, await signedHeaders(keyed(1), "data/x", body))).status).toBe(403);
    expect((await put(port, "blobs/../run.json", body, good)).status).toBe(400);
    expect(
      (await request(port, "PUT", `/store/${key}`, { ...good, "transfer-encoding": "chunked" }, "0\r\n\r\n")).status,
    ).toBe(411);
    expect(await behind.list()).toEqual([]);
    await close();
  });

  it("is nothing too large, without having read it", async () => {
    const { gateway, log, as, close } = await testGateway({ limits: { blobBytesMax: 1000 } });
    await expect(putBlob(as(1), BLOB)).rejects.toMatchObject({
      message: expect.stringContaining("at most 1000 bytes"),
    });
    expect(log.events.find(({ fields }) => fields["status"] === 413)?.fields).not.toHaveProperty("received");
    const exact = new Uint8Array(1000);
    expect(await putBlob(as(1), exact)).toBe(sha256Hex(exact));
    expect(
      (
        await request(gateway.port, "PUT", `/store/${key}`, {
          "content-length": "99999999999999",
          expect: "100-continue",
        })
      ).status,
    ).toBe(413);
    await close();
  });

  it("waits for no body that it will not take, where the client asks first", async () => {
    const { gateway, close } = await testGateway();
    const answered = await new Promise<string[]>((resolve) => {
      const seen: string[] = [];
      const send = async (): Promise<void> => {
        const headers = {
          ...(await signedHeaders(keyed(1), key, body)),
          "content-length": body.length,
          expect: "100-continue",
        };
        const asked = http.request({
          port: gateway.port,
          host: "127.0.0.1",
          method: "PUT",
          path: `/store/${key}`,
          headers,
        });
        asked.on("continue", () => {
          seen.push("continue");
          asked.end(body);
        });
        asked.on("response", (response) => {
          seen.push(`${response.statusCode}`);
          response.resume().on("end", () => resolve(seen));
        });
        asked.flushHeaders();
      };
      void send();
    });
    expect(answered).toEqual(["continue", "201"]);
    await close();
  });

  it("has a measure for each hotkey", async () => {
    const clock = manualClock();
    const limits = { blobBytesMax: 10_000, burstBytes: 10_000, bytesPerSecond: 1000 };
    const { gateway, as, close } = await testGateway({ limits, clock });
    const blob = (n: number): Uint8Array => new Uint8Array(6000).fill(n);
    await putBlob(as(1), blob(1));
    const second = blob(2);
    const at = blobKey(sha256Hex(second));
    const refused = await put(gateway.port, at, second, await signedHeaders(keyed(1), at, second));
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "2"]);
    await putBlob(as(2), blob(3)); // another one's
    clock.advance(2000);
    await putBlob(as(1), second);
    await close();
  });

  it("ends at its quota, and goes on when somebody has made room", async () => {
    const clock = manualClock();
    const limits = { blobBytesMax: 1000, quotaBytes: 2500 };
    const behind = memoryStore();
    await putBlob(behind, new Uint8Array(1000)); // it counts what it finds
    const { as, close } = await testGateway({ limits, clock, store: behind });
    const blob = (n: number): Uint8Array => new Uint8Array(1000).fill(n);
    await putBlob(as(1), blob(1));
    await expect(putBlob(as(1), blob(2))).rejects.toMatchObject({
      message: expect.stringMatching(/507: the store is full/),
    });
    await behind.delete(blobKey(sha256Hex(blob(1))));
    clock.advance(600_001);
    await putBlob(as(1), blob(2));
    await close();
  });

  it("says so where its disk is full, and where it fails, and lives on", async () => {
    for (const [code, status] of [
      ["ENOSPC", 507],
      ["EIO", 500],
    ] as const) {
      const behind = memoryStore();
      let fails = true;
      const failing = {
        ...behind,
        putIfAbsent: (at: string, bytes: Uint8Array) => {
          const cause = Object.assign(new Error("x"), { code });
          return fails
            ? Promise.reject(new SkeinError("store", "cannot write /secret", { cause }))
            : behind.putIfAbsent(at, bytes);
        },
      };
      const { gateway, as, log, close } = await testGateway({ store: failing });
      const answer = await put(gateway.port, key, body, await signedHeaders(keyed(1), key, body));
      expect([answer.status, answer.body.includes("secret")]).toEqual([status, false]);
      expect(log.events.map(({ kind }) => kind)).toContain("gateway-trouble");
      fails = false;
      expect(await putBlob(as(1), body)).toBe(sha256Hex(body));
      await close();
    }
  });

  it("asks the chain who is registered, and says where it cannot", async () => {
    const { as, gateway, close } = await testGateway({
      accounts: () => Promise.reject(new SkeinError("chain", "away")),
    });
    const answer = await put(gateway.port, key, body, await signedHeaders(keyed(1), key, body));
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
    expect(await as(1).get(key)).toBeUndefined();
    await close();
  });

  it("takes one blob from many at a time", async () => {
    const { behind, as, close } = await testGateway();
    const stores = [1, 2, 3, 1, 2, 3].map(as);
    expect(await Promise.all(stores.map((store) => putBlob(store, BLOB)))).toHaveLength(6);
    expect(isSame(await behind.get(BLOB_KEY), BLOB)).toBe(true);
    await close();
  });

  it("is news of hotkeys about themselves, going forwards", async () => {
    const { gateway, behind, as, close } = await testGateway();
    const news = (round: number, n = 1) => ({
      kind: "report" as const,
      round,
      hash: sha256Hex(body),
      account: keyed(n).account,
    });
    await putNews(as(1), news(5), keyed(1).sign);
    await putNews(as(1), news(6), keyed(1).sign);
    await putNews(as(1), { ...news(6), time: 1 }, keyed(1).sign);
    await expect(putNews(as(1), news(5), keyed(1).sign)).rejects.toMatchObject({
      message: expect.stringContaining("round 6 already"),
    });
    await putNews(as(2), news(1, 2), keyed(2).sign);
    const keys = [newsKey(news(0, 1)), newsKey(news(0, 2))].sort();
    expect(await as(9).list("news/")).toEqual(keys);
    expect(await as(9).list(newsPrefix("checkpoint"))).toEqual([]);
    expect(decodeNews((await as(9).get(newsKey(news(0)))) as Uint8Array)).toMatchObject({ round: 6, time: 1 });
    await expect(putNews(as(1), news(9, 2), keyed(2).sign)).rejects.toMatchObject({
      message: expect.stringContaining("another hotkey's"),
    });
    await expect(putNews(as(1), news(9), keyed(2).sign)).rejects.toMatchObject({
      message: expect.stringContaining("not signed by its account"),
    });
    expect(await as(1).putIfAbsent(newsKey(news(0)), encodeNews(await signNews(news(9), keyed(1).sign)))).toBe(false);
    const at = newsKey(news(0));
    for (const junk of ["", "{}", "x".repeat(4096)]) {
      const headers = await signedHeaders(keyed(1), at, utf8(junk));
      expect((await put(gateway.port, at, utf8(junk), headers)).status).toBe(422);
      expect((await put(gateway.port, at, utf8(`y${junk.slice(1)}`), headers)).status).toBe(401); // signed for another body
    }
    await behind.put(at, utf8("damage")); // is no reason to refuse what is right
    await putNews(as(1), news(2), keyed(1).sign);
    await close();
  });

  it("keeps no news of hotkeys that left where that takes the room of those that stay", async () => {
    const behind = memoryStore();
    const gone = Array.from({ length: NEWS_KEYS_MAX }, (_, i) => `news/report/${i.toString(16).padStart(64, "0")}`);
    const deleted: string[] = [];
    let left = [...gone];
    const crowded = {
      ...behind,
      list: async (prefix?: string) => (prefix === "news/" ? left : behind.list(prefix)),
      size: async (key: string) => (gone.includes(key) ? 1 : behind.size(key)),
      delete: async (key: string) => {
        deleted.push(key);
      },
    };
    const { as, close } = await testGateway({ store: crowded });
    const news = { kind: "report" as const, round: 1, hash: sha256Hex(body), account: keyed(1).account };
    await putNews(as(1), news, keyed(1).sign);
    expect(deleted).toEqual(gone);
    deleted.splice(0);
    left = Array.from({ length: NEWS_KEYS_MAX }, () => newsKey(news)); // all of one that stays: there is nothing to take away
    const second = { ...news, account: keyed(2).account };
    await expect(putNews(as(2), second, keyed(2).sign)).rejects.toMatchObject({
      message: expect.stringContaining("records of news"),
    });
    expect(deleted).toEqual([]);
    await close();
  });
});
