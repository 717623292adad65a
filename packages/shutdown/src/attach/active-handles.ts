import type { ChildProcess } from "node:child_process";

/** What keeps the process alive. Not documented, but in every version of Node.js; nothing in one that lacks it. */
export function activeHandles(): readonly unknown[] {
  const { _getActiveHandles: get } = process as unknown as { _getActiveHandles?: () => readonly unknown[] };
  return get?.call(process) ?? [];
}

export function isChildProcess(handle: unknown): handle is ChildProcess {
  const { pid, spawnfile } = handle as Partial<ChildProcess>;
  return typeof pid === "number" && typeof spawnfile === "string";
}

export function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}
