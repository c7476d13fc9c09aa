/**
 * Several stores as one: it is written to the first, and read from whichever has it. A store that fails is asked last until it answers again, so that a
 * mirror that is away costs its time-out once and not with every blob.
 */
import { assert, must } from "../base/assert.ts";
import { messageOf, SkeinError } from "../base/errors.ts";
import { sha256Hex } from "../base/hash.ts";
import { blobHash, type OnBadMirror } from "./blobs.ts";
import type { Store } from "./store.ts";

/**
 * One store over `stores`. Reading gives what the first of them has; whole blobs are checked against the hash in their key. It rejects only where all
 * stores fail: what one says is not there counts as absent where the others cannot be asked.
 */
export function mirrored(stores: readonly Store[], onBad: OnBadMirror = () => undefined): Store {
  assert(stores.length > 0, "there is a store to mirror");
  const first = must(stores[0], "a first store");
  const failing = new Set<number>();
  const inTurn = (): number[] => {
    const all = [...stores.keys()];
    return [...all.filter((index) => !failing.has(index)), ...all.filter((index) => failing.has(index))];
  };
  const firstOf = async <T>(
    read: (store: Store) => Promise<T | undefined>,
    problemOf: (found: T) => string | undefined,
  ): Promise<T | undefined> => {
    const errors: unknown[] = [];
    for (const index of inTurn()) {
      try {
        const found = await read(must(stores[index], "a store"));
        failing.delete(index);
        if (found === undefined) continue;
        const problem = problemOf(found);
        if (problem === undefined) return found;
        failing.add(index);
        onBad(index, problem);
      } catch (thrown) {
        if (!(thrown instanceof SkeinError) || thrown.code !== "store") throw thrown; // interrupted, or a bug
        failing.add(index);
        errors.push(thrown);
        onBad(index, messageOf(thrown));
      }
    }
    if (errors.length === stores.length) throw errors[0];
    return undefined;
  };
  return {
    get(key, range) {
      const hash = range === undefined ? blobHash(key) : undefined;
      const isRight = (bytes: Uint8Array): boolean => hash === undefined || sha256Hex(bytes) === hash;
      const problemOf = (bytes: Uint8Array): string | undefined =>
        isRight(bytes) ? undefined : "other bytes than the hash says";
      return firstOf((store) => store.get(key, range), problemOf);
    },
    size: (key) =>
      firstOf(
        (store) => store.size(key),
        () => undefined,
      ),
    put: (key, bytes) => first.put(key, bytes),
    putIfAbsent: (key, bytes) => first.putIfAbsent(key, bytes),
    async list(prefix) {
      return (
        (await firstOf(
          (store) => store.list(prefix),
          () => undefined,
        )) ?? []
      );
    },
    delete: (key) => first.delete(key),
  };
}
