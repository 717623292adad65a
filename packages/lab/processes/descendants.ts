import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Set in the environment of a helper that has to outlive the environment whose process started it. */
const OUTLIVES = "LAB_OUTLIVES_ENVIRONMENT=1";
const POLL_EVERY_MS = 5;
/** A process that may not be signalled, such as a setuid program, stays. */
const GIVE_UP_AFTER_MS = 1_000;

/** Processes that the lab started itself. There are thousands in a storm, and a search need not read them. */
const ownChildren = new Set<number>();

/** @returns to be called when the process is gone */
export function markOwnChild(pid: number): () => void {
  ownChildren.add(pid);
  return () => ownChildren.delete(pid);
}

/**
 * What the processes of one execution environment started and left behind. A signal to the process group does not reach
 * a detached child. It is known by its parent as long as that runs, and by a variable of its environment afterwards.
 * Linux only; elsewhere there are none.
 */
export class Descendants {
  /** Start times by process id: a number may be used again. */
  private readonly noted = new Map<number, string>();

  /** @param variable `NAME=value` that no other environment has */
  constructor(private readonly variable: string) {}

  /** Follows the children of these processes; a child that cleared its environment can be found only in this way. */
  note(roots: readonly (number | undefined)[]): void {
    for (const root of roots) if (root !== undefined) this.noteChildren(root);
  }

  signal(signal: NodeJS.Signals): void {
    for (const pid of this.running()) send(pid, signal);
  }

  /** @returns how many processes it ended */
  async end(): Promise<number> {
    const ended = new Set<number>();
    const deadline = performance.now() + GIVE_UP_AFTER_MS;
    do {
      this.noteMarked();
      const running = this.running();
      if (running.length === 0) break;
      for (const pid of running) {
        ended.add(pid);
        send(pid, "SIGKILL");
      }
      await sleep(POLL_EVERY_MS);
    } while (performance.now() < deadline);
    return ended.size;
  }

  running(): readonly number[] {
    return [...this.noted].flatMap(([pid, startedAt]) => (startTime(pid) === startedAt ? [pid] : []));
  }

  private noteMarked(): void {
    for (const name of list("/proc")) {
      const pid = Number(name);
      if (Number.isNaN(pid) || ownChildren.has(pid) || this.noted.has(pid)) continue;
      if (variables(pid).includes(this.variable)) this.noteTree(pid);
    }
  }

  private noteTree(pid: number): void {
    const startedAt = startTime(pid);
    if (startedAt === undefined || variables(pid).includes(OUTLIVES)) return;
    this.noted.set(pid, startedAt);
    this.noteChildren(pid);
  }

  private noteChildren(pid: number): void {
    for (const thread of list(`/proc/${pid}/task`)) {
      const children = contents(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean);
      for (const child of children) this.noteTree(Number(child));
    }
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already, or another user's.
  }
}

function variables(pid: number): readonly string[] {
  return contents(`/proc/${pid}/environ`).split("\0");
}

/** How a process was started, without the folders of its program; empty if it is gone. */
export function commandLine(pid: number): string {
  const [program = "", ...args] = contents(`/proc/${pid}/cmdline`).split("\0").filter(Boolean);
  return [program.slice(program.lastIndexOf("/") + 1), ...args].join(" ");
}

/** In ticks since the machine started; undefined of a process that no longer runs (`man 5 proc_pid_stat`). */
function startTime(pid: number): string | undefined {
  const stat = contents(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return /^[ZX]?$/.test(fields[0] ?? "") ? undefined : fields[19];
}

function contents(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return ""; // gone meanwhile, another user's, or not Linux
  }
}

function list(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
