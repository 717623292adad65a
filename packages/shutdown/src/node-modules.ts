/**
 * Modules of Node.js that are handed over as they are. An `import` of them makes a namespace object first, for which
 * each export is read: `fs` loads `fs/promises`, streams and readline for that, and `net` its block lists, 3 ms of CPU
 * in each Init (measured on Node.js 24).
 */
export const fs = process.getBuiltinModule("node:fs");
export const net = process.getBuiltinModule("node:net");

/**
 * `node:worker_threads` if this is a worker thread, and undefined in the main thread, where nobody needs it: loading it
 * takes another millisecond. What tells them apart is documented: worker threads may not change the directory
 * (https://nodejs.org/api/worker_threads.html#class-worker).
 */
export function ownWorkerThread(): typeof import("node:worker_threads") | undefined {
  try {
    process.chdir(".");
    return undefined;
  } catch (error) {
    const isWorker = (error as NodeJS.ErrnoException).code === "ERR_WORKER_UNSUPPORTED_OPERATION";
    return isWorker ? process.getBuiltinModule("node:worker_threads") : undefined;
  }
}
