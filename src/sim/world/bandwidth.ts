/**
 * A line's bandwidth, which all transfers under way share evenly, as TCP connections over one slow link do (processor sharing): n at a time get an nth
 * each. In virtual time, as events: a transfer ends at a whole millisecond.
 */
import { assert } from "../../base/assert.ts";
import type { Timeline } from "../timeline.ts";

/** Bits that rounding may leave of a transfer that is through. */
const SLACK_BITS = 1e-3;

/** What ends a transfer before it is through. */
export interface TransferLimits {
  /** Time at which its sender gives it up. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** One direction of a line. */
export interface Bandwidth {
  /** Transfers under way. */
  readonly active: number;
  /** Sends `bytes`; true when they are through, false where a limit came first: then they take no bandwidth any more. */
  transfer(bytes: number, limits?: TransferLimits): Promise<boolean>;
}

/** A transfer under way. `goal`: what every transfer will have been given, in bits, when this one is through. */
interface Flow {
  readonly goal: number;
  readonly end: (isThrough: boolean) => void;
}

/** An idle line of `bps` bits a second; Infinity: bytes take no time. */
export function bandwidth(bps: number, clock: Pick<Timeline, "now" | "at">): Bandwidth {
  assert(bps > 0, "a line carries something");
  const flows = new Set<Flow>();
  let given = 0; // bits that each transfer was given, which has been there since the line was idle
  let lastMs = 0;
  let plans = 0;

  const settle = (): void => {
    const nowMs = clock.now();
    if (flows.size > 0) given += ((nowMs - lastMs) * bps) / 1000 / flows.size;
    lastMs = nowMs;
    for (const flow of [...flows]) if (flow.goal - given <= SLACK_BITS) remove(flow, true);
  };
  const remove = (flow: Flow, isThrough: boolean): void => {
    if (flows.delete(flow)) flow.end(isThrough);
  };
  const plan = (): void => {
    const mine = ++plans; // earlier plans are void
    if (flows.size === 0) {
      given = 0;
      return;
    }
    const least = Math.min(...[...flows].map(({ goal }) => goal));
    const waitMs = Math.ceil(((least - given) * flows.size * 1000) / bps);
    clock.at(clock.now() + Math.max(1, waitMs), () => {
      if (mine !== plans) return;
      settle();
      plan();
    });
  };
  const stop = (flow: Flow): void => {
    if (!flows.has(flow)) return;
    settle();
    remove(flow, false);
    plan();
  };

  return {
    get active() {
      return flows.size;
    },
    transfer(bytes, { deadlineMs, signal } = {}) {
      if (signal?.aborted === true) return Promise.resolve(false);
      if (bytes <= 0 || bps === Number.POSITIVE_INFINITY) return Promise.resolve(true);
      return new Promise((resolve) => {
        settle();
        const interrupt = (): void => stop(flow);
        const end = (isThrough: boolean): void => {
          signal?.removeEventListener("abort", interrupt);
          resolve(isThrough);
        };
        const flow: Flow = { goal: given + 8 * bytes, end };
        flows.add(flow);
        plan();
        signal?.addEventListener("abort", interrupt, { once: true });
        if (deadlineMs !== undefined) clock.at(Math.max(clock.now(), deadlineMs), () => stop(flow));
      });
    },
  };
}
