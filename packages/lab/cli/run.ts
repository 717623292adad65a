import { basename } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { Command, InvalidArgumentError, Option } from "commander";
import type { ExternalExtension } from "../lambda/execution-environment";
import { WORKERS_PER_VCPU } from "../lambda/managed-environment";
import { managedAdvice, managedVerdict, runManaged, type ManagedRunConfig } from "../runs/managed-run";
import { advice } from "../runs/advice";
import { logOf } from "../runs/comparison";
import { logInLine } from "../runs/log-in";
import { runVerdict, type Verdict } from "../runs/verdict";
import { events } from "./events";
import type { Events } from "../functions/project";
import { run, type End } from "../runs/run";
import { emulatorProgram } from "../lambda/emulator";
import { checkNamespace } from "../lambda/emulator-namespace";
import {
  besideTheLab,
  emulatorVerdict,
  runInEmulator,
  runManagedInEmulator,
  type EmulatorResult,
} from "../runs/emulator-run";
import { isExecutable } from "../processes/program-path";
import { fromInvocationDirectory } from "./invocation-directory";
import { inCommandContext, type CommandContext } from "./command-context";
import { showResult } from "./result-output";
import { runText } from "./run-text";
import { checked, UsageError } from "./usage-error";
import { wholeNumber } from "./whole-number";
import { checkWeb, runAsWebFunction, withWebOptions, type WebOptions } from "./web";
import { checkEntry, chosen, VARIABLES_HELP, type Chosen } from "./handler-options";
import { EXIT_CODES, exitCodeOf } from "./exit-codes";

const ENDS = ["spindown", "idle", "timeout", "failure"] as const;

interface RunOptions extends WebOptions {
  readonly events?: readonly unknown[];
  readonly end: End["how"];
  /** Milliseconds. */
  readonly frozen: number;
  /** Milliseconds, or as long as `frozen`. @default - it is not frozen between events */
  readonly freezeBetween?: number | true;
  readonly logs?: boolean;
  /** A path, or the one on the PATH. @default - the lab alone judges */
  readonly emulator?: string | true;
  /** @default - the fake of Lambda Insights, where there is an external extension */
  readonly extensionProgram?: readonly ExternalExtension[];
  /** Worker threads. @default - an execution environment with one invocation at a time */
  readonly managedInstances?: number;
}

const MILLISECONDS = wholeNumber(0, 3_600_000);

/** Seconds: shorter than the stack's timeout, so that a user who wants to see a time-out does not wait for it. */
const TIMEOUT_TO_SEE = 2;

const HELP = `
Examples:
  $ npx lambda-shutdown-lab run                                       what is deployed, at its best
  $ npx lambda-shutdown-lab run --extension none                      without SIGTERM: its connection is leaked
  $ npx lambda-shutdown-lab run --auth iam                            with an IAM token in the place of the secret
  $ npx lambda-shutdown-lab run --end timeout                         SIGTERM in the middle of a statement
  $ npx lambda-shutdown-lab run --handler ./theirs --events day.jsonl --logs
  $ npx lambda-shutdown-lab run --handler theirs.zip --env 'SQL_HOST={host}' --end failure
  $ npx lambda-shutdown-lab run --managed-instances 2 --emulator      in AWS's emulator as well, as root
  $ npx lambda-shutdown-lab run --handler ./server --web --slow-event '{"path":"/slow"}'
  $ npx lambda-shutdown-lab run --image public.ecr.aws/lambda/nodejs:24     on AWS's base image, in Docker
${VARIABLES_HELP}

A process that is killed in an invocation (--end failure) closes nothing, so that end is never clean.${EXIT_CODES}`;

export function runCommand(): Command {
  const command = withWebOptions(
    new Command("run")
      .summary("one execution environment from Init to its end: its timeline, and what became of each connection")
      .description(
        "Takes one execution environment through Init, some invocations and its end, and tells what became of each " +
          "connection: of the function that cdktf synth wrote, or of a handler of yours.",
      ),
  );
  return withEmulationOptions(withEndOptions(command))
    .option("--logs", "print what the function logged as well")
    .addHelpText("after", HELP)
    .action(async (options: RunOptions) => {
      process.exitCode = exitCodeOf(await inCommandContext((context) => runAndShow(context, options)));
    });
}

function withEndOptions(command: Command): Command {
  return command
    .option("--events <file>", "what to invoke it with, a JSON array or JSON lines (default: --event once)", events)
    .addOption(
      new Option(
        "--end <how>",
        "spindown: frozen, then taken away, as Lambda does; idle: taken away at once; " +
          "timeout: --slow-event takes longer than --timeout; failure: its process is killed in an invocation",
      )
        .choices(ENDS)
        .default("spindown"),
    )
    .option("--frozen <ms>", "how long it is frozen before the spindown", MILLISECONDS, 1_000)
    .option(
      "--freeze-between [ms]",
      "freeze it between the events as well, for as long as --frozen says or as long as named",
      MILLISECONDS,
    );
}

function withEmulationOptions(command: Command): Command {
  return command
    .option(
      "--emulator [path]",
      "play it in AWS's own emulator as well, aws-lambda-rie on the PATH or named, and print its verdict beside the lab's",
    )
    .addOption(
      new Option(
        "--managed-instances [workers]",
        "an environment of Lambda Managed Instances, with an invocation on each worker; half of them are busy with --slow-event at its end (default: 8, for one vCPU)",
      )
        .argParser(wholeNumber(1, 64))
        .preset(String(WORKERS_PER_VCPU)),
    )
    .option(
      "--extension-program <path>",
      "an external extension of yours, a program as in /opt/extensions, in the place of the fake; may be repeated",
      extensionProgram,
    );
}

async function runAndShow(context: CommandContext, options: RunOptions): Promise<Verdict> {
  checkWeb(options);
  if (options.web === true) return runAsWebFunction(context, options);
  const { end, extensionProgram: extensions } = options;
  const timeout = options.timeout ?? (end === "timeout" ? TIMEOUT_TO_SEE : undefined);
  checkExtensionProgram(options);
  const choice = await chosen(context, {
    ...options,
    ...(timeout === undefined ? {} : { timeout }),
    ...(extensions === undefined ? {} : { extension: "external" }),
  });
  checkCombination(options, choice);
  const subject = extensions === undefined ? choice.subject : { ...choice.subject, extensions };
  const program = emulatorOf(options);
  const runtime = await context.runtime(choice.runtime, options.image);
  const database = await context.database();
  const play = { choice, subject, runtime, database, program };
  return options.managedInstances === undefined
    ? runOnDemand(context, options, play)
    : runOnManagedInstances(context, options, play);
}

/** What one run works with. */
interface Play extends Pick<ManagedRunConfig, "subject" | "runtime" | "database"> {
  readonly choice: Chosen;
  /** Path of AWS's emulator. @default - the lab alone judges */
  readonly program: string | undefined;
}

function checkExtensionProgram({ extensionProgram, extension = "external" }: RunOptions): void {
  if (extensionProgram !== undefined && extension !== "external") {
    throw new UsageError(`--extension-program: not with --extension ${extension}`);
  }
}

function checkCombination(options: RunOptions, { runtime, events }: Chosen): void {
  const { end, image, managedInstances, emulator, tcp } = options;
  if (managedInstances !== undefined && image !== undefined) {
    throw new UsageError("--managed-instances cannot be used with --image");
  }
  if (managedInstances !== undefined && tcp !== undefined) {
    throw new UsageError("--managed-instances cannot be used with --tcp");
  }
  if (managedInstances !== undefined && !runtime.startsWith("nodejs")) {
    throw new UsageError(`--managed-instances does not run on ${runtime}, only on nodejs24.x`);
  }
  if (emulator !== undefined && (image !== undefined || end === "failure")) {
    throw new UsageError(`--emulator cannot be used with ${end === "failure" ? "--end failure" : "--image"}`);
  }
  if (end === "timeout" && !("slow" in events)) {
    throw new UsageError(
      "--end timeout needs --slow-event <json>: an event that keeps your handler busy for longer than --timeout",
    );
  }
}

function emulatorOf({ emulator, managedInstances }: RunOptions): string | undefined {
  if (emulator === undefined) return undefined;
  const program = checked(() => emulatorProgram(emulator === true ? undefined : fromInvocationDirectory(emulator)));
  checkNamespace(managedInstances !== undefined);
  return program;
}

async function runOnDemand(
  context: CommandContext,
  options: RunOptions,
  { choice, subject, runtime, database, program }: Play,
): Promise<Verdict> {
  const { events, extensionIsAssumed, adviceContext } = choice;
  const all = options.events ?? [events.quick];
  const end = endOf(options, all, events);
  const title = `${subject.name}: Init, Invoke, ${options.end}`;
  const freezeBetweenMs = options.freezeBetween === true ? options.frozen : options.freezeBetween;
  const between = freezeBetweenMs === undefined ? {} : { freezeBetweenMs };
  const result = await context.step(
    title,
    () => run(subject, runtime, database, all, end, between),
    () => title,
  );
  checkEntry(options, result.initError);
  const emulated = await inEmulator(context, title, program, (path) =>
    runInEmulator(subject, runtime, database, all, end, path),
  );
  const { kind, description } = database;
  return showResult(
    {
      command: "run",
      subject: subject.name,
      verdict: withEmulators(runVerdict(result), emulated),
      change: advice(result, extensionIsAssumed, adviceContext),
      details: { extensionIsAssumed, runtime, database: { kind, description }, result, emulator: emulated },
      text: runText(result, [result], { extensionIsAssumed, logs: options.logs ?? false }),
      notes: emulated === undefined ? [] : [besideTheLab(result, emulated)],
    },
    options,
  );
}

async function inEmulator(
  context: CommandContext,
  title: string,
  program: string | undefined,
  play: (program: string) => Promise<EmulatorResult>,
): Promise<EmulatorResult | undefined> {
  if (program === undefined) return undefined;
  const step = `${title}, in AWS's emulator`;
  return context.step(
    step,
    () => play(program),
    () => step,
  );
}

/** Clean is what is clean in both. */
function withEmulators(verdict: Verdict, emulated: EmulatorResult | undefined): Verdict {
  if (emulated === undefined || !verdict.clean) return verdict;
  const { clean, sentence } = emulatorVerdict(emulated);
  return clean ? verdict : { kind: "not clean", clean, sentence: stripVTControlCharacters(sentence) };
}

async function runOnManagedInstances(
  context: CommandContext,
  options: RunOptions,
  { choice, subject, runtime, database, program }: Play,
): Promise<Verdict> {
  const title = `${subject.name}: Managed Instances, Init, Invoke, Shutdown`;
  // The project's own slow event is for another end; here it has to be asked for.
  const slow = "slowEvent" in options ? { slowEvent: options.slowEvent } : {};
  const workers = options.managedInstances ?? WORKERS_PER_VCPU;
  const config = { ...{ subject, runtime, database, workers }, event: choice.events.quick, ...slow };
  const result = await context.step(
    title,
    () => runManaged(config),
    () => title,
  );
  const emulated = await inEmulator(context, title, program, (path) => runManagedInEmulator(config, path));
  const log = options.logs === true ? `${logOf("its log", result.logs)}\n` : "";
  return showResult(
    {
      command: "run",
      subject: subject.name,
      verdict: withEmulators(managedVerdict(result), emulated),
      change: managedAdvice(result),
      details: { runtime, result, emulator: emulated },
      text: `${log}${logInLine(result.logIn)}\n\n`,
      notes: emulated === undefined ? [] : [besideTheLab(result, emulated)],
    },
    options,
  );
}

function extensionProgram(text: string, before: readonly ExternalExtension[] = []): readonly ExternalExtension[] {
  const path = fromInvocationDirectory(text);
  if (!isExecutable(path)) throw new InvalidArgumentError("Allowed is the path of an executable file.");
  const name = basename(path);
  if (before.some((each) => each.name === name)) throw new InvalidArgumentError(`"${name}" is there twice.`);
  return [...before, { name, command: [path] }];
}

function endOf({ end, frozen }: RunOptions, events: readonly unknown[], { quick, slow }: Events): End {
  switch (end) {
    case "spindown":
      return { how: end, frozenMs: frozen };
    case "timeout":
      return { how: end, event: slow };
    case "failure":
      return { how: end, event: events.at(-1) ?? quick };
    case "idle":
      return { how: end };
  }
}
