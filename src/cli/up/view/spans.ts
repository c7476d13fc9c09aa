/** Lines of text with styles, measured and cut by what is seen of them, and turned into a terminal's language at the very end. */

/** How text looks: `strong` bold, `mark` cyan, `good` green, `warn` yellow, `bad` red, `dim` faint. */
export type Style = "plain" | "strong" | "mark" | "good" | "warn" | "bad" | "dim";

/** Text in one style. */
export interface Span {
  readonly text: string;
  readonly style: Style;
}

/** A line. */
export type SpanLine = readonly Span[];

/** Text in a style. Control characters, which a node's words might hold, become question marks. */
export function span(text: string, style: Style = "plain"): Span {
  return { text: text.replace(/\p{Cc}/gu, "?"), style };
}

/** Letters of a line. */
export function widthOf(line: SpanLine): number {
  return line.reduce((sum, { text }) => sum + [...text].length, 0);
}

/** `left` and `right` at both ends of a line of `columns` letters, or `left` alone where they do not fit. */
export function pad(left: SpanLine, right: SpanLine, columns: number): SpanLine {
  const space = columns - widthOf(left) - widthOf(right);
  return space < 1 ? left : [...left, span(" ".repeat(space)), ...right];
}

/** A line cut to `columns` letters, the last of which says that it was cut. */
export function cut(line: SpanLine, columns: number): SpanLine {
  if (widthOf(line) <= columns) return line;
  const out: Span[] = [];
  let room = columns - 1;
  for (const { text, style } of line) {
    const letters = [...text].slice(0, room);
    room -= letters.length;
    if (letters.length > 0) out.push({ text: letters.join(""), style });
  }
  return [...out, span("…", "dim")];
}

/** A line without styles. */
export function plainText(line: SpanLine): string {
  return line
    .map(({ text }) => text)
    .join("")
    .trimEnd();
}

const CODES: Readonly<Record<Style, string>> = {
  plain: "",
  strong: "1",
  mark: "36",
  good: "32",
  warn: "33",
  bad: "31",
  dim: "2",
};

/** A line as a terminal shows it, with colours or without. */
export function terminalText(line: SpanLine, colour: boolean): string {
  if (!colour) return plainText(line);
  return line.map(({ text, style }) => (style === "plain" ? text : `\u001b[${CODES[style]}m${text}\u001b[0m`)).join("");
}
