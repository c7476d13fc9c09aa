/**
 * What a scenario remembers of a network while it runs: who was paid what in each epoch, and every report that a validator published. Decisions
 * and commits are the chain's own record and are read at the end.
 */
import { must } from "../../base/assert.ts";
import type { Hash, Neuron } from "../../chain/chain.ts";
import { decodeReport, isReportFault, type Report } from "../../score/report.ts";
import { blobKey } from "../../store/blobs.ts";
import { decodeNews, newsOfKey } from "../../store/news.ts";
import type { Store } from "../../store/store.ts";
import type { Network } from "../network.ts";

/** What was seen. */
export interface Witness {
  /** Rao paid to an account's uid over all epochs so far. */
  readonly paid: ReadonlyMap<Hash, bigint>;
  /** Reports by the validator's name, in order. */
  readonly reports: ReadonlyMap<string, readonly Report[]>;
  /** To be told of every block. */
  onBlock(): void;
  /** A validator's shared store that notes what it publishes. */
  reading(name: string, shared: Store): Store;
}

/** A witness that has seen nothing; `onReport` is told of every report. */
export function witnessOf(
  { twin, record }: Network,
  onReport: (name: string, report: Report) => void = () => undefined,
): Witness {
  const paid = new Map<Hash, bigint>();
  const reports = new Map<string, Report[]>();
  let epoch: number | undefined;
  const settle = (index: number, neurons: readonly Neuron[]): void => {
    if (epoch !== undefined && index > epoch) {
      for (const { hotkey, emission } of neurons) paid.set(hotkey, (paid.get(hotkey) ?? 0n) + emission);
    }
    epoch = index;
  };
  return {
    paid,
    reports,
    onBlock() {
      void twin.metagraph(record.netuid).then(({ subnet, neurons }) => settle(subnet.epoch.index, neurons));
    },
    reading: (name, shared) => ({
      ...shared,
      async put(key, bytes) {
        await shared.put(key, bytes);
        if (newsOfKey(key)?.kind !== "report" || !(bytes instanceof Uint8Array)) return;
        const news = decodeNews(bytes);
        const blob = "fault" in news ? undefined : await shared.get(blobKey(news.hash));
        const report = blob && decodeReport(blob);
        if (report === undefined || isReportFault(report)) return;
        if (!reports.has(name)) reports.set(name, []);
        must(reports.get(name), "a list").push(report);
        onReport(name, report);
      },
    }),
  };
}
