/** A gateway's life, and the chain and the faucet behind it, over real sockets. */
import * as fs from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { equalBytes, utf8 } from "../../src/base/bytes.ts";
import { SkeinError } from "../../src/base/errors.ts";
import { sha256Hex } from "../../src/base/hash.ts";
import { askFaucet } from "../../src/gateway/client.ts";
import { parseLink } from "../../src/run/link.ts";
import { blobKey, getBlob, putBlob } from "../../src/store/blobs.ts";
import { httpStore } from "../../src/store/http.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { HASTY, keyed, SPEC_HASH, testGateway } from "../helpers/gateway.ts";
import { request } from "../helpers/raw-http.ts";

const BLOB = Uint8Array.from({ length: 700_000 }, (_, i) => (i * 31) & 255);
const BLOB_KEY = blobKey(sha256Hex(BLOB));

/** Quicker than the test runner's own comparison. */
const isSame = (found: Uint8Array | undefined, expected: Uint8Array): boolean =>
  found !== undefined && equalBytes(found, expected);

describe("the chain behind a gateway", () => {
  const upstream = async (handle: http.RequestListener): Promise<{ url: string; close: () => Promise<void> }> => {
    const server = http.createServer(handle);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const close = async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
  };
  const call = JSON.stringify({ jsonrpc: "2.0", id: 5, method: "eth_blockNumber", params: [] });
  const post = (port: number, body: string, headers: Record<string, string> = {}): ReturnType<typeof request> =>
    request(port, "POST", "/rpc", { "content-length": `${Buffer.byteLength(body)}`, ...headers }, body);

  it("is asked as the client asked, and its answer is passed on", async () => {
    const node = await upstream(async (asked, response) => {
      const parts: Buffer[] = [];
      for await (const part of asked) parts.push(part as Buffer);
      response.end(`${asked.headers["content-type"]} ${Buffer.concat(parts)}`);
    });
    const { gateway, close } = await testGateway({ rpcUrl: node.url });
    const answer = await fetch(`${gateway.url}/rpc`, { method: "POST", body: call });
    expect([answer.status, await answer.text()]).toEqual([200, `application/json ${call}`]);
    const chunked = `${call.length.toString(16)}\r\n${call}\r\n0\r\n\r\n`;
    expect((await request(gateway.port, "POST", "/rpc", { "transfer-encoding": "chunked" }, chunked)).status).toBe(200);
    const refused = await post(gateway.port, call.replace("eth_blockNumber", "anvil_setBalance"));
    expect(JSON.parse(refused.body)).toMatchObject({ id: 5, error: { code: -32601 } });
    expect((await request(gateway.port, "GET", "/rpc")).status).toBe(405);
    await close();
    await node.close();
  });

  it("is bounded in what it gets and gives", async () => {
    const node = await upstream((_asked, response) => {
      const pour = (): void => {
        while (!response.destroyed && response.write(new Uint8Array(1 << 20)));
      };
      response.on("drain", pour).on("error", () => undefined);
      pour();
    });
    const { gateway, close } = await testGateway({ rpcUrl: node.url });
    const announced = await post(gateway.port, "x".repeat((1 << 20) + 1));
    expect(announced.status).toBe(413);
    const big = "x".repeat((1 << 20) + 1);
    const chunked = await request(
      gateway.port,
      "POST",
      "/rpc",
      { "transfer-encoding": "chunked" },
      `${big.length.toString(16)}\r\n${big}\r\n0\r\n\r\n`,
    );
    expect(chunked.status).toBe(413);
    const flooded = await fetch(`${gateway.url}/rpc`, { method: "POST", body: call });
    await expect(flooded.arrayBuffer()).rejects.toThrow(); // cut off
    await close();
    await node.close();
  });

  it("is said to be away in JSON-RPC's own words, without its address", async () => {
    const node = await upstream((_asked, response) => void response.writeHead(401).end("key"));
    const dead = await upstream(() => undefined);
    await dead.close();
    const silent = await upstream(() => undefined);
    for (const url of [node.url, dead.url, silent.url]) {
      const { gateway, close } = await testGateway({ rpcUrl: `${url}/secret-key`, limits: { rpcMs: 50 } });
      const { status, body } = await post(gateway.port, call);
      expect([status, JSON.parse(body)]).toMatchObject([502, { id: 5, error: { code: -32002 } }]);
      expect(body).not.toMatch(/secret-key|127\.0\.0\.1/);
      await close();
    }
    await node.close();
    await silent.close();
  });
});

describe("a gateway's life", () => {
  it("gives coins where it is told to", async () => {
    const folder = await fs.mkdtemp(path.join(tmpdir(), "skein-faucet-"));
    const file = path.join(folder, "faucet.jsonl");
    const faucet = { file, raoMax: 100n, perHour: 2, budgetRao: 1000n, grant: async () => ({ rao: 77n, block: 12 }) };
    const { gateway, close } = await testGateway({ faucet });
    const link = parseLink(gateway.link);
    const options = { patience: HASTY };
    expect(await askFaucet(link, keyed(5).account, options)).toEqual({ rao: 77n, block: 12 });
    expect(await askFaucet(link, keyed(5).account, options)).toEqual({ rao: 77n, block: 12 });
    await askFaucet(link, keyed(6).account, options);
    await expect(askFaucet(link, keyed(7).account, options)).rejects.toMatchObject({
      message: expect.stringContaining("2 newcomers an hour"),
      remedy: "try again in 60 min",
    });
    for (const body of ["", "{}", '{"account":"0x12"}', '{"account":5}', "x".repeat(2000)]) {
      expect((await fetch(`${gateway.url}/faucet`, { method: "POST", body })).status, body).toBe(400);
    }
    await close();
    await fs.rm(folder, { recursive: true });
  });

  it("begins again on the same port, and its clients bear it", async () => {
    const behind = memoryStore();
    const first = await testGateway({ store: behind });
    const { port } = first.gateway;
    await putBlob(first.as(1), BLOB);
    await first.close();
    const asked = first
      .as(1)
      .get(BLOB_KEY)
      .catch((thrown: unknown) => thrown);
    const second = await testGateway({ store: behind, port });
    await asked; // whether it was answered depends on who was faster
    expect(isSame(await first.as(1).get(BLOB_KEY), BLOB)).toBe(true);
    await expect(testGateway({ port })).rejects.toMatchObject({
      code: "store",
      message: expect.stringContaining(`${port}`),
      remedy: expect.stringContaining("port"),
    });
    await second.close();
    await second.close(); // twice is no harm
  });

  it("is away for its clients when it is closed: an error with a remedy, and an end when interrupted", async () => {
    const { gateway, close } = await testGateway();
    await close();
    const store = httpStore({ base: gateway.url, patience: HASTY });
    await expect(store.get("run.json")).rejects.toMatchObject({
      code: "store",
      message: `${gateway.url} does not answer`,
      remedy: expect.any(String),
    });
    expect(await getBlob([store], sha256Hex(BLOB), 10)).toBeUndefined();
    const stopped = httpStore({ base: gateway.url, patience: HASTY, signal: AbortSignal.abort() });
    await expect(stopped.get("run.json")).rejects.toMatchObject({ code: "interrupted" });
  });

  it("ends with its signal", async () => {
    const stop = new AbortController();
    const { gateway } = await testGateway({ signal: stop.signal });
    stop.abort();
    await gateway.close();
    await expect(fetch(`${gateway.url}/info`)).rejects.toThrow();
  });

  it("is one client's from behind a proxy, with a path of its own", async () => {
    const { gateway, close } = await testGateway({
      publicUrl: "https://example.org/some/run/",
      proxied: true,
      limits: { requestsBurst: 2, requestsPerSecond: 0.001 },
    });
    expect(gateway.link).toBe(`https://example.org/some/run/r/${SPEC_HASH}`);
    const info = async (client: string): Promise<number> =>
      (await request(gateway.port, "GET", "/some/run/info", { "x-forwarded-for": client })).status;
    expect([
      await info("9.9.9.9"),
      await info("1.1.1.1, 9.9.9.9"),
      await info("9.9.9.9"),
      await info("8.8.8.8"),
    ]).toEqual([200, 200, 429, 200]);
    expect((await request(gateway.port, "GET", "/info", { "x-forwarded-for": "7.7.7.7" })).status).toBe(404);
    await close();
  });

  it("refuses what its protocol has no word for, before asking it", async () => {
    const store = httpStore({ base: "http://127.0.0.1:1", patience: HASTY });
    const refusal = { code: "store", remedy: expect.any(String) };
    await expect(store.list()).rejects.toMatchObject(refusal);
    await expect(store.list("blobs/")).rejects.toMatchObject(refusal);
    await expect(store.delete("blobs/x")).rejects.toMatchObject(refusal);
    await expect(store.put("data/x", BLOB)).rejects.toMatchObject(refusal);
    await expect(store.put(BLOB_KEY, BLOB)).rejects.toMatchObject({
      message: expect.stringContaining("without a hotkey"),
    });
    await expect(store.putIfAbsent(BLOB_KEY, utf8("x"))).rejects.toMatchObject({ name: "AssertionError" });
    expect(() => httpStore({ base: "ftp://x" })).toThrow(SkeinError);
    expect(() => httpStore({ base: "" })).toThrow("no address of a gateway");
  });
});
