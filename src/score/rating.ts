/**
 * Ratings: what a validator thinks of each peer, smoothed over rounds, and the votes that follow from it. A rating is an exponential moving
 * average of gains on unassigned data; a round in which a payload was due and none came, or a faulty one, counts as a gain of zero.
 *
 * A rating belongs to an account, not to a uid: whoever takes over a uid, or comes back under another key, begins at zero. And all begin
 * there, so a newcomer's vote grows over the first rounds, and registering anew gains nothing over staying. A rating that is not
 * positive is worth nothing, whatever is multiplied with it later (templar#108 paid for two negatives).
 */
import { assert } from "../base/assert.ts";
import { equalBytes, utf8 } from "../base/bytes.ts";
import { fieldsIn, isAccount, isCount, jsonIn } from "../base/json.ts";
import { RATINGS_BYTES_MAX, RUN_UIDS_MAX } from "../base/limits.ts";
import { canonicalJson } from "../data/shards/canonical.ts";
import { isRounded, rounded } from "./fields.ts";

/** Share of the newest round in a rating. */
export const RATING_ALPHA = 0.2;

/** Largest vote. */
const VOTE_MAX = 65_535;

/** One peer's standing. */
export interface Rating {
  readonly uid: number;
  /** Its hotkey's account, `0x` and 64 hex digits. */
  readonly account: string;
  /** Smoothed gain in nats a token, in millionths. */
  readonly value: number;
  /** Rounds that went into it. */
  readonly rounds: number;
}

/** What a validator keeps between rounds; plain JSON. */
export interface Ratings {
  /** The newest round that is in it; −1 before the first. */
  readonly round: number;
  /** By uid, ascending. */
  readonly peers: readonly Rating[];
}

/** What a round adds. */
export interface RatedRound {
  readonly round: number;
  /** Account of each uid as of now; a rating of any other account is forgotten. */
  readonly accounts: readonly string[];
  /** Each uid at most once. `gain` on unassigned data; null where a payload was due and was absent or faulty. Those not judged are left out. */
  readonly results: readonly { readonly uid: number; readonly gain: number | null }[];
}

/** Votes for uids, as the chain takes them. */
export interface Votes {
  readonly uids: readonly number[];
  /** 1 to 65535, the best has 65535. */
  readonly values: readonly number[];
}

/** Ratings before the first round. */
export const NO_RATINGS: Ratings = { round: -1, peers: [] };

/** The ratings after a round. A round that is in them already, or an older one, changes nothing. */
export function rateRound(
  ratings: Ratings,
  { round, accounts, results }: RatedRound,
  alpha: number = RATING_ALPHA,
): Ratings {
  assert(Number.isSafeInteger(round) && round >= 0, `${round} is no round`);
  assert(accounts.length <= RUN_UIDS_MAX, `${accounts.length} uids are too many`);
  assert(new Set(results.map(({ uid }) => uid)).size === results.length, "a uid was judged twice");
  assert(
    results.every(({ uid }) => accounts[uid] !== undefined),
    "a uid was judged that nobody holds",
  );
  if (round <= ratings.round) return ratings;
  const gains = new Map(results.map(({ uid, gain }) => [uid, gain]));
  const known = new Map(ratings.peers.map((rating) => [rating.uid, rating]));
  const peers = accounts.flatMap((account, uid): Rating[] => {
    const last = known.get(uid);
    const own = last?.account === account ? last : undefined;
    const gain = gains.get(uid);
    if (gain === undefined) return own ? [own] : [];
    const { value, rounds } = own ?? { value: 0, rounds: 0 };
    return [{ uid, account, value: rounded(value + alpha * (rounded(gain ?? 0) - value)), rounds: rounds + 1 }];
  });
  return { round, peers };
}

/** A validator's votes: in proportion to ratings, only for positive ones; none where there is none. */
export function weightsOf({ peers }: Ratings): Votes {
  const best = peers.reduce((most, { value }) => Math.max(most, value), 0);
  const votes = peers
    .filter(({ value }) => value > 0)
    .map(({ uid, value }) => ({ uid, vote: Math.round((value / best) * VOTE_MAX) }))
    .filter(({ vote }) => vote > 0);
  return { uids: votes.map(({ uid }) => uid), values: votes.map(({ vote }) => vote) };
}

/** Ratings as bytes for a disk, in one form: canonical JSON. */
export function encodeRatings({ round, peers }: Ratings): Uint8Array {
  const entries = peers.map(({ uid, account, value, rounds }) => ({ uid, account, value, rounds }));
  return utf8(canonicalJson({ round, peers: entries }, "finite"));
}

/** What `encodeRatings` wrote; undefined for any other bytes. Never throws. */
export function decodeRatings(bytes: Uint8Array): Ratings | undefined {
  if (bytes.length > RATINGS_BYTES_MAX) return undefined;
  const ratings = ratingsOf(fieldsIn(jsonIn(bytes)));
  return ratings && equalBytes(encodeRatings(ratings), bytes) ? ratings : undefined;
}

function ratingsOf(json: ReadonlyMap<string, unknown>): Ratings | undefined {
  const [round, list] = [json.get("round"), json.get("peers")];
  if (!(isCount(round) || round === -1) || !Array.isArray(list) || list.length > RUN_UIDS_MAX) return undefined;
  const peers: Rating[] = [];
  for (const each of list) {
    const fields = fieldsIn(each);
    const [uid, account] = [fields.get("uid"), fields.get("account")];
    const [value, rounds] = [fields.get("value"), fields.get("rounds")];
    if (!isCount(uid) || uid >= RUN_UIDS_MAX || uid <= (peers.at(-1)?.uid ?? -1)) return undefined;
    if (!isAccount(account) || !isRounded(value) || !isCount(rounds)) return undefined;
    peers.push({ uid, account, value, rounds });
  }
  return { round, peers };
}
