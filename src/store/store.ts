/**
 * The door to stored bytes: named blobs, written whole or not at all. One contract suite (test/contract/store.ts) runs over
 * every adapter. Keys are relative paths of the characters [A-Za-z0-9._-] with "/" between parts, no part empty, "." or "..".
 */

/** A half-open byte range [start, end). */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Named blobs. Every method may reject with SkeinError("store"). */
export interface Store {
  /** The whole blob, or the given range of it (clamped to its end); undefined where no blob has that key. */
  get(key: string, range?: ByteRange): Promise<Uint8Array | undefined>;
  /** Bytes in the blob, or undefined. */
  size(key: string): Promise<number | undefined>;
  /** Writes the whole blob atomically and durably: after a crash there is the old blob or the new one, never a part. */
  put(key: string, bytes: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void>;
  /** Like `put`, but leaves an existing blob alone; returns whether it wrote. */
  putIfAbsent(key: string, bytes: Uint8Array): Promise<boolean>;
  /** Keys that start with `prefix`, in ascending byte order. */
  list(prefix?: string): Promise<string[]>;
  /** Removes the blob if it is there. */
  delete(key: string): Promise<void>;
}
