/**
 * What the commands say and where: results on stdout, the live status line on stderr. With `--json` stdout carries one JSON
 * object per line and nothing else. Without a terminal, or with NO_COLOR or TERM=dumb, the live line becomes an ordinary line
 * every ten seconds, so that logs stay readable.
 */
import { type Clock, systemClock } from "../../base/clock.ts";

/** Milliseconds between two status lines where the line cannot be rewritten. */
const PLAIN_STATUS_MS = 10_000;
/** Milliseconds between two rewrites of the live line. */
const LIVE_STATUS_MS = 80;
const CLEAR_LINE = "\r\u001b[K";

/** Anything JSON can hold. */
type JsonField = string | number | boolean | null | readonly JsonField[] | { readonly [key: string]: JsonField };

/** Where a stream's text goes; Node's process.stdout and process.stderr fit. */
export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** A command's voice. */
export interface Terminal {
  /** Whether people read it: false under `--json`. */
  readonly human: boolean;
  /** One line of result. Silent under `--json`. */
  line(text?: string): void;
  /** Result text as it comes, without a line break. Silent under `--json`. */
  stream(text: string): void;
  /** The present state of work, rewritten in place. `last` makes sure that it is shown. Silent under `--json`. */
  status(text: string, last?: boolean): void;
  /** A remark on stderr, for people, that is no result. Silent under `--json`. */
  note(text: string): void;
  /** One JSON line. Silent without `--json`. */
  event(event: string, fields?: Readonly<Record<string, JsonField>>): void;
  /** Takes the live line away. */
  clear(): void;
}

/** How to speak. */
export interface TerminalOptions {
  readonly json: boolean;
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
}

/** Opens a command's voice. */
export function openTerminal({ json, stdout, stderr, env, clock = systemClock }: TerminalOptions): Terminal {
  const live = !json && stderr.isTTY === true && !env["NO_COLOR"] && env["TERM"] !== "dumb";
  let shown = false;
  let nextMs = Number.NEGATIVE_INFINITY;
  const clear = (): void => {
    if (shown) stderr.write(CLEAR_LINE);
    shown = false;
  };
  const status = (text: string, last = false): void => {
    const nowMs = clock.monotonic();
    if (json || (nowMs < nextMs && !last)) return;
    nextMs = nowMs + (live ? LIVE_STATUS_MS : PLAIN_STATUS_MS);
    if (live) stderr.write(`${CLEAR_LINE}${truncate(text, (stderr.columns ?? 80) - 1)}`);
    else stderr.write(`${text}\n`);
    shown = live;
  };
  return {
    human: !json,
    line: (text = "") => {
      clear();
      if (!json) stdout.write(`${text}\n`);
    },
    stream: (text) => {
      clear();
      if (!json) stdout.write(text);
    },
    note: (text) => {
      clear();
      if (!json) stderr.write(`${text}\n`);
    },
    event: (event, fields = {}) => {
      if (json) stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
    },
    status,
    clear,
  };
}

function truncate(text: string, columns: number): string {
  const letters = [...text];
  return letters.length <= columns ? text : `${letters.slice(0, Math.max(0, columns - 1)).join("")}…`;
}

let ours: Terminal | undefined;

/** The process's own voice: one, so that an error takes away the live line of the work it ended. `json` counts at the first call. */
export function processTerminal(json: boolean): Terminal {
  if (ours !== undefined) return ours;
  // A reader that goes away (`skein … | head`) counts as one Ctrl-C: a training saves before it ends.
  let gone = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    if (!gone) process.kill(process.pid, "SIGINT");
    gone = true;
  });
  ours = openTerminal({ json, stdout: process.stdout, stderr: process.stderr, env: process.env });
  return ours;
}

/** A bar of `width` cells for `share` in [0, 1]. */
export function bar(share: number, width = 20): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return `${"█".repeat(full)}${"░".repeat(width - full)}`;
}

/** 1234567 → "1,234,567". */
export function count(n: number): string {
  return Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ",");
}

/** 6912000 → "6.9M"; three figures at most. */
export function short(n: number): string {
  const units: readonly (readonly [number, string])[] = [
    [1e12, "T"],
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "k"],
  ];
  for (const [size, unit] of units) {
    if (n >= size * 0.9995) return `${figures(n / size)}${unit}`;
  }
  return figures(n);
}

/** Bytes as people say them, in powers of ten: 1530000000 → "1.53 GB". */
export function bytes(n: number): string {
  for (const [size, unit] of [
    [1e12, "TB"],
    [1e9, "GB"],
    [1e6, "MB"],
    [1e3, "kB"],
  ] as const) {
    if (n >= size * 0.9995) return `${figures(n / size)} ${unit}`;
  }
  return `${n} bytes`;
}

/** Three significant figures without an exponent or needless zeros. */
export function figures(n: number): string {
  if (n >= 100) return String(Math.round(n));
  const digits = n >= 10 ? 1 : 2;
  return n.toFixed(digits).replace(/\.?0+$/, "");
}

/** A length of time: "45 s", "3 min 12 s", "2 h 05 min", "3 d 4 h", "30 years". */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return "unknown";
  const s = Math.max(0, Math.round(ms / 1000));
  const two = (n: number): string => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  if (s >= 2 * 365 * 86_400) return `${count(s / (365 * 86_400))} years`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** Columns padded to a common width, as lines; the first row may be a heading. Columns named in `right` align right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, [...cell].length);
    });
  }
  return rows.map((row) =>
    row
      .map((cell, i) => {
        const space = " ".repeat((widths[i] ?? 0) - [...cell].length);
        return right.includes(i) ? space + cell : cell + space;
      })
      .join("  ")
      .trimEnd(),
  );
}
