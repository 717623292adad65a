import { dirname, isAbsolute } from "node:path";
import type { LambdaFunction } from "./lambda-function";
import { isProvided } from "./lambda-runtime";
import { layerVariables } from "./layers";
import type { LambdaRuntime } from "./runtime";

/** Value of AWS_LAMBDA_INITIALIZATION_TYPE. */
export type InitializationType = "on-demand" | "provisioned-concurrency" | "lambda-managed-instances";

export interface ProcessVariablesConfig {
  readonly lambdaFunction: LambdaFunction;
  readonly runtime: Pick<LambdaRuntime, "name" | "command">;
  /** `runtime`, or the name of an extension. */
  readonly process: string;
  /** What the lab's APIs tell where they are. @default none */
  readonly apis?: Readonly<Record<string, string>>;
  /** Of Managed Instances: worker threads, and invocations on all of them. @default - one invocation at a time */
  readonly managed?: { readonly workers: number; readonly concurrency: number };
  /** @default "on-demand", or "lambda-managed-instances" where {@link managed} is set */
  readonly initializationType?: InitializationType;
}

/** What extensions do not see: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html */
const OF_THE_RUNTIME: ReadonlySet<string> = new Set([
  "AWS_EXECUTION_ENV",
  "AWS_LAMBDA_LOG_GROUP_NAME",
  "AWS_LAMBDA_LOG_STREAM_NAME",
  "AWS_LAMBDA_MAX_CONCURRENCY",
  "AWS_LAMBDA_NODEJS_WORKER_COUNT",
  "LAMBDA_TASK_ROOT",
  "_HANDLER",
]);

/** What every process in Lambda has: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html */
export const COMMON_VARIABLES = {
  PATH: "/usr/local/bin:/usr/bin:/bin",
  LANG: "en_US.UTF-8",
  TZ: ":UTC",
  AWS_REGION: "us-east-1",
  AWS_DEFAULT_REGION: "us-east-1",
} as const;

/** The function gets Lambda's variables, and none of this machine's. */
export function processVariables(config: ProcessVariablesConfig): NodeJS.ProcessEnv {
  const { lambdaFunction, runtime, process, apis, managed } = config;
  const { name, directory, handler, memorySizeMb, environment, layerPaths = [] } = lambdaFunction;
  const initializationType =
    config.initializationType ?? (managed === undefined ? "on-demand" : "lambda-managed-instances");
  const all: NodeJS.ProcessEnv = {
    ...COMMON_VARIABLES,
    ...(layerPaths.length === 0 ? {} : layerVariables(runtime.name, COMMON_VARIABLES.PATH, programsOf(runtime))),
    ...executionEnv(runtime.name),
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memorySizeMb),
    AWS_LAMBDA_INITIALIZATION_TYPE: initializationType,
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: "lab",
    LAMBDA_TASK_ROOT: directory,
    ...workerVariables(managed),
    ...environment,
    ...apis,
    _HANDLER: handler,
  };
  if (process === "runtime") return all;
  return Object.fromEntries(Object.entries(all).filter(([variable]) => !OF_THE_RUNTIME.has(variable)));
}

/** Where the interpreter is; a `bootstrap` has none. */
function programsOf({ command: [program = ""] }: Pick<LambdaRuntime, "command">): string {
  return isAbsolute(program) ? dirname(program) : "";
}

/** Python's client hears signals while it waits only where this names a Python of 3.12 or later. */
function executionEnv(runtime: string): Readonly<Record<string, string>> {
  return isProvided(runtime) ? {} : { AWS_EXECUTION_ENV: `AWS_Lambda_${runtime}` };
}

function workerVariables(managed: ProcessVariablesConfig["managed"]): Readonly<Record<string, string>> {
  if (managed === undefined) return {};
  const { workers, concurrency } = managed;
  return { AWS_LAMBDA_MAX_CONCURRENCY: String(concurrency), AWS_LAMBDA_NODEJS_WORKER_COUNT: String(workers) };
}
