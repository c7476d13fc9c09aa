/**
 * A keyed permutation of [0, n): a table-free shuffle whose i-th entry anyone who knows the key computes in constant time.
 *
 * A balanced Feistel network of 8 rounds over 2k bits (Luby & Rackoff 1988), k the least number of bits with 2^(2k) ≥ n, made to
 * fit n by cycle walking (Black & Rogaway 2002): what falls outside [0, n) is sent through again; since 2^(2k) < 4n for n > 1,
 * this takes fewer than 4 passes on average. Round keys come from sha256, so
 * different keys give unrelated permutations; the round function is an integer mixer, not a cipher: order here must be fair
 * and reproducible, not secret. All numbers are 32-bit integers, and k ≤ 24 keeps indices exact in float64.
 *
 * docs/protocol/data.md says it for other languages; vectors/assignment.py says it in Python.
 */
import { assert } from "../base/assert.ts";
import { utf8 } from "../base/bytes.ts";
import { sha256 } from "../base/hash.ts";

const ROUNDS = 8;

/** Largest n: halves of at most 24 bits. */
export const PERMUTATION_MAX: number = 2 ** 48;

/** A permutation and its inverse. */
export interface Permutation {
  /** Where index i goes; i a whole number in [0, n). */
  readonly at: (i: number) => number;
  /** Which index goes to j. */
  readonly indexOf: (j: number) => number;
}

/** Two 32-bit words for each round: sha256 of "skein-permutation-1 <block> <n> <key>" for blocks 0 and 1, little-endian. */
function roundKeys(key: string, n: number): Uint32Array {
  const words = new Uint32Array(2 * ROUNDS);
  for (let block = 0; block < 2; block++) {
    const hash = sha256(utf8(`skein-permutation-1 ${block} ${n} ${key}`));
    const view = new DataView(hash.buffer, hash.byteOffset, hash.byteLength);
    for (let i = 0; i < 8; i++) words[8 * block + i] = view.getUint32(4 * i, true);
  }
  return words;
}

/** The round function: MurmurHash3's 32-bit finalizer (Appleby 2011) between two key words. */
function mix(x: number, first: number, second: number): number {
  let h = (x + first) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h = (h ^ (h >>> 16)) + second;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Half the bits of the domain: the least k ≥ 1 with 2^(2k) ≥ n. */
function halfBits(n: number): number {
  let k = 1;
  while (2 ** (2 * k) < n) k++;
  return k;
}

/** The permutation of [0, n) under `key`, both ways. n a whole number from 1 to 2^48. */
export function permutation(key: string, n: number): Permutation {
  assert(Number.isSafeInteger(n) && n >= 1 && n <= PERMUTATION_MAX, `a permutation needs n from 1 to 2^48, not ${n}`);
  const keys = roundKeys(key, n);
  const k = halfBits(n);
  const half = 2 ** k;
  const mask = half - 1;
  const round = (x: number, r: number): number => mix(x, keys[2 * r] as number, keys[2 * r + 1] as number) & mask;
  const forth = (x: number): number => {
    let left = Math.floor(x / half);
    let right = x % half;
    for (let r = 0; r < ROUNDS; r++) [left, right] = [right, left ^ round(right, r)];
    return left * half + right;
  };
  const back = (x: number): number => {
    let left = Math.floor(x / half);
    let right = x % half;
    for (let r = ROUNDS - 1; r >= 0; r--) [left, right] = [right ^ round(left, r), left];
    return left * half + right;
  };
  const walk = (step: (x: number) => number, from: number): number => {
    assert(Number.isSafeInteger(from) && from >= 0 && from < n, `index ${from} is not in [0, ${n})`);
    let x = step(from);
    while (x >= n) x = step(x);
    return x;
  };
  return { at: (i) => walk(forth, i), indexOf: (j) => walk(back, j) };
}

/**
 * A bijection on [0, n) that depends on `key`. n a whole number from 1 to 2^48.
 *
 * @example
 * const shuffled = keyedPermutation("a key", 5);
 * [0, 1, 2, 3, 4].map(shuffled); // each of 0 to 4 once
 */
export function keyedPermutation(key: string, n: number): (i: number) => number {
  return permutation(key, n).at;
}
