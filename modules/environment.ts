import { problem } from "./settings-error";

/** Written by the construct from settings of their own, or, the password, not written at all. */
const OWNED = [
  "DB_HOST",
  "DB_PORT",
  "DB_NAME",
  "DB_USER",
  "DB_AUTH",
  "DB_PASSWORD",
  "DB_SECRET_ARN",
  "SHUTDOWN_EXTENSION",
  "SHUTDOWN_BUDGET_MS",
];

/**
 * Lambda refuses these: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html. Not every name that
 * begins with AWS_ is among them: AWS_LAMBDA_EXEC_WRAPPER, for one, is there to be set.
 */
const RESERVED = [
  "_HANDLER",
  "_X_AMZN_TRACE_ID",
  "AWS_DEFAULT_REGION",
  "AWS_REGION",
  "AWS_EXECUTION_ENV",
  "AWS_LAMBDA_FUNCTION_NAME",
  "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
  "AWS_LAMBDA_FUNCTION_VERSION",
  "AWS_LAMBDA_INITIALIZATION_TYPE",
  "AWS_LAMBDA_LOG_GROUP_NAME",
  "AWS_LAMBDA_LOG_STREAM_NAME",
  "AWS_ACCESS_KEY",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AWS_LAMBDA_RUNTIME_API",
  "LAMBDA_TASK_ROOT",
  "LAMBDA_RUNTIME_DIR",
];

/** What is wrong with the names of a function's further environment variables; empty if nothing is. */
export function environmentProblems(environment: Readonly<Record<string, string>>): string[] {
  return Object.keys(environment).flatMap((name) => {
    if (OWNED.includes(name)) {
      return [problem("environment", name, `is set by the construct alone, as are ${OWNED.join(", ")}: use database`)];
    }
    return RESERVED.includes(name)
      ? [problem("environment", name, `is not free in Lambda: ${RESERVED.join(", ")}`)]
      : [];
  });
}
