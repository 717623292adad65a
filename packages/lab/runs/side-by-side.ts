import { stripVTControlCharacters } from "node:util";
import Table from "cli-table3";
import colors from "picocolors";
import stringWidth from "string-width";

/** One line of a table: a title, and a cell for each subject. */
export type Row = readonly [title: string, ...cells: readonly string[]];

/** The borders and spaces around a column, and the border at the end. */
const AROUND = 3;
/** Columns narrower than this cannot be read side by side. */
const LEAST_SUBJECT = 10;
/** From this width on, subjects stay side by side. */
const SIDE_BY_SIDE_FROM = 80;

/** The width of the terminal. No limit where the output is a file or a pipe, or a terminal that does not tell (0). */
export function terminalWidth({ columns }: { readonly columns?: number } = process.stdout): number {
  return columns === 0 ? Infinity : (columns ?? Infinity);
}

/**
 * A table with a column for each subject, as wide as it needs to be, or narrower where the terminal is; on a terminal
 * that is too narrow even for that, a table for each subject, one below the other.
 *
 * @param width columns of the terminal @default terminalWidth()
 */
export function sideBySide(subjects: readonly string[], rows: readonly Row[], width = terminalWidth()): string {
  const head: Row = ["", ...subjects.map((subject) => colors.bold(subject))];
  const columns = [0, ...subjects.map((_, index) => index + 1)].map((index) =>
    [head, ...rows].map((row) => row[index] ?? ""),
  );
  const natural = columns.map((cells) => Math.max(0, ...cells.map(widest)));
  const widths = fitted(natural, columns.map(longestWord), width - AROUND * columns.length - 1);
  if (widths !== undefined) return table([head, ...rows], natural, widths);
  if (subjects.length > 1) {
    return subjects
      .map((subject, index) =>
        sideBySide(
          [subject],
          rows.map((row) => [row[0], row[index + 1] ?? ""]),
          width,
        ),
      )
      .join("\n");
  }
  // One subject on a very narrow terminal: lines instead of a table.
  return [colors.bold(subjects[0] ?? ""), ...rows.map(([title, cell = ""]) => `${title.trim()}: ${cell}`)].join("\n");
}

/** How wide each column may be; undefined if that is too narrow to be read. */
function fitted(natural: readonly number[], least: readonly number[], room: number): readonly number[] | undefined {
  const sum = (all: readonly number[]): number => all.reduce((total, each) => total + each, 0);
  if (sum(natural) <= room) return natural;
  // At 80 columns and more a long word is broken rather than a table.
  const isWide = room + AROUND * natural.length + 1 >= SIDE_BY_SIDE_FROM;
  const floors = least.map((word, index) => (isWide && index > 0 ? Math.min(word, LEAST_SUBJECT) : word));
  if (sum(floors) > room) return undefined;
  const widths = [...floors];
  for (let left = room - sum(floors); left > 0; left -= 1) {
    // The column that lacks most gets the next one.
    const lacking = natural.map((wanted, index) => wanted - (widths[index] ?? 0));
    const most = lacking.indexOf(Math.max(...lacking));
    if ((lacking[most] ?? 0) <= 0) break;
    widths[most] = (widths[most] ?? 0) + 1;
  }
  return widths;
}

function table(rows: readonly Row[], natural: readonly number[], widths: readonly number[]): string {
  const isNarrowed = widths.some((width, index) => width < (natural[index] ?? 0));
  const cells = rows.map((row) => row.map((cell, index) => (isNarrowed ? broken(cell, widths[index] ?? 1) : cell)));
  const [head = [], ...body] = cells;
  const made = new Table({
    head,
    style: { head: [], border: [], compact: true },
    ...(isNarrowed ? { colWidths: widths.map((width) => width + 2), wordWrap: true } : {}),
  });
  made.push(...body);
  return made.toString();
}

/** cli-table3 cuts a word that is longer than its column; so it gets none. */
function broken(cell: string, width: number): string {
  return cell
    .trim()
    .split(/( |\n)/)
    .map((word) => {
      const plain = stripVTControlCharacters(word);
      if (stringWidth(plain) <= width) return word;
      const pieces = plain.match(new RegExp(`.{1,${width}}`, "gu")) ?? [];
      return word.replace(plain, pieces.join(" "));
    })
    .join("");
}

function widest(cell: string): number {
  return Math.max(...cell.split("\n").map((line) => stringWidth(line)));
}

function longestWord(cells: readonly string[]): number {
  return Math.max(1, ...cells.flatMap((cell) => cell.split(/\s+/)).map((word) => stringWidth(word)));
}
