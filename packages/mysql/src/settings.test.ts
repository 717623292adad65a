import { databaseSettings, DatabaseSettingsError } from "./settings.ts";

const PASSWORD = { DB_HOST: "db.example", DB_NAME: "shop", DB_USER: "app", DB_PASSWORD: "s3cret" };
const SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf";

function messageOf(env: NodeJS.ProcessEnv): string {
  try {
    databaseSettings(env);
  } catch (error) {
    expect(error).toBeInstanceOf(DatabaseSettingsError);
    return (error as Error).message;
  }
  throw new Error("the settings were accepted");
}

test("a password is enough to choose DB_AUTH=password; port, TLS and connect timeout have defaults", () => {
  const login = { type: "password", user: "app", password: "s3cret" };
  const defaults = { port: 3306, tls: "verify", connectTimeoutMs: 3_000 };
  expect(databaseSettings(PASSWORD)).toEqual({ host: "db.example", name: "shop", login, ...defaults });
});

test("another name for the certificate, authorities of your own and another connect timeout", () => {
  const env = { DB_TLS_SERVER_NAME: "db.rds.example", DB_TLS_CA_FILE: "ca.pem", DB_CONNECT_TIMEOUT_MS: "500" };
  const settings = { tlsServerName: "db.rds.example", tlsCaFile: "ca.pem", connectTimeoutMs: 500 };
  expect(databaseSettings({ ...PASSWORD, ...env })).toMatchObject(settings);
});

test("a secret has its own user, unless DB_USER names one", () => {
  const env = { DB_HOST: "db", DB_NAME: "shop", DB_AUTH: "secret", DB_SECRET_ARN: SECRET_ARN };
  expect(databaseSettings(env).login).toEqual({ type: "secret", secretArn: SECRET_ARN, user: undefined });
  expect(databaseSettings({ ...env, DB_USER: "app" }).login).toMatchObject({ user: "app" });
});

test.each(["db.example:3306", "db.example\n", " db.example", "mysql://db.example", "app@db", "[::1]"])(
  "DB_HOST %j is refused: no host name, no IP address",
  (host) => {
    expect(messageOf({ ...PASSWORD, DB_HOST: host })).toContain("a port belongs in DB_PORT");
    expect(messageOf({ ...PASSWORD, DB_HOST: "mysql://app:s3cret@db", DB_TLS: "off" })).not.toContain("s3cret");
  },
);

test.each(["::1", "fe80::1%eth0", "10.0.0.1", "my_db", "db.example.", "bücher.example"])(
  "DB_HOST %s is accepted",
  (host) => {
    expect(databaseSettings({ ...PASSWORD, DB_HOST: host }).host).toBe(host);
  },
);

test("IAM needs a user", () => {
  const env = { DB_HOST: "db", DB_NAME: "shop", DB_AUTH: "iam" };
  expect(databaseSettings({ ...env, DB_USER: "app" }).login).toEqual({ type: "iam", user: "app" });
  expect(messageOf(env)).toContain("DB_USER is not set");
});

test("an empty variable counts as not set", () => {
  expect(databaseSettings({ ...PASSWORD, DB_PORT: "", DB_TLS: "", DB_SECRET_ARN: "" }).port).toBe(3306);
  expect(messageOf({ ...PASSWORD, DB_HOST: "" })).toContain("DB_HOST is not set");
});

test("all problems are reported in one line, with where to set the values", () => {
  const message = messageOf({ DB_PORT: "99999", DB_TLS: "maybe", DB_AUTH: "kerberos" });
  expect(message).toBe(
    "DB_HOST is not set, expected a host name or an IP address; " +
      "DB_NAME is not set, expected the name of a database; " +
      'DB_PORT "99999" is not a whole number from 1 to 65535; ' +
      'DB_TLS "maybe" is not one of verify, off; ' +
      'DB_AUTH "kerberos" is not one of password, secret, iam (environment of the function)',
  );
});

test.each([
  ["no way to log in", { DB_PASSWORD: undefined }, "DB_AUTH is not set, expected one of password, secret, iam"],
  ["a password for DB_AUTH=secret", { DB_AUTH: "secret", DB_SECRET_ARN: SECRET_ARN }, "DB_PASSWORD is set"],
  ["a secret for DB_AUTH=password", { DB_SECRET_ARN: SECRET_ARN }, "DB_SECRET_ARN is set"],
  ["a password for DB_AUTH=iam", { DB_AUTH: "iam" }, "DB_PASSWORD is set"],
  ["DB_AUTH=secret without an ARN", { DB_AUTH: "secret", DB_PASSWORD: undefined }, "DB_SECRET_ARN is not set"],
  ["no limit", { DB_CONNECT_TIMEOUT_MS: "0" }, 'DB_CONNECT_TIMEOUT_MS "0" is not a whole number from 1 to 900000'],
  ["a port that is no number", { DB_PORT: "0x0CEA" }, 'DB_PORT "0x0CEA" is not a whole number from 1 to 65535'],
  ["TLS off for a host that is not this machine", { DB_TLS: "off" }, 'DB_TLS "off" is for loopback hosts'],
  ["a name without TLS", { DB_HOST: "::1", DB_TLS: "off", DB_TLS_SERVER_NAME: "x.y" }, "DB_TLS_SERVER_NAME is set"],
  ["authorities without TLS", { DB_HOST: "::1", DB_TLS: "off", DB_TLS_CA_FILE: "a.pem" }, "DB_TLS_CA_FILE is set"],
  ["an IP address for a name", { DB_TLS_SERVER_NAME: "10.0.0.5" }, 'DB_TLS_SERVER_NAME "10.0.0.5" is not a host name'],
  ["a pattern for a name", { DB_TLS_SERVER_NAME: "*.db.x" }, 'DB_TLS_SERVER_NAME "*.db.x" is not a host name'],
  ["an address for a name", { DB_TLS_SERVER_NAME: "db.x:3306" }, 'DB_TLS_SERVER_NAME "db.x:3306" is not a host name'],
  ["an IAM token without TLS", { DB_AUTH: "iam", DB_PASSWORD: undefined, DB_TLS: "off", DB_HOST: "::1" }, "clear text"],
])("refused: %s", (_, change, expected) => {
  expect(messageOf({ ...PASSWORD, ...change })).toContain(expected);
});

test.each(["localhost", "127.0.0.1", "127.8.9.10", "::1"])("TLS may be off for %s", (host) => {
  expect(databaseSettings({ ...PASSWORD, DB_HOST: host, DB_TLS: "off" }).tls).toBe("off");
});

test("no message shows a password", () => {
  expect(messageOf({ ...PASSWORD, DB_AUTH: "iam" })).not.toContain("s3cret");
});
