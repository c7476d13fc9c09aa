/**
 * What a client may ask of the embedded chain: reading, and sending signed transactions. Everything else that anvil can do (set balances,
 * change code, mine, pretend to be somebody, trace) stays with the supervisor, because a client that could do it would own the chain, and
 * because the journal does not know it. Pure: a request in, a verdict out.
 */
import { hexToBytes } from "@noble/hashes/utils.js";
import type { Hash } from "../../chain.ts";

/** Methods that are passed on as they are. Filters and subscriptions are not among them: they would be lost with anvil's memory. */
export const READING: ReadonlySet<string> = new Set(
  `eth_blobBaseFee eth_blockNumber eth_call eth_chainId eth_createAccessList eth_estimateGas eth_feeHistory eth_getBalance
eth_getBlockByHash eth_getBlockByNumber eth_getBlockReceipts eth_getBlockTransactionCountByHash eth_getBlockTransactionCountByNumber
eth_getCode eth_getLogs eth_getProof eth_getStorageAt eth_getTransactionByBlockHashAndIndex eth_getTransactionByBlockNumberAndIndex
eth_getTransactionByHash eth_getTransactionCount eth_getTransactionReceipt eth_protocolVersion eth_syncing
net_listening net_peerCount net_version web3_clientVersion web3_sha3`.split(/\s+/),
);

/** Methods that simulate, and burn as much time as gas they are given. */
const SIMULATING: ReadonlySet<string> = new Set(["eth_call", "eth_estimateGas", "eth_createAccessList"]);

/** Methods with one answer: no account is unlocked, and gas is free (anvil would suggest a tip, which an account without coins cannot pay). */
const FIXED: ReadonlyMap<string, string> = new Map([
  ["eth_accounts", "[]"],
  ["eth_gasPrice", '"0x0"'],
  ["eth_maxPriorityFeePerGas", '"0x0"'],
]);

/** Bounds on one request. */
export interface MethodLimits {
  /** Gas of one transaction, and of one simulated call. */
  readonly transactionGas: number;
  readonly callGas: number;
  /** Bytes of one signed transaction. */
  readonly transactionBytes: number;
  /** Blocks below this have been dropped (but 0), and their logs with them. */
  readonly horizon: number;
}

/** JSON-RPC's error codes as far as they are used here. */
export const CODES = {
  parse: -32700,
  request: -32600,
  method: -32601,
  params: -32602,
  internal: -32603,
  limit: -32005,
  unavailable: -32002,
  pruned: 4444,
} as const;

/** What to do with a request. */
export type Verdict =
  | { readonly kind: "forward"; readonly id: string; readonly body: string }
  | { readonly kind: "send"; readonly id: string; readonly raw: Hash; readonly body: string }
  | { readonly kind: "answer"; readonly text: string };

/** A refusal as JSON text; `id` is JSON text too. */
export function refusal(id: string, code: number, message: string): string {
  return `{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify({ code, message })}}`;
}

/** An answer as JSON text; `id` and `result` are JSON text too. */
export function answer(id: string, result: string): string {
  return `{"jsonrpc":"2.0","id":${id},"result":${result}}`;
}

/** The id of a request as JSON text, "null" where it has none; undefined where it is not an id. */
export function idOf(request: unknown): string | undefined {
  if (typeof request !== "object" || request === null || !("id" in request)) return "null";
  const { id } = request;
  if (id === null || (typeof id === "number" && Number.isFinite(id))) return JSON.stringify(id);
  return typeof id === "string" && id.length <= 128 ? JSON.stringify(id) : undefined;
}

/** Judges one request that a stranger sent. */
export function judge(request: unknown, limits: MethodLimits): Verdict {
  const refuse = (id: string, code: number, message: string): Verdict => ({
    kind: "answer",
    text: refusal(id, code, message),
  });
  if (typeof request !== "object" || request === null || Array.isArray(request)) {
    return refuse("null", CODES.request, "a request is an object with jsonrpc, id, method and params");
  }
  const id = idOf(request);
  if (id === undefined) return refuse("null", CODES.request, "the id is a number, null, or at most 128 characters");
  const { method, params = [] } = request as { method?: unknown; params?: unknown };
  if (typeof method !== "string" || method.length > 64) return refuse(id, CODES.request, "the method is missing");
  if (!Array.isArray(params)) return refuse(id, CODES.params, "params are a list");
  const fixed = FIXED.get(method);
  if (fixed !== undefined) return { kind: "answer", text: answer(id, fixed) };
  const body = (given: readonly unknown[]): string =>
    `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${JSON.stringify(given)}}`;
  if (method === "eth_sendRawTransaction") {
    const fault = rawFault(params, limits);
    if (fault !== undefined) return refuse(id, CODES.params, fault);
    const raw = (params[0] as string).toLowerCase() as Hash;
    return { kind: "send", id, raw, body: body([raw]) };
  }
  if (!READING.has(method)) {
    return refuse(id, CODES.method, `this chain has no method ${JSON.stringify(method)} for clients`);
  }
  if (method === "eth_getLogs" && reachesBelow(params[0], limits.horizon)) {
    return refuse(id, CODES.pruned, `logs of blocks below ${limits.horizon} have been dropped; ask from there on`);
  }
  return { kind: "forward", id, body: body(SIMULATING.has(method) ? withGas(params, limits.callGas) : params) };
}

/** The call with its gas brought down to the limit. */
function withGas(params: readonly unknown[], gasMax: number): readonly unknown[] {
  const [call, ...rest] = params;
  if (typeof call !== "object" || call === null || Array.isArray(call)) return params;
  const { gas } = call as { gas?: unknown };
  const asked = typeof gas === "string" && /^0x[0-9a-fA-F]{1,16}$/.test(gas) ? Number(gas) : Number.POSITIVE_INFINITY;
  return [{ ...call, gas: `0x${Math.min(asked, gasMax).toString(16)}` }, ...rest];
}

function reachesBelow(filter: unknown, horizon: number): boolean {
  if (typeof filter !== "object" || filter === null || horizon <= 1) return false;
  const { fromBlock } = filter as { fromBlock?: unknown };
  if (fromBlock === "earliest") return true;
  return typeof fromBlock === "string" && /^0x[0-9a-fA-F]+$/.test(fromBlock) && Number(fromBlock) < horizon;
}

function rawFault(params: readonly unknown[], limits: MethodLimits): string | undefined {
  const [raw] = params;
  if (typeof raw !== "string" || !/^0x(?:[0-9a-fA-F]{2})+$/.test(raw)) return "a signed transaction in hex is missing";
  if (raw.length / 2 - 1 > limits.transactionBytes) {
    return `a transaction has at most ${limits.transactionBytes} bytes`;
  }
  const gas = gasLimitOf(hexToBytes(raw.slice(2)));
  if (gas === undefined) return "this is no signed transaction of type 0, 1 or 2";
  if (gas > limits.transactionGas) return `a transaction may use at most ${limits.transactionGas} gas, not ${gas}`;
  return undefined;
}

/** Where the gas limit stands among a transaction's fields, by its type (EIP-2718; a list without type byte is a legacy one). */
const GAS_FIELD: ReadonlyMap<number, number> = new Map([
  [0, 2],
  [1, 3],
  [2, 4],
]);

/** The gas limit of a signed transaction; undefined where the bytes are none of the known types. */
export function gasLimitOf(bytes: Uint8Array): number | undefined {
  const first = bytes[0] ?? 0;
  const legacy = first >= 0xc0;
  const field = GAS_FIELD.get(legacy ? 0 : first === 0 ? -1 : first);
  const list = rlpItem(bytes, legacy ? 0 : 1);
  if (field === undefined || list?.kind !== "list" || list.end !== bytes.length) return undefined;
  let at = list.start;
  for (let i = 0; ; i++) {
    const item = at < list.end ? rlpItem(bytes, at) : undefined;
    if (item === undefined || item.end > list.end) return undefined;
    if (i === field) return item.kind === "text" ? bigEndian(bytes.subarray(item.start, item.end)) : undefined;
    at = item.end;
  }
}

/** The RLP item at `at` (yellow paper, appendix B): where its payload starts and ends. */
function rlpItem(bytes: Uint8Array, at: number): { kind: "text" | "list"; start: number; end: number } | undefined {
  const head = bytes[at];
  if (head === undefined) return undefined;
  if (head < 0x80) return { kind: "text", start: at, end: at + 1 };
  const kind = head < 0xc0 ? "text" : "list";
  const short = head - (kind === "text" ? 0x80 : 0xc0);
  const lengthBytes = Math.max(0, short - 55);
  if (lengthBytes > 4) return undefined;
  const start = at + 1 + lengthBytes;
  const length = lengthBytes === 0 ? short : bigEndian(bytes.subarray(at + 1, start));
  return start + length > bytes.length ? undefined : { kind, start, end: start + length };
}

function bigEndian(bytes: Uint8Array): number {
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}
