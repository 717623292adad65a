/** How the time between SIGTERM and SIGKILL is divided. Everything is in milliseconds. */

/**
 * What hooks do not get. Lambda's clock starts when the signal is sent. A busy event loop hears it later, and nothing
 * says how much. The line and the exit take time as well. A Web Function, with a longer budget, has more requests than
 * CPUs, so its margin grows.
 */
const LEAST_MARGIN_MS = 50;
const MARGIN_SHARE = 0.065;

/** After the hooks' time, until a loop that blocks the timers is cut off. */
export const GUARD_MS = 10;

/** The line may take so long, out of the margin: a log that is not read must not hold up the exit. */
export const LOG_MS = 30;

/** Connections to databases have it for their end, when requests in flight took all the time before. */
export const LAST_MS = 35;

/** In front of the end of the hooks' time, busy connections are given up. */
export const GIVE_UP_MS = 20;

/** The same while a large result is read, which keeps a small share of a CPU busy. */
export const GIVE_UP_RESULT_MS = 50;

/** The time of the hooks. */
export function hooksMs(budgetMs: number): number {
  return Math.max(0, budgetMs - Math.max(LEAST_MARGIN_MS, budgetMs * MARGIN_SHARE));
}
