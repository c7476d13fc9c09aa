/** The door for what a node has to say: structured events, one JSON line each. Human output is the command line's business. */

/** Anything JSON can hold. */
export type LogField = string | number | boolean | null | readonly LogField[] | { readonly [key: string]: LogField };

/** Receives events. `event` is a stable word; fields carry units in their names. */
export interface Log {
  event(event: string, fields?: Readonly<Record<string, LogField>>): void;
}

/** Says nothing. */
export const silentLog: Log = { event: () => {} };

/** Writes one JSON line per event through `write`; `now` stamps it in milliseconds. */
export function jsonLog(write: (line: string) => void, now: () => number): Log {
  return { event: (event, fields = {}) => write(`${JSON.stringify({ timeMs: now(), event, ...fields })}\n`) };
}

/** The in-memory twin: keeps every event for a test to read. */
export function memoryLog(): Log & {
  readonly events: { event: string; fields: Readonly<Record<string, LogField>> }[];
} {
  const events: { event: string; fields: Readonly<Record<string, LogField>> }[] = [];
  return { events, event: (event, fields = {}) => events.push({ event, fields }) };
}
