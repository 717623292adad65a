import { Command } from "commander";
import colors from "picocolors";
import { NEEDS } from "../faults/fault";
import type { ShutdownExtension } from "../faults/shutdown-extension";
import type { FaultResult } from "../faults/fault-result";
import { InitError } from "../lambda/execution-environment";
import type { LambdaError } from "../lambda/runtime-api";
import { failureAdvice, inputAdvice } from "../runs/input-advice";
import { sideBySide, terminalWidth, type Row } from "../runs/side-by-side";
import { verdictOf, type Findings, type Verdict } from "../runs/verdict";
import { inCommandContext, type CommandContext } from "./command-context";
import type { Check } from "./reporters";
import { showResult } from "./result-output";
import { EXIT_CODES, exitCodeOf } from "./exit-codes";
import { faultPlan, type FaultPlan, type NotPlayed, type PlannedFault } from "./fault-plan";
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
  $ npx lambda-shutdown-lab faults --handler ./theirs --tcp db=127.0.0.1:5432 --env 'PGPORT={db.port}'
  $ npx lambda-shutdown-lab faults --handler ./theirs --slow-event '{"report":"yearly"}' --json
${VARIABLES_HELP}

It takes a mariadbd of its own, which it treats badly (MYSQL_URL is left alone). With --tcp it plays the rows that
do not depend on MySQL: it stands between the handler and your server, and judges by what passes, not by what the
server counts. Rows that only make sense for a handler that knows more than one event are not played, and it says
which and why.${EXIT_CODES}`,
    )
    .action(async (options: FaultOptions) => {
      process.exitCode = exitCodeOf(await inCommandContext((context) => playAndShow(context, options)));
    });
}

async function playAndShow(context: CommandContext, options: FaultOptions): Promise<Verdict> {
  const first = await chosen(context, options);
  const { subject, extensionIsAssumed, runtime: name } = first;
  const extension = options.attach === true ? "internal" : (options.extension ?? "external");
  const runtime = await context.runtime(name, options.image);
  const plan = faultPlan(context, first, extension, options.env, runtime);
  const { notPlayed } = plan;
  const common = { command: "faults", subject: subject.name };
  const details = { function: subject.name, extension, extensionIsAssumed, runtime, notPlayed };
  const inVain = await probe(context, plan, subject.name);
  if (inVain !== undefined) {
    checkEntry(options, inVain.initError);
    const change = inputAdviceOn(inVain, options);
    const { verdict } = inVain;
    return showResult({ ...common, verdict, change, details: { ...details, played: [] }, text: "\n" }, options);
  }
  const played = await playAll(context, plan);
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

async function playAll(context: CommandContext, plan: FaultPlan): Promise<readonly Played[]> {
  const { faults } = plan;
  const { results, close } = await context.step(
    "preparing the faults",
    () => plan.start(faults, PATIENCE),
    () => `faults       ${faults.length} to play`,
  );
  const played: Played[] = [];
  try {
    for (const [index, fault] of faults.entries()) {
      const title = `fault ${index + 1} of ${faults.length}: ${fault.name}`;
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
async function probe(context: CommandContext, plan: FaultPlan, subject: string): Promise<InVain | undefined> {
  const easiest = plan.faults.find(({ invocations, target }) => invocations[0] === "ok" && target === undefined);
  if (easiest === undefined) return undefined;
  return context.step(
    "invoking it once",
    async () => {
      const { results, close } = await plan.start([easiest], 0);
      try {
        const result = await results[0];
        return result === undefined ? undefined : inVainOf(result, subject);
      } catch (error) {
        if (!(error instanceof InitError)) throw error;
        return failedInit(subject, error.error, error.message);
      } finally {
        await close();
      }
    },
    (found) => `function     ${found === undefined ? "it answers, and opens a connection" : found.verdict.sentence}`,
  );
}

const NO_CONNECTIONS = { opened: 0, closed: 0, aborted: 0, leaked: 0 };

function inVainOf({ problems, invocations, connectionsOpened }: FaultResult, subject: string): InVain | undefined {
  const ofInit = problems.find((problem) => problem.startsWith(INIT_FAILS))?.slice(INIT_FAILS.length);
  if (ofInit !== undefined) return failedInit(subject, invocationsOf(ofInit).firstError, ofInit);
  const failure = invocations.find((each) => !/^ok\b/.test(each));
  if (failure === undefined && connectionsOpened > 0) return undefined;
  const found = { subject, invocations: invocationsOf(failure), connections: NO_CONNECTIONS, endings: {} };
  return { verdict: verdictOf(found), ...(failure === undefined ? {} : { failure }) };
}

function failedInit(subject: string, error: LambdaError | undefined, failure: string): InVain {
  const initError = error === undefined ? {} : { initError: error };
  const found = { subject, invocations: { ok: 0, failed: 0 }, connections: NO_CONNECTIONS, endings: {}, ...initError };
  return { ...initError, verdict: verdictOf(found), failure };
}

function inputAdviceOn({ failure }: InVain, { env, tcp }: FaultOptions): string | undefined {
  const given = Object.keys(env);
  if (failure !== undefined) return failureAdvice(failure, given);
  return tcp === undefined
    ? inputAdvice({ invocations: [], timeline: [] }, given)
    : "The handler opened no connection to a server of --tcp. Set its variables with --env, such as --env PGPORT={name.port}.";
}

async function playedFrom({ name, happens }: PlannedFault, pending: Promise<FaultResult> | undefined): Promise<Played> {
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
    const isHidden = played.some(({ result }) => result?.isHidden === true);
    const because = isHidden ? "their connections are encrypted" : "this machine was too busy. Try again";
    const why = `the other ${busy} could not be judged, because ${because}`;
    return { kind: "not proven here", clean: false, sentence: `${sentence}; ${why}` };
  }
  return { kind: clean ? "clean" : "not clean", clean, sentence };
}

/** The machine kept the runtime from running, each time that the fault was played, or a connection is encrypted. */
function isUnproven({ survived, result }: Played): boolean {
  return !survived && (result?.starved !== undefined || result?.isHidden === true);
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
    const names = reason === NEEDS["slow event"] || reason === NEEDS.MySQL ? `:\n  ${faults.join("; ")}` : ".";
    return `Not played: ${faults.length} row${faults.length === 1 ? "" : "s"}, since ${reason}${names}\n`;
  });
  return ["", sideBySide([name, "what was wrong afterwards"], rows, width), "", ...left, ""].join("\n");
}
