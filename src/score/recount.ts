/**
 * Recounting a report: everything in it that follows from other things in it and from the report before is computed anew. Where something
 * differs, its validator made a mistake or lied, and is named (skein why). What was measured is not repeated here: gains, faults, likeness.
 */
import { type Report, standingsIn } from "./report.ts";
import {
  backed,
  isSuspended,
  NO_STANDINGS,
  type Standing,
  type Standings,
  standingsAfter,
  votesOf,
} from "./standing.ts";

/** Something in a report that does not follow from what it should follow from. */
export interface Discrepancy {
  /** Which field, as "standings.effort". */
  readonly field: string;
  /** Whose, where it is one peer's. */
  readonly uid: number | null;
  readonly reported: string;
  readonly recounted: string;
}

/** Ratings take an exponential, which other JavaScript engines may round otherwise: a millionth either way. All else is exact. */
const SLACK = 0.000002;
const SLACKENED: readonly string[] = ["mu", "sigma"];

/**
 * What in `report` does not follow from its findings and the report before it; [] where everything does. `previous` is undefined where the
 * report names none. `accounts`, of each uid on the chain now, tells a standing that was dropped from one whose account has left.
 */
export function recount(
  previous: Report | undefined,
  report: Report,
  accounts: readonly string[] = [],
): readonly Discrepancy[] {
  const before = previous === undefined ? NO_STANDINGS : standingsIn(previous);
  if (report.round <= before.round) return [difference("round", null, report.round, `after ${before.round}`)];
  const facts: [string, unknown, unknown][] = [
    ["specHash", report.specHash, previous?.specHash ?? report.specHash],
    ["suspended", report.suspended, isSuspended(before, report.findings)],
    ["backed", report.backed, backed(before, report.findings)],
  ];
  const differing = facts.filter(([, reported, recounted]) => text(reported) !== text(recounted));
  return [
    ...differing.map(([field, reported, recounted]) => difference(field, null, reported, recounted)),
    ...standingDifferences(before, report, accounts),
    ...voteDifferences(report),
  ];
}

function standingDifferences(before: Standings, report: Report, accounts: readonly string[]): readonly Discrepancy[] {
  const { round, findings, suspended } = report;
  const [reported, known] = [byUid(report.standings), byUid(before.peers)];
  const found = new Map(findings.map((finding) => [finding.uid, finding]));
  const last = Math.max(-1, ...[...reported.keys(), ...known.keys(), ...found.keys()]);
  const holders = Array.from({ length: last + 1 }, (_, uid) => {
    const stayed = known.get(uid)?.account === accounts[uid] ? accounts[uid] : undefined;
    return stayed ?? reported.get(uid)?.account ?? found.get(uid)?.account ?? "";
  });
  const recounted = byUid(standingsAfter(before, { round, accounts: holders, findings, suspended }).peers);
  const uids = [...new Set([...reported.keys(), ...recounted.keys()])].sort((a, b) => a - b);
  return uids.flatMap((uid) => {
    const [theirs, ours] = [reported.get(uid), recounted.get(uid)];
    if (theirs === undefined || ours === undefined || theirs.account !== ours.account) {
      return [difference("standings", uid, theirs?.account ?? "none", ours?.account ?? "none")];
    }
    const fields = Object.keys(ours) as (keyof Standing)[];
    return fields
      .filter((field) => !isSame(field, theirs[field], ours[field]))
      .map((field) => difference(`standings.${field}`, uid, theirs[field], ours[field]));
  });
}

function voteDifferences(report: Report): readonly Discrepancy[] {
  const ours = votesOf(standingsIn(report));
  const [theirs, recounted] = [report.votes, ours].map(
    ({ uids, values }) => new Map(uids.map((uid, i) => [uid, values[i] ?? 0])),
  ) as [Map<number, number>, Map<number, number>];
  const uids = [...new Set([...theirs.keys(), ...recounted.keys()])].sort((a, b) => a - b);
  return uids
    .filter((uid) => theirs.get(uid) !== recounted.get(uid))
    .map((uid) => difference("votes", uid, theirs.get(uid) ?? 0, recounted.get(uid) ?? 0));
}

const byUid = (standings: readonly Standing[]): ReadonlyMap<number, Standing> =>
  new Map(standings.map((standing) => [standing.uid, standing]));

const isSame = (field: string, a: unknown, b: unknown): boolean =>
  typeof a === "number" && typeof b === "number" && SLACKENED.includes(field) ? Math.abs(a - b) <= SLACK : a === b;

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

const difference = (field: string, uid: number | null, reported: unknown, recounted: unknown): Discrepancy => ({
  field,
  uid,
  reported: text(reported),
  recounted: text(recounted),
});
