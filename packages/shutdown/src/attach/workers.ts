import type { Worker } from "node:worker_threads";
import { onShutdown, type SharedState } from "../shutdown.ts";

/**
 * Signals reach the main thread only. On Managed Instances the function runs in worker threads, and attach is preloaded
 * in each of them. The main thread passes SIGTERM on and leaves when every worker has run its hooks.
 */
type Message =
  | { readonly type: "who" }
  | { readonly type: "attached" | "done"; readonly threadId: number }
  | { readonly type: "shutdown"; readonly budgetMs: number };

const CHANNEL = "lambda-graceful-shutdown";

/** In the main thread. Costs nothing until there is a worker. */
export function passSignalsOn(): void {
  let attached: AttachedWorkers | undefined;
  process.on("worker", (worker) => {
    attached ??= new AttachedWorkers();
    attached.add(worker);
  });
}

class AttachedWorkers {
  private readonly ids = new Set<number>();
  private isRegistered = false;
  private onAllGone: (() => void) | undefined;
  private readonly channel = openChannel((message) => {
    if (message.type === "attached") this.attach(message.threadId);
    if (message.type === "done") this.remove(message.threadId);
  });

  constructor() {
    this.channel.postMessage({ type: "who" });
  }

  add(worker: Worker): void {
    const { threadId } = worker;
    worker.once("exit", () => {
      this.remove(threadId);
    });
  }

  private attach(threadId: number): void {
    this.ids.add(threadId);
    if (this.isRegistered) return;
    this.isRegistered = true;
    onShutdown("workers", ({ remainingMs }) => {
      // The workers get the time that is left here, so that they finish first. 0 would mean the default.
      this.channel.postMessage({ type: "shutdown", budgetMs: Math.max(1, Math.floor(remainingMs())) });
      return new Promise<void>((resolve) => {
        this.onAllGone = resolve;
        if (this.ids.size === 0) resolve();
      });
    });
  }

  private remove(threadId: number): void {
    this.ids.delete(threadId);
    if (this.ids.size === 0) this.onAllGone?.();
  }
}

/** In a worker thread. It cannot end itself: its runtime client waits for the next event. */
export function takeSignals(state: SharedState): void {
  const { threadId } = process.getBuiltinModule("node:worker_threads");
  const channel = openChannel((message) => {
    if (message.type === "who") channel.postMessage({ type: "attached", threadId });
    if (message.type !== "shutdown") return;
    process.env["SHUTDOWN_BUDGET_MS"] = String(message.budgetMs);
    process.emit("SIGTERM", "SIGTERM");
  });
  channel.postMessage({ type: "attached", threadId });
  state.signalsAreRelayed = true;
  state.leaveWorker = () => {
    channel.postMessage({ type: "done", threadId });
  };
}

interface Channel {
  postMessage(message: Message): void;
}

function openChannel(onMessage: (message: Message) => void): Channel {
  const channel = new (process.getBuiltinModule("node:worker_threads").BroadcastChannel)(CHANNEL);
  channel.onmessage = (event: unknown) => {
    onMessage((event as { data: Message }).data);
  };
  channel.unref(); // waiting keeps no thread alive
  return channel;
}
