/** A gateway among strangers: garbage, slowness, floods and broken connections. Whatever they do, it answers the next one. */
import net, { type AddressInfo } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { equalBytes, utf8 } from "../../src/base/bytes.ts";
import { sha256Hex } from "../../src/base/hash.ts";
import { HTTP_DISCARD_BYTES_MAX } from "../../src/base/limits.ts";
import { blobKey, getBlob, putBlob } from "../../src/store/blobs.ts";
import { httpStore } from "../../src/store/http.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { HASTY, keyed, signedHeaders, testGateway } from "../helpers/gateway.ts";
import { headOf, openRaw, request, sendRaw } from "../helpers/raw-http.ts";

const BLOB = Uint8Array.from({ length: 2_000_000 }, (_, i) => (i * 13 + (i >> 9)) & 255);
const KEY = blobKey(sha256Hex(BLOB));
const BODY = utf8("a small payload");
const BODY_KEY = blobKey(sha256Hex(BODY));

/** Requests that are nearly right. */
const nearly = fc
  .record({
    method: fc.constantFrom(
      "GET",
      "HEAD",
      "PUT",
      "POST",
      "OPTIONS",
      "DELETE",
      "PATCH",
      "CONNECT",
      "TRACE",
      "BREW",
      "get",
      "",
    ),
    path: fc.oneof(
      fc.constantFrom(
        "/",
        "/info",
        "/rpc",
        "/faucet",
        `/store/${KEY}`,
        "/store/run.json",
        "/list/news/",
        "*",
        "http://x/info",
        `/r/${"a".repeat(64)}`,
      ),
      fc.string({ maxLength: 40 }).map((text) => `/${text}`),
      fc.string({ maxLength: 40 }).map((text) => `/store/${text}`),
      fc.constant(`/${"a".repeat(9000)}`),
    ),
    version: fc.constantFrom("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP", ""),
    headers: fc.dictionary(
      fc.constantFrom(
        "content-length",
        "transfer-encoding",
        "range",
        "if-range",
        "if-none-match",
        "expect",
        "upgrade",
        "x-skein-address",
        "x-skein-signature",
        "connection",
        "host",
      ),
      fc.oneof(
        fc.constantFrom(
          "0",
          "5",
          "-5",
          "1e9",
          "99999999999999999999",
          "chunked",
          "gzip, chunked",
          "bytes=0-",
          "bytes=-1,3-",
          "100-continue",
          "websocket",
          "Upgrade",
          "close",
          "*",
        ),
        fc.string({ maxLength: 30 }),
      ),
      { maxKeys: 5 },
    ),
    body: fc.oneof(
      fc.constant(""),
      fc.string({ maxLength: 60 }),
      fc.constantFrom("5\r\nhello\r\n0\r\n\r\n", "zz\r\n", '{"account":1}'),
    ),
  })
  .map(({ method, path, version, headers, body }) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    return Buffer.from(`${method} ${path} ${version}\r\n${lines.join("")}\r\n${body}`, "latin1");
  });
const garbage = fc.oneof(
  nearly,
  nearly,
  fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
  fc.tuple(nearly, fc.nat(200)).map(([bytes, cut]) => bytes.subarray(0, cut)),
  fc.constantFrom(
    Buffer.from("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "latin1"),
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Buffer.alloc(100_000, "a"),
  ),
);

describe("a gateway among strangers", () => {
  it("survives five hundred requests that are garbage, and never calls one its own failure", async () => {
    const { gateway, behind, log, close } = await testGateway({ limits: { headMs: 500 } });
    await putBlob(behind, BODY);
    await fc.assert(
      fc.asyncProperty(fc.array(garbage, { minLength: 25, maxLength: 25 }), async (requests) => {
        const answers = await Promise.all(requests.map((bytes) => sendRaw(gateway.port, bytes, { end: true })));
        for (const [i, { status }] of answers.entries()) {
          expect(status, requests[i]?.toString("latin1")).toBeLessThan(500);
        }
      }),
      { numRuns: 20 },
    );
    expect((await request(gateway.port, "GET", `/store/${BODY_KEY}`)).body).toBe("a small payload");
    expect(await behind.list()).toEqual([BODY_KEY]);
    expect(log.events.filter(({ kind }) => kind === "gateway-trouble")).toEqual([]);
    await close();
  }, 60_000);

  it("says what is wrong where that is no HTTP", async () => {
    const { gateway, close } = await testGateway();
    expect((await sendRaw(gateway.port, "hello\r\n\r\n")).status).toBe(400);
    expect((await sendRaw(gateway.port, `GET / HTTP/1.1\r\nx: ${"a".repeat(9000)}\r\n\r\n`)).status).toBe(431);
    expect(
      (
        await sendRaw(
          gateway.port,
          headOf("PUT", "/info", { host: "x", "content-length": "3", "transfer-encoding": "chunked" }),
        )
      ).status,
    ).toBe(400);
    await close();
  });

  it("closes connections that send no head, or one a byte at a time", async () => {
    const { gateway, close } = await testGateway({ limits: { headMs: 50 } });
    const idle = openRaw(gateway.port);
    const slow = openRaw(gateway.port);
    slow.socket.write("GET / HTTP/1.1\r\nx: ");
    const dripping = setInterval(() => slow.socket.write("a"), 10);
    const answers = await Promise.all([idle.closed, slow.closed]);
    clearInterval(dripping);
    expect(answers.every(({ status }) => status === 408 || status === 0)).toBe(true);
    await close();
  });

  it("gives up on bodies that stop or drip, and keeps nothing of them", async () => {
    const { gateway, behind, as, close } = await testGateway({
      limits: { silenceMs: 60, uploadBytesPerSecond: 1e9, uploadsPerAccount: 1 },
    });
    const headers = { host: "x", "content-length": `${BLOB.length}`, ...(await signedHeaders(keyed(1), KEY, BLOB)) };
    const head = headOf("PUT", `/store/${KEY}`, headers);
    for (const sent of [0, 1000]) {
      const stopped = openRaw(gateway.port);
      stopped.socket.write(head);
      stopped.socket.write(BLOB.subarray(0, sent));
      expect((await stopped.closed).status).toBe(0);
    }
    const slow = openRaw(gateway.port);
    slow.socket.write(head);
    const dripping = setInterval(() => slow.socket.write("a"), 5); // never silent, far too slow
    expect((await slow.closed).status).toBe(0);
    clearInterval(dripping);
    expect(await behind.list()).toEqual([]);
    await putBlob(as(1), BLOB); // the one upload that this hotkey may have is free again
    await close();
  });

  it("keeps nothing of uploads that the client breaks off, wherever, and lets it try again", async () => {
    const { gateway, behind, as, close } = await testGateway({
      limits: { uploadsPerAccount: 1, blobBytesMax: BLOB.length, uploadBytes: BLOB.length },
    });
    const headers = { host: "x", "content-length": `${BLOB.length}`, ...(await signedHeaders(keyed(1), KEY, BLOB)) };
    for (const sent of [0, 1, 65_536, BLOB.length - 1]) {
      const { socket, closed } = openRaw(gateway.port);
      socket.write(headOf("PUT", `/store/${KEY}`, headers));
      await new Promise<void>((resolve) => socket.write(BLOB.subarray(0, sent), () => resolve()));
      socket.resetAndDestroy();
      await closed;
    }
    expect(await behind.list()).toEqual([]);
    await putBlob(as(1), BLOB); // whose 429, while the last one is not yet noticed, is tried again
    expect(await behind.list()).toEqual([KEY]);
    await close();
  });

  it("does not read a refused body for ever", async () => {
    const { gateway, close } = await testGateway({ limits: { blobBytesMax: 10 } });
    const { socket, closed } = openRaw(gateway.port);
    socket.write(headOf("PUT", `/store/${KEY}`, { host: "x", "content-length": "1000000000000" }));
    let sent = 0;
    const part = new Uint8Array(1 << 20);
    const pour = (): void => {
      while (!socket.destroyed && socket.write(part)) sent += part.length;
      sent += part.length;
    };
    socket.on("drain", pour);
    pour();
    expect((await closed).status).toBe(413);
    expect(sent).toBeLessThan(HTTP_DISCARD_BYTES_MAX + (64 << 20)); // what the kernel's buffers hold comes on top
    await close();
  });

  it("lets no reader that does not read keep a connection", async () => {
    const { gateway, behind, log, close } = await testGateway({ limits: { silenceMs: 80 } });
    const large = new Uint8Array(40 << 20);
    const key = blobKey(await putBlob(behind, large));
    const socket = net.connect(gateway.port, "127.0.0.1");
    const gone = new Promise((resolve) => socket.on("close", resolve));
    socket.on("error", () => undefined);
    socket.pause();
    socket.write(headOf("GET", key.replace(/^/, "/store/"), { host: "x" }));
    const told = await new Promise<(typeof log.events)[number]>((resolve) => {
      const look = (): unknown => {
        const event = log.events.find(({ kind }) => kind === "request");
        return event ? resolve(event) : setImmediate(look);
      };
      look();
    });
    expect(told.fields).toMatchObject({ status: 200, broken: true });
    expect(told.fields["bytes"]).toBeLessThan(large.length);
    socket.resume();
    await gone;
    await close();
  });

  it("serves many, and one client only so many connections and requests", async () => {
    const { gateway, close } = await testGateway({
      limits: { connectionsPerClient: 8, requestsBurst: 30, requestsPerSecond: 0.001 },
    });
    const held = Array.from({ length: 8 }, () => openRaw(gateway.port));
    await Promise.all(held.map(({ socket }) => new Promise((resolve) => socket.once("connect", resolve))));
    expect((await request(gateway.port, "GET", "/info")).status).toBe(0); // the ninth is closed at once
    for (const { socket } of held) socket.destroy();
    await Promise.all(held.map(({ closed }) => closed));
    const statuses: number[] = [];
    while (statuses.filter((status) => status === 200).length < 30) {
      statuses.push((await request(gateway.port, "GET", "/info")).status); // 0 until the server has seen them go
    }
    const refused = await request(gateway.port, "GET", "/info");
    expect([refused.status, Number(refused.headers.get("retry-after")) > 0]).toEqual([429, true]);
    await close();
  });

  it("answers several requests that come on one connection at once", async () => {
    const { gateway, behind, close } = await testGateway();
    await putBlob(behind, BODY);
    const one = headOf("GET", `/store/${BODY_KEY}`, { host: "x" });
    const { body } = await sendRaw(
      gateway.port,
      one + one + headOf("GET", `/store/${BODY_KEY}`, { host: "x", connection: "close" }),
    );
    expect(body.split("a small payload")).toHaveLength(4);
    await close();
  });
});

describe("a client with a bad connection", () => {
  /** A door before the gateway that cuts connections after `budget()` bytes of answers. */
  const cutting = async (
    target: number,
    budget: () => number,
  ): Promise<{ url: string; cuts: () => number; close: () => Promise<void> }> => {
    let cuts = 0;
    const open = new Set<net.Socket>();
    const server = net.createServer((near) => {
      const far = net.connect(target, "127.0.0.1");
      let left = budget();
      for (const socket of [near, far]) {
        open.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => {
          open.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      near.on("data", (bytes) => far.write(bytes));
      far.on("data", (bytes: Buffer) => {
        near.write(bytes.subarray(0, left));
        left -= bytes.length;
        if (left > 0 || near.destroyed) return;
        cuts++;
        near.end();
        far.destroy();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      cuts: () => cuts,
      close: async () => {
        for (const socket of open) socket.destroy();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  };

  it("gets every blob whole, going on where it broke", async () => {
    const { gateway, behind, log, close } = await testGateway();
    await putBlob(behind, BLOB);
    let serial = 0;
    const door = await cutting(gateway.port, () => 100_000 + 77_777 * (serial++ % 5));
    const store = httpStore({ base: door.url, patience: HASTY });
    const got = await getBlob([store], sha256Hex(BLOB), BLOB.length);
    expect(got !== undefined && equalBytes(got, BLOB)).toBe(true);
    expect(door.cuts()).toBeGreaterThan(5);
    await close();
    const statuses = log.events.filter(({ kind }) => kind === "request").map(({ fields }) => fields["status"]);
    expect(statuses.length).toBe(door.cuts() + 1);
    expect(new Set(statuses)).toEqual(new Set([206]));
    await door.close();
  });

  it("loses answers to its uploads, and what it sent is there all the same", async () => {
    const behind = memoryStore();
    const { gateway, close } = await testGateway({ store: behind });
    let serial = 0;
    const door = await cutting(gateway.port, () => (serial++ < 2 ? 1 : Number.POSITIVE_INFINITY));
    const specHash = sha256Hex(utf8("a run"));
    const store = httpStore({ base: door.url, writer: { signer: keyed(1), specHash }, patience: HASTY });
    expect(await store.putIfAbsent(BODY_KEY, BODY)).toBe(false); // the first attempt wrote it; the third learnt that it is there
    expect(door.cuts()).toBe(2);
    expect(await behind.get(BODY_KEY)).toEqual(BODY);
    await close();
    await door.close();
  });
});
