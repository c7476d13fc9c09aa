/**
 * Simulated time: a queue of events. It moves from one to the next when it is told to and never by itself. Unlike the manual clock (base/clock.ts), whose
 * sleepers move it, here they wait until it is their time, as on a real machine.
 */
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";

/** A clock that a simulation moves. */
export interface Timeline extends Clock {
  /** Does `work` at a time, which is not before now. Of two at the same time the one that was asked for first comes first. */
  at(atMs: number, work: () => void): void;
  /** Moves to the earliest event and does it; false where there is none. */
  step(): boolean;
  /** Events that wait for their time. */
  readonly pending: number;
}

interface Event {
  readonly atMs: number;
  readonly serial: number;
  readonly work: () => void;
}

const isBefore = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.serial < b.serial);

/** A timeline that begins at `startMs`. */
export function timeline(startMs = 0): Timeline {
  let nowMs = startMs;
  let serial = 0;
  const heap: Event[] = []; // a binary heap, earliest first
  const at = (atMs: number, work: () => void): void => {
    assert(atMs >= nowMs, "nothing happens in the past");
    heap.push({ atMs, serial: serial++, work });
    rise(heap);
  };
  return {
    at,
    now: () => nowMs,
    monotonic: () => nowMs,
    sleep: (ms) => (ms > 0 ? new Promise((wake) => at(nowMs + ms, wake)) : Promise.resolve()),
    step() {
      const event = take(heap);
      if (event === undefined) return false;
      nowMs = event.atMs;
      event.work();
      return true;
    },
    get pending() {
      return heap.length;
    },
  };
}

/** Moves the last event up to its place. */
function rise(heap: Event[]): void {
  let i = heap.length - 1;
  const event = heap[i] as Event;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    const above = heap[parent] as Event;
    if (!isBefore(event, above)) break;
    heap[i] = above;
    i = parent;
  }
  heap[i] = event;
}

/** Takes the earliest event out. */
function take(heap: Event[]): Event | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    const right = heap[child + 1];
    if (right !== undefined && isBefore(right, heap[child] as Event)) child += 1;
    const below = heap[child] as Event;
    if (!isBefore(below, last)) break;
    heap[i] = below;
    i = child;
  }
  heap[i] = last;
  return first;
}
