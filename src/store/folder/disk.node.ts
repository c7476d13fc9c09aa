/** Names Node: the file system of this machine, as the folder store needs it. */
import type { Dirent, Stats } from "node:fs";
import * as fs from "node:fs/promises";
import { hostname } from "node:os";
import * as path from "node:path";
import { utf8 } from "../../base/bytes.ts";
import { systemClock } from "../../base/clock.ts";
import { linkUnlessThere, syncFolder, systemCode } from "../../base/disk.node.ts";
import { sha256Hex } from "../../base/hash.ts";
import { systemRandom } from "../../base/random.ts";
import type { ByteRange } from "../store.ts";
import type { Disk, DiskKind, NewFile } from "./disk.ts";

/** Longest piece of one read call; Node refuses 2 GiB and more. */
const READ_BYTES_MAX = 1 << 30;

const host = sha256Hex(utf8(hostname())).slice(0, 8);
const instance = `${systemRandom.uint32().toString(36)}${systemRandom.uint32().toString(36)}`;
let serial = 0;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return systemCode(thrown) !== "ESRCH";
  }
}

/** A dead process of this machine has ended, also one whose process id is ours now; of another machine's nothing is known. */
function hasEnded(label: string): boolean | undefined {
  const [labelHost, pid, labelInstance] = label.split("~");
  if (labelHost !== host) return undefined;
  if (Number(pid) === process.pid) return labelInstance !== instance;
  return isAlive(Number(pid)) ? undefined : true; // alive, but maybe not the one that wrote
}

function kindOf(entry: Dirent | Stats): DiskKind {
  if (entry.isFile()) return "file";
  return entry.isDirectory() ? "folder" : "other";
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

async function read(file: string, range?: ByteRange): Promise<Uint8Array | undefined> {
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

async function create(file: string): Promise<NewFile> {
  const handle = await fs.open(file, "wx");
  return {
    write: (bytes) => writeFully(handle, bytes),
    sync: () => handle.sync(),
    close: () => handle.close(),
  };
}

/** This machine's file system. */
export const nodeDisk: Disk = {
  paths: path,
  now: () => systemClock.now(),
  label: () => `${host}~${process.pid}~${instance}~${serial++}`,
  hasEnded,
  makeFolder: (folder) => fs.mkdir(folder, { recursive: true }),
  removeFolder: (folder) => fs.rmdir(folder),
  syncFolder,
  entries: async (folder) =>
    (await fs.readdir(folder, { withFileTypes: true })).map((entry) => ({ name: entry.name, kind: kindOf(entry) })),
  create,
  read,
  stat: async (file) => {
    const stat = await fs.stat(file);
    return { kind: kindOf(stat), size: stat.size, modifiedMs: stat.mtimeMs };
  },
  rename: (from, to) => fs.rename(from, to),
  linkUnlessThere,
  unlink: (file) => fs.unlink(file),
};
