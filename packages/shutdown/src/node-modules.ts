/**
 * Modules of Node.js that are handed over as they are. An `import` of them makes a namespace object first, for which
 * each export is read: `fs` loads `fs/promises`, streams and readline for that, and `net` its block lists, 3 ms of CPU
 * in each Init (measured on Node.js 24).
 */
export const fs = /* @__PURE__ */ process.getBuiltinModule("node:fs");
export const net = /* @__PURE__ */ process.getBuiltinModule("node:net");
export const diagnosticsChannel = /* @__PURE__ */ process.getBuiltinModule("node:diagnostics_channel");
export const asyncHooks = /* @__PURE__ */ process.getBuiltinModule("node:async_hooks");

/**
 * The same as `isMainThread` of `node:worker_threads`, which costs 1.6 ms of CPU in each Init to load (measured on
 * Node.js 24). Worker threads may not change the directory: https://nodejs.org/api/worker_threads.html#class-worker
 */
export function isMainThread(): boolean {
  try {
    process.chdir(".");
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ERR_WORKER_UNSUPPORTED_OPERATION";
  }
}
