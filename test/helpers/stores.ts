/** Stores that misbehave on purpose. */
import { SkeinError } from "../../src/base/errors.ts";
import type { Store } from "../../src/store/store.ts";

async function* counted(
  bytes: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  before: () => void,
): AsyncGenerator<Uint8Array> {
  for await (const part of bytes instanceof Uint8Array ? [bytes] : bytes) {
    before();
    yield part;
  }
  before(); // the flush and the rename
}

/** `store`, whose n-th write (from 0, counting every piece of every blob and every publication) fails as a full disk does. */
export function failingWrites(store: Store, n: number): Store & { readonly writes: () => number } {
  let writes = 0;
  const before = (): void => {
    if (writes++ === n) throw new SkeinError("store", "the disk is full", { remedy: "free some space" });
  };
  return {
    ...store,
    writes: () => writes,
    put: (key, bytes) => store.put(key, counted(bytes, before)),
    async putIfAbsent(key, bytes) {
      before();
      return store.putIfAbsent(key, bytes);
    },
  };
}
