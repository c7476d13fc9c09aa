/**
 * An engine does one thing at a time: calls wait their turn here, in the order in which they were made. One mechanism for all
 * engines, so that all treat failure and closing alike.
 */
import { AssertionError } from "../base/assert.ts";

/** A queue of calls, and the way to end it. */
export interface Turnstile {
  /** Runs `work` after all earlier calls. Rejects with AssertionError once `close` was called. */
  readonly inTurn: <T>(work: () => T | Promise<T>) => Promise<T>;
  /** Lets the calls under way finish, then releases the engine; closing again is the same closing. */
  readonly close: () => Promise<void>;
}

/** A turnstile whose closing ends with `release`. */
export function turnstile(release: () => void | Promise<void> = () => {}): Turnstile {
  let last: Promise<unknown> = Promise.resolve();
  let closed: Promise<void> | undefined;
  return {
    inTurn: (work) => {
      if (closed) return Promise.reject(new AssertionError("the engine was used after it was closed"));
      const result = last.then(work);
      last = result.catch(() => {}); // a failed call is its caller's to hear of; the next one goes ahead
      return result;
    },
    close: () => {
      closed ??= last.then(release);
      return closed;
    },
  };
}
