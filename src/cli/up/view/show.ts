/** The three ways in which `skein up` shows its network: a picture on a terminal, lines elsewhere, events under `--json`. */
import { systemClock } from "../../../base/clock.ts";
import type { Terminal } from "../../shared/terminal.ts";
import type { Board } from "../board.ts";
import type { Told } from "../events.ts";
import { lineTeller } from "./lines.ts";
import { type Glass, openScreen, plainLines, sizeOf } from "./screen.ts";
import { type Scene, view } from "./view.ts";

/** What shows. */
export interface Show {
  /** Told every event, after the board. */
  told(told: Told): void;
  /** Ends the showing; where there was a picture, its last state stays on the terminal. */
  close(): void;
}

/** Where it shows, and what the environment says about colours. */
export interface Stage {
  readonly terminal: Terminal;
  readonly glass: Glass;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Begins to show `board`. */
export function openShow(board: Board, scene: Scene, { terminal, glass, env }: Stage): Show {
  if (!terminal.human) return eventShow(terminal);
  if (glass.isTTY !== true || env["TERM"] === "dumb") return lineShow(board, terminal);
  return pictureShow(board, scene, { terminal, glass, env });
}

/** Every event, with the node that told it; not each block, which is no news. */
function eventShow(terminal: Terminal): Show {
  return {
    told: ({ node, kind, fields }) => {
      if (kind !== "block") terminal.event(kind, { ...fields, node });
    },
    close: () => undefined,
  };
}

function lineShow(board: Board, terminal: Terminal): Show {
  const linesOf = lineTeller(board);
  return {
    told: (told) => {
      for (const line of linesOf(told)) terminal.line(line);
    },
    close: () => terminal.line(),
  };
}

function pictureShow(board: Board, scene: Scene, { terminal, glass, env }: Stage): Show {
  const colour = !env["NO_COLOR"];
  const startMs = systemClock.now();
  const picture = (size: { readonly columns: number; readonly rows: number }): ReturnType<typeof view> =>
    view(board, scene, { ...size, nowMs: systemClock.now(), startMs });
  const screen = openScreen(glass, () => picture(sizeOf(glass)), colour);
  return {
    told: () => screen.touch(),
    close: () => {
      screen.close();
      const { columns } = sizeOf(glass);
      const last = picture({ columns, rows: REST_ROWS }).slice(0, -1); // its last line says what to type while it runs
      for (const line of plainLines(last, colour)) terminal.line(line);
      terminal.line();
    },
  };
}

/** Rows of the picture that stays. */
const REST_ROWS = 24;
