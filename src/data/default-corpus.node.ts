/**
 * Node adapter: the text to train on when nobody gave any: documentation, declarations and sources of the npm packages that are
 * installed beside this program. Real text, no download, and the same on every machine that ran `npm ci` with the same lockfile.
 *
 * To be the same everywhere the lockfile decides, not the folder: packages that are optional, bound to a platform, linked, or
 * that run install scripts (which may write files) are left out; of the others only files of known kinds count, in a fixed order.
 * Generated text is left out too: very long lines, and files most of whose lines have been seen (the same source built twice).
 * Prose comes first, so that a small cap still yields text that reads like text.
 */
import { type Dirent, existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { utf8 } from "../base/bytes.ts";
import { messageOf, SkeinError, shown } from "../base/errors.ts";
import { sha256Stream, toHex } from "../base/hash.ts";
import type { Document } from "./document.ts";

/** How to gather the corpus. */
export interface DefaultCorpusOptions {
  /** UTF-8 bytes of text in all. Default 8 MB. */
  readonly bytesMax?: number;
  /** Folder from which the nearest lockfile is looked for, upwards. Default: this program's own. */
  readonly from?: string;
}

/** What is in it. */
export interface CorpusListing {
  readonly files: number;
  readonly bytes: number;
  /** name@version of every package that contributed, in order. */
  readonly packages: readonly string[];
  /** Packages of the lockfile that are not installed, or in another version; with any, the corpus differs from a full install's. */
  readonly missing: readonly string[];
  /** sha256 over names and texts: equal hashes, equal corpora. */
  readonly sha256: string;
}

/** The corpus. */
export interface DefaultCorpus {
  /** The documents; may be gone through any number of times. */
  readonly documents: AsyncIterable<Document>;
  readonly listing: CorpusListing;
}

interface Installed {
  readonly label: string;
  /** Its key in the lockfile: a path from the lockfile's folder with "/" between parts. */
  readonly key: string;
  readonly folder: string;
}

const REMEDY = "name files or folders of text to train on";
const LOCKFILE_BYTES_MAX = 64 << 20;
/** Largest file taken; longer ones are mostly bundles. Declarations may be longer. */
const FILE_BYTES_MAX = 256 << 10;
const DECLARATION_BYTES_MAX = 1 << 20;
/** Longest line of code and of prose; beyond them a file is taken for generated. */
const CODE_LINE_MAX = 500;
const PROSE_LINE_MAX = 4000;
/** Share of lines already seen above which a file is taken for a copy. */
const SEEN_SHARE_MAX = 0.5;
const DEPTH_MAX = 12;

/** Kinds of files, in the order in which they are taken. */
const KINDS: readonly ((path: string) => boolean)[] = [
  (path) => /\.(?:md|markdown|txt)$/i.test(path),
  (path) => /\.d\.ts$/.test(path),
  (path) => /\.(?:ts|js|mjs)$/.test(path) && !/\.d\.ts$/.test(path),
];
const LEFT_OUT =
  /(?:^|\/)(?:licen[cs]e|copying|notice|third-?party|changelog|changes|history)[^/]*$|\.min\.m?js$|(?:^|\/)readme\.[a-z-]{2,5}\.md$/i;

function unusable(what: string, details?: string): SkeinError {
  return new SkeinError("data", `no default corpus: ${what}`, {
    remedy: REMEDY,
    ...(details === undefined ? {} : { details }),
  });
}

/** The nearest lockfile at or above `from`: the one beside package.json, else the one npm keeps inside node_modules. */
function findLockfile(from: string): { root: string; lockfile: string } {
  for (let folder = from; ; folder = dirname(folder)) {
    for (const name of ["package-lock.json", "node_modules/.package-lock.json"]) {
      const lockfile = join(folder, name);
      if (existsSync(lockfile) && existsSync(join(folder, "node_modules"))) return { root: folder, lockfile };
    }
    if (folder === dirname(folder))
      throw unusable("there is no package-lock.json above this program", `looked upwards from ${from}`);
  }
}

type Entry = Readonly<Record<string, unknown>>;

/** Whether npm installs the same files for this entry on every machine. */
function sameEverywhere(key: string, entry: Entry): boolean {
  const flags = ["optional", "devOptional", "link", "hasInstallScript", "extraneous"].some(
    (flag) => entry[flag] === true,
  );
  return !flags && !["os", "cpu", "libc"].some((limit) => limit in entry) && /(?:^|\/)node_modules\/[^/]/.test(key);
}

async function lockedPackages(root: string, lockfile: string): Promise<{ installed: Installed[]; missing: string[] }> {
  let packages: unknown;
  try {
    if ((await stat(lockfile)).size > LOCKFILE_BYTES_MAX) throw unusable(`${lockfile} is too large`);
    packages = (JSON.parse(await readFile(lockfile, "utf8")) as Entry | null)?.["packages"];
  } catch (thrown) {
    if (thrown instanceof SkeinError) throw thrown;
    throw unusable(`${lockfile} cannot be read`, messageOf(thrown));
  }
  if (typeof packages !== "object" || packages === null)
    throw unusable(`${lockfile} lists no packages (npm 7 or later writes such)`);
  const [installed, missing]: [Installed[], string[]] = [[], []];
  const entries = Object.entries(packages as Record<string, Entry>).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, entry] of entries) {
    if (key.split("/").includes("..") || typeof entry !== "object" || entry === null || !sameEverywhere(key, entry))
      continue;
    const label = `${key.slice(key.lastIndexOf("node_modules/") + 13)}@${shown(entry["version"])}`;
    const folder = join(root, key);
    if ((await versionOf(folder)) === entry["version"]) installed.push({ label, key, folder });
    else missing.push(label);
  }
  return { installed, missing };
}

async function versionOf(folder: string): Promise<unknown> {
  try {
    return (JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Entry | null)?.["version"];
  } catch {
    return undefined;
  }
}

/** Paths of a package's files, sorted by UTF-16 code units, without the packages inside it. */
async function filesOf(folder: string, prefix = "", depth = 0): Promise<string[]> {
  const entries: Dirent[] =
    depth > DEPTH_MAX ? [] : await readdir(join(folder, prefix), { withFileTypes: true }).catch(() => []);
  const out: string[] = [];
  for (const entry of entries) {
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory() && entry.name !== "node_modules")
      out.push(...(await filesOf(folder, `${path}/`, depth + 1)));
    else if (entry.isFile() && !LEFT_OUT.test(path)) out.push(path);
  }
  return out.sort();
}

/** The text of a file, or undefined where it is not what we want to learn. */
async function usableText(path: string): Promise<string | undefined> {
  const prose = KINDS[0]?.(path) === true;
  try {
    const { size } = await stat(path);
    if (size > (path.endsWith(".d.ts") ? DECLARATION_BYTES_MAX : FILE_BYTES_MAX)) return undefined;
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
    const longest = text.split("\n").reduce((max, line) => Math.max(max, line.length), 0);
    return text.includes("\0") || text.trim() === "" || longest > (prose ? PROSE_LINE_MAX : CODE_LINE_MAX)
      ? undefined
      : text;
  } catch {
    return undefined; // not UTF-8, or gone
  }
}

/** Tells files most of whose lines were in files before. */
function copyDetector(): (text: string) => boolean {
  const seen = new Set<string>();
  return (text) => {
    const lines = text
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line.length >= 12);
    const known = lines.filter((line) => seen.has(line)).length;
    const copy = lines.length > 0 && known > SEEN_SHARE_MAX * lines.length;
    if (!copy) for (const line of lines) seen.add(line);
    return copy;
  };
}

/** Takes documents of one kind after the other, package by package, until the cap; a file that does not fit is left out. */
async function gather(
  installed: readonly Installed[],
  bytesMax: number,
): Promise<{ documents: Document[]; used: Set<string>; bytes: number }> {
  const isCopy = copyDetector();
  const documents: Document[] = [];
  const used = new Set<string>();
  const files = new Map<Installed, string[]>();
  let bytes = 0;
  for (const kind of KINDS) {
    for (const pack of installed) {
      if (bytes >= bytesMax) break;
      const paths = files.get(pack) ?? (await filesOf(pack.folder));
      files.set(pack, paths);
      for (const path of paths.filter(kind)) {
        const text = await usableText(join(pack.folder, path));
        const size = text === undefined ? 0 : utf8(text).length;
        if (text === undefined || bytes + size > bytesMax || isCopy(text)) continue;
        documents.push({ name: `${pack.key.slice(pack.key.indexOf("node_modules/") + 13)}/${path}`, text });
        used.add(pack.label);
        bytes += size;
      }
    }
  }
  return { documents, used, bytes };
}

function corpusHash(documents: readonly Document[]): string {
  const hasher = sha256Stream();
  for (const { name, text } of documents)
    for (const bytes of [utf8(name), utf8(text)]) {
      hasher.update(utf8(`${bytes.length}:`)).update(bytes);
    }
  return toHex(hasher.digest());
}

/**
 * Gathers the default corpus. Throws SkeinError("data") where there is no lockfile or nothing usable is installed.
 *
 * @example
 * const { documents, listing } = await defaultCorpus({ bytesMax: 1_000_000 });
 * console.log(`${listing.bytes} bytes in ${listing.files} files of ${listing.packages.length} packages`);
 */
export async function defaultCorpus(options: DefaultCorpusOptions = {}): Promise<DefaultCorpus> {
  const { bytesMax = 8_000_000, from = dirname(fileURLToPath(import.meta.url)) } = options;
  const { root, lockfile } = findLockfile(from);
  const { installed, missing } = await lockedPackages(root, lockfile);
  const { documents, used, bytes } = await gather(installed, bytesMax);
  if (documents.length === 0)
    throw unusable("the installed packages hold no text", `${installed.length} packages at ${root}`);
  const packages = installed
    .map(({ label }) => label)
    .filter((label, i, all) => used.has(label) && all.indexOf(label) === i);
  return {
    documents: {
      async *[Symbol.asyncIterator]() {
        yield* documents;
      },
    },
    listing: { files: documents.length, bytes, packages, missing, sha256: corpusHash(documents) },
  };
}
