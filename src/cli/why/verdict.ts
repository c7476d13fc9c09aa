/**
 * The answer in words: what a peer's weight is, which factor costs it most, why, and what to do about it. As the validator with the most stake sees
 * it; where others differ, the tables show how. Pure.
 */

import type { Neuron } from "../../chain/chain.ts";
import { played, qualityOf } from "../../score/skill.ts";
import { BAR, type Factors, type Finding, type Standing } from "../../score/standing.ts";
import { count } from "../shared/terminal.ts";
import { troubleOf } from "../status/peer.ts";
import type { Inquiry, Witness } from "./gather.ts";
import { PAST_ROUNDS, pastOf, type Tally, tallyOf } from "./past.ts";

/** The answer. */
export interface Verdict {
  /** What it comes down to; for machines. */
  readonly kind: "validator" | "unreported" | "unseen" | "banned" | "conduct" | "gate" | "quality" | "effort" | "full";
  /** One line. */
  readonly headline: string;
  /** Sentences. */
  readonly reasons: readonly string[];
  readonly advice: readonly string[];
}

type FactorName = Exclude<keyof Factors, "weight">;

const U16_MAX = 65_535;

/** A factor from here on costs nothing worth telling. */
const FULL = 0.95;

/** The witness whose word is told: of those who know the peer the one with the most stake. */
export function leadOf({ witnesses }: Pick<Inquiry, "witnesses">): Witness | undefined {
  return witnesses.find(({ seen }) => seen.standing !== undefined || seen.finding !== undefined) ?? witnesses[0];
}

/** The answer to an inquiry. `factors`: of the peer, in the lead's report. */
export function verdictOf(inquiry: Inquiry, factors: Factors): Verdict {
  const { peer, witnesses } = inquiry;
  const name = `uid ${peer.uid}`;
  const lead = leadOf(inquiry);
  const { standing, finding } = lead?.seen ?? {};
  if (peer.permit && peer.stake > 0n && standing === undefined) return validatorVerdict(name, peer);
  if (witnesses.length === 0) return unreported(name, inquiry);
  if (lead === undefined || standing === undefined) return unseen(name, finding);
  if (standing.banned !== null) return bannedVerdict(name, standing.banned);
  const tally = tallyOf(pastOf(lead, peer));
  const [worst, value] = worstOf(factors);
  const weight = factors.weight.toFixed(2);
  if (value >= FULL) return fullVerdict(name, weight, troubleOf({ finding, standing }));
  const headline =
    factors.weight === 0
      ? `${name} has no weight, and is paid nothing: its ${worst} is 0.`
      : `${name} has a weight of ${weight}, of 1 at most. What costs it most is its ${worst}: ${value.toFixed(2)}.`;
  const known = { standing, finding, tally, value };
  const [faults, own] = [faultWords(known), WORDS[worst](known)];
  const advice = [...new Set([...faults.advice, ...own.advice])];
  return {
    ...{ kind: worst, headline },
    reasons: [...faults.reasons, ...own.reasons, ...othersBelow(factors, worst)],
    advice: advice.length === 0 ? ["keep it running"] : advice,
  };
}

/** The factor that costs most; of equals the one that the others follow from. */
function worstOf(factors: Factors): readonly [FactorName, number] {
  const names = ["conduct", "quality", "gate", "effort"] as const;
  const least = Math.min(...names.map((name) => factors[name]));
  const worst = names.find((name) => factors[name] === least) ?? "effort";
  return [worst, least];
}

/** The other factors that cost something. */
function othersBelow(factors: Factors, worst: FactorName): string[] {
  const names = ["quality", "effort", "gate", "conduct"] as const;
  const below = names.filter((name) => name !== worst && factors[name] < FULL);
  if (below.length === 0 || factors.weight === 0) return [];
  return [`Also below 1: ${below.map((name) => `${name} ${factors[name].toFixed(2)}`).join(", ")}.`];
}

function validatorVerdict(name: string, { vtrust }: Neuron): Verdict {
  const kept = (100 * vtrust) / U16_MAX;
  return {
    kind: "validator",
    headline: `${name} validates: it is not judged, and earns dividends, not incentive.`,
    reasons: [
      "Dividends follow its stake, and how early its weights say what the consensus then says.",
      `Of its weights the consensus kept ${kept.toFixed(0)} % in the last epoch.`,
    ],
    advice: [],
  };
}

function unreported(name: string, { silent }: Inquiry): Verdict {
  const who =
    silent.length === 0
      ? "Nobody validates this run."
      : `There ${silent.length === 1 ? "is 1 validator" : `are ${count(silent.length)} validators`}.`;
  return {
    kind: "unreported",
    headline: `No validator has published a report yet, so nothing is known of ${name}.`,
    reasons: [who, "The first reports come at the end of the first round."],
    advice: ["ask again after a round; `skein status` says how long that takes"],
  };
}

function unseen(name: string, finding: Finding | undefined): Verdict {
  const trouble = finding && troubleOf({ finding });
  return {
    kind: "unseen",
    headline: `No validator has a word on ${name} under its present hotkey.`,
    reasons: [
      trouble === undefined
        ? "It has not committed a payload that anybody has reported on."
        : `What was found of it counts for nothing yet: ${trouble}.`,
    ],
    advice: ["if it was started just now, wait for a round or two", "if not, its own output says why it sends nothing"],
  };
}

function bannedVerdict(name: string, why: string): Verdict {
  return {
    kind: "banned",
    headline: `${name} is banned, and is paid nothing any more: ${why}.`,
    reasons: ["A validator has replayed a part of its work, and it did not come to what was committed."],
    advice: [
      "the ban stays with this hotkey; whoever registers anew begins at nothing",
      "before that, find out what differs: `skein doctor` checks memory and engine, and only an unmodified skein is sure to replay",
    ],
  };
}

function fullVerdict(name: string, weight: string, trouble: string | undefined): Verdict {
  const now = trouble === undefined ? [] : [`Its newest round was not as good, and begins to cost it: ${trouble}.`];
  return {
    kind: "full",
    headline: `Nothing holds ${name} back: its weight is ${weight}, of 1 at most.`,
    reasons: [...now, "Peers with the same weight are paid the same; the more of them there are, the less each gets."],
    advice: [],
  };
}

interface Words {
  readonly reasons: string[];
  readonly advice: string[];
}

interface Known {
  readonly standing: Standing;
  readonly finding: Finding | undefined;
  readonly tally: Tally;
  readonly value: number;
}

const WORDS: Readonly<Record<FactorName, (known: Known) => Words>> = {
  conduct: ({ standing }) => ({
    reasons: [
      `It has left ${count(standing.strikes)} ${standing.strikes === 1 ? "challenge" : "challenges"} unanswered: it was asked to show a part of its work, and did not in time.`,
    ],
    advice: [
      "keep it running between rounds, and let its uploads through: the answer must be there before the next round is revealed",
      "each challenge that it passes takes one strike away",
    ],
  }),
  gate: ({ standing }) => ({
    reasons: [
      "Its payloads help on text that it was not given more than on text that it was: as if it had trained on other data.",
      `How clearly its own text comes out ahead, on average: ${standing.gate.toFixed(2)}, from -1 to 1. Who trains on it stays clearly above 0.`,
    ],
    advice: ["train on what the round assigns and on nothing else: an unmodified `skein join` does"],
  }),
  quality: qualityWords,
  effort: effortWords,
};

/** What was wrong with its payloads, which every factor suffers from. */
function faultWords({ finding, tally }: Known): Words {
  const { sent, judged, copies, harmful, poor, faults } = tally;
  const of = (n: number): string =>
    sent === 1
      ? "Its last payload"
      : n === sent
        ? `All of its last ${count(n)} payloads`
        : `${count(n)} of its last ${count(sent)} payloads`;
  const among = (n: number): string =>
    judged === 1 ? "The one that was" : `${count(n)} of ${count(judged)} that were`;
  const reasons: string[] = [];
  const advice: string[] = [];
  if (copies > 0) {
    const last = finding?.copyOf ? ` The newest ${troubleOf({ finding })}.` : "";
    reasons.push(`${of(copies)} repeated others.${last} A copy is worth nothing, however good what it repeats.`);
    advice.push("let it send what its own training gave, and nothing else");
  }
  for (const [fault, times] of faults) {
    reasons.push(`${of(times)} could not be used: ${fault}.`);
    advice.push(adviceOn(fault));
  }
  if (harmful > 0) {
    reasons.push(`${among(harmful)} judged made the model worse on text that nobody trains on.`);
    advice.push("start it with --replay, which recomputes the run's params; `skein doctor` checks memory and engine");
  }
  if (poor > 0) {
    const bar = `${Math.round(100 * BAR)} %`;
    reasons.push(`${among(poor)} judged gained less than ${bar} of what is usual for so many tokens.`);
    advice.push("send what the training gave and nothing else; a larger batch gives a clearer direction");
  }
  return { reasons, advice };
}

function qualityWords({ standing, tally, value }: Known): Words {
  const { copies, harmful, poor, faults } = tally;
  const games = gamesToFull(standing);
  const more = `${count(games)} good ${games === 1 ? "judgement" : "judgements"} more`;
  const isSound = copies + harmful + poor + faults.length === 0;
  const reasons: string[] = [];
  if (standing.judged === 0 && isSound)
    reasons.push("Nobody has judged its work yet, so nothing is known of it. Newcomers are judged before others.");
  else if (value < 1 && isSound) reasons.push("It has not been judged often enough for anybody to be sure of it.");
  if (games > 0 && value < 1) reasons.push(`After ${more} its quality counts in full.`);
  return { reasons, advice: [] };
}

const GAMES_MAX = 100;

/** Games in a row that a peer must win until its quality is full. */
function gamesToFull(standing: Pick<Standing, "mu" | "sigma">): number {
  let skill = { mu: standing.mu, sigma: standing.sigma };
  for (let games = 0; games < GAMES_MAX; games++) {
    if (qualityOf(skill) >= 1) return games;
    skill = played(skill, "won");
  }
  return GAMES_MAX;
}

function adviceOn(fault: string): string {
  switch (fault) {
    case "missing":
      return "its uploads come too late or not at all: smaller batches (--batch) leave more time, or a better line to the gateway";
    case "wrong base":
      return "it trains from other params than the run's: start it with --replay";
    default:
      return "run the unmodified skein that the run was made for: it sends what others cannot accept";
  }
}

/** By how much effort must be about to rise to be worth telling. */
const RISE_MIN = 0.05;

function effortWords({ tally, value }: Known): Words {
  const { rounds, sent, share, unbacked, pace } = tally;
  const reasons: string[] = [];
  const advice: string[] = [];
  if (sent < rounds) {
    const missed = `${count(rounds - sent)} of the last ${count(rounds)} rounds`;
    reasons.push(`It sent nothing in ${missed}; a missed round counts as no work.`);
    advice.push("keep it running; if it is too slow to commit in time, smaller batches help (--batch)");
  }
  if (unbacked > 0) {
    const many = `${count(unbacked)} sound ${unbacked === 1 ? "payload was" : "payloads were"} not backed`;
    reasons.push(`${many}: whoever is not proven yet is backed only when it is judged.`);
  }
  if (sent > 0 && share < FULL) {
    const part = `${Math.round(100 * share)} %`;
    reasons.push(`It trains on ${part} of the tokens that a peer may in a round, and is paid in proportion.`);
    advice.push("let it do more: a larger --batch if it was limited, more --threads, or a faster machine");
  }
  if (pace > value + RISE_MIN) {
    const end = pace.toFixed(2);
    reasons.push(`Effort is smoothed over about ${PAST_ROUNDS} rounds: as it works now, it will come to ${end}.`);
  }
  return { reasons, advice };
}
