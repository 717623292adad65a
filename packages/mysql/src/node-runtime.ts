/**
 * Modules of Node.js that are handed over as they are. An `import` of them makes a namespace object first, for which
 * each export is read: `fs` loads `fs/promises`, streams and readline for that, and `net` its block lists, 3 ms of CPU
 * in each Init (measured on Node.js 24).
 */
export const fs = process.getBuiltinModule("node:fs");
export const net = process.getBuiltinModule("node:net");

/** Milliseconds of a clock that only goes forward. Node.js loads `performance` when it is first used, which takes CPU. */
export function now(): number {
  return process.uptime() * 1_000;
}
