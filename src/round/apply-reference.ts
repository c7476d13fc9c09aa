/**
 * The outer step θ' = θ − α · aggregate for one tensor, slow and obvious: docs/protocol/apply.md in code, element by element.
 * apply.ts computes the same bits and is judged by this.
 */
import { must } from "../base/assert.ts";
import { type ApplySettings, trimCount } from "./aggregation.ts";
import { clipFactors } from "./clip.ts";
import { checkSparse, type SparseTensor, squaredNorm } from "./contribution.ts";

/** Sum and divisor of the values that were sent for one element, in the order of the contributions. */
function aggregate(sent: readonly number[], count: number, { aggregation }: ApplySettings): [number, number] {
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  if (aggregation.rule !== "trimmed-mean") return [sum(sent), aggregation.rule === "mean-all" ? count : sent.length];
  const trim = trimCount(count, aggregation.trimPercent);
  const all = [...sent, ...Array.from({ length: count - sent.length }, () => 0)].sort((a, b) => a - b);
  return [sum(all.slice(trim, count - trim)), count - 2 * trim];
}

/** New params of one tensor: `params` after the contributions in their order. Nothing is changed in place. */
export function applyTensorReference(
  params: Float32Array,
  contributions: readonly SparseTensor[],
  settings: ApplySettings,
): Float32Array {
  for (const sparse of contributions) checkSparse(sparse, params.length);
  const squares = Float64Array.from(contributions, ({ values }) => squaredNorm(values));
  const factors = settings.aggregation.clip === "none" ? contributions.map(() => 1) : [...clipFactors(squares)];
  const sent = new Map<number, number[]>();
  contributions.forEach(({ indices, values }, r) => {
    indices.forEach((at, j) => {
      const value = must(factors[r], "factor") * must(values[j], "value");
      sent.set(at, [...(sent.get(at) ?? []), value]);
    });
  });
  return params.map((param, at) => {
    const values = sent.get(at);
    if (values === undefined) return param;
    const [sum, divisor] = aggregate(values, contributions.length, settings);
    const next = Math.fround(param - (settings.outerLr / divisor) * sum);
    return Number.isFinite(next) ? next : param;
  });
}
