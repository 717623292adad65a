import { isDeepStrictEqual } from "node:util";
import type { InvocationResult } from "../lambda/execution-environment";
import type { Fault } from "./fault";
import type { FaultedFunction, FaultResult } from "./fault-result";
import { BUDGET_MS } from "./shutdown-extension";
import type { ShutdownLine } from "./shutdown-line";

/** What differs from what the fault expects of a function. */
export function problemsOf(
  played: Omit<FaultResult, "problems">,
  fault: Fault,
  { logsShutdown, userVariables }: FaultedFunction,
  untrue: readonly string[],
): string[] {
  const problems: string[] = [];
  const { invocations, goneMs, endedBy, lines } = played;
  const budgetMs = BUDGET_MS[played.extension];
  if (fault.mayBeKilled !== true && (endedBy !== "itself" || goneMs > budgetMs)) {
    problems.push(`end of the process: ${endedBy}, after ${goneMs.toFixed(0)} of ${budgetMs} ms`);
  }
  const asExpected =
    invocations.length === fault.invocations.length &&
    fault.invocations.every((expected, index) => {
      const found = invocations[index] ?? "";
      if (expected === "any") return true;
      if (expected === "ok") return found.startsWith("ok");
      if ("answers" in expected) return expected.answers.test(found);
      return userVariables !== undefined || expected.test(found);
    });
  if (!asExpected) problems.push(`the invocations ended as ${JSON.stringify(invocations)}`);
  const { connectionsLeft, statementsLeft, abortedClients, locksFree } = played;
  if (fault.outOfReach !== true) {
    if (connectionsLeft !== "unreachable" && connectionsLeft > 0) problems.push(`connections left: ${connectionsLeft}`);
    if (statementsLeft !== "unreachable" && statementsLeft > 0) problems.push(`statements left: ${statementsLeft}`);
    if (abortedClients !== "unreachable" && abortedClients > 0) problems.push(`Aborted_clients: +${abortedClients}`);
    if (locksFree === false) problems.push("a lock is still held");
  }
  if (played.unhandledRejection) problems.push("an unhandled rejection in the log");
  if (logsShutdown) problems.push(...problemsOfLine(lines, fault), ...untrue.map((lie) => `the line is wrong: ${lie}`));
  return problems;
}

/** Invocations that took longer than the fault lets them. */
export function problemsOfTime(ended: readonly InvocationResult[], { withinMs = Infinity }: Fault): readonly string[] {
  return ended
    .filter(({ durationMs }) => durationMs > withinMs)
    .map(({ durationMs }) => `an invocation took ${durationMs.toFixed(0)} ms, not ${withinMs} at the most`);
}

/** Secrets that appeared in the log or in an error. */
export function problemsOfSecrecy(
  logs: readonly string[],
  ended: readonly InvocationResult[],
  confidential: readonly string[],
): readonly string[] {
  const told = [...logs, ...ended.filter(({ ok }) => !ok).map((result) => JSON.stringify(result))];
  // Not the secret itself: the problem is printed.
  return confidential
    .filter((secret) => told.some((text) => text.includes(secret)))
    .map((secret) => `the log or an error contains a secret of ${secret.length} characters`);
}

function problemsOfLine(
  lines: readonly ShutdownLine[],
  { line: expected, mayBeKilled = false }: Fault,
): readonly string[] {
  const wanted = expected === undefined ? 0 : 1;
  const [line] = lines;
  if (lines.length < wanted && mayBeKilled) return [];
  if (lines.length !== wanted) return [`${lines.length} lines about the shutdown in the log instead of ${wanted}`];
  if (line === undefined || expected === undefined) return [];
  const problems: string[] = [];
  for (const [name, hook] of Object.entries(expected.hooks)) {
    const entry = line.hooks.find((each) => each.name === name);
    if (!isDeepStrictEqual({ ...entry, ...hook }, entry)) {
      problems.push(`the line has ${JSON.stringify(entry)}, not ${JSON.stringify({ name, ...hook })}`);
    }
  }
  return problems;
}
