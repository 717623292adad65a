import Table from "cli-table3";
import colors from "picocolors";
import type { Outcome, RunResult } from "./run";
import type { TcpConnection } from "./tcp-connections";

const FIRST_SIGNAL: Readonly<Record<RunResult["shutdown"]["endedBy"], string>> = {
  itself: "SIGTERM",
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

/** What it wrote last, where that may say why something failed; empty where nothing did. */
export function logOfFailure({ subject, initError, invocations, logs }: RunResult): string {
  if (logs.length === 0 || (initError === undefined && invocations.every(({ ok }) => ok))) return "";
  const last = logs.slice(-LAST_LINES);
  return logOf(
    `${subject} logged${last.length < logs.length ? ` (the last ${last.length} of ${logs.length} lines)` : ""}`,
    last,
  );
}

export function logOf(title: string, lines: readonly string[]): string {
  return `${title}:\n${lines.map((line) => `  ${line}`).join("\n")}\n`;
}

/** The ways side by side, a column each. */
export function comparison(results: readonly RunResult[]): string {
  const table = new Table({
    head: ["", ...results.map(({ subject }) => colors.bold(subject))],
    style: { head: [], border: [], compact: true },
  });
  const row = (title: string, cell: (result: RunResult) => string): void => {
    table.push([title, ...results.map(cell)]);
  };
  row("Init: runtime ready", ({ initMs }) => (Number.isNaN(initMs) ? colors.red("failed") : milliseconds(initMs)));
  row("Invoke", ({ invocations }) => invocations.map((invocation) => (invocation.ok ? "ok" : "failed")).join(", "));
  row("Shutdown: first signal", ({ shutdown }) => FIRST_SIGNAL[shutdown.endedBy]);
  row("  COM_QUIT at the server", whenQuit);
  row("  runtime gone", ({ shutdown }) => `+ ${milliseconds(shutdown.runtimeMs)}`);
  row("  ended by", ({ shutdown }) => endedBy(shutdown));
  row("Server: connections held", ({ outcomes }) => paint(count(outcomes, "leaked")));
  row("  Aborted_clients", ({ abortedClients }) => paint(abortedClients, "+"));
  row("Connection", ({ outcomes }) => describe(outcomes));
  for (const server of new Set(results.flatMap(({ tcp = [] }) => tcp.map((each) => each.server)))) {
    row(`At ${server}`, ({ tcp = [] }) => endings(tcp.filter((each) => each.server === server)));
  }
  return table.toString();
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

/** Whether a way gave back every connection, and one sentence that says so. */
export function verdict(result: RunResult | undefined): { readonly clean: boolean; readonly sentence: string } {
  if (result === undefined) return { clean: false, sentence: "nothing was run" };
  const { subject, outcomes, abortedClients, shutdown, invocations, initError } = result;
  if (initError !== undefined) {
    const why = `${initError.errorType}: ${initError.errorMessage}`;
    return { clean: false, sentence: colors.red(`✗ Init of ${subject} failed: ${why}.`) };
  }
  const failed = invocations.filter(({ ok }) => !ok).length;
  const lost = outcomes.filter((outcome) => outcome !== "closed").length + failed;
  const clean = outcomes.length > 0 && lost === 0 && shutdown.endedBy === "itself";
  const facts = `${outcomes.length} opened, ${count(outcomes, "closed")} closed with COM_QUIT, ${count(outcomes, "aborted")} aborted, ${count(outcomes, "leaked")} left on the server (Aborted_clients +${abortedClients}), the runtime's process ${shutdown.endedBy === "gone before" ? "gone before any signal" : `ended by ${shutdown.endedBy}`}`;
  const sentence = clean
    ? colors.green(`✓ ${subject} gave every connection back: ${facts}.`)
    : colors.red(
        `✗ ${subject} did not give every connection back${failed > 0 ? `, ${failed} ${failed === 1 ? "invocation" : "invocations"} failed` : ""}: ${facts}.`,
      );
  return { clean, sentence };
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

/** Connections of one fate are counted, so that a pool does not make the table wide. */
function describe(outcomes: readonly Outcome[]): string {
  const cells = (["closed", "aborted", "leaked"] as const).flatMap((outcome) => {
    const number = count(outcomes, outcome);
    return number === 0 ? [] : [`${number === 1 ? "" : `${number} × `}${inWords(outcome)}`];
  });
  return cells.join(", ") || "none was opened";
}

function inWords(outcome: Outcome): string {
  switch (outcome) {
    case "closed":
      return colors.green("clean close");
    case "aborted":
      return colors.red("aborted");
    case "leaked":
      return colors.red("leaked until wait_timeout");
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
