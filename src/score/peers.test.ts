/** Fields of honest and other peers as they were measured (docs/LOG.md), over hundreds of rounds: who is excluded, and who is paid what. */
import { describe, expect, it } from "vitest";
import { accountOf, counted, findingOf, times, unjudged } from "../../test/helpers/findings.ts";
import { seededRandom } from "../base/random.ts";
import { rounded } from "./fields.ts";
import { factorsOf, judgedUids, NO_STANDINGS, type Standings, votesOf } from "./standing.ts";

const weightIn = (all: Standings, uid: number): number => factorsOf(all, uid).weight;

/** What a kind of peer shows, in measured terms (docs/LOG.md): gain over a full honest one's, and the mark of work on its own data. */
interface Kind {
  readonly share: number;
  readonly gain: number;
  readonly mark: number;
}

/** Honest peers by sequences a step, of 8. */
const HONEST: readonly Kind[] = [
  { share: 1, gain: 1, mark: 0.6 },
  { share: 1, gain: 1, mark: 0.6 },
  { share: 1, gain: 0.9, mark: 0.6 },
  { share: 0.5, gain: 0.65, mark: 0.75 },
  { share: 0.5, gain: 0.55, mark: 0.75 },
  { share: 0.25, gain: 0.35, mark: 0.85 },
  { share: 0.25, gain: 0.25, mark: 0.85 },
  { share: 0.125, gain: 0.2, mark: 0.85 },
];

/** Plays rounds of such peers with the noise that was measured: 1 of 20 of a full gain in the first rounds, 1 of 4 after some. */
function played(
  kinds: readonly Kind[],
  most: number,
  count: number,
  seed: string,
): { pay: number[]; excluded: number[]; all: Standings } {
  const random = seededRandom(seed);
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  const pay = times(kinds.length, 0);
  const excluded = times(kinds.length, 0);
  let all = NO_STANDINGS;
  for (let round = 0; round < count; round++) {
    const full = Math.max(0.0035, 0.045 * Math.exp(-0.2 * round));
    const noise = Math.max(0.0009, 0.002 * Math.exp(-0.06 * round));
    const drawn = judgedUids(
      all,
      kinds.map((_, uid) => ({ uid, account: accountOf(uid) })),
      most,
      `${seed} ${round}`,
    );
    const findings = kinds.map(({ share, gain, mark }, uid) => {
      if (!drawn.includes(uid)) return unjudged(uid, { share });
      const gainUnassigned = rounded(gain * full + noise * normal());
      const gainAssigned = rounded(gainUnassigned + noise * (3 * Math.SQRT2 * mark + normal()));
      return findingOf(uid, {
        share,
        gainUnassigned,
        gainAssigned,
        noise: rounded(noise),
        noiseAssigned: rounded(noise),
      });
    });
    all = counted([findings], all);
    const { uids, values } = votesOf(all);
    const sum = values.reduce((total, value) => total + value, 0);
    for (const [i, uid] of uids.entries()) pay[uid] = (pay[uid] as number) + (values[i] as number) / sum;
    if (round >= 10)
      for (const uid of kinds.keys()) if (weightIn(all, uid) === 0) excluded[uid] = (excluded[uid] as number) + 1;
  }
  return { pay, excluded, all };
}

describe("a field of peers as they were measured", () => {
  it("excludes no honest one in 200 rounds, fast or slow, judged always or seldom, few or many", () => {
    for (const [kinds, most] of [
      [HONEST, 8],
      [HONEST, 3],
      [[...HONEST, ...HONEST], 6],
      [[HONEST[0], HONEST[7]] as Kind[], 8],
    ] as const) {
      const { pay, excluded, all } = played(kinds, most, 200, `honest ${kinds.length} ${most}`);
      expect(excluded).toEqual(times(kinds.length, 0));
      for (const [uid, { share }] of kinds.entries()) {
        expect((pay[uid] as number) / (pay[0] as number) / share, `uid ${uid} of ${kinds.length}`).toBeGreaterThan(0.9);
        expect(factorsOf(all, uid).weight, `uid ${uid}`).toBeGreaterThan(0.5 * share);
      }
    }
  });

  it("pays who does not do its work little, and the honest what they had without", () => {
    const clean = played(HONEST, 8, 60, "clean").pay;
    const cheaters: Readonly<Record<string, readonly [Kind, number]>> = {
      noise: [{ share: 1, gain: 0, mark: 0 }, 0.1],
      "the opposite": [{ share: 1, gain: -1, mark: -0.6 }, 0],
      "nearly nothing": [{ share: 1, gain: 0.001, mark: 0 }, 0.1],
      "other data": [{ share: 1, gain: 0.9, mark: 0 }, 0.15],
      "a second helping": [{ share: 1, gain: 0.6, mark: 0 }, 0.15],
      "one step": [{ share: 1, gain: 0.05, mark: 0.03 }, 0.15],
      "a quarter of the steps": [{ share: 1, gain: 0.6, mark: 0.15 }, 0.5],
    };
    for (const [name, [kind, most]] of Object.entries(cheaters)) {
      const { pay } = played([...HONEST, kind, kind, kind], 11, 60, name);
      const honest = pay[0] as number;
      for (const uid of [8, 9, 10]) expect((pay[uid] as number) / honest, name).toBeLessThanOrEqual(most);
      for (const uid of HONEST.keys()) {
        const [now, then] = [(pay[uid] as number) / honest, (clean[uid] as number) / (clean[0] as number)];
        expect(now / then, `${name}: uid ${uid}`).toBeGreaterThan(0.85);
      }
    }
  });
});
