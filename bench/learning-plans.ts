/** The plans of learning.ts: which experiments, in which order. */
import { PRESETS } from "../src/model/presets.ts";
import type { CohortConfig, CohortMethodName } from "../src/roles/cohort.ts";
import { AGGREGATIONS, type AggregationName } from "../src/round/aggregation.ts";

/** One experiment. */
export interface Run
  extends Pick<CohortConfig, "outerLr" | "outerMomentum" | "adamw" | "codec" | "aggregation" | "seed"> {
  readonly id: string;
  readonly preset: "nano" | "2m";
  /** Tokens of the vocabulary; losses compare only where it is the same. */
  readonly vocab: number;
  readonly method: CohortMethodName | "four-bin";
  readonly innerSteps: number;
  /** Peak inner learning rate. */
  readonly lr: number;
  readonly tokens: number;
}

/** Learning rates on a fifth of the tokens: the grid is written out as it was walked. */
const TUNE_TOKENS = 1_000_000;

/** Tokens of the usual vocabulary. */
export const VOCAB: number = PRESETS["2m"].shape.vocabSize;

interface Options {
  readonly preset?: Run["preset"];
  readonly vocab?: number;
  readonly momentum?: number;
  readonly adamw?: NonNullable<Run["adamw"]>;
  readonly rule?: AggregationName;
  readonly codec?: NonNullable<Run["codec"]>;
  readonly innerSteps?: number;
  readonly seed?: number;
  readonly tokens?: number;
}

function run(plan: string, method: Run["method"], lr: number, outerLr?: number, options: Options = {}): Run {
  const { preset = "2m", vocab = VOCAB, momentum, adamw, rule, codec } = options;
  const { innerSteps = 15, seed = 1, tokens = TUNE_TOKENS } = options;
  const codecName = codec === undefined ? [] : Object.entries(codec).map(([name, value]) => `${name}${value}`);
  const steps = innerSteps === 15 ? [] : [`H${innerSteps}`];
  const outer = outerLr === undefined ? [] : [outerLr];
  const parts = [plan, method, ...(rule === undefined ? [] : [rule]), ...codecName, ...steps, lr, ...outer];
  if (vocab !== VOCAB) parts.push(`v${vocab}`);
  if (momentum !== undefined) parts.push(`m${momentum}`);
  for (const [name, value] of Object.entries(adamw ?? {})) parts.push(`${name}${value}`);
  if (seed !== 1) parts.push(`s${seed}`);
  if (plan === "why" && tokens !== TUNE_TOKENS) parts.push(`t${tokens}`);
  return {
    id: parts.join("-"),
    preset,
    vocab,
    method,
    innerSteps,
    lr,
    seed,
    tokens,
    ...(outerLr === undefined ? {} : { outerLr }),
    ...(momentum === undefined ? {} : { outerMomentum: momentum }),
    ...(adamw === undefined ? {} : { adamw }),
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

/** The mean over senders has one rate too few to choose by. */
const senders = (lr: number, outerLr: number): Run => run("tune", "sparseloco", lr, outerLr, { rule: "mean-senders" });

const tuneSenders: Run[] = [senders(4e-3, 2), senders(2e-3, 1), senders(4e-3, 0.7)];

const nano: Options = { preset: "nano" };
const small: Options = { preset: "nano", vocab: 512 };
const longer: Options = { ...small, tokens: 4_000_000 };

const dense = (lr: number, outerLr: number, options: Options): Run =>
  run("why", "diloco", lr, outerLr, { ...options, momentum: 0 });
const sparse = (lr: number, options: Options): Run =>
  run("why", "sparseloco", lr, 1, { ...options, rule: "mean-senders" });

/** Whence the distance to data-parallel training? From long rounds, from sparse exchange, from the outer momentum, from few rounds? */
const why: Run[] = [
  run("why", "adamw", 2e-3, undefined, nano),
  ...[15, 2].map((innerSteps) => dense(4e-3, 1, { ...nano, innerSteps })),
  ...[15, 5, 2].map((innerSteps) => sparse(4e-3, { ...nano, innerSteps })),
  ...[{ beta2: 0.99 }, { beta2: 0.995 }, { beta1: 0.98, beta2: 0.995 }].map((adamw) =>
    sparse(4e-3, { ...nano, adamw }),
  ),
  ...[2e-3, 4e-3].map((lr) => run("why", "adamw", lr, undefined, small)),
  run("why", "diloco", 4e-3, 0.4, small),
  ...[4e-3, 8e-3].map((lr) => dense(lr, 1, { ...small, innerSteps: 1 })),
  ...[2e-3, 4e-3].map((lr) => dense(lr, 1, small)),
  ...[1e-3, 2e-3].map((lr) => dense(lr, 2, small)),
  ...[2e-3, 4e-3].map((lr) => sparse(lr, small)),
  run("why", "adamw", 2e-3, undefined, longer),
  sparse(2e-3, longer),
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
    run("main", "sparseloco", 4e-3, 1, { rule: "mean-senders", ...at(30) }),
    run("main", "sparseloco", 8e-3, 2, { rule: "clipped-mean-all", ...at(15) }),
    run("main", "sparseloco", 8e-3, 2, { rule: "trimmed-mean", ...at(15) }),
  ];
}

/** The mean over senders with the rate that served it as well on a fifth of the tokens. */
const otherRate = [15, 30].map((innerSteps) =>
  run("main", "sparseloco", 2e-3, 1, { rule: "mean-senders", innerSteps, tokens: MAIN_TOKENS }),
);

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
  tuneSenders,
  why,
  main1: [...main(1), ...otherRate],
  main2: main(2),
  map: bytes,
  map2: bytesAgain,
};
