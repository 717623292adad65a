/** Milliseconds of a clock that only goes forward. Node.js loads `performance` when it is first used, which takes CPU. */
export function now(): number {
  return process.uptime() * 1_000;
}

/** Milliseconds for the log, with one decimal. */
export function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
