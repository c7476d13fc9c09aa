/** Validators' reports as they are found in a run's shared store: the newest of each, named by its signed news. Strangers' bytes, all of it. */
import { REPORT_BYTES_MAX } from "../../base/limits.ts";
import type { Metagraph } from "../../chain/chain.ts";
import { accountOfBytes } from "../../chain/keys/account.ts";
import { decodeReport, isReportFault, type Report } from "../../score/report.ts";
import { getBlob } from "../../store/blobs.ts";
import { isAuthentic, type NewsKind, type NewsRecord, readNews } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";

/** A validator's report, and under which hash it lies. */
export interface SignedReport {
  readonly account: string;
  /** 64 hex digits. */
  readonly hash: string;
  readonly report: Report;
}

/** Records of a kind that are looked at: each uid's, and as many of hotkeys that have left. */
const NEWS_MAX = 512;

/** Authentic news of a kind, newest first. Rejects with SkeinError("store"). */
export async function newsIn(store: Store, kind: NewsKind): Promise<NewsRecord[]> {
  return (await readNews(store, kind, NEWS_MAX)).filter((record) => isAuthentic(record, accountOfBytes));
}

/** Everybody's newest report on a run, newest first; without what is no report, or one on something else. Rejects with SkeinError("store"). */
export async function newestReports(store: Store, specHash: string): Promise<SignedReport[]> {
  const found: SignedReport[] = [];
  for (const { account, round, hash } of await newsIn(store, "report")) {
    const report = await reportAt(store, hash);
    if (report?.specHash === specHash && report.round === round) found.push({ account, hash, report });
  }
  return found;
}

/** The report with that hash; undefined where the store does not have it, or it is none. */
export async function reportAt(store: Store, hash: string): Promise<Report | undefined> {
  const bytes = await getBlob([store], hash, REPORT_BYTES_MAX);
  const report = bytes && decodeReport(bytes);
  return report === undefined || isReportFault(report) ? undefined : report;
}

/** Whose word counts: validators with a permit; where the chain is away, everybody who signed. */
export function permitted(metagraph: Metagraph | undefined): (account: string) => boolean {
  if (metagraph === undefined) return () => true;
  const accounts = new Set<string>(metagraph.neurons.filter(({ permit }) => permit).map(({ hotkey }) => hotkey));
  return (account) => accounts.has(account);
}
