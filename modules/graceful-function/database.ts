import { Fn, Op, Token } from "cdktf";
import { isIP } from "node:net";
import { arn, arnProblems, KMS_KEY, type Place } from "../terraform/arn";
import type { PolicyStatement } from "./permissions";
import { choiceProblems, isKnown, problem, rangeProblems } from "../terraform/settings-error";

/**
 * How the function logs in. A password in a setting is not possible: everybody who may read the synthesized JSON,
 * Terraform's state or the function's configuration could read it.
 */
export type DatabaseAuth =
  | {
      /** User and password from Secrets Manager. */
      readonly type: "secret";
      /** ARN of the secret with the log-in, as RDS writes it. */
      readonly secretArn: string;
      /**
       * ARN of the KMS key that encrypts the secret, if it is one of yours.
       * @default - AWS's key for Secrets Manager, which takes no permission
       */
      readonly kmsKeyArn?: string;
    }
  | {
      /** A token of RDS IAM authentication. */
      readonly type: "iam";
      /** Resource id of the instance (`db-…`), the cluster (`cluster-…`) or the proxy (`prx-…`): not its name. */
      readonly resourceId: string;
    };

export interface Database {
  /** Host name of the server. */
  readonly host: string;

  /**
   * Port of the server.
   * @default 3306
   */
  readonly port?: number;

  /** Name of the database. */
  readonly name: string;

  /**
   * User to connect as.
   * @default - the secret's user; with `auth.type` "iam" there is no default
   */
  readonly user?: string;

  /** How the function logs in: with a secret or with IAM, never with a password in a setting. */
  readonly auth: DatabaseAuth;

  /**
   * Name that the server's certificate must have, if `host` is another name for the server (a CNAME). An IAM token is
   * signed for this name.
   * @default - the host
   */
  readonly tlsServerName?: string;

  /**
   * PEM file with certificate authorities to trust, relative to the directory of cdktf.json; it becomes part of the
   * archive. Needed for servers that are not RDS, and in regions whose roots `rds-roots.pem` does not contain.
   * @default - RDS's roots of the region, and those of RDS Proxy
   */
  readonly caFile?: string;

  /**
   * Connections that one execution environment opens at most. Set it to the `connectionLimit` of `new Database()` in
   * the function's code. The synthesis compares it with `maxConnections`.
   * @default 1
   */
  readonly connectionLimit?: number;

  /**
   * The server's `max_connections`. The synthesis refuses more reserved concurrency than that serves.
   * @default - nothing is compared
   */
  readonly maxConnections?: number;
}

/** A server that runs answers sooner, also from another zone. */
const MAX_CONNECT_TIMEOUT_MS = 3_000;

const AUTH_TYPES = ["secret", "iam"] as const satisfies readonly DatabaseAuth["type"][];

/** What is wrong with the settings of a database; empty if nothing is. */
export function databaseProblems(database: Database, reservedConcurrency?: number): string[] {
  const { port = 3306, user, auth, connectionLimit = 1, maxConnections } = database;
  const problems = [
    ...rangeProblems("database.port", port, { min: 1, max: 65_535 }),
    ...rangeProblems("database.connectionLimit", connectionLimit, { min: 1 }),
    ...rangeProblems("database.maxConnections", maxConnections ?? 1, { min: 1 }),
    ...choiceProblems("database.auth.type", auth.type, AUTH_TYPES),
    ...tlsServerNameProblems(database.tlsServerName),
  ];
  if (auth.type === "secret") {
    problems.push(
      ...arnProblems(
        "database.auth.secretArn",
        auth.secretArn,
        "arn:<partition>:secretsmanager:<region>:<account>:secret:<name>",
      ),
      ...arnProblems("database.auth.kmsKeyArn", auth.kmsKeyArn, KMS_KEY),
    );
  }
  if (auth.type === "iam" && !user) {
    problems.push(
      problem("database.user", user ?? "", 'is empty. database.auth.type "iam" needs the name of a database user'),
    );
  }
  if (reservedConcurrency !== undefined && maxConnections !== undefined) {
    const connections = reservedConcurrency * connectionLimit;
    if ([reservedConcurrency, connectionLimit, maxConnections].every(isKnown) && connections > maxConnections) {
      problems.push(
        problem(
          "reservedConcurrency",
          reservedConcurrency,
          `times database.connectionLimit ${connectionLimit} is ${connections} connections, more than database.maxConnections ${maxConnections}`,
        ),
      );
    }
  }
  return problems;
}

function tlsServerNameProblems(name: string | undefined): string[] {
  const isName =
    name === undefined || !isKnown(name) || (isIP(name) === 0 && /^[a-z\d]([a-z\d.-]*[a-z\d])?$/i.test(name));
  return isName ? [] : [problem("database.tlsServerName", name, "is not a host name")];
}

/**
 * What the function reads at run time.
 *
 * @param timeout seconds that an invocation may take
 */
export function databaseEnvironment(database: Database, timeout: number): Record<string, string> {
  const { host, port = 3306, name, user, auth, tlsServerName } = database;
  return {
    DB_HOST: host,
    DB_PORT: String(port),
    DB_NAME: name,
    ...(user === undefined ? {} : { DB_USER: user }),
    DB_AUTH: auth.type,
    ...(auth.type === "secret" ? { DB_SECRET_ARN: auth.secretArn } : {}),
    ...(tlsServerName === undefined ? {} : { DB_TLS_SERVER_NAME: tlsServerName }),
    DB_CONNECT_TIMEOUT_MS: String(connectTimeoutMs(timeout)),
  };
}

/**
 * Two of these fit into an invocation: it may wait for the connect that Init began, and then for its own. If the server
 * does not answer, the invocation fails with an error that says so. Lambda's timeout would say nothing and reset the
 * execution environment.
 */
function connectTimeoutMs(timeout: number): number {
  const perSecond = 400;
  return isKnown(timeout)
    ? Math.min(timeout * perSecond, MAX_CONNECT_TIMEOUT_MS)
    : Token.asNumber(Fn.min([Token.asNumber(Op.mul(timeout, perSecond)), MAX_CONNECT_TIMEOUT_MS]));
}

/** The permissions for `auth`: one, and one more for a KMS key of yours. */
export function databaseStatements({ user, auth }: Database, place: Place & { dnsSuffix: string }): PolicyStatement[] {
  if (auth.type === "iam") {
    const resource = arn(place, "rds-db", `dbuser:${auth.resourceId}/${user ?? ""}`);
    return [{ Effect: "Allow", Action: "rds-db:connect", Resource: resource }];
  }
  const { secretArn, kmsKeyArn } = auth;
  const read: PolicyStatement = { Effect: "Allow", Action: "secretsmanager:GetSecretValue", Resource: secretArn };
  if (kmsKeyArn === undefined) return [read];
  return [
    read,
    {
      Effect: "Allow",
      Action: "kms:Decrypt",
      Resource: kmsKeyArn,
      Condition: { StringEquals: { "kms:ViaService": `secretsmanager.${place.region}.${place.dnsSuffix}` } },
    },
  ];
}
