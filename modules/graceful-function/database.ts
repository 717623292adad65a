import { Fn, Op, Token, Tokenization } from "cdktf";
import { isIP } from "node:net";
import type { OwnVariables } from "./environment";
import { arn, type Place, type PolicyStatement } from "./permissions";
import { isKnown, problem } from "../terraform/construct-settings-error";
import { optional, read, required, type OptionTable } from "../terraform/option-table";

/**
 * How the function logs in. A password in a setting is not possible: everybody who may read the synthesized JSON,
 * Terraform's state or the function's configuration could read it.
 */
export type DatabaseAuth =
  | {
      /** "secret": user and password from Secrets Manager. */
      readonly type: "secret";
      /** ARN of a secret in the form that RDS writes. */
      readonly secretArn: string;
      /**
       * Your KMS key, if one encrypts the secret.
       * @default - AWS's key
       */
      readonly kmsKeyArn?: string;
    }
  | {
      /** Or "iam": a token of RDS IAM authentication. */
      readonly type: "iam";
      /** Resource id, not the name: `db-…`, `cluster-…` or `prx-…`. */
      readonly resourceId: string;
    };

export interface Database {
  /** Host name without port. */
  readonly host: string;

  /** @default 3306 */
  readonly port?: number;

  readonly name: string;

  /** @default - the secret's; required with "iam" */
  readonly user?: string;

  /** How the function logs in. */
  readonly auth: DatabaseAuth;

  /**
   * Name in the certificate and the IAM token, if `host` is a CNAME.
   * @default - the host
   */
  readonly tlsServerName?: string;

  /**
   * PEM file of authorities, for servers outside RDS and regions without known roots.
   *
   * Relative to the directory of cdktf.json.
   * @default - roots of RDS and RDS Proxy
   */
  readonly caFile?: string;

  /**
   * Connections of one environment: `connectionLimit` in the function's code.
   * @default 1
   */
  readonly connectionLimit?: number;

  /**
   * The server's `max_connections`. The synthesis refuses more reserved concurrency than that serves.
   * @default - not compared
   */
  readonly maxConnections?: number;
}

/** A server that runs answers sooner, also from another zone. */
const MAX_CONNECT_TIMEOUT_MS = 3_000;

const TYPE = read(required(["secret", "iam"] satisfies readonly DatabaseAuth["type"][]));
const SECRET: OptionTable<Extract<DatabaseAuth, { type: "secret" }>> = {
  type: TYPE,
  secretArn: required("text"),
  kmsKeyArn: optional("text"),
};
const IAM: OptionTable<Extract<DatabaseAuth, { type: "iam" }>> = { type: TYPE, resourceId: required("text") };

export const DATABASE: OptionTable<Database> = {
  host: required("text"),
  port: optional("port"),
  name: required("text"),
  user: optional("text"),
  auth: required("object", (auth) => ("type" in auth && auth.type === "iam" ? IAM : SECRET)),
  tlsServerName: optional("text"),
  caFile: read(optional("text")),
  connectionLimit: optional("count"),
  maxConnections: optional("count"),
};

export function databaseProblems(database: Database, reservedConcurrency?: number): string[] {
  const { host, user, auth, tlsServerName, connectionLimit = 1, maxConnections } = database;
  const connections = (reservedConcurrency ?? 0) * connectionLimit;
  const isCounted = [reservedConcurrency, connectionLimit, maxConnections].every((each) => isKnown(each));
  return [
    ...(isIP(host) === 0 ? hostProblems("database.host", host) : []),
    // A certificate of RDS has no address in it.
    ...(tlsServerName === undefined ? [] : hostProblems("database.tlsServerName", tlsServerName)),
    ...(auth.type === "iam" && user === undefined
      ? ['database.user is undefined. database.auth.type "iam" needs the name of a database user']
      : []),
    ...(maxConnections !== undefined && isCounted && connections > maxConnections
      ? [
          problem(
            "reservedConcurrency",
            reservedConcurrency,
            `times database.connectionLimit ${connectionLimit} is ${connections} connections, more than database.maxConnections ${maxConnections}`,
          ),
        ]
      : []),
  ];
}

/** Nothing but Lambda's limit for the account keeps such a function from taking all of the server's connections. */
export function isUnboundedBy({ maxConnections }: Database, reservedConcurrency?: number): boolean {
  return maxConnections !== undefined && reservedConcurrency === undefined;
}

/** Terraform's `aws_db_instance.endpoint` is `host:port`; its `address` is the host. */
function hostProblems(setting: string, host: string): string[] {
  if (!isKnown(host) || (isIP(host) === 0 && /^[a-z\d][\w.-]*$/i.test(host))) return [];
  const endpoint = /^[^:/]+:\d+$/.test(host) ? ". Set the port in database.port" : "";
  return [problem(setting, host, `is not a host name such as db.example.com${endpoint}`)];
}

/**
 * What the function reads at run time.
 *
 * @param timeout seconds that an invocation may take
 */
export function databaseEnvironment(database: Database, timeout: number): OwnVariables {
  const { host, port = 3306, name, user, auth, tlsServerName } = database;
  return {
    DB_HOST: host,
    DB_PORT: textOf(port),
    DB_NAME: name,
    ...(user === undefined ? {} : { DB_USER: user }),
    DB_AUTH: auth.type,
    ...(auth.type === "secret" ? { DB_SECRET_ARN: auth.secretArn } : {}),
    ...(tlsServerName === undefined ? {} : { DB_TLS_SERVER_NAME: tlsServerName }),
    DB_CONNECT_TIMEOUT_MS: textOf(connectTimeoutMs(timeout)),
  };
}

/** Not `String(…)`: within a call of Terraform's `merge`, CDKTF would write the name of a variable and not its value. */
function textOf(value: number): string {
  return Token.isUnresolved(value) ? Token.asString(Tokenization.reverseNumber(value)) : String(value);
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
