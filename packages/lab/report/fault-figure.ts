import * as Plot from "@observablehq/plot";
import { draw, shortened, type Figure } from "./figure";
import type { Fault } from "./report-data";

const ROW_HEIGHT = 26;
const COLUMN_WIDTH = 136;
const WORDS =
  "SIGKILL: the process was killed at its deadline. late: it ended later than the fault allows. left: connections that the server still held. " +
  "running: statements that still ran on the server. aborted: connections that ended without COM_QUIT. locked: a lock that was still held. invocation: one had another result than it should have. " +
  "not reached: the function did not do what the fault meets, in 10 s. check failed: see the table. Init fails: so that there was no invocation.";
const MARGIN = { marginTop: 64, marginRight: 10, marginBottom: 10, marginLeft: 280 };

/** The faults as a grid: a row for each fault, a column for each function, with each extension where there are two. */
class Grid {
  readonly columns: readonly string[];
  readonly rows: readonly string[];
  private readonly hasExtensions: boolean;

  constructor(readonly faults: readonly Fault[]) {
    this.hasExtensions = new Set(faults.map(({ extension }) => extension)).size > 1;
    this.columns = [...new Set(faults.map(this.columnOf))];
    this.rows = [...new Set(faults.map(({ fault }) => fault))];
  }

  readonly columnOf = (fault: Fault): string =>
    this.hasExtensions ? `${fault.function}, ${fault.extension}` : fault.function;

  readonly score = (column: string): string => {
    const played = this.in(column);
    return `${played.filter(({ problems }) => problems.length === 0).length} of ${played.length}`;
  };

  /** With the extension on a line of its own: names may be long, and both belong to each column. */
  readonly head = (column: string): string => {
    const [fault] = this.in(column);
    const name = shortened(fault?.function ?? column, 16);
    return `${this.hasExtensions ? `${name}\n${fault?.extension ?? ""}` : name}\n${this.score(column)}`;
  };

  cell(row: string, column: string): string {
    const played = this.in(column).find(({ fault }) => fault === row);
    return played === undefined ? "not played" : played.problems.join("; ") || "nothing wrong";
  }

  private in(column: string): readonly Fault[] {
    return this.faults.filter((fault) => this.columnOf(fault) === column);
  }
}

export function faultFigure(faults: readonly Fault[]): Figure {
  const grid = new Grid(faults);
  const { columns, rows } = grid;
  const width = MARGIN.marginLeft + MARGIN.marginRight + Math.max(COLUMN_WIDTH * columns.length, 260);
  const height = MARGIN.marginTop + MARGIN.marginBottom + ROW_HEIGHT * rows.length;
  const scores = columns.map((column) => `${column} ${grid.score(column)}`);
  return {
    name: "faults",
    title: "Faults, and who left nothing wrong",
    description: `${rows.length} faults. Without a problem afterwards: ${scores.join(", ")}.`,
    ...{ width, height, body: drawn(grid, width, height) },
    notes: [
      "✓: nothing was wrong afterwards. ✕: the first thing that was, and how many more there were.",
      ...(faults.every(({ problems }) => problems.length === 0) ? [] : [WORDS]),
    ],
    subjects: faults.map(({ function: subject }) => subject),
    table: [
      ["", ...columns],
      ...rows.map((row) => [row, ...columns.map((column) => grid.cell(row, column))]),
      ["nothing wrong", ...columns.map(grid.score)],
    ],
  };
}

function drawn({ faults, columns, rows, columnOf, head }: Grid, width: number, height: number): string {
  const well = faults.filter(({ problems }) => problems.length === 0);
  const unwell = faults.filter(({ problems }) => problems.length > 0);
  const place = { x: columnOf, y: "fault" };
  const text = ({ problems }: Fault): string => `✕ ${brief(problems)}`;
  return draw({
    ...{ width, height, ...MARGIN },
    x: { domain: columns, axis: null, padding: 0.04 },
    y: { domain: rows, axis: null, padding: 0.1 },
    marks: [
      Plot.cell(well, { ...place, className: "good-cell", rx: 3 }),
      Plot.cell(unwell, { ...place, className: "bad-cell", rx: 3 }),
      Plot.text(well, { ...place, text: () => "✓", className: "good" }),
      Plot.text(unwell, { ...place, text, className: "bad", fontSize: 12 }),
      Plot.text(rows, {
        ...{ y: (row: string) => row, frameAnchor: "left", textAnchor: "start", dx: 12 - MARGIN.marginLeft },
        ...{ text: (row: string) => shortened(row, 42), className: "ink" },
      }),
      Plot.text(columns, {
        ...{ x: (column: string) => column, frameAnchor: "top", lineAnchor: "bottom", dy: -8, fontWeight: 600 },
        ...{ lineHeight: 1.25, text: head, className: "ink" },
      }),
    ],
  });
}

/** A cell has room for two or three words; the page has a table with all of them. */
function brief([problem = "", ...more]: readonly string[]): string {
  const words = [
    [/^end of the process: SIGKILL/, "SIGKILL"],
    [/^end of the process/, "late"],
    [/^the invocations/, "invocation"],
    [/^connections left: (\d+).*/, "$1 left"],
    [/^statements left: (\d+).*/, "$1 running"],
    [/^Aborted_clients: \+(\d+).*/, "$1 aborted"],
    [/^a lock.*/, "locked"],
    [/^waited \d+ ms/, "not reached"],
    [/^this is not true/, "check failed"],
    [/^Init fails/, "Init fails"],
  ] as const;
  const [pattern, text] = words.find(([each]) => each.test(problem)) ?? [/^.*/s, shortened(problem, 14)];
  const shown = text.includes("$") ? problem.replace(pattern, text) : text;
  return more.length === 0 ? shown : `${shown}, + ${more.length}`;
}
