/** What a validator says of each peer follows from what it saw, and from nothing else. */
import { describe, expect, it } from "vitest";
import { TOY_SPEC } from "../../../../test/helpers/run-specs.ts";
import type { Hash } from "../../../chain/chain.ts";
import { copybook } from "../../../score/likeness.ts";
import { encodeReport } from "../../../score/report.ts";
import { ABSENT, MISSING, NO_STANDINGS, type Standings, standingsAfter } from "../../../score/standing.ts";
import type { Audit } from "./audit.ts";
import type { Docket } from "./docket.ts";
import { draftOf, findingsOf } from "./findings.ts";
import type { Heard } from "./judge.ts";

const account = (uid: number): Hash => `0x${String(uid).padStart(64, "0")}`;
const ACCOUNTS = [0, 1, 2, 3, 4, 5].map(account);
const ROUND = 3;

/** Five commits, in the order 4, 0, 1, 2, 3; 0 and 2 are drawn. */
function docket(): Docket {
  const commits = [4, 0, 1, 2, 3].map((uid, i) => ({ uid, hotkey: account(uid), payloadHash: account(9), block: i }));
  const drawn = new Set([0, 2]);
  return { round: ROUND, commits, seated: commits, seed: "s", roundSeed: "w", drawn, unassigned: [1, 2] };
}

/** All payloads but that of uid 3 came; 1 is faulty; the others point in directions of their own, unless `alike`. */
function heard(alike: readonly number[] = [], squares: readonly number[] = [1, 1, 1, 1, 1]): Heard {
  const { commits } = docket();
  const book = copybook();
  const sound = [0, 2, 4];
  for (const uid of sound) {
    const imprint = { places: Float64Array.of(alike.includes(uid) ? 99 : uid), values: Float32Array.of(1) };
    book.add({ uid, round: ROUND, account: account(uid), applied: false, imprint });
  }
  const evaluation = { gainAssigned: 0.0200004, gainUnassigned: 0.01, noise: 0.001, noiseAssigned: 0.002 };
  const losses = { lossAssignedBefore: 0, lossAssignedAfter: 0, lossUnassignedBefore: 0, lossUnassignedAfter: 0 };
  return {
    book,
    received: new Map(
      commits
        .filter(({ uid }) => uid !== 3)
        .map((commit) => {
          const fault = commit.uid === 1 ? "bad signature" : null;
          return [commit.uid, { commit, bytes: 100 + commit.uid, fault, batch: fault ? 0 : 1, late: commit.uid >= 2 }];
        }),
    ),
    squares: new Map(sound.map((uid) => [uid, squares[uid] as number])),
    evaluations: new Map([0, 2].map((uid) => [uid, { uid, ...evaluation, ...losses }])),
  };
}

const audit = (uid: number, verdict: Audit["verdict"], reason: string | null): Audit => {
  return { round: 2, uid, account: account(uid), part: 1, verdict, reason };
};

describe("findings", () => {
  it("are one for each commit, by uid, in millionths", () => {
    const findings = findingsOf(TOY_SPEC, NO_STANDINGS, docket(), heard(), []);
    expect(findings.map(({ uid, fault, share, bytes }) => [uid, fault, share, bytes])).toEqual([
      [0, null, 0.5, 100],
      [1, "bad signature", 0, 101],
      [2, null, 0.5, 102],
      [3, MISSING, 0, 0],
      [4, null, 0.5, 104],
    ]);
    expect(findings.map(({ drawn, gainAssigned }) => [drawn, gainAssigned])).toEqual([
      [true, 0.02],
      [false, null],
      [true, 0.02],
      [false, null],
      [false, null],
    ]);
  });

  it("say whose norm is far from the field's", () => {
    const findings = findingsOf(TOY_SPEC, NO_STANDINGS, docket(), heard([], [1, 1, 1e6, 1, 1]), []);
    expect(findings.map(({ fault }) => fault)).toEqual([
      null,
      "bad signature",
      "norm far from the field",
      MISSING,
      null,
    ]);
    expect(findings[2]?.share).toBe(0);
  });

  it("call those missing who were drawn and came when there was no time to judge them", () => {
    const all = heard();
    const findings = findingsOf(TOY_SPEC, NO_STANDINGS, docket(), { ...all, evaluations: new Map() }, []);
    expect(findings.map(({ fault }) => fault)).toEqual([null, "bad signature", MISSING, MISSING, null]); // 0 was in time, 4 was not drawn
    expect(findings[2]).toMatchObject({ bytes: 0, share: 0 });
  });

  it("let the first committer keep what two have sent, unless he is out", () => {
    const copies = (before: Standings): unknown[] =>
      findingsOf(TOY_SPEC, before, docket(), heard([0, 4]), []).flatMap(({ uid, copyOf }) =>
        copyOf ? [[uid, copyOf]] : [],
      );
    expect(copies(NO_STANDINGS)).toEqual([[0, { uid: 4, round: ROUND, likeness: 1 }]]);
    const ban = { ...absent(4), audit: { round: 0, part: 0, verdict: "refuted" as const, reason: "forged" } };
    const banned = standingsAfter(NO_STANDINGS, { round: 1, accounts: ACCOUNTS, findings: [ban], suspended: false });
    expect(copies(banned)).toEqual([]);
  });

  it("tell of audits, also of those who sent nothing now", () => {
    const audits = [
      audit(2, "refuted", "another state"),
      audit(5, "unanswered", "no answer"),
      audit(0, "passed", null),
    ];
    const findings = findingsOf(TOY_SPEC, NO_STANDINGS, docket(), heard(), audits);
    expect(findings.map(({ uid }) => uid)).toEqual([0, 1, 2, 3, 4, 5]);
    const told = findings.map((each) => each.audit && [each.audit.verdict, each.audit.reason]);
    const [passed, refuted, unanswered] = [
      ["passed", null],
      ["refuted", "another state"],
      ["unanswered", null],
    ];
    expect(told).toEqual([passed, null, refuted, null, null, unanswered]);
    expect(findings[5]).toEqual({ ...absent(5), audit: { round: 2, part: 1, verdict: "unanswered", reason: null } });
  });

  it("do not tell of audits of who has lost the uid since", () => {
    const stranger = { ...audit(2, "passed", null), account: account(77) };
    const findings = findingsOf(TOY_SPEC, NO_STANDINGS, docket(), heard(), [stranger]);
    expect(findings.map((each) => each.audit)).toEqual([null, null, null, null, null]);
  });

  it("make a report that has its one form", () => {
    const findings = findingsOf(TOY_SPEC, NO_STANDINGS, docket(), heard([0, 4]), [audit(5, "passed", null)]);
    const head = { specHash: "a".repeat(64), round: ROUND, root: "b".repeat(64), previous: null };
    const draft = draftOf(head, NO_STANDINGS, ACCOUNTS, findings);
    expect(encodeReport(draft).length).toBeGreaterThan(500); // it checks itself
    expect(draft).toMatchObject({ backed: [2], validationLoss: null, suspended: false });
  });
});

function absent(uid: number) {
  const nothing = { bytes: 0, fault: ABSENT, share: 0, drawn: false, gainAssigned: null, gainUnassigned: null };
  return { uid, account: account(uid), ...nothing, noise: null, noiseAssigned: null, copyOf: null, audit: null };
}
