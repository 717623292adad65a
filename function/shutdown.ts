import { parentPort } from "node:worker_threads";
import { embeddedMetrics } from "./metrics";

/**
 * The SIGTERM path. Lambda sends SIGTERM when it takes the execution environment away, provided an extension is
 * registered, and SIGKILL when the shutdown budget is over:
 * https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown
 */

/** What a hook is told: how long it has. */
export interface ShutdownContext {
  /** Aborted when the time for hooks is over; the process leaves right after. */
  readonly signal: AbortSignal;
  /** Milliseconds until {@link signal} aborts, never below 0. */
  readonly remainingMs: () => number;
}

/** A cleanup. The numbers, strings and booleans of a plain object that it resolves with go into the line at the end. */
export type ShutdownHook = (context: ShutdownContext) => unknown;

/** One hook's entry in the line that is logged at the end. */
interface HookReport {
  readonly name: string;
  readonly result: "done" | "failed" | "gave up";
  readonly ms: number;
  readonly error?: string;
}

interface Registration {
  readonly name: string;
  readonly hook: ShutdownHook;
}

/** What all copies of this module in a process share. */
interface Shared {
  readonly registrations: Registration[];
  invocations: number;
}

/**
 * Milliseconds SIGTERM → SIGKILL with an external extension, the smaller of the two budgets that AWS grants.
 * The construct writes the real one to SHUTDOWN_BUDGET_MS.
 */
const DEFAULT_BUDGET_MS = 300;

/**
 * Milliseconds of the budget that hooks do not get. Lambda's clock starts before the event loop sees the signal, and
 * the report and the exit take time as well.
 */
const MARGIN_MS = 50;

/** Milliseconds that the report may take, out of the margin: a log that nobody reads must not hold up the exit. */
const LOG_MS = 30;

/**
 * Registers a cleanup. Hooks run last registered first, because what was opened last may depend on what was opened
 * first, and one after the other: but each has only its share of the time before the next begins as well, so one that
 * hangs does not cost the others their turn. One that throws or rejects is reported.
 *
 * @example
 * onShutdown("queue", async ({ signal }) => queue.flush({ signal }));
 */
export function onShutdown(name: string, hook: ShutdownHook): void {
  shared.registrations.push({ name, hook });
}

/** Wraps a handler so that the line at the end can say whether the signal came in an invocation. */
export function tracked<Args extends unknown[], Result>(
  handler: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  return async (...args) => {
    shared.invocations += 1;
    try {
      return await handler(...args);
    } finally {
      shared.invocations -= 1;
    }
  };
}

declare global {
  var lambdaGracefulShutdown: Shared | undefined;
}
// A bundle can hold this module twice, and two listeners would race each other to the exit. The process has one.
const shared = (globalThis.lambdaGracefulShutdown ??= listen({ registrations: [], invocations: 0 }));

// A rehearsal: what has run before is compiled, and the log is open. Init has milliseconds to spare, the end has not.
const { stdout } = process;
void cleanUp("SIGTERM", { registrations: [{ name: "rehearsal", hook: () => ({}) }], invocations: 0 });

function listen(state: Shared): Shared {
  let begun = false;
  const begin = (signal: NodeJS.Signals): void => {
    if (begun) return;
    begun = true;
    void shutDown(signal, state);
  };
  process.on("SIGTERM", begin);
  // On a developer's machine Ctrl-C asks for the same; inside Lambda nobody sends it.
  if (process.env["AWS_LAMBDA_RUNTIME_API"] === undefined) process.on("SIGINT", begin);
  return state;
}

async function shutDown(signal: NodeJS.Signals, state: Shared): Promise<void> {
  try {
    const line = await cleanUp(signal, state);
    await Promise.race([log(line), new Promise((stalled) => setTimeout(stalled, LOG_MS))]);
  } finally {
    leave(signal);
  }
}

/** Runs the hooks, and resolves with the line that says what became of them. */
async function cleanUp(signal: NodeJS.Signals, { registrations, invocations }: Shared): Promise<object> {
  const begun = now();
  const deadline = begun + Math.max(0, budgetMs() - MARGIN_MS);
  const remainingMs = (): number => Math.max(0, deadline - now());
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  // Created before the first hook runs: a hook that blocks the event loop must find the timer due, not unset.
  const timeUp = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      over.abort();
      // Two turns of the event loop later: what settles because of the signal, at the end of a first, has settled then.
      setImmediate(() => setImmediate(resolve));
    }, remainingMs());
  });
  const running: Promise<HookReport>[] = [];
  for (const registration of registrations.toReversed()) {
    const share = remainingMs() / (registrations.length - running.length);
    const report = run(registration, { signal: over.signal, remainingMs }, timeUp);
    running.push(report);
    if (running.length === registrations.length) break; // nobody waits for a turn
    await Promise.race([report, new Promise((turn) => setTimeout(turn, share))]);
  }
  const hooks = await Promise.all(running);
  clearTimeout(timer);
  const phase = invocations > 0 ? "invocation" : "idle";
  const durationMs = round(now() - begun);
  const line = { event: "shutdown", signal, phase, budgetMs: budgetMs(), durationMs, hooks };
  return { ...line, ...embeddedMetrics(line) };
}

async function run({ name, hook }: Registration, context: ShutdownContext, timeUp: Promise<void>): Promise<HookReport> {
  const begun = now();
  const report = (result: HookReport["result"], detail: unknown): HookReport => {
    const own = { name, result, ms: round(now() - begun) };
    return { ...own, ...loggable(detail), ...own };
  };
  // In a function of its own, so that a hook that throws at once is caught like one that rejects.
  const done = (async () => report("done", await hook(context)))();
  return Promise.race([
    done.catch((error: unknown) => report("failed", { error: messageOf(error) })),
    timeUp.then(() => report("gave up", {})),
  ]);
}

/**
 * One line of JSON, past `console`, which the runtime client prefixes. Written behind all that was logged before, and
 * waited for: the process ends next, and a pipe that is full would lose it.
 */
function log(line: object): Promise<void> {
  return new Promise((resolve) => {
    stdout.write(`${JSON.stringify(line)}\n`, () => {
      resolve();
    });
  });
}

/**
 * Ends the process, for good and at once.
 *
 * Not with `process.exit()`: AWS's runtime client waits for the next event on a thread of libuv's pool, exiting joins
 * that pool, and so the process hangs until Lambda kills it at the end of its budget (`npm run bench` shows both).
 * The signal's default action asks nobody. Its listeners have to go first, or it would only be delivered here again.
 */
function leave(signal: NodeJS.Signals): void {
  // A worker thread can end neither itself nor the process; worker-signals.ts, in the main thread, waits for this word.
  if (parentPort !== null) {
    parentPort.postMessage("shutdown done");
    return;
  }
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // Only PID 1 of a container is still here: the kernel drops a default-action signal that PID 1 sends itself
  // (pid_namespaces(7)). abort() ends in a trap, which the kernel does not drop.
  process.abort();
}

function budgetMs(): number {
  const budget = Number(process.env["SHUTDOWN_BUDGET_MS"]);
  return Number.isFinite(budget) && budget > 0 ? budget : DEFAULT_BUDGET_MS;
}

/** A hook may resolve with anything, a server that it closed for one; only plain values may go into the line. */
function loggable(detail: unknown): object {
  if (typeof detail !== "object" || detail === null || Object.getPrototypeOf(detail) !== Object.prototype) return {};
  return Object.fromEntries(
    Object.entries(detail).filter(([, value]) => ["number", "string", "boolean"].includes(typeof value)),
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : `threw a ${typeof error}`;
}

/** Milliseconds, of a clock that only goes forward. Node.js loads `performance` when it is first used: not at the end. */
function now(): number {
  return process.uptime() * 1_000;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
