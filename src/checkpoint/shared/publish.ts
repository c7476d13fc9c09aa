/**
 * Publishing a shared checkpoint: the pieces, then the manifest, so that whoever sees the manifest finds the pieces. Pieces that the store
 * has already, from an earlier checkpoint or from somebody who published the same one, are not sent again. The result is a function of
 * the params alone: all who publish a round publish the same blobs.
 */
import { assert } from "../../base/assert.ts";
import { bytesOf, littleEndian } from "../../base/bytes.ts";
import { sha256Hex, toHex } from "../../base/hash.ts";
import { SHARED_PIECES_MAX } from "../../base/limits.ts";
import { PIECE_PARAMS, pieceCount, stateRoot } from "../../round/state-root.ts";
import { blobKey, putBlob } from "../../store/blobs.ts";
import type { Store } from "../../store/store.ts";
import { inLanes } from "./lanes.ts";
import { encodeSharedManifest } from "./manifest.ts";

/** What to publish. */
export interface PublishedState {
  /** Hash of the run's spec, in hex. */
  readonly specHash: string;
  /** The round before which these are the params. */
  readonly round: number;
  /** Not to be changed before the promise resolves. */
  readonly params: Float32Array;
}

/** What was published. */
export interface PublishedCheckpoint {
  /** Hash of the manifest's blob, in hex: what others need to fetch the checkpoint. */
  readonly manifest: string;
  /** State root of the params. */
  readonly root: Uint8Array;
  /** Bytes that the store did not have yet. */
  readonly newBytes: number;
}

/**
 * Puts the params of a round into `store` as a shared checkpoint. Rejects with SkeinError("store"); what was put until then is not put
 * again by the next attempt.
 *
 * @example
 * const { manifest } = await publishCheckpoint(store, { specHash, round: 40, params });
 * // elsewhere, with the root from the chain:
 * const params = await fetchCheckpoint([local, store], manifest, { specHash, round: 40, root, paramCount });
 */
export async function publishCheckpoint(
  store: Store,
  { specHash, round, params }: PublishedState,
): Promise<PublishedCheckpoint> {
  const count = pieceCount(params.length);
  assert(count >= 1 && count <= SHARED_PIECES_MAX, `${params.length} params make no shared checkpoint`);
  let newBytes = 0;
  const putOnce = async (bytes: Uint8Array): Promise<string> => {
    const hash = sha256Hex(bytes);
    if ((await store.size(blobKey(hash))) !== undefined) return hash;
    await putBlob(store, bytes);
    newBytes += bytes.length;
    return hash;
  };
  const pieces = await putPieces(params, putOnce);
  const root = stateRoot(params);
  const facts = { specHash, round, stateRoot: toHex(root), paramCount: params.length, pieces };
  const manifest = await putOnce(encodeSharedManifest(facts));
  return { manifest, root, newBytes };
}

/** Has `put` store a vector's pieces (round/state-root.ts), a few at a time; gives what it says of each, which is its hash. */
export async function putPieces(vector: Float32Array, put: (piece: Uint8Array) => Promise<string>): Promise<string[]> {
  assert(littleEndian, "vectors are written on little-endian machines only");
  const pieces = new Array<string>(pieceCount(vector.length)).fill("");
  await inLanes(pieces.length, async (index) => {
    pieces[index] = await put(bytesOf(vector.subarray(index * PIECE_PARAMS, (index + 1) * PIECE_PARAMS)));
    return true;
  });
  return pieces;
}
