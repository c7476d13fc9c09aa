/**
 * Which JSON-RPC a gateway passes on to its chain: reading, and sending signed transactions. The node behind it may be the owner's own, which would let
 * whoever reaches it do more (unlock accounts, mine, trace), so the list is one of what is allowed. Pure: text in, verdict out.
 */
import { RPC_BATCH_MAX } from "../../base/limits.ts";
import { CODES, idOf, READING, refusal } from "../../chain/local/door/methods.ts";

const ALSO: ReadonlySet<string> = new Set([
  "eth_accounts",
  "eth_gasPrice",
  "eth_maxPriorityFeePerGas",
  "eth_sendRawTransaction",
]);

/** What to do with a body: pass it on, or answer with the given JSON text. `failure` words the answer for when the chain fails. */
export type RpcVerdict =
  | { readonly kind: "pass"; readonly failure: (message: string) => string }
  | { readonly kind: "answer"; readonly text: string };

/** Judges the text of a stranger's request or batch of them. */
export function judgeRpc(text: string): RpcVerdict {
  const no = (id: string, code: number, message: string): RpcVerdict => ({
    kind: "answer",
    text: refusal(id, code, message),
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return no("null", CODES.parse, "the body is not JSON");
  }
  const batch: readonly unknown[] = Array.isArray(json) ? json : [json];
  if (batch.length === 0) return no("null", CODES.request, "the batch is empty");
  if (batch.length > RPC_BATCH_MAX)
    return no("null", CODES.limit, `a batch has at most ${RPC_BATCH_MAX} requests, not ${batch.length}`);
  for (const request of batch) {
    const method = methodOf(request);
    const id = idOf(request);
    if (method === undefined || id === undefined) {
      return no("null", CODES.request, "a request is an object with jsonrpc, id, method and params");
    }
    if (!READING.has(method) && !ALSO.has(method)) {
      return no(id, CODES.method, `this gateway passes no method ${JSON.stringify(method)} on`);
    }
  }
  return {
    kind: "pass",
    failure: (message) => {
      const each = batch.map((request) => refusal(idOf(request) ?? "null", CODES.unavailable, message));
      return Array.isArray(json) ? `[${each.join(",")}]` : (each[0] ?? "");
    },
  };
}

function methodOf(request: unknown): string | undefined {
  if (typeof request !== "object" || request === null || !("method" in request)) return undefined;
  return typeof request.method === "string" && request.method.length <= 64 ? request.method : undefined;
}
