import { callerOf } from "../functions/code-origin";
import { ASKED_TOO_EARLY } from "../lambda/lifecycle";
import type { LambdaError } from "../lambda/runtime-api";
import { firstLine } from "./one-line";
import { LOG_IN_REFUSED, type RunResult } from "./run";
import { unwatchedInWords } from "./unwatched-connections";

/** What to give a handler that reached no database: variables, or another event. */
export function inputAdvice(
  result: Pick<RunResult, "invocations" | "timeline" | "language" | "unwatched">,
  given: readonly string[] = [],
): string {
  const { invocations, timeline, unwatched = [] } = result;
  const [failed] = invocations.flatMap((each) => (each.ok ? [] : [each.error]));
  if (unwatched.length > 0) return `${unwatchedInWords(unwatched)}.`;
  if (timeline.some(({ what }) => what.startsWith(LOG_IN_REFUSED))) {
    return "Let it log in as the lab's user, because the server refused its log-in. Give it --env NAME={user} and --env NAME={password}.";
  }
  const statusCode = invocations.flatMap((each) => (each.ok ? (statusCodeOf(each.payload) ?? []) : []))[0];
  if (statusCode !== undefined) {
    return `Send an event that it takes: it answered statusCode ${statusCode}. Use --event <json>, or --events <file> with real events.`;
  }
  if (failed !== undefined) return failureAdvice(`${failed.errorType}: ${failed.errorMessage}`, given, result.language);
  return "It answered without a connection that the lab watches. Give it its database variables (--env NAME={host}), or an event for which it uses its database (--event <json>). For PostgreSQL, Redis and others use --tcp NAME=HOST:PORT.";
}

function statusCodeOf(payload: unknown): number | undefined {
  const code = (payload as { readonly statusCode?: unknown } | null)?.statusCode;
  return typeof code === "number" && code >= 400 ? code : undefined;
}

/** @param given names of the variables from the command line */
export function failureAdvice(text: string, given: readonly string[], language?: RunResult["language"]): string {
  const failure = firstLine(text);
  if (isAboutTrust(failure)) return trustAdvice(failure, given, language);
  const elsewhere = /(?:ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH) (\S+)/.exec(failure)?.[1];
  if (elsewhere !== undefined) {
    return `Let it connect to the lab's server instead of ${elsewhere}: it fails with ${failure}. It must read the address from a variable, which the lab or --env NAME={host} sets. If that is a server of yours, use --tcp NAME=HOST:PORT.`;
  }
  const time = failure.startsWith("Sandbox.Timedout") ? " If it needs longer, use --timeout <seconds>." : "";
  return `${repairFirst("invocation", failure)} If it misses a variable, use --env NAME=VALUE. If it expects another event, use --event <json> or --events <file>.${time}`;
}

/** What to change in an invocation that failed with its connections closed. */
export function invocationAdvice(failure: string, { timeline }: Pick<RunResult, "timeline">): string {
  const isUnsent = failure.startsWith("Sandbox.Timedout") && timeline.some(({ what }) => what === ASKED_TOO_EARLY);
  return isUnsent
    ? "Make the error shorter: AWS's client for Node.js cannot send an error of more than 1 MB, asks for its next event instead, and the invocation times out. In Lambda it does the same."
    : repairFirst("invocation", failure);
}

function repairFirst(what: string, failure: string): string {
  return `Repair the ${what} first, which fails with ${failure.replace(/\.$/, "")}.`;
}

/** What to change in a handler whose Init failed; the last line may be code. */
export function initAdvice(
  { language, exitCall, isModule = false }: Pick<RunResult, "language" | "exitCall" | "isModule">,
  { errorType, errorMessage }: LambdaError,
  given: readonly string[],
): string {
  const failure = firstLine(`${errorType}: ${errorMessage}`);
  if (failure.includes("CallbackHandlerDeprecated")) {
    const name = isModule ? "export const handler" : "exports.handler";
    return `Take the third parameter, callback, out of the handler, and return the answer from an async function: AWS's client for Node.js 24 refuses every handler with three parameters (--runtime nodejs22.x takes it). If a library makes the handler, wrap it:
    ${name} = async (event, context) => …(event, context); // … is what the library makes`;
  }
  if (/cannot find (module|package)/i.test(failure) || failure.includes("ImportModule")) {
    const how = language === "python" ? "beside it (pip install --target)" : "in node_modules beside it or bundled";
    return `Deploy every package that the handler loads, ${how}: it fails with ${failure}.`;
  }
  if (failure.startsWith("Runtime.HandlerNotFound")) {
    return `Export the handler under the name that it is started with, or name its export with --entry file.export: it fails with ${failure}.`;
  }
  if (failure.startsWith("Runtime.ExitError") && exitCall !== undefined) {
    return `Keep the process alive while the handler is loaded: ${callerOf(exitCall)} called process.exit().`;
  }
  if (failure.startsWith("Runtime.ExitError: Runtime exited without providing a reason")) {
    return "Keep the process alive while the handler is loaded: it ended with status 0 before it asked for an event, as it does if a top-level await never settles.";
  }
  if (isAboutTrust(failure)) return trustAdvice(failure, given, language);
  return failure.startsWith("Sandbox.Timedout")
    ? `Repair the Init first: what the handler waits for while it is loaded did not come (${failure}).`
    : `${repairFirst("Init", failure)} If it misses a variable, use --env NAME=VALUE.`;
}

function trustAdvice(failure: string, given: readonly string[], language: RunResult["language"] = "nodejs"): string {
  const variable = language === "nodejs" ? "NODE_EXTRA_CA_CERTS" : "SSL_CERT_FILE";
  return given.includes(variable)
    ? `Let it trust the lab's certificate authority: it fails with ${failure} although it has ${variable}. Let it read the file of its authorities from a variable, --env 'NAME={ca}'.`
    : `Let it trust the lab's certificate authority, because it fails with ${failure}: --env '${variable}={ca}'.`;
}

/** Of OpenSSL, as Node.js and Python pass it on. */
function isAboutTrust(failure: string): boolean {
  return /unable to (verify|get)[\w ]* certificate|self[- ]signed certificate|UNABLE_TO_\w+|CERTIFICATE_VERIFY_FAILED/i.test(
    failure,
  );
}
