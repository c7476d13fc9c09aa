/** Names Node: a store that is a folder of this machine (folder/folder.ts says how it keeps its word). */
import { nodeDisk } from "./folder/disk.node.ts";
import { type FolderStoreOptions, folderStoreOn } from "./folder/folder.ts";
import type { Store } from "./store.ts";

/**
 * The store in the folder `root`, which the first write creates. Leftovers of killed writers are removed before the first
 * operation. Rejects with SkeinError("store") and a remedy where the disk is full, forbidden or broken.
 *
 * @example
 * const store = folderStore("run");
 * await store.put("notes/first.txt", new TextEncoder().encode("hello"));
 */
export function folderStore(root: string, options: FolderStoreOptions = {}): Store {
  return folderStoreOn(nodeDisk, root, options);
}
