/**
 * Names Node: a store that is a folder; key "a/b" is the file a/b in it.
 *
 * A write goes to a temporary file in the target's own folder, is flushed to the disk, and is then renamed onto the target,
 * after which the folder itself is flushed: POSIX makes the rename atomic, and only the flush of the folder makes it last
 * through a power cut. `putIfAbsent` links instead of renaming, because link(2) refuses to replace. A killed writer leaves at
 * most its temporary file: its name carries a "~", which no key may, so `list` and `get` never see it, and the next process
 * that opens the store removes it once its writer is known to be gone.
 */
import * as fs from "node:fs/promises";
import { hostname } from "node:os";
import * as path from "node:path";
import { utf8 } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import { linkUnlessThere, syncFolder, systemCode } from "../base/disk.node.ts";
import { messageOf, SkeinError } from "../base/errors.ts";
import { sha256Hex } from "../base/hash.ts";
import { systemRandom } from "../base/random.ts";
import { assertRange, checkKey, keyFault, nameTaken } from "./key.ts";
import type { ByteRange, Store } from "./store.ts";

/** How a folder store is to behave. */
export interface FolderStoreOptions {
  /** Called before every operation that changes the disk; what it throws is as if the disk had failed. For tests. */
  readonly fault?: (operation: string, path: string) => void;
}

/** Longest piece of one read call; Node refuses 2 GiB and more. */
const READ_BYTES_MAX = 1 << 30;
/** A temporary file of another machine is stale when nothing was written to it for this long. */
const STALE_AGE_MS = 24 * 3600 * 1000;

const host = sha256Hex(utf8(hostname())).slice(0, 8);
const instance = `${systemRandom.uint32().toString(36)}${systemRandom.uint32().toString(36)}`;
let serial = 0;

function temporaryName(file: string): string {
  return `${file}~${host}~${process.pid}~${instance}~${serial++}`;
}

function isAbsence(thrown: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "EISDIR"].includes(systemCode(thrown));
}

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: "free some disk space, then run the same command again",
  EDQUOT: "free some of this account's disk quota, then run the same command again",
  EACCES: "give this account read and write permission there, or choose another folder",
  EPERM: "give this account read and write permission there, or choose another folder",
  EROFS: "choose a folder on a disk that can be written to",
  EMFILE: "raise the limit of open files (ulimit -n)",
  ENOTDIR: "choose a folder; there is a file of that name",
  EIO: "check the disk: the system reports that it cannot read or write it",
};

/** What the file system threw, as an error for people; anything else (a bug, a source's own error) is passed on as it is. */
function storeError(action: string, file: string, cause: unknown): unknown {
  const code = systemCode(cause);
  if (!/^E[A-Z0-9]+$/.test(code)) return cause;
  const remedy = REMEDIES[code] ?? "check that the folder is there and can be used, then try again";
  return new SkeinError("store", `cannot ${action} ${file}: ${messageOf(cause)}`, { remedy, cause });
}

/** Runs `work`; whatever the file system throws becomes SkeinError("store"). */
async function guarded<T>(action: string, file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw storeError(action, file, thrown);
  }
}

/** Like `guarded`, but gives undefined where there is no such file. */
async function orAbsent<T>(action: string, file: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (thrown) {
    if (isAbsence(thrown)) return undefined;
    throw storeError(action, file, thrown);
  }
}

async function writeFully(handle: fs.FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
}

async function readFully(handle: fs.FileHandle, range: ByteRange): Promise<Uint8Array> {
  const out = new Uint8Array(range.end - range.start);
  let at = 0;
  while (at < out.length) {
    const length = Math.min(out.length - at, READ_BYTES_MAX);
    const { bytesRead } = await handle.read(out, at, length, range.start + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return at === out.length ? out : out.slice(0, at);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return systemCode(thrown) !== "ESRCH";
  }
}

/** Whether the temporary file's writer is gone: a dead process of this machine, or silent for a day. */
async function isStale(file: string): Promise<boolean> {
  const [, fileHost, pid, fileInstance] = path.basename(file).split("~");
  if (fileHost === host) {
    if (Number(pid) === process.pid) return fileInstance !== instance;
    if (!isAlive(Number(pid))) return true;
  }
  return systemClock.now() - (await fs.stat(file)).mtimeMs > STALE_AGE_MS;
}

/** Every file of `folder` whose path begins with the folder `below`, as path relative to it with "/" between parts; an absent one has none. */
async function* walk(folder: string, below = ""): AsyncGenerator<string> {
  const entries = await orAbsent("list", folder, () => fs.readdir(path.join(folder, below), { withFileTypes: true }));
  for (const entry of entries ?? []) {
    const name = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) yield* walk(folder, name);
    else if (entry.isFile()) yield name;
  }
}

async function removeStale(root: string): Promise<void> {
  for await (const name of walk(root)) {
    const file = path.join(root, name);
    if (path.basename(name).split("~").length !== 5) continue;
    await orAbsent("remove", file, async () => {
      if (await isStale(file)) await fs.unlink(file);
    });
  }
}

/** One write: temporary file, flush, `publish` under the final name, flush of the folder. Leaves no temporary file behind. */
async function writeBlob(
  file: string,
  bytes: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  fault: (operation: string, path: string) => void,
  publish: (temporary: string) => Promise<boolean>,
): Promise<boolean> {
  const temporary = temporaryName(file);
  try {
    fault("open", temporary);
    const handle = await openNew(temporary);
    try {
      for await (const part of bytes instanceof Uint8Array ? [bytes] : bytes) {
        fault("write", temporary);
        await writeFully(handle, part);
      }
      fault("sync", temporary);
      await handle.sync();
    } finally {
      await handle.close();
    }
    fault("publish", file);
    const wrote = await publish(temporary);
    fault("sync folder", path.dirname(file));
    await syncFolder(path.dirname(file));
    return wrote;
  } finally {
    await fs.rm(temporary, { force: true });
  }
}

/** Creates `folder` and those above it, and flushes the folder that each new one was entered in. */
async function makeFolder(folder: string): Promise<void> {
  const first = await fs.mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let at = folder; at.length >= first.length; at = path.dirname(at)) {
    await syncFolder(path.dirname(at)).catch((thrown: unknown) => {
      if (!["EACCES", "EPERM"].includes(systemCode(thrown))) throw thrown; // a folder we may enter but not read
    });
  }
}

/** Creates `file` and the folders above it; again if a concurrent `delete` swept an empty folder away in between. */
async function openNew(file: string): Promise<fs.FileHandle> {
  for (let attempt = 0; ; attempt++) {
    await makeFolder(path.dirname(file));
    try {
      return await fs.open(file, "wx");
    } catch (thrown) {
      if (systemCode(thrown) !== "ENOENT" || attempt === 3) throw thrown;
    }
  }
}

async function isFolder(file: string): Promise<boolean> {
  return (await orAbsent("look at", file, () => fs.stat(file)))?.isDirectory() === true;
}

/** Gives `temporary` the name `file` unless that is taken, also where there are no links. */
async function publishUnlessThere(temporary: string, file: string): Promise<boolean> {
  try {
    return await linkUnlessThere(temporary, file);
  } catch (thrown) {
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(systemCode(thrown))) throw thrown;
  }
  // No hard links on this file system (FAT, some network shares): two writers at the same instant may then both succeed.
  if ((await orAbsent("look at", file, () => fs.stat(file))) !== undefined) return false;
  await fs.rename(temporary, file);
  return true;
}

/** Removes the folders above a deleted `file` that became empty, up to `root`, so that their names can be used for blobs. */
async function removeEmptyParents(root: string, file: string): Promise<void> {
  for (let folder = path.dirname(file); folder !== root && folder.startsWith(root); folder = path.dirname(folder)) {
    try {
      await fs.rmdir(folder);
    } catch {
      return; // not empty, or already gone
    }
  }
}

/**
 * The store in the folder `root`, which the first write creates. Leftovers of killed writers are removed before the first
 * operation. Rejects with SkeinError("store") and a remedy where the disk is full, forbidden or broken.
 *
 * @example
 * const store = folderStore("run");
 * await store.put("notes/first.txt", new TextEncoder().encode("hello"));
 */
export function folderStore(root: string, options: FolderStoreOptions = {}): Store {
  const top = path.resolve(root);
  const fault = options.fault ?? ((): void => {});
  let opened: Promise<void> | undefined;
  const fileOf = async (key: string): Promise<string> => {
    checkKey(key);
    opened ??= removeStale(top);
    await opened;
    return path.join(top, ...key.split("/"));
  };
  const write = async (
    key: string,
    bytes: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    publish: (temporary: string, file: string) => Promise<boolean>,
  ): Promise<boolean> => {
    const file = await fileOf(key);
    return guarded("write", file, async () => {
      await makeFolder(top);
      if (await isFolder(file)) throw nameTaken(key);
      return await writeBlob(file, bytes, fault, (temporary) => publish(temporary, file));
    }).catch((thrown: unknown) => {
      throw nameIsTaken(thrown, top) ? nameTaken(key, thrown) : thrown;
    });
  };
  const size = async (key: string): Promise<number | undefined> => {
    const file = await fileOf(key);
    const stat = await orAbsent("look at", file, () => fs.stat(file));
    return stat?.isFile() ? stat.size : undefined;
  };
  return {
    size,
    async get(key, range) {
      const file = await fileOf(key);
      if (range) assertRange(range);
      return orAbsent("read", file, () => readRange(file, range));
    },
    async put(key, bytes) {
      await write(key, bytes, async (temporary, file) => {
        await fs.rename(temporary, file);
        return true;
      });
    },
    async putIfAbsent(key, bytes) {
      if ((await size(key)) !== undefined) return false;
      return write(key, bytes, publishUnlessThere);
    },
    async list(prefix = "") {
      opened ??= removeStale(top);
      await opened;
      const keys: string[] = [];
      const below = prefix.slice(0, Math.max(0, prefix.lastIndexOf("/")));
      if (below !== "" && keyFault(below) !== undefined) return []; // and no way out of the folder
      for await (const key of walk(top, below))
        if (key.startsWith(prefix) && keyFault(key) === undefined) keys.push(key);
      return keys.sort();
    },
    async delete(key) {
      const file = await fileOf(key);
      await orAbsent("delete", file, async () => {
        if (await isFolder(file)) return;
        fault("delete", file);
        await fs.unlink(file);
        await syncFolder(path.dirname(file));
        await removeEmptyParents(top, file);
      });
    },
  };
}

/** Whether a write failed because a blob stands where a folder is needed (below `top`, not instead of it). */
function nameIsTaken(thrown: unknown, top: string): boolean {
  const cause = thrown instanceof SkeinError ? thrown.cause : undefined;
  const where = typeof cause === "object" && cause !== null && "path" in cause ? String(cause.path) : top;
  return ["ENOTDIR", "EEXIST"].includes(systemCode(cause)) && path.dirname(where).startsWith(top);
}

async function readRange(file: string, range: ByteRange | undefined): Promise<Uint8Array | undefined> {
  const handle = await fs.open(file, "r");
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) return undefined; // a folder opens, too
    const { size } = stat;
    const start = Math.min(range?.start ?? 0, size);
    return await readFully(handle, { start, end: Math.max(start, Math.min(range?.end ?? size, size)) });
  } finally {
    await handle.close();
  }
}
