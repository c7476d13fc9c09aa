/** Ctrl-C: the first asks the work to end at a safe place, the second ends the process at once. */
import type { Terminal } from "./terminal.ts";

/** A signal that Ctrl-C (SIGINT) or SIGTERM aborts, and a way to stop listening. */
export interface Interrupt {
  readonly signal: AbortSignal;
  release(): void;
}

/** Listens. `promise` is said at the first Ctrl-C: what happens now. The second exits with 130 without waiting. */
export function listenForInterrupt(terminal: Terminal, promise: string): Interrupt {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) {
      terminal.clear();
      process.exit(130);
    }
    terminal.note(`${promise} (once more to stop at once)`);
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
