/**
 * A validator's report on a round: the numbers behind its votes, published so that anybody can ask why a peer was paid what it was, and
 * recompute it (design D4). It is a blob; a signed record of news (store/news.ts) names it. docs/protocol/score.md has its form.
 *
 * A report comes from a stranger: decoding takes any bytes and gives a report or a fault.
 */
import { assert } from "../base/assert.ts";
import { equalBytes, utf8 } from "../base/bytes.ts";
import { fieldsIn, isAccount, isCount, isHash, jsonIn } from "../base/json.ts";
import { REPORT_BYTES_MAX, RUN_UIDS_MAX } from "../base/limits.ts";
import { canonicalJson } from "../data/shards/canonical.ts";
import { isRounded, rounded } from "./fields.ts";

/** What a validator found about one peer. */
export interface ReportedPeer {
  readonly uid: number;
  /** Its hotkey's account, `0x` and 64 hex digits. */
  readonly account: string;
  /** Bytes of its payload; 0 where it had none. */
  readonly bytes: number;
  /** What was wrong with the payload, in a few lower-case words ("absent", "wrong base"); null where nothing was. */
  readonly fault: string | null;
  /** In nats a token; null where the payload was not judged. */
  readonly gainAssigned: number | null;
  readonly gainUnassigned: number | null;
  /** After this round; null where it has none yet. */
  readonly rating: number | null;
}

/** A validator's findings on a round. Hashes are 64 hex digits. */
export interface ScoreReport {
  readonly specHash: string;
  readonly round: number;
  /** State root of the params before the round. */
  readonly root: string;
  /** Of those params, in nats a token; null where it was not measured. */
  readonly validationLoss: number | null;
  /** By uid, ascending. */
  readonly peers: readonly ReportedPeer[];
  /** Uids that it voted for, ascending. */
  readonly accepted: readonly number[];
}

/** What is wrong with the bytes of a report. */
export interface ReportFault {
  readonly fault: "too long" | "not JSON" | "wrong fields" | "not canonical";
}

/** Whether decoding gave a fault. */
export function isReportFault(result: ScoreReport | ReportFault): result is ReportFault {
  return "fault" in result;
}

/** The report's one form: canonical JSON, fractions rounded to millionths. */
export function encodeReport(report: ScoreReport): Uint8Array {
  const bytes = written(report);
  assert(!isReportFault(decodeReport(bytes)), "a report keeps its own rules");
  return bytes;
}

function written({ specHash, round, root, validationLoss, peers, accepted }: ScoreReport): Uint8Array {
  const round6 = (x: number | null): number | null => (x === null ? null : rounded(x));
  const entries = peers.map(({ uid, account, bytes, fault, gainAssigned, gainUnassigned, rating }) => ({
    uid,
    account,
    bytes,
    fault,
    gainAssigned: round6(gainAssigned),
    gainUnassigned: round6(gainUnassigned),
    rating: round6(rating),
  }));
  const fields = { specHash, round, root, validationLoss: round6(validationLoss), peers: entries, accepted };
  return utf8(canonicalJson(fields, "finite"));
}

/** Decodes any bytes: a report, or the first thing found wrong. Never throws; memory is bounded by REPORT_BYTES_MAX. */
export function decodeReport(bytes: Uint8Array): ScoreReport | ReportFault {
  if (bytes.length > REPORT_BYTES_MAX) return { fault: "too long" };
  const json = jsonIn(bytes);
  if (json === undefined) return { fault: "not JSON" };
  const report = reportOf(fieldsIn(json));
  if (report === undefined) return { fault: "wrong fields" };
  return equalBytes(written(report), bytes) ? report : { fault: "not canonical" };
}

function reportOf(json: ReadonlyMap<string, unknown>): ScoreReport | undefined {
  const [specHash, root, round] = [json.get("specHash"), json.get("root"), json.get("round")];
  const [validationLoss, accepted] = [json.get("validationLoss"), json.get("accepted")];
  if (!isHash(specHash) || !isHash(root) || !isCount(round) || !isNumberOrNull(validationLoss)) return undefined;
  if (!isUidList(accepted)) return undefined;
  const list = json.get("peers");
  if (!Array.isArray(list) || list.length > RUN_UIDS_MAX) return undefined;
  const peers: ReportedPeer[] = [];
  for (const each of list) {
    const peer = peerOf(fieldsIn(each));
    if (peer === undefined) return undefined;
    peers.push(peer);
  }
  if (!isUidList(peers.map(({ uid }) => uid))) return undefined;
  return { specHash, round, root, validationLoss, peers, accepted };
}

function peerOf(json: ReadonlyMap<string, unknown>): ReportedPeer | undefined {
  const [uid, account, bytes, fault] = [json.get("uid"), json.get("account"), json.get("bytes"), json.get("fault")];
  const [gainAssigned, gainUnassigned] = [json.get("gainAssigned"), json.get("gainUnassigned")];
  const rating = json.get("rating");
  if (!isCount(uid) || !isAccount(account) || !isCount(bytes)) return undefined;
  if (!(fault === null || isFaultText(fault))) return undefined;
  if (!isNumberOrNull(gainAssigned) || !isNumberOrNull(gainUnassigned) || !isNumberOrNull(rating)) return undefined;
  return { uid, account, bytes, fault, gainAssigned, gainUnassigned, rating };
}

const isFaultText = (value: unknown): value is string =>
  typeof value === "string" && /^[a-z][a-z0-9 -]{0,63}$/.test(value);
const isNumberOrNull = (value: unknown): value is number | null => value === null || isRounded(value);

/** Uids below RUN_UIDS_MAX, strictly ascending. */
function isUidList(value: unknown): value is readonly number[] {
  if (!Array.isArray(value) || value.length > RUN_UIDS_MAX) return false;
  return value.every((uid, i) => isCount(uid) && uid < RUN_UIDS_MAX && (i === 0 || uid > value[i - 1]));
}
