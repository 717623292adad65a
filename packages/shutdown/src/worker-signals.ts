/**
 * For Lambda Managed Instances, where the runtime client runs the function in worker threads, and signals reach the
 * main thread only. Preloaded by `NODE_OPTIONS=--import=/var/task/worker-signals.mjs`, which Node.js does in the main
 * thread and in each worker (https://nodejs.org/api/cli.html#--importmodule): the main thread relays SIGTERM and leaves
 * when every worker has run its hooks. See docs/shutdown-extension.md.
 */
import { isMainThread, parentPort, setEnvironmentData, type Worker } from "node:worker_threads";
import { registerExtension, SIGNALS_ARE_RELAYED } from "./extension.ts";
import { onShutdown } from "./shutdown.ts";

if (isMainThread) {
  relay();
  await registerExtension(); // before there is a worker that could ask for an event, which closes the registration
} else {
  listen();
}

function relay(): void {
  const workers = new Set<Worker>();
  process.on("worker", (worker) => {
    workers.add(worker);
    worker.once("exit", () => workers.delete(worker));
  });
  setEnvironmentData(SIGNALS_ARE_RELAYED, true);
  onShutdown("workers", async (context) => {
    await Promise.all([...workers].map((worker) => shutDown(worker, context.remainingMs())));
  });
}

/** Resolves when the worker has run its hooks, or is gone; shutdown.ts bounds it. */
function shutDown(worker: Worker, remainingMs: number): Promise<void> {
  return new Promise((resolve) => {
    // It does not wait for the worker's exit: a thread whose runtime client waits for the next event cannot end.
    worker.on("message", (message) => {
      if (message === "shutdown done") resolve();
    });
    worker.once("exit", () => {
      resolve();
    });
    worker.postMessage({ signal: "SIGTERM", budgetMs: Math.max(1, Math.floor(remainingMs)) }); // 0 would mean the default
  });
}

function listen(): void {
  parentPort?.on("message", ({ signal, budgetMs }: { signal?: "SIGTERM"; budgetMs?: number }) => {
    if (signal !== "SIGTERM") return;
    // The worker gets the time that is left to the main thread, so that it finishes first.
    process.env["SHUTDOWN_BUDGET_MS"] = String(budgetMs);
    process.emit(signal, signal);
  });
  parentPort?.unref(); // waiting for a signal keeps no thread alive
}
