/**
 * The SIGTERM path. Lambda sends SIGTERM when it takes the execution environment away, provided an extension is
 * registered, and SIGKILL when the shutdown budget is over:
 * https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown
 *
 * `listen` hears the signal, `shutDown` holds back what would end the process (isolation.ts), runs the hooks
 * (hooks.ts), logs one line (shutdown-line.ts) and leaves. The contract is in docs/shutdown-hooks.md.
 */
import { now } from "./clock.ts";
import { runHooks, type HookOptions, type Registration, type ShutdownHook } from "./hooks.ts";
import { isolate, rehearseIsolation, type Isolation } from "./isolation.ts";
import { log, shutdownLine } from "./shutdown-line.ts";
import { ownWorkerThread } from "./node-modules.ts";

export type { HookOptions, ShutdownContext, ShutdownHook } from "./hooks.ts";

/** What all copies of this module in a process share. */
interface Shared {
  readonly registrations: Registration[];
  /** Set while the hooks run: a hook has been registered. */
  registered?: () => void;
}

/**
 * Milliseconds SIGTERM → SIGKILL with an external extension, the smaller of the two budgets that AWS grants.
 * The construct writes the real one to SHUTDOWN_BUDGET_MS.
 */
const DEFAULT_BUDGET_MS = 300;

/** The longest delay of a Node.js timer. A longer one is a warning in the log, and a timer of 1 ms. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Milliseconds of the budget that hooks do not get. Lambda's clock starts before the event loop sees the signal, and
 * the report and the exit take time as well.
 */
const MARGIN_MS = 50;

/** Milliseconds that the report may take, out of the margin: a log that nobody reads must not hold up the exit. */
const LOG_MS = 30;

/**
 * Registers a cleanup. All hooks start in the turn of the event loop that hears SIGTERM, last registered first, so that
 * a handler that blocks the event loop cannot keep one from starting. They run side by side, and each has the whole
 * time. A hook that needs something which another hook closes names that hook in {@link HookOptions.before}.
 *
 * A hook that throws or rejects is reported. A hook that is registered while the hooks run starts as well.
 *
 * @throws TypeError if the name is not a string or the hook not a function
 * @example
 * onShutdown("telemetry", () => sdk.shutdown());
 * onShutdown("queue", ({ signal }) => queue.flush({ signal }), { before: "mysql" });
 */
export function onShutdown(name: string, hook: ShutdownHook, { before = [] }: HookOptions = {}): void {
  if (typeof name !== "string") throw new TypeError(`onShutdown: the name is of type ${typeof name}, not a string`);
  if (typeof hook !== "function")
    throw new TypeError(`onShutdown("${name}"): the hook is of type ${typeof hook}, not a function`);
  shared.registrations.push({ name, hook, before: typeof before === "string" ? [before] : [...before] });
  shared.registered?.();
}

declare global {
  var lambdaGracefulShutdown: Shared | undefined;
}
// A bundle can contain this module twice, and two listeners would race to the exit. So each process has one.
const shared = (globalThis.lambdaGracefulShutdown ??= listen({ registrations: [] }));

// A rehearsal: it compiles the code and opens the log in Init, which has more time than the end.
void cleanUp("SIGTERM", { registrations: [{ name: "rehearsal", hook: () => ({}) }] }, rehearseIsolation());

function listen(state: Shared): Shared {
  // On a developer's machine Ctrl-C asks for the same; Lambda does not send it.
  const signals: NodeJS.Signals[] =
    process.env["AWS_LAMBDA_RUNTIME_API"] === undefined ? ["SIGTERM", "SIGINT"] : ["SIGTERM"];
  let begun = false;
  let leaving = false;
  const begin = (signal: NodeJS.Signals): void => {
    if (begun) return;
    begun = true;
    void shutDown(signal, state, () => {
      leaving = true;
      process.removeAllListeners(signal);
    });
  };
  for (const signal of signals) process.prependListener(signal, begin);
  // Keeps this listener in the list, and first. If a listener throws, Node.js does not call those after it, and some
  // libraries remove all listeners. A signal arrives in a later turn, so the next tick is early enough.
  process.on("newListener", (event: string | symbol, listener: unknown) => {
    if (!isOneOf(signals, event) || listener === begin) return;
    process.nextTick(() => {
      if (begun || process.listeners(event)[0] === begin) return;
      process.off(event, begin);
      if (process.listeners(event)[0] !== begin) process.prependListener(event, begin);
    });
  });
  process.on("removeListener", (event: string | symbol, listener: unknown) => {
    if (!isOneOf(signals, event) || listener !== begin || leaving) return;
    process.prependListener(event, begin);
  });
  return state;
}

function isOneOf(signals: readonly NodeJS.Signals[], event: string | symbol): event is NodeJS.Signals {
  return (signals as readonly unknown[]).includes(event);
}

async function shutDown(signal: NodeJS.Signals, state: Shared, stopListening: () => void): Promise<void> {
  const isolation = isolate(process);
  try {
    await Promise.race([log(await cleanUp(signal, state, isolation)), new Promise((end) => setTimeout(end, LOG_MS))]);
  } finally {
    leave(signal, isolation, stopListening);
  }
}

/** Runs the hooks, which all start before this returns, and resolves with the line that says what became of them. */
async function cleanUp(signal: NodeJS.Signals, state: Shared, isolation: Isolation): Promise<string> {
  const begun = now();
  const budget = budgetMs();
  const run = runHooks(state.registrations, Math.max(0, budget - MARGIN_MS));
  state.registered = run.registered;
  const hooks = await run.reports;
  const heldBack = isolation.heldBack();
  return shutdownLine({ signal, budgetMs: budget, durationMs: now() - begun, hooks, heldBack });
}

/**
 * Ends the process at once.
 *
 * It does not use `process.exit()`: AWS's runtime client waits for the next event on a thread of libuv's pool, and
 * exiting joins that pool. So the process would hang until Lambda kills it at the end of its budget (`npm run bench`
 * shows both). The signal's default action waits for nothing. Remove its listeners first, or it would be delivered here
 * again.
 */
function leave(signal: NodeJS.Signals, isolation: Isolation, stopListening: () => void): void {
  // A worker thread can end neither itself nor the process; worker-signals.ts, in the main thread, waits for this word.
  const parentPort = ownWorkerThread()?.parentPort;
  if (parentPort) {
    parentPort.postMessage("shutdown done");
    return;
  }
  stopListening();
  isolation.end();
  process.kill(process.pid, signal);
  // Only PID 1 of a container gets here: the kernel drops a default-action signal that PID 1 sends itself
  // (pid_namespaces(7)). abort() ends in a trap, which the kernel does not drop.
  process.abort();
}

function budgetMs(): number {
  const budget = Number(process.env["SHUTDOWN_BUDGET_MS"]);
  return Number.isFinite(budget) && budget > 0 ? Math.min(budget, LONGEST_MS) : DEFAULT_BUDGET_MS;
}
