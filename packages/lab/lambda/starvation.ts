import { loadavg } from "node:os";
import { RunQueue } from "../processes/run-queue";

/** This machine kept a runtime from running when it had to end, so nothing is proven about its function. */
export interface Starvation {
  /** CPU time that the runtime got. */
  readonly cpuMs: number;
  /** Time that it, or the lab on the other end of its connections, waited for a CPU. */
  readonly waitMs: number;
  /** SIGTERM → SIGKILL. */
  readonly budgetMs: number;
  /** Of this machine, as `uptime` shows it. */
  readonly load: number;
}

/** With less left than two thirds of the budget, a function that is right in Lambda may be late here. */
const MOST_WAITING = 1 / 3;
/** Few enough that the lab takes no CPU from what it measures, and often enough for a budget of 300 ms. */
const SAMPLE_EVERY_MS = 25;

/** Whether a process was kept from running for too much of its time. */
export function isStarved({ waitMs, budgetMs }: Pick<Starvation, "waitMs" | "budgetMs">): boolean {
  return waitMs > budgetMs * MOST_WAITING;
}

/** Watches a runtime from before SIGTERM until it is gone. */
export class StarvationWatch {
  private readonly runtime: RunQueue;
  private readonly lab = new RunQueue(process.pid);
  private readonly timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.runtime = new RunQueue(pid);
    this.timer = setInterval(() => {
      this.sample();
    }, SAMPLE_EVERY_MS);
  }

  sample(): void {
    this.runtime.sample();
  }

  /** Undefined if the process could run. */
  stop(budgetMs: number): Starvation | undefined {
    clearInterval(this.timer);
    this.lab.sample();
    const waitMs = Math.max(this.runtime.waitMs, this.lab.waitMs);
    if (!isStarved({ waitMs, budgetMs })) return undefined;
    return { cpuMs: this.runtime.cpuMs, waitMs, budgetMs, load: loadavg()[0] ?? NaN };
  }
}
