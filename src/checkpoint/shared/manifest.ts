/**
 * The manifest of a shared checkpoint: which pieces the params before a round consist of, each by its sha256. The pieces are those of the
 * state root (round/state-root.ts), as plain little-endian float32, so that two checkpoints have in common every piece that did not
 * change. docs/protocol/checkpoint.md has it byte by byte.
 *
 * A manifest comes from a stranger. It proves nothing by itself: the pieces it names are checked by their hashes, and all together by
 * the state root that the chain has.
 */
import { assert } from "../../base/assert.ts";
import { equalBytes, utf8 } from "../../base/bytes.ts";
import { fieldsIn, isCount, isHash, jsonIn } from "../../base/json.ts";
import { SHARED_MANIFEST_BYTES_MAX, SHARED_PIECES_MAX } from "../../base/limits.ts";
import { canonicalJson } from "../../data/shards/canonical.ts";
import { PIECE_PARAMS, pieceCount, pieceLength } from "../../round/state-root.ts";

const FORMAT = "skein shared checkpoint";
const VERSION = 1;

/** What a shared checkpoint says about itself. Hashes are sha256 in lower-case hex. */
export interface SharedManifest {
  /** The run. */
  readonly specHash: string;
  /** The round before which these are the params. */
  readonly round: number;
  readonly stateRoot: string;
  readonly paramCount: number;
  /** Hash of each piece, in order. */
  readonly pieces: readonly string[];
}

/** What the canonical form of every manifest begins with, and no other blob of ours. */
export const SHARED_MANIFEST_START: Uint8Array = utf8(`{"format":"${FORMAT}",`);

/** What is wrong with the bytes of a manifest. */
export interface ManifestFault {
  readonly fault: "too long" | "not JSON" | "another format" | "another version" | "wrong fields" | "not canonical";
}

/** Whether decoding gave a fault. */
export function isManifestFault(result: SharedManifest | ManifestFault): result is ManifestFault {
  return "fault" in result;
}

/** Bytes of piece `index` of `paramCount` params. */
export function pieceBytes(paramCount: number, index: number): number {
  return 4 * pieceLength(paramCount, index);
}

/** The manifest's one form: canonical JSON. */
export function encodeSharedManifest(manifest: SharedManifest): Uint8Array {
  const { specHash, round, stateRoot, paramCount, pieces } = manifest;
  assert(pieces.length === pieceCount(paramCount), "a manifest names every piece");
  const fields = { format: FORMAT, version: VERSION, specHash, round, stateRoot, paramCount, pieces };
  return utf8(canonicalJson(fields));
}

/** Decodes any bytes: a manifest, or the first thing found wrong. Never throws; memory is bounded by the bytes. */
export function decodeSharedManifest(bytes: Uint8Array): SharedManifest | ManifestFault {
  if (bytes.length > SHARED_MANIFEST_BYTES_MAX) return { fault: "too long" };
  const found = jsonIn(bytes);
  if (typeof found !== "object" || found === null) return { fault: "not JSON" };
  const json = fieldsIn(found);
  if (json.get("format") !== FORMAT) return { fault: "another format" };
  if (json.get("version") !== VERSION) return { fault: "another version" };
  const [specHash, stateRoot, pieces] = [json.get("specHash"), json.get("stateRoot"), json.get("pieces")];
  const [round, paramCount] = [json.get("round"), json.get("paramCount")];
  const known = isHash(specHash) && isHash(stateRoot) && isCount(round) && isCount(paramCount);
  if (!known || !Array.isArray(pieces) || !pieces.every(isHash)) return { fault: "wrong fields" };
  if (paramCount < 1 || paramCount > SHARED_PIECES_MAX * PIECE_PARAMS) return { fault: "wrong fields" };
  if (pieces.length !== pieceCount(paramCount)) return { fault: "wrong fields" };
  const manifest = { specHash, round, stateRoot, paramCount, pieces };
  return equalBytes(encodeSharedManifest(manifest), bytes) ? manifest : { fault: "not canonical" };
}
