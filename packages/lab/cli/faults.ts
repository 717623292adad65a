import { Command } from "commander";
import colors from "picocolors";
import { NEEDS, type Fault } from "../faults/fault";
import type { ShutdownExtension } from "../faults/shutdown-extension";
import { runFaults, type FaultRun } from "../faults/fault-runs";
import type { FaultResult } from "../faults/fault-result";
import { InitError } from "../lambda/execution-environment";
import type { LambdaRuntime } from "../lambda/lambda-runtime";
import type { LambdaError } from "../lambda/runtime-api";
import { failureAdvice, inputAdvice } from "../runs/input-advice";
import { sideBySide, terminalWidth, type Row } from "../runs/side-by-side";
import { verdictOf, type Findings, type Verdict } from "../runs/verdict";
import { inCommandContext, type CommandContext } from "./command-context";
import type { Check } from "./reporters";
import { showResult } from "./result-output";
import { UsageError } from "./usage-error";
import { EXIT_CODES, exitCodeOf } from "./exit-codes";
import { faultPlan, type NotPlayed } from "./fault-plan";
import { checkEntry, chosen, VARIABLES_HELP, withHandlerOptions, type HandlerOptions } from "./handler-options";

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
  if (options.tcp !== undefined) {
    throw new UsageError("--tcp cannot be used with faults, which play a MySQL server; use run, compare or storm");
  }
  const first = await chosen(context, options);
  const { subject, runtime: name } = first;
  const extension = options.attach === true ? "internal" : (options.extension ?? "external");
  const runtime = await context.runtime(name, options.image);
  const { faultRuns, notPlayed } = faultPlan(first, extension, options.env);
  const common = { command: "faults", subject: subject.name };
  const details = {
    function: subject.name,
    extension,
    extensionIsAssumed: first.extensionIsAssumed,
    runtime,
    notPlayed,
  };
  const inVain = await probe(context, faultRuns, runtime);
  if (inVain !== undefined) {
    checkEntry(options, inVain.initError);
    const given = Object.keys(options.env);
    const change =
      inVain.failure === undefined
        ? inputAdvice({ invocations: [], timeline: [] }, given)
        : failureAdvice(inVain.failure, given);
    const { verdict } = inVain;
    return showResult({ ...common, verdict, change, details: { ...details, played: [] }, text: "\n" }, options);
  }
  const played = await playAll(context, faultRuns, runtime);
  const verdict = faultsVerdict(subject.name, played, notPlayed.length, runtime.otherVersion);
  return showResult(
    {
      ...{ ...common, verdict },
      change: verdict.clean ? undefined : faultsAdvice(played),
      details: { ...details, played },
      text: faultsText(subject.name, played, notPlayed),
      checks: checksOf(played, notPlayed, runtime.otherVersion),
    },
    options,
  );
}

async function playAll(
  context: CommandContext,
  faultRuns: readonly FaultRun[],
  runtime: LambdaRuntime,
): Promise<readonly Played[]> {
  const { results, close } = await context.step(
    "starting the databases",
    () => runFaults(faultRuns, context.scratch, PATIENCE, runtime),
    () => "database     two of the lab's own, and one more for each fault that ends it",
  );
  const played: Played[] = [];
  try {
    for (const [index, { fault }] of faultRuns.entries()) {
      const title = `fault ${index + 1} of ${faultRuns.length}: ${fault.name}`;
      played.push(
        await context.step(
          title,
          async () => playedFrom(fault, results[index]),
          ({ survived }) => `${title}${survived ? "" : ", not survived"}`,
        ),
      );
    }
  } finally {
    await close();
  }
  return played;
}

function checksOf(
  played: readonly Played[],
  notPlayed: readonly NotPlayed[],
  otherRuntime: string | undefined,
): readonly Check[] {
  return [
    ...played.map((each): Check => {
      const { fault, survived, problems, happens } = each;
      const message = survived ? happens : problems.join("; ");
      if (otherRuntime !== undefined) {
        return { name: fault, result: "not proven here", message: `on ${otherRuntime}: ${message}` };
      }
      const failed = isUnproven(each) ? "not proven here" : "not clean";
      return { name: fault, result: survived ? "clean" : failed, message };
    }),
    ...notPlayed.map(({ fault, why }): Check => ({ name: fault, result: "not played", message: why })),
  ];
}

/** Nothing that the faults would say anything about. */
interface InVain {
  readonly verdict: Verdict;
  readonly initError?: LambdaError;
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
          const initError = firstError === undefined ? {} : { initError: firstError };
          return {
            ...initError,
            verdict: verdictOf({ ...nothing, ...initError }),
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
        const initError = error.error;
        return { initError, verdict: verdictOf({ ...nothing, initError }), failure: error.message };
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

function faultsVerdict(
  name: string,
  played: readonly Played[],
  notPlayed: number,
  otherRuntime: string | undefined,
): Verdict {
  const survived = played.filter((each) => each.survived).length;
  const clean = survived === played.length;
  const busy = played.filter(isUnproven).length;
  const sentence = `${name} survives ${survived} of the ${played.length} faults that were played; ${notPlayed} were not`;
  if (otherRuntime !== undefined) {
    const where = `on ${otherRuntime}, which is not the named runtime, ${sentence}`;
    return { kind: "not proven here", clean: false, sentence: where };
  }
  if (busy > 0 && survived + busy === played.length) {
    const why = `the other ${busy} could not be judged, because this machine was too busy. Try again`;
    return { kind: "not proven here", clean: false, sentence: `${sentence}; ${why}` };
  }
  return { kind: clean ? "clean" : "not clean", clean, sentence };
}

/** The machine kept the runtime from running, each time that the fault was played. */
function isUnproven({ survived, result }: Played): boolean {
  return !survived && result?.starved !== undefined;
}

function faultsAdvice(played: readonly Played[]): string {
  const wasKilled = played.some(({ problems }) => problems.some((problem) => problem.includes("SIGKILL")));
  const limit = wasKilled
    ? "Close with a time limit shorter than the shutdown budget, because a server that does not answer keeps a close waiting until SIGKILL. closeOnShutdown and attach of lambda-graceful-shutdown have one.\n"
    : "";
  return `${limit}Use the run command with the same --handler, which says what to change.`;
}

function faultsText(name: string, played: readonly Played[], notPlayed: readonly NotPlayed[]): string {
  const rows = played.map((each): Row => {
    const { fault, survived, problems } = each;
    const outcome = survived ? colors.green("survived") : colors.red("not survived");
    return [fault, isUnproven(each) ? colors.yellow("not proven here") : outcome, problems.join("; ")];
  });
  const width = Math.min(terminalWidth(), WIDEST);
  const left = [...new Set(notPlayed.map(({ why }) => why))].map((reason) => {
    const faults = notPlayed.filter(({ why }) => why === reason).map(({ fault }) => fault);
    // The others cannot be played to anybody's handler; docs/faults.md has them.
    const names = reason === NEEDS["slow event"] ? `:\n  ${faults.join(", ")}` : ".";
    return `Not played: ${faults.length} row${faults.length === 1 ? "" : "s"}, since ${reason}${names}\n`;
  });
  return ["", sideBySide([name, "what was wrong afterwards"], rows, width), "", ...left, ""].join("\n");
}
