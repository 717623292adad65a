import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { markOwnChild } from "../processes/descendants";

/** A call in a function's code, before source maps. */
export interface CodePosition {
  /** A path or a file URL. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What sigterm-listeners.cjs tells of a Node.js runtime, one kind a note. Stacks begin with the innermost call. */
export interface RuntimeNote {
  readonly listens?: boolean;
  /** A client socket that has connected. */
  readonly socket?: {
    readonly localPort?: number;
    readonly remoteAddress?: string;
    readonly remotePort?: number;
    /** Of a Unix socket. */
    readonly path?: string;
    readonly stack: readonly CodePosition[];
  };
  /** A call of process.exit(). */
  readonly exit?: readonly CodePosition[];
  /** Stack of an error that nobody caught. */
  readonly uncaught?: string;
}

/** A process of an execution environment: the runtime, or an external extension. */
export interface EnvironmentProcess {
  readonly name: string;
  readonly child: ChildProcess;
  /** Resolves when it is gone; AWS's words for how. */
  readonly gone: Promise<string>;
  /** Resolves when everything that it wrote has been read as well. */
  readonly drained: Promise<unknown>;
  isGone: boolean;
  /** Of a Node.js runtime: whether the function listens to SIGTERM. @default - nobody can tell */
  listens?: boolean;
}

/** Writes {@link RuntimeNote}s to a descriptor of its own. */
export const WATCH_SIGTERM = ["--require", join(__dirname, "sigterm-listeners.cjs")] as const;
const SIGTERM_FD = 3;

/** A process that cannot be ended may hold the log open for ever. */
const LOG_CLOSES_WITHIN_MS = 1_000;

/** In a mask of signals, as in /proc/<pid>/status. */
const SIGTERM_BIT = 1n << 14n;

/** As Lambda's own logs name them. */
const SIGNALS: Partial<Record<NodeJS.Signals, string>> = {
  SIGABRT: "aborted",
  SIGBUS: "bus error",
  SIGKILL: "killed",
  SIGSEGV: "segmentation fault",
  SIGTERM: "terminated",
};

interface Start {
  readonly name: string;
  readonly command: readonly string[];
  readonly directory: string;
  readonly variables: NodeJS.ProcessEnv;
  /** Its command has {@link WATCH_SIGTERM}, and the lab reads what that tells. */
  readonly isWatched: boolean;
  readonly onLine: (line: string) => void;
  /** Only of a process that {@link isWatched}. */
  readonly onNote: (note: RuntimeNote) => void;
  /** Called before anybody who awaits {@link EnvironmentProcess.gone} goes on. */
  readonly onGone: (how: string, isStarted: boolean) => void;
}

export function startProcess(start: Start): EnvironmentProcess {
  const { name, directory, variables, isWatched, onLine } = start;
  const [program, ...args] = start.command;
  if (program === undefined) throw new Error(`${name} has no command`);
  const child = spawn(program, args, {
    cwd: directory,
    env: isWatched ? { ...variables, LAB_SIGTERM_FD: String(SIGTERM_FD) } : variables,
    stdio: ["ignore", "pipe", "pipe", ...(isWatched ? (["pipe"] as const) : [])],
    detached: true, // a process group of its own: Lambda signals the group
  });
  const unmark = child.pid === undefined ? undefined : markOwnChild(child.pid);
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on("line", onLine);
  }
  const started: EnvironmentProcess = {
    name,
    child,
    isGone: false,
    drained: new Promise((resolve) => child.once("close", resolve)),
    gone: new Promise((resolve) => {
      onEnd(child, (how, isStarted) => {
        started.isGone = true;
        unmark?.();
        resolve(how);
        start.onGone(how, isStarted);
      });
    }),
  };
  if (isWatched) readNotes(started, start.onNote);
  return started;
}

function onEnd(child: ChildProcess, listener: Start["onGone"]): void {
  child.on("error", (error) => {
    listener(error.message, false);
  });
  child.on("exit", (code, signal) => {
    listener(signal === null ? `exit status ${code ?? 0}` : `signal: ${SIGNALS[signal] ?? signal}`, true);
  });
}

function readNotes(started: EnvironmentProcess, onNote: Start["onNote"]): void {
  started.listens = false;
  createInterface({ input: started.child.stdio[SIGTERM_FD] as Readable }).on("line", (line) => {
    const note = parsed(line);
    onNote(note);
    started.listens = note.listens ?? started.listens;
  });
}

/** Long notes of two threads may be mixed up. */
function parsed(line: string): RuntimeNote {
  try {
    return JSON.parse(line) as RuntimeNote;
  } catch {
    return {};
  }
}

/**
 * Whether the runtime's process listens to SIGTERM; undefined where nobody can tell. A process that does not even catch
 * it cannot listen; of one that does, only Node.js tells whether that is the function's doing.
 */
export function listensToSigterm({ child, listens }: EnvironmentProcess): boolean | undefined {
  if (listens !== undefined) return listens;
  try {
    const status = readFileSync(`/proc/${child.pid ?? 0}/status`, "utf8");
    const caught = BigInt(`0x${/^SigCgt:\s*([\da-f]+)$/m.exec(status)?.[1] ?? ""}`);
    return (caught & SIGTERM_BIT) === 0n ? false : undefined;
  } catch {
    return undefined; // not Linux
  }
}

/** Waits for the last lines, for a limited time, and lets the lab end even if somebody still holds the log open. */
export async function closeLog({ child, drained }: EnvironmentProcess): Promise<void> {
  await Promise.race([drained, sleep(LOG_CLOSES_WITHIN_MS, undefined, { ref: false })]);
  for (const stream of child.stdio) stream?.destroy();
}

/** Undefined where nobody can tell. */
export function highestMemoryMb(runtime: EnvironmentProcess | undefined): number | undefined {
  try {
    const status = readFileSync(`/proc/${runtime?.child.pid ?? 0}/status`, "utf8");
    const kib = Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? NaN);
    return Number.isNaN(kib) ? undefined : Math.ceil(kib / 1_024);
  } catch {
    return undefined; // it is gone, or this is not Linux
  }
}

/** How a process ends that SIGKILL ends. */
export const KILLED = "signal: killed";

export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone already.
  }
}
