/**
 * Piece hashes: what makes a part of a shard verifiable without the rest. A shard is cut into pieces of `pieceBytes` bytes (the
 * last may be shorter); the sidecar lists the sha256 of each, and the manifest holds the sidecar's own sha256. Who has the
 * manifest can therefore fetch a sidecar and any piece from anybody. Layout in docs/protocol/data.md:
 *
 *   offset 0  4 bytes  "SKPC"
 *          4  uint32   1, the version
 *          8  uint32   pieceBytes
 *         12  uint32   number of pieces n
 *         16  n × 32   sha256 of each piece
 */
import { assert } from "../../base/assert.ts";
import { SkeinError } from "../../base/errors.ts";
import { sha256 } from "../../base/hash.ts";

const MAGIC = 0x43504b53; // "SKPC"
const VERSION = 1;
const HEADER_BYTES = 16;
const HASH_BYTES = 32;

/** Bytes of the sidecar of a shard of `shardBytes` bytes. */
export function sidecarBytes(shardBytes: number, pieceBytes: number): number {
  return HEADER_BYTES + HASH_BYTES * Math.ceil(shardBytes / pieceBytes);
}

/** The sidecar of `shard`. */
export function encodePieces(shard: Uint8Array, pieceBytes: number): Uint8Array {
  assert(shard.length > 0 && pieceBytes > 0, "a shard has at least one piece");
  const out = new Uint8Array(sidecarBytes(shard.length, pieceBytes));
  const view = new DataView(out.buffer);
  const count = Math.ceil(shard.length / pieceBytes);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, VERSION, true);
  view.setUint32(8, pieceBytes, true);
  view.setUint32(12, count, true);
  for (let i = 0; i < count; i++) {
    out.set(sha256(shard.subarray(i * pieceBytes, (i + 1) * pieceBytes)), HEADER_BYTES + i * HASH_BYTES);
  }
  return out;
}

/**
 * The piece hashes in a sidecar for a shard of `shardBytes` bytes: hash i is [i · 32, i · 32 + 32). Throws SkeinError("data")
 * unless every byte is as it must be.
 */
export function parsePieces(bytes: Uint8Array, shardBytes: number, pieceBytes: number): Uint8Array {
  const wrong = (what: string): SkeinError =>
    new SkeinError("data", `piece list: ${what}`, { remedy: "fetch the file again, or build the dataset again" });
  if (bytes.length !== sidecarBytes(shardBytes, pieceBytes)) {
    throw wrong(`has ${bytes.length} bytes instead of ${sidecarBytes(shardBytes, pieceBytes)}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw wrong("is not a piece list");
  if (view.getUint32(4, true) !== VERSION) throw wrong(`has the unknown version ${view.getUint32(4, true)}`);
  if (view.getUint32(8, true) !== pieceBytes) throw wrong("has another piece size than the manifest");
  if (view.getUint32(12, true) !== Math.ceil(shardBytes / pieceBytes)) throw wrong("has a wrong number of pieces");
  return bytes.slice(HEADER_BYTES);
}
