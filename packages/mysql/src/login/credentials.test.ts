import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { Signer } from "@aws-sdk/rds-signer";
import { credentials } from "./credentials.ts";
import type { DatabaseSettings, Login } from "../settings.ts";

const AWS = { AWS_REGION: "eu-west-1", AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "not-a-secret" };
const [ROOT = ""] = rootCertificates;

let directory: string;
const before = { ...process.env };

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "credentials-"));
  writeFileSync(join(directory, "certificate-authorities.pem"), `${ROOT}\n`);
  process.env = { ...AWS, LAMBDA_TASK_ROOT: directory };
});

afterEach(() => {
  process.env = { ...before };
  rmSync(directory, { recursive: true });
});

function settings(login: Login, more: Partial<DatabaseSettings> = {}): DatabaseSettings {
  return { host: "db.example", port: 3306, name: "shop", tls: "verify", connectTimeoutMs: 500, login, ...more };
}

const PASSWORD: Login = { type: "password", user: "app", password: "x" };
const IAM: Login = { type: "iam", user: "app" };

async function token(config: DatabaseSettings): Promise<string> {
  const { authPlugins } = await credentials(config);
  const plugin = authPlugins?.["mysql_clear_password"]?.({} as never) as unknown as () => Promise<Buffer>;
  const sent = String(await plugin());
  expect(sent.endsWith("\0")).toBe(true);
  return sent.slice(0, -1);
}

test("TLS: 1.2 or later, the certificate must name the host, and the authorities are those next to the code", async () => {
  const { host, ssl } = await credentials(settings(PASSWORD));
  expect(host).toBe("db.example");
  expect(ssl).toEqual({ ca: [ROOT], verifyIdentity: true, minVersion: "TLSv1.2" });
});

test("TLS: with another name the certificate must have that name", async () => {
  expect((await credentials(settings(PASSWORD, { tlsServerName: "db.rds.example" }))).host).toBe("db.rds.example");
});

test("TLS: one object for the same settings, since mysql2 keeps the session with it", async () => {
  const config = settings(PASSWORD);
  expect((await credentials(config)).ssl).toBe((await credentials(config)).ssl);
});

test("without TLS there is only the log-in", async () => {
  const config = settings(PASSWORD, { host: "localhost", tls: "off" });
  expect(await credentials(config)).toEqual({ user: "app", password: "x" });
});

describe("IAM", () => {
  beforeEach(() => {
    const now = new Date("2026-03-04T05:06:07Z");
    jest.useFakeTimers({ now, doNotFake: ["setTimeout", "nextTick", "setImmediate"] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test("the clear-text plugin is there, and no password", async () => {
    const { user, password, authPlugins } = await credentials(settings(IAM));
    expect([user, password, Object.keys(authPlugins ?? {})]).toEqual(["app", undefined, ["mysql_clear_password"]]);
  });

  test.each<[string, { user: string; host?: string }, NodeJS.ProcessEnv]>([
    ["a plain user", { user: "app" }, {}],
    ["a session token", { user: "app" }, { AWS_SESSION_TOKEN: "IQoJ//a+b==" }],
    ["a user of unusual characters", { user: "ä pp+x&y=z'(*)!" }, {}],
    ["an endpoint of RDS", { user: "app", host: "db.abc123.eu-west-1.rds.amazonaws.com" }, {}],
  ])("the token is the one of AWS's signer: %s", async (_, { user, host = "db.example" }, env) => {
    Object.assign(process.env, env);
    const own = new URL(`https://${await token(settings({ type: "iam", user }, { host }))}`);
    const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = AWS;
    const { AWS_SESSION_TOKEN: sessionToken } = process.env;
    const keys = { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
    const signer = new Signer({ hostname: host, port: 3306, username: user, region: "eu-west-1", credentials: keys });
    const theirs = new URL(`https://${await signer.getAuthToken()}`);
    expect(own.host).toBe(theirs.host);
    expect([...own.searchParams].sort()).toEqual([...theirs.searchParams].sort());
    expect(own.searchParams.get("X-Amz-Expires")).toBe("900");
  });

  test("each connect gets its own token", async () => {
    const config = settings(IAM);
    const first = await token(config);
    jest.setSystemTime(new Date("2026-03-04T05:06:08Z"));
    expect(await token(config)).not.toBe(first);
  });

  test("the region is that of the RDS endpoint, and the name that of the certificate", async () => {
    const other = "db.abc123.us-east-1.rds.amazonaws.com";
    const url = new URL(`https://${await token(settings(IAM, { host: "db.internal", tlsServerName: other }))}`);
    expect(url.host).toBe(`${other}:3306`);
    expect(url.searchParams.get("X-Amz-Credential")).toContain("/us-east-1/rds-db/");
  });

  test("without AWS credentials, or a region, the error says which variable is missing", async () => {
    delete process.env["AWS_REGION"];
    await expect(credentials(settings(IAM))).rejects.toThrow("AWS_REGION is not set");
    delete process.env["AWS_ACCESS_KEY_ID"];
    await expect(credentials(settings(IAM))).rejects.toThrow("no AWS credentials: neither AWS_ACCESS_KEY_ID");
  });
});

describe("authorities", () => {
  test("only those of the function's region, of the RDS endpoint's region and without a region count", async () => {
    const [a = "", b = "", c = "", d = "", e = ""] = rootCertificates;
    const regions = [
      `# region: eu-west-1\n# a name\n${a}\n`,
      `# region: us-east-1\n${b}\n`,
      `# region: sa-east-1\n${c}`,
    ];
    const text = [...regions, `# region: any\n${d}\n`, e].join("\n");
    writeFileSync(join(directory, "certificate-authorities.pem"), text);
    const ca = async (host: string): Promise<unknown> =>
      ((await credentials(settings(PASSWORD, { host }))).ssl as { ca: string[] }).ca;
    expect(await ca("db.example")).toEqual([a, d, e]);
    expect(await ca("db.abc123.us-east-1.rds.amazonaws.com")).toEqual([a, b, d, e]);
  });

  const [, other = ""] = rootCertificates;

  test("those of NODE_EXTRA_CA_CERTS are added", async () => {
    const file = join(directory, "extra.pem");
    writeFileSync(file, other);
    process.env["NODE_EXTRA_CA_CERTS"] = file;
    expect((await credentials(settings(PASSWORD))).ssl).toMatchObject({ ca: [ROOT, other] });
    rmSync(join(directory, "certificate-authorities.pem"));
    expect((await credentials(settings(PASSWORD))).ssl).toMatchObject({ ca: [other] });
  });

  test("a file of yours replaces the bundled one", async () => {
    writeFileSync(join(directory, "own.pem"), other);
    expect((await credentials(settings(PASSWORD, { tlsCaFile: "own.pem" }))).ssl).toMatchObject({ ca: [other] });
  });

  test("without any authority the error names both ways to add one", async () => {
    rmSync(join(directory, "certificate-authorities.pem"));
    const message =
      /^no certificate authority can verify db\.example: certificate-authorities\.pem is not next to the code.*DB_TLS_CA_FILE or NODE_EXTRA_CA_CERTS/;
    await expect(credentials(settings(PASSWORD))).rejects.toThrow(message);
  });

  test("a file that is missing or has no certificate is named", async () => {
    writeFileSync(join(directory, "empty.pem"), "no certificate");
    for (const tlsCaFile of ["missing.pem", "empty.pem"]) {
      const message = `DB_TLS_CA_FILE "${tlsCaFile}" cannot be read or has no PEM certificate`;
      await expect(credentials(settings(PASSWORD, { tlsCaFile }))).rejects.toThrow(message);
    }
  });
});
