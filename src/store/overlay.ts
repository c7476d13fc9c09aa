/**
 * One store made of several, told apart by how their keys begin: what a gateway serves is a run's spec from memory, the dataset from its
 * folder, and the rest from a folder of its own, under one roof. The longest matching beginning decides; what another part has under such a
 * key is out of sight.
 */
import { assert, must } from "../base/assert.ts";
import { SkeinError } from "../base/errors.ts";
import { checkKey, keyFault, nameTaken, parentsOf } from "./key.ts";
import type { Store } from "./store.ts";

/** A store and its place among the others. */
export interface StorePart {
  /**
   * Which keys it has: "data/" all that begin so, and it sees them without that beginning; "run.json" this one alone, which it sees as it
   * is; "" all that no other part has.
   */
  readonly at: string;
  readonly store: Store;
  /** Refuses to be written to through this roof. */
  readonly readOnly?: boolean;
}

/** A part that is responsible for a key, and how it calls that key. */
interface Place {
  readonly part: StorePart;
  readonly key: string;
}

/**
 * The store of all `parts`: exactly one is at "". Reads and writes go to the part that a key belongs to. Writing to a read-only part, or a
 * blob under the name of a part's folder, rejects with SkeinError("store").
 *
 * @example
 * const served = overlayStore([
 *   { at: "", store: folderStore("store") },
 *   { at: "data/", store: folderStore("data"), readOnly: true },
 * ]);
 */
export function overlayStore(parts: readonly StorePart[]): Store {
  checkParts(parts);
  const ordered = [...parts].sort((a, b) => b.at.length - a.at.length);
  const placeOf = (key: string): Place => {
    checkKey(key);
    const part = must(ordered.find(belongs(key)), "a part for every key");
    return { part, key: part.at.endsWith("/") ? key.slice(part.at.length) : key };
  };
  const placeToWrite = (key: string): Place => {
    const place = placeOf(key);
    if (place.part.readOnly === true) throw readOnly(key);
    return place;
  };
  const checkFree = (key: string): void => {
    if (parts.some(({ at }) => at.startsWith(`${key}/`))) throw nameTaken(key);
    if (parentsOf(key).some((parent) => parts.some(({ at }) => at === parent))) throw nameTaken(key);
  };
  return {
    async get(key, range) {
      const { part, key: inner } = placeOf(key);
      return part.store.get(inner, range);
    },
    async size(key) {
      const { part, key: inner } = placeOf(key);
      return part.store.size(inner);
    },
    async put(key, bytes) {
      const { part, key: inner } = placeToWrite(key);
      checkFree(key);
      await part.store.put(inner, bytes);
    },
    async putIfAbsent(key, bytes) {
      const { part, key: inner } = placeToWrite(key);
      checkFree(key);
      return part.store.putIfAbsent(inner, bytes);
    },
    async list(prefix = "") {
      const lists = await Promise.all(parts.map((part) => listOf(part, prefix)));
      const seen = lists.flatMap((keys, i) => keys.filter((key) => ordered.find(belongs(key)) === parts[i]));
      return seen.sort();
    },
    async delete(key) {
      const { part, key: inner } = placeToWrite(key);
      await part.store.delete(inner);
    },
  };
}

function checkParts(parts: readonly StorePart[]): void {
  const places = parts.map(({ at }) => at);
  assert(new Set(places).size === places.length, "two parts of a store are at the same place");
  assert(places.includes(""), "one part has what no other has");
  for (const at of places)
    assert(at === "" || keyFault(at.replace(/\/$/, "")) === undefined, `no part can be at ${at}`);
}

function belongs(key: string): (part: StorePart) => boolean {
  return ({ at }) => (at === "" || at.endsWith("/") ? key.startsWith(at) : key === at);
}

/** The keys of a part under this roof that begin with `prefix`. */
async function listOf({ at, store }: StorePart, prefix: string): Promise<string[]> {
  if (at === "") return store.list(prefix);
  if (!at.endsWith("/")) return at.startsWith(prefix) && (await store.size(at)) !== undefined ? [at] : [];
  if (prefix.startsWith(at)) return (await store.list(prefix.slice(at.length))).map((key) => at + key);
  return at.startsWith(prefix) ? (await store.list()).map((key) => at + key) : [];
}

function readOnly(key: string): SkeinError {
  return new SkeinError("store", `${key} cannot be written: this part of the store is read-only`, {
    remedy: "write to another place, or change what is served where it comes from",
  });
}
