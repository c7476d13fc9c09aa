/**
 * The k values of largest magnitude of one chunk. Of equal magnitudes the one that comes first in the chunk (row by row) wins,
 * so every machine keeps the same ones. Magnitudes compare as the bit patterns of float32 without the sign: the same order,
 * in integers.
 *
 * `topkReference` sorts. `topkSelector` gives the same answer 50 times faster (measured on Gaussian values, Node 20): one pass
 * keeps what reaches a guess (about 0.7 times the k-th magnitude of the chunk before), and only those, some hundreds of 4096, are
 * then narrowed byte by byte. A guess that was too high or far too low costs another pass and never the answer.
 */
import { assert } from "../base/assert.ts";
import { SkeinError } from "../base/errors.ts";
import type { Chunk } from "./chunks.ts";

/** Positions r · width + c of the kept values of `chunk`, ascending, by sorting. Throws SkeinError("diverged") at NaN or ±Infinity. */
export function topkReference(values: Float32Array, chunk: Chunk): number[] {
  const all: { position: number; magnitude: number }[] = [];
  for (let r = 0; r < chunk.height; r++) {
    for (let c = 0; c < chunk.width; c++) {
      const value = values[chunk.start + r * chunk.stride + c] as number;
      if (!Number.isFinite(value)) throw notFinite();
      all.push({ position: r * chunk.width + c, magnitude: Math.abs(value) });
    }
  }
  all.sort((a, b) => b.magnitude - a.magnitude || a.position - b.position);
  const kept = all.slice(0, chunk.kept).map(({ position }) => position);
  return kept.sort((a, b) => a - b);
}

/** A pseudo-gradient that cannot be sent. */
export function notFinite(): SkeinError {
  return new SkeinError("diverged", "the pseudo-gradient is not finite, or absurdly large", {
    remedy: "drop this round's work and start again from the run's params; lower the learning rate if it happens again",
  });
}

const INFINITY_BITS = 0x7f800000;
/** One step of a float32's exponent: a factor of 2. */
const OCTAVE = 1 << 23;

/** Writes the kept positions of a chunk into `out` from `at` on, ascending. */
export type TopkSelector = (bits: Uint32Array, chunk: Chunk, out: Uint32Array, at: number) => void;

/**
 * A selector with its own scratch memory, for chunks of at most `chunkValues`. It takes the values as their bits
 * (`new Uint32Array(values.buffer, …)`). Throws SkeinError("diverged") at NaN or ±Infinity.
 */
export function topkSelector(chunkValues: number): TopkSelector {
  const keys = new Uint32Array(chunkValues + 1); // magnitudes that reach the guess, in order of position
  const places = new Uint32Array(chunkValues + 1);
  const histogram = new Uint32Array(256);
  let guess = 0;

  /** Collects what reaches `floor`; returns how many. */
  const collect = (bits: Uint32Array, chunk: Chunk, floor: number): number => {
    let count = 0;
    let top = 0;
    let position = 0;
    for (let r = 0; r < chunk.height; r++) {
      const rowStart = chunk.start + r * chunk.stride;
      const rowEnd = rowStart + chunk.width;
      for (let i = rowStart; i < rowEnd; i++) {
        const key = (bits[i] as number) & 0x7fffffff;
        if (key >= floor) {
          keys[count] = key;
          places[count] = position + i - rowStart;
          count++;
          if (key > top) top = key;
        }
      }
      position += chunk.width;
    }
    if (top >= INFINITY_BITS) throw notFinite();
    return count;
  };

  /** The `rank`-th largest of the first `count` keys (rank from 1), a byte at a time. */
  const select = (count: number, rank: number): number => {
    let prefix = 0;
    let wanted = rank;
    for (let shift = 24; shift >= 0; shift -= 8) {
      histogram.fill(0);
      const mask = shift === 24 ? 0 : (-1 << (shift + 8)) >>> 0;
      for (let i = 0; i < count; i++) {
        const key = keys[i] as number;
        if ((key & mask) >>> 0 === prefix) {
          const digit = (key >>> shift) & 255;
          histogram[digit] = (histogram[digit] as number) + 1;
        }
      }
      let digit = 255;
      while ((histogram[digit] as number) < wanted) {
        wanted -= histogram[digit] as number;
        digit--;
      }
      prefix = (prefix | (digit << shift)) >>> 0;
    }
    return prefix;
  };

  return (bits, chunk, out, at) => {
    const n = chunk.height * chunk.width;
    assert(n <= chunkValues && chunk.kept <= n, "the chunk fits the selector");
    const rank = chunk.kept;
    let count = collect(bits, chunk, guess);
    if (count < rank) count = collect(bits, chunk, Math.max(0, guess - 2 * OCTAVE));
    if (count < rank) count = collect(bits, chunk, 0);
    const threshold = select(count, rank);
    guess = Math.max(0, threshold - OCTAVE / 2);
    let above = 0;
    for (let i = 0; i < count; i++) if ((keys[i] as number) > threshold) above++;
    let ties = rank - above;
    let end = at;
    for (let i = 0; i < count; i++) {
      const key = keys[i] as number;
      if (key > threshold || (key === threshold && ties-- > 0)) out[end++] = places[i] as number;
    }
    assert(end === at + rank, "as many values as wanted are kept");
  };
}
