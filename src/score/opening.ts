/**
 * The opening of a run: everybody is a stranger, and where there are more of them than a validator judges in a round, chance decides who is judged
 * first. Nobody is to be paid less for that. So in the first rounds whoever has won all games that it was let play counts as if it had won as many as
 * anybody has played, and work that nobody looked at counts as work (docs/protocol/score.md, 3).
 *
 * Why validators do not simply wait with their weights until everybody is known: as long as there are none, the chain shares out all emission by stake,
 * so nothing would wait for the trainers, and validators would earn by waiting.
 */
import { qualityOf, type Skill } from "./skill.ts";

/** Rounds that are the opening. */
export const OPENING_ROUNDS = 12;
/** μ after so many games that were all won, and the quality that follows: literally, so that no engine's exponential decides a vote. */
export const WON_MU: readonly number[] = [25, 28.418398, 31.015131, 33.029873, 34.63853];
export const WON_QUALITY: readonly number[] = [0, 0, 0.388244, 0.752644, 1];
/** Games after which there is nothing left to make up for. */
const GAMES_FULL = WON_QUALITY.length - 1;
/** By how much ratings of two engines differ at most, in millionths: 2. */
const SLACK = 0.000003;

/** A rating, and the games that it comes from. */
type Rated = Skill & { readonly judged: number };

/** Whether the standings after `round` are those of the opening. */
export function isOpening(round: number): boolean {
  return round < OPENING_ROUNDS;
}

/** Quality in the opening, in a field of which somebody has played `most` games. */
export function openingQuality(rated: Rated, most: number): number {
  const own = qualityOf(rated);
  const isBehind = rated.judged > 0 && most <= 2 * rated.judged + 1; // by chance; who has far fewer games came later
  return isBehind && isUnbeaten(rated) ? Math.max(own, WON_QUALITY[Math.min(most, GAMES_FULL)] ?? 0) : own;
}

/** Whether a rating comes from games that were all won, none among them; false where there were so many that it makes no difference. */
export function isUnbeaten({ mu, judged }: Rated): boolean {
  const won = WON_MU[judged];
  return won !== undefined && mu >= won - SLACK;
}
