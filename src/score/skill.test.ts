/** Ratings against nothing: what OpenSkill gives is the published formula, bounded, fair to newcomers, and the same on other machines. */
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { rounded } from "./fields.ts";
import { NEW_SKILL, type Outcome, played, qualityOf, type Skill } from "./skill.ts";

const OUTCOMES: readonly Outcome[] = ["won", "drawn", "lost"];
const outcomes = fc.constantFrom(...OUTCOMES);
const ratedBy = (story: readonly Outcome[], from: Skill = NEW_SKILL): Skill => story.reduce(played, from);
const times = (n: number, outcome: Outcome): Outcome[] => Array.from({ length: n }, () => outcome);
const skills = fc.array(outcomes, { maxLength: 30 }).map((story) => ratedBy(story));

/** Plackett–Luce for two, written out: Weng and Lin 2011, algorithm 4, with γ = σ / c, against an opponent at μ = 25. */
function byHand({ mu, sigma }: Skill, outcome: Outcome): Skill {
  const [beta, tau] = [25 / 6, 1];
  const own = sigma ** 2 + tau ** 2;
  const c = Math.sqrt(own + tau ** 2 + 2 * beta ** 2);
  const chance = 1 / (1 + Math.exp((25 - mu) / c));
  const omega = { won: 1 - chance, drawn: (1 - 2 * chance) / 2, lost: -chance }[outcome];
  const delta = chance * (1 - chance);
  const shrink = 1 - (Math.sqrt(own) / c) * delta * (own / c ** 2);
  return { mu: mu + (own / c) * omega, sigma: Math.sqrt(own) * Math.sqrt(shrink) };
}

describe("a rating", () => {
  afterEach(() => void vi.restoreAllMocks());

  it("follows the published formula, within its bounds", () => {
    fc.assert(
      fc.property(skills, outcomes, (skill, outcome) => {
        const [is, should] = [played(skill, outcome), byHand(skill, outcome)];
        expect(is.mu).toBeCloseTo(Math.max(13, Math.min(37, should.mu)), 5);
        expect(is.sigma).toBeCloseTo(should.sigma, 5);
        expect([is.mu, is.sigma]).toEqual([rounded(is.mu), rounded(is.sigma)]);
        expect(is.sigma).toBeGreaterThan(1);
        expect(is.sigma).toBeLessThan(9);
      }),
    );
  });

  it("is better for a better outcome, and for a better rating before", () => {
    fc.assert(
      fc.property(skills, fc.double({ min: 0, max: 5, noNaN: true }), outcomes, ({ mu, sigma }, more, outcome) => {
        const [won, drawn, lost] = OUTCOMES.map((each) => played({ mu, sigma }, each).mu);
        expect(won).toBeGreaterThanOrEqual(drawn as number);
        expect(drawn).toBeGreaterThanOrEqual(lost as number);
        expect(played({ mu: mu + more, sigma }, outcome).mu).toBeGreaterThanOrEqual(played({ mu, sigma }, outcome).mu);
      }),
    );
  });

  it("is worth nothing at first, everything after four wins, next to nothing after four losses, however long it was good", () => {
    const qualities = [0, 1, 2, 3, 4].map((wins) => qualityOf(ratedBy(times(wins, "won"))));
    expect(qualities).toEqual([0, 0, 0.388244, 0.752644, 1]);
    for (const wins of [10, 1000]) {
      const good = ratedBy(times(wins, "won"));
      const falling = [1, 2, 3, 4].map((losses) => qualityOf(ratedBy(times(losses, "lost"), good)));
      expect(falling[0], `${wins} wins`).toBeGreaterThan(0.6);
      expect(falling[3], `${wins} wins`).toBeLessThan(0.05);
      expect(qualityOf(ratedBy(["lost", "won", "won"], good))).toBeGreaterThan(0.9);
    }
    expect(qualityOf(ratedBy([...times(1000, "lost"), ...times(8, "won")]))).toBeGreaterThan(0); // nor is a bad name forever
  });

  it("goes back to nothing's where all games are drawn", () => {
    const { mu } = ratedBy(times(100, "drawn"), ratedBy(times(50, "won")));
    expect(mu).toBeCloseTo(25, 1);
    expect(qualityOf(ratedBy(times(100, "drawn")))).toBe(0);
  });

  it("is the same to a millionth where exp is computed otherwise", () => {
    const exp = Math.exp;
    fc.assert(
      fc.property(skills, outcomes, fc.double({ min: -1e-12, max: 1e-12, noNaN: true }), (skill, outcome, off) => {
        const here = played(skill, outcome);
        vi.spyOn(Math, "exp").mockImplementation((x) => exp(x) * (1 + off));
        const there = played(skill, outcome);
        vi.restoreAllMocks();
        expect(Math.abs(here.mu - there.mu)).toBeLessThan(0.0000015);
        expect(Math.abs(here.sigma - there.sigma)).toBeLessThan(0.0000015);
      }),
    );
  });
});
