/** A peer's last rounds as one validator saw them: for whoever wants to know since when, and how often. Pure. */
import type { Report } from "../../score/report.ts";
import { ABSENT, type Finding, isHarmful, outcomeOf, usualGains } from "../../score/standing.ts";
import { type Seen, seenIn } from "../status/peer.ts";
import type { Witness } from "./gather.ts";

/** A round as a validator saw it. */
export interface PastRound extends Seen {
  readonly round: number;
  readonly backed: boolean;
  /** The round counted against nobody. */
  readonly suspended: boolean;
  /** What is usual for a payload that claims as many tokens, in nats a token. */
  readonly usual: number;
}

/** What happened how often in rounds that counted. */
export interface Tally {
  /** Rounds, and those among them in which it sent something. */
  readonly rounds: number;
  readonly sent: number;
  /** Faults of payloads, by their words, the most frequent first. */
  readonly faults: readonly (readonly [fault: string, times: number])[];
  readonly copies: number;
  /** Payloads that were judged: in all, those that did harm, and those that gained too little without doing any. */
  readonly judged: number;
  readonly harmful: number;
  readonly poor: number;
  /** Payloads with which nothing was wrong, and which were not backed. */
  readonly unbacked: number;
  /** Mean over sound payloads of their part of the work that a peer may do; 0 where there is none. */
  readonly share: number;
  /** Mean over the newest rounds of what counts as its work, 0 to 1: where its effort is going. */
  readonly pace: number;
}

/** Rounds that are looked at: about as many as effort remembers. */
export const PAST_ROUNDS = 10;

/** Rounds whose mean is a peer's pace. */
const PACE_ROUNDS = 3;

/** The peer's last rounds up to the report that is asked about, newest first. */
export function pastOf({ trail, report }: Pick<Witness, "trail" | "report">, peer: PastPeer): PastRound[] {
  const from = report === undefined ? -1 : trail.reports.indexOf(report);
  return from < 0 ? [] : trail.reports.slice(from, from + PAST_ROUNDS).map((each) => roundOf(each, peer));
}

/** Whom to look for. */
type PastPeer = Parameters<typeof seenIn>[1];

function roundOf(report: Report, peer: PastPeer): PastRound {
  const { round, suspended, backed, findings } = report;
  const seen = seenIn({ report }, peer);
  const usual = seen.finding === undefined ? 0 : usualGains(findings)(seen.finding);
  return { ...seen, round, suspended, usual, backed: backed.includes(peer.uid) };
}

/** Counts. */
export function tallyOf(past: readonly PastRound[]): Tally {
  const rounds = past.filter(({ suspended }) => !suspended);
  const sent = rounds.filter(({ finding }) => finding !== undefined && finding.fault !== ABSENT);
  const found = sent.map((each) => ({ ...each, finding: each.finding as Finding }));
  const faults = new Map<string, number>();
  for (const { finding } of found)
    if (finding.fault !== null) faults.set(finding.fault, (faults.get(finding.fault) ?? 0) + 1);
  const sound = found.filter(({ finding }) => finding.fault === null && finding.copyOf === null);
  const judged = sound.filter(({ finding }) => finding.gainUnassigned !== null);
  const harmful = judged.filter(({ finding }) => isHarmful(finding));
  const lost = judged.filter(({ finding, usual }) => outcomeOf(finding, usual) === "lost");
  return {
    ...{ rounds: rounds.length, sent: sent.length, judged: judged.length, harmful: harmful.length },
    faults: [...faults].sort(([, a], [, b]) => b - a),
    copies: found.filter(({ finding }) => finding.fault === null && finding.copyOf !== null).length,
    poor: lost.length - harmful.length,
    unbacked: sound.filter(({ backed, finding }) => !backed && !isHarmful(finding)).length,
    share: mean(sound.map(({ finding }) => finding.share)),
    pace: mean(rounds.slice(0, PACE_ROUNDS).map(({ backed, finding }) => (backed ? (finding?.share ?? 0) : 0))),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
