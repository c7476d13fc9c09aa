/**
 * The outer step θ' = θ − α · aggregate for one tensor, fast: SparseLoCo's plain SGD without momentum (arXiv 2603.08163, eq. 2).
 * Which float64 operations happen in which order is fixed by docs/protocol/apply.md, so that every machine holds the same bits;
 * apply-reference.ts says the same slowly. The means run in a compiled kernel (means.ts, native/native.node.ts), the trimmed mean
 * here (trimmed.ts).
 */
import { AssertionError, assert } from "../base/assert.ts";
import { CONTRIBUTIONS_MAX } from "../base/limits.ts";
import { type ApplySettings, checkApplySettings, trimCount } from "./aggregation.ts";
import { clipFactors } from "./clip.ts";
import { checkSparse, type SparseTensor } from "./contribution.ts";
import { type MeansKernel, wasmMeans } from "./means.ts";
import { applyTrimmedMean } from "./trimmed.ts";

/**
 * Applies `contributions`, in the order in which they were selected, to one tensor in place. No contributions: nothing changes
 * (a null round). An element whose new value would not be a finite float32 keeps its old one. Throws SkeinError("config") for bad
 * settings, and AssertionError for contributions that break the rules of `SparseTensor`; the tensor is then perhaps partly changed.
 * `kernel` changes the speed and nothing else.
 */
export function applyTensor(
  params: Float32Array,
  contributions: readonly SparseTensor[],
  settings: ApplySettings,
  kernel: MeansKernel = wasmMeans,
): void {
  const { aggregation, outerLr } = settings;
  checkApplySettings(settings);
  const count = contributions.length;
  assert(count <= CONTRIBUTIONS_MAX, `${count} contributions are too many`);
  if (count === 0) return;
  const factors =
    aggregation.clip === "none" ? new Float64Array(count).fill(1) : clipFactors(kernel.squaredNorms(contributions));
  if (aggregation.rule === "trimmed-mean") {
    for (const sparse of contributions) checkSparse(sparse, params.length);
    applyTrimmedMean(params, contributions, factors, outerLr, trimCount(count, aggregation.trimPercent));
    return;
  }
  const bySenders = aggregation.rule === "mean-senders";
  if (kernel.applyMean(params, contributions, factors, bySenders ? outerLr : outerLr / count, bySenders)) return;
  for (const sparse of contributions) checkSparse(sparse, params.length); // says what is wrong
  throw new AssertionError(`the ${kernel.name} kernel and checkSparse disagree`);
}
