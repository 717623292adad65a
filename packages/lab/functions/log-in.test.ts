import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startFakeAws, type FakeAws } from "./fake-aws";
import { authOf, deployed, type AuthKind } from "./log-in";
import type { Subject } from "./subject";

const scratch = mkdtempSync(join(tmpdir(), "log-in-"));
let aws: FakeAws;
beforeAll(async () => {
  aws = await startFakeAws(scratch);
});
afterAll(async () => {
  await aws.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const LOGIN = { host: "127.0.0.1", port: 4_711, user: "lab", password: "hush", database: "shop" };

function subject(environment: Readonly<Record<string, string>>): Subject {
  const lambdaFunction = {
    name: "f",
    directory: scratch,
    handler: "index.handler",
    memorySizeMb: 128,
    timeoutMs: 3_000,
  };
  return { name: "this function", lambdaFunction: { ...lambdaFunction, environment }, extensions: [] };
}

/** As the function would read them. */
async function variables(
  auth: AuthKind,
  environment: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, string>>> {
  const made = await deployed(subject(environment), auth, aws);
  return { ...made.lambdaFunction.environment, ...made.variables?.(LOGIN) };
}

const COMMON = { DB_HOST: "localhost", DB_PORT: "4711", DB_NAME: "shop", DB_TLS: "verify" };

test("a secret: no password, no user, and the stack's own secret gives way to the lab's", async () => {
  const stack = { DB_AUTH: "secret", DB_SECRET_ARN: "arn:aws:secretsmanager:us-east-1:1:secret:theirs", STAGE: "test" };
  const found = await variables("secret", stack);
  expect(found).toMatchObject({ ...COMMON, DB_AUTH: "secret", DB_SECRET_ARN: aws.secretArn, STAGE: "test" });
  expect(found["AWS_ENDPOINT_URL_SECRETS_MANAGER"]).toMatch(/^https:/);
  expect(JSON.stringify(found)).not.toContain("hush");
  expect(found).not.toHaveProperty("DB_USER");
});

test("another log-in than the stack's leaves nothing of the stack's, which the function would refuse", async () => {
  const stack = {
    DB_AUTH: "secret",
    DB_SECRET_ARN: "arn:aws:secretsmanager:us-east-1:1:secret:theirs",
    DB_USER: "app",
  };
  const iam = await variables("iam", stack);
  expect(iam).toMatchObject({ ...COMMON, DB_AUTH: "iam", DB_USER: "lab" });
  expect(iam).not.toHaveProperty("DB_SECRET_ARN");
  expect(JSON.stringify(iam)).not.toContain("hush");
  const password = await variables("password", stack);
  expect(password).toMatchObject({ ...COMMON, DB_AUTH: "password", DB_USER: "lab", DB_PASSWORD: "hush" });
  expect(password).not.toHaveProperty("DB_SECRET_ARN");
  expect(password).not.toHaveProperty("AWS_SESSION_TOKEN");
});

test("the relay shows a certificate for the name that the stack expects", async () => {
  expect((await deployed(subject({}), "secret", aws)).tls).toBe(aws.tls());
  const named = await deployed(subject({ DB_TLS_SERVER_NAME: "db.example.com" }), "secret", aws);
  expect(named.tls).not.toBe(aws.tls());
  expect(named.lambdaFunction.environment).toEqual({ DB_TLS_SERVER_NAME: "db.example.com" });
});

test("a stack says its log-in by DB_AUTH, or does not say it", () => {
  const said = (environment: Readonly<Record<string, string>>): AuthKind | undefined =>
    authOf(subject(environment).lambdaFunction);
  expect([said({ DB_AUTH: "iam" }), said({ DB_AUTH: "password" }), said({})]).toEqual(["iam", "password", undefined]);
  expect(said({ DB_AUTH: "kerberos" })).toBeUndefined();
});
