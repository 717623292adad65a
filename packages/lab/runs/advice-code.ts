/** Lines of advice about code. A line that begins with four spaces is there to be copied, and is not wrapped. */

export const ATTACH = [
  "Without a change of the code: npm install lambda-graceful-shutdown, and give the function this variable.",
  "    NODE_OPTIONS=--import=lambda-graceful-shutdown/attach",
  "Or give it the layer of lambda-graceful-shutdown, and this variable.",
  "    AWS_LAMBDA_EXEC_WRAPPER=/opt/graceful-shutdown",
] as const;

/** Raises the signal again, because process.exit() waits for the thread in which AWS's client waits for an event. */
export const LEAVING_CODE = [
  `    process.removeAllListeners("SIGTERM");`,
  `    process.kill(process.pid, "SIGTERM");`,
] as const;

/**
 * @param isModule whether the file is an ES module
 * @param holder the package that holds the connections, with its version
 */
export function closingCode(isModule: boolean, holder: string | undefined): readonly string[] {
  const load = isModule
    ? `import { closeOnShutdown } from "lambda-graceful-shutdown";`
    : `const { closeOnShutdown } = require("lambda-graceful-shutdown");`;
  return [`    ${load}`, `    closeOnShutdown(…); // of ${holder ?? "the database library"}`];
}
