import type { LambdaFunction } from "./lambda-function";
import { isProvided } from "./lambda-runtime";

/** What extensions do not see: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html */
const OF_THE_RUNTIME: ReadonlySet<string> = new Set([
  "AWS_EXECUTION_ENV",
  "AWS_LAMBDA_LOG_GROUP_NAME",
  "AWS_LAMBDA_LOG_STREAM_NAME",
  "LAMBDA_TASK_ROOT",
  "_HANDLER",
]);

/** The function gets Lambda's variables, and none of this machine's. */
export function processVariables(
  lambdaFunction: LambdaFunction,
  runtimeName: string,
  runtimeApi: string,
  process: string,
): NodeJS.ProcessEnv {
  const { name, directory, handler, memorySizeMb, environment } = lambdaFunction;
  const all: NodeJS.ProcessEnv = {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    LANG: "en_US.UTF-8",
    TZ: ":UTC",
    AWS_REGION: "us-east-1",
    AWS_DEFAULT_REGION: "us-east-1",
    ...executionEnv(runtimeName),
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memorySizeMb),
    AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: "lab",
    LAMBDA_TASK_ROOT: directory,
    ...environment,
    AWS_LAMBDA_RUNTIME_API: runtimeApi,
    _HANDLER: handler,
  };
  if (process === "runtime") return all;
  return Object.fromEntries(Object.entries(all).filter(([variable]) => !OF_THE_RUNTIME.has(variable)));
}

/** Python's client hears signals while it waits only where this names a Python of 3.12 or later. */
function executionEnv(runtime: string): Readonly<Record<string, string>> {
  return isProvided(runtime) ? {} : { AWS_EXECUTION_ENV: `AWS_Lambda_${runtime}` };
}
