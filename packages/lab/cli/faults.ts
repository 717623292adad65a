import { Command } from "commander";
import colors from "picocolors";
import type { Fault } from "../faults/fault";
import type { ShutdownExtension } from "../faults/shutdown-extension";
import { runFaults, type FaultRun } from "../faults/fault-runs";
import type { FaultResult } from "../faults/fault-result";
import { InitError } from "../lambda/execution-environment";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import { inputAdvice } from "../runs/input-advice";
import { sideBySide, terminalWidth, type Row } from "../runs/side-by-side";
import { verdictLine, verdictOf, type Findings, type Verdict } from "../runs/verdict";
import { handlerCode } from "../functions/handler-code";
import { inCommandContext, type CommandContext } from "./command-context";
import { ownsOutput, report, type Check } from "./reporters";
import { EXIT_CODES, exitCodeOf } from "./exit-codes";
import { faultPlan, type NotPlayed } from "./fault-plan";
import { chosen, VARIABLES_HELP, withHandlerOptions, type HandlerOptions } from "./handler-options";

interface FaultOptions extends HandlerOptions {
  readonly extension?: ShutdownExtension;
}

/** The result of one fault. */
interface Played {
  readonly fault: string;
  readonly happens: string;
  readonly survived: boolean;
  /** What was wrong afterwards, a sentence each. */
  readonly problems: readonly string[];
  /** @default - the fault could not be brought about, and {@link problems} says why */
  readonly result?: FaultResult;
}

/** Problems are sentences, which are hard to read across a whole screen. */
const WIDEST = 124;

/** Prefix of a result that reports a failed Init. */
const INIT_FAILS = "Init fails: ";

/** How many plays may be repeated because something was wrong: a machine that is busy takes from a budget of 300 ms. */
const PATIENCE = 3;

export function faultsCommand(): Command {
  return withHandlerOptions(
    new Command("faults")
      .summary("what a handler survives: the database refuses, hangs, dies, comes back")
      .description(
        "Plays the fault table (docs/faults.md) to what cdktf synth wrote, or to a handler of yours: the database refuses, " +
          "hangs, dies, comes back, times a connection out while the environment is frozen. Prints which faults the " +
          "function survives: its process ends by itself in time, and leaves nothing on the server.",
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

It takes a mariadbd of its own, which it treats badly (MYSQL_URL is left alone). Rows that only
make sense for a handler that knows more than one event are not played, and it says which and why.${EXIT_CODES}`,
    )
    .action(async (options: FaultOptions) => {
      process.exitCode = exitCodeOf(await inCommandContext((context) => playAndShow(context, options)));
    });
}

async function playAndShow(context: CommandContext, options: FaultOptions): Promise<Verdict> {
  const first = await chosen(context, options);
  const { subject, runtime: name } = first;
  const extension = options.extension ?? "external";
  const runtime = await context.runtime(name, options.image);
  const { faultRuns, notPlayed } = faultPlan(first, extension, options.env);
  const inVain = await probe(context, faultRuns, runtime);
  if (inVain !== undefined) {
    const { clean, kind, sentence } = inVain.verdict;
    const failure = inVain.failure === undefined ? {} : { failure: inVain.failure };
    const change = inputAdvice({ ...failure, code: handlerCode(subject.lambdaFunction), env: options.env });
    const found = { clean, verdict: kind, sentence, change, function: subject.name, extension, runtime, played: [] };
    if (options.json === true) console.log(JSON.stringify({ ...found, notPlayed }, undefined, 2));
    else if (!ownsOutput(options.reporter)) console.log(`\n${verdictLine(inVain.verdict)}\nTo change: ${change}.`);
    report("faults", [{ name: subject.name, result: kind, message: sentence }], options.reporter);
    return inVain.verdict;
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
  const verdict = faultsVerdict(subject.name, played, notPlayed.length);
  const { clean, kind, sentence } = verdict;
  const found = { clean, verdict: kind, sentence, function: subject.name, extension, runtime, played, notPlayed };
  if (options.json === true) console.log(JSON.stringify(found, undefined, 2));
  else if (!ownsOutput(options.reporter)) print(subject.name, played, notPlayed, verdict);
  report("faults", checksOf(played, notPlayed), options.reporter);
  return verdict;
}

function checksOf(played: readonly Played[], notPlayed: readonly NotPlayed[]): readonly Check[] {
  return [
    ...played.map(({ fault, survived, problems, happens }): Check => {
      return {
        name: fault,
        result: survived ? "clean" : "not clean",
        message: survived ? happens : problems.join("; "),
      };
    }),
    ...notPlayed.map(({ fault, why }): Check => ({ name: fault, result: "not played", message: why })),
  ];
}

/** Nothing that the faults would say anything about. */
interface InVain {
  readonly verdict: Verdict;
  /** Type and message of the error. @default - it answered, and opened no connection */
  readonly failure?: string;
}

function invocationsOf(failure: string | undefined): Findings["invocations"] {
  if (failure === undefined) return { ok: 1, failed: 0 };
  const [, errorType = "", errorMessage = ""] = /^([\w.]+):? (.*)$/s.exec(failure) ?? [];
  return { ok: 0, failed: 1, firstError: { errorType, errorMessage } };
}

/**
 * The first row with a server that is well: a function that cannot be invoked there would survive nothing, and that
 * would say nothing about it.
 *
 * @returns the verdict, if the function did not pass so far
 */
async function probe(
  context: CommandContext,
  faultRuns: readonly FaultRun[],
  runtime: LambdaRuntime,
): Promise<InVain | undefined> {
  const easiest = faultRuns.find(
    ({ fault: { invocations, target } }) => invocations[0] === "ok" && target === undefined,
  );
  if (easiest === undefined) return undefined;
  const nothing = {
    subject: easiest.faulted.name,
    invocations: { ok: 0, failed: 0 },
    connections: { opened: 0, closed: 0, aborted: 0, leaked: 0 },
    endings: {},
  };
  return context.step(
    "invoking it once",
    async () => {
      const { results, close } = await runFaults([easiest], context.scratch, 0, runtime);
      try {
        const result = await results[0];
        const failedInit = result?.problems.find((problem) => problem.startsWith(INIT_FAILS))?.slice(INIT_FAILS.length);
        if (failedInit !== undefined) {
          const { firstError } = invocationsOf(failedInit);
          return {
            verdict: verdictOf({ ...nothing, ...(firstError === undefined ? {} : { initError: firstError }) }),
            failure: failedInit,
          };
        }
        const failure = result?.invocations.find((each) => !/^ok\b/.test(each));
        if (result === undefined || (failure === undefined && result.connectionsOpened > 0)) return undefined;
        return {
          verdict: verdictOf({ ...nothing, invocations: invocationsOf(failure) }),
          ...(failure === undefined ? {} : { failure }),
        };
      } catch (error) {
        if (!(error instanceof InitError)) throw error;
        return { verdict: verdictOf({ ...nothing, initError: error.error }), failure: error.message };
      } finally {
        await close();
      }
    },
    (found) => `function     ${found === undefined ? "it answers, and opens a connection" : found.verdict.sentence}`,
  );
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

function faultsVerdict(name: string, played: readonly Played[], notPlayed: number): Verdict {
  const survived = played.filter((each) => each.survived).length;
  const clean = survived === played.length;
  const sentence = `${name} survives ${survived} of the ${played.length} faults that were played; ${notPlayed} were not`;
  return { kind: clean ? "clean" : "not clean", clean, sentence };
}

function print(name: string, played: readonly Played[], notPlayed: readonly NotPlayed[], verdict: Verdict): void {
  const rows = played.map(({ fault, survived, problems }): Row => {
    return [fault, survived ? colors.green("survived") : colors.red("not survived"), problems.join("; ")];
  });
  const width = Math.min(terminalWidth(), WIDEST);
  console.log(`\n${sideBySide([name, "what was wrong afterwards"], rows, width)}`);
  for (const reason of new Set(notPlayed.map(({ why }) => why))) {
    const faults = notPlayed.filter(({ why }) => why === reason).map(({ fault }) => fault);
    console.log(`\nNot played, since ${reason}:\n  ${faults.join(", ")}`);
  }
  console.log(`\n${verdictLine(verdict)}`);
  if (!verdict.clean) console.log("npx lambda-shutdown-lab compare, with the same --handler, says what to change.");
}
