/** The plans of learning.ts: which experiments, in which order. */
import type { CohortConfig, CohortMethodName } from "../src/roles/cohort.ts";
import { AGGREGATIONS, type AggregationName } from "../src/round/aggregation.ts";

/** One experiment. */
export interface Run extends Pick<CohortConfig, "outerLr" | "codec" | "aggregation" | "seed"> {
  readonly id: string;
  readonly method: CohortMethodName | "four-bin";
  readonly innerSteps: number;
  /** Peak inner learning rate. */
  readonly lr: number;
  readonly tokens: number;
}

/** Learning rates on a fifth of the tokens: the grid is written out as it was walked. */
const TUNE_TOKENS = 1_000_000;

interface Options {
  readonly rule?: AggregationName;
  readonly codec?: NonNullable<Run["codec"]>;
  readonly innerSteps?: number;
  readonly seed?: number;
  readonly tokens?: number;
}

function run(plan: string, method: Run["method"], lr: number, outerLr?: number, options: Options = {}): Run {
  const { rule, codec, innerSteps = 15, seed = 1, tokens = TUNE_TOKENS } = options;
  const codecName = codec === undefined ? [] : Object.entries(codec).map(([name, value]) => `${name}${value}`);
  const steps = innerSteps === 15 ? [] : [`H${innerSteps}`];
  const outer = outerLr === undefined ? [] : [outerLr];
  const parts = [plan, method, ...(rule === undefined ? [] : [rule]), ...codecName, ...steps, lr, ...outer];
  return {
    id: [...parts, ...(seed === 1 ? [] : [`s${seed}`])].join("-"),
    method,
    innerSteps,
    lr,
    seed,
    tokens,
    ...(outerLr === undefined ? {} : { outerLr }),
    ...(codec === undefined ? {} : { codec }),
    ...(rule === undefined ? {} : { aggregation: AGGREGATIONS[rule] }),
  };
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
  run("tune", "adamw", 8e-3),
  run("tune", "sparseloco", 8e-3, 2),
];

/** The plans by name. */
export const PLANS: Readonly<Record<string, readonly Run[]>> = { tune };
