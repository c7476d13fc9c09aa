/**
 * For programs that `skein up` has started: when it is gone, however it went, the channel to it closes, and that counts as Ctrl-C; what does not end
 * then is ended. Programs that nobody started with a channel are not touched.
 */

/** Milliseconds that a program has to end when whoever started it wants it to, or is gone. */
export const STOP_MS_MAX = 15_000;

/** Listens for the end of whoever started this program. Does not keep it running. */
export function endWithParent(): void {
  if (process.channel === undefined || process.channel === null) return;
  process.once("disconnect", () => {
    setTimeout(() => process.exit(130), STOP_MS_MAX).unref();
    process.kill(process.pid, "SIGINT");
  });
  process.channel.unref();
}
