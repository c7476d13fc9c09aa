/**
 * Names Node: one request and its answer. Bodies are read with a greatest length, a longest silence and a least speed; answers are sent no faster
 * than the client takes them; and whatever the client does, the exchange ends.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { byteSink, utf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { HTTP_DISCARD_BYTES_MAX } from "../../base/limits.ts";
import type { GatewayLimits } from "../limits.ts";
import type { Refusal } from "./refusal.ts";

/** A request being answered. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly limits: GatewayLimits;
  readonly clock: Clock;
  /** Who asks, for counting. */
  readonly client: string;
  /** Whether the client waits for a word before it sends its body (Expect: 100-continue). */
  readonly expectsContinue: boolean;
  /** Bytes of bodies so far. */
  received: number;
  sent: number;
}

/** Headers of every answer: any web page may ask, and nothing that strangers stored is run. */
const COMMON_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "etag, content-range, accept-ranges, content-length, retry-after",
  "x-content-type-options": "nosniff",
} as const;

/** Headers of the answer to a browser that asks what it may send. */
export const PREFLIGHT_HEADERS = {
  "access-control-allow-methods": "GET, HEAD, PUT, POST, OPTIONS",
  "access-control-allow-headers": "content-type, range, if-range, if-none-match, x-skein-address, x-skein-signature",
  "access-control-allow-private-network": "true",
  "access-control-max-age": "86400",
} as const;

/** Headers of an answer by name. */
export type AnswerHeaders = Readonly<Record<string, string | number>>;

/** Begins an answer with a body of `length` bytes; undefined: as long as it turns out to be. */
export function begin(
  { response }: Exchange,
  status: number,
  length: number | undefined,
  headers: AnswerHeaders,
): void {
  response.writeHead(status, {
    "content-security-policy": "default-src 'none'",
    ...COMMON_HEADERS,
    ...headers,
    ...(length === undefined ? {} : { "content-length": length }),
  });
}

/** Answers with a whole body, or to HEAD with its head. Where the request's body was not read, it is thrown away up to a limit. */
export function answer(
  exchange: Exchange,
  status: number,
  body: string | Uint8Array,
  headers: AnswerHeaders = {},
): void {
  const { request, response } = exchange;
  if (response.headersSent) return void response.destroy();
  const bytes = typeof body === "string" ? utf8(body) : body;
  begin(exchange, status, status === 204 || status === 304 ? undefined : bytes.length, headers);
  const head = request.method === "HEAD" || status === 204 || status === 304;
  exchange.sent += head ? 0 : bytes.length;
  finish(exchange, head ? undefined : bytes);
  if (!request.complete) discardBody(exchange);
}

/** Ends an answer; where the client does not take the rest of it, the connection is cut. */
export function finish({ response, limits }: Exchange, last?: Uint8Array): void {
  const timer = setTimeout(() => response.destroy(), limits.silenceMs);
  response.once("close", () => clearTimeout(timer));
  response.end(last);
}

/** Answers with JSON. */
export function answerJson(exchange: Exchange, status: number, value: object, headers: AnswerHeaders = {}): void {
  answer(exchange, status, JSON.stringify(value), {
    "content-type": "application/json",
    "cache-control": "no-cache",
    ...headers,
  });
}

/** Answers with a "no". */
export function refuse(
  exchange: Exchange,
  { status, error, remedy, retryAfterSeconds }: Refusal,
  headers: AnswerHeaders = {},
): void {
  const retry = retryAfterSeconds === undefined ? {} : { "retry-after": retryAfterSeconds };
  answerJson(exchange, status, { error, remedy }, { ...retry, ...headers });
}

/** Reads on, so that the client gets round to reading the answer; cuts the connection where it sends too much or for too long. */
function discardBody({ request, limits }: Exchange): void {
  let bytes = 0;
  const cut = (): void => void request.socket.destroy();
  const timer = setTimeout(cut, limits.silenceMs);
  request.on("data", (part: Uint8Array) => {
    bytes += part.length;
    if (bytes > HTTP_DISCARD_BYTES_MAX) cut();
  });
  request.on("error", () => undefined);
  request.once("close", () => clearTimeout(timer));
  request.resume();
}

/** A body, or why there is none: it has more bytes than allowed, or the client went away, fell silent or was too slow and was cut off. */
export type Body = Uint8Array | "too long" | "gone";

/** Reads the request's body of at most `bytesMax` bytes; where `length` is given, of just as many. */
export async function readBody(exchange: Exchange, bytesMax: number, length?: number): Promise<Body> {
  const { request, response, limits, clock } = exchange;
  if (exchange.expectsContinue) response.writeContinue();
  const max = length ?? bytesMax;
  const body = byteSink(max, length);
  const lateMs = clock.monotonic() + limits.silenceMs;
  const cut = (): void => void request.destroy();
  let timer = setTimeout(cut, limits.silenceMs);
  const take = (part: Uint8Array): boolean => {
    exchange.received += part.length;
    if (body.push(part) < part.length) return false;
    clearTimeout(timer);
    timer = setTimeout(cut, limits.silenceMs);
    if (clock.monotonic() > lateMs + (body.length / limits.uploadBytesPerSecond) * 1000) cut();
    return true;
  };
  return new Promise((resolve) => {
    const settle = (outcome: Body): void => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("close", onClose);
      resolve(outcome);
    };
    const onData = (part: Uint8Array): void => {
      if (!take(part)) settle("too long");
    };
    const onEnd = (): void => settle(length === undefined || body.length === length ? body.bytes() : "gone");
    const onClose = (): void => settle("gone");
    request.on("error", () => undefined); // told by "close" too
    request.on("data", onData).on("end", onEnd).on("close", onClose);
    if (request.destroyed) onClose();
  });
}

/** Sends a part of the body, waiting until the client has taken enough of it; false where it went away or stopped taking. */
export async function send(exchange: Exchange, part: Uint8Array): Promise<boolean> {
  const { response, limits } = exchange;
  if (response.destroyed || response.writableEnded) return false;
  exchange.sent += part.length;
  if (response.write(part)) return true;
  return new Promise((resolve) => {
    const finish = (flowing: boolean): void => {
      clearTimeout(timer);
      response.off("drain", onDrain);
      response.off("close", onClose);
      if (!flowing) response.destroy();
      resolve(flowing);
    };
    const onDrain = (): void => finish(true);
    const onClose = (): void => finish(false);
    const timer = setTimeout(onClose, limits.silenceMs);
    response.once("drain", onDrain);
    response.once("close", onClose);
  });
}
