/** Lambda has two kinds of function, and they end differently. */

/**
 * Milliseconds SIGTERM → SIGKILL. Event Function: with an external extension, the smaller of the two budgets that AWS
 * grants. The construct writes the real one to SHUTDOWN_BUDGET_MS.
 */
const EVENT_FUNCTION_BUDGET_MS = 300;

/** https://docs.aws.amazon.com/lambda/latest/dg/web-functions-env-lifecycle.html */
const WEB_FUNCTION_BUDGET_MS = 1_000;

/** The longest delay of a Node.js timer. A longer one is a warning in the log, and a timer of 1 ms. */
const LONGEST_MS = 2 ** 31 - 1;

/** An HTTP server instead of a handler. Lambda sends it SIGTERM without an extension, and it cannot register one. */
export function isWebFunction(env: NodeJS.ProcessEnv = process.env): boolean {
  return env["AWS_LAMBDA_INITIALIZATION_TYPE"] === "native-http";
}

/** Milliseconds SIGTERM → SIGKILL. */
export function shutdownBudgetMs(): number {
  const budget = Number(process.env["SHUTDOWN_BUDGET_MS"]);
  if (budget > 0) return Math.min(budget, LONGEST_MS);
  return isWebFunction() ? WEB_FUNCTION_BUDGET_MS : EVENT_FUNCTION_BUDGET_MS;
}
