/** Validators' reports as they are found in a run's shared store: the newest of each, named by its signed news. Strangers' bytes, all of it. */
import { REPORT_BYTES_MAX } from "../../base/limits.ts";
import type { Metagraph } from "../../chain/chain.ts";
import { accountOfBytes } from "../../chain/keys/account.ts";
import { decodeReport, isReportFault, type Report } from "../../score/report.ts";
import { getBlob } from "../../store/blobs.ts";
import { isAuthentic, type NewsKind, type NewsRecord, readNews, readNewsBy } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";

/** A validator's report, and under which hash it lies. */
export interface SignedReport {
  readonly account: string;
  /** 64 hex digits. */
  readonly hash: string;
  readonly report: Report;
}

/** Records of a kind that are looked at where nobody knows whose count: each uid's, and as many of hotkeys that have left. */
const NEWS_MAX = 512;

/** Authentic news of a kind by `accounts` (undefined: by anybody), newest first. Rejects with SkeinError("store"). */
export async function newsIn(
  store: Store,
  kind: NewsKind,
  accounts: readonly string[] | undefined,
): Promise<NewsRecord[]> {
  const found = accounts ? await readNewsBy(store, kind, accounts) : await readNews(store, kind, NEWS_MAX);
  return found.filter((record) => isAuthentic(record, accountOfBytes));
}

/** The newest reports on a run by `accounts`, newest first; without what is no report, or one on something else. Rejects with SkeinError("store"). */
export async function newestReports(
  store: Store,
  specHash: string,
  accounts: readonly string[] | undefined,
): Promise<SignedReport[]> {
  const found: SignedReport[] = [];
  for (const { account, round, hash } of await newsIn(store, "report", accounts)) {
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

/** Hotkeys whose word counts: those of validators with a permit. */
export function permitted({ neurons }: Metagraph): readonly string[] {
  return neurons.filter(({ permit }) => permit).map(({ hotkey }) => hotkey);
}
