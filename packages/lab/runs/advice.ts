import { callerOf } from "../functions/code-origin";
import { closingCode, ATTACH, LEAVING_CODE } from "./advice-code";
import { initAdvice, inputAdvice, invocationAdvice } from "./input-advice";
import { firstLine, shortened } from "./one-line";
import type { Opened, RunResult } from "./run";
import { isHidden, runVerdict } from "./verdict";

const MAX_COMMAND_LENGTH = 100;

type Language = NonNullable<RunResult["language"]>;

/** Go and Rust register an extension themselves. Measured by runs/languages.test.ts; Java's by hand, on client 2.10.1. */
export const LANGUAGE_ADVICE: Readonly<Record<Exclude<Language, "nodejs">, string>> = {
  go: "Start the handler with lambda.StartWithOptions(handler, lambda.WithEnableSIGTERM(callback)), and end the callback, which closes every connection, with os.Exit(0).",
  rust: "Call spawn_graceful_shutdown_handler (feature graceful-shutdown of lambda_runtime) with a future that closes every connection, and give each wait in it a time limit.",
  python:
    "Register signal.signal(signal.SIGTERM, on_sigterm) where the module is loaded, close every connection in on_sigterm, and end it with os._exit(0), because sys.exit(0) hangs on Python 3.13; SIGTERM needs an extension, and python3.12 or later, whose client hears it while it waits.",
  java: "Close every connection in a hook of Runtime.getRuntime().addShutdownHook; SIGTERM needs an extension, best an internal one, whose 500 ms are enough for the JVM to leave.",
  other:
    "Handle SIGTERM in bootstrap (a shell script starts the program with exec), close every connection, then exit; SIGTERM needs an extension.",
};

/** The variables of the command line, for errors that one of them would repair. */
export interface AdviceContext {
  /** @default none */
  readonly given?: readonly string[];
}

/**
 * What was seen, where, and what repairs it; nothing if the run was clean. Lines that begin with four spaces are code to
 * copy. It is about the first problem alone: a function without SIGTERM needs no advice on how to exit.
 *
 * @param extensionIsAssumed whether the lab brought the extension that made Lambda send SIGTERM
 */
export function advice(
  result: RunResult,
  extensionIsAssumed = false,
  { given = [] }: AdviceContext = {},
): string | undefined {
  if (runVerdict(result).clean) return undefined;
  const { initError, outcomes, language = "nodejs" } = result;
  if (result.isLate === true) return "Run it again while this machine does less.";
  if (initError !== undefined) return initAdvice(result, initError, given);
  if (outcomes.length === 0) return inputAdvice(result, given);
  const lines = linesOf(result, language);
  if (extensionIsAssumed && language === "nodejs" && lines.includes(ATTACH[0])) {
    lines.push("The lab assumed an extension (--extension external). Without one Lambda sends no SIGTERM.");
  }
  return lines.length === 0 ? undefined : lines.join("\n");
}

function linesOf(result: RunResult, language: Language): string[] {
  const { shutdown, outcomes, end } = result;
  const isClosed = outcomes.every((outcome) => outcome === "closed");
  const failure = result.invocations.find((each) => !each.ok);
  if (failure?.ok === false && failure.error.errorType === "Runtime.ExitError" && result.uncaught !== undefined) {
    return crashLines(result);
  }
  if (isClosed && failure?.ok === false) {
    const { errorType, errorMessage } = failure.error;
    return [invocationAdvice(firstLine(`${errorType}: ${errorMessage}`), result)];
  }
  if (shutdown.endedBy === "gone before") return end === "failure" ? [KILLED_BY_THE_LAB] : crashLines(result);
  if (isClosed && isHidden(result)) return [HIDDEN];
  if (isClosed && shutdown.endedBy !== "SIGKILL at its deadline") return [];
  if (language !== "nodejs") return [sentenceOf(result), LANGUAGE_ADVICE[language]];
  return isClosed
    ? [leftTooLate(result), ...ATTACH, "Or leave in this way, without process.exit():", ...LEAVING_CODE]
    : [sentenceOf(result), ...closingLines(result)];
}

const KILLED_BY_THE_LAB =
  "Nothing in the shutdown can be changed: a process that is killed in an invocation closes nothing, so the kernel closes its sockets and the server counts them as aborted.";
const HIDDEN =
  "Let it connect without TLS in the lab, such as with sslmode=disable, so that the lab sees what it sends.";

function crashLines({ uncaught, exitCall, logs }: RunResult): string[] {
  if (uncaught === undefined) {
    const why = exitCall === undefined ? "it ended" : `${callerOf(exitCall)} called process.exit()`;
    return [`Keep the process alive: ${why} before any signal, so it could close nothing.`];
  }
  // Node.js names the emitter when it prints the error.
  const emitter = logs
    .find((line) => line.includes("Emitted 'error' event on "))
    ?.trim()
    .replace(/:$/, "");
  return [
    `Catch the error that ended the process before any signal: ${firstLine(uncaught)}.`,
    ...frames(uncaught),
    ...(emitter === undefined ? [] : [`Nothing listens to it (${emitter}). Give the object a listener:`, EMITTER]),
  ];
}

const EMITTER = '    ….on("error", (error) => console.error(error)); // the object that emitted it';

/** Without Node.js's own. */
function frames(stack: string): readonly string[] {
  const own = stack.split("\n").filter((line) => line.trim().startsWith("at ") && !line.includes("node:"));
  return own.slice(0, 5).map((line) => `    ${line.trim()}`);
}

/** What was seen of the connections, and where they were opened. */
function sentenceOf(result: RunResult): string {
  const { shutdown, outcomes, uncaught } = result;
  const all = outcomes.length;
  const open = outcomes.filter((outcome) => outcome !== "closed").length;
  const left = `${open} of ${all} connection${all === 1 ? "" : "s"}`;
  const places = placesOf(result);
  switch (shutdown.endedBy) {
    case "SIGKILL at once":
      return `No extension is registered, so Lambda sent SIGKILL and no SIGTERM: ${left} stayed on the server${places}.`;
    case "SIGKILL at its deadline": {
      const thrown = uncaught === undefined ? "" : `, because its SIGTERM listener fails with ${firstLine(uncaught)}`;
      return open === 0
        ? `It closed every connection and did not leave before its deadline${thrown}.`
        : `It listens to SIGTERM and did not leave before its deadline${thrown}: ${left} not closed${places}.`;
    }
    case "SIGTERM, unheard":
      return `Nothing listens to SIGTERM, which ended the process with ${left} open${places}.`;
    default:
      return `It left on SIGTERM with ${left} open${places}.`;
  }
}

function leftOpen({ opened = [] }: Pick<RunResult, "opened">): readonly Opened[] {
  return opened.filter(({ outcome }) => outcome !== "closed");
}

function placesOf(result: RunResult): string {
  const origins = [...new Set(leftOpen(result).map(originInWords))].filter((origin) => origin !== "");
  return origins.length === 0 ? "" : ` (opened ${origins.join("; ")})`;
}

function originInWords({ place, packages, child }: Opened): string {
  if (child !== undefined) return `by the child process "${shortened(child, MAX_COMMAND_LENGTH)}"`;
  const by = packages.length === 0 ? "" : ` by ${packages.slice(0, 2).join(" of ")}`;
  return place === undefined ? by.trim() : `at ${place}${by}`;
}

function leftTooLate({ exitCall, uncaught }: RunResult): string {
  if (uncaught !== undefined) {
    return `It closed every connection, then its SIGTERM listener failed with ${firstLine(uncaught)}, and the process was killed at its deadline.`;
  }
  if (exitCall === undefined) {
    return "It closed every connection and did not leave, so it was killed at its deadline. Do nothing slow after the close.";
  }
  return `It closed every connection, then ${callerOf(exitCall)} called process.exit(), which hangs under AWS's runtime client until SIGKILL.`;
}

/** How to close what was left open, in each file or child process that opened it. */
function closingLines(result: RunResult): readonly string[] {
  const left = leftOpen(result);
  const children = left.some(({ child }) => child !== undefined) ? [CHILD] : [];
  const byFile = new Map(left.flatMap((each) => (each.child === undefined ? [[fileOf(each), each] as const] : [])));
  if (left.length === 0) byFile.set(undefined, { outcome: "aborted", isModule: true, packages: [] });
  const code = [...byFile].flatMap(([file, { packages, isModule }]) => [
    `Or in the code, in ${file ?? "the file that makes the connections"}, where … is what holds them:`,
    ...closingCode(isModule, packages.at(1) ?? packages[0]),
  ]);
  return [...children, ...(code.length === 0 ? [] : ATTACH), ...code];
}

const CHILD =
  "Let the child process close its own connections on SIGTERM. Lambda signals the runtime's process group; a detached child has left that group, so the handler's SIGTERM listener must signal the child and wait until it is gone.";

function fileOf({ place }: Opened): string | undefined {
  return place?.slice(0, place.lastIndexOf(":"));
}
