/**
 * Names Node: one supervisor for a folder. The lock is a file that says which process holds it; link(2) makes taking it atomic. A process is
 * known by its id and the moment it started, so that a later process with the same id is not mistaken for it; a lock whose process
 * is gone is taken over. Only for processes of one machine: a folder on a network share is not protected against another machine.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { fromUtf8, utf8 } from "../../../base/bytes.ts";
import { systemCode } from "../../../base/disk.node.ts";
import { type ErrorCode, SkeinError } from "../../../base/errors.ts";
import { systemRandom } from "../../../base/random.ts";
import { fileError, readBounded, temporaryBeside, writeWhole } from "../../files.node.ts";

const LOCK_BYTES_MAX = 4096;
const TAKE_TRIES = 10;

/** When process `pid` started, as an opaque word; undefined where there is no such process, "" where this platform does not say. */
export function processStart(pid: number): string | undefined {
  if (process.platform === "linux") return linuxStart(pid);
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    if (systemCode(thrown) === "ESRCH") return undefined;
  }
  if (process.platform === "win32") return "";
  const ps = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" });
  return ps.status === 0 ? ps.stdout.trim() : "";
}

function linuxStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // the name before it may hold anything
    if (fields[0] === "Z" || fields[0] === "X") return undefined; // dead, waiting for its parent
    return `${bootId()}/${fields[19] ?? ""}`;
  } catch {
    return undefined;
  }
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "";
  }
}

/** A process as a file names it. */
export interface ProcessMark {
  readonly pid: number;
  readonly start: string;
}

/** Whether the process that `mark` names is still there. */
export function isThere(mark: ProcessMark): boolean {
  const start = processStart(mark.pid);
  return start !== undefined && (start === mark.start || start === "" || mark.start === "");
}

/** The mark in the file's text; undefined where it is not one. */
export function parseMark(text: string): ProcessMark | undefined {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json !== "object" || json === null || !("pid" in json) || !("start" in json)) return undefined;
    const { pid, start } = json;
    if (!Number.isSafeInteger(pid) || (pid as number) <= 0 || typeof start !== "string") return undefined;
    return { pid: pid as number, start };
  } catch {
    return undefined;
  }
}

/** A held lock. */
export interface FolderLock {
  release(): Promise<void>;
}

/** What is said where another process holds a lock. */
export interface HeldWords {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string;
}

const CHAIN_HELD: HeldWords = {
  code: "chain",
  message: "this chain is already running",
  remedy: "use that one (its address is in the file endpoint beside the lock), stop it, or choose another folder",
};

/** Takes the lock `file`. Throws SkeinError with those words where another process holds it. */
export async function takeLock(file: string, words: HeldWords = CHAIN_HELD): Promise<FolderLock> {
  const mark = { pid: process.pid, start: processStart(process.pid) ?? "", word: systemRandom.uint32() };
  const own = JSON.stringify(mark);
  for (let attempt = 0; attempt < TAKE_TRIES; attempt++) {
    if (await writeWhole(file, utf8(own), { ifAbsent: true })) return { release: () => release(file, own) };
    const text = await textOf(file);
    if (text === undefined) continue; // released in between
    const holder = parseMark(text);
    if (holder !== undefined && isThere(holder)) throw held(file, holder, words);
    await putAside(file, text);
  }
  throw new SkeinError("chain", `cannot take the lock ${file}`, {
    remedy: `remove ${file} if nothing uses the folder`,
  });
}

function held(file: string, holder: ProcessMark, { code, message, remedy }: HeldWords): SkeinError {
  return new SkeinError(code, message, { details: `process ${holder.pid} holds ${file}`, remedy });
}

async function textOf(file: string): Promise<string | undefined> {
  const bytes = await readBounded(file, LOCK_BYTES_MAX);
  return bytes === undefined ? undefined : fromUtf8(bytes);
}

/** Moves away a lock whose holder is gone; puts it back if it was taken in between. */
async function putAside(file: string, stale: string): Promise<void> {
  const aside = temporaryBeside(file);
  try {
    await fs.rename(file, aside);
    if ((await textOf(aside)) !== stale) await fs.link(aside, file);
  } catch (thrown) {
    if (!["ENOENT", "EEXIST"].includes(systemCode(thrown))) throw fileError("move", file, thrown);
  } finally {
    await fs.rm(aside, { force: true });
  }
}

async function release(file: string, own: string): Promise<void> {
  if ((await textOf(path.resolve(file))) === own) await fs.rm(file, { force: true });
}
