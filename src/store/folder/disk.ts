/**
 * The folder store's door to a file system: the few operations it makes files last with, one system call (or nearly) each, so that a disk that fails,
 * tears and forgets can stand in for the real one (sim/world/disk.ts). Whatever goes wrong is thrown as the system says it: an error whose `code` is
 * POSIX's word ("ENOENT") and, where one path is to blame, `path`.
 */
import type { ByteRange } from "../store.ts";

/** What is under a name: `other` is a link, a device, a socket. */
export type DiskKind = "file" | "folder" | "other";

/** One entry of a folder. */
export interface DiskEntry {
  readonly name: string;
  readonly kind: DiskKind;
}

/** What is known about a file or folder. */
export interface DiskStat {
  readonly kind: DiskKind;
  /** Bytes in it, if it is a file. */
  readonly size: number;
  /** When it was last written to, by the disk's own `now`. */
  readonly modifiedMs: number;
}

/** A file that is being written, from its beginning on. */
export interface NewFile {
  /** Appends all of `bytes`. */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when what was written would outlast a power cut. The file's name is another matter: `syncFolder`. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** How the parts of a path stick together. */
export interface Paths {
  /** An absolute path without "." and "..". */
  resolve(path: string): string;
  join(...parts: string[]): string;
  dirname(path: string): string;
}

/** A file system, as one process sees it. */
export interface Disk {
  readonly paths: Paths;
  /** Time in milliseconds, comparable to `modifiedMs`. */
  now(): number;
  /** Four parts with "~" between them, different at each call on any machine, that tell which process this is. */
  label(): string;
  /** Whether the process that got a label has ended; undefined where one cannot tell from here. */
  hasEnded(label: string): boolean | undefined;
  /** Makes `folder` and those above it; the first that was missing, or undefined. */
  makeFolder(folder: string): Promise<string | undefined>;
  /** Removes an empty folder. */
  removeFolder(folder: string): Promise<void>;
  /** Resolves when the entries of `folder` (names given, changed and taken away) would outlast a power cut. */
  syncFolder(folder: string): Promise<void>;
  entries(folder: string): Promise<readonly DiskEntry[]>;
  /** Opens a file that is not there yet; EEXIST where something of that name is. */
  create(file: string): Promise<NewFile>;
  /** The file's bytes, or a range of them (clamped to its end); undefined where `file` is no file. */
  read(file: string, range?: ByteRange): Promise<Uint8Array | undefined>;
  stat(path: string): Promise<DiskStat>;
  /** Gives the file `from` the name `to` instead, in one step, whatever file had it before. */
  rename(from: string, to: string): Promise<void>;
  /** Gives the file `from` the name `to`, too; false where that is taken. */
  linkUnlessThere(from: string, to: string): Promise<boolean>;
  unlink(file: string): Promise<void>;
}
