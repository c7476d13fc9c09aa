/**
 * Names Node: what everything that writes files durably shares: the system's word for what went wrong, the name that is given once, and the
 * flush of a folder. (The blob store and the chain's files are neighbours on one floor, so what both need is here.)
 */
import * as fs from "node:fs/promises";
import { systemCode } from "./errors.ts";

export { systemCode };

/** Gives the file `temporary` the name `file` too; false where that is taken, for link(2) refuses to replace. Throws what the system does. */
export async function linkUnlessThere(temporary: string, file: string): Promise<boolean> {
  try {
    await fs.link(temporary, file);
    return true;
  } catch (thrown) {
    if (systemCode(thrown) === "EEXIST") return false;
    throw thrown;
  }
}

/** Flushes a folder's entries; Windows cannot open folders and needs no such flush. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await fs.open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
