import type { LambdaFunction } from "./lambda-function";
import { isProvided } from "./lambda-runtime";
import type { LambdaRuntime } from "./runtime";

/** The words and the statuses of the bootstrap in AWS's images. */
const WITH_WRAPPER = `if [ ! -f "$0" ]; then echo "$0: does not exist"; exit 127; fi
if [ ! -x "$0" ]; then echo "$0: is not an executable"; exit 126; fi
exec "$0" "$@"`;

/**
 * Starts the runtime, through the function's wrapper if it has one. Runtimes of the operating system alone have none.
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html#runtime-wrapper
 *
 * @param options of the runtime's program, such as Node.js's `--require` @default none
 */
export function runtimeCommand(
  { environment }: Pick<LambdaFunction, "environment">,
  { name, command: [program = "", ...args] }: Pick<LambdaRuntime, "name" | "command">,
  options: readonly string[] = [],
): readonly string[] {
  const wrapper = environment["AWS_LAMBDA_EXEC_WRAPPER"] ?? "";
  const command = [program, ...options, ...args];
  return wrapper === "" || isProvided(name) ? command : ["/bin/sh", "-c", WITH_WRAPPER, wrapper, ...command];
}
