/**
 * Standing: what a validator thinks of each peer, built up over rounds from what it found, and the votes that follow from it.
 * docs/protocol/score.md says it in words.
 *
 * A peer's weight is quality × effort × gate × conduct. Each is in [0, 1], so a bad one can never be made good by another bad one
 * (templar#108 paid for two negatives). Each saturates or is bounded, so nothing can be stored up. All begin anew with a new account.
 * Everything follows from the findings, so anybody can recompute it (recount.ts).
 */
import { assert } from "../base/assert.ts";
import { RUN_UIDS_MAX } from "../base/limits.ts";
import type { AuditVerdict } from "./audit/claim.ts";
import { rounded, roundedUnit } from "./fields.ts";
import { isOpening, isUnbeaten, openingQuality } from "./opening.ts";
import { drawPeers } from "./samples.ts";
import { NEW_SKILL, type Outcome, played, qualityOf } from "./skill.ts";

/** Fault of a payload that was committed to and that nobody could get. */
export const MISSING = "missing";
/** Fault of a peer that committed to nothing: a finding of it is there for the sake of an audit. */
export const ABSENT = "absent";

/** What a validator found about one uid in a round. All fractions in millionths (fields.ts). */
export interface Finding {
  readonly uid: number;
  /** Its hotkey's account, `0x` and 64 hex digits. */
  readonly account: string;
  /** Bytes of its payload; 0 where there was none. */
  readonly bytes: number;
  /** What was wrong with the payload in a few lower-case words, MISSING and ABSENT among them; null where nothing was. */
  readonly fault: string | null;
  /** Tokens that it says it trained on, as a share of the most that a peer may in a round, 0 to 1; 0 with a fault. */
  readonly share: number;
  /** Whether it was drawn to be judged. */
  readonly drawn: boolean;
  /** In nats a token, on sequences that it was assigned; null where the payload was not judged. */
  readonly gainAssigned: number | null;
  /** On sequences that nobody was assigned. */
  readonly gainUnassigned: number | null;
  /** Standard error of gainUnassigned over its sequences. */
  readonly noise: number | null;
  /** The same of gainAssigned. */
  readonly noiseAssigned: number | null;
  /** The payload it repeats, if any: whose, of which round (this or an earlier one), and their likeness, 0 to 1. */
  readonly copyOf: { readonly uid: number; readonly round: number; readonly likeness: number } | null;
  /** The audit of an earlier payload of this account that ended since the last report. */
  readonly audit: {
    readonly round: number;
    readonly part: number;
    readonly verdict: AuditVerdict;
    /** In a few lower-case words, why it was refuted; else null. */
    readonly reason: string | null;
  } | null;
}

/** One peer's standing; it belongs to a uid and an account. */
export interface Standing {
  readonly uid: number;
  readonly account: string;
  /** Its rating in games against nothing (skill.ts). */
  readonly mu: number;
  readonly sigma: number;
  /** Smoothed share of a round's work, of payloads that were backed; begins at 0. */
  readonly effort: number;
  /** Mean of its marks, the newest counting most: how clearly it gains more on its own data than on others, −1 to 1. */
  readonly gate: number;
  /** Games that went into the rating. */
  readonly judged: number;
  /** Challenges that it did not answer, less a quarter for each that it passed since; not below 0. */
  readonly strikes: number;
  /** Why it is out for good: the reason of a refuted audit; else null. */
  readonly banned: string | null;
}

/** Everybody's standing after a round. */
export interface Standings {
  /** The newest round that is in it; −1 before the first. */
  readonly round: number;
  /** By uid, ascending. */
  readonly peers: readonly Standing[];
}

/** What a round adds. */
export interface StandingRound {
  readonly round: number;
  /** Account of each uid as of now; a standing of any other account is forgotten. */
  readonly accounts: readonly string[];
  /** Each uid at most once. */
  readonly findings: readonly Finding[];
  /** An outage: the round counts against nobody (isSuspended). */
  readonly suspended: boolean;
}

/** What a peer's weight is made of, each 0 to 1. */
export interface Factors {
  readonly quality: number;
  readonly effort: number;
  readonly gate: number;
  readonly conduct: number;
  /** Their product. */
  readonly weight: number;
}

/** Votes for uids, as the chain takes them. */
export interface Votes {
  readonly uids: readonly number[];
  /** 1 to 65535, the best has 65535. */
  readonly values: readonly number[];
}

/** Standings before the first round. */
export const NO_STANDINGS: Standings = { round: -1, peers: [] };

/** Gains this small, in nats a token, are none (templar#592 let them hold rank). */
export const GAIN_FLOOR = 0.000001;
/**
 * Share of what is usual that a payload must gain to be better than nothing. Honest first payloads, which have no residual yet, gain a twentieth
 * to a half of it; a payload at a fiftieth of its size a fiftieth.
 */
export const BAR = 0.05;
/** Standard errors: a gain that many below nothing does harm; what is usual that many above nothing is something. */
const SURE = 2;
/** Share of the newest round in effort. */
const EFFORT_ALPHA = 0.2;
/** Share of the newest mark in the gate, once it is not less than an equal share of all. */
const GATE_ALPHA = 0.1;
/** Standard errors of difference that make a full mark. */
const MARK_ERRORS = 3;
/** Benefit of the doubt: what the gate is raised by after one game; after n games, an n-th of it. */
const GATE_DOUBT = 1;
/** Where half of those who are known have less than this, marks are chance (tiny models remember nothing), and the gate asks for none. */
const GATE_SIGNAL = 0.15;
/**
 * The gate is open from here up, or from so much below the field where its marks are weaker, and closes over a span below that. Where models are
 * large enough to remember, the lowest that one honest peer in ten thousand comes to is 0.31 if judged on 8 + 32 sequences and 0.24 on 8 + 8 (seven and
 * five tenths of the factor are left to it); who did not train on its data is below 0.16 and 0.18 in 99 rounds of 100 (docs/LOG.md, 13).
 */
const GATE_OPEN = 0.4;
const GATE_BELOW_FIELD = 0.2;
const GATE_SPAN = 0.3;
/** Below every mark. */
const GATE_NONE = -2;
/** Games after which a peer's gate is part of the field's. */
const GATE_KNOWN = 5;
/** Part of one's own effort that others must show to be compared with. */
const GATE_ALIKE = 0.75;
/** Part of the effort that is left after a payload that was faulty, a copy, or harmful: trust takes rounds to come, and one to go. */
const EFFORT_LEFT = 0.5;
/**
 * What a passed audit takes off the strikes, and how many strikes end all pay. Who did half of the work, and answers where it can, fails every
 * second challenge or third, an honest peer one in a hundred: so one failure must weigh as much as several passes.
 */
const STRIKE_PASSED = 0.25;
const STRIKES_OUT = 2;
/** Games after which a peer is no longer looked at before others. */
const YOUNG = 3;
const VOTE_MAX = 65_535;

/** The standings after a round. A round that is in them already, or an older one, changes nothing. */
export function standingsAfter(before: Standings, { round, accounts, findings, suspended }: StandingRound): Standings {
  assert(Number.isSafeInteger(round) && round >= 0, `${round} is no round`);
  assert(accounts.length <= RUN_UIDS_MAX, `${accounts.length} uids are too many`);
  const found = new Map(findings.map((finding) => [finding.uid, finding]));
  assert(found.size === findings.length, "a uid was found twice");
  if (round <= before.round) return before;
  const known = new Map(before.peers.map((standing) => [standing.uid, standing]));
  const paid = new Set([...backed(before, findings), ...(isOpening(round) ? unseen(before, findings) : [])]);
  const usual = usualGains(findings);
  const peers = accounts.flatMap((account, uid): Standing[] => {
    const last = known.get(uid);
    const own = last?.account === account ? last : undefined;
    const finding = found.get(uid);
    const mine = finding?.account === account ? finding : undefined;
    if (mine === undefined && own === undefined) return [];
    const audited = afterAudit(own ?? newStanding(uid, account), mine, suspended);
    if (suspended) return [audited];
    return [afterRound(audited, mine, paid.has(uid), usual)];
  });
  return { round, peers };
}

/** The standing of an account at a uid: a new one where it has none. */
function standingOf(standings: Standings, uid: number, account: string): Standing {
  const last = standings.peers.find((each) => each.uid === uid);
  return last?.account === account ? last : newStanding(uid, account);
}

function newStanding(uid: number, account: string): Standing {
  return { uid, account, ...NEW_SKILL, effort: 0, gate: 0, judged: 0, strikes: 0, banned: null };
}

function afterAudit(standing: Standing, finding: Finding | undefined, suspended: boolean): Standing {
  const { audit } = finding ?? { audit: null };
  const { strikes, banned } = standing;
  if (audit?.verdict === "refuted") return { ...standing, banned: banned ?? audit.reason ?? "refuted" };
  if (audit?.verdict === "passed") return { ...standing, strikes: Math.max(0, rounded(strikes - STRIKE_PASSED)) };
  if (audit?.verdict === "unanswered" && !suspended) return { ...standing, strikes: rounded(strikes + 1) };
  return standing;
}

function afterRound(
  standing: Standing,
  finding: Finding | undefined,
  paid: boolean,
  usual: (finding: Finding) => number,
): Standing {
  const share = finding !== undefined && paid ? finding.share : 0;
  const left = finding !== undefined && isBad(finding) ? EFFORT_LEFT : 1;
  const effort = rounded(left * (standing.effort + EFFORT_ALPHA * (share - standing.effort)));
  const outcome = finding && outcomeOf(finding, usual(finding));
  if (finding === undefined || outcome === undefined) return { ...standing, effort };
  const judged = standing.judged + 1;
  const gate = rounded(standing.gate + Math.max(GATE_ALPHA, 1 / judged) * (markOf(finding) - standing.gate));
  return { ...standing, ...played(standing, outcome), effort, gate, judged };
}

/** How clearly a payload gains more on the data its peer was dealt than on others: −1 to 1; 0 where it was not judged or may not be. */
function markOf({ fault, copyOf, gainAssigned, gainUnassigned, noise, noiseAssigned }: Finding): number {
  if (fault !== null || copyOf !== null || gainAssigned === null || gainUnassigned === null) return 0;
  const [own, others] = [noiseAssigned ?? 0, noise ?? 0];
  const [more, full] = [gainAssigned - gainUnassigned, MARK_ERRORS * Math.sqrt(own * own + others * others)];
  return full > 0 ? Math.max(-1, Math.min(1, more / full)) : Math.sign(more);
}

/**
 * What is usual in a round for a payload that claims as many tokens, in nats a token: the lower median of the gains of those that claim no more,
 * and at most that of all. So small batches are not measured by large ones, and it takes half of the field to raise it. 0 where nothing was judged.
 */
export function usualGains(findings: readonly Finding[]): (finding: Finding) => number {
  const judged = findings.flatMap(({ share, gainUnassigned, fault, copyOf }) =>
    gainUnassigned === null || fault !== null || copyOf !== null ? [] : [{ share, gain: gainUnassigned }],
  );
  const all = lowerMedian(judged.map(({ gain }) => gain));
  return ({ share }) =>
    Math.min(all, lowerMedian(judged.filter((each) => each.share <= share).map(({ gain }) => gain)));
}

function lowerMedian(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? 0;
}

/**
 * How the game of a payload against nothing ended; undefined where none was played: it was not judged, or not there and not drawn. (Who is
 * drawn is known before payloads are shown: whoever holds his back then, has lost.)
 */
export function outcomeOf(finding: Finding, usual: number): Outcome | undefined {
  const { fault, copyOf, drawn, gainUnassigned: gain, noise } = finding;
  if (fault === ABSENT || (fault === MISSING && !drawn)) return undefined;
  if (fault !== null || copyOf !== null) return "lost";
  if (gain === null) return undefined;
  if (isHarmful(finding)) return "lost";
  if (gain > Math.max(GAIN_FLOOR, BAR * usual)) return "won";
  return usual > certain(noise) ? "lost" : "drawn"; // others' payloads clearly gained on the same data, or nobody's did
}

/** Whether a payload was judged and clearly makes the model worse: at what nobody was dealt, or at the very data that its sender says it learnt from. */
export function isHarmful({ gainAssigned, gainUnassigned, noise, noiseAssigned }: Finding): boolean {
  const isLoss = (gain: number | null, chance: number | null): boolean => gain !== null && gain < -certain(chance);
  return isLoss(gainUnassigned, noise) || isLoss(gainAssigned, noiseAssigned);
}

/** Whether a payload is what no honest peer sends: faulty, a copy, or harmful. One that is not there says nothing. */
function isBad(finding: Finding): boolean {
  const { fault, copyOf } = finding;
  return fault === null ? copyOf !== null || isHarmful(finding) : fault !== MISSING && fault !== ABSENT;
}

/** A gain that is no chance, given its noise. */
const certain = (noise: number | null): number => Math.max(GAIN_FLOOR, SURE * (noise ?? 0));

/** What a peer's weight is made of; all 0 for a uid that has no standing. */
export function factorsOf(standings: Standings, uid: number): Factors {
  const standing = standings.peers.find((each) => each.uid === uid);
  if (standing === undefined) return { quality: 0, effort: 0, gate: 0, conduct: 0, weight: 0 };
  return weigher(standings)(standing);
}

/** Tells what the weight of a peer in these standings is made of. */
function weigher(standings: Standings): (standing: Standing) => Factors {
  const open = gates(standings);
  const most = standings.peers.reduce((games, { judged }) => Math.max(games, judged), 0);
  return (standing) => {
    const { effort } = standing;
    const quality = isOpening(standings.round) ? openingQuality(standing, most) : qualityOf(standing);
    const [gate, conduct] = [gateOf(standing, open(standing)), conductOf(standing)];
    return { quality, effort, gate, conduct, weight: rounded(quality * effort * gate * conduct) };
  };
}

function conductOf({ strikes, banned }: Standing): number {
  return banned === null ? roundedUnit(1 - strikes / STRIKES_OUT) : 0;
}

function gateOf({ gate, judged }: Standing, open: number): number {
  return judged === 0 ? 1 : roundedUnit(1 - (open - gate - GATE_DOUBT / judged) / GATE_SPAN);
}

/** Where the gate of a peer begins to close. */
type Gates = (standing: Standing) => number;

/**
 * Marks depend on the model, the data, the sample, and on the batch: the more sequences a peer has, the less it knows each by heart. So where the
 * marks of those who are known and good and do about as much as it, or more, are weak (upper quartile: up to three of four may cheat), a peer's gate asks
 * for less.
 */
function gates({ peers }: Standings): Gates {
  const known = peers.filter((each) => each.judged >= GATE_KNOWN && qualityOf(each) > 0 && conductOf(each) > 0);
  const isSignal = quantile(known, 1 / 2) >= GATE_SIGNAL;
  return ({ effort }) => {
    if (!isSignal) return GATE_NONE;
    const alike = known.filter((each) => each.effort >= GATE_ALIKE * effort);
    return Math.min(GATE_OPEN, rounded(quantile(alike, 3 / 4) - GATE_BELOW_FIELD));
  };
}

/** The gate that so much of `standings` are below; 0 of none. */
function quantile(standings: readonly Standing[], part: number): number {
  return standings.map(({ gate }) => gate).sort((a, b) => a - b)[Math.floor(part * standings.length)] ?? 0;
}

/** A validator's votes: in proportion to weights, without zeros; none where no weight is positive. */
export function votesOf(standings: Standings): Votes {
  const weigh = weigher(standings);
  const weights = standings.peers.map((standing) => ({ uid: standing.uid, weight: weigh(standing).weight }));
  const best = weights.reduce((most, { weight }) => Math.max(most, weight), 0);
  const votes = weights
    .map(({ uid, weight }) => ({ uid, vote: best > 0 ? Math.round((weight / best) * VOTE_MAX) : 0 }))
    .filter(({ vote }) => vote > 0);
  return { uids: votes.map(({ uid }) => uid), values: votes.map(({ vote }) => vote) };
}

/**
 * Uids whose payloads of this round should move the model, ascending: from the standings before the round and what was found in it. Nothing
 * is wrong with them, they are no copies, did not lose against nothing, and their senders are not excluded; whoever was not judged in this
 * round has proven itself before.
 */
export function backed(before: Standings, findings: readonly Finding[]): number[] {
  const usual = usualGains(findings);
  const uids = welcome(before, findings).flatMap((finding) => {
    const outcome = outcomeOf(finding, usual(finding));
    const isProven = qualityOf(standingOf(before, finding.uid, finding.account)) > 0; // what the opening adds proves nothing
    return outcome === "lost" || (outcome === undefined && !isProven) ? [] : [finding.uid];
  });
  return uids.sort((a, b) => a - b);
}

/** Findings of payloads with which nothing is wrong, by senders who are not excluded. */
function welcome(before: Standings, findings: readonly Finding[]): readonly Finding[] {
  const weigh = weigher(before);
  return findings.filter(({ uid, account, fault, copyOf }) => {
    const { gate, conduct } = weigh(standingOf(before, uid, account));
    return fault === null && copyOf === null && gate > 0 && conduct > 0;
  });
}

/** Uids of payloads that nobody had time to judge, with nothing wrong as far as is known, by senders who have lost no game. */
function unseen(before: Standings, findings: readonly Finding[]): number[] {
  return welcome(before, findings)
    .filter(({ gainUnassigned }) => gainUnassigned === null)
    .filter(({ uid, account }) => isUnbeaten(standingOf(before, uid, account)))
    .map(({ uid }) => uid);
}

/**
 * Whom to judge, ascending: at most `most` of those who committed, drawn by `seed`. Those judged fewer than YOUNG times go first, the least
 * judged before others, but leave half of the places (rounded down) to the rest, so that newcomers in masses give nobody peace; who is out for
 * good is not drawn.
 */
export function judgedUids(
  before: Standings,
  commits: readonly { readonly uid: number; readonly account: string }[],
  most: number,
  seed: string,
): number[] {
  const byGames: number[][] = Array.from({ length: YOUNG + 1 }, () => []);
  for (const { uid, account } of commits) {
    const standing = standingOf(before, uid, account);
    if (standing.banned === null) byGames[Math.min(standing.judged, YOUNG)]?.push(uid);
  }
  const old = byGames.pop() ?? [];
  let places = most - Math.min(old.length, Math.floor(most / 2));
  const drawn: number[] = [];
  for (const [games, uids] of byGames.entries()) {
    const some = drawPeers(uids, places, `${seed} ${games}`);
    drawn.push(...some);
    places -= some.length;
  }
  return [...drawn, ...drawPeers(old, most - drawn.length, seed)].sort((a, b) => a - b);
}

/**
 * Whether the world, not the peers, failed: more than half of the payloads of those who have a weight (of all, where fewer than two have), and at
 * least two, are missing. Such a round counts against nobody.
 */
export function isSuspended(before: Standings, findings: readonly Finding[]): boolean {
  const committed = findings.filter(({ fault }) => fault !== ABSENT);
  const weigh = weigher(before);
  const proven = committed.filter(({ uid, account }) => weigh(standingOf(before, uid, account)).weight > 0);
  const among = proven.length >= 2 ? proven : committed;
  const missing = among.filter(({ fault }) => fault === MISSING).length;
  return missing >= 2 && 2 * missing > among.length;
}
