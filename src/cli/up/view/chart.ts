/** Pictures out of letters: a falling curve as an area of block characters, and the phases of a round as bars. Pure. */
import { bar } from "../../shared/terminal.ts";

const EIGHTHS = " ▁▂▃▄▅▆▇█";
/** The part of the axis that has no values yet. */
const AHEAD = "·";

/** What is drawn: values over places 0 to `places` − 1, not all of them known. */
export interface Curve {
  /** Ascending by place. */
  readonly points: readonly { readonly at: number; readonly value: number }[];
  readonly places: number;
}

/** Places of the shortest axis, and how much longer than what is known an axis is at least. */
const PLACES_MIN = 30;
const PLACES_AHEAD = 1.2;

/** Places of an axis that has `known` values of `all` to come on it: it doubles when they are about to fill it, so that it seldom changes. */
export function horizon(known: number, all: number): number {
  let places = PLACES_MIN;
  while (places < known * PLACES_AHEAD) places *= 2;
  return Math.min(places, Math.max(known, all));
}

/** The least and the greatest value; undefined where there is none. */
function rangeOf({ points }: Curve): { readonly min: number; readonly max: number } | undefined {
  if (points.length === 0) return undefined;
  const values = points.map(({ value }) => value);
  return { min: Math.min(...values), max: Math.max(...values) };
}

/**
 * The curve as `rows` lines of `columns` letters, top first. The least value is an eighth of a letter high, the greatest fills all
 * rows; columns between known places lie on a line, those after the last are left open.
 */
export function area(curve: Curve, columns: number, rows: number): string[] {
  const range = rangeOf(curve);
  const heights = columnsOf(curve, columns).map((value) => {
    if (value === undefined || range === undefined) return undefined;
    const share = range.max > range.min ? (value - range.min) / (range.max - range.min) : 0;
    return 1 + Math.round(share * (8 * rows - 1));
  });
  return Array.from({ length: rows }, (_, row) => {
    const below = 8 * (rows - 1 - row);
    return heights
      .map((height) => {
        if (height === undefined) return row === rows - 1 ? AHEAD : " ";
        return EIGHTHS[Math.max(0, Math.min(8, height - below))] ?? " ";
      })
      .join("");
  });
}

/** One value for each column up to the last known one: the mean of the points that fall into it, or a line between its neighbours. */
function columnsOf({ points, places }: Curve, columns: number): (number | undefined)[] {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const { at, value } of points) {
    const column = Math.min(columns - 1, Math.round((at * (columns - 1)) / Math.max(1, places - 1)));
    const { sum, count } = sums.get(column) ?? { sum: 0, count: 0 };
    sums.set(column, { sum: sum + value, count: count + 1 });
  }
  const known = [...sums].map(([column, { sum, count }]) => ({ column, mean: sum / count }));
  return Array.from({ length: columns }, (_, column) => {
    const before = known.findLast((each) => each.column <= column);
    const after = known.find((each) => each.column >= column);
    if (after === undefined) return undefined;
    if (before === undefined || before.column === after.column) return after.mean;
    const share = (column - before.column) / (after.column - before.column);
    return before.mean + share * (after.mean - before.mean);
  });
}

/** A phase of a round: its name, its length, and how much of it is over, in blocks. */
export interface PhaseBar {
  readonly name: string;
  readonly blocks: number;
  readonly over: number;
}

/** Bars for phases, together about `cells` wide, each as long as its share of the blocks but never less than two. */
export function phaseBars(
  phases: readonly PhaseBar[],
  cells: number,
): { readonly name: string; readonly bar: string }[] {
  const all = phases.reduce((sum, { blocks }) => sum + blocks, 0);
  return phases.map(({ name, blocks, over }) => {
    const width = Math.max(2, Math.round((cells * blocks) / all));
    return { name, bar: bar(over / blocks, width) };
  });
}
