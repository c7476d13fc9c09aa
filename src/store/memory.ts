/**
 * The in-memory twin of every store: a map of copies. It keeps the rules that a folder imposes, so that what works here
 * works there: a blob and a "folder" cannot share a name, and a write that fails leaves what was there.
 */
import { gatherBytes } from "../base/bytes.ts";
import { assertRange, checkKey, nameTaken, parentsOf } from "./key.ts";
import type { Store } from "./store.ts";

function checkFree(blobs: ReadonlyMap<string, Uint8Array>, key: string): void {
  const folder = `${key}/`;
  const taken = parentsOf(key).some((p) => blobs.has(p)) || [...blobs.keys()].some((k) => k.startsWith(folder));
  if (taken) throw nameTaken(key);
}

/** A store that lasts as long as the object. */
export function memoryStore(): Store {
  const blobs = new Map<string, Uint8Array>();
  return {
    async get(key, range) {
      checkKey(key);
      if (range) assertRange(range);
      return blobs.get(key)?.slice(range?.start, range?.end);
    },
    async size(key) {
      checkKey(key);
      return blobs.get(key)?.length;
    },
    async put(key, bytes) {
      checkKey(key);
      const blob = await gatherBytes(bytes);
      checkFree(blobs, key);
      blobs.set(key, blob);
    },
    async putIfAbsent(key, bytes) {
      checkKey(key);
      if (blobs.has(key)) return false;
      checkFree(blobs, key);
      blobs.set(key, bytes.slice());
      return true;
    },
    async list(prefix = "") {
      return [...blobs.keys()].filter((key) => key.startsWith(prefix)).sort();
    },
    async delete(key) {
      checkKey(key);
      blobs.delete(key);
    },
  };
}
