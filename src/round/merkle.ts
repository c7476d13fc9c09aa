/**
 * The Merkle tree of RFC 6962 (Certificate Transparency), section 2.1, over sha256: a leaf is sha256(0x00 ‖ data), a node
 * sha256(0x01 ‖ left ‖ right), so that no node can pass for a leaf. A last node without a sibling rises unchanged, which gives
 * the same tree as the RFC's split at the largest power of two (merkle.test.ts checks it against that definition). Paths are
 * those of section 2.1.1 and are verified as RFC 9162, section 2.1.3.2 says.
 *
 * The tree holds all levels, 64 bytes a leaf in all, so a changed leaf costs one hash a level.
 */
import { assert } from "../base/assert.ts";
import { sha256Stream } from "../base/hash.ts";

/** Bytes of a hash. */
export const HASH_BYTES = 32;

const LEAF_PREFIX = new Uint8Array([0]);
const NODE_PREFIX = new Uint8Array([1]);

/** A leaf's hash in the making: give it the data. */
export function leafHasher(): ReturnType<typeof sha256Stream> {
  return sha256Stream().update(LEAF_PREFIX);
}

function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256Stream().update(NODE_PREFIX).update(left).update(right).digest();
}

/** A tree over a fixed number of leaves. */
export interface MerkleTree {
  readonly leafCount: number;
  /** 32 bytes. */
  root(): Uint8Array;
  /** The siblings from leaf `index` to the root: at most ⌈log₂ leafCount⌉ hashes of 32 bytes, one after the other. */
  path(index: number): Uint8Array;
  /** Replaces one leaf's hash. */
  setLeaf(index: number, hash: Uint8Array): void;
}

/** The tree over `leafHashes`, at least one, each of 32 bytes. */
export function merkleTree(leafHashes: readonly Uint8Array[]): MerkleTree {
  assert(leafHashes.length > 0, "a tree has at least one leaf");
  const levels: Uint8Array[][] = [[...leafHashes]];
  for (let level = levels[0] ?? []; level.length > 1; ) {
    const above = level;
    level = Array.from({ length: Math.ceil(above.length / 2) }, (_, i) => parent(above, i));
    levels.push(level);
  }
  const leafCount = leafHashes.length;
  const check = (index: number): void =>
    assert(Number.isInteger(index) && index >= 0 && index < leafCount, `there is no leaf ${index} of ${leafCount}`);
  return {
    leafCount,
    root: () => (levels.at(-1)?.[0] ?? new Uint8Array()).slice(),
    path: (index) => {
      check(index);
      return pathOf(levels, index);
    },
    setLeaf: (index, hash) => {
      check(index);
      assert(hash.length === HASH_BYTES, "a leaf's hash has 32 bytes");
      let at = index;
      levels.forEach((level, l) => {
        const below = levels[l - 1];
        level[at] = below ? parent(below, at) : hash.slice();
        at = Math.floor(at / 2);
      });
    },
  };
}

function parent(level: readonly Uint8Array[], index: number): Uint8Array {
  const left = level[2 * index] as Uint8Array;
  const right = level[2 * index + 1];
  return right ? nodeHash(left, right) : left;
}

function pathOf(levels: readonly (readonly Uint8Array[])[], index: number): Uint8Array {
  const siblings: Uint8Array[] = [];
  let at = index;
  for (const level of levels) {
    const sibling = level[at % 2 === 0 ? at + 1 : at - 1];
    if (sibling) siblings.push(sibling);
    at = Math.floor(at / 2);
  }
  const path = new Uint8Array(siblings.length * HASH_BYTES);
  siblings.forEach((hash, i) => {
    path.set(hash, i * HASH_BYTES);
  });
  return path;
}

/**
 * The root that `path` leads to from leaf `index` of `leafCount`; undefined where the path has not the length that this place
 * calls for, or the place does not exist. For any bytes and numbers; never throws.
 */
export function rootOfPath(
  leafHash: Uint8Array,
  index: number,
  leafCount: number,
  path: Uint8Array,
): Uint8Array | undefined {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(leafCount) || index < 0 || index >= leafCount)
    return undefined;
  if (path.length % HASH_BYTES !== 0) return undefined;
  let hash = leafHash;
  let from = 0;
  let at = index;
  for (let last = leafCount - 1; last > 0; last = Math.floor(last / 2)) {
    if (at % 2 === 1 || at < last) {
      const sibling = path.subarray(from, from + HASH_BYTES);
      if (sibling.length !== HASH_BYTES) return undefined;
      hash = at % 2 === 1 ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
      from += HASH_BYTES;
    }
    at = Math.floor(at / 2);
  }
  return from === path.length ? hash : undefined;
}
