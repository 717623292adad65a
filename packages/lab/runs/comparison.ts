import colors from "picocolors";
import type { LambdaError } from "../lambda/runtime-api";
import type { Outcome, RunResult } from "./run";
import { logInCell } from "./log-in";
import { shortened } from "./one-line";
import { sideBySide, type Row } from "./side-by-side";
import type { TcpConnection } from "./tcp-connections";

const FIRST_SIGNAL: Readonly<Record<RunResult["shutdown"]["endedBy"], string>> = {
  itself: "SIGTERM",
  "SIGTERM, unheard": "SIGTERM",
  "SIGKILL at its deadline": "SIGTERM",
  "SIGKILL at once": "SIGKILL",
  "gone before": "none",
};

/** One way's phases, a line each. */
export function timelineOf(result: RunResult | undefined): string {
  if (result === undefined) return "";
  const lines = result.timeline.map(
    ({ at, phase, what }) => `${at.toFixed(0).padStart(7)} ms  ${phase.padEnd(8)}  ${what}`,
  );
  return [colors.bold(`${result.subject}, from its start`), ...lines].join("\n");
}

const LAST_LINES = 20;
/** Of one line, and of one error; --json has all of it. */
const MAX_LINE = 2_000;

/** Stack frames of AWS's client, the lab's client and Node.js, which are not the function's. */
const NOT_ITS_OWN = /aws-lambda-ric|runtime-client\.mjs|start-client\.mjs|\(?node:|\/var\/runtime\//;
/** The line in which the client repeats an error, with its whole stack. */
const REPEATED = /\t(Invoke Error|Uncaught Exception|Unhandled Promise Rejection)\s*\t\{/;

/**
 * Each error of the Init and the invocations, with the stack frames that are the function's own; empty if there is
 * none.
 */
export function failuresOf({ initError, invocations }: RunResult): string {
  const errors = [
    ...(initError === undefined ? [] : [initError]),
    ...invocations.flatMap((each) => (each.ok ? [] : [each.error])),
  ];
  return errors.map(failureOf).join("\n");
}

function failureOf({ errorType, errorMessage, trace, stackTrace = trace ?? [] }: LambdaError): string {
  const frames = stackTrace.filter((line) => /^\s*at /.test(line) && !NOT_ITS_OWN.test(line));
  return [shortened(`${errorType}: ${errorMessage}`, MAX_LINE), ...frames.map((frame) => `    ${frame.trim()}`)].join(
    "\n",
  );
}

/** What it wrote last, where that may say why something failed; empty where nothing did. */
export function logOfFailure({ subject, initError, invocations, logs: all }: RunResult): string {
  const logs = all.filter((line) => !REPEATED.test(line) && !(/^\s*at /.test(line) && NOT_ITS_OWN.test(line)));
  if (logs.length === 0 || (initError === undefined && invocations.every(({ ok }) => ok))) return "";
  const last = logs.slice(-LAST_LINES);
  return logOf(
    `${subject} logged${last.length < logs.length ? ` (the last ${last.length} of ${logs.length} lines)` : ""}`,
    last,
  );
}

export function logOf(title: string, lines: readonly string[]): string {
  return `${title}:\n${lines.map((line) => `  ${shortened(line, MAX_LINE)}`).join("\n")}\n`;
}

/** The ways side by side, a column each. */
export function comparison(results: readonly RunResult[], width?: number): string {
  const rows: Row[] = [];
  const row = (title: string, cell: (result: RunResult) => string): void => {
    rows.push([title, ...results.map(cell)]);
  };
  row("Log-in", ({ logIn }) => logInCell(logIn));
  row("Init: runtime ready", ({ initMs = NaN }) =>
    Number.isNaN(initMs) ? colors.red("failed") : milliseconds(initMs),
  );
  row("Invoke", ({ invocations }) => invocations.map((invocation) => (invocation.ok ? "ok" : "failed")).join(", "));
  row("Shutdown: first signal", ({ shutdown }) => FIRST_SIGNAL[shutdown.endedBy]);
  const hasOthers = results.some(({ tcp = [] }) => tcp.length > 0);
  row(hasOthers ? "  last goodbye at a server" : "  COM_QUIT at the server", whenQuit);
  row("  runtime gone", ({ shutdown }) =>
    shutdown.endedBy === "gone before" ? "before" : `+ ${milliseconds(shutdown.runtimeMs)}`,
  );
  row("  ended by", ({ shutdown }) => endedBy(shutdown));
  const isMysql = results.some(({ outcomes, tcp = [] }) => outcomes.length > tcp.length || tcp.length === 0);
  row("Server: connections held", ({ outcomes }) => paint(count(outcomes, "leaked")));
  if (isMysql) {
    row("  Aborted_clients", ({ abortedClients }) =>
      abortedClients === undefined ? "not counted" : paint(abortedClients, "+"),
    );
  }
  row("Connection", ({ outcomes }) => describe(outcomes, isMysql));
  for (const server of new Set(results.flatMap(({ tcp = [] }) => tcp.map((each) => each.server)))) {
    row(`At ${server}`, ({ tcp = [] }) => endings(tcp.filter((each) => each.server === server)));
  }
  return sideBySide(
    results.map(({ subject }) => subject),
    rows,
    width,
  );
}

/** Connections that ended in one way are counted. */
function endings(connections: readonly TcpConnection[]): string {
  const counts = new Map<string, number>();
  for (const { protocol, saw, outcome } of connections) {
    const text = (outcome === "closed" ? colors.green : colors.red)(
      `${protocol === "unknown" ? "" : `${protocol}: `}${saw}`,
    );
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].map(([text, count]) => (count === 1 ? text : `${count} × ${text}`)).join("\n");
}

/** One that an invocation closes has nothing to close on SIGTERM. */
function whenQuit({ quitMs, closedBefore = 0, outcomes }: RunResult): string {
  if (quitMs !== undefined) return `+ ${milliseconds(quitMs)}`;
  if (closedBefore === 0) return "never";
  return closedBefore === outcomes.length ? "closed before" : `${closedBefore} closed before`;
}

function endedBy({ endedBy }: RunResult["shutdown"]): string {
  return endedBy === "itself" ? colors.green(endedBy) : colors.red(endedBy);
}

/** Connections with one outcome are counted, so that a pool does not make the table wide. */
function describe(outcomes: readonly Outcome[], isMysql: boolean): string {
  const cells = (["closed", "aborted", "leaked"] as const).flatMap((outcome) => {
    const number = count(outcomes, outcome);
    return number === 0 ? [] : [`${number === 1 ? "" : `${number} × `}${inWords(outcome, isMysql)}`];
  });
  return cells.join(", ") || "none was opened";
}

function inWords(outcome: Outcome, isMysql: boolean): string {
  switch (outcome) {
    case "closed":
      return colors.green("clean close");
    case "aborted":
      return colors.red("aborted");
    case "leaked":
      return colors.red(isMysql ? "leaked until wait_timeout" : "leaked");
  }
}

function paint(number: number, sign = ""): string {
  return (number === 0 ? colors.green : colors.red)(`${sign}${number}`);
}

function count(outcomes: readonly Outcome[], wanted: Outcome): number {
  return outcomes.filter((outcome) => outcome === wanted).length;
}

function milliseconds(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}
