/** Who is let in over TLS, tried with servers whose certificates are made for the test. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createCertificates, FakeMysql, type AuthPlugin, type Certificates } from "lambda-fake-mysql";
import mysql from "mysql2";
import { namedForCertificate } from "./certificate-name.ts";
import { credentials } from "./credentials.ts";
import { Database } from "../database.ts";
import type { DatabaseSettings, Login } from "../settings.ts";

const PASSWORD: Login = { type: "password", user: "app", password: "x" };

const directory = mkdtempSync(join(tmpdir(), "tls-"));
const before = { ...process.env };
let certificates: Certificates;
const open: FakeMysql[] = [];

beforeAll(async () => {
  certificates = await createCertificates(directory);
  process.env["LAMBDA_TASK_ROOT"] = directory;
  writeFileSync(file("certificate-authorities.pem"), readFileSync(file("authority.pem")));
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

afterAll(() => {
  process.env = before;
  rmSync(directory, { recursive: true });
});

function file(name: string): string {
  return join(directory, name);
}

/** @param names of the certificate, `DNS:localhost` or `IP:127.0.0.1`, behind commas */
async function server(host: string, names: string, plugin: AuthPlugin = "mysql_native_password"): Promise<FakeMysql> {
  const of = (kind: string): readonly string[] =>
    names.split(",").flatMap((name) => (name.startsWith(kind) ? name.slice(kind.length) : []));
  const certificate = await certificates.signed(of("DNS:"), of("IP:"));
  const token = /^localhost:\d+\/\?Action=connect&DBUser=app&/;
  const fake = await FakeMysql.start({ host, plugin, certificate, token });
  fake.account = { ...fake.account, user: "app", ...(plugin === "mysql_native_password" ? { password: "x" } : {}) };
  open.push(fake);
  return fake;
}

function settings(host: string, port: number, more: Partial<DatabaseSettings> = {}): DatabaseSettings {
  return { host, port, name: "shop", login: PASSWORD, tls: "verify", connectTimeoutMs: 2_000, ...more };
}

/** "in", or why not. */
async function logIn(config: DatabaseSettings): Promise<string> {
  const { host, port } = config;
  const options = await credentials(config);
  const stream = (): ReturnType<typeof connect> => namedForCertificate(connect(port, host), host);
  const connection = mysql.createConnection({ ...options, stream });
  try {
    await promisify(connection.connect.bind(connection))();
    // The session's tickets come after the log-in.
    await connection.promise().query("DO 1");
    await connection.promise().end();
    return "in";
  } catch (error) {
    return (error as Error).message;
  } finally {
    connection.destroy();
  }
}

const WRONG_NAME = /^Hostname\/IP does not match certificate's altnames/;
const IN = /^in$/;

describe("the host is an IP address", () => {
  const host = "127.0.0.1";
  const right = "IP:127.0.0.1";

  test("a certificate for the address is accepted, and no name is asked for", async () => {
    const { port, logIns } = await server(host, `DNS:elsewhere.invalid,${right}`);
    expect(await logIn(settings(host, port))).toBe("in");
    expect(logIns).toMatchObject([{ serverName: false }]);
  });

  test.each([
    ["localhost", "DNS:localhost"],
    ["another address", "IP:127.0.0.2"],
    ["the address as if it were a name", `DNS:${host}`],
  ])("a certificate for %s is refused before the log-in", async (_, names) => {
    const { port, logIns } = await server(host, names);
    expect(await logIn(settings(host, port))).toMatch(WRONG_NAME);
    expect(logIns).toEqual([]);
  });

  test("so does the database", async () => {
    const attempt = async (names: string): Promise<{ readonly logIns: number; readonly outcome: string }> => {
      const { port, logIns } = await server(host, names);
      const database = new Database(settings(host, port));
      const outcome = await database.query("DO 1").then(() => "in", String);
      await database.close({ signal: AbortSignal.timeout(1_000), remainingMs: () => 1_000 });
      return { logIns: logIns.length, outcome };
    };
    expect(await attempt(right)).toEqual({ logIns: 1, outcome: "in" });
    const refused = await attempt("DNS:localhost");
    expect(refused.logIns).toBe(0);
    expect(refused.outcome).toContain("does not match certificate's altnames");
  });
});

describe("the host is a name", () => {
  test.each([
    ["the name", "DNS:localhost", IN],
    ["a pattern that has it not", "DNS:*.localhost", WRONG_NAME],
    ["another name", "DNS:elsewhere.invalid", WRONG_NAME],
    ["its address", "IP:127.0.0.1", WRONG_NAME],
  ])("a certificate for %s: %s → %s", async (_, names, expected) => {
    const { port, logIns } = await server("localhost", names);
    expect(await logIn(settings("localhost", port))).toMatch(expected);
    expect(logIns).toHaveLength(expected === IN ? 1 : 0);
  });
});

describe("another name for the server, as behind a CNAME", () => {
  const tlsServerName = "shop.abc123.eu-west-1.rds.amazonaws.com";

  test.each(["localhost", "127.0.0.1"])(
    "for %s the certificate must have the other name, which is asked for",
    async (host) => {
      const { port, logIns } = await server(host, `DNS:${tlsServerName}`);
      expect(await logIn(settings(host, port, { tlsServerName }))).toBe("in");
      expect(logIns).toMatchObject([{ serverName: tlsServerName }]);
    },
  );

  test("a certificate for the host is refused", async () => {
    const { port } = await server("localhost", "DNS:localhost,IP:127.0.0.1");
    expect(await logIn(settings("localhost", port, { tlsServerName }))).toMatch(WRONG_NAME);
  });

  test("the chain is checked as always", async () => {
    const { port } = await server("localhost", `DNS:${tlsServerName}`);
    const config = settings("localhost", port, { tlsServerName, tlsCaFile: "other-authority.pem" });
    expect(await logIn(config)).toBe("unable to verify the first certificate");
  });
});

test("a second connection with the same settings resumes the TLS session", async () => {
  const { port, logIns } = await server("localhost", "DNS:localhost");
  const config = settings("localhost", port);
  await logIn(config);
  await logIn(config);
  await logIn({ ...config });
  expect(logIns.map(({ resumed }) => resumed)).toEqual([false, true, false]);
});

test("IAM: the token is the password, sent once the certificate was checked", async () => {
  Object.assign(process.env, { AWS_REGION: "eu-west-1", AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "x" });
  const { port, logIns } = await server("localhost", "DNS:localhost", "mysql_clear_password");
  const config = settings("localhost", port, { login: { type: "iam", user: "app" } });
  expect(await logIn(config)).toBe("in");
  expect(logIns).toMatchObject([{ loggedIn: true, proof: "full" }]);
  expect(await logIn({ ...config, tlsServerName: "elsewhere.invalid" })).toMatch(WRONG_NAME);
  expect(logIns).toHaveLength(1);
});
