import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { temporaryDirectory, track } from "../processes/reaper";

const READY_WITHIN_MS = 30_000;
const POLL_EVERY_MS = 20;
const LOG_TAIL_LENGTH = 2_000;

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** A server program of the lab's own, with a temporary directory that goes with it, however the lab ends. */
export class ServerProcess {
  readonly #temporary = temporaryDirectory();
  readonly directory = this.#temporary.path;
  // How the reaper knows it. Nothing in its directory is worth a slow shutdown, so SIGKILL always ends it.
  readonly #release = track("variable", `LAB_SERVER=${this.directory}`);
  #process: ChildProcess | undefined;
  #log = "";

  /** @param user who owns the directory and runs the program @default - the lab's own */
  constructor(
    private readonly program: string,
    private readonly user?: Account,
  ) {
    if (user !== undefined) chownSync(this.directory, user.uid, user.gid);
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  launch(args: readonly string[], input: number | "ignore" = "ignore"): ChildProcess {
    const server = spawn(this.program, args, {
      cwd: this.directory,
      env: { ...process.env, LAB_SERVER: this.directory },
      detached: true, // in a session of its own, where no Ctrl-C at the lab's terminal reaches it
      stdio: [input, "pipe", "pipe"],
      ...this.user,
    });
    for (const stream of [server.stdout, server.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#log = (this.#log + text).slice(-LOG_TAIL_LENGTH);
      });
    }
    server.on("error", (error) => (this.#log += error.message));
    this.#process = server;
    return server;
  }

  signal(name: NodeJS.Signals): boolean | undefined {
    return this.#process?.kill(name);
  }

  /** Tries until it works, as long as the program runs. @throws Error the last one, after 30 s */
  async untilReady<T>(attempt: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + READY_WITHIN_MS;
    for (;;) {
      if (this.#hasEnded) throw new Error("it ended");
      try {
        return await attempt();
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
      await sleep(POLL_EVERY_MS);
    }
  }

  async ended(): Promise<void> {
    if (this.#process !== undefined && !this.#hasEnded) await once(this.#process, "close");
  }

  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended();
  }

  async stop(): Promise<void> {
    await this.kill();
    this.#temporary.remove();
    this.#release();
  }

  failure(cause: unknown): Error {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new Error(`${this.program} did not start: ${reason}; the end of its log:\n${this.#log}`, { cause });
  }

  get #hasEnded(): boolean {
    const { pid, exitCode, signalCode } = this.#process ?? {};
    return pid === undefined || exitCode !== null || signalCode !== null;
  }
}
