/** Reports as an honest validator makes them: standings, backing and votes follow from the findings and the report before. */
import { sha256Hex } from "../../src/base/hash.ts";
import { encodeReport, REPORT_VERSION, type Report, standingsIn } from "../../src/score/report.ts";
import { backed, type Finding, isSuspended, NO_STANDINGS, standingsAfter, votesOf } from "../../src/score/standing.ts";
import { findingOf } from "./findings.ts";

/** What a report is made of. */
export interface ReportFacts {
  readonly specHash: string;
  readonly round: number;
  /** By uid. */
  readonly accounts: readonly string[];
  readonly findings: readonly Finding[];
  readonly previous?: Report | undefined;
  readonly root?: string;
  readonly validationLoss?: number | null;
}

/** A payload of full size that was judged and found good; `more` makes it otherwise. */
export function finding(uid: number, account: string, more: Partial<Finding> = {}): Finding {
  const gains = { gainAssigned: 0.012, gainUnassigned: 0.01, noise: 0.001, noiseAssigned: 0.001 };
  return findingOf(uid, { account, bytes: 3120, ...gains, ...more });
}

/** The report that follows. */
export function reportOn(facts: ReportFacts): Report {
  const { specHash, round, accounts, findings, previous, root = "ab".repeat(32), validationLoss = null } = facts;
  const before = previous === undefined ? NO_STANDINGS : standingsIn(previous);
  const suspended = isSuspended(before, findings);
  const standings = standingsAfter(before, { round, accounts, findings, suspended });
  return {
    ...{ version: REPORT_VERSION, specHash, round, root, validationLoss, suspended, findings },
    previous: previous === undefined ? null : hashOf(previous),
    backed: backed(before, findings),
    standings: standings.peers,
    votes: votesOf(standings),
  };
}

/** The hash under which a report lies. */
export function hashOf(report: Report): string {
  return sha256Hex(encodeReport(report));
}
