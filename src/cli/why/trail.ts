/**
 * A validator's reports, one after another: the newest is named by its signed news, each names the hash of the one before. So one signature holds for
 * all of them, and nobody can change what was said before. Each is recounted from the one before it, and held against what its validator did on chain.
 */
import type { RoundDecision, RoundVote, WeightVector } from "../../chain/chain.ts";
import { type Discrepancy, recount } from "../../score/recount.ts";
import { encodeReport, type Report } from "../../score/report.ts";
import type { Store } from "../../store/store.ts";
import { reportAt, type SignedReport } from "../status/reports.ts";
import { isRowOf } from "./pay.ts";

/** A validator's reports, newest first. */
export interface Trail {
  readonly reports: readonly Report[];
  /** Where it ends: at its first report; where enough were read; or where the store has not the one before, or has something that cannot be it. */
  readonly end: "first" | "enough" | "lost";
}

/** Something in a validator's records that does not add up. */
export interface Complaint {
  readonly round: number;
  /** In words that follow "its report on round n: ". */
  readonly what: string;
}

/** How far back to go. */
export interface Depth {
  /** At least to the report on this round, or the first before it. */
  readonly round: number;
  /** And so many reports beyond it. */
  readonly beyond: number;
  /** Bytes of reports to hold at once; TRAIL_BYTES_MAX where it is left out. */
  readonly bytesMax?: number;
}

/** Reports that are read of one validator: some years of rounds of twenty minutes. */
const REPORTS_MAX = 100_000;
/** Bytes of one validator's reports that are held at once: thousands of rounds of a dozen peers, hundreds of two hundred. */
const TRAIL_BYTES_MAX = 32 << 20;

/** Follows a validator's reports back. `onReport` is told the round of each. Rejects with SkeinError("store"). */
export async function trailOf(
  store: Store,
  { report }: Pick<SignedReport, "report">,
  { round, beyond, bytesMax = TRAIL_BYTES_MAX }: Depth,
  onReport: (round: number) => void = () => undefined,
): Promise<Trail> {
  const reports: Report[] = [report];
  let [left, bytes] = [beyond, encodeReport(report).length];
  for (let last = report; reports.length < REPORTS_MAX && bytes < bytesMax; ) {
    if (last.round <= round && left-- <= 0) break;
    if (last.previous === null) return { reports, end: "first" };
    const before = await reportAt(store, last.previous);
    if (before === undefined || !precedes(before, last)) return { reports, end: "lost" };
    onReport(before.round);
    bytes += encodeReport(before).length;
    reports.push(before);
    last = before;
  }
  return { reports, end: "enough" };
}

/** Whether a report can be the one before another: of the same run, on an earlier round. */
function precedes(before: Report, last: Report): boolean {
  return before.round < last.round && before.specHash === last.specHash;
}

/** What became of recounting a trail. */
export interface Recounted {
  /** Reports that were recounted: all but the oldest, whose predecessor was not read, and that too where it is the first. */
  readonly reports: number;
  /** Oldest first. */
  readonly complaints: readonly Complaint[];
}

/** Recounts a trail. `accounts`: hotkeys of all uids now. */
export function recountTrail({ reports, end }: Trail, accounts: readonly string[]): Recounted {
  const complaints: Complaint[] = [];
  let done = 0;
  for (let i = reports.length - 1; i >= 0; i--) {
    const [report, before] = [reports[i], reports[i + 1]];
    if (report === undefined || (before === undefined && end !== "first")) continue;
    done += 1;
    const [first, ...others] = recount(before, report, accounts);
    if (first !== undefined) complaints.push({ round: report.round, what: wordsOf(first, others.length) });
  }
  return { reports: done, complaints };
}

function wordsOf({ field, uid, reported, recounted }: Discrepancy, others: number): string {
  const whose = uid === null ? "" : ` of uid ${uid}`;
  const more = others === 0 ? "" : ` (and ${others} more)`;
  return `${field}${whose} is ${shortened(reported)}, and ${shortened(recounted)} follows${more}`;
}

const SHOWN_CHARS = 60;

function shortened(text: string): string {
  return text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}…`;
}

/** What a validator did on chain in a report's round. */
export interface Deeds {
  /** Its vote on the round, where it has voted. */
  readonly vote: RoundVote | undefined;
  readonly decision: RoundDecision | undefined;
}

/** Where a report contradicts what its validator did on chain, or what all agreed on. */
export function complaintsOn({ round, backed, root }: Report, { vote, decision }: Deeds): Complaint[] {
  const complaints: Complaint[] = [];
  if (vote !== undefined && vote.uids.join() !== backed.join()) {
    complaints.push({
      round,
      what: `it says that it backed ${listed(backed)}; on chain it voted for ${listed(vote.uids)}`,
    });
  }
  const agreed = decision?.stateRoot;
  if (agreed !== undefined && agreed !== `0x${root}`) {
    const digits = 12;
    const theirs = agreed.slice(2, 2 + digits);
    complaints.push({
      round,
      what: `it is about other params (${root.slice(0, digits)}) than the votes agreed on (${theirs})`,
    });
  }
  return complaints;
}

function listed(uids: readonly number[]): string {
  return uids.length === 0 ? "nobody" : `${uids.length === 1 ? "uid" : "uids"} ${uids.join(", ")}`;
}

/** The round of the newest report whose votes a validator's row on chain is; undefined where it is none's. */
export function rowRound({ reports }: Trail, row: WeightVector): number | undefined {
  return reports.find(({ votes }) => isRowOf(row, votes))?.round;
}
