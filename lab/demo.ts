/** `npm start`: synthesizes, and runs the code that would be deployed beside two other ways. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { Command } from "commander";
import ora from "ora";
import { comparison, timelineOf, verdict } from "./comparison";
import { startDatabaseServer, type DatabaseServer } from "./database-server";
import { lambdaRuntime } from "./lambda-runtime";
import { run, type RunResult } from "./run";
import { synth } from "./synth";
import { synthesizedFunction } from "./synthesized-function";
import { articlesWay, noExtension, thisFunction } from "./way";

const command = new Command("npm start --")
  .description(
    "Synthesizes the stack, runs the code that would be deployed through Init, Invoke and Shutdown against a MySQL\n" +
      "server, and shows what became of its connection: beside the article's way, and beside no extension.\n" +
      "The server is MYSQL_URL if that is set, else a mariadbd or mysqld on the PATH, else an embedded stand-in.",
  )
  .option("--json", "print the results as JSON, and nothing else, on standard output")
  .addHelpText("after", "\nExit code: 0 if the function left no connection behind, 1 if it did or something failed.");

async function demo(json: boolean): Promise<boolean> {
  const progress = ora({ stream: process.stderr });
  const step = async <T>(title: string, work: () => T | Promise<T>, done: (result: T) => string): Promise<T> => {
    progress.start(title);
    try {
      const result = await work();
      progress.succeed(done(result));
      return result;
    } catch (error) {
      progress.fail(title);
      throw error;
    }
  };
  const scratch = mkdtempSync(join(tmpdir(), "lab-"));
  let database: DatabaseServer | undefined;
  try {
    const file = await step("synthesizing", synth, (path) => `synthesized  ${relative(process.cwd(), path)}`);
    const synthesized = synthesizedFunction(file);
    const code = relative(process.cwd(), synthesized.directory);
    progress.succeed(`function     ${synthesized.handler} on ${synthesized.runtime}, code in ${code}`);
    const runtime = await step(
      "preparing the runtime",
      () => lambdaRuntime(synthesized.runtime),
      ({ description }) => `runtime      ${description}`,
    );
    const server = await step(
      "starting the database",
      () => startDatabaseServer(),
      (s) => `database     ${s.description}`,
    );
    database = server;
    const ways = [
      thisFunction(synthesized),
      articlesWay(synthesized, join(scratch, "article")),
      noExtension(synthesized),
    ];
    const results: RunResult[] = [];
    for (const way of ways) {
      const title = `${way.name}: Init, Invoke, Shutdown`;
      results.push(
        await step(
          title,
          () => run(way, runtime, server, [{}, {}]),
          () => title,
        ),
      );
    }
    const [ours] = results;
    const { clean, sentence } = verdict(ours);
    if (json) {
      const { kind, description } = server;
      console.log(JSON.stringify({ clean, runtime, database: { kind, description }, results }, undefined, 2));
    } else {
      console.log(`\n${timelineOf(ours)}\n\n${comparison(results)}\n\n${sentence}`);
      if (!runtime.isAwsClient) {
        console.log("This was not AWS's runtime client: under that, process.exit() hangs until SIGKILL.");
      }
    }
    return clean;
  } finally {
    await database?.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
}

// Ctrl-C during a run: exiting ends the environments' processes, and the database's watchdog ends the database.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

command.parse();
demo(command.opts<{ json?: boolean }>().json === true).then(
  (clean) => {
    process.exitCode = clean ? 0 : 1;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  },
);
