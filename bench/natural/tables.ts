/** The tables of bench/natural.ts, in Markdown, from the records of one or more seeds. */
import { existsSync, readFileSync } from "node:fs";
import { must } from "../../src/base/assert.ts";
import { printGate, printMemory, printPhases, printTests } from "./gate-tables.ts";
import { fixed, head, row } from "./markdown.ts";
import type { RoundRecord } from "./record.ts";
import {
  deviation,
  gainsOf,
  isPeer,
  type Judged,
  judgedOf,
  kindOf,
  mean,
  peersOf,
  quantile,
  shareOf,
  standardError,
} from "./statistics.ts";

type Pair = RoundRecord["pairs"][number];
type Run = readonly RoundRecord[];

/** Rounds that are looked at apart. */
const WINDOWS = [
  [0, 4],
  [5, 14],
  [15, 29],
  [30, 1000],
] as const;

/** Which pairs of payloads are alike: name, rounds between them, and whether a pair is of that kind. */
const KINDS: readonly (readonly [string, 0 | 1, (pair: Pair) => boolean])[] = [
  ["two honest peers, same round", 0, ({ a, b }) => isPeer(a) && isPeer(b)],
  ["honest peer and newcomer", 0, ({ a, b }) => isPeer(a) && b === "newcomer"],
  ["honest peer and one on other data", 0, ({ a, b }) => isPeer(a) && b === "stray"],
  ["a peer and another's payload of the round before", 1, ({ a, b }) => isPeer(a) && isPeer(b) && a !== b],
  ["a peer and its own of the round before", 1, ({ a, b }) => isPeer(a) && a === b],
  ["echo of the last update, and a payload in it", 1, ({ a, b }) => a === "echo" && isPeer(b)],
  ["honest peer and the last update", 1, ({ a, b }) => isPeer(a) && b === "update"],
  ["newcomer and the last update", 1, ({ a, b }) => a === "newcomer" && b === "update"],
  ["echo and the last update", 1, ({ a, b }) => a === "echo" && b === "update"],
  ["two payloads of one computation", 0, ({ a, b }) => a === "first of two" && b === "second of two"],
];

/** Prints all tables. Files that are not there are left out. */
export function printTables(files: readonly string[]): void {
  const runs = files
    .filter((file) => existsSync(file))
    .map((file) => {
      const lines = readFileSync(file, "utf8").trim().split("\n");
      return lines.map((line) => JSON.parse(line) as RoundRecord);
    });
  for (const rounds of runs) {
    const shown = rounds
      .filter(({ round }) => round % 5 === 4)
      .map((each) => `${each.round + 1}: ${each.validation.toFixed(2)}`);
    console.log(`validation loss after rounds ${shown.join(", ")}`);
  }
  printLikeness(runs);
  printNorms(runs);
  const judged = runs.flatMap(judgedOf);
  if (judged.length === 0) return;
  printGains(judged);
  printCopies(judged);
  printMemory(judged);
  printTests(judged);
  printPhases(judged);
  printGate(judged);
}

/** Rounds of a window, of all runs. `after`: only those whose round before applied nothing, or only the others. */
function windowOf(runs: readonly Run[], [from, to]: readonly [number, number], after: boolean): RoundRecord[] {
  return runs.flatMap((rounds) =>
    rounds.filter(({ round }, i) => round >= from && round <= to && (rounds[i - 1]?.nothing ?? false) === after),
  );
}

function printLikeness(runs: readonly Run[]): void {
  console.log(
    head(
      "cosine of payloads: median / 99 % / most",
      ...WINDOWS.map(windowName),
      "after a null round",
      "index overlap, most",
    ),
  );
  for (const [name, lag, isKind] of KINDS) {
    const pairsIn = (rounds: readonly RoundRecord[]): Pair[] =>
      rounds.flatMap(({ pairs }) => pairs.filter((pair) => pair.lag === lag && isKind(pair)));
    const cell = (rounds: readonly RoundRecord[]): string => {
      const cosines = pairsIn(rounds).map(({ cosine }) => cosine);
      if (cosines.length === 0) return "";
      return [quantile(cosines, 0.5), quantile(cosines, 0.99), Math.max(...cosines)]
        .map((each) => fixed(each))
        .join(" / ");
    };
    const overlap = Math.max(
      ...pairsIn(WINDOWS.flatMap((window) => windowOf(runs, window, false))).map((pair) => pair.overlap),
    );
    const dense = name.endsWith("the last update"); // has all places
    const normal = WINDOWS.map((window) => cell(windowOf(runs, window, false)));
    console.log(row(name, ...normal, cell(windowOf(runs, [0, 1000], true)), dense ? "" : fixed(overlap)));
  }
}

function windowName([from, to]: readonly [number, number]): string {
  return to < 1000 ? `rounds ${from} to ${to}` : `from ${from}`;
}

function printNorms(runs: readonly Run[]): void {
  const relative = new Map<string, number[]>();
  for (const { round, peers } of runs.flat()) {
    const median = quantile(
      peers.filter(({ name }) => isPeer(name)).map(({ norm }) => norm),
      0.5,
    );
    for (const { name, batch, norm } of peers) {
      if (round === 0 || name === "stray") continue;
      const who = isPeer(name) ? `batch ${batch}` : `newcomer, payload ${(round % 5) + 1}`;
      relative.set(who, [...(relative.get(who) ?? []), norm / median]);
    }
  }
  console.log(head("norm over the round's median", "least", "median", "most"));
  for (const [who, values] of [...relative].sort()) {
    console.log(row(who, fixed(Math.min(...values)), fixed(quantile(values, 0.5)), fixed(Math.max(...values))));
  }
}

/** The step that a round of as many peers takes along each. */
function small(round: RoundRecord): number {
  return 1 / peersOf(round).length;
}

function printGains(judged: readonly Judged[]): void {
  const kinds = [...batchesOf(judged), "newcomer", "stray", "second of two", "echo", "noise", "flipped"];
  const rounds = [...new Set(judged.map(({ round }) => round))];
  console.log(
    head(
      "gain on U, step 1/R, in thousandths of a nat",
      ...rounds.map((round) => `round ${round}`),
      "8 sequences: gain < −2 errors",
      "gain > 0",
      "32: gain < −2 errors",
      "gain > 0",
    ),
  );
  for (const kind of kinds) {
    const found = judged.flatMap((each) =>
      each.judgement.payloads
        .filter((payload) => kindOf(each, payload) === kind)
        .map((payload) => ({ round: each.round, gains: gainsOf(each, small(each), payload, "U") })),
    );
    const cells = rounds.map((round) => {
      const gains = found.filter((each) => each.round === round).map((each) => each.gains);
      const errors = mean(gains.map(standardError));
      return `${fixed(1000 * mean(gains.flat()), 1)} ± ${fixed(1000 * errors, 1)}`;
    });
    const shares = [8, 32].flatMap((count) => {
      const parts = found.flatMap(({ gains }) =>
        Array.from({ length: 32 / count }, (_, i) => gains.slice(i * count, (i + 1) * count)),
      );
      const harmful = shareOf(
        parts.map((part) => mean(part) + 2 * standardError(part)),
        (value) => value < 0,
      );
      return [harmful, shareOf(parts.map(mean), (value) => value > 0)];
    });
    console.log(row(kind, ...cells, ...shares.map((share) => fixed(share))));
  }
  printEffort(judged);
}

/** The kinds of honest peers, smallest batch first. */
function batchesOf(judged: readonly Judged[]): string[] {
  const sizes = judged.flatMap(({ peers }) => peers.filter(({ name }) => isPeer(name)).map(({ batch }) => batch));
  return [...new Set(sizes)].sort((a, b) => a - b).map((batch) => `batch ${batch}`);
}

function printEffort(judged: readonly Judged[]): void {
  console.log(
    head(
      `gain on U by that of ${batchesOf(judged).at(-1)}, step 1/R`,
      ...judged.map(({ round }) => `${round}`),
      "mean of the later half",
    ),
  );
  for (const kind of [...batchesOf(judged).slice(0, -1), "newcomer", "second of two"]) {
    const ratios = judged.map((each) => {
      const gainOf = (wanted: string): number =>
        mean(
          each.judgement.payloads
            .filter((payload) => kindOf(each, payload) === wanted)
            .flatMap((payload) => gainsOf(each, small(each), payload, "U")),
        );
      return gainOf(kind) / gainOf(batchesOf(judged).at(-1) ?? "");
    });
    const later = ratios.filter((_, i) => must(judged[i], "a round").round >= 15);
    console.log(row(kind, ...ratios.map((ratio) => fixed(ratio)), fixed(mean(later))));
  }
}

/** The peer whose payload was copied: the last. */
function copied(round: RoundRecord): string {
  return must(peersOf(round).at(-1), "a peer");
}

function printCopies(judged: readonly Judged[]): void {
  const found = new Map<string, { cosine: number; overlap: number; kept: number }[]>();
  for (const each of judged) {
    const whole = mean(gainsOf(each, small(each), copied(each), "U"));
    for (const { name, cosine, overlap } of each.copies) {
      const kept = mean(gainsOf(each, small(each), name, "U")) / whole;
      found.set(name, [...(found.get(name) ?? []), { cosine, overlap, kept }]);
    }
  }
  console.log(head("perturbed copy", "cosine", "index overlap", "gain by the original's"));
  for (const [name, all] of found) {
    const kept = all.map((each) => each.kept);
    const [cosine, overlap] = [mean(all.map((each) => each.cosine)), mean(all.map((each) => each.overlap))];
    console.log(row(name, fixed(cosine), fixed(overlap), `${fixed(mean(kept))} ± ${fixed(deviation(kept))}`));
  }
}
