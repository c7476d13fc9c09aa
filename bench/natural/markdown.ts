/** Tables in Markdown. */

/** A number with `digits` after the point. */
export function fixed(value: number, digits = 2): string {
  return Number.isFinite(value) ? value.toFixed(digits) : "";
}

/** A row of a table. */
export function row(...cells: readonly (string | number)[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** A table's head. */
export function head(...cells: readonly string[]): string {
  return `\n${row(...cells)}\n|${"---|".repeat(cells.length)}`;
}
