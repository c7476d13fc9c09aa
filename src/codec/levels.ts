/**
 * Kept values as sign and magnitude level. Two bits: two magnitudes per tensor, fitted by Lloyd's algorithm (Lloyd 1982, "Least
 * squares quantization in PCM", method I): each value goes to the nearer level, each level to the mean of its values. One bit:
 * the mean magnitude.
 *
 * Top-k leaves nothing near zero, so four uniform bins over all values (the code of the reference implementation) hardly use
 * two of them; sign and two magnitudes use all four, with about a third of the squared error (bench/codec-size.ts).
 *
 * Exact: fixed start, at most ITERATIONS rounds, float64 sums in order of index. Stopping early where nothing moves gives the same
 * result as going on. At the end levels are rounded to bfloat16 (float32 without its low 16 bits, ties to even): they are off by
 * 2^-9 at most, which is nothing beside the spread of the values, and error feedback has it back; they travel in two bytes.
 */
import { LEVEL_MAX } from "../base/limits.ts";
import { splitSums } from "./selection.ts";
import { notFinite } from "./topk.ts";

const ITERATIONS = 16;
const word = new Float32Array(1);
const wordBits = new Uint32Array(word.buffer);

/** The 16 bits of the bfloat16 nearest to `x`, finite and not negative. */
export function toBfloat16(x: number): number {
  word[0] = x;
  const bits = wordBits[0] as number;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The float32 that `bits` (16 of them) stand for. */
export function fromBfloat16(bits: number): number {
  wordBits[0] = bits << 16;
  return word[0] as number;
}

function rounded(x: number): number {
  const level = fromBfloat16(toBfloat16(x));
  if (!(level <= LEVEL_MAX)) throw notFinite();
  return level;
}

/** Magnitudes of a tensor's kept values: [mean] for one bit, [low, high] with low ≤ high for two; bfloat16 in
 * float32. */
export type Levels = readonly [number] | readonly [number, number];

/** Means of the magnitudes up to a threshold, and above it (as below where there are none). */
function meanAbove(values: Float32Array, threshold: number): { low: number; high: number } {
  const sums = splitSums(values, threshold);
  const low = sums.low / (values.length - sums.above);
  return { low, high: sums.above > 0 ? sums.high / sums.above : low };
}

/** The levels that fit `values` (all finite); zeros where there are none. Throws SkeinError("diverged") where they pass LEVEL_MAX. */
export function fitLevels(values: Float32Array, bits: 1 | 2): Levels {
  if (values.length === 0) return bits === 1 ? [0] : [0, 0];
  const all = meanAbove(values, Number.POSITIVE_INFINITY).low;
  if (bits === 1) return [rounded(all)];
  let threshold = all;
  let fitted = { low: all, high: all };
  for (let i = 0; i < ITERATIONS; i++) {
    fitted = meanAbove(values, threshold);
    const next = (fitted.low + fitted.high) / 2;
    if (next === threshold) break;
    threshold = next;
  }
  return [rounded(fitted.low), rounded(fitted.high)];
}

/** Bit of the sign in a code; bit 0 is the level. */
export const SIGN = 2;

/**
 * The code of each value: SIGN where negative (−0 is not), plus 1 where nearer to the high level (a tie goes to the low one). By the bits, since no
 * processor foresees signs and levels: magnitudes compare as their bits do.
 */
export function quantize(values: Float32Array, levels: Levels, codes: Uint8Array): void {
  const [low, high = Number.POSITIVE_INFINITY] = levels;
  const middle = (low + high) / 2; // exact in float64
  word[0] = middle;
  const most = (wordBits[0] as number) - ((word[0] as number) > middle ? 1 : 0); // of the largest float32 up to the middle
  const words = new Int32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < words.length; i++) {
    const bits = words[i] as number;
    const magnitude = bits & 0x7fffffff;
    codes[i] = (((-magnitude & bits) >>> 31) * SIGN) | ((most - magnitude) >>> 31);
  }
}

/** What each code stands for, [+low, +high, −low, −high]. */
export function codebook(levels: Levels): Float32Array {
  const [low, high = low] = levels;
  return Float32Array.of(low, high, -low, -high);
}
