import type { HookEntry } from "./shutdown-line";

/** What many rows of the fault table expect alike. */

/** Milliseconds after which a function that hangs is timed out: a connect and a statement take far less. */
export const TIMEOUT_MS = 2_000;

export const TIMED_OUT = /^Sandbox\.Timedout: /;

/** The process ends before the function answers, or right after. In both cases its caller gets an error. */
export const TERMINATED = /^Runtime\.ExitError: |interrupted|shutting down|the shutdown is over/;

export const NONE = mysql(0, 0, 0);
export const ONE_CLOSED = mysql(1, 0, 0);
export const ONE_CANCELLED = mysql(0, 1, 0);
export const ONE_GIVEN_UP = mysql(0, 0, 1);

export function mysql(closed: number, cancelled: number, givenUp: number): HookEntry {
  return { name: "mysql", result: "done", closed, cancelled, givenUp };
}
