import { Command } from "commander";
import { advice, type AdviceContext } from "../runs/advice";
import { runVerdict, type Verdict } from "../runs/verdict";
import type { DatabaseServer } from "../mysql/server";
import { events } from "./events";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import { run, type RunResult } from "../runs/run";
import { inCommandContext, type CommandContext } from "./command-context";
import { besideOthers, checkEntry, chosen, VARIABLES_HELP, type HandlerOptions } from "./handler-options";
import { showResult } from "./result-output";
import { runText } from "./run-text";
import { EXIT_CODES, exitCodeOf } from "./exit-codes";
import { checkWeb, compareWebFunctions, withWebOptions, type WebOptions } from "./web";

interface CompareOptions extends WebOptions {
  readonly events?: readonly unknown[];
}

/** Ways through the same phases; the first one is the one that the verdict is about. */
export interface Compared {
  readonly runtime: LambdaRuntime;
  readonly database: DatabaseServer;
  readonly results: readonly RunResult[];
  /** Of the first. */
  readonly extensionIsAssumed: boolean;
  /** Of the first. */
  readonly adviceContext: AdviceContext;
}

export function compareCommand(): Command {
  return withWebOptions(
    new Command("compare")
      .summary("a handler of yours, this function, the article's way and no extension, side by side")
      .description(
        "Takes several functions through the same Init, Invoke and Shutdown, side by side: a handler of yours if you name " +
          "one, what cdktf synth wrote, the article's way, and the same without an extension. The verdict is about the first.",
      ),
  )
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
  $ npx lambda-shutdown-lab compare --handler ./server --web --slow-event '{"path":"/slow"}'     as it is, and attached
${VARIABLES_HELP}${EXIT_CODES}`,
    )
    .action(async (options: CompareOptions) => {
      const verdict = await inCommandContext(async (context) => {
        checkWeb(options);
        return options.web === true
          ? compareWebFunctions(context, options)
          : show(await compare(context, options), options);
      });
      process.exitCode = exitCodeOf(verdict);
    });
}

async function compare(context: CommandContext, options: CompareOptions): Promise<Compared> {
  const first = await chosen(context, options);
  const subjects = await besideOthers(context, first, true);
  const runtime = await context.runtime(first.runtime, options.image);
  const database = await context.database();
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
  checkEntry(options, results[0]?.initError);
  return {
    runtime,
    database,
    results,
    extensionIsAssumed: first.extensionIsAssumed,
    adviceContext: first.adviceContext,
  };
}

/** @returns the verdict on the first of them */
function show(
  { runtime, database, results, extensionIsAssumed, adviceContext }: Compared,
  options: Pick<HandlerOptions, "json" | "reporter"> = {},
): Verdict {
  const [first] = results;
  if (first === undefined) throw new Error("nothing was compared");
  const { kind, description } = database;
  return showResult(
    {
      command: "compare",
      subject: first.subject,
      verdict: runVerdict(first),
      change: advice(first, extensionIsAssumed, adviceContext),
      details: { extensionIsAssumed, runtime, database: { kind, description }, results },
      text: runText(first, results, { extensionIsAssumed }),
    },
    options,
  );
}
