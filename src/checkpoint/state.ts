/**
 * What a peer must keep beyond the params (moments, error feedback, outer momentum), as one file: named float32 vectors with some
 * text, in the safetensors format (huggingface/safetensors, "Format"), so that other programs can open it.
 *
 * The reader says which vectors it expects. As with checkpoints (format.ts) it reads only the text out of the header, writes the whole
 * header anew and compares bytes: no length, order or offset of a stranger's is ever believed, and memory follows from what
 * was expected. The last 64 bytes are two sha256: over the header and over the vectors.
 */
import { assert } from "../base/assert.ts";
import { bytesOf, concatBytes, equalBytes, littleEndian } from "../base/bytes.ts";
import { sha256, sha256Stream } from "../base/hash.ts";
import { HEADER_BYTES_MAX, METADATA_FIELD_MAX } from "../base/limits.ts";
import type { Store } from "../store/store.ts";
import {
  damaged,
  decodeHeaderLength,
  encodeSafetensorsHead,
  INTEGRITY_BYTES,
  metadataOf,
  PIECE_LENGTH,
  PREFIX_BYTES,
} from "./format.ts";

const FORMAT = "skein state";
const VERSION = "1";

/** Vectors by name, in the order of the file. Names are the caller's own, never a stranger's. */
export type StateVectors = ReadonlyMap<string, Float32Array>;

function encodeStateHead(facts: string, vectors: StateVectors): Uint8Array {
  const tensors = [...vectors].map(([name, { length }]) => ({ name, dims: [length], length }));
  return encodeSafetensorsHead({ format: FORMAT, version: VERSION, facts }, tensors);
}

/** Writes `vectors` and `facts` as the blob `key`, whole or not at all. Rejects with SkeinError("store"). */
export async function saveState(store: Store, key: string, facts: string, vectors: StateVectors): Promise<void> {
  assert(littleEndian, "states are written on little-endian machines only");
  assert(facts.length <= METADATA_FIELD_MAX, "the facts of a state are short");
  const head = encodeStateHead(facts, vectors);
  assert(head.length <= HEADER_BYTES_MAX, "the vectors of a state are few");
  await store.put(key, stateBytes(head, vectors));
}

function* stateBytes(head: Uint8Array, vectors: StateVectors): Generator<Uint8Array> {
  yield head;
  const hasher = sha256Stream();
  for (const vector of vectors.values()) {
    for (let at = 0; at < vector.length; at += PIECE_LENGTH) {
      const bytes = bytesOf(vector.subarray(at, at + PIECE_LENGTH));
      hasher.update(bytes);
      yield bytes;
    }
  }
  yield concatBytes([sha256(head), hasher.digest()]);
}

/**
 * Reads the blob `key` into `vectors`, whose names and lengths it must have, and returns its facts; undefined where there is no such
 * blob. `accept` sees the facts before any vector is touched and may throw. Throws SkeinError("checkpoint") where the file is
 * damaged or holds other vectors; the vectors may then be partly overwritten.
 */
export async function loadState(
  store: Store,
  key: string,
  vectors: StateVectors,
  accept: (facts: string) => void = () => {},
): Promise<string | undefined> {
  assert(littleEndian, "states are read on little-endian machines only");
  const fileBytes = await store.size(key);
  if (fileBytes === undefined) return undefined;
  const bytesAt = async (start: number, length: number): Promise<Uint8Array> => {
    const bytes = await store.get(key, { start, end: start + length });
    if (bytes?.length !== length) throw damaged("it is cut short");
    return bytes;
  };
  const dataStart = PREFIX_BYTES + decodeHeaderLength(await bytesAt(0, Math.min(PREFIX_BYTES, fileBytes)), fileBytes);
  const head = await bytesAt(0, dataStart);
  const facts = factsOf(head);
  const dataBytes = [...vectors.values()].reduce((sum, { length }) => sum + 4 * length, 0);
  if (fileBytes < dataStart + INTEGRITY_BYTES) throw damaged("it is cut short");
  const integrity = await bytesAt(fileBytes - INTEGRITY_BYTES, INTEGRITY_BYTES);
  if (!equalBytes(integrity.subarray(0, 32), sha256(head))) throw damaged("its header does not match its hash");
  accept(facts);
  if (!equalBytes(encodeStateHead(facts, vectors), head)) throw damaged("it holds other vectors than expected");
  if (fileBytes !== dataStart + dataBytes + INTEGRITY_BYTES)
    throw damaged("its length is not what its header calls for");
  const hasher = sha256Stream();
  let position = dataStart;
  for (const vector of vectors.values()) {
    for (let at = 0; at < vector.length; at += PIECE_LENGTH) {
      const piece = bytesOf(vector.subarray(at, at + PIECE_LENGTH));
      piece.set(await bytesAt(position, piece.length));
      hasher.update(piece);
      position += piece.length;
    }
  }
  if (!equalBytes(hasher.digest(), integrity.subarray(32))) throw damaged("its data does not match its hash");
  return facts;
}

function factsOf(head: Uint8Array): string {
  const fields = metadataOf(head);
  if (fields.get("format") !== FORMAT) throw damaged("it is a safetensors file of another kind");
  if (fields.get("version") !== VERSION) throw damaged("its format version is another");
  const facts = fields.get("facts");
  if (typeof facts !== "string" || facts.length > METADATA_FIELD_MAX) throw damaged("its metadata lacks its facts");
  return facts;
}
