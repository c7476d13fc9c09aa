/** Ratings: smoothed, bound to accounts, never paying for what is not positive; their bytes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionError } from "../base/assert.ts";
import { fromUtf8, utf8 } from "../base/bytes.ts";
import { NATS_MAX, RATINGS_BYTES_MAX, RUN_UIDS_MAX } from "../base/limits.ts";
import { isRounded, rounded } from "./fields.ts";
import {
  decodeRatings,
  encodeRatings,
  NO_RATINGS,
  type RatedRound,
  type Ratings,
  rateRound,
  weightsOf,
} from "./rating.ts";

const account = (n: number): string => `0x${n.toString(16).padStart(64, "0")}`;
const ACCOUNTS = [account(10), account(11), account(12)];
const valuesOf = ({ peers }: Ratings): number[] => peers.map(({ value }) => value);

/** Ratings after rounds of these gains; undefined: not judged. */
function rated(rounds: readonly (readonly (number | null | undefined)[])[], from = NO_RATINGS): Ratings {
  return rounds.reduce((ratings, gains, i): Ratings => {
    const results = gains.flatMap((gain, uid) => (gain === undefined ? [] : [{ uid, gain }]));
    return rateRound(ratings, { round: from.round + 1 + i, accounts: ACCOUNTS, results });
  }, from);
}

describe("rateRound", () => {
  it("moves a fifth of the way to each round's gain, from zero", () => {
    expect(rated([[1, -1, 0.5]])).toEqual({
      round: 0,
      peers: [
        { uid: 0, account: account(10), value: 0.2, rounds: 1 },
        { uid: 1, account: account(11), value: -0.2, rounds: 1 },
        { uid: 2, account: account(12), value: 0.1, rounds: 1 },
      ],
    });
    expect(valuesOf(rated([[1], [1], [0]]))).toEqual([0.288]);
  });

  it("takes an absent or faulty payload for a gain of zero, and leaves alone whom it did not judge", () => {
    const two = rated([[1, 1, 1]]);
    const three = rated([[null, undefined, 1]], two);
    expect(valuesOf(three)).toEqual([0.16, 0.2, 0.36]);
    expect(three.peers.map(({ rounds }) => rounds)).toEqual([2, 1, 2]);
    expect(valuesOf(rated([[null]]))).toEqual([0]);
  });

  it("forgets who lost the uid at once, judged or not, and begins anew with who has it", () => {
    const before = rated([[1, 1, 1]]);
    const accounts = [account(99), account(11), account(98)];
    const next = rateRound(before, { round: 1, accounts, results: [{ uid: 0, gain: 1 }] });
    expect(next.peers).toEqual([
      { uid: 0, account: account(99), value: 0.2, rounds: 1 },
      { uid: 1, account: account(11), value: 0.2, rounds: 1 },
    ]);
    expect(rateRound(before, { round: 1, accounts: [], results: [] }).peers).toEqual([]);
  });

  it("counts a round once", () => {
    const once = rated([[1, 1, 1]]);
    const again = { round: 0, accounts: ACCOUNTS, results: [{ uid: 0, gain: 9 }] };
    expect(rateRound(once, again)).toEqual(once);
  });

  it("gives nothing for registering anew: a returning account is below one that stayed", () => {
    const round = (from: Ratings, round: number, accounts: string[]): Ratings =>
      rateRound(from, { round, accounts, results: accounts.map((_, uid) => ({ uid, gain: 1 })) });
    const stayed = [0, 1, 2].reduce((ratings, r) => round(ratings, r, [account(1), account(2)]), NO_RATINGS);
    const { peers } = round(stayed, 3, [account(1), account(3)]);
    expect(peers[1]?.value).toBeLessThan((peers[0]?.value ?? 0) / 2);
  });

  it("is bounded whatever the gains, and follows from published numbers", () => {
    const gain = fc.option(fc.double());
    fc.assert(
      fc.property(fc.array(fc.tuple(gain, gain, gain), { maxLength: 20 }), (rounds) => {
        const ratings = rated(rounds);
        expect(ratings.peers.every(({ value }) => isRounded(value) && Math.abs(value) <= NATS_MAX)).toBe(true);
        const published = rounds.map((gains) => gains.map((each) => (each === null ? null : rounded(each))));
        expect(rated(published)).toEqual(ratings);
      }),
    );
  });

  it("refuses its own callers' mistakes", () => {
    const bad: RatedRound[] = [
      { round: -1, accounts: ACCOUNTS, results: [] },
      { round: 0, accounts: ACCOUNTS, results: [{ uid: 3, gain: 1 }] },
      {
        round: 0,
        accounts: ACCOUNTS,
        results: [
          { uid: 1, gain: 1 },
          { uid: 1, gain: 1 },
        ],
      },
      { round: 0, accounts: new Array(RUN_UIDS_MAX + 1).fill(account(1)), results: [] },
    ];
    for (const round of bad) expect(() => rateRound(NO_RATINGS, round)).toThrow(AssertionError);
  });
});

describe("weightsOf", () => {
  it("votes in proportion, for the positive only", () => {
    expect(weightsOf(rated([[1, -1, 0.5]]))).toEqual({ uids: [0, 2], values: [65_535, 32_768] });
    expect(weightsOf(rated([[0, -1, null]]))).toEqual({ uids: [], values: [] });
    expect(weightsOf(NO_RATINGS)).toEqual({ uids: [], values: [] });
    expect(weightsOf(rated([[5, 0.000_005, 0.000_01]])).uids).toEqual([0]); // too little to be said in 16 bits
  });

  it("never pays for what is not positive, whatever happened", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.option(fc.double({ max: 0 })), { maxLength: 3 }), { maxLength: 12 }),
        (rounds) => {
          expect(weightsOf(rated(rounds)).uids).toEqual([]);
        },
      ),
    );
  });
});

const ratingsArbitrary: fc.Arbitrary<Ratings> = fc
  .uniqueArray(fc.nat(RUN_UIDS_MAX - 1), { maxLength: 20 })
  .chain((uids) =>
    fc.record({
      round: fc.integer({ min: -1, max: 2 ** 31 }),
      peers: fc.tuple(
        ...uids
          .sort((a, b) => a - b)
          .map((uid) =>
            fc.record({
              uid: fc.constant(uid),
              account: fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }).map((n) => `0x${n.toString(16).padStart(64, "0")}`),
              value: fc.double({ noNaN: true }).map(rounded),
              rounds: fc.maxSafeNat(),
            }),
          ),
      ),
    }),
  );

describe("ratings on disk", () => {
  it("are read back as they were", () => {
    fc.assert(
      fc.property(ratingsArbitrary, (ratings) => {
        expect(decodeRatings(encodeRatings(ratings))).toEqual(ratings);
      }),
    );
    const full = {
      round: 2 ** 53 - 1,
      peers: Array.from({ length: RUN_UIDS_MAX }, (_, uid) => ({
        uid,
        account: account(uid),
        value: -99.123457,
        rounds: 2 ** 53 - 1,
      })),
    };
    expect(encodeRatings(full).length).toBeLessThan(RATINGS_BYTES_MAX);
    expect(decodeRatings(encodeRatings(full))).toEqual(full);
  });

  it("are undefined for any other bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => decodeRatings(bytes) === undefined));
    fc.assert(fc.property(fc.json(), (json) => decodeRatings(utf8(json)) === undefined));
    expect(decodeRatings(new Uint8Array(RATINGS_BYTES_MAX + 1).fill(0x20))).toBeUndefined();
    expect(decodeRatings(utf8("[".repeat(60_000)))).toBeUndefined();
  });

  it("are undefined where anything is changed that has no place in them", () => {
    const text = fromUtf8(encodeRatings(rated([[1, -1, 0.5]])));
    const changes: [string, string][] = [
      ['"uid":1', '"uid":0'],
      ['"uid":2', '"uid":256'],
      ['"uid":0', '"uid":-0'],
      ['"value":0.2', '"value":0.20000001'],
      ['"value":0.2', '"value":1e9'],
      ['"value":0.2', '"value":"0.2"'],
      ['"value":0.2', '"value":null'],
      ['"rounds":1', '"rounds":1.5'],
      ['"rounds":1', '"rounds":1,"more":1'],
      ['"round":0', '"round":-2'],
      ["0x0", "0X0"],
      ["{", " {"],
      ['"peers":[', '"peers":[null,'],
      ['"peers":', '"__proto__":{"a":1},"peers":'],
    ];
    for (const [from, to] of changes) {
      expect(text, from).toContain(from);
      expect(decodeRatings(utf8(text.replace(from, to))), `${from} → ${to}`).toBeUndefined();
    }
  });
});
