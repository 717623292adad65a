import type { RelayedConnection } from "../mysql/relay";

/** The line that a function logs when it has shut down. */
export interface ShutdownLine {
  readonly event: "shutdown";
  /** Of the log, where it is written in JSON. */
  readonly level?: string;
  readonly signal: string;
  readonly budgetMs: number;
  readonly durationMs: number;
  readonly hooks: readonly HookEntry[];
}

export interface HookEntry {
  readonly name: string;
  readonly result: "done" | "failed" | "gave up";
  readonly ms?: number;
  readonly closed?: number;
  readonly cancelled?: number;
  readonly givenUp?: number;
}

const LINE = /\{.*"event":"shutdown".*\}$/;

export function shutdownLines(logs: readonly string[]): readonly ShutdownLine[] {
  return logs.flatMap((text) => {
    const line = LINE.exec(text)?.[0];
    return line === undefined ? [] : (JSON.parse(line) as ShutdownLine);
  });
}

/** What the lab saw itself, for comparison. */
export interface Witnessed {
  readonly budgetMs: number;
  /** Milliseconds from the signal to the end of the process. */
  readonly goneMs: number;
  /** When the signal was sent, in `performance.now()` milliseconds. */
  readonly signalAt: number;
  readonly connections: readonly RelayedConnection[];
}

/** What the line says wrongly. Empty if all of it is true. */
export function contradictions({ signal, budgetMs, durationMs, hooks }: ShutdownLine, witnessed: Witnessed): string[] {
  const open = witnessed.connections.filter(
    ({ threadId, openedAt, closedAt }) =>
      threadId !== undefined && openedAt < witnessed.signalAt && (closedAt ?? Infinity) > witnessed.signalAt,
  );
  const found: string[] = [];
  if (signal !== "SIGTERM") found.push(`it was SIGTERM, not ${signal}`);
  if (budgetMs !== witnessed.budgetMs) found.push(`the budget was ${witnessed.budgetMs} ms, not ${budgetMs}`);
  if (durationMs > witnessed.goneMs) {
    found.push(`${durationMs} ms are more than the ${witnessed.goneMs.toFixed(0)} until the process was gone`);
  }
  const mysql = hooks.find(({ name }) => name === "mysql");
  // A hook that was not finished cannot have counted.
  if (mysql?.result !== "done") return found;
  const { closed, cancelled, givenUp } = mysql;
  if (closed === undefined || cancelled === undefined || givenUp === undefined) {
    found.push("it does not say how many connections were closed, cancelled and given up");
    return found;
  }
  if (closed + cancelled + givenUp !== open.length) {
    const said = `${closed} closed, ${cancelled} cancelled, ${givenUp} given up`;
    found.push(`${open.length} connections were open, not ${closed + cancelled + givenUp} (${said})`);
  }
  const quits = open.filter(({ quitAt, encrypted }) => quitAt !== undefined || encrypted).length;
  if (quits < closed) found.push(`${quits} connections were closed with COM_QUIT, not ${closed}`);
  return found;
}
