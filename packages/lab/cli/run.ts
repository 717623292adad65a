import { accessSync, constants, statSync } from "node:fs";
import { basename } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { Command, InvalidArgumentError, Option } from "commander";
import type { ExternalExtension } from "../lambda/execution-environment";
import { WORKERS_PER_VCPU } from "../lambda/managed-environment";
import { managedAdvice, managedVerdict, runManaged, type ManagedRunConfig } from "../runs/managed-run";
import { advice } from "../runs/advice";
import { comparison, failuresOf, logOf, logOfFailure, timelineOf } from "../runs/comparison";
import { logInLine } from "../runs/log-in";
import { runVerdict, verdictLine, type Verdict } from "../runs/verdict";
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
import { fromInvocationDirectory } from "./invocation-directory";
import { inCommandContext, type CommandContext } from "./command-context";
import { ownsOutput, report } from "./reporters";
import { UsageError } from "./usage-error";
import { chosen, VARIABLES_HELP, withRunOptions, type HandlerOptions } from "./handler-options";
import { EXIT_CODES, exitCodeOf } from "./exit-codes";

const ENDS = ["spindown", "idle", "timeout", "failure"] as const;

interface RunOptions extends HandlerOptions {
  readonly events?: readonly unknown[];
  readonly end: End["how"];
  /** Milliseconds. */
  readonly frozen: number;
  readonly logs?: boolean;
  /** A path, or the one on the PATH. @default - the lab alone judges */
  readonly emulator?: string | true;
  /** @default - the stand-in for Lambda Insights, where there is an external extension */
  readonly extensionProgram?: readonly ExternalExtension[];
  /** Worker threads. @default - an execution environment with one invocation at a time */
  readonly managedInstances?: number;
}

/** Seconds: shorter than the stack's timeout, so that a user who wants to see a time-out does not wait for it. */
const TIMEOUT_TO_SEE = 2;

export function runCommand(): Command {
  const command = withRunOptions(
    new Command("run")
      .summary("one execution environment from Init to its end: its timeline, and what became of each connection")
      .description(
        "Takes one execution environment through Init, some invocations and its end, and tells what became of each " +
          "connection: of the function that cdktf synth wrote, or of a handler of yours.",
      ),
  );
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
    .option("--frozen <ms>", "how long it is frozen before the spindown", milliseconds, 1_000)
    .option(
      "--emulator [path]",
      "play it in AWS's own emulator as well, aws-lambda-rie on the PATH or named, and print its verdict beside the lab's",
    )
    .addOption(
      new Option(
        "--managed-instances [workers]",
        "an environment of Lambda Managed Instances, with an invocation on each worker; half of them are busy with --slow-event at its end (default: 8, for one vCPU)",
      )
        .argParser(workerCount)
        .preset(String(WORKERS_PER_VCPU)),
    )
    .option(
      "--extension-program <path>",
      "an external extension of yours, a program as in /opt/extensions, in the place of the stand-in; may be repeated",
      extensionProgram,
    )
    .option("--logs", "print what the function logged as well")
    .addHelpText(
      "after",
      `
Examples:
  $ npx lambda-shutdown-lab run                                       what is deployed, at its best
  $ npx lambda-shutdown-lab run --extension none                      without SIGTERM: its connection is leaked
  $ npx lambda-shutdown-lab run --auth iam                            with an IAM token in the place of the secret
  $ npx lambda-shutdown-lab run --end timeout                         SIGTERM in the middle of a statement
  $ npx lambda-shutdown-lab run --handler ./theirs --events day.jsonl --logs
  $ npx lambda-shutdown-lab run --handler theirs.zip --env 'SQL_HOST={host}' --end failure
  $ npx lambda-shutdown-lab run --managed-instances 2 --emulator      in AWS's emulator as well, as root
  $ npx lambda-shutdown-lab run --image public.ecr.aws/lambda/nodejs:24     on AWS's base image, in Docker
${VARIABLES_HELP}

A process that is killed in an invocation (--end failure) closes nothing, so that end is never clean.${EXIT_CODES}`,
    )
    .action(async (options: RunOptions) => {
      process.exitCode = exitCodeOf(await inCommandContext((context) => runAndShow(context, options)));
    });
}

async function runAndShow(context: CommandContext, options: RunOptions): Promise<Verdict> {
  const { end } = options;
  const timeout = options.timeout ?? (end === "timeout" ? TIMEOUT_TO_SEE : undefined);
  const { extensionProgram: extensions } = options;
  if (extensions !== undefined && (options.extension ?? "external") !== "external") {
    throw new UsageError(`--extension-program: not with --extension ${options.extension ?? ""}`);
  }
  const choice = await chosen(context, {
    ...options,
    ...(timeout === undefined ? {} : { timeout }),
    ...(extensions === undefined ? {} : { extension: "external" }),
  });
  const { runtime: name, extensionIsAssumed, events, adviceContext } = choice;
  const subject = extensions === undefined ? choice.subject : { ...choice.subject, extensions };
  if (options.managedInstances !== undefined && options.image !== undefined) {
    throw new UsageError("--managed-instances cannot be used with --image");
  }
  if (options.managedInstances !== undefined && !name.startsWith("nodejs")) {
    throw new UsageError(`--managed-instances does not run on ${name}, only on nodejs24.x`);
  }
  if (options.emulator !== undefined && (options.image !== undefined || end === "failure")) {
    throw new UsageError(`--emulator cannot be used with ${end === "failure" ? "--end failure" : "--image"}`);
  }
  const program =
    options.emulator === undefined
      ? undefined
      : emulatorProgram(options.emulator === true ? undefined : fromInvocationDirectory(options.emulator));
  if (program !== undefined) checkNamespace(options.managedInstances !== undefined);
  const runtime = await context.runtime(name, options.image);
  const database = await context.database();
  if (end === "timeout" && !("slow" in events)) {
    throw new UsageError(
      "--end timeout needs --slow-event <json>: an event that keeps your handler busy for longer than --timeout",
    );
  }
  if (options.managedInstances !== undefined) {
    return runOnManagedInstances(context, options, { subject, runtime, database, events }, program);
  }
  const given = options.events ?? [events.quick];
  const title = `${subject.name}: Init, Invoke, ${end}`;
  const result = await context.step(
    title,
    () => run(subject, runtime, database, given, endOf(options, given, events)),
    () => title,
  );
  const emulated =
    program === undefined
      ? undefined
      : await context.step(
          `${title}, in AWS's emulator`,
          () => runInEmulator(subject, runtime, database, given, endOf(options, given, events), program),
          () => `${title}, in AWS's emulator`,
        );
  const verdict = withEmulators(runVerdict(result), emulated);
  const { clean, kind: verdictKind, sentence } = verdict;
  const change = advice(result, extensionIsAssumed, adviceContext);
  if (options.json === true) {
    const { kind, description } = database;
    const found = {
      ...{ clean, verdict: verdictKind, sentence, change, runtime, database: { kind, description }, result },
      ...(emulated === undefined ? {} : { emulator: emulated }),
    };
    console.log(JSON.stringify(found, undefined, 2));
  }
  report("run", [{ name: subject.name, result: verdictKind, message: sentence }], options.reporter);
  if (options.json === true || ownsOutput(options.reporter)) return verdict;
  console.log(`\n${timelineOf(result)}\n\n${comparison([result])}\n\n${logInLine(result.logIn)}\n`);
  const failures = failuresOf(result);
  if (failures !== "") console.log(failures);
  const log = options.logs === true ? logOf("its log", result.logs) : logOfFailure(result);
  if (log !== "") console.log(log);
  console.log(verdictLine(verdict));
  if (emulated !== undefined) console.log(besideTheLab(result, emulated));
  if (change !== undefined) console.log(`To change: ${change}.`);
  return verdict;
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
  {
    subject,
    runtime,
    database,
    events,
  }: Pick<ManagedRunConfig, "subject" | "runtime" | "database"> & { events: Events },
  program: string | undefined,
): Promise<Verdict> {
  const title = `${subject.name}: Managed Instances, Init, Invoke, Shutdown`;
  // The project's own slow event is for another end; here it has to be asked for.
  const slow = "slowEvent" in options ? { slowEvent: options.slowEvent } : {};
  const workers = options.managedInstances ?? WORKERS_PER_VCPU;
  const config = { ...{ subject, runtime, database, workers }, event: events.quick, ...slow };
  const result = await context.step(
    title,
    () => runManaged(config),
    () => title,
  );
  const emulated =
    program === undefined
      ? undefined
      : await context.step(
          `${title}, in AWS's emulator`,
          () => runManagedInEmulator(config, program),
          () => `${title}, in AWS's emulator`,
        );
  const verdict = withEmulators(managedVerdict(result), emulated);
  const { clean, kind, sentence } = verdict;
  const change = managedAdvice(result);
  if (options.json === true) {
    const found = { clean, verdict: kind, sentence, change, runtime, result };
    console.log(JSON.stringify({ ...found, ...(emulated === undefined ? {} : { emulator: emulated }) }, undefined, 2));
  }
  report("run", [{ name: subject.name, result: kind, message: sentence }], options.reporter);
  if (options.json === true || ownsOutput(options.reporter)) return verdict;
  if (options.logs === true) console.log(logOf("its log", result.logs));
  console.log(`${logInLine(result.logIn)}\n\n${verdictLine(verdict)}`);
  if (emulated !== undefined) console.log(besideTheLab(result, emulated));
  if (change !== undefined) console.log(`To change: ${change}.`);
  return verdict;
}

function workerCount(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 64) return number;
  throw new InvalidArgumentError("Expected a whole number from 1 to 64.");
}

function extensionProgram(text: string, before: readonly ExternalExtension[] = []): readonly ExternalExtension[] {
  const path = fromInvocationDirectory(text);
  if (!isProgram(path)) throw new InvalidArgumentError("Allowed is the path of an executable file.");
  const name = basename(path);
  if (before.some((each) => each.name === name)) throw new InvalidArgumentError(`"${name}" is there twice.`);
  return [...before, { name, command: [path] }];
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function endOf({ end, frozen }: RunOptions, given: readonly unknown[], { quick, slow }: Events): End {
  switch (end) {
    case "spindown":
      return { how: end, frozenMs: frozen };
    case "timeout":
      return { how: end, event: slow };
    case "failure":
      return { how: end, event: given.at(-1) ?? quick };
    case "idle":
      return { how: end };
  }
}

function milliseconds(text: string): number {
  const number = Number(text);
  if (text !== "" && Number.isInteger(number) && number >= 0 && number <= 3_600_000) return number;
  throw new InvalidArgumentError("Expected milliseconds, a whole number from 0 to 3600000.");
}
