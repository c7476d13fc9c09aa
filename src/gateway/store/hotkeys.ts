/**
 * Which hotkeys are registered, without asking the chain for every request: the whole list is read and taken for true for some seconds. A hotkey
 * that is not on it may have been registered since, so for it the list is read again, at most once a second, whoever asks.
 */
import type { Clock } from "../../base/clock.ts";

/** The registered hotkeys of a run's subnet. */
export interface Hotkeys {
  /** Whether `account` (0x and 64 hex digits) is registered. Rejects where the chain is away and the list is too old. */
  has(account: string): Promise<boolean>;
}

/** Milliseconds between two looks for newcomers. */
const NEWCOMER_MS = 1000;
/** Milliseconds for which an old list serves while the chain is away. */
const STALE_MS_MAX = 600_000;

/** Hotkeys as `read` gives them, taken for true for `freshMs`. */
export function hotkeysOf(read: () => Promise<ReadonlySet<string>>, clock: Clock, freshMs: number): Hotkeys {
  let known: ReadonlySet<string> = new Set();
  let knownMs = Number.NEGATIVE_INFINITY;
  let triedMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;
  let failure: unknown;
  const refresh = async (): Promise<void> => {
    triedMs = clock.monotonic();
    try {
      known = await read();
      knownMs = clock.monotonic();
      failure = undefined;
    } catch (thrown) {
      failure = thrown;
    } finally {
      reading = undefined;
    }
  };
  return {
    async has(account) {
      const nowMs = clock.monotonic();
      if (known.has(account) && nowMs - knownMs <= freshMs) return true;
      if (nowMs - triedMs >= NEWCOMER_MS) reading ??= refresh();
      await reading;
      if (failure !== undefined && clock.monotonic() - knownMs > STALE_MS_MAX) throw failure;
      return known.has(account);
    },
  };
}
