import type { LambdaError } from "./runtime-api";

export const TIMED_OUT = "Sandbox.Timedout";

/** Init did not succeed. {@link error} is what Lambda would report. */
export class InitError extends Error {
  override readonly name = "InitError";
  /** @param isReported by the runtime itself, at /init/error */
  constructor(
    readonly error: LambdaError,
    readonly isReported = false,
  ) {
    super(`${error.errorType}: ${error.errorMessage}`);
  }
}

/** What Lambda reports about a process that ends too early (internal/lambda/rapid/handlers.go). */
export function crash(name: string, how: string, isStarted: boolean, saidExitError = false): LambdaError {
  const isRuntime = name === "runtime";
  if (!isStarted) {
    return { errorType: isRuntime ? "Runtime.InvalidEntrypoint" : "Extension.LaunchError", errorMessage: how };
  }
  const why = how === "exit status 0" ? "without providing a reason" : `with error: ${how}`;
  return {
    errorType: saidExitError ? "Extension.ExitError" : isRuntime ? "Runtime.ExitError" : "Extension.Crash",
    errorMessage: isRuntime ? `Runtime exited ${why}` : `extension ${name}: ${how.replace(/ status 0$/, " code 0")}`,
  };
}

/** As the caller of the function gets it. */
export function failure(requestId: string, crash: LambdaError | undefined, timeoutMs: number): LambdaError {
  const timedOut = `Task timed out after ${(timeoutMs / 1_000).toFixed(2)} seconds`;
  const { errorType, errorMessage } = crash ?? { errorType: TIMED_OUT, errorMessage: timedOut };
  return { errorType, errorMessage: `RequestId: ${requestId} Error: ${errorMessage}` };
}
