import colors from "picocolors";
import { logInCell } from "./log-in";
import { sideBySide, type Row } from "./side-by-side";
import type { WebRunResult } from "./web-run";

/** Servers side by side, a column each. */
export function webTable(results: readonly WebRunResult[], width?: number): string {
  const row = (title: string, cell: (result: WebRunResult) => string): Row => [title, ...results.map(cell)];
  const bad = (count: number): string => (count === 0 ? colors.green : colors.red)(String(count));
  const count = ({ outcomes }: WebRunResult, wanted: string): number =>
    outcomes.filter((outcome) => outcome === wanted).length;
  const rows = [
    row("Log-in", ({ logIn }) => logInCell(logIn)),
    row("Answers", ({ initError, answers }) =>
      initError === undefined ? `${answers.filter(({ ok }) => ok).length} of ${answers.length}` : "Init failed",
    ),
    row("In flight at SIGTERM", ({ inFlight }) => String(inFlight)),
    row("  answers cut off", ({ shutdown }) => bad(shutdown.cutOff)),
    row("  process gone", ({ shutdown }) => `+ ${shutdown.runtimeMs.toFixed(0)} ms, by ${shutdown.endedBy}`),
    row("Connections opened", ({ outcomes }) => String(outcomes.length)),
    row("  aborted", (result) => bad(count(result, "aborted"))),
    row("  held by the server", (result) => bad(count(result, "leaked"))),
  ];
  return sideBySide(
    results.map(({ subject }) => subject),
    rows,
    width,
  );
}
