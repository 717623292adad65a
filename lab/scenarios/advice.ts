import { changeInLanguage } from "./language-advice";
import type { RunResult } from "./run";

const LEAVE =
  "leave by raising the signal again (process.removeAllListeners('SIGTERM'), then process.kill(process.pid, 'SIGTERM'))";
const COPY = "copy function/shutdown.ts and call onShutdown('mysql', () => pool.end())";

/**
 * What to change, in one line, so that the next run of this handler is clean; nothing if this one was.
 *
 * The first thing that is wrong is the one to mend: whoever gets no SIGTERM need not hear how to leave on one.
 *
 * @param extensionIsAssumed whether the lab brought the extension that made Lambda send SIGTERM
 */
export function advice(result: RunResult, extensionIsAssumed = false): string | undefined {
  const change = changeOf(result);
  const { endedBy } = result.shutdown;
  const cameFromTheLab = extensionIsAssumed && (endedBy === "itself" || endedBy === "SIGKILL at its deadline");
  return change !== undefined && cameFromTheLab
    ? `${change}; and deploy it with an extension, as the lab ran it, for without one there is no SIGTERM`
    : change;
}

function changeOf(result: RunResult): string | undefined {
  const { language = "nodejs" } = result;
  return language === "nodejs"
    ? changeInNodejs(result)
    : (changeInLanguage(result, language) ?? changeInNodejs(result));
}

function changeInNodejs({ initError, invocations, outcomes, shutdown, quitMs, end }: RunResult): string | undefined {
  const failed = invocations.flatMap((each) =>
    each.ok ? [] : [`${each.error.errorType}: ${each.error.errorMessage}`],
  );
  const clean = outcomes.filter((outcome) => outcome === "closed").length;
  const all = outcomes.length;
  if (initError !== undefined) {
    return /cannot find (module|package)/i.test(initError.errorMessage) || initError.errorType.includes("ImportModule")
      ? "bring along every package that the handler loads, in node_modules beside it or bundled, as in the zip that you deploy"
      : "mend the Init first: what the handler does while it is loaded fails, with the error above";
  }
  if (all === 0) {
    return failed.length > 0
      ? `mend the invocation first, which fails with ${firstLine(failed[0])}; if it misses a variable, give it with --env`
      : "let it reach the lab's server, where it opened no connection: --env NAME={host} and the like name the variables that it reads";
  }
  if (shutdown.endedBy === "gone before") {
    return end === "failure"
      ? "nothing in the shutdown: a process that is killed in an invocation closes nothing, and the kernel does it for it, which the server counts as aborted"
      : "keep the runtime's process alive: it had ended before anything told it to, so nothing could be closed";
  }
  if (shutdown.endedBy === "SIGKILL at once") {
    return "register an extension, without which Lambda sends SIGKILL and no SIGTERM: add a layer with one, or copy function/extension.ts and await registerExtension() at the top level of an ES module";
  }
  if (shutdown.endedBy === "SIGKILL at its deadline") {
    if (clean === all) {
      return `process.exit() does not exit under AWS's runtime client, and it was killed at its deadline with every connection closed: ${LEAVE}, as function/shutdown.ts does`;
    }
    return quitMs === undefined
      ? `on SIGTERM it closed nothing and did not leave: await pool.end(), then ${LEAVE}, or ${COPY}`
      : `on SIGTERM it closed ${clean} of ${all} connections and did not leave: cancel what still runs, await pool.end() with a time limit, then ${LEAVE}, or ${COPY}`;
  }
  if (clean === 0)
    return `listen to SIGTERM, which ended it with ${all} open: await pool.end(), then ${LEAVE}, or ${COPY}`;
  if (clean < all)
    return `it closed ${clean} of ${all} connections before it left: await pool.end() before you leave, or ${COPY}`;
  return failed.length > 0 ? `mend the invocation, which fails with ${firstLine(failed[0])}` : undefined;
}

function firstLine(text = ""): string {
  return text.split("\n")[0] ?? "";
}
