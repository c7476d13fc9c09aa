/**
 * A simulated disk: a machine's file system that loses what was not flushed (platter.ts says what that can be), whose operations take virtual time, fail
 * and are the last of their process whenever the simulation wants it.
 *
 * The disk outlives processes. Each process opens it anew; when it ends, by a kill or with all others by a power cut, none of its operations ever comes
 * back or has an effect, but that a write under way leaves as much of itself as chance will. One process's labels tell its life from the lives before
 * it, so what those left lying about can be swept up, as on a real machine.
 *
 * Smaller than POSIX: files are written once from their beginning, and only files get new names, within their folder; more the folder store does not ask.
 */
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Disk, DiskEntry, DiskStat, NewFile, Paths } from "../../store/folder/disk.ts";
import type { ByteRange } from "../../store/store.ts";
import { silence } from "../life.ts";
import {
  append,
  bytesOf,
  change,
  type DiskNode,
  type FileNode,
  type FolderNode,
  flushFile,
  flushFolder,
  loseUnflushed,
  newFile,
  newFolder,
} from "./platter.ts";

/** An operation, by its name in `Disk` or `NewFile`. */
export type DiskOp = Exclude<keyof Disk, "paths" | "now" | "label" | "hasEnded"> | keyof NewFile;

/**
 * Called, and awaited, before an operation has its effect: what it throws is how the operation fails; until it resolves the operation is under way, and
 * if the process is killed meanwhile it never comes back.
 */
export type BeforeOp = (op: DiskOp, path: string) => void | Promise<void>;

/** What a simulated disk needs. */
export interface SimulatedDiskOptions {
  /** Decides what a kill or a power cut leaves. */
  readonly random: Random;
  /** Times of files, and the waiting for `latencyMs`; without it there is no time. */
  readonly clock?: Clock;
  /** Milliseconds that an operation takes. */
  readonly latencyMs?: number;
}

/** A disk that outlives the processes that use it. */
export interface SimulatedDisk {
  /** The disk as a process sees it that begins now. */
  open(before?: BeforeOp): Disk;
  /** Ends all its processes; what they wrote stays, as the system still has it. */
  kill(): void;
  /** Ends all its processes and loses what was not flushed, or some of it. `random` stands in for the disk's own. */
  powerCut(random?: Random): void;
  /** The path of every file there is, temporary ones too, sorted. No operation: takes no time and cannot fail. */
  files(): string[];
}

/** A process that uses the disk. */
interface Life {
  readonly number: number;
  ended: boolean;
  /** Writes under way. */
  readonly writing: Set<{ readonly file: FileNode; readonly bytes: Uint8Array }>;
}

/** Paths with "/" between parts, from the root on. */
const PATHS: Paths = {
  resolve: (path) => `/${partsOf(path).join("/")}`,
  join: (...parts) => `/${partsOf(parts.join("/")).join("/")}`,
  dirname: (path) => `/${partsOf(path).slice(0, -1).join("/")}`,
};

function partsOf(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts;
}

function fail(code: string, op: DiskOp, path: string): never {
  throw Object.assign(new Error(`${code}: simulated, ${op} '${path}'`), { code, syscall: op, path });
}

/** What `path` names, or undefined; ENOTDIR where it leads through a file, ENOENT where it leads through nothing. */
function find(root: FolderNode, op: DiskOp, path: string): DiskNode | undefined {
  let node: DiskNode | undefined = root;
  for (const part of partsOf(path)) {
    if (node === undefined) fail("ENOENT", op, path);
    if (node.kind === "file") fail("ENOTDIR", op, path);
    node = node.now.get(part);
  }
  return node;
}

function findAny(root: FolderNode, op: DiskOp, path: string): DiskNode {
  return find(root, op, path) ?? fail("ENOENT", op, path);
}

function findFolder(root: FolderNode, op: DiskOp, path: string): FolderNode {
  const node = findAny(root, op, path);
  return node.kind === "folder" ? node : fail("ENOTDIR", op, path);
}

function findFile(root: FolderNode, op: DiskOp, path: string): FileNode {
  const node = findAny(root, op, path);
  return node.kind === "file" ? node : fail("EISDIR", op, path);
}

/** The folder that `path` is entered in, and its name there. */
function placeOf(root: FolderNode, op: DiskOp, path: string): { readonly folder: FolderNode; readonly name: string } {
  const name = partsOf(path).at(-1) ?? fail("EBUSY", op, path); // the root has no name
  return { folder: findFolder(root, op, PATHS.dirname(path)), name };
}

function makeFolder(root: FolderNode, path: string, nowMs: number): string | undefined {
  const op = "makeFolder";
  let first: string | undefined;
  let at = "";
  let folder = root;
  const parts = partsOf(path);
  for (const [i, part] of parts.entries()) {
    at += `/${part}`;
    const there = folder.now.get(part);
    if (there?.kind === "file") fail(i === parts.length - 1 ? "EEXIST" : "ENOTDIR", op, path);
    const next: FolderNode = there ?? newFolder(nowMs);
    if (!there) {
      change(folder, { name: part, node: next }, nowMs);
      first ??= at;
    }
    folder = next;
  }
  return first;
}

function removeFolder(root: FolderNode, path: string, nowMs: number): void {
  const op = "removeFolder";
  const { folder, name } = placeOf(root, op, path);
  if (findFolder(root, op, path).now.size > 0) fail("ENOTEMPTY", op, path);
  change(folder, { name, node: undefined }, nowMs);
}

function unlink(root: FolderNode, path: string, nowMs: number): void {
  const { folder, name } = placeOf(root, "unlink", path);
  findFile(root, "unlink", path);
  change(folder, { name, node: undefined }, nowMs);
}

function createFile(root: FolderNode, path: string, nowMs: number): FileNode {
  const { folder, name } = placeOf(root, "create", path);
  if (folder.now.has(name)) fail("EEXIST", "create", path);
  const node = newFile(nowMs);
  change(folder, { name, node }, nowMs);
  return node;
}

function rename(root: FolderNode, from: string, to: string, nowMs: number): void {
  const op = "rename";
  const node = findFile(root, op, from);
  const old = placeOf(root, op, from);
  const { folder, name } = placeOf(root, op, to);
  if (folder !== old.folder) fail("EXDEV", op, from);
  if (folder.now.get(name)?.kind === "folder") fail("EISDIR", op, from);
  if (name !== old.name && folder.now.get(name) !== node) change(folder, { name, node, instead: old.name }, nowMs);
}

function linkUnlessThere(root: FolderNode, from: string, to: string, nowMs: number): boolean {
  const op = "linkUnlessThere";
  const node = findFile(root, op, from);
  const { folder, name } = placeOf(root, op, to);
  if (folder.now.has(name)) return false;
  change(folder, { name, node }, nowMs);
  return true;
}

function entriesOf(root: FolderNode, path: string): DiskEntry[] {
  return [...findFolder(root, "entries", path).now].map(([name, { kind }]) => ({ name, kind }));
}

function statOf(root: FolderNode, path: string): DiskStat {
  const node = findAny(root, "stat", path);
  return { kind: node.kind, size: node.kind === "file" ? node.size : 0, modifiedMs: node.modifiedMs };
}

function read(root: FolderNode, path: string, range: ByteRange | undefined): Uint8Array | undefined {
  const node = findAny(root, "read", path);
  return node.kind === "file" ? bytesOf(node, range) : undefined;
}

function* filesBelow(folder: FolderNode, path = ""): Generator<string> {
  for (const [name, node] of folder.now) {
    if (node.kind === "folder") yield* filesBelow(node, `${path}/${name}`);
    else yield `${path}/${name}`;
  }
}

/** Runs one operation of a process: what it waits for, and then, if the process still lives, its effect. */
type Perform = <T>(op: DiskOp, path: string, effect: (nowMs: number) => T) => Promise<T>;

/** The file `path` as the process writes it that made it. */
function handleOf(file: FileNode, path: string, life: Life, perform: Perform): NewFile {
  let open = true;
  const onlyOpen = (op: DiskOp): void => {
    if (!open) fail("EBADF", op, path);
  };
  return {
    async write(bytes) {
      const write = { file, bytes: bytes.slice() };
      life.writing.add(write);
      try {
        await perform("write", path, (nowMs) => {
          onlyOpen("write");
          append(file, write.bytes, nowMs);
        });
      } finally {
        life.writing.delete(write);
      }
    },
    sync: () =>
      perform("sync", path, () => {
        onlyOpen("sync");
        flushFile(file);
      }),
    close: () =>
      perform("close", path, () => {
        onlyOpen("close");
        open = false;
      }),
  };
}

/** The operations of one process on what is below `root`. */
function operationsOf(
  root: FolderNode,
  life: Life,
  perform: Perform,
): Omit<Disk, "paths" | "now" | "label" | "hasEnded"> {
  return {
    makeFolder: (path) => perform("makeFolder", path, (nowMs) => makeFolder(root, path, nowMs)),
    removeFolder: (path) => perform("removeFolder", path, (nowMs) => removeFolder(root, path, nowMs)),
    syncFolder: (path) => perform("syncFolder", path, () => flushFolder(findFolder(root, "syncFolder", path))),
    entries: (path) => perform("entries", path, () => entriesOf(root, path)),
    create: async (path) =>
      handleOf(await perform("create", path, (nowMs) => createFile(root, path, nowMs)), path, life, perform),
    read: (path, range) => perform("read", path, () => read(root, path, range)),
    stat: (path) => perform("stat", path, () => statOf(root, path)),
    rename: (from, to) => perform("rename", from, (nowMs) => rename(root, from, to, nowMs)),
    linkUnlessThere: (from, to) => perform("linkUnlessThere", from, (nowMs) => linkUnlessThere(root, from, to, nowMs)),
    unlink: (path) => perform("unlink", path, (nowMs) => unlink(root, path, nowMs)),
  };
}

/**
 * An empty disk.
 *
 * @example
 * const machine = simulatedDisk({ random: streams("disk/3") });
 * const local = folderStoreOn(machine.open((op) => life.touchDisk(op)), "/node");
 * machine.powerCut(); // nothing of that process ever comes back
 * const again = folderStoreOn(machine.open(), "/node");
 */
export function simulatedDisk({ random, clock, latencyMs = 0 }: SimulatedDiskOptions): SimulatedDisk {
  const root = newFolder(0);
  const living = new Map<number, Life>();
  const now = (): number => clock?.now() ?? 0;
  let processes = 0;
  const kill = (chance: Random): void => {
    for (const life of living.values()) {
      life.ended = true;
      for (const { file, bytes } of life.writing) append(file, bytes.slice(0, chance.below(bytes.length + 1)), now());
      life.writing.clear();
    }
    living.clear();
  };
  return {
    open(before) {
      const life: Life = { number: ++processes, ended: false, writing: new Set() };
      living.set(life.number, life);
      let labels = 0;
      const perform: Perform = async (op, path, effect) => {
        if (life.ended) return silence();
        try {
          await before?.(op, path);
          if (latencyMs > 0) await clock?.sleep(latencyMs);
        } catch (thrown) {
          if (!life.ended) throw thrown;
        }
        return life.ended ? silence() : effect(now());
      };
      return {
        ...operationsOf(root, life, perform),
        paths: PATHS,
        now,
        label: () => `disk~${life.number}~life~${labels++}`,
        hasEnded(label) {
          const [machine, number] = label.split("~");
          if (machine !== "disk") return undefined;
          if (Number(number) === life.number) return false;
          return living.has(Number(number)) ? undefined : true;
        },
      };
    },
    kill: () => kill(random),
    powerCut(chance = random) {
      kill(chance);
      loseUnflushed(root, chance);
    },
    files: () => [...filesBelow(root)].sort(),
  };
}
