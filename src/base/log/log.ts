/**
 * The door to the log: what a node did, as events with a time, good enough to tell a run's history again later. Adapters: a file of JSON lines
 * (file.node.ts) and memory.
 */
import { type Clock, systemClock } from "../clock.ts";

/** Anything JSON can hold. */
export type JsonField = string | number | boolean | null | readonly JsonField[] | { readonly [key: string]: JsonField };

/** Fields of an event, by name. */
export type LogFields = Readonly<Record<string, JsonField>>;

/** What happened: its kind ("round", "vote"), its fields, and when, in milliseconds since 1970. */
export interface LogEvent {
  readonly kind: string;
  readonly timeMs: number;
  readonly fields: LogFields;
}

/** Where events go. Never throws: a node does not stop because it cannot tell what it does. */
export interface Log {
  event(kind: string, fields?: LogFields): void;
}

/** A log in memory, of the newest `capacity` events; `onEvent` is told each. */
export function memoryLog({
  capacity = 10_000,
  clock = systemClock,
  onEvent,
}: {
  readonly capacity?: number;
  readonly clock?: Clock;
  readonly onEvent?: (event: LogEvent) => void;
} = {}): Log & { readonly events: readonly LogEvent[] } {
  const events: LogEvent[] = [];
  return {
    events,
    event(kind, fields = {}) {
      const event = { kind, timeMs: clock.now(), fields };
      events.push(event);
      if (events.length > capacity) events.shift();
      onEvent?.(event);
    },
  };
}

/** Tells several logs the same. */
export function teeLog(...logs: readonly Log[]): Log {
  return {
    event(kind, fields) {
      for (const log of logs) log.event(kind, fields);
    },
  };
}

/** One event as a line of JSON, without its line break: {"timeMs": …, "event": …, …fields}. */
export function logLine({ kind, timeMs, fields }: LogEvent): string {
  return JSON.stringify({ timeMs, event: kind, ...fields });
}

/** A finite number among fields, or undefined. */
export function numberIn(fields: LogFields, name: string): number | undefined {
  const value = fields[name];
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** A text among fields, or undefined. */
export function textIn(fields: LogFields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === "string" ? value : undefined;
}

/** The length of a list among fields; 0 where there is none. */
export function lengthIn(fields: LogFields, name: string): number {
  const value = fields[name];
  return Array.isArray(value) ? value.length : 0;
}
