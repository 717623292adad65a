/**
 * The SIGTERM path. Lambda sends SIGTERM when it takes the execution environment away, provided an extension is
 * registered, and SIGKILL when the shutdown budget is over:
 * https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown
 *
 * `install` listens to the signal, `shutDown` holds back what would end the process (isolation.ts), runs the hooks
 * (hooks.ts), logs one line (shutdown-line.ts) and leaves. The contract is in docs/shutdown-hooks.md.
 */
import { now } from "./clock.ts";
import { shutdownBudgetMs } from "./execution-environment.ts";
import { HookRun, type HookOptions, type HookReport, type Registration, type ShutdownHook } from "./hooks.ts";
import { isolate, isolateFakeProcess, type Isolation } from "./isolation.ts";
import { guardLoop } from "./loop-guard.ts";
import { isMainThread } from "./node-modules.ts";
import { log, shutdownLine, writePastStream } from "./shutdown-line.ts";
import { GUARD_MS, LOG_MS, hooksMs } from "./shutdown-time.ts";
import { UsageError } from "./usage-error.ts";

export type { HookOptions, ShutdownContext, ShutdownHook } from "./hooks.ts";

/** What all copies of this module in a process share. */
export interface SharedState {
  readonly registrations: Registration[];
  /** Set while the hooks run. */
  run?: Pick<HookRun, "add" | "unsettled" | "isHalfOver">;
  /** This thread's sockets are watched. */
  isAttached?: boolean;
  /** Called in the Shutdown phase when something wants to end the process. */
  onEndRequest?: () => void;
  /** In a worker thread: tells the main thread that the hooks have run. */
  leaveWorker?: () => void;
  /** In a worker thread: the main thread passes SIGTERM on. */
  signalsAreRelayed?: boolean;
}

/** More hooks than this are a mistake: `onShutdown` inside the handler. */
const MANY_HOOKS = 100;

declare global {
  var lambdaGracefulShutdown: SharedState | undefined;
}

/**
 * Registers a cleanup. All hooks start in the turn of the event loop that hears SIGTERM, last registered first, so that
 * a handler that blocks the event loop cannot keep one from starting. They run side by side, and each has the whole
 * time. A hook that needs something which another hook closes names that hook in {@link HookOptions.before}.
 *
 * A hook that throws or rejects is reported. A hook that is registered while the hooks run starts as well.
 *
 * @throws UsageError if the name is not a string, the hook not a function, or `before` holds no names
 * @example
 * onShutdown("telemetry", () => sdk.shutdown());
 * onShutdown("queue", ({ signal }) => queue.flush({ signal }), { before: "mysql" });
 */
export function onShutdown(name: string, hook: ShutdownHook, { before = [] }: HookOptions = {}): void {
  addHook("onShutdown", name, hook, before);
}

/** @param caller the function that was called, for the error */
export function addHook(
  caller: string,
  name: string,
  hook: ShutdownHook,
  before: NonNullable<HookOptions["before"]>,
  order?: Pick<Registration, "group" | "beforeGroup" | "holdsToTheEnd">,
): void {
  const check = (isValid: boolean, code: UsageError["code"], problem: string): void => {
    if (!isValid) throw new UsageError(code, `${caller}(${JSON.stringify(name)}): ${problem}`);
  };
  const names = typeof before === "string" ? [before] : before;
  check(typeof name === "string", "ERR_LGS_HOOK_NAME", `the name is of type ${typeof name}, not a string`);
  check(typeof hook === "function", "ERR_LGS_HOOK", `the hook is of type ${typeof hook}, not a function`);
  const areNames = Array.isArray(names) && names.every((other) => typeof other === "string");
  check(areNames, "ERR_LGS_HOOK_BEFORE", `"before" is not a name or a list of names`);
  const registration = { name, hook, before: names, ...order };
  const { registrations, run } = install();
  registrations.push(registration);
  run?.add(registration);
  if (registrations.length === MANY_HOOKS) warnOfManyHooks(name);
}

function warnOfManyHooks(name: string): void {
  const message = `onShutdown was called ${MANY_HOOKS} times, last for "${name}"; call it once, outside the handler`;
  console.warn(JSON.stringify({ event: "shutdown hooks", level: "WARN", code: "ERR_LGS_MANY_HOOKS", message }));
}

/** Listens to the signal, once in a process: a bundle can contain this module twice. */
export function install(): SharedState {
  const { lambdaGracefulShutdown: installed } = globalThis;
  if (installed !== undefined) return installed;
  const state = (globalThis.lambdaGracefulShutdown = { registrations: [] });
  listen(state);
  warmUp();
  return state;
}

/**
 * Runs a hook that does nothing. This compiles hooks, isolation and line, and loads what the loop's guard needs, in Init,
 * which has more time than the end.
 */
function warmUp(): void {
  guardLoop(Infinity, () => undefined).disable();
  void cleanUp("SIGTERM", { registrations: [{ name: "", hook: () => ({}) }] }, isolateFakeProcess());
}

function listen(state: SharedState): void {
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
    if (listener === begin || !signals.includes(event as NodeJS.Signals)) return;
    process.nextTick(() => {
      if (begun || process.listeners(event as NodeJS.Signals)[0] === begin) return;
      process.off(event, begin); // the listener below puts it in front again
    });
  });
  process.on("removeListener", (event: string | symbol, listener: unknown) => {
    if (listener === begin && !leaving) process.prependListener(event as NodeJS.Signals, begin);
  });
}

async function shutDown(signal: NodeJS.Signals, state: SharedState, stopListening: () => void): Promise<void> {
  const isolation = isolate(process, () => state.onEndRequest?.());
  const end = (): void => {
    leave(signal, state, isolation, stopListening);
  };
  try {
    const line = await cleanUp(signal, state, isolation, end);
    await Promise.race([log(line), new Promise((resolve) => setTimeout(resolve, LOG_MS))]);
  } finally {
    end();
  }
}

/** Runs the hooks, which all start before this returns, and resolves with the line that says what became of them. */
async function cleanUp(
  signal: NodeJS.Signals,
  state: SharedState,
  isolation: Isolation,
  end?: () => void,
): Promise<string> {
  const begun = now();
  const budgetMs = shutdownBudgetMs();
  const timeMs = hooksMs(budgetMs);
  const line = (hooks: readonly HookReport[]): string =>
    shutdownLine({ signal, budgetMs, durationMs: now() - begun, hooks, heldBack: isolation.heldBack() });
  const run = new HookRun(state.registrations, timeMs);
  state.run = run;
  run.begin();
  const guard =
    end &&
    guardLoop(begun + timeMs + GUARD_MS, () => {
      writePastStream(line(run.finish()));
      end();
    });
  const hooks = await run.reports;
  guard?.disable();
  return line(hooks);
}

/**
 * Ends the process at once.
 *
 * It does not use `process.exit()`: AWS's runtime client waits for the next event on a thread of libuv's pool, and
 * exiting joins that pool. So the process would hang until Lambda kills it at the end of its budget (`npm run bench`
 * shows both). The signal's default action waits for nothing. Remove its listeners first, or it would be delivered here
 * again.
 */
function leave(signal: NodeJS.Signals, state: SharedState, isolation: Isolation, stopListening: () => void): void {
  if (!isMainThread()) {
    state.leaveWorker?.(); // a thread can end neither itself nor the process
    return;
  }
  stopListening();
  isolation.end();
  process.kill(process.pid, signal);
  // Only PID 1 of a container gets here: the kernel drops a default-action signal that PID 1 sends itself
  // (pid_namespaces(7)). abort() ends in a trap, which the kernel does not drop.
  process.abort();
}
