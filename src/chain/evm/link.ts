/**
 * The wire to a node: JSON-RPC over HTTP, questions of one moment in one batch. A node is a stranger: its answers have a greatest size and a
 * longest time, they are checked where a wrong one could do harm, and all that goes wrong becomes a SkeinError("chain").
 *
 * A chain of others may replace its newest blocks. So it is shown some blocks late: a block counts once so many have come upon it, reads are as of the newest
 * one that counts, and that one never goes back.
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
  /** Blocks that are not shown yet, because a reorg may replace them. */
  readonly lag: number;
  /** The newest block that was shown; undefined before the first. */
  readonly shown: { head: Head | undefined };
  readonly patience: Patience;
  /** Aborted when nobody wants anything from the chain any more. */
  readonly closed: AbortSignal;
}

/** Bytes that an answer may have: all weights of a subnet of 256 validators are 9 MB. */
const ANSWER_BYTES_MAX = 64 << 20;
const RETRY_MS = 100;
/** Requests in one batch: servers bound it. */
const BATCH_MAX = 100;
/** Blocks that the chains of others are shown late: GRANDPA, which makes Bittensor's blocks final, is two or three behind. */
const USUAL_LAG = 3;
/** Nodes keep the state of the last 128 blocks; half of that leaves time to read it. */
export const LAG_MAX = 64;

/** Opens a link; `lag` is the chain's usual one unless given. Throws SkeinError("chain") where no chain answers. */
export async function openLink(rpcUrl: string, patience: Patience, closed: AbortSignal, lag?: number): Promise<Link> {
  const first = clientFor(rpcUrl, patience.requestMs, Math.min(1, patience.retries));
  let chainId: number;
  try {
    chainId = await first.getChainId();
  } catch (thrown) {
    const remedy = "start one with `skein chain`, or name a running one with --rpc";
    throw new SkeinError("chain", `no chain answers at ${withoutSecrets(rpcUrl)}`, { remedy, cause: thrown });
  }
  if (!Number.isSafeInteger(chainId) || chainId < 1) throw nonsense("chain id");
  const client = clientFor(rpcUrl, patience.requestMs, patience.retries);
  return { client, chainId, lag: lag ?? (await usualLag(client)), shown: { head: undefined }, patience, closed };
}

/** 0 for what runs on anvil, as our own chain does: one process makes the blocks, and takes none back. */
async function usualLag(client: PublicClient): Promise<number> {
  try {
    const version: unknown = await client.request({ method: "web3_clientVersion" });
    return typeof version === "string" && /^anvil\//i.test(version) ? 0 : USUAL_LAG;
  } catch (thrown) {
    if (isTransient(thrown)) throw chainError(thrown, "what kind of node it is");
    return USUAL_LAG; // a node that does not tell
  }
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

/**
 * The newest block that is shown. Notices a node that has changed over to another chain, and a reorg that replaced what was shown: then everything that was read
 * may be wrong, and nothing is answered any more.
 */
export async function headOf(link: Link): Promise<Head> {
  const { client, chainId, lag, shown } = link;
  const before = shown.head;
  const newest = lag === 0 ? blockAt(link) : client.getBlockNumber({ cacheTime: 0 });
  const [found, id] = await asked("the newest block", Promise.all([newest, client.getChainId()]));
  checkChain(chainId, id);
  if (typeof found !== "bigint") return shownNext(link, found);
  if (!isCount(found)) throw nonsense("the newest block");
  const block = Math.max(0, Number(found) - lag);
  if (before && block <= before.block) return before;
  const [head, again] = await Promise.all([blockAt(link, block), before && blockAt(link, before.block)]);
  if (before && again?.hash !== before.hash) throw deepReorg(before, lag);
  return shownNext(link, head);
}

/** Shows a block, unless a later one was shown already. */
function shownNext({ shown }: Link, head: Head): Head {
  if (shown.head === undefined || head.block > shown.head.block) shown.head = head;
  return shown.head;
}

/** A block as it is now, the newest unless given. */
export async function blockAt({ client }: Link, wanted?: number): Promise<Head> {
  const what = wanted === undefined ? "the newest block" : `block ${wanted}`;
  const asking = wanted === undefined ? client.getBlock() : client.getBlock({ blockNumber: BigInt(wanted) });
  const { number, hash, timestamp } = await asked(what, asking);
  if (!isCount(number) || !isHash(hash) || !isCount(timestamp)) throw nonsense(what);
  if (wanted !== undefined && Number(number) !== wanted) throw nonsense(what);
  return { block: Number(number), hash, timestamp: Number(timestamp) };
}

function deepReorg({ block, hash }: Head, lag: number): SkeinError {
  return new SkeinError("chain", `the chain has replaced block ${block}, which had ${lag} others upon it`, {
    details: hash,
    remedy:
      "start again, since what was read before may be wrong; if it happens often, ask another node, or wait for more blocks (settleBlocks)",
  });
}

/** Which state is read. */
export type At = { readonly blockTag: "latest" } | { readonly blockNumber: bigint };

/** The state that is shown now. */
export async function shownState(link: Link): Promise<At> {
  return link.lag === 0 ? { blockTag: "latest" } : { blockNumber: BigInt((await headOf(link)).block) };
}

/** The number of the newest block that is shown. */
export async function shownBlock(link: Link): Promise<bigint> {
  if (link.lag > 0) return BigInt((await headOf(link)).block);
  return asked("the newest block", link.client.getBlockNumber({ cacheTime: 0 }));
}

/** Whether a block with this hash is among those that are shown. */
export async function isShown(link: Link, block: bigint, hash: string): Promise<boolean> {
  if (link.lag === 0) return true;
  if (block > (await shownBlock(link))) return false;
  return (await blockAt(link, Number(block))).hash === hash;
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
