/**
 * From a join link to the run itself: the gateway is asked, the hash in the link is believed. What a gateway says about a chain is held against
 * that chain, so that a wrong answer is noticed before any work is done or any money spent.
 */
import { type Clock, systemClock } from "../../base/clock.ts";
import { SkeinError } from "../../base/errors.ts";
import { sha256Hex } from "../../base/hash.ts";
import { SPEC_BYTES_MAX } from "../../base/limits.ts";
import type { Chain, Head, RunRecord } from "../../chain/chain.ts";
import { connectChain } from "../../chain/connect.ts";
import { phaseAt, roundStart } from "../../chain/rounds.ts";
import { askInfo } from "../../gateway/client.ts";
import { type JoinLink, linkOf, parseLink, type RunInfo } from "../../run/link.ts";
import { parseSpecBytes } from "../../run/parse.ts";
import { roundsOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { httpStore } from "../../store/http.ts";
import type { Patience } from "../../store/transfer.ts";
import { count, duration } from "../shared/terminal.ts";

/** A run that a gateway serves. */
export interface ServedRun {
  /** The link in its one form. */
  readonly link: string;
  /** What all of the gateway's addresses begin with. */
  readonly base: string;
  readonly specHash: string;
  readonly info: RunInfo;
  readonly spec: RunSpec;
}

/** Seconds by which a block may be ahead of this machine's clock. */
const SKEW_SECONDS = 60;
/** Seconds without a block after which a chain counts as standing still. */
const STILL_SECONDS = 300;

/**
 * The run behind a link. Throws SkeinError: "usage" for what is no link, "store" where the gateway does not answer, "config" where it has
 * another run.
 */
export async function reachRun(
  text: string,
  patience: Partial<Patience> = {},
  signal?: AbortSignal,
): Promise<ServedRun> {
  const link = parseLink(text);
  const { base, specHash } = link;
  const asking = { patience, ...(signal ? { signal } : {}) };
  const info = await askInfo(link, asking);
  const store = httpStore({ base, ...asking });
  const bytes = await store.get("run.json", { start: 0, end: SPEC_BYTES_MAX + 1 });
  if (bytes === undefined)
    throw new SkeinError("config", "the gateway does not have the run's spec", {
      details: `${base}/store/run.json`,
      remedy: "ask whoever runs the gateway",
    });
  if (sha256Hex(bytes) !== specHash) throw otherRun(link, sha256Hex(bytes));
  return { link: linkOf(base, specHash), base, specHash, info, spec: parseSpecBytes(bytes) };
}

function otherRun({ base, specHash }: JoinLink, offered: string): SkeinError {
  return new SkeinError("config", "the gateway offers another run", {
    details: `the link: ${specHash}\n${base}: ${offered}`,
    remedy: "ask whoever gave you the link for a new one",
  });
}

/** Connects to the run's chain, through the gateway unless `rpc` names a node. Throws SkeinError("chain"), also where it is another chain. */
export async function connectRun({ base, info }: ServedRun, rpc: string | undefined): Promise<Chain> {
  const { contracts, chainId } = info;
  const connecting = connectChain({ rpcUrl: rpc ?? `${base}/rpc`, ...(contracts ? { contracts } : {}) });
  const chain = await connecting.catch((thrown: unknown) => {
    throw rpc === undefined ? seenFromOutside(thrown, base) : thrown;
  });
  if (chain.chainId === chainId) return chain;
  await chain.close();
  throw new SkeinError(
    "chain",
    `wrong chain: this node serves chain ${chain.chainId}, the run is on chain ${chainId}`,
    {
      remedy: rpc === undefined ? "ask whoever runs the gateway" : "name a node of the run's chain with --rpc, or none",
    },
  );
}

/** Whoever comes by a gateway has no chain to start. */
function seenFromOutside(thrown: unknown, base: string): unknown {
  if (!(thrown instanceof SkeinError) || !/^no chain answers/.test(thrown.message)) return thrown;
  return new SkeinError("chain", `the gateway at ${base} does not reach the run's chain`, {
    remedy:
      "try again in some minutes; if it stays so, tell whoever runs the gateway, or name a node of the chain: --rpc",
    cause: thrown.cause,
  });
}

/** The run as its chain has it. Throws SkeinError("config") where gateway, spec and chain contradict each other. */
export async function recordOf({ spec, info }: ServedRun, chain: Chain): Promise<RunRecord> {
  const record = await chain.run(info.runId);
  const same = (what: string, expected: string | number, found: string | number): void => {
    if (expected === found) return;
    throw new SkeinError("config", `run ${info.runId} on chain ${chain.chainId} is another one: ${what} differs`, {
      details: `expected ${expected}, on chain ${found}`,
      remedy: "ask the run's owner for a new join link",
    });
  };
  same("the subnet", info.netuid, record.netuid);
  same("the state root of the first params", `0x${spec.genesisRoot}`, record.genesisRoot);
  for (const phase of ["trainBlocks", "revealBlocks", "voteBlocks"] as const)
    same(phase, spec.timing[phase], record[phase]);
  return record;
}

/** Whether all rounds of a run are over in a block. */
export function isOver(spec: RunSpec, record: RunRecord, block: number): boolean {
  return block >= roundStart(record, roundsOf(spec));
}

/** Seconds of a block, from two heads of one chain; undefined where there is no block between them. */
export function blockSecondsOf(first: Head, last: Head): number | undefined {
  const blocks = last.block - first.block;
  return blocks > 0 ? (last.timestamp - first.timestamp) / blocks : undefined;
}

/** Where a run stands, in words: "round 12 of 60, train, 9 blocks left". */
export function standingOf(spec: RunSpec, record: RunRecord, block: number, blockSeconds?: number): string {
  const rounds = roundsOf(spec);
  const time = (blocks: number): string => {
    const seconds = blockSeconds === undefined ? "" : `, about ${duration(1000 * blocks * blockSeconds)}`;
    return `${count(blocks)} ${blocks === 1 ? "block" : "blocks"}${seconds}`;
  };
  const at = phaseAt(record, block);
  if (at === undefined) {
    const left = record.startBlock - block;
    return `not begun: round 0 of ${count(rounds)} starts in block ${count(record.startBlock)}, in ${time(left)}`;
  }
  if (isOver(spec, record, block)) return `over: all ${count(rounds)} rounds are done`;
  return `round ${at.round} of ${count(rounds)}, ${at.phase}, ${time(at.blocksLeft)} left`;
}

/** What is wrong with the newest block's time, if anything: a clock that is off, or a chain that makes no blocks. */
export function headTrouble(head: Head, clock: Clock = systemClock, blockSeconds?: number): string | undefined {
  const age = clock.now() / 1000 - head.timestamp;
  if (age < -SKEW_SECONDS)
    return `this machine's clock is ${duration(-1000 * age)} behind the chain's newest block: set it, or logs will mislead`;
  if (age <= Math.max(STILL_SECONDS, 20 * (blockSeconds ?? 0))) return undefined;
  return `the chain stands still: its newest block, ${count(head.block)}, is ${duration(1000 * age)} old (unless this machine's clock is wrong)`;
}
