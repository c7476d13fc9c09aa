/**
 * Fetching a shared checkpoint from anybody: the manifest and each piece are checked by their hashes, and all pieces together by the state
 * root, which the caller has from the chain. Any mirror may serve any piece; one that serves something else, or nothing, is passed over.
 * What arrives is kept in the node's own store at once, so a fetch that is cut off goes on where it was, and the node is a mirror itself.
 */
import { assert, must } from "../../base/assert.ts";
import { bytesOf, equalBytes, littleEndian } from "../../base/bytes.ts";
import { toHex } from "../../base/hash.ts";
import { SHARED_MANIFEST_BYTES_MAX } from "../../base/limits.ts";
import { PIECE_PARAMS, stateRoot } from "../../round/state-root.ts";
import { blobKey, getBlob } from "../../store/blobs.ts";
import type { Store } from "../../store/store.ts";
import { beginPartial, dropPartial, endPartial } from "./keep.ts";
import { inLanes } from "./lanes.ts";
import {
  decodeSharedManifest,
  isManifestFault,
  type ManifestFault,
  pieceBytes,
  type SharedManifest,
} from "./manifest.ts";

/** Times that all mirrors are asked for a blob before it is missing: of many pieces some are lost or damaged on their way. */
const ASKS = 3;

/** Which checkpoint is wanted, as the run's spec and the chain have it. */
export interface ExpectedCheckpoint {
  /** Hash of the run's spec, in hex. */
  readonly specHash: string;
  readonly round: number;
  /** State root before `round`, 32 bytes. */
  readonly root: Uint8Array;
  readonly paramCount: number;
}

/**
 * Why a checkpoint could not be had. No store has it ("no manifest", "missing piece": try again later or elsewhere), or whoever published
 * it is at fault: its manifest is none, is another checkpoint's, names a piece of a wrong length, or names pieces that are not the params
 * which the state root stands for.
 */
export interface CheckpointFault {
  readonly fault:
    | ManifestFault["fault"]
    | "no manifest"
    | "another checkpoint"
    | "missing piece"
    | "bad piece"
    | "wrong root";
  /** Index of the piece, where it is about one. */
  readonly piece?: number;
}

/** Whether fetching gave a fault. */
export function isCheckpointFault(result: Float32Array | CheckpointFault): result is CheckpointFault {
  return "fault" in result;
}

/**
 * The params of the checkpoint whose manifest has the hash `manifestHash`, or what is wrong. The first of `stores` is the node's own: pieces
 * that it has are not fetched, and fetched ones are put there. `onProgress` hears how many of the pieces are there, `onBadMirror` which of `stores`
 * did not give a blob that they should have. Rejects with SkeinError("store") where the node's own store fails.
 */
export async function fetchCheckpoint(
  stores: readonly Store[],
  manifestHash: string,
  expected: ExpectedCheckpoint,
  onProgress: (done: number, all: number) => void = () => {},
  onBadMirror: (hash: string, index: number, problem: string) => void = () => {},
): Promise<Float32Array | CheckpointFault> {
  assert(littleEndian, "checkpoints are read on little-endian machines only");
  const [local, ...mirrors] = stores;
  assert(local !== undefined, "the first store is the node's own");
  const encoded = await insisted(() =>
    getBlob(stores, manifestHash, SHARED_MANIFEST_BYTES_MAX, (index, problem) =>
      onBadMirror(manifestHash, index, problem),
    ),
  );
  if (encoded === undefined) return { fault: "no manifest" };
  const manifest = decodeSharedManifest(encoded);
  if (isManifestFault(manifest)) return manifest;
  if (!isExpected(manifest, expected)) return { fault: "another checkpoint" };

  await beginPartial(local, manifestHash, encoded);
  const params = new Float32Array(manifest.paramCount);
  const into = bytesOf(params);
  const all = manifest.pieces.length;
  let done = 0;
  const ask = mirrorsInTurn(mirrors, (hash, mirror, problem) => onBadMirror(hash, stores.indexOf(mirror), problem));
  let fault: CheckpointFault | undefined;
  await inLanes(all, async (index) => {
    const piece = await pieceOf(local, ask, manifest, index);
    if (!(piece instanceof Uint8Array)) {
      fault ??= piece;
      return false;
    }
    into.set(piece, 4 * PIECE_PARAMS * index);
    onProgress(++done, all);
    return true;
  });
  if (fault === undefined && !equalBytes(stateRoot(params), expected.root)) fault = { fault: "wrong root" };
  if (fault === undefined) {
    await endPartial(local, manifestHash, encoded);
    return params;
  }
  if (fault.fault !== "missing piece") await dropPartial(local, manifestHash);
  return fault;
}

function isExpected(manifest: SharedManifest, { specHash, round, root, paramCount }: ExpectedCheckpoint): boolean {
  const { stateRoot, ...found } = manifest;
  const same = found.specHash === specHash && found.round === round && found.paramCount === paramCount;
  return same && stateRoot === toHex(root);
}

/** What `ask` gives, which is asked a few times. */
async function insisted(ask: () => Promise<Uint8Array | undefined>): Promise<Uint8Array | undefined> {
  for (let left = ASKS; left > 0; left--) {
    const found = await ask();
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Asks mirrors for a blob. */
type Ask = (hash: string, length: number, turn: number) => Promise<Uint8Array | undefined>;

/** Mirrors take turns in being asked first; those that gave wrong bytes, or failed, are asked last from then on. */
function mirrorsInTurn(mirrors: readonly Store[], onBad: (hash: string, mirror: Store, problem: string) => void): Ask {
  const bad = new Set<Store>();
  return (hash, length, turn) => {
    const first = turn % Math.max(1, mirrors.length);
    const turned = [...mirrors.slice(first), ...mirrors.slice(0, first)];
    const order = [...turned.filter((each) => !bad.has(each)), ...turned.filter((each) => bad.has(each))];
    return getBlob(order, hash, length, (at, problem) => {
      const mirror = must(order[at], "a mirror");
      bad.add(mirror);
      onBad(hash, mirror, problem);
    });
  };
}

/** Piece `index` from the node's own store or, put there first, from a mirror. */
async function pieceOf(
  local: Store,
  ask: Ask,
  { pieces, paramCount }: SharedManifest,
  index: number,
): Promise<Uint8Array | CheckpointFault> {
  const hash = must(pieces[index], "a hash for each piece");
  const length = pieceBytes(paramCount, index);
  const own = await getBlob([local], hash, length);
  const bytes = own ?? (await insisted(() => ask(hash, length, index)));
  if (bytes === undefined) return { fault: "missing piece", piece: index };
  if (bytes.length !== length) return { fault: "bad piece", piece: index };
  if (own !== undefined) return own;
  await local.put(blobKey(hash), bytes); // over a damaged one, if there is one
  return bytes;
}
