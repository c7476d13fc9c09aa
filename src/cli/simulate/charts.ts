/** Charts as SVG inside a page: lines over rounds and bars by name, drawn with the page's own colours. Pure functions from numbers to text. */
import { escaped } from "../../gateway/page.ts";

const WIDTH = 640;
const HEIGHT = 200;
const LEFT = 52;
const BOTTOM = 24;
const TOP = 10;
const BAR_HEIGHT = 18;

/** One line of a chart; null where there is no value. */
export interface Series {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

/** How numbers at the axes are written. */
export type Written = (value: number) => string;

const at = (value: number): string => value.toFixed(1);

/** Lines over rounds 0, 1, 2, …; empty where there is nothing to draw. `from` is a value that the axis must hold. */
export function lineChart(title: string, series: readonly Series[], written: Written, from?: number): string {
  const values = series.flatMap((each) => each.values.filter((value) => value !== null && Number.isFinite(value)));
  const known = [...(values as number[]), ...(from === undefined ? [] : [from])];
  const count = Math.max(0, ...series.map((each) => each.values.length));
  if (values.length === 0) return "";
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const span = high > low ? high - low : 1;
  const x = (i: number): number => LEFT + ((WIDTH - LEFT - 8) * i) / Math.max(1, count - 1);
  const y = (value: number): number => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / span);
  const lines = series.map((each, s) => {
    const points = each.values.flatMap((value, i) =>
      value === null || !Number.isFinite(value) ? [] : [`${at(x(i))},${at(y(value))}`],
    );
    return `<polyline class="s${s}" points="${points.join(" ")}"/>`;
  });
  const axis = [low, (low + high) / 2, high].map(
    (value) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - 8}" y1="${at(y(value))}" y2="${at(y(value))}"/>` +
      `<text x="${LEFT - 6}" y="${at(y(value) + 4)}" text-anchor="end">${escaped(written(value))}</text>`,
  );
  const rounds =
    `<text x="${LEFT}" y="${HEIGHT - 6}">round 0</text>` +
    `<text x="${WIDTH - 8}" y="${HEIGHT - 6}" text-anchor="end">${count - 1}</text>`;
  const legend =
    series.length < 2
      ? ""
      : `<p class="soft">${series.map((each, s) => `<b class="k${s}">■</b> ${escaped(each.name)}`).join(" · ")}</p>`;
  return (
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img"><title>${escaped(title)}</title>` +
    `${axis.join("")}${rounds}${lines.join("")}</svg>${legend}`
  );
}

/** One bar. */
export interface Bar {
  readonly name: string;
  readonly value: number;
  /** Whether it is drawn in the colour of trouble. */
  readonly bad: boolean;
}

/** Bars from the left, the longest as long as the chart. */
export function barChart(title: string, bars: readonly Bar[], written: Written): string {
  if (bars.length === 0) return "";
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const [left, right] = [160, 70];
  const rows = bars.map(({ name, value, bad }, i) => {
    const y = i * BAR_HEIGHT;
    const width = Math.max(1, ((WIDTH - left - right) * Math.max(0, value)) / most);
    return (
      `<text x="${left - 8}" y="${y + 13}" text-anchor="end">${escaped(name)}</text>` +
      `<rect class="${bad ? "bad" : "good"}" x="${left}" y="${y + 3}" width="${at(width)}" height="${BAR_HEIGHT - 6}"/>` +
      `<text x="${at(left + width + 6)}" y="${y + 13}">${escaped(written(value))}</text>`
    );
  });
  return `<svg viewBox="0 0 ${WIDTH} ${bars.length * BAR_HEIGHT}" role="img"><title>${escaped(title)}</title>${rows.join("")}</svg>`;
}
