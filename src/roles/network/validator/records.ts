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
/** What the keys of older reports begin with that are not published yet. */
const WAITING_PREFIX = "reports/";
/** Reports that wait, at most: 16 MiB. */
const WAITING_MAX = 64;

/** A validator's reports. */
export interface Records {
  /** The newest, published or about to be. */
  last(): Report | undefined;
  /** Its hash. */
  lastHash(): string | null;
  /** The standings after it. */
  standings(): Standings;
  /** Puts a report into the node's folder; those before it stay there until they are published. */
  keep(report: Report): Promise<void>;
  /** Publishes it, and before it what could not be published earlier. Rejects with SkeinError("store"). */
  publish(): Promise<void>;
}

/** The reports of a node's key: what its folder holds, or what it has published, whichever is newer. */
export async function openRecords(node: ActingNode): Promise<Records> {
  const { local, shared, signer } = node;
  let newest = newer(await keptReport(node), await publishedReport(node));
  let waiting = await waitingReports(node, newest);
  let published: Known | undefined;
  return {
    last: () => newest?.report,
    lastHash: () => (newest === undefined ? null : sha256Hex(newest.bytes)),
    standings: () => (newest === undefined ? NO_STANDINGS : standingsIn(newest.report)),
    async keep(report) {
      if (newest !== undefined && newest.report.round !== report.round && newest !== published) {
        await local.put(keyOf(newest), newest.bytes); // before the newer one takes its place
        waiting = await newestOf(node, [...waiting, newest]);
      }
      newest = { report, bytes: encodeReport(report) };
      await local.put(KEY, newest.bytes);
    },
    async publish() {
      const [sent, last] = [waiting, newest];
      if (last === undefined || last === published) return;
      const { report, bytes } = last;
      for (const each of sent) await putBlob(shared, each.bytes);
      const hash = await putBlob(shared, bytes);
      await putNews(shared, { kind: "report", round: report.round, hash, account: signer.account }, signer.sign);
      published = last;
      waiting = waiting.filter((each) => !sent.includes(each));
      for (const each of sent) await local.delete(keyOf(each));
    },
  };
}

interface Known {
  readonly report: Report;
  readonly bytes: Uint8Array;
}

/** Where a report waits while a newer one is in its place. */
function keyOf({ report }: Known): string {
  return `${WAITING_PREFIX}${String(report.round).padStart(10, "0")}.json`;
}

/** The reports before the newest that wait in the folder, oldest first. */
async function waitingReports(node: ActingNode, newest: Known | undefined): Promise<readonly Known[]> {
  const found: Known[] = [];
  for (const key of (await node.local.list(WAITING_PREFIX)).sort()) {
    const known = knownIn(node, await node.local.get(key, { start: 0, end: REPORT_BYTES_MAX + 1 }));
    if (known === undefined)
      await node.local.delete(key); // damaged, or of another run
    else if (known.report.round < (newest?.report.round ?? 0)) found.push(known);
  }
  return newestOf(node, found);
}

/** As many as may wait: the oldest go. */
async function newestOf({ local }: ActingNode, waiting: readonly Known[]): Promise<readonly Known[]> {
  for (const each of waiting.slice(0, -WAITING_MAX)) await local.delete(keyOf(each));
  return waiting.slice(-WAITING_MAX);
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
