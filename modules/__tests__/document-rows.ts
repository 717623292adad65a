import { readFileSync } from "node:fs";

/** The cells of the tables below a heading of docs/infrastructure.md, without the line of dashes. */
export function documentRows(heading: string): string[][] {
  const sections = readFileSync("docs/infrastructure.md", "utf8").split(/^## /m);
  const lines = sections.find((each) => each.startsWith(`${heading}\n`))?.match(/^\| (?!-+ ).*$/gm) ?? [];
  return lines.map((line) => line.split("|").slice(1, -1)).map((row) => row.map((cell) => cell.trim()));
}
