/** Own against random data: which statistic tells best who trained on what it was dealt, and what a running mean of it makes of peers. */
import { must } from "../../src/base/assert.ts";
import { fixed, head, row } from "./markdown.ts";
import {
  claimsOf,
  deviation,
  gainsOf,
  type Judged,
  kindOf,
  mean,
  peersOf,
  quantile,
  shareOf,
  slopesOf,
  walks,
  welch,
} from "./statistics.ts";

/** How sure it is that a payload was trained on the first `count` sequences of a set, in standard errors or nearly; undefined: not measured. */
type Test = (round: Judged, payload: string, set: string, count: number) => number | undefined;

/** Gains after a step, 1/R unless given, on the set against U. `unassigned`: sequences of U, as many as of the set unless given. */
function byGains(step?: number, unassigned?: number): Test {
  return (round, payload, set, count) => {
    const size = step ?? 1 / peersOf(round).length;
    const [own, other] = [gainsOf(round, size, payload, set), gainsOf(round, size, payload, "U")];
    return own.length === 0 ? undefined : welch(own.slice(0, count), other.slice(0, unassigned ?? count));
  };
}

/** The same by slopes, less what some other payloads of the same norm gain on the same sequences. `others`: how many. */
function bySlopes(others: number, unassigned?: number): Test {
  return (round, payload, set, count) => {
    const peers = peersOf(round);
    const controls = peers.filter((name, uid) => name !== payload && `A${uid}` !== set).slice(0, others);
    const above = (which: string, n: number): number[] => {
      const beside = controls.map((name) => scaled(round, name, which));
      const own = scaled(round, payload, which).slice(0, n);
      return own.map((slope, i) => slope - (others === 0 ? 0 : mean(beside.map((each) => must(each[i], "a slope")))));
    };
    return welch(above(set, count), above("U", unassigned ?? count));
  };
}

/** Slopes as if all payloads had the norm 1. */
function scaled(round: Judged, payload: string, set: string): number[] {
  const made = round.peers.find(({ name }) => name === payload) ?? round.peers[peersOf(round).length - 1];
  return slopesOf(round, payload, set).map((slope) => slope / must(made, "a peer").norm);
}

/**
 * Slopes less what this payload has on other sets, and what other payloads have on this set; by how much that varies between payloads and
 * sets that have nothing to do with each other.
 */
const centred: Test = (round, payload, set, count) => {
  const peers = peersOf(round);
  const known = new Map<string, number>();
  const at = (which: string, name: string): number => {
    const key = `${which} ${name}`;
    const value = known.get(key) ?? mean(scaled(round, name, which).slice(0, count));
    known.set(key, value);
    return value;
  };
  const rest = (which: string, name: string): number => {
    const uids = [...peers.keys()].filter((uid) => peers[uid] !== name && `A${uid}` !== which);
    const nameOf = (uid: number): string => must(peers[uid], "a peer");
    const inRow = mean(uids.map((uid) => at(which, nameOf(uid))));
    const inColumn = mean(uids.map((uid) => at(`A${uid}`, name)));
    const between = uids.flatMap((uid) => uids.filter((i) => i !== uid).map((i) => at(`A${i}`, nameOf(uid))));
    return at(which, name) - inRow - inColumn + mean(between);
  };
  const strangers = peers.flatMap((name, uid) =>
    [...peers.keys()].filter((i) => i !== uid).map((i) => rest(`A${i}`, name)),
  );
  return rest(set, payload) / Math.sqrt(mean(strangers.map((value) => value ** 2)));
};

/** The tests by name; what one costs a peer, in forward passes, a backward pass counting two; whether it goes into the table of running means. */
const TESTS: readonly (readonly [string, string, Test, boolean])[] = [
  ["gain, step 1/R", "3n", byGains(), false],
  ["gain, step 1", "3n", byGains(1), false],
  ["gain, step 4", "3n", byGains(4), false],
  ["slope", "3n", bySlopes(0), true],
  ["slope, U of 32", "3n (gain: 2n + 32)", bySlopes(0, 32), true],
  ["slope less 2 others'", "3n (gain: 5n)", bySlopes(2), false],
  ["slope less 6 others'", "3n (gain: 9n)", bySlopes(6), false],
  ["slope less 6 others', U of 32", "3n (gain: 8n + 32)", bySlopes(6, 32), true],
  ["slope less row and column", "3n (gain: 9n)", centred, true],
];

/** Scores of a test by kind of claim. */
function scoresOf(judged: readonly Judged[], test: Test, count: number): Map<string, number[]> {
  const scores = new Map<string, number[]>();
  for (const round of judged) {
    for (const { payload, set, kind } of claimsOf(round)) {
      const score = test(round, payload, set, count);
      if (score === undefined || !Number.isFinite(score)) continue;
      const known = scores.get(kind);
      if (known) known.push(score);
      else scores.set(kind, [score]);
    }
  }
  return scores;
}

const CHEATERS = ["stray", "second of two", "echo", "noise"];
const COUNTS = [4, 8, 16];

/** The kinds of honest peers, those with the largest batches last; a newcomer is one. */
function honestKinds(scores: ReadonlyMap<string, readonly number[]>): string[] {
  const batches = [...scores.keys()].filter((kind) => kind.startsWith("batch "));
  return batches.sort((a, b) => Number(a.slice(6)) - Number(b.slice(6)));
}

/** Prints how well each test separates, in the rounds from `first` on. */
export function printTests(judged: readonly Judged[]): void {
  const kinds = honestKinds(scoresOf(judged, bySlopes(0), 4));
  const names = [...kinds, "newcomer", "copy", "other cheaters"];
  console.log(
    head("own against random: mean ± deviation (> 0)", "n", "forward passes", ...names, "d′ of the last batch"),
  );
  for (const [name, cost, test] of TESTS) {
    for (const count of COUNTS) {
      const scores = scoresOf(judged, test, count);
      scores.set(
        "other cheaters",
        CHEATERS.flatMap((kind) => scores.get(kind) ?? []),
      );
      const cells = names.map((kind) => {
        const values = scores.get(kind);
        if (values === undefined) return "";
        return `${fixed(mean(values), 1)} ± ${fixed(deviation(values), 1)} (${fixed(shareOf(values, (value) => value > 0))})`;
      });
      const own = scores.get(kinds.at(-1) ?? "") ?? [];
      const strangers = scores.get("copy") ?? scores.get("other cheaters") ?? [];
      const apart = (mean(own) - mean(strangers)) / (Math.hypot(deviation(own), deviation(strangers)) / Math.SQRT2);
      console.log(row(name, count, cost, ...cells, fixed(apart, 1)));
    }
  }
}

/** Prints how much more a payload gains on one of its own sequences than on one of U, by when it was trained on. */
export function printMemory(judged: readonly Judged[]): void {
  const found = new Map<string, Map<string, number[]>>();
  for (const round of judged) {
    for (const [uid, name] of peersOf(round).entries()) {
      const beside = peersOf(round).filter((each) => each !== name);
      const above = (set: string): number[] => {
        const others = beside.map((each) => scaled(round, each, set));
        return scaled(round, name, set).map((slope, i) => slope - mean(others.map((each) => must(each[i], "a slope"))));
      };
      const [usual, spread] = [mean(above("U")), deviation(above("U"))];
      for (const [set, steps] of Object.entries(round.judgement.steps)) {
        if (set !== `A${uid}` && !set.startsWith(`A${uid} `)) continue;
        for (const [i, slope] of above(set).entries()) {
          const step = must(steps[i], "a step");
          const when = set.includes(" ") ? `${set.split(" ").at(-1)} rounds before` : `step ${step - (step % 5)}`;
          const byWhen = found.get(when) ?? new Map<string, number[]>();
          byWhen.set(kindOf(round, name), [...(byWhen.get(kindOf(round, name)) ?? []), (slope - usual) / spread]);
          found.set(when, byWhen);
        }
      }
    }
  }
  const kinds = honestKinds(scoresOf(judged, bySlopes(0), 4));
  console.log(head("slope on one own sequence over those of U, less others', in deviations", ...kinds));
  const order = (when: string): number => Number(when.replace(/\D/g, "")) + (when.startsWith("step") ? 0 : 100);
  for (const [when, byKind] of [...found].sort(([a], [b]) => order(a) - order(b))) {
    console.log(row(when, ...kinds.map((kind) => fixed(mean(byKind.get(kind) ?? [])))));
  }
}

const PHASES = [
  [0, 4],
  [5, 9],
  [10, 20],
  [21, 1000],
] as const;

/** Prints what one judgement's cut score comes to (gains, step 1/R, 8 sequences of the set), by how long the run has lasted. */
export function printPhases(judged: readonly Judged[]): void {
  const names = [...honestKinds(scoresOf(judged, bySlopes(0), 4)), "newcomer", ...CHEATERS];
  console.log(head("score cut at ±3 errors, by 3", "U", ...names));
  for (const [from, to] of PHASES) {
    const rounds = judged.filter(({ round }) => round >= from && round <= to);
    for (const unassigned of [8, 16, 32]) {
      const scores = scoresOf(rounds, byGains(undefined, unassigned), 8);
      const cells = names.map((kind) => {
        const values = (scores.get(kind) ?? []).map(cut);
        return `${fixed(mean(values))} ± ${fixed(deviation(values))}`;
      });
      if (rounds.length > 0)
        console.log(row(`rounds ${from} to ${Math.min(to, rounds.at(-1)?.round ?? to)}`, unassigned, ...cells));
    }
  }
}

function cut(value: number): number {
  return Math.max(-1, Math.min(1, value / 3));
}

const RATES = [0.05, 0.1, 0.2];
const JUDGEMENTS = 200;
const WALKS = 20_000;
/** How a judgement counts: by its sign only, or cut at ±3 and divided by 3. */
const FORMS = [
  ["signs", Math.sign],
  ["cut scores", cut],
] as const;

/** Prints what running means of the scores come to, from 0. The honest are those with the largest batch, whose scores are lowest. */
export function printGate(judged: readonly Judged[]): void {
  const columns = ["honest: mean", "lowest of 200 once warm, one peer in 10⁴", "judgements to half the mean"];
  const others = ["copier: 99 %", "99.99 %", "turncoat: judgements to below the lowest honest"];
  console.log(head("running mean of", "n", "rate", ...columns, ...others));
  for (const [name, , test, shown] of TESTS) {
    if (!shown) continue;
    for (const count of COUNTS.slice(1)) {
      const scores = scoresOf(judged, test, count);
      const largest = honestKinds(scores).at(-1) ?? "";
      for (const [form, scored] of FORMS) {
        const own = (scores.get(largest) ?? []).map(scored);
        const strangers = (scores.get("copy") ?? []).map(scored);
        for (const rate of RATES) console.log(row(`${name}, ${form}`, count, rate, ...walkCells(rate, own, strangers)));
      }
    }
  }
}

function walkCells(rate: number, own: readonly number[], strangers: readonly number[]): (string | number)[] {
  const honest = walks(WALKS, own, rate, JUDGEMENTS);
  const copying = walks(WALKS, strangers, rate, JUDGEMENTS);
  const warm = Math.ceil(2 / rate);
  const usual = mean(own);
  const lowest = quantile(
    honest.map((values) => Math.min(...values.slice(warm))),
    1e-4,
  );
  const settled = copying.map((values) => must(values.at(-1), "a value"));
  const half = honest.map((values) => values.findIndex((value) => value >= usual / 2) + 1);
  const turned = copying.map(
    (values) => values.findIndex((value, n) => value + usual * (1 - rate) ** (n + 1) < lowest) + 1,
  );
  const ends = [quantile(settled, 0.99), quantile(settled, 0.9999)].map((value) => fixed(value));
  return [fixed(usual), fixed(lowest), quantile(half, 0.5), ...ends, quantile(turned, 0.5)];
}
