import { notOneOf, problem, rangeProblems } from "./settings-error";

/**
 * How the function proves who it is. Never with a password in a setting: it would stand in the synthesized JSON, in
 * Terraform's state and in the function's configuration, for everybody who may read one of them.
 */
export type DatabaseAuth =
  | {
      /** User and password from Secrets Manager. */
      readonly type: "secret";
      readonly secretArn: string;
    }
  | {
      /** A token of RDS IAM authentication. */
      readonly type: "iam";
      /** Resource id of the instance (`db-…`), the cluster (`cluster-…`) or the proxy (`prx-…`): not its name. */
      readonly resourceId: string;
    };

export interface Database {
  readonly host: string;

  /** @default 3306 */
  readonly port?: number;

  /** Name of the database. */
  readonly name: string;

  /**
   * User to connect as.
   * @default - the secret's user; with `auth.type` "iam" there is no default
   */
  readonly user?: string;

  readonly auth: DatabaseAuth;
}

const AUTH_TYPES = ["secret", "iam"] as const satisfies readonly DatabaseAuth["type"][];

/** What is wrong with the settings of a database; empty if nothing is. */
export function databaseProblems({ port = 3306, user, auth }: Database): string[] {
  const problems = rangeProblems("database.port", port, { min: 1, max: 65_535 });
  const { type } = auth;
  if (!AUTH_TYPES.includes(type)) problems.push(notOneOf("database.auth.type", type, AUTH_TYPES));
  if (type === "iam" && !user) {
    problems.push(
      problem("database.user", user ?? "", 'is not the name of a database user, which auth.type "iam" needs'),
    );
  }
  return problems;
}

/** What the function reads at run time. */
export function databaseEnvironment({ host, port = 3306, name, user, auth }: Database): Record<string, string> {
  return {
    DB_HOST: host,
    DB_PORT: String(port),
    DB_NAME: name,
    ...(user === undefined ? {} : { DB_USER: user }),
    DB_AUTH: auth.type,
    ...(auth.type === "secret" ? { DB_SECRET_ARN: auth.secretArn } : {}),
  };
}

/** The one permission that the function needs for `auth`. */
export function databaseStatement(
  { user, auth }: Database,
  { partition, region, account }: { partition: string; region: string; account: string },
): object {
  return auth.type === "secret"
    ? { Effect: "Allow", Action: "secretsmanager:GetSecretValue", Resource: auth.secretArn }
    : {
        Effect: "Allow",
        Action: "rds-db:connect",
        Resource: `arn:${partition}:rds-db:${region}:${account}:dbuser:${auth.resourceId}/${user ?? ""}`,
      };
}
