/** Standing: every factor within 0 to 1, nothing bad made good, nothing stored up, nobody harmed by strangers, and fields of peers as measured. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ACCOUNTS,
  accountOf,
  counted,
  faulty,
  findingOf,
  rounds,
  standings,
  times,
  unjudged,
} from "../../test/helpers/findings.ts";
import { rounded } from "./fields.ts";
import {
  ABSENT,
  backed,
  type Factors,
  type Finding,
  factorsOf,
  isSuspended,
  judgedUids,
  MISSING,
  NO_STANDINGS,
  type Standing,
  type Standings,
  standingsAfter,
  votesOf,
} from "./standing.ts";

const NAMES = ["quality", "effort", "gate", "conduct"] as const;
const peerIn = ({ peers }: Standings, uid: number): Standing => peers.find((each) => each.uid === uid) as Standing;
const weightIn = (all: Standings, uid: number): number => factorsOf(all, uid).weight;
const refuted = { round: 1, part: 2, verdict: "refuted", reason: "other state" } as const;
const unanswered = { round: 1, part: 2, verdict: "unanswered", reason: null } as const;
const passed = { ...unanswered, verdict: "passed" } as const;

/** Any standings of uids 0 to 11. */
const anyStandings: fc.Arbitrary<Standings> = fc
  .subarray(ACCOUNTS.slice(0, 12).map((_, uid) => uid))
  .chain((uids) => fc.tuple(...uids.map(standings)))
  .map((peers) => ({ round: 6, peers }));

describe("a weight", () => {
  it("is a product of factors from 0 to 1, so a bad one is never made good", () => {
    fc.assert(
      fc.property(anyStandings, (all) => {
        for (const { uid } of all.peers) {
          const factors = factorsOf(all, uid);
          for (const value of Object.values(factors)) expect(value >= 0 && value <= 1).toBe(true);
          expect(factors.weight).toBeCloseTo(factors.quality * factors.effort * factors.gate * factors.conduct, 5);
          for (const name of NAMES) expect(factors.weight).toBeLessThanOrEqual(factors[name]);
        }
      }),
    );
    expect(factorsOf(NO_STANDINGS, 0)).toEqual({ quality: 0, effort: 0, gate: 0, conduct: 0, weight: 0 });
  });

  it("is never there for who sent nothing but bad payloads, in whatever order", () => {
    const bad = fc.constantFrom<Partial<Finding>>(
      { gainUnassigned: -0.02, gainAssigned: -0.03 }, // both negative, and their difference
      { gainUnassigned: -0.02, gainAssigned: 0.05 },
      { gainUnassigned: 0, gainAssigned: 0, noise: 0, noiseAssigned: 0 },
      { gainUnassigned: 0.000001, gainAssigned: 0.000002, noise: 0, noiseAssigned: 0 }, // templar#592
      { gainUnassigned: 0.0005, gainAssigned: 0.0005, noise: 0.00001 },
      { copyOf: { uid: 0, round: 3, likeness: 0.9 } },
      { fault: "wrong base", share: 0 },
      { audit: unanswered, copyOf: { uid: 0, round: 3, likeness: 0.9 } },
    );
    fc.assert(
      fc.property(fc.array(bad, { maxLength: 20 }), (story) => {
        const all = counted(story.map((facts) => [findingOf(0), findingOf(1), findingOf(2), findingOf(3, facts)]));
        expect(weightIn(all, 3)).toBe(0);
        expect(votesOf(all).uids).not.toContain(3);
      }),
    );
  });

  it("comes to a newcomer within five judgements, and follows the tokens it trains on, not its rank", () => {
    const field = [1, 1, 0.5, 0.5, 0.25, 0.125].map((share, uid) => {
      const gain = 0.02 * Math.sqrt(share);
      return findingOf(uid, { share, gainUnassigned: gain, gainAssigned: gain + 0.01 });
    });
    expect(votesOf(counted([field])).uids).toEqual([]);
    expect(votesOf(counted(times(2, field))).values).toEqual([65_535, 65_535, 32_768, 32_768, 16_384, 8192]);
    for (const { uid } of field) expect(factorsOf(counted(times(4, field)), uid).quality).toBe(1);
    expect(votesOf(counted(times(200, field))).values).toEqual([65_535, 65_535, 32_767, 32_767, 16_384, 8192]);
  });

  it("falls within four rounds for who turns bad, however long it was good", () => {
    const others = [findingOf(0), findingOf(1), findingOf(2)];
    const good = counted(times(100, [...others, findingOf(3)]));
    for (const facts of [
      { gainUnassigned: -0.02, gainAssigned: -0.01 },
      { copyOf: { uid: 0, round: 1, likeness: 0.9 } },
      { fault: "wrong base", share: 0 },
    ]) {
      const turned = [1, 2, 4].map((n) => weightIn(counted(times(n, [...others, findingOf(3, facts)]), good), 3));
      expect(turned[0]).toBeLessThan(0.5);
      expect(turned[1]).toBeLessThan(0.2);
      expect(turned[2]).toBeLessThan(0.01);
      expect(backed(good, [...others, findingOf(3, facts)])).toEqual([0, 1, 2]);
    }
  });

  it("of who serves now and then is less than its part of the service", () => {
    const others = [findingOf(0), findingOf(1), findingOf(2)];
    const shown = (bad: Finding[]): number => {
      let [all, sum] = [NO_STANDINGS, 0];
      for (let round = 0; round < 120; round++) {
        all = counted([[...others, ...(round % 10 < 7 ? [findingOf(3)] : bad)]], all);
        sum += round < 20 ? 0 : weightIn(all, 3) / weightIn(all, 0);
      }
      return sum / 100;
    };
    expect(shown([])).toBeLessThan(0.72); // away three rounds of ten
    expect(shown([faulty(3, MISSING, { drawn: false })])).toBeLessThan(0.72);
    expect(shown([faulty(3, MISSING)])).toBeLessThan(0.55); // away when it is drawn to be judged
    expect(shown([findingOf(3, { gainUnassigned: -0.02, gainAssigned: -0.01 })])).toBeLessThan(0.4);
  });

  it("begins anew with a new account, and is forgotten with an old one", () => {
    const all = counted(times(10, [findingOf(0), findingOf(1)]));
    const accounts = ACCOUNTS.map((account, uid) => (uid === 0 ? accountOf(99) : account));
    const findings = [findingOf(0, { account: accountOf(99) }), findingOf(1)];
    const next = standingsAfter(all, { round: 10, accounts, findings, suspended: false });
    expect(peerIn(next, 0)).toMatchObject({ account: accountOf(99), judged: 1, effort: 0.2 });
    expect(peerIn(next, 1).judged).toBe(11);
    expect(
      standingsAfter(all, { round: 10, accounts, findings: [], suspended: false }).peers.map(({ uid }) => uid),
    ).toEqual([1]);
    expect(standingsAfter(all, { round: 10, accounts: [], findings: [], suspended: true }).peers).toEqual([]);
    const late = standingsAfter(all, { round: 10, accounts, findings: [findingOf(0)], suspended: false }); // found of who has left since
    expect(late.peers.map(({ uid }) => uid)).toEqual([1]);
  });

  it("is not more for who registers anew again and again", () => {
    let [all, sum] = [NO_STANDINGS, 0];
    for (let round = 0; round < 60; round++) {
      const account = accountOf(100 + Math.floor(round / 6));
      const accounts = ACCOUNTS.map((each, uid) => (uid === 3 ? account : each));
      const findings = [findingOf(0), findingOf(1), findingOf(2), findingOf(3, { account })];
      all = standingsAfter(all, { round, accounts, findings, suspended: false });
      sum += round < 12 ? 0 : weightIn(all, 3) / weightIn(all, 0);
    }
    expect(sum / 48).toBeLessThan(0.5);
  });
});

describe("a round", () => {
  it("gives standings that a report can hold, and is counted once", () => {
    fc.assert(
      fc.property(anyStandings, rounds(12), fc.boolean(), (before, findings, suspended) => {
        const next = standingsAfter(before, { round: 7, accounts: ACCOUNTS, findings, suspended });
        for (const { mu, sigma, effort, gate, strikes } of next.peers) {
          for (const value of [mu, sigma, effort, gate, strikes]) expect(value).toBe(rounded(value));
          expect(effort >= 0 && effort <= 1 && Math.abs(gate) <= 1 && strikes >= 0 && sigma > 0).toBe(true);
        }
        expect(standingsAfter(next, { round: 7, accounts: ACCOUNTS, findings, suspended })).toBe(next);
        expect(standingsAfter(next, { round: 3, accounts: [], findings: [], suspended })).toBe(next);
      }),
      { numRuns: 40 },
    );
  });

  it("that is suspended changes nothing to anybody's disadvantage, but for proof", () => {
    fc.assert(
      fc.property(anyStandings, rounds(12), (before, findings) => {
        const next = standingsAfter(before, { round: 7, accounts: ACCOUNTS, findings, suspended: true });
        const proven = new Set(findings.filter(({ audit }) => audit?.verdict === "refuted").map(({ uid }) => uid));
        for (const standing of before.peers.filter(({ uid }) => !proven.has(uid))) {
          const { strikes, ...rest } = peerIn(next, standing.uid);
          expect({ ...rest, strikes: standing.strikes }).toEqual(standing);
          expect(strikes).toBeLessThanOrEqual(standing.strikes);
        }
        for (const uid of proven) expect(factorsOf(next, uid).weight).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it("is better for who gains more, whatever the others do", () => {
    fc.assert(
      fc.property(anyStandings, rounds(12), fc.double({ min: 0, max: 1, noNaN: true }), (before, findings, raise) => {
        const mine = findings.find(({ gainUnassigned, copyOf }) => gainUnassigned !== null && copyOf === null);
        fc.pre(mine !== undefined);
        const [more, { uid }] = [rounded(raise), mine];
        const better = {
          ...mine,
          gainUnassigned: rounded((mine.gainUnassigned ?? 0) + more),
          gainAssigned: rounded((mine.gainAssigned ?? 0) + more),
        };
        const one = counted([findings], before);
        const other = counted([findings.map((each) => (each === mine ? better : each))], before);
        expect(peerIn(other, uid).mu).toBeGreaterThanOrEqual(peerIn(one, uid).mu);
        expect(peerIn(other, uid).effort).toBeGreaterThanOrEqual(peerIn(one, uid).effort);
      }),
      { numRuns: 40 },
    );
  });

  it("is not worse for anybody because of who gains less", () => {
    fc.assert(
      fc.property(anyStandings, rounds(10), fc.double({ min: 0, max: 1, noNaN: true }), (before, findings, less) => {
        const least = Math.min(0, ...findings.map(({ gainUnassigned }) => gainUnassigned ?? 0));
        const gain = rounded(least - less);
        const attacker = findingOf(15, { gainUnassigned: gain, gainAssigned: gain });
        const round = { round: 7, accounts: ACCOUNTS, suspended: false };
        const without = standingsAfter(before, { ...round, findings });
        const within = standingsAfter(before, { ...round, findings: [...findings, attacker] });
        for (const { uid } of without.peers) {
          expect(peerIn(within, uid).mu).toBeGreaterThanOrEqual(peerIn(without, uid).mu);
          expect(peerIn(within, uid).effort).toBeGreaterThanOrEqual(peerIn(without, uid).effort);
        }
      }),
      { numRuns: 40 },
    );
  });

  it("is no worse for the honest because of who gains more, while those are fewer", () => {
    const honest = Array.from({ length: 5 }, (_, uid) => findingOf(uid, { gainUnassigned: 0.01 + uid * 0.002 }));
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 90, noNaN: true }), { maxLength: 4 }), (gains) => {
        const strong = gains.map((gain, i) =>
          findingOf(9 + i, { gainUnassigned: rounded(gain), gainAssigned: rounded(gain) }),
        );
        const all = counted(times(3, [...honest, ...strong]));
        for (const { uid } of honest) expect(factorsOf(all, uid)).toEqual(factorsOf(counted(times(3, honest)), uid));
      }),
      { numRuns: 40 },
    );
  });

  it("does not measure small batches by large ones", () => {
    const large = [6, 7, 0, 1, 2].map((uid) => findingOf(uid, { gainUnassigned: 0.08 }));
    const small = [3, 4].map((uid) => findingOf(uid, { share: 0.1, gainUnassigned: 0.003, noise: 0.001 }));
    const lazy = findingOf(5, { gainUnassigned: 0.003, noise: 0.001 }); // says that it trained on as much as the large ones
    const all = counted(times(5, [...large, ...small, lazy]));
    expect([3, 4].map((uid) => factorsOf(all, uid).quality)).toEqual([1, 1]);
    expect(factorsOf(all, 5).quality).toBe(0);
  });
});

describe("the gate", () => {
  const mark = (uid: number, t: number): Finding =>
    findingOf(uid, { gainUnassigned: 0.02, gainAssigned: 0.02 + t * 0.003, noise: 0.003, noiseAssigned: 0 });
  const gates = (story: readonly (readonly Finding[])[], uids: readonly number[]): number[] =>
    uids.map((uid) => factorsOf(counted(story), uid).gate);

  it("closes for who gains nothing more on the data it was dealt, within some rounds", () => {
    const field = [mark(0, 1.8), mark(1, 2.4), mark(2, 3), mark(3, 0)];
    expect(gates(times(1, field), [0, 1, 2, 3])).toEqual([1, 1, 1, 1]);
    expect(gates(times(5, field), [3])[0]).toBeLessThan(0.4);
    expect(gates(times(10, field), [0, 1, 2, 3])).toEqual([1, 1, 1, 0]);
    expect(backed(counted(times(10, field)), field)).toEqual([0, 1, 2]);
    expect(backed(counted(times(10, field)), [unjudged(3)])).toEqual([]);
  });

  it("asks for less where the field's marks are weak, and nothing where it has none", () => {
    const weak = [mark(0, 1.2), mark(1, 0.9), mark(2, 1.2), mark(3, -0.6)];
    expect(gates(times(40, weak), [0, 1, 2, 3])).toEqual([1, 1, 1, 0]);
    const none = [mark(0, 0), mark(1, -0.3), mark(2, 0.3), mark(3, 0)];
    expect(gates(times(40, none), [0, 1, 2, 3])).toEqual([1, 1, 1, 1]);
    const chance = [mark(0, 0.15), mark(1, -1), mark(2, 1.35)];
    expect(gates(times(6, chance), [0, 1, 2])).toEqual([1, 1, 1]);
  });

  it("cannot be raised over the honest by those who overfit", () => {
    const field = [mark(0, 1.8), mark(1, 1.8), mark(2, 30), mark(3, 30), mark(4, 30)];
    expect(gates(times(40, field), [0, 1])).toEqual([1, 1]);
  });
});

describe("conduct", () => {
  const story = (audits: readonly Finding["audit"][]): Factors =>
    factorsOf(counted(audits.map((audit) => [findingOf(0), findingOf(1, { audit })])), 1);

  it("is nothing for good after a refuted audit", () => {
    expect(story([refuted]).conduct).toBe(0);
    const banned = counted([
      [findingOf(0), findingOf(1, { audit: refuted })],
      ...times(30, [findingOf(0), findingOf(1, { audit: passed })]),
    ]);
    expect(peerIn(banned, 1).banned).toBe("other state");
    expect(weightIn(banned, 1)).toBe(0);
    expect(backed(banned, [findingOf(0), findingOf(1)])).toEqual([0]);
    const nobody = [{ uid: 1, account: accountOf(1) }];
    expect(judgedUids(banned, nobody, 8, "seed")).toEqual([]);
  });

  it("suffers from challenges that are not answered, and recovers slowly", () => {
    const conduct = (...audits: Finding["audit"][]): number => story(audits).conduct;
    expect(conduct(passed, passed)).toBe(1);
    expect(conduct(unanswered)).toBe(0.5);
    expect(conduct(unanswered, null, passed)).toBe(0.625);
    expect(conduct(unanswered, ...times(4, passed))).toBe(1);
    expect(conduct(unanswered, unanswered)).toBe(0);
    const half = times(12, [unanswered, passed, passed]).flat(); // who did two parts of three
    expect(conduct(...half)).toBe(0);
  });
});

describe("whom to back", () => {
  const before = counted(times(5, [findingOf(0), findingOf(1), findingOf(2)]));
  const backs = (...findings: Finding[]): number[] => backed(before, findings);

  it("is who is known to be good or was found to be, and nobody who did harm", () => {
    expect(backs(unjudged(0), unjudged(1), findingOf(2), findingOf(3), unjudged(4))).toEqual([0, 1, 2, 3]);
    expect(backs(findingOf(0), findingOf(3, { gainUnassigned: -0.0041 }))).toEqual([0]); // more than two errors below nothing
    expect(backs(findingOf(3, { gainUnassigned: -0.0039 }))).toEqual([3]);
    expect(backs(findingOf(0), findingOf(1), findingOf(3, { gainUnassigned: -0.0039 }))).toEqual([0, 1]); // the others gained
    const own = { noiseAssigned: 0.002 };
    expect(backs(findingOf(0), findingOf(3, { ...own, gainAssigned: -0.0041 }))).toEqual([0]); // worse at the very data it was dealt
    expect(backs(findingOf(0), findingOf(3, { ...own, gainAssigned: -0.0039 }))).toEqual([0, 3]);
    expect(backs(findingOf(0, { copyOf: { uid: 1, round: 5, likeness: 0.8 } }))).toEqual([]);
    expect(backs(faulty(0, MISSING), faulty(1, "wrong base"), faulty(2, ABSENT))).toEqual([]);
    expect(backs(unjudged(0, { account: accountOf(50) }))).toEqual([]);
  });

  it("does not depend on audits that end after the vote", () => {
    expect(backs(findingOf(0, { audit: refuted }), findingOf(1, { audit: unanswered }))).toEqual([0, 1]);
  });

  it("is among those found, ascending, with nothing wrong, whatever was found", () => {
    fc.assert(
      fc.property(anyStandings, rounds(12), (standing, findings) => {
        const uids = backed(standing, [...findings].reverse());
        expect(uids).toEqual([...new Set(uids)].sort((a, b) => a - b));
        for (const uid of uids) {
          const { fault, copyOf, gainUnassigned, noise } = findings.find((each) => each.uid === uid) as Finding;
          expect(fault ?? copyOf).toBeNull();
          expect(gainUnassigned ?? 0).toBeGreaterThanOrEqual(-2 * (noise ?? 0) - 0.000001);
        }
      }),
    );
  });
});

describe("whom to judge", () => {
  const commitsOf = (uids: readonly number[]): { uid: number; account: string }[] =>
    uids.map((uid) => ({ uid, account: accountOf(uid) }));
  const old = counted(
    times(
      5,
      [0, 1, 2, 3, 4, 5].map((uid) => findingOf(uid)),
    ),
  );

  it("is everybody where there is room, in any order", () => {
    expect(judgedUids(old, commitsOf([9, 0, 7]), 3, "seed")).toEqual([0, 7, 9]);
    expect(judgedUids(old, commitsOf([9, 0, 7, 1, 2]), 3, "seed")).toEqual(
      judgedUids(old, commitsOf([2, 7, 0, 9, 1]), 3, "seed"),
    );
    expect(judgedUids(old, commitsOf([1, 2]), 0, "seed")).toEqual([]);
  });

  it("is newcomers first, but half of the places are the others'", () => {
    for (const seed of ["a", "b", "c"]) {
      const drawn = judgedUids(old, commitsOf([0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14]), 5, seed);
      expect(drawn.filter((uid) => uid >= 10).length).toBe(3);
      expect(judgedUids(old, commitsOf([0, 1, 2, 3, 4, 5, 10]), 4, seed)).toContain(10);
      expect(judgedUids(old, commitsOf([0, 10, 11, 12, 13]), 4, seed)).toContain(0);
      expect(judgedUids(NO_STANDINGS, commitsOf([0, 10, 11, 12, 13]), 4, seed).length).toBe(4);
    }
  });

  it("comes to all newcomers in turn, and to all others by and by", () => {
    let all = NO_STANDINGS;
    for (let round = 0; round < 4; round++) {
      const drawn = judgedUids(all, commitsOf([0, 1, 2, 3, 4, 5, 6, 7]), 2, String(round));
      all = counted(
        [[0, 1, 2, 3, 4, 5, 6, 7].map((uid) => (drawn.includes(uid) ? findingOf(uid) : unjudged(uid)))],
        all,
      );
    }
    expect(all.peers.map(({ judged }) => judged)).toEqual(times(8, 1));
    const seen = new Set(
      Array.from({ length: 40 }, (_, i) => judgedUids(old, commitsOf([0, 1, 2, 3, 4, 5]), 1, `${i}`)[0]),
    );
    expect(seen.size).toBe(6);
  });
});

describe("an outage", () => {
  const known = counted(
    times(
      5,
      [0, 1, 2, 3].map((uid) => findingOf(uid)),
    ),
  );
  const missing = (...uids: number[]): Finding[] => uids.map((uid) => faulty(uid, MISSING));
  const there = (...uids: number[]): Finding[] => uids.map((uid) => findingOf(uid));

  it("is where more than half of those with a name are missing, and at least two", () => {
    expect(isSuspended(known, [...missing(0, 1, 2), ...there(3)])).toBe(true);
    expect(isSuspended(known, [...missing(0, 1), ...there(2, 3)])).toBe(false);
    expect(isSuspended(known, missing(0, 1))).toBe(true);
    expect(isSuspended(known, missing(0))).toBe(false);
    expect(isSuspended(NO_STANDINGS, [...missing(0, 1), ...there(2)])).toBe(true);
    expect(isSuspended(known, [faulty(0, ABSENT), faulty(1, ABSENT), faulty(2, ABSENT)])).toBe(false);
    expect(isSuspended(known, [])).toBe(false);
  });

  it("cannot be staged by strangers", () => {
    expect(isSuspended(known, [...there(0, 1, 2), ...missing(3, 7, 8, 9, 10, 11, 12)])).toBe(false);
  });

  it("leaves weights as they were, and who was there is no worse off", () => {
    const next = counted([[...missing(0, 1, 2), ...there(3)]], known);
    for (const uid of [0, 1, 2, 3]) expect(factorsOf(next, uid)).toEqual(factorsOf(known, uid));
  });
});
