/** Contributions for tests of rounds: random ones, ones written out, and the generator of vectors/apply.py. */
import type { Random } from "../../src/base/random.ts";
import type { Contribution, SparseTensor } from "../../src/round/contribution.ts";

/** A sparse tensor from [index, value] pairs. */
export function sparse(...pairs: readonly (readonly [number, number])[]): SparseTensor {
  return { indices: Int32Array.from(pairs, ([at]) => at), values: Float32Array.from(pairs, ([, value]) => value) };
}

/** A contribution of given tensors. */
export function contributionOf(tensors: readonly SparseTensor[]): Contribution {
  return {
    tensor: (index) => {
      const found = tensors[index];
      if (!found) throw new Error(`no tensor ${index}`);
      return found;
    },
  };
}

/**
 * Random values at about `density` of `length` elements. Their magnitudes spread over many powers of two, so that order and
 * precision of sums matter; some are zero, of either sign.
 */
export function randomSparse(random: Random, length: number, density: number): SparseTensor {
  const pairs: [number, number][] = [];
  for (let at = 0; at < length; at++) {
    if (random.uniform() >= density) continue;
    const kind = random.below(16);
    const value = kind < 2 ? [0, -0][kind] : (random.uniform() - 0.5) * 2 ** (random.below(24) - 20);
    pairs.push([at, value as number]);
  }
  return sparse(...pairs);
}

/** Random params of mixed magnitudes. */
export function randomParams(random: Random, length: number): Float32Array {
  return Float32Array.from({ length }, () => (random.uniform() - 0.5) * 2 ** (random.below(8) - 6));
}

/** The generator that vectors/apply.py documents: uniform multiples of 2^-24 in [0, 1). */
export function congruential(seed: number): () => number {
  let s = seed;
  return () => {
    s = (Math.imul(1664525, s) + 1013904223) >>> 0;
    return (s >>> 8) / 2 ** 24;
  };
}
