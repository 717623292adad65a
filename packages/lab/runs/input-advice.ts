import type { HandlerCode } from "../functions/handler-code";
import type { HandlerLanguage } from "../functions/handler-language";
import { firstLine } from "./one-line";
import { missingVariables, readsUsual, tcpOf } from "./missing-variables";

/** What is known of a handler, beside what it did. */
export interface AdviceContext {
  /** @default - nothing is known of its code */
  readonly code?: HandlerCode;
  /** The names of the variables that it was given. @default none */
  readonly given?: readonly string[];
}

export interface Input {
  /** Type and message of the first error. @default - no invocation failed */
  readonly failure?: string;
  /** What it answered. @default nothing */
  readonly answers?: readonly unknown[];
  readonly code?: HandlerCode;
  /** The variables that it was given, the usual ones apart. @default none */
  readonly env?: Readonly<Record<string, string>>;
  /** The server refused a log-in. @default false */
  readonly isRefused?: boolean;
  /** @default "nodejs" */
  readonly language?: HandlerLanguage;
}

/** What to give a handler that reached no database: variables, or another event. */
export function inputAdvice(input: Input): string {
  const { answers = [], code, env = {}, isRefused = false, language } = input;
  const failure = input.failure === undefined ? undefined : firstLine(input.failure);
  const given = Object.keys(env);
  const missing = missingVariables(code, given);
  const status = answers
    .map((answer) => (answer as { readonly statusCode?: unknown } | null)?.statusCode)
    .find((each) => typeof each === "number" && each >= 400);
  if (missing !== "") {
    const what = failure === undefined ? "opened no connection to the lab's server" : `fails with ${failure}`;
    return `give it the variables that its code reads and did not get: ${missing} (it ${what})`;
  }
  if (isRefused) {
    return "let it log in as the lab's user, because the server refused its log-in: it has to read user and password from variables, which the lab or --env NAME={user} and --env NAME={password} set";
  }
  if (typeof status === "number") {
    return `send it an event that it takes: it answered statusCode ${status} to the lab's; --event <json>, or --events <file> with real ones`;
  }
  if (failure !== undefined) return failureAdvice(failure, given, language);
  if (code !== undefined && code.library === undefined) {
    return "nothing for its connections: its code uses no database library that the lab knows; if it does, set its database variables with --env NAME={host}";
  }
  const tcp = tcpOf(code?.library?.kind ?? "MySQL");
  if (tcp !== "") {
    return `watch its ${code?.library?.kind ?? ""} server, because the lab brings a MySQL server alone: ${tcp}, and lead the handler there with --env (lab/README.md has examples)`;
  }
  if (code !== undefined && readsUsual(code)) {
    return "send it an event for which it uses its database, because it answered without a connection to the lab's server: --event <json>, or --events <file> with several";
  }
  return "set its database variables with --env NAME={host}, because it opened no connection to the lab's server";
}

function failureAdvice(failure: string, given: readonly string[], language: HandlerLanguage = "nodejs"): string {
  const elsewhere = /(?:ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH) (\S+)/.exec(failure)?.[1];
  if (elsewhere !== undefined) {
    return `let it connect to the lab's server instead of ${elsewhere} (it fails with ${failure}): read the address from a variable, which the lab or --env NAME={host} sets; a file such as .env in its directory must not set it again`;
  }
  if (isAboutTrust(failure)) return trustAdvice(failure, given, language);
  if (isTimeout(failure)) {
    return `fix the invocation first, which fails with ${failure}; if it only needs longer, --timeout <seconds>; if it waits for a server, give it the server's address with --env`;
  }
  return isAboutTheEvent(failure)
    ? `send it an event that it takes, because it fails with ${failure}; --event <json>, or --events <file> with real ones`
    : `fix the invocation first, which fails with ${failure}; if it misses a variable, give it with --env`;
}

/** What to change in a handler whose Init failed. */
export function initAdvice(
  failure: string,
  { code, given = [] }: AdviceContext,
  language: HandlerLanguage = "nodejs",
): string {
  if (/cannot find (module|package)/i.test(failure) || failure.includes("ImportModule")) {
    const name = /cannot find (?:module|package) '([^'./][^']*)'/i.exec(failure)?.[1];
    return `deploy every package that the handler loads${name === undefined ? "" : ` (${name})`}, in node_modules beside it or bundled, as in the zip that you deploy`;
  }
  if (/callback-based/i.test(failure)) {
    return "make the handler async and return its answer: Node.js 24 runs no handler with a callback (--runtime nodejs22.x still does)";
  }
  if (failure.startsWith("Runtime.HandlerNotFound")) {
    return `export the handler under the name that it is started with, or name the export that it has with --entry file.export (${failure.replace(/^[\w.]+: /, "")})`;
  }
  if (/^Runtime\.ExitError: Runtime exited without providing a reason/.test(failure)) {
    return "keep the process alive while the handler is loaded: it exited with status 0 before it asked for an event, as process.exit() does";
  }
  if (isAboutTrust(failure)) return trustAdvice(failure, given, language);
  const what = isTimeout(failure)
    ? "fix the Init first: what the handler waits for while it is loaded did not come within 10 seconds"
    : "fix the Init first: what the handler does while it is loaded fails, with the error above";
  const missing = missingVariables(code, given);
  return missing === "" ? what : `${what}; its code reads variables that it did not get: ${missing}`;
}

/** The same error, with what may be its reason. */
export function withHint(text: string, { code, given = [] }: AdviceContext): string {
  const failure = firstLine(text);
  const missing = missingVariables(code, given);
  if (missing !== "") return `${failure}; its code reads variables that it did not get: ${missing}`;
  if (isTimeout(failure)) return `${failure}; if it has longer where it is deployed, --timeout <seconds>`;
  return isAboutTheEvent(failure)
    ? `${failure}; if it expects another event, give it with --event or --events`
    : failure;
}

function trustAdvice(failure: string, given: readonly string[], language: HandlerLanguage): string {
  const variable = language === "nodejs" ? "NODE_EXTRA_CA_CERTS" : "SSL_CERT_FILE";
  const own = `its code names its certificate authorities itself, such as ssl: "Amazon RDS": let it read their file from a variable, --env 'NAME={ca}'`;
  return given.includes(variable)
    ? `let it trust the lab's certificate authority, because it fails with ${failure}; ${own}`
    : `let it trust the lab's certificate authority, because it fails with ${failure}: --env '${variable}={ca}'; if that changes nothing, ${own}`;
}

/** Of OpenSSL, as Node.js and Python pass it on. */
function isAboutTrust(failure: string): boolean {
  return /unable to (verify|get)[\w ]* certificate|self[- ]signed certificate|UNABLE_TO_\w+|CERTIFICATE_VERIFY_FAILED/i.test(
    failure,
  );
}

function isTimeout(failure: string): boolean {
  return failure.startsWith("Sandbox.Timedout");
}

/** An error of a handler that finds something else in the event than it expects. */
function isAboutTheEvent(failure: string): boolean {
  if (/ECONN|ENOTFOUND|EAI_AGAIN|\bconnect /.test(failure)) return false;
  return (
    /\b(400|415|422)\b|unsupported media|bad request|malformed|invalid (event|request|body|input|payload)/i.test(
      failure,
    ) ||
    /^TypeError: (Cannot (read|destructure|convert)|.* (is not iterable|is not a function|must be of type|of undefined))/.test(
      failure,
    ) ||
    /^(SyntaxError|ZodError|ValidationError|ParseError)\b/.test(failure)
  );
}
