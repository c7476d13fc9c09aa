/** What a validator says of each peer in a round, from what came, what it measured, and what audits found: the facts that everything else follows from. */
import type { RunSpec } from "../../../run/spec.ts";
import { type FieldFault, farFromField } from "../../../score/field.ts";
import { rounded } from "../../../score/fields.ts";
import type { Evaluation } from "../../../score/gain.ts";
import { REPORT_VERSION, type Report } from "../../../score/report.ts";
import {
  ABSENT,
  backed,
  type Finding,
  factorsOf,
  isSuspended,
  MISSING,
  type Standings,
  standingsAfter,
  votesOf,
} from "../../../score/standing.ts";
import type { Audit } from "./audit.ts";
import type { Docket } from "./docket.ts";
import type { Heard } from "./judge.ts";

const FAR: FieldFault = "norm far from the field";

/** One finding for each who committed, and for each who was audited, by uid. At most one of `audits` for each account. */
export function findingsOf(
  { inner }: RunSpec,
  before: Standings,
  docket: Docket,
  all: Heard,
  audits: readonly Audit[],
): readonly Finding[] {
  const { round, commits, drawn } = docket;
  const heard = inTime(docket, all);
  const far = new Set(farFromField(heard.squares));
  const sound = commits.filter(({ uid }) => heard.squares.has(uid) && !far.has(uid));
  const claims = sound.filter(({ uid, hotkey }) => !isOut(before, uid, hotkey)).map(({ uid }) => uid);
  const copies = heard.book.copies(round, claims);
  const findings = commits.map(({ uid, hotkey }): Finding => {
    const received = heard.received.get(uid);
    const fault = received === undefined ? MISSING : far.has(uid) ? FAR : received.fault;
    return {
      uid,
      account: hotkey,
      bytes: received?.bytes ?? 0,
      fault,
      share: fault === null ? rounded((received?.batch ?? 0) / inner.batch) : 0,
      drawn: drawn.has(uid),
      ...gainsOf(heard.evaluations.get(uid)),
      copyOf: copies.get(uid) ?? null,
      audit: auditOf(hotkey, audits),
    };
  });
  const absent = audits
    .filter(({ uid }) => !commits.some((commit) => commit.uid === uid))
    .map(({ uid, account }) => absentFinding(uid, account, audits));
  return [...findings, ...absent].sort((a, b) => a.uid - b.uid);
}

/**
 * Without those who let a validator wait for what it had to judge until there was no time left: they are missing. Otherwise, whoever is known could send
 * anything whenever he is drawn.
 */
function inTime({ drawn }: Docket, { received, squares, ...rest }: Heard): Heard {
  const isTooLate = (uid: number): boolean =>
    received.get(uid)?.late === true && drawn.has(uid) && !rest.evaluations.has(uid);
  const kept = <T>(map: ReadonlyMap<number, T>): Map<number, T> => new Map([...map].filter(([uid]) => !isTooLate(uid)));
  return { ...rest, received: kept(received), squares: kept(squares) };
}

/** Whoever counts for nothing may commit first and still takes nothing from those who do: the framer's own payload is no original. */
function isOut(before: Standings, uid: number, account: string): boolean {
  const known = before.peers.find((each) => each.uid === uid)?.account === account;
  return known && factorsOf(before, uid).conduct === 0;
}

type Gains = Pick<Finding, "gainAssigned" | "gainUnassigned" | "noise" | "noiseAssigned">;

function gainsOf(found: Evaluation | undefined): Gains {
  if (found === undefined) return { gainAssigned: null, gainUnassigned: null, noise: null, noiseAssigned: null };
  const { gainAssigned, gainUnassigned, noise, noiseAssigned } = found;
  return {
    gainAssigned: rounded(gainAssigned),
    gainUnassigned: rounded(gainUnassigned),
    noise: rounded(noise),
    noiseAssigned: rounded(noiseAssigned),
  };
}

function auditOf(hotkey: string, audits: readonly Audit[]): Finding["audit"] {
  const found = audits.find(({ account }) => account === hotkey);
  if (found === undefined) return null;
  const { round, part, verdict, reason } = found;
  return { round, part, verdict, reason: verdict === "refuted" ? reason : null };
}

function absentFinding(uid: number, account: string, audits: readonly Audit[]): Finding {
  const nothing = { bytes: 0, fault: ABSENT, share: 0, drawn: false, copyOf: null };
  return { uid, account, ...nothing, ...gainsOf(undefined), audit: auditOf(account, audits) };
}

/** The report that findings lead to, before the validation loss is measured. `accounts`: of each uid now. */
export function draftOf(
  head: Pick<Report, "specHash" | "round" | "root" | "previous">,
  before: Standings,
  accounts: readonly string[],
  findings: readonly Finding[],
): Report {
  const { round } = head;
  const suspended = isSuspended(before, findings);
  const standings = standingsAfter(before, { round, accounts, findings, suspended });
  return {
    version: REPORT_VERSION,
    ...head,
    validationLoss: null,
    suspended,
    backed: backed(before, findings),
    findings,
    standings: standings.peers,
    votes: votesOf(standings),
  };
}
