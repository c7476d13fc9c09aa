/**
 * Names Node: the gateway, one HTTP server that is all a newcomer needs to know of a run (docs/protocol/gateway.md): a page for people, what the run
 * is, the shared store, a door to the chain, and coins to register where the owner gives some. It holds no secrets and decides nothing: blobs are named by
 * their hash, news is signed, rounds are on chain; whoever runs one can be away, but cannot cheat. Made to run for weeks: everything that it
 * remembers has a bound, and every connection ends.
 */
import * as http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { fromUtf8 } from "../base/bytes.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { systemCode } from "../base/disk.node.ts";
import { messageOf, SkeinError } from "../base/errors.ts";
import { isAccount } from "../base/json.ts";
import { FAUCET_BODY_BYTES_MAX, HTTP_HEAD_BYTES_MAX } from "../base/limits.ts";
import type { Log } from "../base/log/log.ts";
import { type Buckets, buckets } from "../chain/local/door/bucket.ts";
import { linkOf, type RunInfo } from "../run/link.ts";
import type { Store } from "../store/store.ts";
import { type Faucet, type FaucetOptions, openFaucet } from "./chain/faucet.node.ts";
import { type RpcDoor, rpcDoor } from "./chain/rpc.node.ts";
import { answer, answerJson, type Exchange, PREFLIGHT_HEADERS, readBody, refuse } from "./http/exchange.node.ts";
import { clientOf, isRefusal, refusalOf } from "./http/refusal.ts";
import { METHODS, type Route, routeOf } from "./http/routes.ts";
import { type GatewayLimits, gatewayLimits } from "./limits.ts";
import { PAGE_POLICY, type RunCard, type RunProgress, runPage } from "./page.ts";
import { type Downloads, downloads } from "./store/download.node.ts";
import { hotkeysOf } from "./store/hotkeys.ts";
import { type Uploads, uploads } from "./store/upload.node.ts";

/** What a gateway is to serve. */
export interface GatewayOptions {
  /** The shared store: run.json, data/…, blobs/…, news/…. Where these lie apart, store/overlay.ts makes one of them. */
  readonly store: Store;
  readonly info: RunInfo;
  readonly card: RunCard;
  /** All hotkeys registered in the run's subnet, as accounts (0x and 64 hex digits): who may write. Read every few seconds. */
  readonly accounts: () => Promise<ReadonlySet<string>>;
  /** Where the run stands, for the page. Read every few seconds at most. */
  readonly progress?: () => Promise<RunProgress>;
  /** The chain's node. Left out: /rpc is not served. */
  readonly rpcUrl?: string;
  /** Left out: /faucet is not served. */
  readonly faucet?: FaucetOptions;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The address under which the world finds it, where that is another one (a proxy); may have a path. */
  readonly publicUrl?: string;
  /** Whether it is reached through a proxy only, whose X-Forwarded-For can be believed. */
  readonly proxied?: boolean;
  readonly limits?: Partial<GatewayLimits>;
  readonly log: Log;
  readonly clock?: Clock;
  /** Closes it. */
  readonly signal?: AbortSignal;
}

/** A running gateway. */
export interface Gateway {
  /** Where it listens. */
  readonly url: string;
  readonly port: number;
  /** The join link. */
  readonly link: string;
  /** Lets work under way end, up to a limit, and closes everything. */
  close(): Promise<void>;
}

/** Milliseconds for which what the page tells about the run is taken for true. */
const PROGRESS_MS = 3000;
/** Milliseconds between two looks for connections that are too slow. */
const CHECK_MS = 2000;
/** Milliseconds that a request may take as a whole to come in; bodies have tighter limits of their own. */
const REQUEST_MS = 2 * 3600_000;
/** Characters of a path in the log. */
const LOGGED_PATH_CHARS = 200;

interface Server {
  readonly options: GatewayOptions;
  readonly limits: GatewayLimits;
  readonly clock: Clock;
  readonly prefix: string;
  readonly downloads: Downloads;
  readonly uploads: Uploads;
  readonly rpc: RpcDoor | undefined;
  readonly faucet: Faucet | undefined;
  readonly rate: Buckets;
  readonly progress: () => RunProgress | null;
  /** Everything that is being answered. */
  readonly underWay: Set<Promise<void>>;
}

/** Starts a gateway. Rejects with SkeinError("store") where the port is taken or the faucet's book is unusable. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { host, port, signal, publicUrl } = options;
  const limits = gatewayLimits(options.limits);
  const closed = new AbortController();
  const self = await serverOf(options, limits, closed.signal);
  const server = http.createServer({
    headersTimeout: limits.headMs,
    requestTimeout: REQUEST_MS,
    connectionsCheckingInterval: Math.min(CHECK_MS, limits.headMs),
    maxHeaderSize: HTTP_HEAD_BYTES_MAX,
  });
  server.maxConnections = limits.connections;
  server.on("request", (request, response) => take(self, request, response, false));
  server.on("checkContinue", (request, response) => take(self, request, response, true));
  server.on("clientError", rejectGarbage);
  server.on("connection", connectionCounter(limits, options.proxied === true));
  try {
    await listen(server, host, port);
    server.on("error", (error) => options.log.event("gateway-trouble", { status: 0, why: messageOf(error) }));
  } catch (thrown) {
    await self.faucet?.close();
    throw thrown;
  }
  const address = server.address() as AddressInfo;
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${address.port}`;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= shutDown(self, server, closed);
    return closing;
  };
  signal?.addEventListener("abort", () => void close(), { once: true });
  if (signal?.aborted === true) await close();
  options.log.event("gateway", { url, specHash: options.info.specHash });
  return { url, port: address.port, link: linkOf(publicUrl ?? url, options.info.specHash), close };
}

async function serverOf(options: GatewayOptions, limits: GatewayLimits, closed: AbortSignal): Promise<Server> {
  const { store, info, accounts, rpcUrl, log, clock = systemClock } = options;
  const { specHash } = info;
  const hotkeys = hotkeysOf(accounts, clock, limits.accountsMs);
  return {
    options,
    limits,
    clock,
    prefix: options.publicUrl === undefined ? "" : new URL(options.publicUrl).pathname.replace(/\/+$/, ""),
    downloads: downloads({ store, specHash, clock }),
    uploads: uploads({ store, specHash, hotkeys, limits, clock }),
    rpc: rpcUrl === undefined ? undefined : rpcDoor(rpcUrl, log, closed),
    faucet: options.faucet && (await openFaucet(options.faucet, clock, log)),
    rate: buckets(limits.requestsPerSecond, limits.requestsBurst),
    progress: lastProgress(options, clock),
    underWay: new Set(),
  };
}

/** Where the run stood when it was last asked, at most every few seconds; null before that is known. Nobody waits for it. */
function lastProgress({ progress }: GatewayOptions, clock: Clock): () => RunProgress | null {
  let last: RunProgress | null = null;
  let atMs = Number.NEGATIVE_INFINITY;
  const look = (): RunProgress | null => {
    if (progress === undefined || clock.monotonic() - atMs <= PROGRESS_MS) return last;
    atMs = clock.monotonic();
    progress().then(
      (found) => {
        last = found;
      },
      () => undefined,
    );
    return last;
  };
  look();
  return look;
}

function listen(server: http.Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const taken = systemCode(cause) === "EADDRINUSE";
      const remedy = taken ? "stop what uses that port, or choose another one" : "choose another port or address";
      reject(new SkeinError("store", `cannot listen on ${host}:${port}`, { details: messageOf(cause), remedy, cause }));
    });
    server.listen(port, host, () => resolve());
  });
}

async function shutDown(
  { underWay, limits, faucet }: Server,
  server: http.Server,
  closed: AbortController,
): Promise<void> {
  const gone = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  await within(Promise.allSettled([...underWay]), limits.closeMs);
  closed.abort();
  server.closeAllConnections();
  await gone;
  await within(Promise.allSettled([...underWay, faucet?.close()]), limits.closeMs);
}

/** Waits for `work`, but no longer than `ms`. */
async function within(work: Promise<unknown>, ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    const end = (): void => {
      clearTimeout(timer);
      resolve();
    };
    work.then(end, end);
  });
}

/** Answers what is no HTTP, so that whoever sent it by mistake sees why. */
function rejectGarbage(error: Error, socket: NodeJS.WritableStream & { destroy(): void }): void {
  const code = systemCode(error);
  const status =
    code === "HPE_HEADER_OVERFLOW"
      ? "431 Request Header Fields Too Large"
      : code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "408 Request Timeout"
        : "400 Bad Request";
  if (!socket.writable || code === "ECONNRESET") return void socket.destroy();
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy());
}

/** Closes connections of clients that have too many, and those that nothing moves on. */
function connectionCounter(limits: GatewayLimits, proxied: boolean): (socket: Socket) => void {
  const open = new Map<string, number>();
  return (socket) => {
    const client = clientOf(socket.remoteAddress ?? "");
    const count = (open.get(client) ?? 0) + 1;
    open.set(client, count);
    socket.once("close", () => {
      const left = (open.get(client) ?? 1) - 1;
      if (left === 0) open.delete(client);
      else open.set(client, left);
    });
    if (!proxied && count > limits.connectionsPerClient) socket.destroy();
  };
}

function take(
  self: Server,
  request: http.IncomingMessage,
  response: http.ServerResponse,
  expectsContinue: boolean,
): void {
  const { limits, clock, options } = self;
  const startMs = clock.monotonic();
  const forwarded = options.proxied === true ? request.headers["x-forwarded-for"] : undefined;
  const client = clientOf(request.socket.remoteAddress ?? "", typeof forwarded === "string" ? forwarded : undefined);
  const exchange: Exchange = { request, response, limits, clock, client, expectsContinue, received: 0, sent: 0 };
  request.on("error", () => undefined);
  response.on("error", () => undefined);
  const work = handle(self, exchange)
    .catch((thrown: unknown) => {
      const refusal = refusalOf(thrown);
      options.log.event("gateway-trouble", { status: refusal.status, why: messageOf(thrown) });
      refuse(exchange, refusal);
    })
    .catch(() => void response.destroy())
    .finally(() => {
      self.underWay.delete(work);
    });
  self.underWay.add(work);
  response.once("close", () => {
    const path = (request.url ?? "").replace(/[?#].*$/s, "").slice(0, LOGGED_PATH_CHARS);
    options.log.event("request", {
      method: request.method ?? "",
      path,
      status: response.headersSent ? response.statusCode : 0,
      bytes: exchange.sent,
      ...(exchange.received > 0 ? { received: exchange.received } : {}),
      ...(response.writableFinished ? {} : { broken: true }),
      ms: Math.round(clock.monotonic() - startMs),
    });
  });
}

async function handle(self: Server, exchange: Exchange): Promise<void> {
  const { request, client } = exchange;
  const method = request.method ?? "";
  const nowMs = self.clock.monotonic();
  if (!self.rate.take(client, 1, nowMs)) {
    const seconds = Math.ceil(self.rate.waitMs(client, 1, nowMs) / 1000);
    const error = `at most ${self.limits.requestsPerSecond} requests a second`;
    return refuse(exchange, { status: 429, error, remedy: "wait a moment", retryAfterSeconds: seconds });
  }
  const route = routeOf(request.url ?? "", self.prefix);
  if (method === "OPTIONS") return answer(exchange, 204, "", PREFLIGHT_HEADERS);
  if (route === undefined) return refuse(exchange, noSuchAddress());
  const methods = METHODS[route.name];
  if (!methods.includes(method)) {
    const error = `this address answers ${methods.join(", ")}, not ${method}`;
    return refuse(
      exchange,
      { status: 405, error, remedy: "see docs/protocol/gateway.md" },
      { allow: [...methods, "OPTIONS"].join(", ") },
    );
  }
  return serve(self, exchange, route);
}

function noSuchAddress(): { status: number; error: string; remedy: string } {
  return {
    status: 404,
    error: "there is nothing at this address",
    remedy: "open the join link; docs/protocol/gateway.md has all addresses",
  };
}

function serve(self: Server, exchange: Exchange, route: Route): Promise<void> | void {
  const { info } = self.options;
  switch (route.name) {
    case "root":
      return answer(exchange, 302, "", { location: `r/${info.specHash}` });
    case "page":
      if (route.specHash !== info.specHash) {
        const remedy = "ask whoever gave you the link for the new one";
        return refuse(exchange, { status: 404, error: "this gateway serves another run", remedy });
      }
      return route.slash ? answer(exchange, 301, "", { location: `../${info.specHash}` }) : page(self, exchange);
    case "info":
      return describeRun(self, exchange);
    case "store":
      return exchange.request.method === "PUT"
        ? self.uploads.put(exchange, route.key)
        : self.downloads.get(exchange, route.key);
    case "list":
      return self.downloads.list(exchange, route.prefix);
    case "rpc":
      return self.rpc === undefined ? refuse(exchange, noSuchAddress()) : self.rpc(exchange);
    case "faucet":
      return self.faucet === undefined ? refuse(exchange, noSuchAddress()) : giveCoins(self.faucet, exchange);
  }
}

function page(self: Server, exchange: Exchange): void {
  const { info, card, publicUrl } = self.options;
  const { specHash, netuid, runId, faucet } = info;
  const link = linkOf(publicUrl ?? `http://${hostOf(exchange)}`, specHash);
  const html = runPage({ card, specHash, netuid, runId, faucet, link, progress: self.progress() });
  answer(exchange, 200, html, {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-cache",
    "content-security-policy": PAGE_POLICY,
    "referrer-policy": "no-referrer",
  });
}

/** The name by which the client reached this server, as far as it is one. */
function hostOf({ request }: Exchange): string {
  const host = request.headers.host ?? "";
  return /^(?:[\w.-]{1,253}|\[[\da-f:.]{2,45}\])(?::\d{1,5})?$/i.test(host) ? host : "localhost";
}

function describeRun(self: Server, exchange: Exchange): void {
  const { info, card } = self.options;
  answerJson(exchange, 200, { ...info, ...card, progress: self.progress() });
}

async function giveCoins(faucet: Faucet, exchange: Exchange): Promise<void> {
  const body = await readBody(exchange, FAUCET_BODY_BYTES_MAX);
  if (body === "gone") return;
  const account = body === "too long" ? undefined : accountIn(body);
  if (account === undefined) {
    const error = 'the body is not {"account": "0x…"} with 64 lower-case hex digits';
    return refuse(exchange, { status: 400, error, remedy: "send the account of the coldkey that is to register" });
  }
  const given = await faucet.ask(account, exchange.client);
  if (isRefusal(given)) return refuse(exchange, given);
  answerJson(exchange, 200, { rao: `${given.rao}`, block: given.block });
}

function accountIn(body: Uint8Array): string | undefined {
  try {
    const json: unknown = JSON.parse(fromUtf8(body));
    const account = typeof json === "object" && json !== null && "account" in json ? json.account : undefined;
    return isAccount(account) ? account : undefined;
  } catch {
    return undefined;
  }
}
