/**
 * The glass: shows lines on a terminal and rewrites them in place, on the terminal's second page, so that whatever was there before comes back.
 * Draws when something has changed, four times a second at most, and once a second for the clock in it.
 */
import type { Sink } from "../../shared/terminal.ts";
import { plainText, type SpanLine, terminalText } from "./spans.ts";

const FRAME_MS = 250;
/** Frames after which it draws though nothing has changed. */
const IDLE_FRAMES = 4;
const ENTER = "\u001b[?1049h\u001b[?25l\u001b[H\u001b[2J";
const LEAVE = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_REST_OF_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

/** A stream that is a terminal. */
export interface Glass extends Sink {
  readonly rows?: number;
}

/** What shows. */
export interface Screen {
  /** Something has changed. */
  touch(): void;
  /** Draws now. */
  draw(): void;
  /** Gives the terminal back. Twice is once. */
  close(): void;
}

/** Size of a terminal that does not say. */
const USUAL = { columns: 80, rows: 24 };

/** Columns and rows of a terminal. */
export function sizeOf({ columns, rows }: Glass): { readonly columns: number; readonly rows: number } {
  return { columns: columns || USUAL.columns, rows: rows || USUAL.rows };
}

/** One frame as a terminal takes it: written over the one before, without clearing it first, which would flicker. */
export function frameText(lines: readonly SpanLine[], colour: boolean): string {
  const rows = lines.map((line) => `${terminalText(line, colour)}${CLEAR_REST_OF_LINE}`);
  return `${HOME}${rows.join("\r\n")}${CLEAR_BELOW}`;
}

/** Shows what `picture` makes, from now on. */
export function openScreen(glass: Glass, picture: () => readonly SpanLine[], colour: boolean): Screen {
  let [touched, idle, closed] = [true, 0, false];
  const draw = (): void => {
    if (closed) return;
    [touched, idle] = [false, 0];
    glass.write(frameText(picture(), colour));
  };
  const timer = setInterval(() => {
    idle += 1;
    if (touched || idle >= IDLE_FRAMES) draw();
  }, FRAME_MS);
  const close = (): void => {
    if (closed) return;
    closed = true;
    clearInterval(timer);
    process.off("exit", close);
    glass.write(LEAVE);
  };
  process.once("exit", close); // however we end, the terminal is as it was
  glass.write(ENTER);
  draw();
  return {
    touch: () => {
      touched = true;
    },
    draw,
    close,
  };
}

/** Lines for a stream that is no terminal, or for the terminal's first page. */
export function plainLines(lines: readonly SpanLine[], colour: boolean): string[] {
  return lines.map((line) => (colour ? terminalText(line, true).trimEnd() : plainText(line)));
}
