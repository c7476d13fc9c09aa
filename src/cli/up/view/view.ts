/**
 * The picture of the network that `skein up` shows on a terminal: a board as lines of coloured spans. Pure; screen.ts puts it on the glass.
 * Top to bottom: what this is, where others join, the round on the chain's clock, how the loss falls, who does what, the sums, what
 * happened lately.
 */

import { bytes, count, duration, figures, short } from "../../shared/terminal.ts";
import type { Board, BoardNode } from "../board.ts";
import { shortHash } from "../words.ts";
import { area, type Curve, horizon, phaseBars } from "./chart.ts";
import { cut, pad, type SpanLine, type Style, span } from "./spans.ts";

/** What the view needs besides the board: what does not change while it runs. */
export interface Scene {
  readonly name: string;
  readonly params: number;
  /** Blocks of each phase. */
  readonly timing: { readonly train: number; readonly reveal: number; readonly vote: number };
  readonly rounds: number;
  readonly folder: string;
}

/** The place that there is, and the time. */
export interface Frame {
  readonly columns: number;
  readonly rows: number;
  readonly nowMs: number;
  readonly startMs: number;
}

const COLUMNS_MIN = 60;
const COLUMNS_MAX = 132;
const CHART_ROWS_MAX = 5;
const NEWS_MAX = 6;
/** Lines of news that come before a higher chart. */
const NEWS_WANTED = 2;
const LABEL = 17;
const GAP = "  ";

/** The board as at most `rows` lines of at most `columns` letters. */
export function view(board: Board, scene: Scene, frame: Frame): SpanLine[] {
  const columns = Math.min(COLUMNS_MAX, Math.max(COLUMNS_MIN, frame.columns)) - 1; // some terminals wrap at the last column
  const nodes = [...board.nodes.values()].filter(inTable);
  const head = headLines(board, scene, frame, columns);
  const sums = sumLines(board, scene);
  const room = frame.rows - head.length - sums.length - 6; // four empty lines, the table's heading, the last line
  const tableRows = Math.min(nodes.length, Math.max(2, room - 2)); // one line is the least of the chart and of the news
  const chartRows = Math.max(1, Math.min(CHART_ROWS_MAX, room - tableRows - NEWS_WANTED));
  const newsRows = Math.max(0, Math.min(NEWS_MAX, room - tableRows - chartRows));
  const lines = [
    ...head,
    [],
    ...lossLines(board, scene, columns, chartRows),
    [],
    ...nodeLines(nodes, tableRows, columns),
    [],
    ...sums,
    [],
    ...newsLines(board, newsRows),
    [span(" Ctrl-C stops and saves; `skein up` goes on", "dim")],
  ];
  return lines.slice(0, frame.rows).map((line) => cut(line, Math.min(columns, frame.columns)));
}

function inTable({ role }: BoardNode): boolean {
  return role === "validator" || role === "trainer";
}

function headLines(board: Board, scene: Scene, frame: Frame, columns: number): SpanLine[] {
  const title = span(`  ${scene.name}: ${short(scene.params)} params learn on this machine`);
  const block = board.place === undefined ? "" : `block ${count(board.place.block)}   `;
  const clock = span(block + duration(frame.nowMs - frame.startMs), "dim");
  const { link } = board;
  const where =
    link === undefined ? [span("the gateway is not up yet", "dim")] : linkSpans(link, columns - 8, scene.folder);
  return [
    pad([span(" Skein", "strong"), title], [...serviceSpans(board), clock], columns),
    [span(" join   ", "dim"), ...where],
    [],
    roundLine(board, scene, columns),
  ];
}

/** Of chain and gateway only trouble is shown: they have nothing else to tell. */
function serviceSpans({ nodes }: Board): SpanLine {
  return [...nodes.values()]
    .filter((node) => !inTable(node) && node.state === "down")
    .map(({ name }) => span(`${name} is gone   `, "bad"));
}

/** The link, whole where there is room; else where it is to be found whole. */
function linkSpans(link: string, room: number, folder: string): SpanLine {
  if (link.length <= room) return [span(link, "mark")];
  const where = `…  whole in ${folder}/link`;
  return [span(link.slice(0, Math.max(0, room - where.length)), "mark"), span(where, "dim")];
}

function roundLine({ place, rounds }: Board, { timing, rounds: all }: Scene, columns: number): SpanLine {
  if (place === undefined) {
    const words =
      rounds === 0 ? "none yet" : `${count(rounds)} ${rounds === 1 ? "is" : "are"} over; the chain comes up`;
    return [span(" round  ", "dim"), span(words)];
  }
  const wait = `${place.blocksLeft} ${place.blocksLeft === 1 ? "block" : "blocks"}`;
  if (place.round < 0) return [span(" round  ", "dim"), span(`the first begins in ${wait}`)];
  if (place.round >= all) return [span(" round  ", "dim"), span(`all ${count(all)} are over`)];
  const order = ["train", "reveal", "vote"] as const;
  const at = order.indexOf(place.phase);
  const phases = order.map((name, i) => {
    const blocks = timing[name];
    return { name, blocks, over: i < at ? blocks : i > at ? 0 : Math.max(0, blocks - place.blocksLeft) };
  });
  const label = `${place.round}`;
  const ends = ` of ${count(all)}   `;
  const longest = `${Math.max(...order.map((name) => timing[name]))} blocks left`; // so that the bars do not change their length
  const words = ` round  ${label}${ends}${order.map((name) => `${name}   `).join("")}${longest}`.length;
  const bars = phaseBars(phases, Math.min(60, Math.max(8, columns - words - 1))); // one more for rounding up
  return [
    span(" round  ", "dim"),
    span(label, "strong"),
    span(ends, "dim"),
    ...bars.flatMap(
      ({ name, bar }, i): SpanLine => [
        span(`${name} `, i === at ? "strong" : "dim"),
        span(`${bar}  `, i === at ? "mark" : "dim"),
      ],
    ),
    span(`${wait} left`),
  ];
}

function lossLines({ losses }: Board, { rounds }: Scene, columns: number, rows: number): SpanLine[] {
  const points = losses.map(({ round, loss }) => ({ at: round, value: loss }));
  const curve: Curve = { points, places: horizon((points.at(-1)?.at ?? 0) + 1, rounds) };
  const [first, newest] = [losses.at(0)?.loss, losses.at(-1)?.loss];
  const known = first !== undefined && newest !== undefined;
  const drawn = area(curve, Math.max(10, columns - LABEL - 1), rows);
  const words = known ? [newest.toFixed(3), "on unseen text", `from ${first.toFixed(3)}`] : ["none yet"];
  const labels = rows === 1 ? [`loss  ${words[0]}`] : ["loss", ...words.slice(0, rows - 1)];
  return drawn.map((line, row) => {
    const text = labels[row] ?? "";
    const style: Style = row === (rows === 1 ? 0 : 1) && known ? "strong" : "dim";
    return [span(` ${text}`.padEnd(LABEL), style), span(line, "mark")];
  });
}

interface Column {
  readonly title: string;
  readonly width: number;
  readonly right?: boolean;
  readonly cell: (node: BoardNode) => readonly [text: string, style?: Style];
}

/** Letters of the longest name that is shown whole. */
const NAME_MAX = 15;

/** Letters in which one can say what a node does. */
const NOW_MIN = 20;
const NOW_MAX = 32;

function columnsOf(nodes: readonly BoardNode[], columns: number): readonly Column[] {
  const names = Math.min(NAME_MAX, Math.max(...nodes.map(({ name }) => name.length), 11));
  const sent: Column = {
    ...{ title: "sent", width: 7, right: true },
    cell: ({ sentBytes }) => [sentBytes > 0 ? bytes(sentBytes) : ""],
  };
  const first: readonly Column[] = [
    { title: "node", width: names, cell: ({ name, adversary }) => [name, adversary === undefined ? "plain" : "bad"] },
    { title: "uid", width: 3, right: true, cell: ({ uid }) => [uid === undefined ? "" : String(uid), "dim"] },
  ];
  const last: readonly Column[] = [
    { title: "weight", width: 6, right: true, cell: ({ weight }) => [weight === undefined ? "" : weight.toFixed(2)] },
    { title: "earned", width: 6, right: true, cell: ({ earned }) => [earned > 0 ? figures(earned) : ""] },
    { title: "busy", width: 4, right: true, cell: ({ busy }) => [busy === undefined ? "" : percent(busy)] },
  ];
  const outcome: Column = {
    ...{ title: "last round", width: 11 },
    cell: (node) => (node.outcome ? [node.outcome.text, node.outcome.tone] : [""]),
  };
  const left = (fixed: readonly Column[]): number =>
    columns - fixed.reduce((sum, { width }) => sum + width + GAP.length, 1);
  const all = [...first, outcome, sent, ...last];
  const roomy = left(all) >= NOW_MIN; // where there is little room, what was sent is the first to go: the sums have it too
  const fixed = roomy ? all : [...first, outcome, ...last];
  const width = Math.max(NOW_MIN, Math.min(NOW_MAX, left(fixed)));
  return [...fixed.slice(0, 2), { title: "now", width, cell: nowCell }, ...fixed.slice(2)];
}

/** What a node does; of a dishonest one rather what has come out about it. */
function nowCell({ now, adversary, trouble }: BoardNode): readonly [string, Style] {
  return adversary === undefined || trouble === undefined ? [now.text, now.tone] : [trouble, "bad"];
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function nodeLines(nodes: readonly BoardNode[], rows: number, columns: number): SpanLine[] {
  const layout = columnsOf(nodes, columns);
  const line = (cells: readonly (readonly [string, Style?])[]): SpanLine =>
    layout.flatMap(({ width, right }, i): SpanLine => {
      const [text = "", style] = cells[i] ?? [];
      const shown = [...text].length > width ? `${[...text].slice(0, width - 1).join("")}…` : text;
      return [span(i === 0 ? " " : GAP), span(right ? shown.padStart(width) : shown.padEnd(width), style)];
    });
  const shown = nodes.length > rows ? nodes.slice(0, rows - 1) : nodes;
  const more = nodes.length - shown.length;
  return [
    line(layout.map(({ title }) => [title, "dim"])),
    ...shown.map((node) => line(layout.map(({ cell }) => cell(node)))),
    ...(more > 0 ? [[span(` and ${more} more`, "dim")]] : []),
  ];
}

function sumLines({ root, last, payloadBytes, rounds, nullRounds, sample }: Board, { params }: Scene): SpanLine[] {
  const nulls = nullRounds === 0 ? "" : `, ${count(nullRounds)} of them null`;
  const done = `${count(rounds)} ${rounds === 1 ? "round" : "rounds"} over${nulls}`;
  const modelBytes = 4 * params;
  const line = (label: string, text: string | undefined, rest: string): SpanLine => [
    span(` ${label.padEnd(7)}`, "dim"),
    ...(text === undefined ? [] : [span(text)]),
    span(rest, "dim"),
  ];
  return [
    root === undefined || last === undefined
      ? line("root", undefined, "no round is over yet")
      : line("root", shortHash(root), `  the params after round ${last.round}; ${done}`),
    payloadBytes === undefined
      ? line("bytes", undefined, "nothing is sent yet")
      : line(
          "bytes",
          bytes(payloadBytes),
          ` a payload, ${count(modelBytes / payloadBytes)}× smaller than the model's ${bytes(modelBytes)}`,
        ),
    sample === undefined
      ? line("text", undefined, "the model writes at its first checkpoint")
      : line("text", `“${sample.text}”`, ""),
  ];
}

function newsLines({ news }: Board, rows: number): SpanLine[] {
  return (rows === 0 ? [] : news.slice(-rows)).map(({ text, tone, timeMs }) => [
    span(` ${timeOfDay(timeMs)}  `, "dim"),
    span(text, tone),
  ]);
}

/** 14:03:21, here. */
function timeOfDay(ms: number): string {
  const at = new Date(ms);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":");
}
