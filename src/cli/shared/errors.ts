/**
 * From anything thrown to what a person reads and a script tests: a message, details and remedy on stderr, one JSON line under
 * `--json`, and the exit code.
 */
import { AssertionError } from "../../base/assert.ts";
import { type ErrorCode, messageOf, SkeinError } from "../../base/errors.ts";
import type { Terminal } from "./terminal.ts";

/** Exit code of each kind of trouble. */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  usage: 2,
  config: 2,
  data: 3,
  checkpoint: 4,
  memory: 5,
  diverged: 6,
  chain: 7,
  engine: 1,
  store: 1,
  interrupted: 130,
};

/** The paragraph on exit codes that every help ends with. */
export const EXIT_HELP: string = `
Exit codes:
  0 done   1 trouble (files, engine, a bug)   2 wrong usage or setting   3 unusable data   4 unusable checkpoint
  5 does not fit in memory   6 diverged   7 the chain refuses or is away   130 stopped by Ctrl-C (training has saved a
  checkpoint)`;

/** What is said about something thrown. */
export interface Report {
  readonly code: ErrorCode | "bug" | "unexpected";
  readonly message: string;
  readonly details?: string;
  readonly remedy?: string;
  readonly exitCode: number;
}

/** Sorts out what was thrown. */
export function reportOf(thrown: unknown): Report {
  if (thrown instanceof SkeinError) {
    return {
      code: thrown.code,
      message: thrown.message,
      ...(thrown.details === undefined ? {} : { details: thrown.details }),
      ...(thrown.remedy === undefined ? {} : { remedy: thrown.remedy }),
      exitCode: EXIT_CODES[thrown.code],
    };
  }
  const stack = thrown instanceof Error ? { details: thrown.stack ?? "" } : {};
  const code = thrown instanceof AssertionError ? "bug" : "unexpected";
  const remedy = "this is a mistake in skein: please report it with the command you typed and the lines above";
  return { code, message: messageOf(thrown), ...stack, remedy, exitCode: 1 };
}

/** Tells the report to people (stderr) and, under `--json`, to machines (stdout). */
export function tell(report: Report, terminal: Terminal, stderr: { write(text: string): unknown }): void {
  terminal.clear();
  terminal.event("error", { ...report });
  if (report.code === "interrupted") {
    if (terminal.human) stderr.write(`${report.message}\n`);
    return;
  }
  const indent = (text: string): string => text.replace(/^(?=.)/gm, "  ");
  stderr.write(`error: ${report.message}\n`);
  if (report.details !== undefined) stderr.write(`${indent(report.details)}\n`);
  if (report.remedy !== undefined) stderr.write(`remedy: ${report.remedy}\n`);
}
