/**
 * A store that is a folder; key "a/b" is the file a/b in it.
 *
 * A write goes to a temporary file in the target's own folder, is flushed to the disk, and is then renamed onto the target,
 * after which the folder itself is flushed: POSIX makes the rename atomic, and only the flush of the folder makes it last
 * through a power cut. `putIfAbsent` links instead of renaming, because link(2) refuses to replace. A killed writer leaves at
 * most its temporary file: its name carries a "~", which no key may, so `list` and `get` never see it, and the next process
 * that opens the store removes it once its writer is known to be gone.
 *
 * What this process finds, another may have done and been killed before the flush: a folder made, a blob linked, a blob deleted. It is there for all who
 * look, and a power cut takes it back. So whoever says that something is done flushes it, also where there was nothing left to do.
 */
import { messageOf, SkeinError, systemCode } from "../../base/errors.ts";
import { assertRange, checkKey, keyFault, nameTaken } from "../key.ts";
import type { Store } from "../store.ts";
import type { Disk, NewFile } from "./disk.ts";

/** How a folder store is to behave. */
export interface FolderStoreOptions {
  /** Called before every operation that changes the disk; what it throws is as if the disk had failed. For tests. */
  readonly fault?: (operation: string, path: string) => void;
}

/** What `put` takes. */
type Source = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** A store's folder, and what its operations go through. */
interface Place {
  readonly disk: Disk;
  readonly top: string;
  readonly fault: (operation: string, path: string) => void;
  /** Folders that outlast a power cut, with all above them, as far as this process knows. */
  readonly lasting: Set<string>;
}

/** A temporary file of another machine is stale when nothing was written to it for this long. */
const STALE_AGE_MS = 24 * 3600 * 1000;

/** Most folders that are remembered to be lasting; to flush one again is no harm. */
const LASTING_MAX = 10_000;
/** Why a folder above ours cannot be flushed, and need not be: nothing says that the disk is broken. */
const UNFLUSHABLE = ["EACCES", "EPERM", "EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EROFS"];

/** The label of the writer in a temporary file's name, which is the target's, "~" and the label; undefined for other files. */
function labelIn(name: string): string | undefined {
  const [, ...label] = name.split("~");
  return label.length === 4 ? label.join("~") : undefined;
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

/** Whether the temporary file's writer is gone: known to have ended, or silent for a day. */
async function isStale(disk: Disk, file: string, label: string): Promise<boolean> {
  return disk.hasEnded(label) ?? disk.now() - (await disk.stat(file)).modifiedMs > STALE_AGE_MS;
}

/** Every file of `folder` whose path begins with the folder `below`, as path relative to it with "/" between parts; an absent one has none. */
async function* walk(disk: Disk, folder: string, below = ""): AsyncGenerator<string> {
  const entries = await orAbsent("list", folder, () => disk.entries(disk.paths.join(folder, below)));
  for (const entry of entries ?? []) {
    const name = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.kind === "folder") yield* walk(disk, folder, name);
    else if (entry.kind === "file") yield name;
  }
}

async function removeStale({ disk, top }: Place): Promise<void> {
  for await (const name of walk(disk, top)) {
    const label = labelIn(name.slice(name.lastIndexOf("/") + 1));
    if (label === undefined) continue;
    const file = disk.paths.join(top, name);
    await orAbsent("remove", file, async () => {
      if (await isStale(disk, file, label)) await disk.unlink(file);
    });
  }
}

/** One write: temporary file, flush, `publish` under the final name, flush of the folder. Leaves no temporary file behind. */
async function writeBlob(
  place: Place,
  file: string,
  bytes: Source,
  publish: (temporary: string) => Promise<boolean>,
): Promise<boolean> {
  const { disk, fault } = place;
  const temporary = `${file}~${disk.label()}`;
  const folder = disk.paths.dirname(file);
  try {
    fault("open", temporary);
    const opened = await openNew(place, temporary);
    try {
      for await (const part of bytes instanceof Uint8Array ? [bytes] : bytes) {
        fault("write", temporary);
        await opened.write(part);
      }
      fault("sync", temporary);
      await opened.sync();
    } finally {
      await opened.close();
    }
    fault("publish", file);
    const wrote = await publish(temporary);
    fault("sync folder", folder);
    await makeLast(place, folder);
    return wrote;
  } finally {
    await disk.unlink(temporary).catch((thrown: unknown) => {
      if (!isAbsence(thrown)) throw thrown; // it was renamed, or never made
    });
  }
}

/** Flushes the entry of `folder` in the one above it, where that can be: we may enter a folder and not read it, and not all file systems flush folders. */
async function flushEntry(disk: Disk, folder: string): Promise<void> {
  await disk.syncFolder(disk.paths.dirname(folder)).catch((thrown: unknown) => {
    if (!UNFLUSHABLE.includes(systemCode(thrown))) throw thrown;
  });
}

/** Creates `folder` and those above it, and flushes the folder that each new one was entered in. */
async function makeFolder({ disk, lasting }: Place, folder: string): Promise<void> {
  const { dirname } = disk.paths;
  const first = await disk.makeFolder(folder);
  if (first === undefined) return;
  for (let at = folder; at.length >= first.length; at = dirname(at)) {
    lasting.delete(at);
    await flushEntry(disk, at);
  }
}

/** Makes the entries of `folder` outlast a power cut, and `folder` itself, which may be the work of a process that was killed before the flush. */
async function makeLast({ disk, lasting }: Place, folder: string): Promise<void> {
  const { dirname } = disk.paths;
  await disk.syncFolder(folder);
  const made: string[] = [];
  for (let at = folder; at !== dirname(at) && !lasting.has(at); at = dirname(at)) {
    await flushEntry(disk, at);
    made.push(at);
  }
  if (lasting.size > LASTING_MAX) lasting.clear();
  for (const at of made) lasting.add(at);
}

/** Creates `file` and the folders above it; again if a concurrent `delete` swept an empty folder away in between. */
async function openNew(place: Place, file: string): Promise<NewFile> {
  const { disk } = place;
  for (let attempt = 0; ; attempt++) {
    await makeFolder(place, disk.paths.dirname(file));
    try {
      return await disk.create(file);
    } catch (thrown) {
      if (systemCode(thrown) !== "ENOENT" || attempt === 3) throw thrown;
    }
  }
}

async function isFolder(disk: Disk, file: string): Promise<boolean> {
  return (await orAbsent("look at", file, () => disk.stat(file)))?.kind === "folder";
}

/** Gives `temporary` the name `file` unless that is taken, also where there are no links. */
async function publishUnlessThere(disk: Disk, temporary: string, file: string): Promise<boolean> {
  try {
    return await disk.linkUnlessThere(temporary, file);
  } catch (thrown) {
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(systemCode(thrown))) throw thrown;
  }
  // No hard links on this file system (FAT, some network shares): two writers at the same instant may then both succeed.
  if ((await orAbsent("look at", file, () => disk.stat(file))) !== undefined) return false;
  await disk.rename(temporary, file);
  return true;
}

/** Removes the folders above a deleted `file` that became empty, up to the store's own, so that their names can be used for blobs. */
async function removeEmptyParents({ disk, top, lasting }: Place, file: string): Promise<void> {
  const { dirname } = disk.paths;
  for (let folder = dirname(file); folder !== top && folder.startsWith(top); folder = dirname(folder)) {
    lasting.delete(folder);
    try {
      await disk.removeFolder(folder);
    } catch {
      return; // not empty, or already gone
    }
  }
}

/** Whether a write failed because a blob stands where a folder is needed (below the store's folder, not instead of it). */
function nameIsTaken(thrown: unknown, { disk, top }: Place): boolean {
  const cause = thrown instanceof SkeinError ? thrown.cause : undefined;
  const where = typeof cause === "object" && cause !== null && "path" in cause ? String(cause.path) : top;
  return ["ENOTDIR", "EEXIST"].includes(systemCode(cause)) && disk.paths.dirname(where).startsWith(top);
}

/** Writes a blob, unless a folder has its name. */
async function write(
  place: Place,
  key: string,
  file: string,
  bytes: Source,
  publish: (temporary: string) => Promise<boolean>,
): Promise<boolean> {
  const { disk, top } = place;
  return guarded("write", file, async () => {
    await makeFolder(place, top);
    if (await isFolder(disk, file)) throw nameTaken(key);
    return await writeBlob(place, file, bytes, publish);
  }).catch((thrown: unknown) => {
    throw nameIsTaken(thrown, place) ? nameTaken(key, thrown) : thrown;
  });
}

async function sizeOf(disk: Disk, file: string): Promise<number | undefined> {
  const stat = await orAbsent("look at", file, () => disk.stat(file));
  return stat?.kind === "file" ? stat.size : undefined;
}

async function keysOf({ disk, top }: Place, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  const below = prefix.slice(0, Math.max(0, prefix.lastIndexOf("/")));
  if (below !== "" && keyFault(below) !== undefined) return []; // and no way out of the folder
  for await (const key of walk(disk, top, below))
    if (key.startsWith(prefix) && keyFault(key) === undefined) keys.push(key);
  return keys.sort();
}

async function remove(place: Place, file: string): Promise<void> {
  const { disk, fault } = place;
  await orAbsent("delete", file, async () => {
    if (await isFolder(disk, file)) return;
    fault("delete", file);
    await disk.unlink(file).catch((thrown: unknown) => {
      if (systemCode(thrown) !== "ENOENT") throw thrown; // deleted by another, which may not have flushed it
    });
    await disk.syncFolder(disk.paths.dirname(file));
    await removeEmptyParents(place, file);
  });
}

/**
 * The store in the folder `root` of `disk`, which the first write creates. Leftovers of killed writers are removed before the first
 * operation. Rejects with SkeinError("store") and a remedy where the disk is full, forbidden or broken.
 */
export function folderStoreOn(disk: Disk, root: string, options: FolderStoreOptions = {}): Store {
  const place: Place = {
    disk,
    top: disk.paths.resolve(root),
    fault: options.fault ?? ((): void => {}),
    lasting: new Set(),
  };
  let opened: Promise<void> | undefined;
  const open = (): Promise<void> => {
    opened ??= removeStale(place).catch((thrown: unknown) => {
      opened = undefined; // the next operation tries again
      throw thrown;
    });
    return opened;
  };
  const fileOf = async (key: string): Promise<string> => {
    checkKey(key);
    await open();
    return disk.paths.join(place.top, ...key.split("/"));
  };
  return {
    size: async (key) => sizeOf(disk, await fileOf(key)),
    async get(key, range) {
      const file = await fileOf(key);
      if (range) assertRange(range);
      return orAbsent("read", file, () => disk.read(file, range));
    },
    async put(key, bytes) {
      const file = await fileOf(key);
      await write(place, key, file, bytes, async (temporary) => {
        await disk.rename(temporary, file);
        return true;
      });
    },
    async putIfAbsent(key, bytes) {
      const file = await fileOf(key);
      if ((await sizeOf(disk, file)) !== undefined) {
        await orAbsent("write", file, () => makeLast(place, disk.paths.dirname(file)));
        return false;
      }
      return write(place, key, file, bytes, (temporary) => publishUnlessThere(disk, temporary, file));
    },
    async list(prefix = "") {
      await open();
      return keysOf(place, prefix);
    },
    delete: async (key) => remove(place, await fileOf(key)),
  };
}
