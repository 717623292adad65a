import { readdirSync, readFileSync } from "node:fs";

/** What the scheduler gave a thread. */
interface ThreadTime {
  readonly cpuMs: number;
  /** It could have run and waited for a CPU. */
  readonly waitMs: number;
}

/** CPU time and waiting of a process's threads since this was made. Zero where there is no /proc. */
export class RunQueue {
  private readonly begun: ReadonlyMap<string, ThreadTime>;
  private last: ReadonlyMap<string, ThreadTime>;

  constructor(private readonly pid: number) {
    this.begun = this.last = threadTimes(pid);
  }

  /** To be called while the process is there; a thread that has ended keeps its last figures. */
  sample(): void {
    this.last = new Map([...this.last, ...threadTimes(this.pid)]);
  }

  /** CPU time of all threads together. */
  get cpuMs(): number {
    return this.since(({ cpuMs }) => cpuMs).reduce((sum, ms) => sum + ms, 0);
  }

  /** Of the thread that waited longest. */
  get waitMs(): number {
    return Math.max(0, ...this.since(({ waitMs }) => waitMs));
  }

  private since(figure: (time: ThreadTime) => number): readonly number[] {
    return [...this.last].map(([thread, time]) => {
      const before = this.begun.get(thread);
      return figure(time) - (before === undefined ? 0 : figure(before));
    });
  }
}

/** https://docs.kernel.org/scheduler/sched-stats.html, /proc/<pid>/schedstat */
function threadTimes(pid: number): ReadonlyMap<string, ThreadTime> {
  const times = new Map<string, ThreadTime>();
  for (const thread of list(`/proc/${pid}/task`)) {
    try {
      const [cpuNs, waitNs] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1").split(" ");
      times.set(thread, { cpuMs: Number(cpuNs) / 1e6, waitMs: Number(waitNs) / 1e6 });
    } catch {
      // The thread is gone.
    }
  }
  return times;
}

function list(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
