/**
 * What a simulated disk consists of: folders and files, each in two pictures. One is what processes see; the other is what is on the platter, and it is
 * all that a power cut leaves, but for what the system happened to write back before anybody asked it to.
 *
 * A file's bytes reach the platter when the file is flushed, a folder's entries when the folder is. Of what was not flushed, chance decides at the cut:
 * - of a file's unflushed bytes there may be none, all, a part from the start, or a part with zeros where sectors are missing: lengths and data are written
 *   at different times (ext4 in data=writeback, XFS and btrfs with delayed allocation); never other files' garbage (none of them shows it);
 * - of a folder's unflushed changes the first so many are there, in their order; folders know nothing of each other. That is what POSIX leaves open and
 *   btrfs and F2FS come close to. On ext4 and XFS one journal orders all folders, which is among the outcomes here, so what survives this survives them.
 *
 * Not here: disks that claim to have flushed and did not, rot, and data that a flush which failed throws away (after it, nobody may trust the file).
 */
import type { Random } from "../../base/random.ts";
import type { ByteRange } from "../../store/store.ts";

/** A file: it only ever grows at its end. */
export interface FileNode {
  readonly kind: "file";
  /** Its bytes, in pieces; those before `flushed` are on the platter. */
  parts: Uint8Array[];
  size: number;
  flushed: number;
  modifiedMs: number;
}

/** A folder: its entries as they are, as they are on the platter, and the changes in between. */
export interface FolderNode {
  readonly kind: "folder";
  now: Map<string, DiskNode>;
  readonly platter: Map<string, DiskNode>;
  pending: Change[];
  modifiedMs: number;
}

/** What can have a name. */
export type DiskNode = FileNode | FolderNode;

/** One change of a folder: `name` means `node` from here on, or nothing; `instead` of another name, if it is a renaming. */
export interface Change {
  readonly name: string;
  readonly node: DiskNode | undefined;
  readonly instead?: string;
}

/** Bytes that reach the platter together or not at all. */
const SECTOR_BYTES = 512;
/** Most changes of one folder that wait; after that the system writes back the oldest by itself, as all do after some seconds. */
const PENDING_MAX = 1024;

/** An empty file. */
export function newFile(nowMs: number): FileNode {
  return { kind: "file", parts: [], size: 0, flushed: 0, modifiedMs: nowMs };
}

/** An empty folder. */
export function newFolder(nowMs: number): FolderNode {
  return { kind: "folder", now: new Map(), platter: new Map(), pending: [], modifiedMs: nowMs };
}

function carryOut(entries: Map<string, DiskNode>, { name, node, instead }: Change): void {
  if (instead !== undefined) entries.delete(instead);
  if (node === undefined) entries.delete(name);
  else entries.set(name, node);
}

/** Changes a folder for all who look; not yet on the platter. */
export function change(folder: FolderNode, made: Change, nowMs: number): void {
  carryOut(folder.now, made);
  folder.pending.push(made);
  folder.modifiedMs = nowMs;
  const late = folder.pending.length > PENDING_MAX ? folder.pending.shift() : undefined;
  if (late) carryOut(folder.platter, late);
}

/** Brings a folder's entries to the platter. */
export function flushFolder(folder: FolderNode): void {
  for (const made of folder.pending) carryOut(folder.platter, made);
  folder.pending = [];
}

/** Appends `bytes`, which are the file's from here on. */
export function append(file: FileNode, bytes: Uint8Array, nowMs: number): void {
  if (bytes.length > 0) file.parts.push(bytes);
  file.size += bytes.length;
  file.modifiedMs = nowMs;
}

/** Brings a file's bytes to the platter. */
export function flushFile(file: FileNode): void {
  file.flushed = file.size;
}

/** A copy of the file's bytes in `range`, clamped to its end. */
export function bytesOf(file: FileNode, range: ByteRange = { start: 0, end: file.size }): Uint8Array {
  const start = Math.min(range.start, file.size);
  const out = new Uint8Array(Math.max(0, Math.min(range.end, file.size) - start));
  let at = 0;
  for (const part of file.parts) {
    const from = Math.max(0, start - at);
    const until = Math.min(part.length, start + out.length - at);
    if (from < until) out.set(part.subarray(from, until), at + from - start);
    at += part.length;
  }
  return out;
}

/** Leaves of `folder`, and of all that it leads to, what is on the platter after a power cut. */
export function loseUnflushed(folder: FolderNode, random: Random): void {
  const kept = drawn(folder.pending.length, random);
  for (const made of folder.pending.slice(0, kept)) carryOut(folder.platter, made);
  folder.pending = [];
  folder.now = new Map(folder.platter);
  for (const node of folder.now.values()) {
    if (node.kind === "folder") loseUnflushed(node, random);
    else if (node.flushed < node.size) tear(node, random);
  }
}

/** How many of `count` things got through: none, all and some are equally likely, for the ends are where mistakes show. */
function drawn(count: number, random: Random): number {
  if (count === 0) return 0;
  return [0, count, random.below(count + 1)][random.below(3)] ?? 0;
}

function tear(file: FileNode, random: Random): void {
  const size = file.flushed + drawn(file.size - file.flushed, random);
  const bytes = bytesOf(file, { start: 0, end: size });
  if (random.below(2) === 0) {
    for (let at = file.flushed; at < size; at += SECTOR_BYTES) {
      if (random.below(2) === 0) bytes.fill(0, at, Math.min(size, at + SECTOR_BYTES));
    }
  }
  file.parts = [bytes];
  file.size = size;
  flushFile(file);
}
