/**
 * Names Node: the few file operations that the embedded chain and the key folder need: whole files written so that a crash leaves the
 * old or the new one, and reading with a bound. (The blob store of store/ is a neighbour on the same floor, and knows nothing of file
 * modes, which secrets need.)
 *
 * A write goes to a temporary file beside its target, is flushed, renamed onto it, and the folder is flushed: the rename is atomic and
 * the flush makes it last.
 */
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { linkUnlessThere, syncFolder, systemCode } from "../base/disk.node.ts";
import { messageOf, SkeinError } from "../base/errors.ts";
import { systemRandom } from "../base/random.ts";

/** What the file system threw, for people; anything else is passed on as it is. */
export function fileError(action: string, file: string, thrown: unknown): unknown {
  if (!/^E[A-Z0-9]+$/.test(systemCode(thrown))) return thrown;
  const remedy = "check that the disk has room and that this account may read and write there, then try again";
  return new SkeinError("store", `cannot ${action} ${file}: ${messageOf(thrown)}`, { remedy, cause: thrown });
}

/** A name beside `file` that no other writer uses. Temporary files carry a "~". */
export function temporaryBeside(file: string): string {
  return `${file}~${process.pid}~${systemRandom.uint32().toString(36)}`;
}

/** How a file is to be written. */
export interface WriteOptions {
  /** Permissions of the file; 0o600 for secrets. */
  readonly mode?: number;
  /** Leaves an existing file alone and gives false. */
  readonly ifAbsent?: boolean;
}

/** Writes `file` as a whole. False where `ifAbsent` is set and there is one already. Throws SkeinError("store"). */
export async function writeWhole(file: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<boolean> {
  const temporary = temporaryBeside(file);
  try {
    await fs.mkdir(path.dirname(file), { recursive: true });
    const handle = await fs.open(temporary, "wx", options.mode ?? 0o644);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (options.ifAbsent === true) {
      if (!(await linkUnlessThere(temporary, file))) return false;
    } else await fs.rename(temporary, file);
    await syncFolder(path.dirname(file));
    return true;
  } catch (thrown) {
    throw fileError("write", file, thrown);
  } finally {
    await fs.rm(temporary, { force: true });
  }
}

/** The bytes of `file`; undefined where there is none. Throws SkeinError("store") where it is longer than `bytesMax` or unreadable. */
export async function readBounded(file: string, bytesMax: number): Promise<Uint8Array | undefined> {
  try {
    const handle = await fs.open(file, "r");
    try {
      const { size } = await handle.stat();
      if (size > bytesMax) {
        const remedy = "this is not the file that is expected there; move it away";
        throw new SkeinError("store", `${file} has ${size} bytes; at most ${bytesMax} are expected`, { remedy });
      }
      return new Uint8Array(await handle.readFile());
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(thrown))) return undefined;
    throw fileError("read", file, thrown);
  }
}

/** Names in `folder`, sorted, without temporary files; none where there is no such folder. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await fs.readdir(folder)).filter((name) => !name.includes("~")).sort();
  } catch (thrown) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(thrown))) return [];
    throw fileError("list", folder, thrown);
  }
}
