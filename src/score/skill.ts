/**
 * How reliably a peer is better than nothing: its rating in a row of games against a contestant that does nothing, by OpenSkill
 * (Plackett–Luce; Weng and Lin, JMLR 12, 2011).
 *
 * Departures from Gauntlet, where all judged peers of a round run one race: a game of two, against an opponent whose rating never changes.
 * In a race of n the newcomer's steps shrink with √n, an honest peer that is always last of the good ones sinks, and every stranger who
 * loses lifts the others; here a peer's rating follows from its own games only. And what can be stored up is bounded, so that who turns
 * bad after a thousand good rounds falls as fast as anybody.
 */
import { rate } from "openskill";
import { must } from "../base/assert.ts";
import { rounded, roundedUnit } from "./fields.ts";

/** A rating: a guess μ and its uncertainty σ, in OpenSkill's units, rounded to millionths. */
export interface Skill {
  readonly mu: number;
  readonly sigma: number;
}

/** How a game ended for the peer. */
export type Outcome = "won" | "drawn" | "lost";

/** The rating of whoever was never judged; its μ is also that of nothing. */
export const NEW_SKILL: Skill = { mu: 25, sigma: rounded(25 / 3) };
/** The opponent: does nothing, and is known to. */
const NOTHING: Skill = { mu: NEW_SKILL.mu, sigma: 0 };
/** How much chance there is in one game. */
const BETA = 25 / 6;
/** Uncertainty that comes with every game: nobody is ever certain. */
const TAU = 1;
/** How far from nothing a rating gets, up or down. */
const REACH = 12;
/** Standard errors that are taken off a rating, and where it counts in full after that. */
const DOUBT = 0.5;
const SPAN = 6;

/** The rating after a game against nothing. */
export function played({ mu, sigma }: Skill, outcome: Outcome): Skill {
  const rank = { won: [1, 2], drawn: [1, 1], lost: [2, 1] }[outcome];
  const [team] = rate([[{ mu, sigma }], [NOTHING]], { rank, beta: BETA, tau: TAU });
  const peer = must(team?.[0], "a rating for each contestant");
  const [low, high] = [NEW_SKILL.mu - REACH, NEW_SKILL.mu + REACH];
  return { mu: rounded(Math.max(low, Math.min(high, peer.mu))), sigma: rounded(peer.sigma) };
}

/** How sure it is that a peer is better than nothing: 0 (it may well not be) to 1. */
export function qualityOf({ mu, sigma }: Skill): number {
  return roundedUnit((mu - DOUBT * sigma - NOTHING.mu) / SPAN);
}
