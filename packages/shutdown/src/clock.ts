/** Milliseconds of a clock that only goes forward. Node.js loads `performance` when it is first used, which takes CPU. */
export function now(): number {
  return process.uptime() * 1_000;
}
