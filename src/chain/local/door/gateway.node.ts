/**
 * Names Node: the chain's door for clients: JSON-RPC over HTTP, also from web pages (cross-origin, so that a browser wallet works). It bounds
 * what it reads and how much of it, and leaves every decision about a request to the function it is given.
 */
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { systemClock } from "../../../base/clock.ts";
import { systemCode } from "../../../base/disk.node.ts";
import { messageOf, SkeinError } from "../../../base/errors.ts";
import { RPC_BATCH_MAX, RPC_BODY_BYTES_MAX } from "../../../base/limits.ts";
import { buckets } from "./bucket.ts";
import { CODES, idOf, refusal } from "./methods.ts";

/** Bounds on clients. */
export interface GatewayLimits {
  readonly bodyBytes: number;
  /** Requests in one batch. */
  readonly batch: number;
  /** Requests of one address: a second, and at once. */
  readonly perSecond: number;
  readonly burst: number;
  /** Requests of all addresses being worked on. */
  readonly inFlight: number;
  readonly connections: number;
}

/** Bounds that suit a machine with some dozens of peers on it. */
export const GATEWAY_LIMITS: GatewayLimits = {
  bodyBytes: RPC_BODY_BYTES_MAX,
  batch: RPC_BATCH_MAX,
  perSecond: 1000,
  burst: 4000,
  inFlight: 512,
  connections: 1024,
};

/** An open door. */
export interface Gateway {
  readonly url: string;
  close(): Promise<void>;
}

/** Answers one request: JSON in, the response as JSON text out. Never rejects. */
export type Answerer = (request: unknown) => Promise<string>;

const HEADERS = {
  "content-type": "application/json",
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "POST, OPTIONS",
  "access-control-allow-headers": "content-type",
  "access-control-allow-private-network": "true",
  "access-control-max-age": "86400",
} as const;

/** Listens on `host`:`port` (0: any free port). Throws SkeinError("chain") where that is taken. */
export async function openGateway(
  host: string,
  port: number,
  limits: GatewayLimits,
  answerer: Answerer,
): Promise<Gateway> {
  const rate = buckets(limits.perSecond, limits.burst);
  let inFlight = 0;
  const one = async (request: unknown): Promise<string> => {
    const id = idOf(request) ?? "null";
    if (inFlight >= limits.inFlight) return refusal(id, CODES.limit, "the chain is busy; try again in a second");
    inFlight++;
    try {
      return await answerer(request);
    } catch (thrown) {
      return refusal(id, CODES.internal, messageOf(thrown));
    } finally {
      inFlight--;
    }
  };
  const respond = async (text: string, client: string): Promise<string> => {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      return refusal("null", CODES.parse, "the body is not JSON");
    }
    const batch = Array.isArray(json) ? json : [json];
    if (batch.length === 0) return refusal("null", CODES.request, "the batch is empty");
    if (batch.length > limits.batch) {
      return refusal("null", CODES.limit, `a batch has at most ${limits.batch} requests, not ${batch.length}`);
    }
    if (!rate.take(client, batch.length, systemClock.monotonic())) {
      return refusal("null", CODES.limit, `at most ${limits.perSecond} requests a second; wait a moment`);
    }
    const answers = await Promise.all(batch.map(one));
    return Array.isArray(json) ? `[${answers.join(",")}]` : (answers[0] ?? "");
  };
  const server = http.createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) => {
    serve(request, response, limits.bodyBytes, respond).catch(() => response.destroy());
  });
  server.maxConnections = limits.connections;
  await listen(server, host, port);
  const shownHost = host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${shownHost}:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: http.Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const remedy =
        systemCode(cause) === "EADDRINUSE"
          ? "stop what uses that port, or choose another one"
          : "choose another port or address";
      reject(new SkeinError("chain", `cannot listen on ${host}:${port}`, { details: messageOf(cause), remedy, cause }));
    });
    server.listen(port, host, () => resolve());
  });
}

async function serve(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  bodyBytesMax: number,
  respond: (text: string, client: string) => Promise<string>,
): Promise<void> {
  const end = (status: number, text: string): void => {
    response.writeHead(status, { ...HEADERS, "content-length": Buffer.byteLength(text) });
    response.end(text);
  };
  if (request.method === "OPTIONS") return end(204, "");
  if (request.method !== "POST") return end(405, refusal("null", CODES.request, "JSON-RPC comes by POST"));
  const body = await readBody(request, bodyBytesMax);
  if (body === undefined) {
    response.shouldKeepAlive = false;
    return end(413, refusal("null", CODES.limit, `a request has at most ${bodyBytesMax} bytes`));
  }
  end(200, await respond(body, request.socket.remoteAddress ?? ""));
}

/** The body's text; undefined where it is longer than `bytesMax`, of which no more than that is kept. */
async function readBody(request: http.IncomingMessage, bytesMax: number): Promise<string | undefined> {
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) return undefined;
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += (part as Buffer).length;
    if (bytes > bytesMax) return undefined;
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString("utf8");
}
