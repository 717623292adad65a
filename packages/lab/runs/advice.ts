import { closing, FUNCTION, hookFor, LEAVE, PACKAGE } from "./closing-advice";
import { initAdvice, inputAdvice, withHint, type AdviceContext } from "./input-advice";
import { changeInLanguage } from "./language-advice";
import { firstLine } from "./one-line";
import { LOG_IN_REFUSED, type RunResult } from "./run";
import { isHidden, runVerdict } from "./verdict";

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
  const isUnheard = shutdown.endedBy === "SIGTERM, unheard" && outcomes.some((outcome) => outcome !== "closed");
  const isUnlistened = isUnheard || (shutdown.endedBy === "itself" && !outcomes.includes("closed"));
  // If the shutdown code is missing, the extension is usually missing too.
  const lacksBoth = initError === undefined && isUnlistened && outcomes.length > 0;
  return change !== undefined && extensionIsAssumed && lacksBoth
    ? `${change}; and deploy it with an extension, as the lab ran it, because without one there is no SIGTERM`
    : change;
}

function changeOf(result: RunResult, context: AdviceContext): string | undefined {
  const { language = "nodejs" } = result;
  if (result.isLate === true) return "run it again while this machine does less";
  if (runVerdict(result).kind === "not proven here" && isHidden(result)) {
    return "let it connect without TLS in the lab, such as with sslmode=disable, so that the lab sees what it sends";
  }
  return (language === "nodejs" ? undefined : changeInLanguage(result, language)) ?? changeInNodejs(result, context);
}

function changeInNodejs(result: RunResult, context: AdviceContext): string | undefined {
  const { initError, invocations, outcomes, shutdown, end, language } = result;
  const { code, given = [] } = context;
  const failed = invocations.flatMap((each) =>
    each.ok ? [] : [`${each.error.errorType}: ${each.error.errorMessage}`],
  );
  const clean = outcomes.filter((outcome) => outcome === "closed").length;
  const all = outcomes.length;
  const close = closing(code);
  if (initError !== undefined) {
    return initAdvice(`${initError.errorType}: ${initError.errorMessage}`, context, language);
  }
  if (all === 0) {
    return inputAdvice({
      ...(failed[0] === undefined ? {} : { failure: failed[0] }),
      answers: invocations.flatMap((each) => (each.ok ? [each.payload] : [])),
      ...(code === undefined ? {} : { code }),
      env: Object.fromEntries(given.map((name) => [name, ""])),
      isRefused: result.timeline.some(({ what }) => what.startsWith(LOG_IN_REFUSED)),
      ...(language === undefined ? {} : { language }),
    });
  }
  const invocation =
    failed.length > 0 ? `fix the invocation, which fails with ${withHint(failed[0] ?? "", context)}` : undefined;
  switch (shutdown.endedBy) {
    case "gone before":
      return end === "failure"
        ? "nothing in the shutdown: a process that is killed in an invocation cannot close anything, so the kernel closes its sockets and the server counts them as aborted"
        : "keep the runtime's process alive: it ended before any signal, so it could close nothing";
    case "SIGKILL at once":
      return clean === all
        ? invocation
        : `register an extension, without which Lambda sends SIGKILL and no SIGTERM: add a layer with one, or ${PACKAGE}, and in an ES module: import { registerExtension } from "${FUNCTION}"; await registerExtension()`;
    case "SIGKILL at its deadline":
      return changeOfKilled(result, context);
  }
  if (clean === all) return invocation;
  if (code?.library?.isLocal === true) {
    return `close the connection where it is opened, because it is a variable of a function: ${close} in a finally block there. Or open it once, outside of the handler, and on SIGTERM ${close}, then ${LEAVE}`;
  }
  if (shutdown.endedBy === "SIGTERM, unheard" || (clean === 0 && code?.listensToSigterm !== true)) {
    return `listen to SIGTERM, which ended the process with ${all - clean} of its connections open: ${close}, then ${LEAVE}; or ${hookFor(code)}`;
  }
  if (clean === 0) {
    return `it left on SIGTERM with ${all} of its connections open: ${close} before it leaves; then ${LEAVE}; or ${hookFor(code)}`;
  }
  return code?.closes === true && code.library?.note !== undefined
    ? `it closed ${clean} of ${all} connections before it left: ${code.library.note}`
    : `it closed ${clean} of ${all} connections before it left: ${close} before you leave; or ${hookFor(code)}`;
}

/** It heard SIGTERM and did not leave in time. */
function changeOfKilled({ outcomes, quitMs, logs }: RunResult, { code }: AdviceContext): string {
  const clean = outcomes.filter((outcome) => outcome === "closed").length;
  const all = outcomes.length;
  const close = closing(code);
  const failure = listenerFailure(logs);
  if (failure !== undefined) {
    return `its SIGTERM listener fails with ${failure}, and the process did not leave: catch that error, ${clean === all ? "" : `${close}, `}then ${LEAVE}`;
  }
  if (clean === all) {
    return code?.callsExit === false
      ? `it closed every connection and did not leave in time, so it was killed at its deadline: do nothing slow after the close, and ${LEAVE}`
      : `process.exit() does not exit under AWS's runtime client, and it was killed at its deadline with every connection closed: ${LEAVE}; or ${PACKAGE}, which does this for you`;
  }
  if (quitMs !== undefined) {
    return `on SIGTERM it closed ${clean} of ${all} connections and did not leave: cancel what still runs, ${close} with a time limit, then ${LEAVE}; or ${hookFor(code)}`;
  }
  return code?.closes === true
    ? `on SIGTERM it closed nothing before its deadline: cancel what still runs, ${close} before anything slow and with a time limit, then ${LEAVE}; or ${hookFor(code)}`
    : `on SIGTERM it closed nothing and did not leave: ${close}, then ${LEAVE}; or ${hookFor(code)}`;
}

/** What Node.js prints of an error that nobody catches, before it exits, which hangs under AWS's client. */
function listenerFailure(logs: readonly string[]): string | undefined {
  const end = logs.findLastIndex((line) => /^Node\.js v\d+\.\d+\.\d+$/.test(line));
  if (end === -1) return undefined;
  const error = logs.slice(0, end).findLast((line, index) => /^\s+at /.test(logs[index + 1] ?? "") && /^\S/.test(line));
  return error === undefined ? undefined : firstLine(error);
}
