import { relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import ora from "ora";
import colors from "picocolors";
import { INTERRUPTED } from "./exit-codes";
import { canAnimate } from "./terminal";
import { UsageError } from "./usage-error";
import { containerRuntime } from "../lambda/container-image";
import { startDatabaseServer } from "../mysql/database-server";
import { startFakeDatabaseServer } from "../mysql/fake-database-server";
import type { DatabaseServer } from "../mysql/server";
import { lambdaRuntime, type LambdaRuntime } from "../lambda/lambda-runtime";
import { temporaryDirectory } from "../processes/reaper";
import { startFakeAws, type FakeAws } from "../functions/fake-aws";
import { findProject, type Project } from "../functions/project";
import { synth } from "../functions/synth";
import { synthesizedFunction, type SynthesizedFunction } from "../functions/synthesized-function";

/**
 * What a command of the lab works with. Progress goes to standard error, because standard output has the result alone.
 */
export interface CommandContext {
  /** The project around the directory that the command was started in. */
  readonly project: Project;
  /** A directory that is removed at the end, also after an error or a signal. */
  readonly scratch: string;
  /**
   * Shows each step and its result: on a terminal with a spinner, elsewhere with a line each. Long work shows its
   * progress.
   */
  step<T>(
    title: string,
    work: (onProgress: (progress: string) => void) => T | Promise<T>,
    done: (result: T) => string,
  ): Promise<T>;
  /** What is known without doing anything. */
  say(fact: string): void;
  synthesized(): Promise<SynthesizedFunction>;
  /** @param image a container image instead of this machine's Node.js */
  runtime(name: string, image?: string): Promise<LambdaRuntime>;
  /** The same at each call. The first call starts them, and they are stopped at the end. */
  fakeAws(): Promise<FakeAws>;
  /** The server to talk to, whose log-in the secret holds from then on; it is stopped at the end. */
  database(): Promise<DatabaseServer>;
  /** One for IAM tokens; it is stopped at the end. */
  iamDatabase(): Promise<DatabaseServer>;
}

/** The same marks as in a verdict. */
const DONE = colors.green("✓");
const FAILED = colors.red("✗");

/** Milliseconds between two lines of progress, where a line cannot be overwritten. */
const LINE_EVERY_MS = 15_000;

/** What does not work is a setting of the user's, if its message names the variable. */
function asUsage(error: Error): never {
  throw error.message.startsWith("MYSQL_URL ") ? new UsageError(error.message) : error;
}

/** Does the work, then puts everything away: also when it fails, or on Ctrl-C. */
export async function inCommandContext<T>(work: (context: CommandContext) => Promise<T>): Promise<T> {
  // Exiting ends the environments' processes. The reaper removes everything else, however the lab ends.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(INTERRUPTED[signal]));
  const context = new TerminalContext(findProject());
  try {
    return await work(context);
  } finally {
    await context.close();
  }
}

class TerminalContext implements CommandContext {
  private readonly isAnimated = canAnimate();
  private readonly progress = ora({ stream: process.stderr, isEnabled: this.isAnimated, discardStdin: false });
  private readonly directory = temporaryDirectory();
  private readonly databases: DatabaseServer[] = [];
  private aws: Promise<FakeAws> | undefined;

  constructor(readonly project: Project) {}

  get scratch(): string {
    return this.directory.path;
  }

  async step<T>(
    title: string,
    work: (onProgress: (progress: string) => void) => T | Promise<T>,
    done: (result: T) => string,
  ): Promise<T> {
    const { progress } = this;
    progress.start(title);
    try {
      const result = await work(this.progressOf(title));
      progress.stopAndPersist({ symbol: DONE, text: done(result) });
      return result;
    } catch (error) {
      // A signal that came during synchronous work is delivered here, and exits with its own code.
      await sleep(0);
      progress.stopAndPersist({ symbol: FAILED, text: title });
      throw error;
    }
  }

  say(fact: string): void {
    this.progress.stopAndPersist({ symbol: DONE, text: fact });
  }

  async synthesized(): Promise<SynthesizedFunction> {
    const file = await this.step(
      "synthesizing",
      () => synth(undefined, this.project),
      (path) => `synthesized  ${relative(process.cwd(), path)}`,
    );
    return synthesizedFunction(file);
  }

  runtime(name: string, image?: string): Promise<LambdaRuntime> {
    return this.step(
      "preparing the runtime",
      () => (image === undefined ? lambdaRuntime(name) : containerRuntime(image, name)),
      ({ description }) => `runtime      ${description}`,
    );
  }

  fakeAws(): Promise<FakeAws> {
    return (this.aws ??= startFakeAws(this.scratch));
  }

  async database(): Promise<DatabaseServer> {
    const { certificate, secretsManager } = await this.fakeAws();
    const server = await this.step(
      "starting the database",
      () => startDatabaseServer({ certificate }).catch(asUsage),
      ({ description }) => `database     ${description}`,
    );
    this.databases.push(server);
    secretsManager.put({ username: server.user, password: server.password });
    return server;
  }

  async iamDatabase(): Promise<DatabaseServer> {
    const server = await startFakeDatabaseServer((await this.fakeAws()).certificate);
    this.databases.push(server);
    return server;
  }

  async close(): Promise<void> {
    this.progress.stop();
    await Promise.all([...this.databases.map((server) => server.stop()), this.aws?.then((each) => each.stop())]);
    this.directory.remove();
  }

  private progressOf(title: string): (progress: string) => void {
    let lastLine = performance.now();
    return (text) => {
      this.progress.text = `${title}: ${text}`;
      if (this.isAnimated || performance.now() - lastLine < LINE_EVERY_MS) return;
      lastLine = performance.now();
      process.stderr.write(`- ${this.progress.text}\n`);
    };
  }
}
