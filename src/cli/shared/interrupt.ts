/** Ctrl-C: the first asks the work to end at a safe place, the second ends the process at once. And sleep that it ends. */
import { systemClock } from "../../base/clock.ts";
import type { Terminal } from "./terminal.ts";

/** Milliseconds in which a second signal is the first one's echo: npm and timeout pass on what the terminal sends to all anyway. */
const ECHO_MS = 250;

/** A signal that Ctrl-C (SIGINT) or SIGTERM aborts, and a way to stop listening. */
export interface Interrupt {
  readonly signal: AbortSignal;
  release(): void;
}

/** Listens. `promise` is said at the first Ctrl-C: what happens now. The second exits with 130 without waiting. */
export function listenForInterrupt(terminal: Terminal, promise: string): Interrupt {
  const controller = new AbortController();
  let firstMs = 0;
  const onSignal = (): void => {
    if (controller.signal.aborted) {
      if (systemClock.monotonic() - firstMs < ECHO_MS) return;
      terminal.clear();
      process.exit(130);
    }
    terminal.note(`${promise} (once more to stop at once)`);
    firstMs = systemClock.monotonic();
    controller.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  const release = (): void => {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  };
  return { signal: controller.signal, release };
}

/** Resolves after `ms`, or when `signal` is aborted, and leaves nothing behind that would keep the process alive. */
export function nap(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
  });
}
