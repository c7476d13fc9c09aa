/** Names Node: passes JSON-RPC on to the chain's node, with bounds on bytes and time, and says so in JSON-RPC's own words where that fails. */
import { fromUtf8 } from "../../base/bytes.ts";
import { messageOf } from "../../base/errors.ts";
import { RPC_ANSWER_BYTES_MAX, RPC_BODY_BYTES_MAX } from "../../base/limits.ts";
import type { Log } from "../../base/log/log.ts";
import { CODES, refusal } from "../../chain/local/door/methods.ts";
import { answer, begin, type Exchange, finish, readBody, send } from "../http/exchange.node.ts";
import { judgeRpc } from "./rpc.ts";

const JSON_HEADERS = { "content-type": "application/json", "cache-control": "no-store" } as const;

/** What passes requests on. */
export type RpcDoor = (exchange: Exchange) => Promise<void>;

/** A door to the node at `url`. `closed` ends what is under way. */
export function rpcDoor(url: string, log: Log, closed: AbortSignal): RpcDoor {
  let inFlight = 0;
  return async (exchange) => {
    const { limits } = exchange;
    const end = (status: number, text: string): void => answer(exchange, status, text, JSON_HEADERS);
    if (inFlight >= limits.rpcInFlight)
      return end(503, refusal("null", CODES.limit, "the gateway is busy; try again in a second"));
    const announced = exchange.request.headers["content-length"];
    const tooLong = refusal("null", CODES.limit, `a request has at most ${RPC_BODY_BYTES_MAX} bytes`);
    if (Number(announced ?? 0) > RPC_BODY_BYTES_MAX) return end(413, tooLong);
    inFlight++;
    try {
      const body = await readBody(exchange, RPC_BODY_BYTES_MAX);
      if (body === "gone") return;
      if (body === "too long") return end(413, tooLong);
      const verdict = judgeRpc(fromUtf8(body));
      if (verdict.kind === "answer") return end(200, verdict.text);
      const trouble = await pass(exchange, url, body, closed);
      if (trouble === undefined) return;
      log.event("rpc-trouble", { why: trouble });
      end(502, verdict.failure("the gateway does not reach its chain; try again in some seconds"));
    } finally {
      inFlight--;
    }
  };
}

/** Sends `body` on and streams the answer back; what went wrong, where nothing has been answered yet. */
async function pass(
  exchange: Exchange,
  url: string,
  body: Uint8Array,
  closed: AbortSignal,
): Promise<string | undefined> {
  const { response, limits } = exchange;
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  const timer = setTimeout(abort, limits.rpcMs);
  closed.addEventListener("abort", abort, { once: true });
  response.once("close", abort); // nobody waits for it any more
  try {
    const headers = { "content-type": "application/json" };
    const upstream = await fetch(url, {
      method: "POST",
      headers,
      body: body as BodyInit,
      redirect: "error",
      signal: stop.signal,
    });
    if (!upstream.ok) return `the chain's node answered ${upstream.status}`;
    begin(exchange, 200, undefined, JSON_HEADERS);
    let bytes = 0;
    for await (const part of upstream.body ?? []) {
      bytes += part.length;
      if (bytes > RPC_ANSWER_BYTES_MAX || !(await send(exchange, part))) return void response.destroy();
    }
    finish(exchange);
    return undefined;
  } catch (thrown) {
    if (!response.headersSent) return messageOf(thrown instanceof Error && thrown.cause ? thrown.cause : thrown);
    return void response.destroy();
  } finally {
    clearTimeout(timer);
    closed.removeEventListener("abort", abort);
    response.off("close", abort);
    stop.abort();
  }
}
