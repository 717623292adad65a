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
  const project = findProject();
  const isAnimated = canAnimate();
  const progress = ora({ stream: process.stderr, isEnabled: isAnimated, discardStdin: false });
  const scratch = temporaryDirectory();
  const databases: DatabaseServer[] = [];
  let aws: Promise<FakeAws> | undefined;
  const fakeAws: CommandContext["fakeAws"] = () => (aws ??= startFakeAws(scratch.path));
  const step: CommandContext["step"] = async (title, doIt, done) => {
    progress.start(title);
    let lastLine = performance.now();
    const onProgress = (text: string): void => {
      progress.text = `${title}: ${text}`;
      if (isAnimated || performance.now() - lastLine < LINE_EVERY_MS) return;
      lastLine = performance.now();
      process.stderr.write(`- ${progress.text}\n`);
    };
    try {
      const result = await doIt(onProgress);
      progress.stopAndPersist({ symbol: DONE, text: done(result) });
      return result;
    } catch (error) {
      // A signal that came during synchronous work is delivered here, and exits with its own code.
      await sleep(0);
      progress.stopAndPersist({ symbol: FAILED, text: title });
      throw error;
    }
  };
  try {
    return await work({
      project,
      scratch: scratch.path,
      step,
      say: (fact) => progress.stopAndPersist({ symbol: DONE, text: fact }),
      synthesized: async () => {
        const file = await step(
          "synthesizing",
          () => synth(undefined, project),
          (path) => `synthesized  ${relative(process.cwd(), path)}`,
        );
        return synthesizedFunction(file);
      },
      runtime: (name, image) =>
        step(
          "preparing the runtime",
          () => (image === undefined ? lambdaRuntime(name) : containerRuntime(image, name)),
          ({ description }) => `runtime      ${description}`,
        ),
      database: async () => {
        const server = await step(
          "starting the database",
          async () => startDatabaseServer({ certificate: (await fakeAws()).certificate }).catch(asUsage),
          ({ description }) => `database     ${description}`,
        );
        databases.push(server);
        (await fakeAws()).secretsManager.put({ username: server.user, password: server.password });
        return server;
      },
      fakeAws,
      iamDatabase: async () => {
        const server = await startFakeDatabaseServer((await fakeAws()).certificate);
        databases.push(server);
        return server;
      },
    });
  } finally {
    progress.stop();
    await Promise.all([...databases.map((server) => server.stop()), aws?.then((each) => each.stop())]);
    scratch.remove();
  }
}
