import { existsSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { InvalidArgumentError, Option, type Command } from "commander";
import builder from "junit-report-builder";
import type { VerdictKind } from "../runs/verdict";
import { fromInvocationDirectory } from "./invocation-directory";
import { UsageError } from "./usage-error";

const KINDS = ["junit", "github"] as const;

/** Where a continuous integration reads the result. */
export interface Reporter {
  readonly kind: (typeof KINDS)[number];
  /** @default - standard output */
  readonly file?: string;
}

/** One thing that passed or did not. */
export interface Check {
  readonly name: string;
  /** `not played` is no failure, and no success either. */
  readonly result: VerdictKind | "not played";
  readonly message: string;
}

export function withReporter(command: Command): Command {
  return command.addOption(
    new Option(
      "--reporter <kind[=file]>",
      "the result for a continuous integration: junit (XML) or github (annotations), to standard output or a file; may be repeated",
    ).argParser(reporter),
  );
}

/** @throws UsageError if standard output would hold two formats */
export function checkReporters(reporters: readonly Reporter[] = [], json = false): void {
  const onOutput = reporters.filter(({ kind, file }) => kind === "junit" && file === undefined);
  if (onOutput.length > 0 && json) {
    throw new UsageError(
      "--reporter junit and --json both need standard output; give one a file: --reporter junit=<file>",
    );
  }
}

/** Whether standard output is a reporter's, which has it alone. */
export function ownsOutput(reporters: readonly Reporter[] = []): boolean {
  return reporters.some(({ kind, file }) => kind === "junit" && file === undefined);
}

export function report(command: string, checks: readonly Check[], reporters: readonly Reporter[] = []): void {
  for (const { kind, file } of reporters) {
    const text = kind === "junit" ? junit(command, checks) : annotations(command, checks);
    if (text === "") continue;
    if (file === undefined) process.stdout.write(`${text.trimEnd()}\n`);
    else writeFileSync(fromInvocationDirectory(file), `${text.trimEnd()}\n`);
  }
}

function junit(command: string, checks: readonly Check[]): string {
  const xml = builder.newBuilder();
  const suite = xml.testSuite().name(`lambda-shutdown-lab ${command}`);
  for (const { name, result, message } of checks) {
    const testCase = suite.testCase().className(`lambda-shutdown-lab.${command}`).name(name);
    if (result === "clean") testCase.standardOutput(message);
    else if (result === "not clean") testCase.failure(message, result);
    else if (result === "could not be invoked") testCase.error(message, result);
    else testCase.skipped().standardOutput(message);
  }
  return xml.build();
}

/** https://docs.github.com/actions/reference/workflow-commands-for-github-actions#setting-an-error-message */
function annotations(command: string, checks: readonly Check[]): string {
  const lines = checks.flatMap(({ name, result, message }) => {
    if (result === "clean" || result === "not played") return [];
    const level = result === "not clean" || result === "could not be invoked" ? "error" : "warning";
    return [
      `::${level} title=${property(`lambda-shutdown-lab ${command}: ${name}`)}::${data(`${result}: ${message}`)}`,
    ];
  });
  return lines.join("\n");
}

function data(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function property(text: string): string {
  return data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}

function reporter(text: string, before: readonly Reporter[] = []): readonly Reporter[] {
  const [, name = "", file] = /^(\w+)(?:=(.+))?$/.exec(text) ?? [];
  const kind = KINDS.find((each) => each === name);
  if (kind === undefined)
    throw new InvalidArgumentError(`Expected one of ${KINDS.join(", ")}, each with =<file> or without.`);
  if (file !== undefined && !existsSync(dirname(fromInvocationDirectory(file)))) {
    throw new InvalidArgumentError("Expected a file in a directory that exists.");
  }
  return [...before, { kind, ...(file === undefined ? {} : { file }) }];
}
