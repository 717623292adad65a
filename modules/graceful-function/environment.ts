import { Fn, Token } from "cdktf";
import { problem } from "../terraform/construct-settings-error";

/** The construct writes these from other settings. It never writes the password. */
export const OWN_VARIABLES = [
  ...(["DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_AUTH", "DB_PASSWORD", "DB_SECRET_ARN"] as const),
  ...(["DB_TLS_SERVER_NAME", "DB_CONNECT_TIMEOUT_MS", "SHUTDOWN_EXTENSION", "SHUTDOWN_BUDGET_MS"] as const),
];

/** Variables that the construct writes: the compiler accepts those of `OWN_VARIABLES` only. */
export type OwnVariables = Readonly<Partial<Record<(typeof OWN_VARIABLES)[number], string>>>;

export function environmentProblems(environment: Readonly<Record<string, string>>): string[] {
  if (Token.isUnresolved(environment)) return [];
  return Object.keys(environment)
    .filter((name) => OWN_VARIABLES.some((each) => each === name))
    .map((name) =>
      problem(
        "environment",
        name,
        `is a variable that the construct sets. Set database, timeout or shutdownExtension instead of ${OWN_VARIABLES.join(", ")}`,
      ),
    );
}

/** All variables of the function. The map of the settings may be one that only Terraform knows. */
export function withOwnVariables(
  environment: Readonly<Record<string, string>>,
  own: OwnVariables,
): Record<string, string> {
  return Token.isUnresolved(environment)
    ? Token.asStringMap(Fn.merge([environment, own]))
    : { ...environment, ...(own as Record<string, string>) };
}
