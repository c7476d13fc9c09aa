/**
 * Aggregation rules by name: how the values that several peers sent for one element become one update. Which rule a run uses is
 * part of its settings.
 *
 * - `mean-all`: the sum over the number of contributions, sent or not: SparseLoCo's Δ̄ = (1/R) Σ Δ̂ (arXiv 2603.08163, eq. 2).
 * - `mean-senders`: the sum over the number of those who sent this element, as Templar's code does. A lone sender has full
 *   weight there, twenty times that of the paper's rule among twenty: stronger steps, and a lever for whoever sends what
 *   nobody else does.
 * - `trimmed-mean`: of the R values of an element, absent ones counting as zero, the t smallest and the t largest are dropped
 *   and the rest is averaged (Yin et al. 2018, arXiv 1803.01498, definition 2), t = ⌊R · trimPercent / 100⌋. An element moves
 *   only if more than t peers want it to move the same way, so t dishonest peers cannot move it alone; the price is that what
 *   few honest peers send is dropped too.
 *
 * In front of each may stand `median-norm` clipping, as Templar has it: per tensor, a contribution with an L2 norm above the
 * (lower) median of all R norms is scaled down to it. docs/protocol/apply.md has every operation.
 */
import { SkeinError, shown } from "../base/errors.ts";

/** A rule of aggregation. */
export type Aggregation =
  | { readonly rule: "mean-all" | "mean-senders"; readonly clip: Clip }
  | {
      readonly rule: "trimmed-mean";
      readonly clip: Clip;
      /** Share of the R values dropped at either end, a whole percentage from 0 to 49. */
      readonly trimPercent: number;
    };

/** What is done to each contribution beforehand: nothing, or scaling down to the median norm. */
export type Clip = "none" | "median-norm";

/** How contributions change the params. */
export interface ApplySettings {
  readonly aggregation: Aggregation;
  /** Outer learning rate α, a float64 in (0, 1000]. */
  readonly outerLr: number;
}

/** Names of the rules that are compared with each other. */
export const AGGREGATION_NAMES = [
  "mean-all",
  "mean-senders",
  "clipped-mean-all",
  "clipped-mean-senders",
  "trimmed-mean",
  "clipped-trimmed-mean",
] as const;

/** The name of one of `AGGREGATIONS`. */
export type AggregationName = (typeof AGGREGATION_NAMES)[number];

/** The rules by name; a trimmed mean of another percentage has none. */
export const AGGREGATIONS: Readonly<Record<AggregationName, Aggregation>> = {
  "mean-all": { rule: "mean-all", clip: "none" },
  "mean-senders": { rule: "mean-senders", clip: "none" },
  "clipped-mean-all": { rule: "mean-all", clip: "median-norm" },
  "clipped-mean-senders": { rule: "mean-senders", clip: "median-norm" },
  "trimmed-mean": { rule: "trimmed-mean", clip: "none", trimPercent: 10 },
  "clipped-trimmed-mean": { rule: "trimmed-mean", clip: "median-norm", trimPercent: 10 },
};

function problemOf({ aggregation, outerLr }: ApplySettings): string | undefined {
  if (typeof outerLr !== "number" || !(outerLr > 0 && outerLr <= 1000)) {
    return `outerLr must lie in (0, 1000], not ${shown(outerLr)}`;
  }
  if (typeof aggregation !== "object" || aggregation === null) return "aggregation must be an object";
  const { rule, clip } = aggregation;
  if (rule !== "mean-all" && rule !== "mean-senders" && rule !== "trimmed-mean")
    return `there is no rule ${shown(rule)}`;
  if (clip !== "none" && clip !== "median-norm") return `clip must be "none" or "median-norm", not ${shown(clip)}`;
  if (rule !== "trimmed-mean") return undefined;
  const { trimPercent } = aggregation;
  if (Number.isInteger(trimPercent) && trimPercent >= 0 && trimPercent <= 49) return undefined;
  return `trimPercent must be a whole number from 0 to 49, not ${shown(trimPercent)}`;
}

/** Throws SkeinError("config") unless `settings` are usable. Accepts untrusted values. */
export function checkApplySettings(settings: ApplySettings): void {
  const problem = problemOf(settings);
  if (problem === undefined) return;
  throw new SkeinError("config", `outer step: ${problem}`, { remedy: "correct that setting" });
}

/** How many values of each end `trimmed-mean` drops among `count`; 2t < count for every count of at least 1. */
export function trimCount(count: number, trimPercent: number): number {
  return Math.floor((count * trimPercent) / 100);
}
