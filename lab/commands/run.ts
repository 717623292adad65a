import { Command, InvalidArgumentError, Option } from "commander";
import { advice } from "../advice";
import { comparison, logOf, logOfFailure, timelineOf, verdict } from "../comparison";
import { event, events } from "../events";
import { run, type End } from "../run";
import { inWorkshop, type Workshop } from "../workshop";
import { WrongUsage } from "../wrong-usage";
import {
  chosen,
  EXIT_CODES,
  timeoutOption,
  VARIABLES_HELP,
  withHandlerOptions,
  type HandlerOptions,
} from "./handler-options";

const ENDS = ["spindown", "idle", "timeout", "failure"] as const;

interface RunOptions extends HandlerOptions {
  readonly events?: readonly unknown[];
  readonly end: End["how"];
  /** Milliseconds. */
  readonly frozen: number;
  readonly slowEvent?: unknown;
  readonly logs?: boolean;
}

/** Seconds: whoever wants to see a time-out does not want to wait for the stack's. */
const TIMEOUT_TO_SEE = 2;
/** What makes the synthesized function's statement take its time. */
const SLOW_EVENT = { sleepSeconds: 900 };

export function runCommand(): Command {
  const command = withHandlerOptions(
    new Command("run")
      .summary("one execution environment from Init to its end: its timeline, and what became of each connection")
      .description(
        "Takes one execution environment through Init, some invocations and its end, and tells what became of each " +
          "connection: of the function that cdktf synth wrote, or of a handler of yours.",
      ),
  );
  return command
    .addOption(timeoutOption())
    .option("--events <file>", "what to invoke it with, a JSON array or JSON lines (default: {} once)", events)
    .addOption(
      new Option(
        "--end <how>",
        "spindown: frozen, then taken away, as Lambda does; idle: taken away at once; " +
          "timeout: --slow-event takes longer than --timeout; failure: its process is killed in an invocation",
      )
        .choices(ENDS)
        .default("spindown"),
    )
    .option("--frozen <ms>", "how long it is frozen before the spindown", milliseconds, 1_000)
    .option("--slow-event <json>", "an event that takes longer than the timeout (needed for a handler of yours)", event)
    .option("--logs", "print what the function logged as well")
    .addHelpText(
      "after",
      `
Examples:
  $ npm run lab -- run                                       what is deployed, at its best
  $ npm run lab -- run --extension none                      without SIGTERM: its connection is leaked
  $ npm run lab -- run --end timeout                         SIGTERM in the middle of a statement
  $ npm run lab -- run --handler ./theirs --events day.jsonl --logs
  $ npm run lab -- run --handler theirs.zip --env 'SQL_HOST={host}' --end failure
  $ npm run lab -- run --image public.ecr.aws/lambda/nodejs:24     on AWS's base image, in Docker
${VARIABLES_HELP}

A process that is killed in an invocation (--end failure) closes nothing, so that end is never clean.${EXIT_CODES}`,
    )
    .action(async (options: RunOptions) => {
      if (options.end === "timeout" && options.handler !== undefined && !("slowEvent" in options)) {
        throw new WrongUsage("--end timeout needs --slow-event <json>: an event that your handler takes long for");
      }
      process.exitCode = (await inWorkshop((workshop) => runAndShow(workshop, options))) ? 0 : 1;
    });
}

async function runAndShow(workshop: Workshop, options: RunOptions): Promise<boolean> {
  const { end } = options;
  const timeout = options.timeout ?? (end === "timeout" ? TIMEOUT_TO_SEE : undefined);
  const {
    way,
    runtime: name,
    extensionIsAssumed,
  } = await chosen(workshop, { ...options, ...(timeout === undefined ? {} : { timeout }) });
  const runtime = await workshop.runtime(name, options.image);
  const database = await workshop.database();
  const title = `${way.name}: Init, Invoke, ${end}`;
  const result = await workshop.step(
    title,
    () => run(way, runtime, database, options.events ?? [{}], endOf(options)),
    () => title,
  );
  const { clean, sentence } = verdict(result);
  const change = advice(result, extensionIsAssumed);
  if (options.json === true) {
    const { kind, description } = database;
    console.log(JSON.stringify({ clean, change, runtime, database: { kind, description }, result }, undefined, 2));
    return clean;
  }
  console.log(`\n${timelineOf(result)}\n\n${comparison([result])}\n`);
  for (const invocation of result.invocations) {
    if (!invocation.ok) console.log(`${invocation.error.errorType}: ${invocation.error.errorMessage}`);
  }
  const log = options.logs === true ? logOf("its log", result.logs) : logOfFailure(result);
  if (log !== "") console.log(log);
  console.log(sentence);
  if (change !== undefined) console.log(`To change: ${change}.`);
  return clean;
}

function endOf({ end, frozen, slowEvent, events: given = [{}] }: RunOptions): End {
  switch (end) {
    case "spindown":
      return { how: end, frozenMs: frozen };
    case "timeout":
      return { how: end, event: slowEvent ?? SLOW_EVENT };
    case "failure":
      return { how: end, event: given.at(-1) ?? {} };
    case "idle":
      return { how: end };
  }
}

function milliseconds(text: string): number {
  const number = Number(text);
  if (text !== "" && Number.isInteger(number) && number >= 0 && number <= 3_600_000) return number;
  throw new InvalidArgumentError("Allowed are whole milliseconds from 0 to 3600000.");
}
