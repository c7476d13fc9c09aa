/**
 * How well a run defends itself: every kind of attack (src/sim/adversary/) against a network of production roles in one process, with a small
 * model on real text; docs/LOG.md has the table.
 *
 *   npm run build:all
 *   node build/ts/bench/safety.js --dir runs/safety [--only sign-flip,lazy] [--rounds 40] [--seeds 1] [--long 200] [--text folder] [--table]
 *
 * Start it once per core: every process takes the next scenario that nobody has begun. Outcomes are kept in the folder as JSON, one a scenario,
 * beside one validator's reports, and skipped; delete what a killed process left (*.claim without .json) to have it run again. `--table` only prints.
 *
 * Every scenario is compared with the clean run of the same honest peers, without the dishonest ones. Ten peers: where peers are dishonest three
 * of them are; where a validator is, one of three.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Dataset } from "../src/data/dataset.ts";
import { openEngine } from "../src/engine/open.node.ts";
import { bestMeans } from "../src/round/native/native.node.ts";
import { ADVERSARIES, adversaryNamed } from "../src/sim/adversary/registry.ts";
import { compared, expelledIn, type Outcome } from "../src/sim/scenario/outcome.ts";
import { runScenario, scenarioSpec } from "../src/sim/scenario/scenario.ts";
import { claim, keep, kept } from "./claims.ts";
import { safetyDataset } from "./safety-text.ts";

const PEERS = 10;
const DISHONEST = 3;
const VALIDATORS = 3;
/** Uids with data: room for hotkeys that come and go. */
const UIDS = 32;
/** Sequences of a step: a fast machine, a middling one, a slow one. */
const BATCHES = [8, 4, 2];
const CLEAN = "clean";
const LONG = "long";

const { values } = parseArgs({
  options: {
    dir: { type: "string", default: "runs/safety" },
    text: { type: "string" },
    only: { type: "string" },
    rounds: { type: "string", default: "40" },
    seeds: { type: "string", default: "1" },
    long: { type: "string", default: "200" },
    table: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => String(i + 1));

/** One run to make: a kind of attack, or CLEAN or LONG, with so many honest and dishonest trainers. */
interface Plan {
  readonly name: string;
  readonly seed: string;
  readonly honest: number;
  readonly dishonest: number;
  readonly rounds: number;
}

const clean = (seed: string, honest: number): Plan => ({ name: CLEAN, seed, honest, dishonest: 0, rounds });

function plans(): Plan[] {
  const wanted = values.only?.split(",");
  const kinds = ADVERSARIES.filter(({ name }) => wanted?.includes(name) ?? true);
  return seeds.flatMap((seed) => [
    clean(seed, PEERS - DISHONEST),
    clean(seed, PEERS),
    ...kinds.map(({ name, trainer }) => {
      const dishonest = trainer === undefined ? 0 : DISHONEST;
      return { name, seed, honest: PEERS - dishonest, dishonest, rounds };
    }),
    ...((wanted?.includes(LONG) ?? seed === "1")
      ? [{ name: LONG, seed, honest: PEERS, dishonest: 0, rounds: Number(values.long) }]
      : []),
  ]);
}

const fileOf = (plan: Plan): string =>
  join(values.dir, [plan.name, plan.rounds, plan.honest, plan.dishonest, plan.seed].join("-"));

const outcomeOf = (plan: Plan): Outcome | undefined => kept(fileOf(plan));

async function perform(plan: Plan, dataset: Dataset): Promise<void> {
  const spec = scenarioSpec(dataset, { rounds: plan.rounds, seed: plan.seed, uids: UIDS });
  const adversary = plan.name === CLEAN || plan.name === LONG ? undefined : adversaryNamed(plan.name);
  const begun = performance.now();
  const seconds = (): number => (performance.now() - begun) / 1000;
  const { model, inner } = spec;
  const reports: string[] = [];
  const outcome = await runScenario({
    ...{ adversary, spec, dataset, batches: BATCHES },
    ...{ honest: plan.honest, dishonest: plan.dishonest, validators: VALIDATORS, seed: plan.seed },
    openEngine: () => openEngine({ shape: model, seqLen: inner.seqLen, microBatch: 8, threads: 1 }),
    means: bestMeans(),
    onReport(name, report) {
      if (name === "v1") reports.push(`${JSON.stringify(report)}\n`);
    },
    turn: () => new Promise((resolve) => setImmediate(resolve)),
    onRound: (round, loss) =>
      process.stderr.write(
        `\r${plan.name} ${round + 1}/${plan.rounds}  ${loss.toFixed(3)}  ${seconds().toFixed(0)} s  `,
      ),
  });
  process.stderr.write("\n");
  const file = fileOf(plan);
  writeFileSync(`${file}.reports.jsonl`, reports.join(""));
  keep(file, { ...outcome, seconds: seconds() });
}

const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;
const times = (x: number): string => x.toFixed(2);

function row(plan: Plan): string | undefined {
  const outcome = outcomeOf(plan);
  const base = outcomeOf(clean(plan.seed, plan.honest));
  if (outcome === undefined || base === undefined) return undefined;
  const { name, number, who } = adversaryNamed(plan.name);
  const c = compared(outcome, base);
  const attacked = plan.dishonest > 0;
  const share = attacked ? percent(plan.dishonest / PEERS) : who === "validator" ? "1 of 3 validators" : "–";
  const late = (round: number | null): string => (attacked ? (round === null ? "never" : String(round)) : "–");
  const reward = attacked ? `${times(c.rewardShare)} (${times(c.rewardShareMax)})` : "–";
  const notes = [
    ...(outcome.agreed ? [] : ["NO AGREEMENT"]),
    ...(c.liarReward === null ? [] : [`the validator's own pay: ${times(c.liarReward)}`]),
    ...(outcome.probe === null ? [] : [`${outcome.probe.what}: ${outcome.probe.value.toFixed(4)}`]),
  ];
  const cells = [
    ...[number, name, share, late(c.found), late(c.excluded), percent(c.damage), percent(c.drift), reward],
    ...[times(c.honestReward), c.refused.length, c.expelled.length, notes.join("; ")],
  ];
  return `| ${cells.join(" | ")} |`;
}

function printTable(): void {
  for (const seed of seeds) {
    console.log(`\nSeed ${seed}\n`);
    for (const honest of [PEERS - DISHONEST, PEERS]) {
      const base = outcomeOf(clean(seed, honest));
      if (base)
        console.log(
          `clean, ${honest} honest: loss ${base.loss.toFixed(4)}, payloads refused ${refusedIn(base)}, peers out ${expelledIn(base).length}`,
        );
    }
    console.log(
      "\n| # | kind | share | found | excluded | damage | drift | pay of one | least honest pay | honest payloads refused | honest peers out | besides |",
    );
    console.log("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for (const plan of plans().filter((each) => each.seed === seed && each.name !== CLEAN && each.name !== LONG)) {
      const text = row(plan);
      if (text !== undefined) console.log(text);
    }
  }
  const long = plans().find(({ name }) => name === LONG);
  const outcome = long && outcomeOf(long);
  if (outcome) tellLong(outcome);
}

const refusedIn = ({ members }: Outcome): number => members.reduce((sum, { refused }) => sum + refused.length, 0);

function tellLong(outcome: Outcome): void {
  console.log(
    `\n${outcome.rounds} clean rounds: loss ${outcome.loss.toFixed(4)}, honest payloads refused ${refusedIn(outcome)}, peers out ${expelledIn(outcome).length}`,
  );
  for (const { name, accepted, committed, paid, excludedFrom, banned, marks } of outcome.members) {
    const out = excludedFrom === null && banned === null ? "" : ` EXCLUDED from ${excludedFrom} ${banned ?? ""}`;
    console.log(
      `  ${name}: ${accepted} of ${committed} accepted, paid ${paid.toFixed(1)} ${JSON.stringify(marks)}${out}`,
    );
  }
}

mkdirSync(values.dir, { recursive: true });
if (!values.table) {
  const dataset = await safetyDataset(join(values.dir, "data"), values.text);
  for (const plan of plans()) if (claim(fileOf(plan))) await perform(plan, dataset);
}
printTable();
