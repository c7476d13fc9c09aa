/** The opening: whoever is judged later than others is paid no less, and nobody is paid who was never found good. */
import { describe, expect, it } from "vitest";
import { accountOf, counted, findingOf, times, unjudged } from "../../test/helpers/findings.ts";
import { isUnbeaten, OPENING_ROUNDS, openingQuality, WON_MU, WON_QUALITY } from "./opening.ts";
import { NEW_SKILL, type Outcome, played, qualityOf, type Skill } from "./skill.ts";
import { backed, type Finding, factorsOf, judgedUids, NO_STANDINGS, type Standings, votesOf } from "./standing.ts";

const afterGames = (...games: Outcome[]): Skill & { judged: number } => ({
  ...games.reduce(played, NEW_SKILL as Skill),
  judged: games.length,
});

/** `count` peers of equal work, of which `most` are judged a round: the standings after each round. `more` makes one's findings otherwise. */
function opening(
  count: number,
  most: number,
  rounds: number,
  more: (uid: number, round: number) => Partial<Finding> = () => ({}),
): Standings[] {
  const all: Standings[] = [];
  const commits = Array.from({ length: count }, (_, uid) => ({ uid, account: accountOf(uid) }));
  for (let round = 0; round < rounds; round++) {
    const before = all.at(-1) ?? NO_STANDINGS;
    const drawn = new Set(judgedUids(before, commits, most, `${count} ${round}`));
    const findings = commits.map(({ uid }) => (drawn.has(uid) ? findingOf(uid, more(uid, round)) : unjudged(uid)));
    all.push(counted([findings], before));
  }
  return all;
}

/** The least vote relative to the largest: 0 where somebody has none. */
function evenness(standings: Standings): number {
  const { uids, values } = votesOf(standings);
  return uids.length < standings.peers.length ? 0 : Math.min(...values) / Math.max(...values);
}

describe("openingQuality", () => {
  it("has the numbers that won games give", () => {
    for (const [n, mu] of WON_MU.entries()) {
      const won = afterGames(...times<Outcome>(n, "won"));
      expect(won.mu).toBeCloseTo(mu, 5);
      expect(qualityOf(won)).toBeCloseTo(WON_QUALITY[n] as number, 5);
    }
  });

  it("is that of as many won games as anybody has played, for who has won all of its own", () => {
    const once = afterGames("won");
    expect([0, 1, 2, 3, 4, 99].map((most) => openingQuality(once, most))).toEqual([0, 0, 0.388244, 0.752644, 0, 0]);
    const twice = afterGames("won", "won");
    expect([2, 3, 4, 5, 6].map((most) => openingQuality(twice, most))).toEqual([0.388244, 0.752644, 1, 1, 0.388244]);
    expect(openingQuality(afterGames("won", "won", "won", "won", "won"), 2)).toBe(1);
    expect(openingQuality(afterGames(), 99)).toBe(0);
    const beaten: Outcome[][] = [
      ["lost"],
      ["drawn"],
      ["drawn", "won"],
      ["won", "drawn"],
      ["won", "lost"],
      ["lost", "won"],
    ];
    for (const games of beaten) {
      expect(isUnbeaten(afterGames(...games)), games.join()).toBe(false);
      expect(openingQuality(afterGames(...games), 3), games.join()).toBe(qualityOf(afterGames(...games)));
    }
  });
});

describe("the opening", () => {
  it.each([
    [10, 8],
    [16, 8],
    [16, 5],
    [7, 8],
  ])("pays %i equal strangers alike from the first votes on, where %i are judged a round", (count, most) => {
    const all = opening(count, most, OPENING_ROUNDS);
    const first = all.findIndex((each) => votesOf(each).uids.length > 0);
    expect(first).toBeLessThanOrEqual(Math.ceil(count / most));
    for (const each of all.slice(first)) expect(evenness(each), `after round ${each.round}`).toBeGreaterThan(0.999);
  });

  it("pays nobody whose games were not won, nor who was never judged", () => {
    const zeros = { gainUnassigned: 0, gainAssigned: 0, noise: 0.0001, noiseAssigned: 0.0001 };
    for (const each of opening(10, 8, OPENING_ROUNDS, (uid) => (uid < 3 ? zeros : {}))) {
      const { uids } = votesOf(each);
      for (const uid of [0, 1, 2]) expect(uids, `after round ${each.round}`).not.toContain(uid);
    }
    const field = [1, 2, 3].map((uid) => findingOf(uid));
    const unknown = counted(times(8, [unjudged(0), ...field]));
    expect(factorsOf(unknown, 0)).toMatchObject({ quality: 0, weight: 0 });
    expect(factorsOf(unknown, 0).effort).toBe(factorsOf(unknown, 1).effort);
  });

  it("adds nothing to backing: who has won once is backed when it is judged", () => {
    const field = [1, 2, 3].map((uid) => findingOf(uid));
    const known = counted([[findingOf(0), ...field], ...times(2, [unjudged(0), ...field])]);
    expect(factorsOf(known, 0)).toMatchObject({ quality: 0.752644 });
    expect(backed(known, [unjudged(0), ...field])).toEqual([1, 2, 3]);
    expect(backed(known, [findingOf(0), ...field])).toEqual([0, 1, 2, 3]);
  });

  it("ends: later a newcomer earns its quality by games of its own, and its effort by what was backed", () => {
    const field = [1, 2, 3].map((uid) => findingOf(uid));
    const old = counted(times(OPENING_ROUNDS, field));
    const waiting = counted([[unjudged(0), ...field]], old);
    expect(factorsOf(waiting, 0).effort).toBe(0);
    const judged = counted([[findingOf(0), ...field]], waiting);
    expect(factorsOf(judged, 0).quality).toBe(0);
    expect(factorsOf(counted([[findingOf(0), ...field]], judged), 0).quality).toBeCloseTo(0.388, 3);
  });
});
