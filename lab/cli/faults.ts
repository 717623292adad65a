import { createRequire } from "node:module";
import { join } from "node:path";
import { Command } from "commander";
import Table from "cli-table3";
import colors from "picocolors";
import { NEEDS, type Fault, type Need } from "../faults/fault";
import type { ShutdownExtension } from "../faults/shutdown-extension";
import { FAULTS } from "../faults/faults";
import { runFaults, type FaultRun } from "../faults/fault-runs";
import type { FaultedFunction, FaultResult } from "../faults/fault-result";
import { userVariables } from "../subjects/user-function";
import { inCommandContext, type CommandContext } from "./command-context";
import { chosen, EXIT_CODES, VARIABLES_HELP, withHandlerOptions, type HandlerOptions } from "./handler-options";

interface FaultOptions extends HandlerOptions {
  readonly extension?: ShutdownExtension;
}

/** What one fault came to. */
interface Played {
  readonly fault: string;
  readonly happens: string;
  readonly survived: boolean;
  /** What was wrong afterwards, a sentence each. */
  readonly problems: readonly string[];
  /** @default - the fault could not be brought about, and {@link problems} says why */
  readonly result?: FaultResult;
}

interface NotPlayed {
  readonly fault: string;
  readonly why: string;
}

/** How many plays may be repeated because something was wrong: a machine that is busy takes from a budget of 300 ms. */
const PATIENCE = 3;

export function faultsCommand(): Command {
  return withHandlerOptions(
    new Command("faults")
      .summary("what a handler survives: the database refuses, hangs, dies, comes back")
      .description(
        "Plays the fault table (docs/faults.md) to what cdktf synth wrote, or to a handler of yours: the database refuses, " +
          "hangs, dies, comes back, times a connection out while the environment is frozen. Prints what is survived: the " +
          "process leaves by itself in time, and nothing of it stays on the server.",
      ),
    ["external", "internal"],
  )
    .addHelpText(
      "after",
      `
Examples:
  $ npx lambda-shutdown-lab faults
  $ npx lambda-shutdown-lab faults --handler ./theirs --event '{"orderId":7}'
  $ npx lambda-shutdown-lab faults --handler ./theirs --slow-event '{"report":"yearly"}' --json
${VARIABLES_HELP}

It takes a mariadbd of its own, which it treats badly (MYSQL_URL is left alone), and the openssl command. Rows that only
make sense for a handler that knows more than one event are not played, and it says which and why.${EXIT_CODES}`,
    )
    .action(async (options: FaultOptions) => {
      process.exitCode = (await inCommandContext((context) => playAndShow(context, options))) ? 0 : 1;
    });
}

async function playAndShow(context: CommandContext, options: FaultOptions): Promise<boolean> {
  const { subject, runtime: name, synthesized, events } = await chosen(context, options);
  const extension = options.extension ?? "external";
  const runtime = await context.runtime(name, options.image);
  const { directory, handler, environment } = subject.lambdaFunction;
  const common = { name: subject.name, directory, handler, events: { quick: events.quick, slow: events.slow } };
  const faulted: FaultedFunction =
    synthesized === undefined
      ? {
          ...common,
          logsShutdown: false,
          userVariables: (login) => userVariables(login, options.env),
        }
      : { ...common, logsShutdown: true, environment: { ...environment, ...options.env } };
  const understood = new Set<Need>();
  if (synthesized !== undefined) understood.add("DB_AUTH, DB_TLS").add("known statements");
  if ("slow" in events) understood.add("slow event");
  if (findsAwsSdk(directory)) understood.add("AWS SDK");
  const faultRuns: FaultRun[] = [];
  const notPlayed: NotPlayed[] = [];
  for (const fault of FAULTS) {
    const why = whyNot(fault, understood, extension);
    if (why === undefined) faultRuns.push({ fault, faulted, extension });
    else notPlayed.push({ fault: fault.name, why });
  }
  const { results, close } = await context.step(
    "starting the databases",
    () => runFaults(faultRuns, context.scratch, PATIENCE, runtime),
    () => "database     two of the lab's own, and one more for each fault that ends it",
  );
  const played: Played[] = [];
  try {
    for (const [index, { fault }] of faultRuns.entries()) {
      played.push(
        await context.step(
          `fault ${index + 1} of ${faultRuns.length}: ${fault.name}`,
          async () => playedFrom(fault, results[index]),
          ({ survived }) =>
            `fault ${index + 1} of ${faultRuns.length}: ${fault.name}${survived ? "" : ", not survived"}`,
        ),
      );
    }
  } finally {
    await close();
  }
  const clean = played.every(({ survived }) => survived);
  if (options.json === true) {
    console.log(JSON.stringify({ clean, function: subject.name, extension, runtime, played, notPlayed }, undefined, 2));
  } else {
    print(subject.name, played, notPlayed);
  }
  return clean;
}

/** In Lambda the SDK is there; here it is in the node_modules of this project, if that is above the code. */
function findsAwsSdk(directory: string): boolean {
  try {
    createRequire(join(directory, "index.mjs")).resolve("@aws-sdk/client-secrets-manager");
    return true;
  } catch {
    return false;
  }
}

function whyNot(
  { needs = [], extensions }: Fault,
  understood: ReadonlySet<Need>,
  extension: ShutdownExtension,
): string | undefined {
  const need = needs.find((each) => !understood.has(each));
  if (need !== undefined) return NEEDS[need];
  return extensions?.includes(extension) === false ? `it is not for an ${extension} extension` : undefined;
}

async function playedFrom({ name, happens }: Fault, pending: Promise<FaultResult> | undefined): Promise<Played> {
  try {
    const result = await pending;
    if (result === undefined) throw new Error("it was not played");
    const { problems } = result;
    return { fault: name, happens, survived: problems.length === 0, problems, result };
  } catch (error) {
    // Such as a handler whose Init fails, or one whose slow event runs no statement.
    const problem = error instanceof Error ? error.message : String(error);
    return { fault: name, happens, survived: false, problems: [problem] };
  }
}

function print(name: string, played: readonly Played[], notPlayed: readonly NotPlayed[]): void {
  const table = new Table({
    head: ["", colors.bold(name), "what was wrong afterwards"],
    style: { head: [], border: [], compact: true },
    wordWrap: true,
    colWidths: [42, null, 64],
  });
  for (const { fault, survived, problems } of played) {
    table.push([fault, survived ? colors.green("survived") : colors.red("not survived"), problems.join("; ")]);
  }
  console.log(`\n${table.toString()}`);
  for (const reason of new Set(notPlayed.map(({ why }) => why))) {
    const faults = notPlayed.filter(({ why }) => why === reason).map(({ fault }) => fault);
    console.log(`\nNot played, since ${reason}:\n  ${faults.join(", ")}`);
  }
  const survived = played.filter((each) => each.survived).length;
  const sum = `${survived} of the ${played.length} faults that were played; ${notPlayed.length} were not`;
  console.log(
    survived === played.length
      ? `\n${colors.green(`✓ ${name} survives ${sum}.`)}`
      : `\n${colors.red(`✗ ${name} survives ${sum}.`)}\nnpx lambda-shutdown-lab compare, with the same --handler, says what to change.`,
  );
}
