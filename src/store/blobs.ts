/**
 * Blobs that are named by their sha256. Whoever knows the hash can take the bytes from anybody: a mirror that gives wrong ones is passed over,
 * and that is never the fault of the peer who made them.
 */
import { assert } from "../base/assert.ts";
import { messageOf, SkeinError } from "../base/errors.ts";
import { sha256Hex } from "../base/hash.ts";
import { isHash } from "../base/json.ts";
import type { Store } from "./store.ts";

/** What all keys of blobs begin with. */
export const BLOBS_PREFIX = "blobs/";

/** The key of the blob with the sha256 `hash`, 64 lower-case hex digits: "blobs/ab/abcd…". */
export function blobKey(hash: string): string {
  assert(isHash(hash), "a blob's hash has 64 hex digits in lower case");
  return `${BLOBS_PREFIX}${hash.slice(0, 2)}/${hash}`;
}

/** The hash in a blob's key; undefined where `key` is not exactly one. Takes any text. */
export function blobHash(key: string): string | undefined {
  const [, folder, hash] = /^blobs\/([0-9a-f]{2})\/([0-9a-f]{64})$/.exec(key) ?? [];
  return hash !== undefined && hash.slice(0, 2) === folder ? hash : undefined;
}

/** Stores `bytes` under their hash, which it gives back. Rejects with SkeinError("store"). */
export async function putBlob(store: Store, bytes: Uint8Array): Promise<string> {
  const hash = sha256Hex(bytes);
  await store.putIfAbsent(blobKey(hash), bytes);
  return hash;
}

/** Told of a mirror, by its place in the list, that failed or gave something else than the blob. */
export type OnBadMirror = (index: number, problem: string) => void;

/** What is said of a blob that is longer than it may be: whoever named it is to blame, not who has it. */
export function oversize(maxBytes: number): string {
  return `more than ${maxBytes} bytes`;
}

/** Times that a store is asked for a blob whose bytes are wrong: the first time they may have been damaged on their way. */
const ASKS = 2;

/**
 * The blob with that hash from the first of `stores` that has it whole and right; undefined where none has. Takes at most `maxBytes` from each; a
 * longer blob counts as wrong. Rejects only where the work was interrupted.
 */
export async function getBlob(
  stores: readonly Store[],
  hash: string,
  maxBytes: number,
  onBadMirror: OnBadMirror = () => undefined,
): Promise<Uint8Array | undefined> {
  for (const [index, store] of stores.entries()) {
    try {
      const found = await blobOf(store, hash, maxBytes);
      if (found instanceof Uint8Array) return found;
      if (found !== undefined) onBadMirror(index, found);
    } catch (thrown) {
      if (thrown instanceof SkeinError && thrown.code === "interrupted") throw thrown;
      onBadMirror(index, messageOf(thrown));
    }
  }
  return undefined;
}

/** The blob as one store has it, or what is wrong with what it gives instead; undefined where it has none. */
async function blobOf(store: Store, hash: string, maxBytes: number): Promise<Uint8Array | string | undefined> {
  let problem: string | undefined;
  for (let asked = 0; asked < ASKS; asked++) {
    const bytes = await store.get(blobKey(hash), { start: 0, end: maxBytes + 1 });
    if (bytes === undefined) break;
    if (bytes.length > maxBytes) return oversize(maxBytes);
    if (sha256Hex(bytes) === hash) return bytes;
    problem = "other bytes than the hash says";
  }
  return problem;
}
