/** Names Node: a log as a file of JSON lines, appended to; when it has grown too long, it is set aside once (`.1`) and begun anew. */
import * as fs from "node:fs";
import * as path from "node:path";
import { type Clock, systemClock } from "../clock.ts";
import { type Log, logLine } from "./log.ts";

/** Bytes after which a log file is set aside. */
const FILE_BYTES_MAX = 64 << 20;

/** Opens the log `file`, whose folder is made where it is missing. Events that cannot be written are dropped: no node stops over its log. */
export function fileLog(
  file: string,
  { clock = systemClock, bytesMax = FILE_BYTES_MAX }: { readonly clock?: Clock; readonly bytesMax?: number } = {},
): Log {
  let bytes = attempt(() => fs.statSync(file).size) ?? 0;
  attempt(() => fs.mkdirSync(path.dirname(file), { recursive: true }));
  return {
    event(kind, fields = {}) {
      const line = `${logLine({ kind, timeMs: clock.now(), fields })}\n`;
      if (bytes > 0 && bytes + line.length > bytesMax) {
        attempt(() => fs.renameSync(file, `${file}.1`));
        bytes = 0;
      }
      attempt(() => fs.appendFileSync(file, line));
      bytes += Buffer.byteLength(line);
    },
  };
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
