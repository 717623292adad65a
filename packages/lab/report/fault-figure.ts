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

/** Which fault left something wrong with whom. */
export function faultFigure(faults: readonly Fault[]): Figure {
  const extensions = new Set(faults.map(({ extension }) => extension));
  const columnOf = (fault: Fault): string =>
    extensions.size === 1 ? fault.function : `${fault.function}, ${fault.extension}`;
  const columns = [...new Set(faults.map(columnOf))];
  /** With the extension on a line of its own: names may be long, and both belong to each column. */
  const headOf = (column: string): string => {
    const fault = faults.find((each) => columnOf(each) === column);
    const name = shortened(fault?.function ?? column, 16);
    return extensions.size === 1 ? name : `${name}\n${fault?.extension ?? ""}`;
  };
  const rows = [...new Set(faults.map(({ fault }) => fault))];
  const well = faults.filter(({ problems }) => problems.length === 0);
  const unwell = faults.filter(({ problems }) => problems.length > 0);
  const score = (column: string): string => {
    const played = faults.filter((fault) => columnOf(fault) === column);
    return `${played.filter(({ problems }) => problems.length === 0).length} of ${played.length}`;
  };
  const width = MARGIN.marginLeft + MARGIN.marginRight + Math.max(COLUMN_WIDTH * columns.length, 260);
  const height = MARGIN.marginTop + MARGIN.marginBottom + ROW_HEIGHT * rows.length;
  const place = { x: columnOf, y: "fault" };
  const body = draw({
    ...{ width, height, ...MARGIN },
    x: { domain: columns, axis: null, padding: 0.04 },
    y: { domain: rows, axis: null, padding: 0.1 },
    marks: [
      Plot.cell(well, { ...place, className: "good-cell", rx: 3 }),
      Plot.cell(unwell, { ...place, className: "bad-cell", rx: 3 }),
      Plot.text(well, { ...place, text: () => "✓", className: "good" }),
      Plot.text(unwell, {
        ...place,
        text: ({ problems }: Fault) => `✕ ${brief(problems)}`,
        className: "bad",
        fontSize: 12,
      }),
      Plot.text(rows, {
        ...{ y: (row: string) => row, frameAnchor: "left", textAnchor: "start", dx: 12 - MARGIN.marginLeft },
        ...{ text: (row: string) => shortened(row, 42), className: "ink" },
      }),
      Plot.text(columns, {
        ...{
          x: (column: string) => column,
          frameAnchor: "top",
          lineAnchor: "bottom",
          dy: -8,
          fontWeight: 600,
          lineHeight: 1.25,
        },
        ...{ text: (column: string) => `${headOf(column)}\n${score(column)}`, className: "ink" },
      }),
    ],
  });
  return {
    name: "faults",
    title: "Faults, and who left nothing wrong",
    description: `${rows.length} faults. Without a problem afterwards: ${columns.map((column) => `${column} ${score(column)}`).join(", ")}.`,
    ...{ width, height, body },
    notes: [
      "✓: nothing was wrong afterwards. ✕: the first thing that was, and how many more there were.",
      ...(unwell.length === 0 ? [] : [WORDS]),
    ],
    subjects: faults.map(({ function: subject }) => subject),
    table: [
      ["", ...columns],
      ...rows.map((row) => [
        row,
        ...columns.map((column) => {
          const played = faults.find((fault) => fault.fault === row && columnOf(fault) === column);
          return played === undefined ? "not played" : played.problems.join("; ") || "nothing wrong";
        }),
      ]),
      ["nothing wrong", ...columns.map(score)],
    ],
  };
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
