import { join } from "node:path";
import { Command } from "commander";
import { advice } from "../advice";
import { comparison, logOfFailure, timelineOf, verdict } from "../comparison";
import type { DatabaseServer } from "../database-server";
import { events } from "../events";
import type { LambdaRuntime } from "../lambda-runtime";
import { run, type RunResult } from "../run";
import { articlesWay, noExtension, thisFunction, type Way } from "../way";
import { inWorkshop, type Workshop } from "../workshop";
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
    .option("--events <file>", "what to invoke each with, a JSON array or JSON lines (default: {} twice)", events)
    .addHelpText(
      "after",
      `
Examples:
  $ npm run lab -- compare
  $ npm run lab -- compare --handler ./theirs
  $ npm run lab -- compare --handler theirs.zip --entry src/app.main --env 'DSN={url}' --timeout 30
  $ npm run lab -- compare --handler ./theirs --extension none     as it is, if it has no extension today
  $ npm run -s lab -- compare --handler ./theirs --json | jq .change
${VARIABLES_HELP}${EXIT_CODES}`,
    )
    .action(async (options: CompareOptions) => {
      const clean = await inWorkshop(async (workshop) => show(await compare(workshop, options), options.json === true));
      process.exitCode = clean ? 0 : 1;
    });
}

export async function compare(workshop: Workshop, options: CompareOptions): Promise<Compared> {
  const first = await chosen(workshop, options);
  const synthesized = first.synthesized ?? (await workshop.synthesized());
  const runtime = await workshop.runtime(first.runtime, options.image);
  const database = await workshop.database();
  const ways: readonly Way[] = [
    first.way,
    ...(first.synthesized === undefined ? [thisFunction(synthesized)] : []),
    articlesWay(synthesized, join(workshop.scratch, "article")),
    noExtension(synthesized),
  ];
  const results: RunResult[] = [];
  for (const way of ways) {
    const title = `${way.name}: Init, Invoke, Shutdown`;
    results.push(
      await workshop.step(
        title,
        () => run(way, runtime, database, options.events ?? [{}, {}]),
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
  if (!runtime.isAwsClient) {
    console.log("This was not AWS's runtime client: under that, process.exit() hangs until SIGKILL.");
  }
  return clean;
}
