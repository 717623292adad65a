import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";

/**
 * What can be left behind: a process `group`, any process whose environment has a `variable` (`NAME=value`), or a
 * `directory`.
 */
export type Leftover = "group" | "variable" | "directory";

/** A directory that goes with the lab, if it is not removed before. */
export interface TemporaryDirectory {
  readonly path: string;
  remove(): void;
}

let pipe: Writable | undefined;

/**
 * However the lab ends, its reaper removes this. The reaper is a separate process, and the end of a pipe tells it that
 * the lab is gone. Track a thing before it exists, so that there is no moment at which it exists and its reaper does
 * not know.
 *
 * @returns to be called once the thing is gone
 */
export function track(kind: Leftover, name: string): () => void {
  pipe ??= start();
  // The kernel has the line when this returns: a SIGKILL that comes now does not take it back.
  pipe.write(`${JSON.stringify(["add", kind, name])}\n`);
  return () => pipe?.write(`${JSON.stringify(["delete", kind, name])}\n`);
}

/** An empty directory that nobody else can read. */
export function temporaryDirectory(): TemporaryDirectory {
  // A socket's path may have 107 bytes, 103 on macOS: hence the short name.
  const path = join(tmpdir(), `lab-${randomBytes(6).toString("hex")}`);
  const release = track("directory", path);
  mkdirSync(path, { mode: 0o700 });
  return {
    path,
    remove: () => {
      rmSync(path, { recursive: true, force: true, maxRetries: 10 });
      release();
    },
  };
}

function start(): Writable {
  const reaper = spawn(process.execPath, [join(__dirname, "reaper-process.mjs")], {
    cwd: "/",
    detached: true, // a session of its own, where no Ctrl-C at the lab's terminal reaches it
    stdio: ["pipe", "ignore", "ignore"],
  });
  reaper.unref();
  const { stdin } = reaper;
  if (stdin instanceof Socket) stdin.unref();
  // Something killed the reaper. The lab goes on without it.
  stdin.on("error", () => undefined);
  return stdin;
}
