/** A table as the formatter leaves it: each column as wide as its widest cell. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const escaped = rows.map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const [header = [], ...body] = escaped;
  const widths = header.map((_, column) => Math.max(...escaped.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[], padding = " "): string =>
    `| ${widths.map((width, column) => (row[column] ?? "").padEnd(width, padding)).join(" | ")} |`;
  return [line(header), line([], "-"), ...body.map((row) => line(row))].join("\n");
}
