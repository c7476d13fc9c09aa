/**
 * A validator's own reports: all that it remembers between rounds is in the newest one. It lies in the node's folder before anything that follows from
 * it is sent, so whoever is killed says the same again afterwards, and never two things about one round.
 */
import { sha256Hex } from "../../../base/hash.ts";
import { REPORT_BYTES_MAX } from "../../../base/limits.ts";
import { accountOfBytes } from "../../../chain/keys/account.ts";
import { decodeReport, encodeReport, isReportFault, type Report, standingsIn } from "../../../score/report.ts";
import { NO_STANDINGS, type Standings } from "../../../score/standing.ts";
import { getBlob, putBlob } from "../../../store/blobs.ts";
import { isAuthentic, putNews, readNewsOf } from "../../../store/news.ts";
import { type ActingNode, attempt } from "../node.ts";

const KEY = "report.json";

/** A validator's reports. */
export interface Records {
  /** The newest, published or about to be. */
  last(): Report | undefined;
  /** Its hash. */
  lastHash(): string | null;
  /** The standings after it. */
  standings(): Standings;
  /** Puts a report into the node's folder. */
  keep(report: Report): Promise<void>;
  /** Publishes it, and before it what could not be published earlier. Rejects with SkeinError("store"). */
  publish(): Promise<void>;
}

/** The reports of a node's key: what its folder holds, or what it has published, whichever is newer. */
export async function openRecords(node: ActingNode): Promise<Records> {
  const { local, shared, signer } = node;
  let { report, bytes } = newer(await keptReport(node), await publishedReport(node)) ?? {};
  let waiting = bytes === undefined ? [] : [bytes];
  return {
    last: () => report,
    lastHash: () => (bytes === undefined ? null : sha256Hex(bytes)),
    standings: () => (report === undefined ? NO_STANDINGS : standingsIn(report)),
    async keep(next) {
      const replaced = report?.round === next.round ? bytes : undefined;
      [report, bytes] = [next, encodeReport(next)];
      waiting = [...waiting.filter((each) => each !== replaced), bytes];
      await local.put(KEY, bytes);
    },
    async publish() {
      if (report === undefined) return;
      const { round } = report;
      let hash: string | undefined;
      for (const each of waiting) hash = await putBlob(shared, each);
      if (hash === undefined) return;
      await putNews(shared, { kind: "report", round, hash, account: signer.account }, signer.sign);
      waiting = [];
    },
  };
}

interface Known {
  readonly report: Report;
  readonly bytes: Uint8Array;
}

/** The newer of two; of one round, what others have seen. */
function newer(kept: Known | undefined, told: Known | undefined): Known | undefined {
  if (kept === undefined || told === undefined) return kept ?? told;
  return kept.report.round > told.report.round ? kept : told;
}

async function keptReport(node: ActingNode): Promise<Known | undefined> {
  return knownIn(node, await node.local.get(KEY, { start: 0, end: REPORT_BYTES_MAX + 1 }));
}

/** What this key has published last; undefined where the store is away, or what it has is not this key's. */
async function publishedReport(node: ActingNode): Promise<Known | undefined> {
  const { shared, stores, signer } = node;
  let found: Known | undefined;
  await attempt(node, "report", async () => {
    const news = await readNewsOf(shared, "report", signer.account);
    if (news === undefined || !isAuthentic(news, accountOfBytes)) return;
    found = knownIn(node, await getBlob(stores, news.hash, REPORT_BYTES_MAX));
  });
  return found;
}

/** A report of this run. Of another run, or damaged: as if there were none, and everybody begins anew. */
function knownIn({ specHash }: ActingNode, bytes: Uint8Array | undefined): Known | undefined {
  const report = bytes && decodeReport(bytes);
  if (bytes === undefined || report === undefined || isReportFault(report)) return undefined;
  return report.specHash === specHash ? { report, bytes } : undefined;
}
