import http from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { equalBytes, utf8 } from "../base/bytes.ts";
import { manualClock, systemClock } from "../base/clock.ts";
import { SkeinError } from "../base/errors.ts";
import { openWire, saidBy, uploadMs, type Wire } from "./transfer.ts";

/** Quicker than the test runner's own comparison. */
const isSame = (found: Uint8Array | undefined, expected: Uint8Array): boolean =>
  found !== undefined && equalBytes(found, expected);

type Handler = (request: http.IncomingMessage, response: http.ServerResponse, turn: number) => void;

/** A server that does as it is told; `turn` counts requests from 0. */
async function serving<T>(
  handle: Handler,
  work: (url: string, seen: http.IncomingMessage[]) => Promise<T>,
): Promise<T> {
  const seen: http.IncomingMessage[] = [];
  const server = http.createServer((request, response) => {
    seen.push(request);
    request.resume();
    response.on("error", () => undefined);
    handle(request, response, seen.length - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/x`, seen);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const wire = (given: Parameters<typeof openWire>[0] = {}, signal?: AbortSignal): Wire =>
  openWire({ attempts: 3, pauseMs: 0, silenceMs: 2000, ...given }, signal);

const BLOB = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);
const TAG = '"tag"';

/** Serves BLOB with ranges as RFC 9110 says, and cuts the connection after `cut` bytes of a body. */
function serveBlob(request: http.IncomingMessage, response: http.ServerResponse, cut = Infinity, tag = TAG): void {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  const condition = request.headers["if-range"];
  const ranged = first !== undefined && (condition === undefined || condition === tag);
  const start = ranged ? Number(first) : 0;
  const end = ranged && last !== "" ? Math.min(BLOB.length, Number(last) + 1) : BLOB.length;
  const headers = { etag: tag, "content-length": end - start };
  if (ranged && start >= BLOB.length) return void response.writeHead(416).end();
  response.writeHead(ranged ? 206 : 200, {
    ...headers,
    ...(ranged ? { "content-range": `bytes ${start}-${end - 1}/${BLOB.length}` } : {}),
  });
  if (end - start <= cut) return void response.end(BLOB.subarray(start, end));
  response.write(BLOB.subarray(start, start + cut), () => response.destroy());
}

describe("downloads", () => {
  it("go on at the byte where the connection broke, asking only for the same blob", () =>
    serving(
      (request, response) => serveBlob(request, response, 90_000),
      async (url, seen) => {
        expect(isSame(await wire().download(url, undefined, 1e6), BLOB)).toBe(true);
        expect(seen.map(({ headers }) => headers.range)).toEqual([
          undefined,
          "bytes=90000-",
          "bytes=180000-",
          "bytes=270000-",
        ]);
        expect(seen.slice(1).every(({ headers }) => headers["if-range"] === TAG)).toBe(true);
      },
    ));

  it("put any range together, wherever it breaks", () =>
    serving(
      (request, response, turn) => serveBlob(request, response, turn % 2 === 0 ? 66_000 : Infinity),
      (url) =>
        fc.assert(
          fc.asyncProperty(fc.nat(310_000), fc.integer({ min: 1, max: 310_000 }), async (start, length) => {
            const range = { start, end: start + length };
            const got = await wire().download(url, range, length);
            expect(equalBytes(got as Uint8Array, BLOB.subarray(start, start + length))).toBe(true);
          }),
          { numRuns: 30 },
        ),
    ));

  it("start over where the blob has changed, and never glue two together", () =>
    serving(
      (request, response, turn) => serveBlob(request, response, turn === 0 ? 90_000 : Infinity, `"${turn}"`),
      async (url, seen) => {
        expect(isSame(await wire().download(url, undefined, 1e6), BLOB)).toBe(true);
        expect(seen).toHaveLength(2); // the second answer is the whole, because If-Range names the first tag
      },
    ));

  it("start over where a part comes of another blob, by a server that does not heed the condition", () =>
    serving(
      (request, response, turn) => {
        delete request.headers["if-range"];
        serveBlob(request, response, turn === 0 ? 90_000 : Infinity, turn === 0 ? '"old"' : TAG);
      },
      async (url, seen) => {
        expect(isSame(await wire().download(url, undefined, 1e6), BLOB)).toBe(true);
        expect(seen.map(({ headers }) => headers.range)).toEqual([undefined, "bytes=90000-", undefined]);
      },
    ));

  it("start over where there is no tag", () =>
    serving(
      (_request, response, turn) => {
        if (turn === 0) response.writeHead(200, { "content-length": 10 }).write("abc", () => response.destroy());
        else response.end("0123456789");
      },
      async (url, seen) => {
        expect(await wire().download(url, undefined, 1e6)).toEqual(utf8("0123456789"));
        expect(seen[1]?.headers.range).toBeUndefined();
      },
    ));

  it("work with a server that knows no ranges", () =>
    serving(
      (_request, response) => void response.end(BLOB),
      async (url) => {
        expect(isSame(await wire().download(url, { start: 1000, end: 5000 }, 4000), BLOB.slice(1000, 5000))).toBe(true);
        expect(isSame(await wire().download(url, { start: 299_990, end: 400_000 }, 100_010), BLOB.slice(299_990))).toBe(
          true,
        );
        expect(await wire().download(url, { start: 400_000, end: 400_001 }, 1)).toEqual(new Uint8Array(0));
      },
    ));

  it("end where a server gives single bytes, another part, or a new tag each time: it gets no endless attempts", async () => {
    const handlers: Handler[] = [
      (request, response) => serveBlob(request, response, 1),
      (_request, response) => void response.writeHead(206, { "content-range": "bytes 5-9/10" }).end("56789"),
      (_request, response) => void response.writeHead(206).end("01234"),
      (request, response, turn) => serveBlob(request, response, 90_000, `"${turn}"`),
      (_request, response) => void response.writeHead(200, { "content-encoding": "gzip" }).end("01234"),
    ];
    for (const handler of handlers) {
      await serving(handler, async (url, seen) => {
        const range = { start: 0, end: BLOB.length };
        await expect(wire().download(url, range, BLOB.length)).rejects.toMatchObject({ code: "store" });
        expect(seen.length).toBeLessThanOrEqual(4);
      });
    }
  });

  it("cut a server off that sends more than was asked", async () => {
    const flood: Handler = (request, response) => {
      response.writeHead(
        request.headers.range ? 206 : 200,
        request.headers.range ? { "content-range": "bytes 0-9/*" } : {},
      );
      const pour = (): void => {
        while (!response.destroyed && response.write(BLOB));
      };
      response.on("drain", pour);
      pour();
    };
    await serving(flood, async (url) => {
      expect(isSame(await wire().download(url, { start: 0, end: 10 }, 10), BLOB.slice(0, 10))).toBe(true);
      await expect(wire().download(url, undefined, 1000)).rejects.toMatchObject({
        code: "store",
        message: expect.stringContaining("more than 1000 bytes"),
      });
      expect((await wire().ask(url, { bytesMax: 7 })).body).toEqual(BLOB.slice(0, 7));
    });
  });

  it("refuse a blob that is announced too long before it is sent", () =>
    serving(
      (_request, response) => void response.writeHead(200, { "content-length": 1e12 }).write("x"),
      (url) =>
        expect(wire().download(url, undefined, 1000)).rejects.toMatchObject({
          message: expect.stringContaining("more than 1000 bytes"),
        }),
    ));
});

describe("requests", () => {
  it("are tried again while the server cannot, and then tell what it said", () =>
    serving(
      (_request, response, turn) => {
        if (turn === 0) response.destroy();
        else if (turn === 1) response.writeHead(503).end('{"error":"busy"}');
        else response.writeHead(201).end("done");
      },
      async (url) => {
        const { status, body } = await wire().ask(url, { method: "PUT", body: utf8("x"), bytesMax: 10 });
        expect([status, new TextDecoder().decode(body)]).toEqual([201, "done"]);
      },
    ));

  it("give up after their attempts, with the last reason and a remedy", async () => {
    await serving(
      (_request, response) => void response.writeHead(502).end('{"error":"no chain\\u202e\\n"}'),
      (url, seen) =>
        expect(wire().ask(url, { bytesMax: 10 }))
          .rejects.toMatchObject({
            code: "store",
            details: "3 attempts; the last one: status 502: no chain??",
            remedy: expect.stringContaining("connection"),
          })
          .then(() => expect(seen).toHaveLength(3)),
    );
    const nobody = await serving(
      () => undefined,
      async (url) => url,
    );
    await expect(wire().download(nobody, undefined, 10)).rejects.toMatchObject({
      code: "store",
      message: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+ does not answer$/),
      details: expect.stringContaining("ECONNREFUSED"),
    });
  });

  it("wait as long as the server asks, growing pauses otherwise; and not at all where it asks for too long", async () => {
    const told =
      (seconds: string | undefined): Handler =>
      (_request, response) =>
        void response.writeHead(429, seconds === undefined ? {} : { "retry-after": seconds }).end();
    const waited = async (seconds: string | undefined): Promise<{ status: number | undefined; ms: number }> => {
      const clock = manualClock();
      const half = { uint32: () => 0, below: () => 0, uniform: () => 0 }; // the shortest of the random pauses
      const patience = { clock, random: half, pauseMs: 100, attempts: 4, retryAfterMsMax: 20_000 };
      const status = await serving(told(seconds), (url) =>
        wire(patience)
          .ask(url, { bytesMax: 1 })
          .then(
            (answer) => answer.status,
            () => undefined,
          ),
      );
      return { status, ms: clock.now() };
    };
    expect(await waited(undefined)).toEqual({ status: undefined, ms: 50 + 100 + 200 });
    expect(await waited("7")).toEqual({ status: undefined, ms: 21_000 });
    expect(await waited("21")).toEqual({ status: 429, ms: 0 });
    expect(await waited("soon")).toEqual({ status: undefined, ms: 350 });
  });

  it("give a silent server up, whether it never answers or stops in the middle", async () => {
    await serving(
      (_request, response, turn) => {
        if (turn > 0) response.writeHead(200, { "content-length": 100 }).write("half");
      },
      async (url) => {
        const failure = expect(wire({ silenceMs: 30, attempts: 2 }).download(url, undefined, 200)).rejects;
        await failure.toMatchObject({ code: "store", details: expect.stringContaining("no answer within") });
      },
    );
  });

  it("are given up within minutes where an upload finds a dead connection, however large it is", async () => {
    expect([4 << 10, 1 << 20, 16 << 20].map(uploadMs)).toEqual([1000, 76_000, 316_000]);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    vi.stubGlobal("fetch", (_: string, { signal }: { readonly signal: AbortSignal }) => {
      return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
    try {
      const body = new Uint8Array(16 << 20);
      const failure = expect(wire({ attempts: 1 }).ask("http://127.0.0.1/", { method: "PUT", body, bytesMax: 1 }));
      const given = failure.rejects.toMatchObject({ details: expect.stringContaining("no answer within 318000 ms") });
      await vi.advanceTimersByTimeAsync(318_000);
      await given;
    } finally {
      vi.unstubAllGlobals();
      vi.useRealTimers();
    }
  });

  it("give a server up that drips", async () => {
    let now = 0;
    const clock = { ...systemClock, monotonic: () => now };
    await serving(
      (_request, response) => {
        response.writeHead(200);
        const drip = (): void => {
          now += 1500; // a byte every one and a half seconds: never silent, never done
          if (!response.destroyed) response.write("x", () => setImmediate(drip));
        };
        drip();
      },
      (url) =>
        expect(wire({ clock, attempts: 1 }).download(url, undefined, 1e6)).rejects.toMatchObject({
          details: expect.stringContaining("drips"),
        }),
    );
  });

  it("end at once when they are interrupted, waiting or not", async () => {
    for (const status of [undefined, 503]) {
      const stop = new AbortController();
      await serving(
        (_request, response) => {
          if (status !== undefined) response.writeHead(status).end();
          setImmediate(() => stop.abort());
        },
        (url) =>
          expect(
            wire({ pauseMs: 60_000, pauseMsMax: 60_000 }, stop.signal).ask(url, { bytesMax: 1 }),
          ).rejects.toMatchObject({
            name: "SkeinError",
            code: "interrupted",
          }),
      );
    }
    await expect(wire({}, AbortSignal.abort()).ask("http://127.0.0.1:1/", { bytesMax: 1 })).rejects.toThrow(SkeinError);
  });

  it("take no redirect when they write", () =>
    serving(
      (request, response) => {
        if (request.url === "/x") response.writeHead(307, { location: "/y" }).end();
        else response.end("there");
      },
      async (url) => {
        expect((await wire().ask(url, { bytesMax: 10 })).body).toEqual(utf8("there"));
        await expect(wire().ask(url, { method: "PUT", body: utf8("x"), bytesMax: 10 })).rejects.toMatchObject({
          code: "store",
        });
      },
    ));
});

describe("a server's words", () => {
  it("are taken from any bytes, as one visible line of bounded length", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map(utf8),
          fc.string().map((error) => utf8(JSON.stringify({ error }))),
        ),
        (bytes) => {
          const { error = "", remedy = "" } = saidBy(bytes);
          return !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(error + remedy) && error.length <= 300;
        },
      ),
    );
    expect(saidBy(utf8('{"error":"full","remedy":["x"]}'))).toEqual({ error: "full" });
  });
});
