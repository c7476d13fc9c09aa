/** What the processes of `skein up` say: JSON lines, `{"event": kind, …fields}`, told apart by the name of who said them. */
import type { JsonField, LogFields } from "../../base/log/log.ts";

/** Something that happened, as one of the nodes told it. `node` is "up" where this program saw it itself. */
export interface Told {
  readonly node: string;
  readonly kind: string;
  readonly fields: LogFields;
  /** When it was heard, in milliseconds since 1970. */
  readonly timeMs: number;
}

/** The event in a line; undefined where it is none. `node` and `timeMs` of the line are not believed: they are the reader's to say. */
export function parseEvent(line: string): { readonly kind: string; readonly fields: LogFields } | undefined {
  const value = parsed(line);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { event, ...fields } = value as Readonly<Record<string, JsonField>>;
  return typeof event === "string" && event.length > 0 ? { kind: event, fields } : undefined;
}

/** A line of the history that `skein up` keeps of its nodes: as `logLine` writes it, with the field `node`. */
export function parseTold(line: string): Told | undefined {
  const event = parseEvent(line);
  if (event === undefined) return undefined;
  const { node, timeMs, ...fields } = event.fields;
  return typeof node === "string" && typeof timeMs === "number"
    ? { node, kind: event.kind, fields, timeMs }
    : undefined;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Cuts text that comes in pieces into lines. A line of more than `charsMax` characters is left out. */
export function lineReader(onLine: (line: string) => void, charsMax: number): (piece: string) => void {
  let rest = "";
  let tooLong = false;
  const add = (text: string): void => {
    tooLong ||= rest.length + text.length > charsMax;
    rest = tooLong ? "" : rest + text;
  };
  return (piece) => {
    const parts = piece.split("\n");
    parts.forEach((part, i) => {
      add(part);
      if (i === parts.length - 1) return;
      if (!tooLong && rest.trim() !== "") onLine(rest);
      rest = "";
      tooLong = false;
    });
  };
}
