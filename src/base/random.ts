/**
 * The door to randomness. Everything that must be reproducible draws from a seeded stream; only key generation and names of
 * temporary files ask the machine.
 *
 * The stream is xoshiro128** 1.1 (Blackman & Vigna, "Scrambled Linear Pseudorandom Number Generators", 2018), seeded by
 * splitmix32 from a 32-bit-per-word hash of the seed text: integer arithmetic only, so every engine draws the same numbers.
 */

/** A stream of random numbers. */
export interface Random {
  /** A uniform integer in [0, 2^32). */
  uint32(): number;
  /** A uniform integer in [0, n), without bias; n in [1, 2^32]. */
  below(n: number): number;
  /** A uniform float64 in [0, 1) with 32 random bits. */
  uniform(): number;
}

function rotl(x: number, k: number): number {
  return (x << k) | (x >>> (32 - k));
}

/** A stream from its 32-bit words. */
function randomOf(uint32: () => number): Random {
  const below = (n: number): number => {
    const limit = 2 ** 32 - (2 ** 32 % n);
    for (;;) {
      const x = uint32();
      if (x < limit) return x % n;
    }
  };
  return { uint32, below, uniform: () => uint32() / 2 ** 32 };
}

/** A reproducible stream for `seed` (any text or number); equal seeds give equal streams on every machine. */
export function seededRandom(seed: string | number): Random {
  const text = String(seed);
  let h = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x85ebca6b) + rotl(h, 13);
  const split = (): number => {
    h = (h + 0x9e3779b9) | 0;
    let z = h;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let [a, b, c, d] = [split(), split(), split(), split() | 1];
  const uint32 = (): number => {
    const result = Math.imul(rotl(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotl(d, 11);
    return result;
  };
  return randomOf(uint32);
}

/** The machine's entropy, for keys and unique names. */
export const systemRandom: Random = randomOf(() => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0);
