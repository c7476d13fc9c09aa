/**
 * Which payloads are challenged, and for which part of their work. Drawn from a block hash that nobody knew before the payloads were promised, so the
 * same for everybody: a peer needs no message to learn that it is asked, and a validator none to learn what to wait for.
 */
import { utf8 } from "../../base/bytes.ts";
import { sha256 } from "../../base/hash.ts";

/** What a run fixes about challenges. */
export interface ChallengeRule {
  /** Spans S into which a round's steps are cut. */
  readonly spans: number;
  /** Payloads of a thousand that are challenged. */
  readonly perMille: number;
}

/**
 * A hotkey's first rounds in a run, and how many times oftener it is challenged in them. Who cheats from the beginning is found out within a few
 * rounds instead of a few dozen, and whoever comes back under a new name begins anew; over a run of hundreds of rounds it costs next to nothing.
 */
export const YOUNG_ROUNDS = 20;
export const YOUNG_FACTOR = 6;

/** Payloads of a thousand that are challenged of a hotkey which has been there for `age` rounds. */
export function challengeRate({ perMille }: Pick<ChallengeRule, "perMille">, age: number): number {
  return Math.min(1000, age < YOUNG_ROUNDS ? YOUNG_FACTOR * perMille : perMille);
}

/**
 * The part of its work that the payload of `uid` is challenged for: a span, 0 to S − 1, or S, the compression; undefined where it is not challenged. `seed`
 * belongs to the round, `age` to the hotkey (rounds that it has been there). Both draws are 32 bits of a hash, modulo: some parts are likelier than
 * others by a hundred-millionth.
 */
export function challengedPart(seed: string, uid: number, rule: ChallengeRule, age: number): number | undefined {
  const hash = sha256(utf8(`skein challenge ${seed} ${uid}`));
  const lots = new DataView(hash.buffer, hash.byteOffset);
  const isChallenged = lots.getUint32(0, true) % 1000 < challengeRate(rule, age);
  return isChallenged ? lots.getUint32(4, true) % (rule.spans + 1) : undefined;
}
