/**
 * Why a call failed, as an error for people: a revert's data is decoded into the contract's custom error and told by errors.ts; a node that
 * cannot be reached or answers nonsense becomes a SkeinError("chain") that says so.
 */
import {
  BaseError,
  decodeErrorResult,
  type Hex,
  HttpRequestError,
  InternalRpcError,
  LimitExceededRpcError,
  parseAbiItem,
  ResourceUnavailableRpcError,
  RpcRequestError,
  TimeoutError,
} from "viem";
import { messageOf, SkeinError, shown } from "../../base/errors.ts";
import { type RefusalArgument, refusal, refusalTypes } from "../errors.ts";

const ABI = [...refusalTypes].map(([name, types]) => parseAbiItem(`error ${name}(${types.join(",")})` as "error E()"));
/** Bytes of revert data that are looked at; custom errors have a handful of words. */
const DATA_CHARS_MAX = 2 + 2 * 4096;
/** Characters of a node's own words that are told on. */
const WORDS_MAX = 200;
const CAUSES_MAX = 16;

/** The error for a revert's data. */
export function refusalOf(data: Hex): SkeinError {
  if (data === "0x") {
    return new SkeinError("chain", "the chain refused without saying why", { remedy: CONTRACTS_REMEDY });
  }
  try {
    const { errorName, args } = decodeErrorResult({ abi: ABI, data: data.slice(0, DATA_CHARS_MAX) as Hex }) as {
      errorName: string;
      args?: readonly unknown[];
    };
    return refusal(errorName, ...(args ?? []).map(argumentOf));
  } catch {
    return refusal(`error ${data.slice(0, 10)}`);
  }
}

const CONTRACTS_REMEDY = "check that the chain has these contracts: --rpc and --contracts";

function argumentOf(value: unknown): RefusalArgument {
  return typeof value === "number" || typeof value === "bigint" || typeof value === "boolean"
    ? value
    : printable(String(value));
}

/** A stranger's words on one line, without what could command a terminal. */
function printable(text: string): string {
  return text.slice(0, WORDS_MAX).replace(/[^\x20-\x7e]+/g, " ");
}

/** Revert data anywhere in what viem threw; undefined where the failure was no revert. */
export function revertData(thrown: unknown): Hex | undefined {
  if (!(thrown instanceof BaseError)) return undefined;
  const chain = causesOf(thrown);
  for (const each of chain) {
    const data = dataIn(each);
    if (data !== undefined) return data;
  }
  const words = chain.map((each) => (each instanceof RpcRequestError ? shown(each.details) : ""));
  return words.some((text) => /execution reverted/i.test(text)) ? "0x" : undefined;
}

/** An error and what caused it, outermost first; a node's error may name causes without end. */
function causesOf(thrown: unknown): unknown[] {
  const chain: unknown[] = [];
  for (let each = thrown; each !== undefined && each !== null && chain.length < CAUSES_MAX; ) {
    chain.push(each);
    each = typeof each === "object" && "cause" in each ? each.cause : undefined;
  }
  return chain;
}

function dataIn(each: unknown): Hex | undefined {
  if (typeof each !== "object" || each === null || !("data" in each)) return undefined;
  const { data } = each;
  const inner = typeof data === "object" && data !== null && "data" in data ? data.data : data;
  if (typeof inner !== "string" || inner.length % 2 !== 0) return undefined;
  const start = inner.slice(0, DATA_CHARS_MAX);
  return /^0x[0-9a-f]*$/i.test(start) ? (start as Hex) : undefined;
}

/** What viem threw, for people. SkeinErrors pass as they are. */
export function chainError(thrown: unknown, doing: string): SkeinError {
  if (thrown instanceof SkeinError) return thrown;
  const data = revertData(thrown);
  if (data !== undefined) return refusalOf(data);
  const kind = kindOf(thrown);
  const words = wordsOf(thrown);
  if (/insufficient funds/i.test(words)) {
    const remedy = "send the account some of the chain's own coin, which pays for gas";
    return new SkeinError("chain", "the account cannot pay for the transaction's gas", { remedy, cause: thrown });
  }
  const message = {
    silent: `the chain could not be asked (${doing}): ${words}`,
    declined: `the node declined (${doing}): ${words}`,
    nonsense: `the node's answer cannot be right (${doing}): ${words}`,
  }[kind];
  const remedy = {
    silent: "check that the chain is running and that --rpc names it",
    declined: "check that --rpc names a node of this chain that serves everybody",
    nonsense: "check that --rpc names a node of this chain; if it does, ask another node",
  }[kind];
  return new SkeinError("chain", message, { remedy, cause: thrown });
}

/** Whether asking again later may help: nobody answers, or says that it is busy. */
export function isTransient(thrown: unknown): boolean {
  const root = thrown instanceof SkeinError ? thrown.cause : thrown;
  if (root === undefined || revertData(root) !== undefined) return false;
  return causesOf(root).some((each) => {
    if (each instanceof HttpRequestError) return each.status === undefined || !isFinal(each.status);
    return BUSY.some((type) => each instanceof type);
  });
}

/** Whether a web server's answer will be the same later. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && ![403, 408, 425, 429].includes(status);
}

const BUSY = [TimeoutError, InternalRpcError, LimitExceededRpcError, ResourceUnavailableRpcError] as const;

function kindOf(thrown: unknown): "silent" | "declined" | "nonsense" {
  const chain = causesOf(thrown);
  if (chain.some((each) => each instanceof HttpRequestError || each instanceof TimeoutError)) return "silent";
  return chain.some((each) => each instanceof RpcRequestError) ? "declined" : "nonsense";
}

/** The node's own words where there are some, else the library's. */
export function wordsOf(thrown: unknown): string {
  const root = causesOf(thrown).find((each) => each instanceof RpcRequestError);
  if (root instanceof RpcRequestError) return printable(shown(root.details));
  const words = thrown instanceof BaseError ? thrown.shortMessage : messageOf(thrown);
  return printable(words.split("\n")[0] ?? "");
}
