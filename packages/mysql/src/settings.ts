import type { SecretsManagerClient } from "./login/secret.ts";
import { net } from "./node-modules.ts";

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
  /** DB_AUTH with DB_USER, and DB_PASSWORD or DB_SECRET_ARN @default "password" if DB_PASSWORD is set */
  readonly login: Login;
  /** DB_TLS: `verify` checks certificate and host name, `off` is for loopback hosts @default "verify" */
  readonly tls: "verify" | "off";
  /**
   * DB_TLS_SERVER_NAME: the name that the certificate must have, where DB_HOST is another name for the server. An IAM
   * token is signed for this name.
   * @default - the host
   */
  readonly tlsServerName?: string;
  /**
   * DB_TLS_CA_FILE: PEM file with the authorities to trust, relative to the directory of the code.
   * @default "certificate-authorities.pem", which is made with the bundle
   */
  readonly tlsCaFile?: string;
  /**
   * Reads the secret, for example AWS's SDK: `new SecretsManager()`. No variable of the environment sets it.
   * @default - a signed request to Secrets Manager, without the SDK, which takes longer to load than the rest of the function
   */
  readonly secretsManager?: SecretsManagerClient;
  /**
   * DB_CONNECT_TIMEOUT_MS. mysql2's own default, 10 s, is longer than many functions may run; the construct writes one
   * that the function's timeout leaves room for.
   * @default 3000
   */
  readonly connectTimeoutMs: number;
}

/** Everything that is wrong with the environment, in one line of the log. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
  constructor(problems: readonly string[]) {
    super(`${problems.join("; ")} (environment of the function)`);
    // The stack would repeat the message and then point into a bundle.
    this.stack = `${this.name}: ${this.message}`;
  }
}

/** @throws SettingsError naming each variable that is missing, malformed or contradicts another */
export function databaseSettings(env: NodeJS.ProcessEnv = process.env): DatabaseSettings {
  const problems: string[] = [];
  // Terraform has no way to leave a variable out of a map, so an empty one counts as not set.
  const read = (name: string): string | undefined => (env[name] === "" ? undefined : env[name]);
  const need = (name: string, what: string): string => {
    const value = read(name);
    if (value === undefined) problems.push(`${name} is not set, expected ${what}`);
    return value ?? "";
  };
  const forbid = (name: string, auth: string): void => {
    if (read(name) !== undefined) problems.push(`${name} is set, but DB_AUTH "${auth}" does not use it; remove one`);
  };

  const host = need("DB_HOST", "a host name or an IP address");
  if (NO_HOST.test(host) && net.isIP(host) === 0) {
    const shown = host.replace(/^.*@/s, "…@"); // a URL can hold a password
    problems.push(`DB_HOST "${shown}" is neither a host name nor an IP address; a port belongs in DB_PORT`);
  }
  const name = need("DB_NAME", "the name of a database");

  const whole = (name: string, text: string, most: number): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < 1 || value > most)
      problems.push(`${name} "${text}" is not a whole number from 1 to ${most}`);
    return value;
  };

  const port = whole("DB_PORT", read("DB_PORT") ?? "3306", 65_535);
  // Lambda lets no function run longer.
  const connectTimeoutMs = whole("DB_CONNECT_TIMEOUT_MS", read("DB_CONNECT_TIMEOUT_MS") ?? "3000", 900_000);

  const tls = read("DB_TLS") ?? "verify";
  if (tls !== "verify" && tls !== "off") problems.push(`DB_TLS "${tls}" is not one of verify, off`);
  if (tls === "off" && host !== "" && !isLoopback(host)) {
    problems.push('DB_TLS "off" is for loopback hosts only, and DB_HOST is not one; use verify');
  }

  const tlsServerName = read("DB_TLS_SERVER_NAME");
  if (tlsServerName !== undefined && (net.isIP(tlsServerName) > 0 || !HOST_NAME.test(tlsServerName))) {
    problems.push(`DB_TLS_SERVER_NAME "${tlsServerName}" is not a host name`);
  }
  const tlsCaFile = read("DB_TLS_CA_FILE");
  for (const name of ["DB_TLS_SERVER_NAME", "DB_TLS_CA_FILE"]) {
    if (tls === "off" && read(name) !== undefined) {
      problems.push(`${name} is set, but DB_TLS "off" does not use it; remove one`);
    }
  }

  const auth = read("DB_AUTH") ?? (read("DB_PASSWORD") === undefined ? undefined : "password");
  let login: Login = { type: "password", user: "", password: "" };
  switch (auth) {
    case "password":
      login = {
        type: "password",
        user: need("DB_USER", "a user name"),
        password: need("DB_PASSWORD", 'a password, as DB_AUTH is "password"'),
      };
      forbid("DB_SECRET_ARN", auth);
      break;
    case "secret":
      login = {
        type: "secret",
        user: read("DB_USER"),
        secretArn: need("DB_SECRET_ARN", 'the ARN of a Secrets Manager secret, as DB_AUTH is "secret"'),
      };
      forbid("DB_PASSWORD", auth);
      break;
    case "iam":
      login = { type: "iam", user: need("DB_USER", 'a user name, as DB_AUTH is "iam"') };
      forbid("DB_PASSWORD", auth);
      forbid("DB_SECRET_ARN", auth);
      if (tls === "off") problems.push('DB_TLS "off" would send the IAM token in clear text; use verify');
      break;
    case undefined:
      problems.push("DB_AUTH is not set, expected one of password, secret, iam (or set DB_PASSWORD)");
      break;
    default:
      problems.push(`DB_AUTH "${auth}" is not one of password, secret, iam`);
  }

  if (problems.length > 0) throw new SettingsError(problems);
  return {
    host,
    port,
    name,
    login,
    tls: tls as DatabaseSettings["tls"],
    ...(tlsServerName === undefined ? {} : { tlsServerName }),
    ...(tlsCaFile === undefined ? {} : { tlsCaFile }),
    connectTimeoutMs,
  };
}

/** Letters, digits, hyphens and dots, 253 at the most: https://www.rfc-editor.org/rfc/rfc1123#section-2.1 */
const HOST_NAME = /^(?=.{1,253}$)[a-z\d]([a-z\d-]{0,61}[a-z\d])?(\.[a-z\d]([a-z\d-]{0,61}[a-z\d])?)*$/i;

/** What no name of a host has. Terraform's `endpoint` of an RDS instance is `host:port`, and a file ends with a line break. */
const NO_HOST = /[\s:/@]/;

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}
