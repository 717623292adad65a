import { round } from "./clock.ts";
import type { HookReport } from "./hooks.ts";
import type { HeldBack } from "./isolation.ts";
import { excerpt } from "./loggable.ts";
import { embeddedMetrics } from "./metrics.ts";
import { fs } from "./node-modules.ts";

/** What the line at the end says. */
export interface Shutdown {
  readonly signal: NodeJS.Signals;
  readonly budgetMs: number;
  readonly durationMs: number;
  readonly hooks: readonly HookReport[];
  readonly heldBack: readonly HeldBack[];
}

/** Hooks in the line. CloudWatch limits the size of an event, and a handler may register hooks without end. */
const MOST_HOOKS = 50;

const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

// Node.js opens stdout at the first access, which should not be at the end. Other code may replace `write` later.
const { stdout } = process;
const write = stdout.write.bind(stdout);

/** One line of JSON that CloudWatch can search, and read metrics from if SHUTDOWN_METRICS_NAMESPACE is set. */
export function shutdownLine(shutdown: Shutdown): string {
  const { hooks, heldBack } = shutdown;
  const shown = hooks.slice(0, MOST_HOOKS).map((hook) => ({ ...hook, name: excerpt(hook.name) }));
  const line = {
    event: "shutdown",
    level: levelThatIsKept(heldBack.length === 0 && hooks.every(isClean) ? "INFO" : "WARN"),
    timestamp: new Date().toISOString(),
    ...shutdown,
    durationMs: round(shutdown.durationMs),
    hooks: shown,
    heldBack: heldBack.length > 0 ? heldBack : undefined,
    hooksNotShown: hooks.length - shown.length || undefined,
  };
  return JSON.stringify({ ...line, ...embeddedMetrics(line) });
}

function isClean({ result, unknownBefore }: HookReport): boolean {
  return result === "done" && unknownBefore === undefined;
}

/**
 * With the log format JSON, Lambda drops lines whose level is below the function's log level, and takes a line without
 * a level for INFO: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
 * An environment logs this line once, and it contains the metrics. If its own level would be dropped, it takes the
 * function's level.
 */
function levelThatIsKept(own: "INFO" | "WARN"): string {
  const least = process.env["AWS_LAMBDA_LOG_LEVEL"]?.toUpperCase() ?? own;
  return LEVELS.indexOf(least) > LEVELS.indexOf(own) ? least : own;
}

/**
 * Does not use `console`, to which the runtime client adds a prefix. Writes the line after everything that was logged
 * before, and waits: the process ends next, and a full pipe would lose the line. If the stream has ended, writes to the
 * file behind it.
 */
export function log(line: string): Promise<void> {
  return new Promise((resolve) => {
    write(`${line}\n`, (error) => {
      if (error) writePastStream(line);
      resolve();
    });
  });
}

/** Writes in this turn, past everything that the stream has not written yet. */
export function writePastStream(line: string): void {
  try {
    fs.writeSync(1, `${line}\n`);
  } catch {
    // The log is closed.
  }
}
