import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { advice } from "../scenarios/advice";
import { comparison, logOfFailure, timelineOf, verdict } from "../scenarios/comparison";
import type { DatabaseServer } from "../mysql/server";
import { events } from "./events";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import type { Project } from "../subjects/project";
import { run, type RunResult } from "../scenarios/run";
import { articleSubject, noExtension, thisFunction, type Subject } from "../subjects/subject";
import { inCommandContext, type CommandContext } from "./command-context";
import {
  chosen,
  EXIT_CODES,
  timeoutOption,
  VARIABLES_HELP,
  withHandlerOptions,
  type HandlerOptions,
} from "./handler-options";

interface CompareOptions extends HandlerOptions {
  readonly events?: readonly unknown[];
}

/** Ways through the same phases; the first one is the one that the verdict is about. */
export interface Compared {
  readonly runtime: LambdaRuntime;
  readonly database: DatabaseServer;
  readonly results: readonly RunResult[];
  /** Of the first. */
  readonly extensionIsAssumed: boolean;
}

export function compareCommand(): Command {
  return withHandlerOptions(
    new Command("compare")
      .summary("a handler of yours, this function, the article's way and no extension, side by side")
      .description(
        "Takes several functions through the same Init, Invoke and Shutdown, side by side: a handler of yours if you name " +
          "one, what cdktf synth wrote, the article's way, and the same without an extension. The verdict is about the first.",
      ),
  )
    .addOption(timeoutOption())
    .option("--events <file>", "what to invoke each with, a JSON array or JSON lines (default: --event twice)", events)
    .addHelpText(
      "after",
      `
Examples:
  $ npx lambda-shutdown-lab compare
  $ npx lambda-shutdown-lab compare --handler ./theirs
  $ npx lambda-shutdown-lab compare --handler theirs.zip --entry src/app.main --env 'DSN={url}' --timeout 30
  $ npx lambda-shutdown-lab compare --handler ./theirs --extension none     as it is, if it has no extension today
  $ npx lambda-shutdown-lab compare --handler ./theirs --json | jq .change
${VARIABLES_HELP}${EXIT_CODES}`,
    )
    .action(async (options: CompareOptions) => {
      const clean = await inCommandContext(async (context) =>
        show(await compare(context, options), options.json === true),
      );
      process.exitCode = clean ? 0 : 1;
    });
}

export async function compare(context: CommandContext, options: CompareOptions): Promise<Compared> {
  const first = await chosen(context, options);
  const synthesized = first.synthesized ?? (hasApp(context.project) ? await context.synthesized() : undefined);
  const runtime = await context.runtime(first.runtime, options.image);
  const database = await context.database();
  const like = synthesized ?? { ...first.subject.lambdaFunction, handler: "index.handler" };
  const subjects: readonly Subject[] = [
    first.subject,
    ...(first.synthesized === undefined && synthesized !== undefined ? [thisFunction(synthesized)] : []),
    articleSubject(like, join(context.scratch, "article")),
    noExtension(first.subject.lambdaFunction, first.subject.variables),
  ];
  const results: RunResult[] = [];
  for (const subject of subjects) {
    const title = `${subject.name}: Init, Invoke, Shutdown`;
    results.push(
      await context.step(
        title,
        () => run(subject, runtime, database, options.events ?? [first.events.quick, first.events.quick]),
        () => title,
      ),
    );
  }
  return { runtime, database, results, extensionIsAssumed: first.extensionIsAssumed };
}

/** @returns whether the first of them is clean */
export function show({ runtime, database, results, extensionIsAssumed }: Compared, json: boolean): boolean {
  const [first] = results;
  const { clean, sentence } = verdict(first);
  const change = first === undefined ? undefined : advice(first, extensionIsAssumed);
  if (json) {
    const { kind, description } = database;
    console.log(JSON.stringify({ clean, change, runtime, database: { kind, description }, results }, undefined, 2));
    return clean;
  }
  console.log(`\n${timelineOf(first)}\n\n${comparison(results)}\n`);
  const log = first === undefined ? "" : logOfFailure(first);
  if (log !== "") console.log(log);
  console.log(sentence);
  if (change !== undefined) console.log(`To change: ${change}.`);
  if (runtime.isLabClient === true) {
    console.log("This was not AWS's runtime client: under that, process.exit() hangs until SIGKILL.");
  }
  return clean;
}

/** A project without a CDKTF app has no function of its own to put beside the handler. */
function hasApp({ root }: Project): boolean {
  return existsSync(join(root, "cdktf.json"));
}
