import { Op, Token, type Precondition } from "cdktf";
import { isKnown, problem } from "../terraform/settings-error";
import { call, knownNames, mergedMaps } from "../terraform/terraform-text";

/** The construct writes these from other settings. It never writes the password. */
const OWNED = [
  "DB_HOST",
  "DB_PORT",
  "DB_NAME",
  "DB_USER",
  "DB_AUTH",
  "DB_PASSWORD",
  "DB_SECRET_ARN",
  "DB_CONNECT_TIMEOUT_MS",
  "SHUTDOWN_EXTENSION",
  "SHUTDOWN_BUDGET_MS",
];

/**
 * Lambda refuses these: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html. Not every name that
 * begins with AWS_ is among them: AWS_LAMBDA_EXEC_WRAPPER, for example, may be set.
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

/** Bytes of all variables together, in JSON: what Lambda's own error calls "String measured". */
const MAX_BYTES = 4_096;

/** https://docs.aws.amazon.com/lambda/latest/api/API_Environment.html */
const NAME = /^[A-Za-z]\w+$/;

/** Fails the plan if only Terraform knows the names of variables and one of them is not allowed. */
export function environmentPreconditions(environment: Readonly<Record<string, string>>): Precondition[] {
  if (!Token.isUnresolved(environment)) return [];
  const names = call("keys", mergedMaps(environment));
  const taken = call("setintersection", names, [...OWNED, ...RESERVED]);
  return [
    {
      condition: Op.lt(call("length", taken), 1),
      errorMessage: `environment has a variable that the construct or Lambda sets: one of ${[...OWNED, ...RESERVED].join(", ")}`,
    },
  ];
}

/** What is wrong with the names of a function's further environment variables; empty if nothing is. */
export function environmentProblems(environment: Readonly<Record<string, string>>): string[] {
  return knownNames(environment).flatMap((name) => {
    if (OWNED.includes(name)) {
      return [
        problem(
          "environment",
          name,
          `is a variable that the construct sets. Set database, timeout or shutdownExtension instead of ${OWNED.join(", ")}`,
        ),
      ];
    }
    if (RESERVED.includes(name)) {
      return [problem("environment", name, `is reserved by Lambda, as are ${RESERVED.join(", ")}`)];
    }
    return NAME.test(name)
      ? []
      : [problem("environment", name, "is not a name of letters, digits and _ that begins with a letter")];
  });
}

/** What is wrong with the size of all environment variables together, as far as their values are known now. */
export function environmentSizeProblems(variables: Readonly<Record<string, string>>): string[] {
  if (Token.isUnresolved(variables)) return [];
  const known = Object.entries(variables).map(([name, value]) => [name, isKnown(value) ? value : ""]);
  const bytes = Buffer.byteLength(JSON.stringify(Object.fromEntries(known)));
  return bytes <= MAX_BYTES
    ? []
    : [
        problem(
          "environment",
          bytes,
          `bytes are more than the ${MAX_BYTES} bytes that Lambda allows for all variables, as JSON`,
        ),
      ];
}
