/**
 * The state root: 32 bytes that stand for all params, so that two peers see at once whether they hold the same model, a
 * checkpoint from a stranger is checked piece by piece, and a validator's vote names a state.
 *
 * The flat vector of params, as little-endian float32, is cut into pieces of 1 MiB (the last may be shorter). Their Merkle root
 * (merkle.ts, RFC 6962) is hashed once more with the number of params: root = sha256(0x02 ‖ count as uint64 ‖ Merkle root). So
 * the root fixes its own geometry, which RFC 6962 leaves to the signed tree head, and a proof needs no context but the root.
 * docs/protocol/apply.md has it byte by byte.
 */
import { assert } from "../base/assert.ts";
import { bytesOf, equalBytes, littleEndian } from "../base/bytes.ts";
import { type Hasher, sha256Stream } from "../base/hash.ts";
import { HASH_BYTES, leafHasher, merkleTree, rootOfPath } from "./merkle.ts";

/** Params in a piece: 1 MiB of float32. Small enough to fetch and check alone, large enough that hashes cost 64 bytes in a million. */
export const PIECE_PARAMS: number = 1 << 18;

const COUNT_BYTES = 8;
const ROOT_PREFIX = new Uint8Array([2]);

/** Number of pieces of `paramCount` params. */
export function pieceCount(paramCount: number): number {
  return Math.ceil(paramCount / PIECE_PARAMS);
}

/** Number of params in piece `index`. */
export function pieceLength(paramCount: number, index: number): number {
  return Math.min(PIECE_PARAMS, paramCount - index * PIECE_PARAMS);
}

/** The hashes over one state of the params: its root, proofs, and what changes when a piece does. */
export interface StateTree {
  readonly paramCount: number;
  readonly pieceCount: number;
  /** The state root, 32 bytes. */
  root(): Uint8Array;
  /** Proof for `verifyPiece` that piece `index` belongs to the root: 8 bytes of param count, then the Merkle path. */
  pieceProof(index: number): Uint8Array;
  /** Takes the new params of one piece, whole; costs that piece's hash and a few more. */
  replacePiece(index: number, piece: Float32Array): void;
}

/** Builds a `StateTree` from params that arrive in flat order, in parts of any size. */
export interface StateTreeBuilder {
  /** The next params. */
  update(values: Float32Array): StateTreeBuilder;
  /** The tree; throws AssertionError unless exactly `paramCount` params were given. */
  finish(): StateTree;
}

/** A builder for `paramCount` params, at least one. */
export function stateTreeBuilder(paramCount: number): StateTreeBuilder {
  assert(Number.isSafeInteger(paramCount) && paramCount > 0, `${paramCount} params have no state root`);
  assert(littleEndian, "states are hashed on little-endian machines only");
  const leaves: Uint8Array[] = [];
  let hasher: Hasher = leafHasher();
  let missing = pieceLength(paramCount, 0); // params until the piece is whole
  const builder: StateTreeBuilder = {
    update(values) {
      for (let at = 0; at < values.length; ) {
        assert(missing > 0, `more than ${paramCount} params`);
        const part = values.subarray(at, at + missing);
        hasher.update(bytesOf(part));
        at += part.length;
        missing -= part.length;
        if (missing > 0) continue;
        leaves.push(hasher.digest());
        hasher = leafHasher();
        missing = Math.max(0, pieceLength(paramCount, leaves.length));
      }
      return builder;
    },
    finish() {
      assert(leaves.length === pieceCount(paramCount), `fewer than ${paramCount} params`);
      return treeOf(paramCount, leaves);
    },
  };
  return builder;
}

function treeOf(paramCount: number, leaves: readonly Uint8Array[]): StateTree {
  const tree = merkleTree(leaves);
  return {
    paramCount,
    pieceCount: leaves.length,
    root: () => sealed(countBytes(paramCount), tree.root()),
    pieceProof: (index) => {
      const path = tree.path(index);
      const proof = new Uint8Array(COUNT_BYTES + path.length);
      proof.set(countBytes(paramCount));
      proof.set(path, COUNT_BYTES);
      return proof;
    },
    replacePiece: (index, piece) => {
      assert(piece.length === pieceLength(paramCount, index), `piece ${index} has not ${piece.length} params`);
      tree.setLeaf(index, leafHasher().update(bytesOf(piece)).digest());
    },
  };
}

function countBytes(paramCount: number): Uint8Array {
  const bytes = new Uint8Array(COUNT_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(paramCount), true);
  return bytes;
}

function sealed(count: Uint8Array, merkleRoot: Uint8Array): Uint8Array {
  return sha256Stream().update(ROOT_PREFIX).update(count).update(merkleRoot).digest();
}

/** The hashes over `params`. */
export function stateTree(params: Float32Array): StateTree {
  return stateTreeBuilder(params.length).update(params).finish();
}

/** The state root of `params`: 32 bytes. */
export function stateRoot(params: Float32Array): Uint8Array {
  return stateTree(params).root();
}

/**
 * Whether `piece` (little-endian float32 bytes) is piece `index` of the params that `root` stands for. For any input, hostile
 * ones too: false, never an exception, and no work beyond one hash of the piece and 36 small ones.
 */
export function verifyPiece(root: Uint8Array, index: number, piece: Uint8Array, proof: Uint8Array): boolean {
  if (root.length !== HASH_BYTES || proof.length < COUNT_BYTES) return false;
  const view = new DataView(proof.buffer, proof.byteOffset, COUNT_BYTES);
  const paramCount = Number(view.getBigUint64(0, true));
  if (!Number.isSafeInteger(paramCount) || !Number.isSafeInteger(index) || index < 0) return false;
  if (index >= pieceCount(paramCount) || piece.length !== 4 * pieceLength(paramCount, index)) return false;
  const leaf = leafHasher().update(piece).digest();
  const merkleRoot = rootOfPath(leaf, index, pieceCount(paramCount), proof.subarray(COUNT_BYTES));
  return merkleRoot !== undefined && equalBytes(root, sealed(proof.subarray(0, COUNT_BYTES), merkleRoot));
}
