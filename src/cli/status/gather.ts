/**
 * What can be known about a run right now, from its gateway and its chain. Whatever does not answer is noted and left out; nothing that a stranger
 * wrote is shown before its signature is checked.
 */
import { messageOf, SkeinError } from "../../base/errors.ts";
import { fromHex } from "../../base/hash.ts";
import { REPORT_BYTES_MAX } from "../../base/limits.ts";
import type { Chain, Head, Metagraph, RoundDecision, RunRecord } from "../../chain/chain.ts";
import { accountOfBytes } from "../../chain/keys/account.ts";
import { phaseAt, roundStart } from "../../chain/rounds.ts";
import { candidatesOf, selectContributors } from "../../round/select.ts";
import { exchangeSettings, roundsOf } from "../../run/rules.ts";
import type { RunSpec } from "../../run/spec.ts";
import { decodeReport, isReportFault, type ScoreReport } from "../../score/report.ts";
import { getBlob } from "../../store/blobs.ts";
import { isAuthentic, type NewsKind, type NewsRecord, readNews } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";

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

/** A validator's newest report. */
export interface ReportStatus {
  readonly account: string;
  readonly report: ScoreReport;
}

/** Everything that answered. */
export interface RunStatus {
  readonly chain: ChainStatus | undefined;
  /** Newest first; of validators with a permit, where the chain tells who has one. */
  readonly reports: readonly ReportStatus[];
  /** Newest first. */
  readonly checkpoints: readonly NewsRecord[];
  /** What did not answer, and what it said. */
  readonly unreachable: readonly { readonly what: string; readonly why: string }[];
}

/** Rounds that are shown. */
const ROUNDS_SHOWN = 8;
/** Records of a kind that are looked at: each uid's, and as many of hotkeys that have left. */
const NEWS_MAX = 512;

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
  const [chain, reports, checkpoints] = await Promise.all([
    orAway("chain", () => chainStatus(question)),
    orAway("reports", () => reportsIn(question)),
    orAway("checkpoints", () => newsIn(question.store, "checkpoint")),
  ]);
  const counts = permitted(chain?.metagraph);
  return {
    chain,
    reports: (reports ?? []).filter(({ account }) => counts(account)),
    checkpoints: (checkpoints ?? []).filter(({ account }) => counts(account)),
    unreachable,
  };
}

/** Whose word counts: validators with a permit; where the chain is away, everybody who signed. */
function permitted(metagraph: Metagraph | undefined): (account: string) => boolean {
  if (metagraph === undefined) return () => true;
  const accounts = new Set<string>(metagraph.neurons.filter(({ permit }) => permit).map(({ hotkey }) => hotkey));
  return (account) => accounts.has(account);
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

/** Authentic news of a kind, newest first. */
async function newsIn(store: Store, kind: NewsKind): Promise<NewsRecord[]> {
  return (await readNews(store, kind, NEWS_MAX)).filter((record) => isAuthentic(record, accountOfBytes));
}

async function reportsIn({ store, specHash }: StatusQuestion): Promise<ReportStatus[]> {
  const found: ReportStatus[] = [];
  for (const { account, round, hash } of await newsIn(store, "report")) {
    const bytes = await getBlob([store], hash, REPORT_BYTES_MAX);
    const report = bytes && decodeReport(bytes);
    if (report === undefined || isReportFault(report)) continue;
    if (report.specHash === specHash && report.round === round) found.push({ account, report });
  }
  return found;
}
