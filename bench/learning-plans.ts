/** The plans of learning.ts: which experiments, in which order. */
import type { CohortConfig, CohortMethodName } from "../src/roles/cohort.ts";
import { AGGREGATIONS, type AggregationName } from "../src/round/aggregation.ts";

/** One experiment. */
export interface Run extends Pick<CohortConfig, "outerLr" | "codec" | "aggregation" | "seed"> {
  readonly id: string;
  readonly preset: "nano" | "2m";
  readonly method: CohortMethodName | "four-bin";
  readonly innerSteps: number;
  /** Peak inner learning rate. */
  readonly lr: number;
  readonly tokens: number;
}

/** Learning rates on a fifth of the tokens: the grid is written out as it was walked. */
const TUNE_TOKENS = 1_000_000;

interface Options {
  readonly preset?: Run["preset"];
  readonly rule?: AggregationName;
  readonly codec?: NonNullable<Run["codec"]>;
  readonly innerSteps?: number;
  readonly seed?: number;
  readonly tokens?: number;
}

function run(plan: string, method: Run["method"], lr: number, outerLr?: number, options: Options = {}): Run {
  const { preset = "2m", rule, codec, innerSteps = 15, seed = 1, tokens = TUNE_TOKENS } = options;
  const codecName = codec === undefined ? [] : Object.entries(codec).map(([name, value]) => `${name}${value}`);
  const steps = innerSteps === 15 ? [] : [`H${innerSteps}`];
  const outer = outerLr === undefined ? [] : [outerLr];
  const parts = [plan, method, ...(rule === undefined ? [] : [rule]), ...codecName, ...steps, lr, ...outer];
  return {
    id: [...parts, ...(seed === 1 ? [] : [`s${seed}`])].join("-"),
    preset,
    method,
    innerSteps,
    lr,
    seed,
    tokens,
    ...(outerLr === undefined ? {} : { outerLr }),
    ...(codec === undefined ? {} : { codec }),
    ...(rule === undefined ? {} : { aggregation: { ...AGGREGATIONS[rule], ...trim(rule) } }),
  };
}

/** A tenth of eight peers is nobody: here the smallest and the largest of each element go. */
function trim(rule: AggregationName): { trimPercent?: number } {
  return rule.includes("trimmed") ? { trimPercent: 13 } : {};
}

const tune: Run[] = [
  run("tune", "sparseloco", 4e-3, 1),
  run("tune", "adamw", 4e-3),
  run("tune", "sparseloco", 2e-3, 1),
  run("tune", "diloco", 2e-3, 0.7),
  run("tune", "sparseloco", 4e-3, 2),
  run("tune", "diloco", 4e-3, 0.7),
  run("tune", "sparseloco", 4e-3, 1, { rule: "mean-senders" }),
  run("tune", "sparseloco", 4e-3, 4),
  run("tune", "adamw", 2e-3),
  run("tune", "diloco", 4e-3, 0.4),
  run("tune", "adamw", 1e-3),
  run("tune", "sparseloco", 8e-3, 2),
  run("tune", "adamw", 8e-3),
  run("tune", "sparseloco", 8e-3, 1, { rule: "mean-senders" }),
  run("tune", "diloco", 8e-3, 0.4),
  run("tune", "sparseloco", 16e-3, 2),
  run("tune", "diloco", 4e-3, 0.2),
  run("tune", "diloco", 4e-3, 0.1),
];

/** Equal tokens, two seeds, each method with the rates that served it best among `tune`. */
const MAIN_TOKENS = 5_000_000;

function main(seed: number): Run[] {
  const at = (innerSteps: number): Options => ({ innerSteps, seed, tokens: MAIN_TOKENS });
  return [
    run("main", "adamw", 2e-3, undefined, at(15)),
    run("main", "sparseloco", 8e-3, 2, at(15)),
    run("main", "diloco", 4e-3, 0.4, at(15)),
    run("main", "sparseloco", 8e-3, 2, at(30)),
    run("main", "diloco", 4e-3, 0.4, at(30)),
    run("main", "four-bin", 8e-3, 2, at(15)),
    run("main", "sparseloco", 4e-3, 1, { rule: "mean-senders", ...at(15) }),
    run("main", "sparseloco", 8e-3, 2, { rule: "clipped-mean-all", ...at(15) }),
    run("main", "sparseloco", 8e-3, 2, { rule: "trimmed-mean", ...at(15) }),
  ];
}

/** Loss against bytes: bits of a value, values of a chunk, decay of error feedback; on the smaller model, for three times the rounds. */
function map(bits: 1 | 2, k: number, beta = 0.95, seed = 1): Run {
  return run("map", "sparseloco", 8e-3, 2, { preset: "nano", tokens: 1_500_000, codec: { bits, k, beta }, seed });
}

const bytes: Run[] = [
  map(2, 64),
  map(1, 64),
  map(1, 32),
  map(2, 32),
  map(1, 128),
  map(2, 128),
  map(1, 16),
  map(2, 16),
  map(1, 64, 0.99),
  map(1, 64, 0.9),
  map(1, 32, 0.99),
  map(1, 128, 0.99),
];

/** How much of the map's differences is chance: the interesting ones again. */
const bytesAgain: Run[] = [2, 3].flatMap((seed) => [
  map(2, 64, 0.95, seed),
  map(2, 16, 0.95, seed),
  map(1, 64, 0.95, seed),
  map(2, 32, 0.95, seed),
  map(1, 64, 0.9, seed),
]);

/** The plans by name. */
export const PLANS: Readonly<Record<string, readonly Run[]>> = {
  tune,
  main1: main(1),
  main2: main(2),
  map: bytes,
  map2: bytesAgain,
};
