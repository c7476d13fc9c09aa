/** Recounting: honest reports follow from each other; a report in which any one thing was changed does not. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { accountOf, faulty, findingOf, rounds, unjudged } from "../../test/helpers/findings.ts";
import { recount } from "./recount.ts";
import { decodeReport, encodeReport, isReportFault, type Report, standingsIn } from "./report.ts";
import {
  backed,
  type Finding,
  isSuspended,
  MISSING,
  NO_STANDINGS,
  type Standing,
  standingsAfter,
  votesOf,
} from "./standing.ts";

const ACCOUNTS = Array.from({ length: 12 }, (_, uid) => accountOf(uid));

/** What an honest validator reports. */
function reportOf(
  previous: Report | undefined,
  round: number,
  findings: readonly Finding[],
  accounts = ACCOUNTS,
): Report {
  const before = previous ? standingsIn(previous) : NO_STANDINGS;
  const suspended = isSuspended(before, findings);
  const after = standingsAfter(before, { round, accounts, findings, suspended });
  return {
    version: 2,
    specHash: "ab".repeat(32),
    round,
    root: "cd".repeat(32),
    previous: previous ? "ef".repeat(32) : null,
    validationLoss: 3,
    suspended,
    backed: backed(before, findings),
    findings,
    standings: after.peers,
    votes: votesOf(after),
  };
}

/** The reports of some rounds, one after another. */
function chainOf(story: readonly (readonly Finding[])[]): Report[] {
  const chain: Report[] = [];
  for (const [round, findings] of story.entries()) chain.push(reportOf(chain.at(-1), round, findings));
  return chain;
}

const published = (report: Report): Report => {
  const decoded = decodeReport(encodeReport(report));
  if (isReportFault(decoded)) throw new Error(decoded.fault);
  return decoded;
};

const STORY = Array.from({ length: 7 }, (_, round) => [
  findingOf(0),
  findingOf(1, { share: 0.5, gainUnassigned: 0.01 }),
  findingOf(2, { gainUnassigned: -0.05 }),
  unjudged(3, { share: 0.25, drawn: round < 3 }),
  faulty(4, round === 6 ? MISSING : "wrong base"),
  findingOf(5, { copyOf: { uid: 0, round, likeness: 0.9 } }),
  findingOf(6, round === 5 ? { audit: { round: 4, part: 1, verdict: "refuted", reason: "other state" } } : {}),
  findingOf(7, round === 5 ? { audit: { round: 4, part: 1, verdict: "unanswered", reason: null } } : {}),
]);
const CHAIN = chainOf(STORY);
const [BEFORE, LAST] = [CHAIN[5], CHAIN[6]] as [Report, Report];

describe("recounting", () => {
  it("finds nothing in what an honest validator published", () => {
    for (const [i, report] of CHAIN.entries()) expect(recount(CHAIN[i - 1], report, ACCOUNTS)).toEqual([]);
    fc.assert(
      fc.property(fc.array(rounds(12), { minLength: 1, maxLength: 6 }), (story) => {
        const chain = chainOf(story).map(published);
        for (const [i, report] of chain.entries()) expect(recount(chain[i - 1], report, ACCOUNTS)).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  it("goes over rounds that were left out, and over uids that changed hands", () => {
    const later = reportOf(BEFORE, 40, STORY[6] ?? []);
    expect(recount(BEFORE, later)).toEqual([]);
    const accounts = ACCOUNTS.map((account, uid) => (uid === 0 || uid === 7 ? accountOf(uid + 100) : account));
    const findings = (STORY[6] ?? [])
      .map((each) => (each.uid === 0 ? { ...each, account: accountOf(100) } : each))
      .slice(0, 7);
    const changed = reportOf(BEFORE, 6, findings, accounts);
    expect(changed.standings.find(({ uid }) => uid === 0)?.judged).toBe(1);
    expect(recount(BEFORE, changed, accounts)).toEqual([]);
    expect(recount(BEFORE, changed)).toEqual([]);
    expect(recount(BEFORE, changed, ACCOUNTS).map(({ field, uid }) => [field, uid])).toContainEqual(["standings", 7]);
  });

  it("names any one thing about a standing that was changed", () => {
    const changes: { readonly [F in keyof Standing]?: (value: Standing[F]) => unknown } = {
      mu: (x) => x + 0.00001,
      sigma: (x) => x + 0.00001,
      effort: (x) => (x > 0.5 ? x - 0.000001 : x + 0.000001),
      gate: (x) => (x > 0 ? x - 0.000001 : x + 0.000001),
      judged: (x) => x + 1,
      strikes: (x) => x + 1,
      banned: (x) => (x === null ? "because" : null),
    };
    for (const peer of LAST.standings) {
      for (const [field, change] of Object.entries(changes) as [keyof Standing, (value: unknown) => unknown][]) {
        const forged = { ...peer, [field]: change(peer[field]) };
        const report = published({ ...LAST, standings: LAST.standings.map((each) => (each === peer ? forged : each)) });
        const found = recount(BEFORE, report, ACCOUNTS);
        expect(
          found.map((each) => [each.field, each.uid]),
          `${field} of ${peer.uid}`,
        ).toContainEqual([`standings.${field}`, peer.uid]);
      }
      const without = { ...LAST, standings: LAST.standings.filter((each) => each !== peer) };
      const changedHands = {
        ...LAST,
        standings: LAST.standings.map((each) => (each === peer ? { ...each, account: accountOf(99) } : each)),
      };
      for (const report of [without, changedHands]) {
        expect(recount(BEFORE, published(report), ACCOUNTS)).toContainEqual(
          expect.objectContaining({ field: "standings", uid: peer.uid }),
        );
      }
    }
  });

  it("names any finding that was changed so that anything follows from it", () => {
    const changes: Partial<Finding>[] = [
      { fault: "wrong base", share: 0 },
      { fault: MISSING, share: 0 },
      { share: 0.125 },
      { gainUnassigned: -0.5 },
      { gainAssigned: 0.000001, gainUnassigned: 0.02 },
      { copyOf: { uid: 1, round: 6, likeness: 0.9 } },
      { audit: { round: 5, part: 0, verdict: "refuted", reason: "made up" } },
      { audit: { round: 5, part: 0, verdict: "unanswered", reason: null } },
      { account: accountOf(77) },
    ];
    for (const change of changes) {
      const findings = LAST.findings.map((each) => (each.uid === 0 ? { ...each, ...change } : each));
      expect(
        recount(BEFORE, published({ ...LAST, findings }), ACCOUNTS).length,
        JSON.stringify(change),
      ).toBeGreaterThan(0);
    }
  });

  it("names any vote, any backing, any outage, any order that was changed", () => {
    const fields = (change: Partial<Report>): string[] =>
      recount(BEFORE, published({ ...LAST, ...change }), ACCOUNTS).map(({ field }) => field);
    for (const i of LAST.votes.uids.keys()) {
      const values = LAST.votes.values.map((value, at) => (at === i ? value - 1 : value));
      expect(fields({ votes: { uids: LAST.votes.uids, values } })).toEqual(["votes"]);
      const uids = LAST.votes.uids.filter((_, at) => at !== i);
      expect(fields({ votes: { uids, values: LAST.votes.values.filter((_, at) => at !== i) } })).toEqual(["votes"]);
    }
    expect(fields({ votes: { uids: [...LAST.votes.uids, 11], values: [...LAST.votes.values, 1] } })).toEqual(["votes"]);
    expect(LAST.backed.length).toBeGreaterThan(1);
    expect(fields({ backed: LAST.backed.slice(1) })).toEqual(["backed"]);
    expect(fields({ backed: [...LAST.backed, 11] })).toEqual(["backed"]);
    expect(fields({ suspended: true })).toContain("suspended");
    expect(fields({ specHash: "00".repeat(32) })).toEqual(["specHash"]);
    expect(fields({ round: 5 })).toEqual(["round"]);
    expect(recount(undefined, LAST, ACCOUNTS).length).toBeGreaterThan(0);
    expect(recount(CHAIN[4], LAST, ACCOUNTS).length).toBeGreaterThan(0);
  });

  it("never throws, whatever two reports it is given", () => {
    fc.assert(
      fc.property(fc.tuple(rounds(12), rounds(12)), fc.nat(3), ([a, b], back) => {
        const [one, other] = [reportOf(undefined, 3, a), reportOf(undefined, 3 + back, b)].map(published) as [
          Report,
          Report,
        ];
        expect(Array.isArray(recount(one, other))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});
