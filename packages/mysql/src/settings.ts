import type { SecretsManagerClient } from "./login/secret.ts";
import { net } from "./node-runtime.ts";

/**
 * Where the database is and how to log in, read from the function's environment. The GracefulFunction construct writes
 * these variables; DB_PASSWORD is for local use and never written by it.
 */

export type Login =
  | { readonly type: "password"; readonly user: string; readonly password: string }
  | { readonly type: "secret"; readonly secretArn: string; readonly user: string | undefined }
  | { readonly type: "iam"; readonly user: string };

export interface DatabaseSettings {
  /** DB_HOST */
  readonly host: string;
  /** DB_PORT @default 3306 */
  readonly port: number;
  /** DB_NAME */
  readonly name: string;
  /** DB_AUTH, DB_USER, DB_PASSWORD, DB_SECRET_ARN @default "password" if DB_PASSWORD is set */
  readonly login: Login;
  /** DB_TLS @default "verify" */
  readonly tls: "verify" | "off";
  /**
   * DB_TLS_SERVER_NAME
   *
   * The name that the certificate must have, where DB_HOST is another name for the server. An IAM token is signed for
   * this name.
   * @default - the host
   */
  readonly tlsServerName?: string;
  /**
   * DB_TLS_CA_FILE
   *
   * PEM file with the authorities to trust, relative to the directory of the code.
   * @default "certificate-authorities.pem"
   */
  readonly tlsCaFile?: string;
  /**
   * Reads the secret, such as `new SecretsManager()` of AWS's SDK. It has no variable.
   * @default - a request without the SDK, which loads slowly
   */
  readonly secretsManager?: SecretsManagerClient;
  /**
   * DB_CONNECT_TIMEOUT_MS
   *
   * mysql2's own default, 10 s, is longer than many functions may run. The construct writes one that the function's
   * timeout leaves room for.
   * @default 3000
   */
  readonly connectTimeoutMs: number;
}

/** Everything that is wrong with the environment, in one line of the log. */
export class DatabaseSettingsError extends Error {
  override readonly name = "DatabaseSettingsError";
  readonly code = "ERR_LGS_DATABASE_SETTINGS";
  constructor(problems: readonly string[]) {
    super(`${problems.join("; ")} (environment of the function)`);
    // The stack would repeat the message and then point into a bundle.
    this.stack = `${this.name}: ${this.message}`;
  }
}

type Read = (name: string) => string | undefined;

interface Variable {
  readonly name: string;
  /** What a value would be, if the variable must be set. */
  readonly required?: (read: Read) => string | undefined;
  /** The setting that does not use the variable, if there is one. */
  readonly unused?: (read: Read) => string | undefined;
  /** What is wrong with the value. */
  readonly problem?: (value: string, read: Read) => string | undefined;
}

const VARIABLES: readonly Variable[] = [
  { name: "DB_HOST", required: () => "a host name or an IP address", problem: hostProblem },
  { name: "DB_NAME", required: () => "the name of a database" },
  { name: "DB_PORT", problem: (value) => numberProblem(value, 65_535) },
  { name: "DB_CONNECT_TIMEOUT_MS", problem: (value) => numberProblem(value, 900_000) }, // as long as Lambda lets a function run
  { name: "DB_TLS", problem: tlsProblem },
  {
    name: "DB_TLS_SERVER_NAME",
    unused: unusedWithoutTls,
    problem: (value) => (isHostName(value) && net.isIP(value) === 0 ? undefined : `"${value}" is not a host name`),
  },
  { name: "DB_TLS_CA_FILE", unused: unusedWithoutTls },
  {
    name: "DB_AUTH",
    required: (read) => (authOf(read) === undefined ? "one of password, secret, iam (or set DB_PASSWORD)" : undefined),
    problem: (value) =>
      ["password", "secret", "iam"].includes(value) ? undefined : `"${value}" is not one of password, secret, iam`,
  },
  { name: "DB_USER", required: requiredFor("a user name", "password", "iam") },
  {
    name: "DB_PASSWORD",
    required: requiredFor("a password", "password"),
    unused: unusedFor("secret", "iam"),
  },
  {
    name: "DB_SECRET_ARN",
    required: requiredFor("the ARN of a Secrets Manager secret", "secret"),
    unused: unusedFor("password", "iam"),
  },
  { name: "DB_TLS", problem: clearTextProblem },
];

/** @throws DatabaseSettingsError naming each variable that is missing, malformed or contradicts another */
export function databaseSettings(env: NodeJS.ProcessEnv = process.env): DatabaseSettings {
  // Terraform has no way to leave a variable out of a map, so an empty one counts as not set.
  const read: Read = (name) => env[name] || undefined;
  const problems = VARIABLES.flatMap((variable) => problemsOf(variable, read));
  if (problems.length > 0) throw new DatabaseSettingsError(problems);
  const tlsServerName = read("DB_TLS_SERVER_NAME");
  const tlsCaFile = read("DB_TLS_CA_FILE");
  return {
    host: read("DB_HOST") ?? "",
    port: Number(read("DB_PORT") ?? 3306),
    name: read("DB_NAME") ?? "",
    login: loginOf(read),
    tls: (read("DB_TLS") ?? "verify") as DatabaseSettings["tls"],
    ...(tlsServerName === undefined ? {} : { tlsServerName }),
    ...(tlsCaFile === undefined ? {} : { tlsCaFile }),
    connectTimeoutMs: Number(read("DB_CONNECT_TIMEOUT_MS") ?? 3000),
  };
}

function problemsOf({ name, required, unused, problem }: Variable, read: Read): readonly string[] {
  const value = read(name);
  if (value === undefined) {
    const expected = required?.(read);
    return expected === undefined ? [] : [`${name} is not set, expected ${expected}`];
  }
  const setting = unused?.(read);
  const wrong = problem?.(value, read);
  return [
    ...(setting === undefined ? [] : [`${name} is set, but ${setting} does not use it; remove one`]),
    ...(wrong === undefined ? [] : [`${name} ${wrong}`]),
  ];
}

function authOf(read: Read): string | undefined {
  return read("DB_AUTH") ?? (read("DB_PASSWORD") === undefined ? undefined : "password");
}

function requiredFor(what: string, ...logins: readonly string[]): Variable["required"] {
  return (read) => {
    const auth = authOf(read);
    return auth !== undefined && logins.includes(auth) ? `${what}, as DB_AUTH is "${auth}"` : undefined;
  };
}

function unusedFor(...logins: readonly string[]): Variable["unused"] {
  return (read) => {
    const auth = authOf(read);
    return auth !== undefined && logins.includes(auth) ? `DB_AUTH "${auth}"` : undefined;
  };
}

function unusedWithoutTls(read: Read): string | undefined {
  return read("DB_TLS") === "off" ? 'DB_TLS "off"' : undefined;
}

function loginOf(read: Read): Login {
  switch (authOf(read)) {
    case "secret":
      return { type: "secret", user: read("DB_USER"), secretArn: read("DB_SECRET_ARN") ?? "" };
    case "iam":
      return { type: "iam", user: read("DB_USER") ?? "" };
    default:
      return { type: "password", user: read("DB_USER") ?? "", password: read("DB_PASSWORD") ?? "" };
  }
}

/** Terraform's `endpoint` of an RDS instance is `host:port`, and a file ends with a line break. */
function hostProblem(host: string): string | undefined {
  if (!/[\s:/@]/.test(host) || net.isIP(host) > 0) return undefined;
  const shown = host.includes("@") ? `…${host.slice(host.lastIndexOf("@"))}` : host; // a URL can hold a password
  return `"${shown}" is neither a host name nor an IP address; a port belongs in DB_PORT`;
}

function numberProblem(value: string, most: number): string | undefined {
  const isWhole = /^\d+$/.test(value) && Number(value) >= 1 && Number(value) <= most;
  return isWhole ? undefined : `"${value}" is not a whole number from 1 to ${most}`;
}

function tlsProblem(value: string, read: Read): string | undefined {
  if (value === "verify") return undefined;
  if (value !== "off") return `"${value}" is not one of verify, off`;
  const host = read("DB_HOST");
  if (host === undefined || isLoopback(host)) return undefined;
  return '"off" is for loopback hosts only, and DB_HOST is not one; use verify';
}

function clearTextProblem(tls: string, read: Read): string | undefined {
  const isClear = tls === "off" && authOf(read) === "iam";
  return isClear ? '"off" would send the IAM token in clear text; use verify' : undefined;
}

/** Letters, digits, hyphens and dots, 253 at the most: https://www.rfc-editor.org/rfc/rfc1123#section-2.1 */
function isHostName(name: string): boolean {
  return name.length <= 253 && name.split(".").every((label) => /^[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/i.test(label));
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}
