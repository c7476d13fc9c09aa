/**
 * The wire to a node: JSON-RPC over HTTP, questions of one moment in one batch. A node is a stranger: its answers have a greatest size and a
 * longest time, they are checked where a wrong one could do harm, and all that goes wrong becomes a SkeinError("chain").
 */
import { createPublicClient, http, type PublicClient } from "viem";
import { type Clock, systemClock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import type { Head } from "../chain.ts";
import { chainError, isTransient } from "./refusals.ts";

/** How long to wait for what. */
export interface Patience {
  /** Milliseconds between two looks at the newest block, or for a receipt. */
  readonly pollMs: number;
  /** Milliseconds without a receipt after which a transaction is sent again. */
  readonly resendMs: number;
  /** Milliseconds after which a silent node, or a transaction that no block takes, is given up. */
  readonly giveUpMs: number;
  /** Milliseconds that one request may take. */
  readonly requestMs: number;
  /** How often a request without an answer is tried again at once, each time after twice as long. */
  readonly retries: number;
  readonly clock: Clock;
}

/** Patience for blocks of a few seconds; a request is tried again for six seconds. */
export const PATIENCE: Patience = {
  pollMs: 500,
  resendMs: 10_000,
  giveUpMs: 300_000,
  requestMs: 20_000,
  retries: 6,
  clock: systemClock,
};

/** A node, and what it is known by. */
export interface Link {
  readonly client: PublicClient;
  readonly chainId: number;
  readonly patience: Patience;
  /** Aborted when nobody wants anything from the chain any more. */
  readonly closed: AbortSignal;
}

/** Bytes that an answer may have: all weights of a subnet of 256 validators are 9 MB. */
const ANSWER_BYTES_MAX = 64 << 20;
const RETRY_MS = 100;
/** Requests in one batch: servers bound it. */
const BATCH_MAX = 100;

/** Opens a link. Throws SkeinError("chain") where no chain answers. */
export async function openLink(rpcUrl: string, patience: Patience, closed: AbortSignal): Promise<Link> {
  const first = clientFor(rpcUrl, patience.requestMs, Math.min(1, patience.retries));
  let chainId: number;
  try {
    chainId = await first.getChainId();
  } catch (thrown) {
    const remedy = "start one with `skein chain`, or name a running one with --rpc";
    throw new SkeinError("chain", `no chain answers at ${withoutSecrets(rpcUrl)}`, { remedy, cause: thrown });
  }
  if (!Number.isSafeInteger(chainId) || chainId < 1) throw nonsense("chain id");
  return { client: clientFor(rpcUrl, patience.requestMs, patience.retries), chainId, patience, closed };
}

function clientFor(rpcUrl: string, timeout: number, retryCount: number): PublicClient {
  const transport = http(rpcUrl, {
    retryCount,
    retryDelay: RETRY_MS,
    timeout,
    batch: { wait: 0, batchSize: BATCH_MAX },
    maxResponseBodySize: ANSWER_BYTES_MAX,
    // viem's own time-out ends with the headers; a body that never ends would be waited for
    fetchFn: (input, init) => {
      const late = AbortSignal.timeout(timeout);
      const signal = init?.signal ? AbortSignal.any([init.signal, late]) : late;
      return globalThis.fetch(input, { ...init, signal });
    },
  });
  return createPublicClient({ transport, cacheTime: 0 });
}

/** The address without user, password, path and query, which may hold a key to the node. */
function withoutSecrets(rpcUrl: string): string {
  try {
    return new URL(rpcUrl).origin;
  } catch {
    return "this address";
  }
}

/** For an answer that cannot be right. */
export function nonsense(what: string): SkeinError {
  return new SkeinError("chain", `the node's answer cannot be right (${what})`, {
    remedy: "check that --rpc names a node of this chain; if it does, ask another node",
  });
}

/** The answer; what goes wrong becomes a SkeinError("chain") that says at what. */
export async function asked<T>(doing: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (thrown) {
    throw chainError(thrown, doing);
  }
}

/** The newest block. Notices a node that has changed over to another chain. */
export async function headOf({ client, chainId }: Link): Promise<Head> {
  const [block, id] = await asked("the newest block", Promise.all([client.getBlock(), client.getChainId()]));
  checkChain(chainId, id);
  const { number, hash, timestamp } = block;
  if (!isCount(number) || !isHash(hash) || !isCount(timestamp)) throw nonsense("the newest block");
  return { block: Number(number), hash, timestamp: Number(timestamp) };
}

/** Throws SkeinError("chain") where a node answers for another chain than before. */
export function checkChain(before: number, now: number): void {
  if (now === before) return;
  throw new SkeinError("chain", `the node has changed over from chain ${before} to chain ${now}`, {
    remedy: "start again where the new chain is meant, or name a node of the old one with --rpc",
  });
}

/** Whether a stranger's value is 32 bytes in hex. */
export function isHash(value: unknown): value is `0x${string}` {
  return typeof value === "string" && /^0x[0-9a-f]{64}$/i.test(value);
}

/** Whether a stranger's value is a number of blocks, seconds or the like. */
export function isCount(value: unknown): value is bigint {
  return typeof value === "bigint" && value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER);
}

/** Whether a number fits into 64 bits without a sign. */
export function isU64(value: bigint): boolean {
  return value >= 0n && value < 1n << 64n;
}

/** Waits `ms`, or until the link is closed or `signal` says so. Throws SkeinError("interrupted"). */
export async function pause({ patience, closed }: Link, ms: number, signal?: AbortSignal): Promise<void> {
  await unlessStopped(patience.clock.sleep(ms), closed, signal);
}

/** What `work` says, unless a signal comes first. Throws SkeinError("interrupted"). */
export async function unlessStopped<T>(work: Promise<T>, ...signals: (AbortSignal | undefined)[]): Promise<T> {
  const given = signals.filter((signal) => signal !== undefined);
  const stopped = (): SkeinError => new SkeinError("interrupted", "stopped waiting for the chain");
  work.catch(() => undefined);
  if (given.some(({ aborted }) => aborted)) throw stopped();
  let stop = (): void => undefined;
  const stopping = new Promise<never>((_, reject) => {
    stop = () => reject(stopped());
  });
  for (const signal of given) signal.addEventListener("abort", stop);
  try {
    return await Promise.race([work, stopping]);
  } finally {
    for (const signal of given) signal.removeEventListener("abort", stop);
  }
}

/** What `work` says; it is tried again while the node is silent, for as long as patience lasts. Refusals are thrown at once. */
export async function withPatience<T>(link: Link, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const { clock, giveUpMs, pollMs } = link.patience;
  const startMs = clock.monotonic();
  for (;;) {
    try {
      return await unlessStopped(work(), link.closed, signal);
    } catch (thrown) {
      if (!isTransient(thrown) || clock.monotonic() - startMs >= giveUpMs) throw thrown;
    }
    await pause(link, pollMs, signal);
  }
}
