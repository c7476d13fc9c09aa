/**
 * What can be known about a run right now, from its gateway and its chain. Whatever does not answer is noted and left out; nothing that a stranger
 * wrote is shown before its signature is checked.
 */
import { messageOf, SkeinError } from "../../base/errors.ts";
import { fromHex } from "../../base/hash.ts";
import type { Chain, Head, Metagraph, RoundDecision, RunRecord } from "../../chain/chain.ts";
import { phaseAt, roundStart } from "../../chain/rounds.ts";
import { candidatesOf, selectContributors } from "../../round/select.ts";
import { exchangeSettings, roundsOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import type { NewsRecord } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";
import { newestReports, newsIn, permitted, type SignedReport } from "./reports.ts";

/** A run that is asked about. */
export interface StatusQuestion {
  readonly spec: RunSpec;
  /** 64 hex digits. */
  readonly specHash: string;
  readonly store: Store;
  /** Connects, and finds the run there; rejects where it does not answer. */
  readonly connect: () => Promise<{ readonly chain: Chain; readonly record: RunRecord }>;
}

/** One round on chain. */
export interface RoundStatus {
  readonly round: number;
  readonly commits: number;
  readonly votes: number;
  /** Whether all its blocks are over. */
  readonly over: boolean;
  readonly decision: RoundDecision | undefined;
  /** uids whose payloads were selected, in order; none while it is not decided. */
  readonly selected: readonly number[];
}

/** What the chain says. */
export interface ChainStatus {
  readonly chainId: number;
  readonly head: Head;
  readonly record: RunRecord;
  readonly metagraph: Metagraph;
  /** The newest, oldest first. */
  readonly rounds: readonly RoundStatus[];
}

/** Everything that answered. */
export interface RunStatus {
  readonly chain: ChainStatus | undefined;
  /** Newest first; of validators with a permit, where the chain tells who has one. */
  readonly reports: readonly SignedReport[];
  /** Newest first. */
  readonly checkpoints: readonly NewsRecord[];
  /** What did not answer, and what it said. */
  readonly unreachable: readonly { readonly what: string; readonly why: string }[];
}

/** Rounds that are shown. */
const ROUNDS_SHOWN = 8;

/** Asks everything. Rejects only with what is nobody's absence (a bug, an interruption). */
export async function gatherStatus(question: StatusQuestion): Promise<RunStatus> {
  const unreachable: { what: string; why: string }[] = [];
  const orAway = async <T>(what: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (thrown) {
      if (!(thrown instanceof SkeinError) || !["chain", "store"].includes(thrown.code)) throw thrown;
      unreachable.push({ what, why: messageOf(thrown) });
      return undefined;
    }
  };
  const { store, specHash } = question;
  const chain = await orAway("chain", () => chainStatus(question));
  const accounts = chain && permitted(chain.metagraph); // of everybody who signed where the chain is away
  const [reports = [], checkpoints = []] = await Promise.all([
    orAway("reports", () => newestReports(store, specHash, accounts)),
    orAway("checkpoints", () => newsIn(store, "checkpoint", accounts)),
  ]);
  return { chain, reports, checkpoints, unreachable };
}

async function chainStatus({ spec, connect }: StatusQuestion): Promise<ChainStatus> {
  const { chain, record } = await connect();
  const head = await chain.head();
  const metagraph = await chain.metagraph(record.netuid);
  const newest = Math.min(phaseAt(record, head.block)?.round ?? -1, roundsOf(spec) - 1);
  const first = Math.max(0, newest - ROUNDS_SHOWN + 1);
  const wanted = Array.from({ length: newest - first + 1 }, (_, i) => first + i);
  const rounds = await Promise.all(wanted.map((round) => roundStatus(chain, record, spec, round, head.block)));
  return { chainId: chain.chainId, head, record, metagraph, rounds };
}

async function roundStatus(
  chain: Chain,
  record: RunRecord,
  spec: RunSpec,
  round: number,
  block: number,
): Promise<RoundStatus> {
  const { runId } = record;
  const [commits, votes, decision] = await Promise.all([
    chain.commits(runId, round),
    chain.votes(runId, round),
    chain.decision(runId, round),
  ]);
  return {
    ...{ round, commits: commits.length, votes: votes.length, over: block >= roundStart(record, round + 1) },
    ...{ decision, selected: decision ? selectedIn(spec, decision) : [] },
  };
}

/** Whose payloads a decision selects. (What does not decode is then left out by everybody alike, which only who has the payloads can tell.) */
export function selectedIn(spec: RunSpec, { accepted, incentives, seed }: RoundDecision): number[] {
  return selectContributors(candidatesOf(accepted, incentives), exchangeSettings(spec), fromHex(seed));
}
