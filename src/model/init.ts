/**
 * First params, the same bits on every machine.
 *
 * Normal(0, 0.02) for every matrix, and for those that write into the residual stream (wo, wdown) 0.02 / √(2·layers), so that
 * the stream's variance does not grow with depth (GPT-2: Radford et al. 2019, §2.3); gains of norms are 1.
 *
 * Departure: the "normal" is an Irwin–Hall sum of 12 uniforms less its mean. Box–Muller needs ln, cos and sqrt, the ziggurat
 * exp and ln, which JavaScript engines and other languages may round differently; this needs only integer additions, one
 * subtraction and one multiplication, so any language draws the same float32. Its tails end at ±6σ and its kurtosis is 2.9
 * instead of 3, which training does not notice. The uniforms are the 16-bit halves of 6 words.
 *
 * Each tensor has its own stream, seeded by the run's seed and the tensor's name, so tensors can be made in any order, in
 * parallel, or one at a time where a model is larger than memory.
 */
import { exactExp, exactLn } from "../base/exactmath.ts";
import { type Random, seededRandom } from "../base/random.ts";
import { type ModelShape, type ParamEntry, paramCount, paramLayout } from "../engine/shape.ts";

/** Standard deviation of params before any scaling. */
export const INIT_STD = 0.02;

/** Values are made and handed out in pieces of at most this many, 16 MiB. */
const PIECE_LENGTH_MAX = 1 << 22;

/** Mean of a sum of twelve 16-bit halves; its variance is 65536² − 1. */
const SUM_MEAN = 6 * 65535;

/** One piece of one tensor: `values` belong at `entry.offset + start` of the flat vector. */
export interface InitPiece {
  readonly entry: ParamEntry;
  /** Index within the tensor of the first value. */
  readonly start: number;
  readonly values: Float32Array;
}

/** A draw from the stand-in for the standard normal: in [−6, 6], mean 0, variance 1 − 2^−32. */
export function sumOfTwelve(random: Random): number {
  let sum = 0;
  for (let i = 0; i < 6; i++) {
    const word = random.uint32();
    sum += (word & 0xffff) + (word >>> 16);
  }
  return (sum - SUM_MEAN) / 65536;
}

function stdOf(name: string, layers: number): number {
  const residual = name.endsWith(".wo") || name.endsWith(".wdown");
  return residual ? INIT_STD * exactExp(-0.5 * exactLn(2 * layers)) : INIT_STD;
}

/** The first params, piece by piece in flat order: at no time more than 16 MiB of them. */
export function* initTensors(shape: ModelShape, seed: string | number): Generator<InitPiece> {
  for (const entry of paramLayout(shape)) {
    const random = seededRandom(`init/${seed}/${entry.name}`);
    const std = stdOf(entry.name, shape.layers);
    for (let start = 0; start < entry.length; start += PIECE_LENGTH_MAX) {
      const values = new Float32Array(Math.min(PIECE_LENGTH_MAX, entry.length - start));
      if (entry.dims.length === 1) values.fill(1);
      else for (let i = 0; i < values.length; i++) values[i] = std * sumOfTwelve(random);
      yield { entry, start, values };
    }
  }
}

/** The first params in one flat vector. For models whose params fit in one array; otherwise use `initTensors`. */
export function initParams(shape: ModelShape, seed: string | number): Float32Array {
  const params = new Float32Array(paramCount(shape));
  for (const { entry, start, values } of initTensors(shape, seed)) params.set(values, entry.offset + start);
  return params;
}
