/** Long measurements in parts, shared by processes that know nothing of each other: one file an outcome, made by whoever comes first. */
import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";

/** Whether this process may make the outcome `file` (without an ending): nobody has made or begun it. What a killed process began has a .claim and no .json. */
export function claim(file: string): boolean {
  if (existsSync(`${file}.json`)) return false;
  try {
    closeSync(openSync(`${file}.claim`, "wx"));
    return true;
  } catch {
    return false;
  }
}

/** Writes an outcome, whole or not at all. */
export function keep(file: string, outcome: object): void {
  writeFileSync(`${file}.tmp`, JSON.stringify(outcome, null, 1));
  renameSync(`${file}.tmp`, `${file}.json`);
}

/** The outcome that was kept there; undefined where there is none yet. */
export function kept<T>(file: string): T | undefined {
  return existsSync(`${file}.json`) ? (JSON.parse(readFileSync(`${file}.json`, "utf8")) as T) : undefined;
}
