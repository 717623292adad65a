import { nameAndMessageOf } from "./loggable.ts";

/**
 * Protects the Shutdown phase from other code. Libraries also listen to SIGTERM, and end the process when they are done
 * or through an unhandled error, perhaps before COM_QUIT is sent and the line is logged. Before SIGTERM this module
 * changes nothing.
 */

/** Something that would have ended the process. */
export interface HeldBack {
  readonly what: string;
  readonly error?: string;
}

export interface Isolation {
  /** What was held back until now, the first {@link MOST_ENTRIES} of it. */
  readonly heldBack: () => readonly HeldBack[];
  /** Restores the methods of the process. Its listeners stay removed, because the process exits next. */
  readonly end: () => void;
}

/** The process, or the fake one that warms the code up. */
export interface Isolated {
  readonly pid: number;
  readonly exitCode?: unknown;
  removeAllListeners(event: string): unknown;
  on(event: string, listener: (error: unknown) => void): unknown;
  setUncaughtExceptionCaptureCallback(take: ((error: unknown) => void) | null): unknown;
}

/** Entries in the line. More than that, and a last one says how many. */
const MOST_ENTRIES = 10;

// Node.js loads `process.report` when the capture callback is set, and in Init there is time for it.
Reflect.get(process, "report");

type Method = (...args: readonly unknown[]) => unknown;

/**
 * From now on only a signal from outside ends the process. `process.exit()` and similar calls return without effect,
 * and unhandled errors are noted.
 *
 * @param onEndRequest called when such a call wants to end the process: another listener has finished its work
 */
export function isolate(target: Isolated, onEndRequest?: () => void): Isolation {
  const entries: HeldBack[] = [];
  let more = 0;
  const { exitCode } = target;
  const note = (what: string, error?: string): void => {
    if (error === undefined) onEndRequest?.();
    if (entries.length === MOST_ENTRIES) more += 1;
    else entries.push(error === undefined ? { what } : { what, error });
  };
  const restore = replaceMethods(target, note);
  takeErrors(target, note);
  return {
    heldBack: () => {
      const all = [...entries];
      if (target.exitCode !== exitCode) all.push({ what: `process.exitCode = ${shown(target.exitCode)}` });
      if (more > 0) all.push({ what: `${more} more` });
      return all;
    },
    end: restore,
  };
}

/** Assigns with `Reflect.set`: a frozen property stays unchanged. @returns what puts the methods back */
function replaceMethods(target: Isolated, note: (what: string) => void): () => void {
  const methods = target as unknown as Record<string, Method | undefined>;
  const originals = new Map<string, Method>();
  const replace = (name: string, replacement: (original: Method) => Method): void => {
    const original = methods[name];
    if (typeof original !== "function") return; // a worker thread and an older Node.js have fewer
    originals.set(name, original);
    Reflect.set(methods, name, replacement(original));
  };
  replace("exit", () => (code) => {
    note(`process.exit(${shown(code)})`);
  });
  // What `process.exit` calls: it was taken out of `process` before (`import { exit } from "node:process"`).
  replace("reallyExit", () => (code) => {
    Reflect.set(methods, "_exiting", false); // otherwise process.nextTick and streams would stop working
    note(`process.reallyExit(${shown(code)})`);
  });
  for (const name of ["abort", "execve"]) {
    replace(name, () => () => {
      note(`process.${name}()`);
    });
  }
  const isOwn = (pid: unknown): boolean => Number(pid) === target.pid || Number(pid) <= 0; // 0 and below: its group
  // `process.kill` calls `_kill`, as above.
  for (const [name, result] of [["kill", true] as const, ["_kill", 0] as const]) {
    replace(name, (kill) => (pid, signal = "SIGTERM") => {
      if (signal === 0 || !isOwn(pid)) return kill.call(target, pid, signal);
      note(`process.kill(process.pid, ${shown(signal)})`);
      return result;
    });
  }
  return () => {
    for (const [name, original] of originals) Reflect.set(methods, name, original);
  };
}

/**
 * The capture callback runs before all listeners, so that no listener can end the process; AWS's runtime client for
 * Node.js 22 and earlier has some that do.
 */
function takeErrors(target: Isolated, note: (what: string, error: string) => void): void {
  const take = (what: string) => (error: unknown) => {
    note(what, nameAndMessageOf(error));
  };
  target.removeAllListeners("uncaughtExceptionMonitor"); // these listeners run first, and if one throws the process ends
  for (const event of ["uncaughtException", "unhandledRejection"]) {
    target.removeAllListeners(event);
    target.on(event, take(event)); // for the case that another library takes the callback below away again
  }
  try {
    target.setUncaughtExceptionCaptureCallback(null); // of another library; Node.js refuses a second one
    target.setUncaughtExceptionCaptureCallback(take("uncaughtException"));
  } catch {
    // The module `domain` is loaded, which wants the callback for itself.
  }
}

/** An argument of a foreign call, shortened. */
function shown(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value).slice(0, 20) : "";
}

/** Isolates a process whose methods do nothing, so that the code is compiled in Init. */
export function isolateFakeProcess(): Isolation {
  const nothing = (): void => undefined;
  const isolation = isolate(new Proxy({} as Isolated, { get: () => nothing }));
  isolation.end();
  return isolation;
}
