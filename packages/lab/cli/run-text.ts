import { comparison, failuresOf, logOf, logOfFailure, timelineOf } from "../runs/comparison";
import { logInLine } from "../runs/log-in";
import type { RunResult } from "../runs/run";
import { unwatchedInWords } from "../runs/unwatched-connections";
import { wrapped } from "./terminal";

export interface RunTextOptions {
  readonly extensionIsAssumed: boolean;
  /** Whether all of its log is shown. @default - only where something failed */
  readonly logs?: boolean;
}

/** What a terminal shows of a run before the verdict: its timeline, beside others in a table, and what failed. */
export function runText(
  first: RunResult,
  results: readonly RunResult[],
  { extensionIsAssumed, logs = false }: RunTextOptions,
): string {
  const facts = [
    logInLine(first.logIn),
    ...(extensionIsAssumed ? ["extension: assumed (--extension external, internal or none)"] : []),
    ...(first.unwatched === undefined ? [] : [unwatchedInWords(first.unwatched)]),
  ];
  const parts = [timelineOf(first), comparison(results), wrapped(facts.join("\n"))];
  const failures = [failuresOf(first), logs ? logOf("its log", first.logs) : logOfFailure(first)];
  return ["", ...parts.map((part) => `${part}\n`), ...failures.filter((part) => part !== ""), ""].join("\n");
}
