import type { HandlerCode } from "../subjects/handler-code";
import { changeInLanguage } from "./language-advice";
import type { RunResult } from "./run";
import { runVerdict } from "./verdict";

const LEAVE =
  "leave by raising the signal again (process.removeAllListeners('SIGTERM'), then process.kill(process.pid, 'SIGTERM'))";
/** Not `npm install`: the package is in no registry. */
const PACKAGE = "install the package lambda-graceful-shutdown (docs/package.md)";
const FUNCTION = "lambda-graceful-shutdown/function";

/** What is known of the handler, beside what it did. */
export interface AdviceContext {
  /** @default - nothing is known of its code */
  readonly code?: HandlerCode;
  /** The names of the variables that it was given. @default none */
  readonly given?: readonly string[];
}

/**
 * What to change, in one line, so that the next run of this handler is clean; nothing if this one was.
 *
 * It names only the first problem: a function without SIGTERM needs no advice on how to exit.
 *
 * @param extensionIsAssumed whether the lab brought the extension that made Lambda send SIGTERM
 */
export function advice(result: RunResult, extensionIsAssumed = false, context: AdviceContext = {}): string | undefined {
  const change = runVerdict(result).clean ? undefined : changeOf(result, context);
  const { initError, outcomes, shutdown } = result;
  const isUnlistened = shutdown.endedBy === "itself" || shutdown.endedBy === "SIGTERM, unheard";
  // If the shutdown code is missing, the extension is usually missing too.
  const lacksBoth = initError === undefined && isUnlistened && outcomes.length > 0 && !outcomes.includes("closed");
  return change !== undefined && extensionIsAssumed && lacksBoth
    ? `${change}; and deploy it with an extension, as the lab ran it, because without one there is no SIGTERM`
    : change;
}

function changeOf(result: RunResult, context: AdviceContext): string | undefined {
  const { language = "nodejs" } = result;
  return (language === "nodejs" ? undefined : changeInLanguage(result, language)) ?? changeInNodejs(result, context);
}

function changeInNodejs(result: RunResult, context: AdviceContext): string | undefined {
  const { initError, invocations, outcomes, shutdown, quitMs, end } = result;
  const failed = invocations.flatMap((each) =>
    each.ok ? [] : [`${each.error.errorType}: ${each.error.errorMessage}`],
  );
  const clean = outcomes.filter((outcome) => outcome === "closed").length;
  const all = outcomes.length;
  const close = context.code?.library?.close ?? "pool.end()";
  const hook = hookFor(context.code, close);
  if (initError !== undefined) {
    return initAdvice(`${initError.errorType}: ${initError.errorMessage}`, context);
  }
  if (all === 0) {
    return inputAdvice({
      ...(failed[0] === undefined ? {} : { failure: failed[0] }),
      answers: invocations.flatMap((each) => (each.ok ? [each.payload] : [])),
      ...(context.code === undefined ? {} : { code: context.code }),
      env: Object.fromEntries((context.given ?? []).map((name) => [name, ""])),
    });
  }
  if (shutdown.endedBy === "gone before") {
    return end === "failure"
      ? "nothing in the shutdown: a process that is killed in an invocation cannot close anything, so the kernel closes its sockets and the server counts them as aborted"
      : "keep the runtime's process alive: it ended before any signal, so it could close nothing";
  }
  if (shutdown.endedBy === "SIGKILL at once") {
    if (clean === all)
      return failed.length > 0 ? `fix the invocation, which fails with ${firstLine(failed[0])}` : undefined;
    return `register an extension, without which Lambda sends SIGKILL and no SIGTERM: add a layer with one, or ${PACKAGE}, and in an ES module: import { registerExtension } from "${FUNCTION}"; await registerExtension()`;
  }
  if (shutdown.endedBy === "SIGKILL at its deadline") {
    if (clean === all) {
      return context.code?.callsExit === false
        ? `it closed every connection and did not leave, so it was killed at its deadline: ${LEAVE}`
        : `process.exit() does not exit under AWS's runtime client, and it was killed at its deadline with every connection closed: ${LEAVE}; or ${PACKAGE}, which does this for you`;
    }
    return quitMs === undefined
      ? `on SIGTERM it closed nothing and did not leave: await ${close}, then ${LEAVE}; or ${hook}`
      : `on SIGTERM it closed ${clean} of ${all} connections and did not leave: cancel what still runs, await ${close} with a time limit, then ${LEAVE}; or ${hook}`;
  }
  if (context.code?.library?.isLocal === true && clean === 0) {
    return `close the connection where it is opened, because it is a variable of a function: await ${close} in a finally block there. Or open it once, outside of the handler, and on SIGTERM await ${close}, then ${LEAVE}`;
  }
  if (clean === 0 && shutdown.endedBy === "itself" && context.code?.listensToSigterm === true) {
    return `it left on SIGTERM with ${all} of its connections open: await ${close} before it leaves; then ${LEAVE}; or ${hook}`;
  }
  if (clean === 0) {
    return `listen to SIGTERM, which ended the process with ${all} of its connections open: await ${close}, then ${LEAVE}; or ${hook}`;
  }
  if (clean < all) {
    return `it closed ${clean} of ${all} connections before it left: await ${close} before you leave; or ${hook}`;
  }
  return failed.length > 0 ? `fix the invocation, which fails with ${withHint(failed[0], context)}` : undefined;
}

/** What works when it is pasted: a CommonJS handler cannot import an ES module at its top. */
function hookFor(code: HandlerCode | undefined, close: string): string {
  const call = `onShutdown("${code?.library?.name ?? "database"}", () => ${close})`;
  const pasted =
    code?.isCommonJs === true
      ? `import("${FUNCTION}").then(({ onShutdown }) => ${call})`
      : `import { onShutdown } from "${FUNCTION}"; ${call}`;
  return `${PACKAGE}, and: ${pasted}`;
}

function initAdvice(failure: string, { code, given = [] }: AdviceContext): string {
  if (/cannot find (module|package)/i.test(failure) || failure.includes("ImportModule")) {
    const name = /cannot find (?:module|package) '([^'./][^']*)'/i.exec(failure)?.[1];
    return `deploy every package that the handler loads${name === undefined ? "" : ` (${name})`}, in node_modules beside it or bundled, as in the zip that you deploy`;
  }
  if (/callback-based/i.test(failure)) {
    return "make the handler async and return its answer: Node.js 24 runs no handler with a callback (--runtime nodejs22.x still does)";
  }
  if (/^Runtime\.ExitError: Runtime exited without providing a reason/.test(failure)) {
    return "keep the process alive while the handler is loaded: it exited with status 0 before it asked for an event, as process.exit() does";
  }
  const missing = missingVariables(code, given);
  return missing === ""
    ? "fix the Init first: what the handler does while it is loaded fails, with the error above"
    : `fix the Init first: what the handler does while it is loaded fails, with the error above; its code reads variables that it did not get: ${missing}`;
}

export interface Input {
  /** Type and message of the first error. @default - no invocation failed */
  readonly failure?: string;
  /** What it answered. @default nothing */
  readonly answers?: readonly unknown[];
  readonly code?: HandlerCode;
  /** The variables that it was given, the usual ones apart. @default none */
  readonly env?: Readonly<Record<string, string>>;
}

/** What to give a handler that reached no database: variables, or another event. */
export function inputAdvice({ failure, answers = [], code, env = {} }: Input): string {
  const missing = missingVariables(code, Object.keys(env));
  const status = answers
    .map((answer) => (answer as { readonly statusCode?: unknown } | null)?.statusCode)
    .find((each) => typeof each === "number" && each >= 400);
  if (missing !== "") {
    const what =
      failure === undefined ? "opened no connection to the lab's server" : `fails with ${firstLine(failure)}`;
    return `give it the variables that its code reads and did not get: ${missing} (it ${what})`;
  }
  if (typeof status === "number") {
    return `send it an event that it takes: it answered statusCode ${status} to the lab's; --event <json>, or --events <file> with real ones`;
  }
  const elsewhere = /(?:ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH) (\S+)/.exec(failure ?? "")?.[1];
  if (failure !== undefined && elsewhere !== undefined) {
    return `let it connect to the lab's server instead of ${elsewhere} (it fails with ${firstLine(failure)}): read the address from a variable, which the lab or --env NAME={host} sets; a file such as .env in its directory must not set it again`;
  }
  if (failure !== undefined) {
    return isAboutTheEvent(failure)
      ? `send it an event that it takes, because it fails with ${firstLine(failure)}; --event <json>, or --events <file> with real ones`
      : `fix the invocation first, which fails with ${firstLine(failure)}; if it misses a variable, give it with --env`;
  }
  if (code !== undefined && code.library === undefined) {
    return "nothing for its connections: its code uses no database library that the lab knows; if it does, set its database variables with --env NAME={host}";
  }
  return "set its database variables with --env NAME={host}, because it opened no connection to the lab's server";
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

function withHint(failure = "", { code, given = [] }: AdviceContext): string {
  const missing = missingVariables(code, given);
  if (missing !== "") return `${firstLine(failure)}; its code reads variables that it did not get: ${missing}`;
  return isAboutTheEvent(failure)
    ? `${firstLine(failure)}; if it expects another event, give it with --event or --events`
    : firstLine(failure);
}

/** The names that the lab gives every handler of a user's. */
const USUAL =
  /^(DB_(HOST|PORT|USER|PASSWORD|NAME|DATABASE|AUTH|TLS)|MYSQL_(HOST|PORT|USER|PASSWORD|DATABASE|URL)|DATABASE_URL|SHUTDOWN_(EXTENSION|BUDGET_MS))$/;

/** As options that can be pasted; empty if nothing is missing. */
function missingVariables(code: HandlerCode | undefined, given: readonly string[]): string {
  const missing = (code?.variables ?? []).filter((name) => !USUAL.test(name) && !given.includes(name));
  return missing.map((name) => `--env '${name}=${valueFor(name)}'`).join(" ");
}

/** What the lab can fill in, told from the name. */
function valueFor(name: string): string {
  const upper = name.toUpperCase();
  if (/(^|_)(URL|URI|DSN|CONNECTION_?STRING)$/.test(upper)) return "{url}";
  if (/HOST(NAME)?$|ENDPOINT$|SERVER$|ADDRESS$/.test(upper)) return "{host}";
  if (/PORT$/.test(upper)) return "{port}";
  if (/(PASS|PASSWORD|PASSWD|PWD)$/.test(upper)) return "{password}";
  if (/USER(_?NAME)?$|LOGIN$/.test(upper)) return "{user}";
  if (/(DB|DATABASE|SCHEMA)(_?NAME)?$/.test(upper)) return "{database}";
  return "…";
}

function firstLine(text = ""): string {
  return text.split("\n")[0] ?? "";
}
