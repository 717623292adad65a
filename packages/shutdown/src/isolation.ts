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

/** The process, or its substitute in a rehearsal. */
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
 */
export function isolate(target: Isolated): Isolation {
  const entries: HeldBack[] = [];
  let more = 0;
  const { exitCode } = target;
  const note = (what: string, error?: string): void => {
    if (entries.length === MOST_ENTRIES) more += 1;
    else entries.push(error === undefined ? { what } : { what, error });
  };
  const restore = replaceMethods(target, note);
  takeErrors(target, note);
  return {
    heldBack: () => {
      const { exitCode: now } = target;
      const changed = now === exitCode ? [] : [{ what: `process.exitCode = ${shown(now)}` }];
      return [...entries, ...changed, ...(more > 0 ? [{ what: `${more} more` }] : [])];
    },
    end: restore,
  };
}

/** @returns what puts the methods back */
function replaceMethods(target: Isolated, note: (what: string) => void): () => void {
  const methods = target as unknown as Record<string, Method | undefined>;
  const originals = new Map<string, Method>();
  const replace = (name: string, replacement: (original: Method) => Method): void => {
    const original = methods[name];
    if (typeof original !== "function") return; // a worker thread and an older Node.js have fewer
    originals.set(name, original);
    set(methods, name, replacement(original));
  };
  replace("exit", () => (code) => {
    note(`process.exit(${shown(code)})`);
  });
  // What `process.exit` calls: it was taken out of `process` before (`import { exit } from "node:process"`).
  replace("reallyExit", () => (code) => {
    set(methods, "_exiting", false); // otherwise process.nextTick and streams would stop working
    note(`process.reallyExit(${shown(code)})`);
  });
  replace("abort", () => () => {
    note("process.abort()");
  });
  replace("execve", () => () => {
    note("process.execve()");
  });
  const isOwn = (pid: unknown): boolean => Number(pid) === target.pid || Number(pid) <= 0; // 0 and below: its group
  replace("kill", (kill) => (pid, signal = "SIGTERM") => {
    if (signal === 0 || !isOwn(pid)) return kill.call(target, pid, signal);
    note(`process.kill(process.pid, ${shown(signal)})`);
    return true;
  });
  // What `process.kill` calls, as above.
  replace("_kill", (kill) => (pid, signal) => {
    if (signal === 0 || !isOwn(pid)) return kill.call(target, pid, signal);
    note(`process.kill(process.pid, ${shown(signal)})`);
    return 0;
  });
  return () => {
    for (const [name, original] of originals) set(methods, name, original);
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
  // This listener is for the case that another library takes the callback away again.
  target.removeAllListeners("uncaughtException");
  target.on("uncaughtException", take("uncaughtException"));
  try {
    target.setUncaughtExceptionCaptureCallback(null); // of another library; Node.js refuses a second one
    target.setUncaughtExceptionCaptureCallback(take("uncaughtException"));
  } catch {
    // The module `domain` is loaded, which wants the callback for itself.
  }
  target.removeAllListeners("unhandledRejection");
  target.on("unhandledRejection", take("unhandledRejection"));
}

/** A frozen property stays unchanged. */
function set(methods: object, name: string, value: unknown): void {
  Reflect.set(methods, name, value);
}

/** An argument of a foreign call, shortened. */
function shown(value: unknown): string {
  if (typeof value === "string") return value.slice(0, 20);
  return typeof value === "number" ? String(value) : "";
}

/** Runs everything once on a substitute for the process. */
export function rehearseIsolation(): Isolation {
  const nothing = (): void => undefined;
  const methods = {
    exit: nothing,
    reallyExit: nothing,
    abort: nothing,
    execve: nothing,
    kill: nothing,
    _kill: nothing,
  };
  const listeners = { removeAllListeners: nothing, on: nothing, setUncaughtExceptionCaptureCallback: nothing };
  const isolation = isolate({ pid: process.pid, ...methods, ...listeners });
  isolation.end();
  return isolation;
}
