/**
 * Node adapter: documents out of files and folders. Folders are walked in byte order of their names, so that every machine sees
 * the same order; a folder is entered once, whatever links lead to it; files of any size are streamed.
 */
import { createReadStream } from "node:fs";
import { type FileHandle, open, readdir, realpath, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { utf8 } from "../base/bytes.ts";
import { messageOf, SkeinError } from "../base/errors.ts";
import type { Document } from "./document.ts";
import { documentsOf, type Skip, type SourceOptions } from "./sources.ts";

/** Names of folders and files that are not looked at inside folders. */
export const IGNORED_NAMES: readonly string[] = ["node_modules", ".git", ".hg", ".svn", ".skein", ".DS_Store"];

/** How to walk. */
export interface FileOptions extends SourceOptions {
  /** Names left out inside folders. Default IGNORED_NAMES. */
  readonly ignore?: readonly string[];
  /** Ends of file names taken inside folders, such as [".md"]. Default: every file. */
  readonly extensions?: readonly string[];
}

/** A file that was found. */
export interface FoundFile {
  readonly path: string;
  /** Its name within the folder that was asked for, parts separated by "/". */
  readonly name: string;
  readonly bytes: number;
}

function byteOrder(a: string, b: string): number {
  const [x, y] = [utf8(a), utf8(b)];
  for (let i = 0; i < x.length && i < y.length; i++) {
    const difference = (x[i] as number) - (y[i] as number);
    if (difference !== 0) return difference;
  }
  return x.length - y.length;
}

interface Walk {
  readonly options: FileOptions;
  readonly ignored: ReadonlySet<string>;
  /** Real paths of folders entered. */
  readonly entered: Set<string>;
}

function skip(walk: Walk, name: string, thrown: unknown): void {
  walk.options.onSkip?.({ name, reason: "unreadable", detail: messageOf(thrown) } satisfies Skip);
}

async function* walkFolder(walk: Walk, folder: string, prefix: string): AsyncGenerator<FoundFile> {
  const { ignored, entered, options } = walk;
  let names: string[];
  try {
    const real = await realpath(folder);
    if (entered.has(real)) return;
    entered.add(real);
    names = await readdir(folder);
  } catch (thrown) {
    skip(walk, prefix, thrown);
    return;
  }
  for (const entry of names.sort(byteOrder)) {
    if (ignored.has(entry)) continue;
    const [path, name] = [join(folder, entry), `${prefix}${entry}`];
    const found = await stat(path).catch((thrown: unknown) => skip(walk, name, thrown));
    if (!found) continue;
    if (found.isDirectory()) yield* walkFolder(walk, path, `${name}/`);
    else if (found.isFile() && (options.extensions?.some((end) => entry.endsWith(end)) ?? true))
      yield { path, name, bytes: found.size };
  }
}

/**
 * The files at `paths`, folders walked. Throws SkeinError("data") where a path leads nowhere.
 */
export async function* findFiles(paths: readonly string[], options: FileOptions = {}): AsyncGenerator<FoundFile> {
  const walk: Walk = { options, ignored: new Set(options.ignore ?? IGNORED_NAMES), entered: new Set() };
  for (const path of paths) {
    const found = await stat(path).catch((cause: unknown) => {
      throw new SkeinError("data", `there is no file or folder ${path}`, {
        cause,
        remedy: "check the spelling of the path",
      });
    });
    if (found.isDirectory()) yield* walkFolder(walk, path, "");
    else if (found.isFile()) yield { path, name: basename(path), bytes: found.size };
    else
      throw new SkeinError("data", `${path} is neither file nor folder`, {
        remedy: "give text files or folders of them",
      });
  }
}

/** Total bytes of the files at `paths`, for progress. */
export async function measureFiles(
  paths: readonly string[],
  options: FileOptions = {},
): Promise<{ files: number; bytes: number }> {
  let [files, bytes] = [0, 0];
  for await (const file of findFiles(paths, options)) {
    files++;
    bytes += file.bytes;
  }
  return { files, bytes };
}

/**
 * The documents in the files at `paths`: files by themselves, folders with everything in them. Files that are no text or cannot
 * be read are reported to `onSkip` and left out.
 *
 * @example
 * for await (const { name, text } of fileDocuments(["docs", "notes.jsonl"])) console.log(name, text.length);
 */
export async function* fileDocuments(paths: readonly string[], options: FileOptions = {}): AsyncGenerator<Document> {
  for await (const { path, name } of findFiles(paths, options)) {
    let handle: FileHandle;
    try {
      handle = await open(path);
    } catch (thrown) {
      options.onSkip?.({ name, reason: "unreadable", detail: messageOf(thrown) });
      continue;
    }
    const stream = createReadStream(path, { fd: handle, highWaterMark: 1 << 20 });
    try {
      yield* documentsOf(name, stream as AsyncIterable<Uint8Array>, options);
    } catch (thrown) {
      if (thrown instanceof SkeinError || (thrown as NodeJS.ErrnoException).syscall === undefined) throw thrown;
      options.onSkip?.({ name, reason: "unreadable", detail: messageOf(thrown) });
    } finally {
      stream.destroy();
    }
  }
}
