/**
 * A validator's report on a round: what it found, what standing and votes follow from it, and the hash of its report before, so that
 * anybody can ask why a peer was paid what it was, and recompute it (design D4; recount.ts). It is a blob; a signed record of news
 * (store/news.ts) names it. docs/protocol/score.md has its form.
 *
 * A report comes from a stranger: decoding takes any bytes and gives a report or a fault.
 */
import { assert } from "../base/assert.ts";
import { equalBytes, utf8 } from "../base/bytes.ts";
import { fieldsIn, isAccount, isCount, isHash, jsonIn } from "../base/json.ts";
import { REPORT_BYTES_MAX, RUN_UIDS_MAX } from "../base/limits.ts";
import { type CanonicalValue, canonicalJson } from "../data/shards/canonical.ts";
import type { AuditVerdict } from "./audit/claim.ts";
import { isRounded, isUnit, rounded } from "./fields.ts";
import type { Finding, Standing, Standings, Votes } from "./standing.ts";

/** Version of the form. */
export const REPORT_VERSION = 2;

/** A validator's report on a round. Hashes are 64 hex digits. */
export interface Report {
  readonly version: typeof REPORT_VERSION;
  readonly specHash: string;
  readonly round: number;
  /** State root of the params before the round. */
  readonly root: string;
  /** Hash of this validator's report before this one; null where it has none. */
  readonly previous: string | null;
  /** Of those params, in nats a token; null where it was not measured. */
  readonly validationLoss: number | null;
  /** The round counts against nobody. */
  readonly suspended: boolean;
  /** Uids that it voted for, ascending. */
  readonly backed: readonly number[];
  /** By uid, ascending. */
  readonly findings: readonly Finding[];
  /** After the round, by uid, ascending. */
  readonly standings: readonly Standing[];
  /** What it will vote on chain: the votes that follow from the standings. */
  readonly votes: Votes;
}

/** What is wrong with the bytes of a report. */
export interface ReportFault {
  readonly fault: "too long" | "not JSON" | "wrong fields" | "not canonical";
}

/** Whether decoding gave a fault. */
export function isReportFault(result: Report | ReportFault): result is ReportFault {
  return "fault" in result;
}

/** The standings that a report ends with. */
export function standingsIn({ round, standings }: Report): Standings {
  return { round, peers: standings };
}

/** The report's one form: canonical JSON, fractions rounded to millionths. */
export function encodeReport(report: Report): Uint8Array {
  const bytes = written(report);
  assert(!isReportFault(decodeReport(bytes)), "a report keeps its own rules");
  return bytes;
}

/** Decodes any bytes: a report, or the first thing found wrong. Never throws; memory is bounded by REPORT_BYTES_MAX. */
export function decodeReport(bytes: Uint8Array): Report | ReportFault {
  if (bytes.length > REPORT_BYTES_MAX) return { fault: "too long" };
  const json = jsonIn(bytes);
  if (json === undefined) return { fault: "not JSON" };
  const report = reportOf(fieldsIn(json));
  if (report === undefined) return { fault: "wrong fields" };
  return equalBytes(written(report), bytes) ? report : { fault: "not canonical" };
}

function written(report: Report): Uint8Array {
  const { version, specHash, round, root, previous, validationLoss, suspended, backed, votes } = report;
  const findings = report.findings.map(findingFields);
  const standings = report.standings.map(standingFields);
  const head = { version, specHash, round, root, previous, validationLoss: round6(validationLoss), suspended };
  const { uids, values } = votes;
  return utf8(canonicalJson({ ...head, backed, findings, standings, votes: { uids, values } }, "finite"));
}

const round6 = (x: number | null): number | null => (x === null ? null : rounded(x));

function findingFields(finding: Finding): CanonicalValue {
  const { uid, account, bytes, fault, share, drawn, copyOf, audit } = finding;
  return {
    ...{ uid, account, bytes, fault, drawn },
    share: rounded(share),
    gainAssigned: round6(finding.gainAssigned),
    gainUnassigned: round6(finding.gainUnassigned),
    noise: round6(finding.noise),
    noiseAssigned: round6(finding.noiseAssigned),
    copyOf: copyOf && { uid: copyOf.uid, round: copyOf.round, likeness: rounded(copyOf.likeness) },
    audit: audit && { round: audit.round, part: audit.part, verdict: audit.verdict, reason: audit.reason },
  };
}

function standingFields(standing: Standing): CanonicalValue {
  const { uid, account, mu, sigma, effort, gate, judged, strikes, banned } = standing;
  const fractions = {
    mu: rounded(mu),
    sigma: rounded(sigma),
    effort: rounded(effort),
    gate: rounded(gate),
    strikes: rounded(strikes),
  };
  return { uid, account, ...fractions, judged, banned };
}

type Fields = ReadonlyMap<string, unknown>;

function reportOf(json: Fields): Report | undefined {
  const [version, specHash, root, round] = ["version", "specHash", "root", "round"].map((name) => json.get(name));
  const [previous, validationLoss] = [json.get("previous"), json.get("validationLoss")];
  const [suspended, backed] = [json.get("suspended"), json.get("backed")];
  if (version !== REPORT_VERSION || !isHash(specHash) || !isHash(root) || !isCount(round)) return undefined;
  if (!(previous === null || isHash(previous)) || !isNumberOrNull(validationLoss)) return undefined;
  if (typeof suspended !== "boolean" || !isUidList(backed)) return undefined;
  const findings = listOf(json.get("findings"), findingOf);
  const standings = listOf(json.get("standings"), standingOf);
  const votes = votesIn(fieldsIn(json.get("votes")));
  if (findings === undefined || standings === undefined || votes === undefined) return undefined;
  const head = { version: REPORT_VERSION, specHash, round, root, previous, validationLoss, suspended, backed } as const;
  return { ...head, findings, standings, votes };
}

/** Entries by uid, strictly ascending. */
function listOf<T extends { readonly uid: number }>(
  json: unknown,
  of: (fields: Fields) => T | undefined,
): readonly T[] | undefined {
  if (!Array.isArray(json) || json.length > RUN_UIDS_MAX) return undefined;
  const list: T[] = [];
  for (const each of json) {
    const entry = of(fieldsIn(each));
    if (entry === undefined || entry.uid <= (list.at(-1)?.uid ?? -1)) return undefined;
    list.push(entry);
  }
  return list;
}

function findingOf(json: Fields): Finding | undefined {
  const [uid, account, bytes, fault] = ["uid", "account", "bytes", "fault"].map((name) => json.get(name));
  const [share, drawn, gains] = [json.get("share"), json.get("drawn"), gainsIn(json)];
  if (!isUid(uid) || !isAccount(account) || !isCount(bytes) || !isTextOrNull(fault)) return undefined;
  if (!isUnit(share) || typeof drawn !== "boolean" || gains === undefined) return undefined;
  if (fault !== null && share !== 0) return undefined;
  const [copyOf, audit] = [nullOr(json.get("copyOf"), copyIn), nullOr(json.get("audit"), auditIn)];
  if (copyOf === undefined || audit === undefined) return undefined;
  return { uid, account, bytes, fault, share, drawn, ...gains, copyOf, audit };
}

type Gains = Pick<Finding, "gainAssigned" | "gainUnassigned" | "noise" | "noiseAssigned">;

/** All four, or none. */
function gainsIn(json: Fields): Gains | undefined {
  const [gainAssigned, gainUnassigned] = [json.get("gainAssigned"), json.get("gainUnassigned")];
  const [noise, noiseAssigned] = [json.get("noise"), json.get("noiseAssigned")];
  if (!isNumberOrNull(gainAssigned) || !isNumberOrNull(gainUnassigned)) return undefined;
  if (!isNumberOrNull(noise) || !isNumberOrNull(noiseAssigned)) return undefined;
  const numbers = [gainAssigned, gainUnassigned, noise, noiseAssigned].filter((each) => each !== null).length;
  if ((numbers !== 0 && numbers !== 4) || (noise ?? 0) < 0 || (noiseAssigned ?? 0) < 0) return undefined;
  return { gainAssigned, gainUnassigned, noise, noiseAssigned };
}

function copyIn(json: Fields): Finding["copyOf"] | undefined {
  const [uid, round, likeness] = [json.get("uid"), json.get("round"), json.get("likeness")];
  return isUid(uid) && isCount(round) && isUnit(likeness) ? { uid, round, likeness } : undefined;
}

const VERDICTS: readonly unknown[] = ["passed", "unanswered", "refuted"] satisfies AuditVerdict[];

function auditIn(json: Fields): Finding["audit"] | undefined {
  const [round, part, verdict, reason] = ["round", "part", "verdict", "reason"].map((name) => json.get(name));
  if (!isCount(round) || !isCount(part) || !VERDICTS.includes(verdict) || !isTextOrNull(reason)) return undefined;
  if ((verdict === "refuted") !== (reason !== null)) return undefined;
  return { round, part, verdict: verdict as AuditVerdict, reason };
}

function standingOf(json: Fields): Standing | undefined {
  const [uid, account, mu, sigma] = ["uid", "account", "mu", "sigma"].map((name) => json.get(name));
  const [effort, gate, judged, strikes] = ["effort", "gate", "judged", "strikes"].map((name) => json.get(name));
  const banned = json.get("banned");
  if (!isUid(uid) || !isAccount(account) || !isRounded(mu) || !isRounded(sigma) || !(sigma > 0)) return undefined;
  if (!isUnit(effort) || !isRounded(gate) || Math.abs(gate) > 1) return undefined;
  if (!isCount(judged) || !isRounded(strikes) || strikes < 0 || !isTextOrNull(banned)) return undefined;
  return { uid, account, mu, sigma, effort, gate, judged, strikes, banned };
}

function votesIn(json: Fields): Votes | undefined {
  const [uids, values] = [json.get("uids"), json.get("values")];
  if (!isUidList(uids) || !Array.isArray(values) || values.length !== uids.length) return undefined;
  if (!values.every((value) => isCount(value) && value >= 1 && value <= 0xffff)) return undefined;
  return { uids, values };
}

/** null for null; what `of` makes of anything else, undefined where it is wrong. */
function nullOr<T>(json: unknown, of: (fields: Fields) => T | undefined): T | null | undefined {
  return json === null ? null : of(fieldsIn(json));
}

const isTextOrNull = (value: unknown): value is string | null =>
  value === null || (typeof value === "string" && /^[a-z][a-z0-9 -]{0,63}$/.test(value));
const isNumberOrNull = (value: unknown): value is number | null => value === null || isRounded(value);
const isUid = (value: unknown): value is number => isCount(value) && value < RUN_UIDS_MAX;

/** Uids strictly ascending. */
function isUidList(value: unknown): value is readonly number[] {
  if (!Array.isArray(value) || value.length > RUN_UIDS_MAX) return false;
  return value.every((uid, i) => isUid(uid) && (i === 0 || uid > value[i - 1]));
}
