import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { SecretsManager } from "@aws-sdk/client-secrets-manager";
import { SignatureV4 } from "@smithy/signature-v4";
import { credentials, CredentialsError } from "./credentials.ts";
import type { DatabaseSettings } from "../settings.ts";
import { fakeSecretsManager, type Answer, type FakeSecretsManager } from "./fake-secrets-manager.ts";

const ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";
const SECRET_KEY = "the-secret-access-key";
const SESSION_TOKEN = "IQoJb3JpZ2luX2VjEHoaCWV1LXdlc3QtMSJHMEUCIQ";
const RIGHT: Answer = { body: { ARN, SecretString: JSON.stringify({ username: "app", password: "p4ssw0rd" }) } };

const before = { ...process.env };
const open: FakeSecretsManager[] = [];

beforeEach(() => {
  const own = { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: SECRET_KEY, AWS_SESSION_TOKEN: SESSION_TOKEN };
  process.env = { AWS_REGION: "us-east-1", ...own };
});

afterEach(() => {
  process.env = { ...before };
  for (const each of open.splice(0)) each.close();
});

function read(more: Partial<DatabaseSettings> = {}, user?: string, signal?: AbortSignal): Promise<object> {
  const login = { type: "secret", secretArn: ARN, user } as const;
  const settings = { host: "localhost", port: 3306, name: "shop", tls: "off", connectTimeoutMs: 4_000, login } as const;
  return credentials({ ...settings, ...more }, signal);
}

async function fake(...answers: Answer[]): Promise<FakeSecretsManager> {
  const server = await fakeSecretsManager(...answers);
  open.push(server);
  process.env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = server.url;
  return server;
}

const refusalOf = (type: string, message?: string): Answer => ({ status: 400, body: { __type: type, message } });

/** The error, after a look for anything secret in all that a log could show of it. */
async function errorOf(more: Partial<DatabaseSettings> = {}, signal?: AbortSignal): Promise<string> {
  const error: unknown = await read(more, undefined, signal).catch((reason: unknown) => reason);
  if (!(error instanceof CredentialsError)) throw new Error(`no CredentialsError: ${inspect(error)}`);
  const shown = inspect(error, { depth: 9, showHidden: true });
  for (const secret of ["p4ssw0rd", SECRET_KEY, SESSION_TOKEN, "Signature="]) expect(shown).not.toContain(secret);
  expect(error.cause).toBeUndefined();
  return error.message;
}

describe("the secret", () => {
  test("provides user and password; DB_USER may name another user, and then the secret needs none", async () => {
    await fake(RIGHT, RIGHT, { body: { SecretString: '{"password":"p4ssw0rd"}' } });
    expect(await read()).toEqual({ user: "app", password: "p4ssw0rd" });
    expect(await read({}, "reader")).toEqual({ user: "reader", password: "p4ssw0rd" });
    expect(await read({}, "reader")).toEqual({ user: "reader", password: "p4ssw0rd" });
  });

  const NO_TEXT = "has no SecretString (it may be binary)";
  const NO_OBJECT = "is not a JSON object";
  const NO_NAME = "has no username, or its username is not a non-empty string";
  const NO_PASSWORD = "has no password, or its password is not a non-empty string";
  test.each<[string, unknown, string]>([
    ["plain text", "p4ssw0rd", NO_OBJECT],
    ["broken JSON", '{"username":"app","password":"p4ssw0rd"', NO_OBJECT],
    ["null", "null", NO_OBJECT],
    ["an array", '["app","p4ssw0rd"]', NO_OBJECT],
    ["a number", "42", NO_OBJECT],
    ["a text in JSON", '"p4ssw0rd"', NO_OBJECT],
    ["an empty text", "", NO_OBJECT],
    ["no username", '{"password":"p4ssw0rd"}', NO_NAME],
    ["no password", '{"username":"app"}', NO_PASSWORD],
    ["an empty password", '{"username":"app","password":""}', NO_PASSWORD],
    ["an empty username", '{"username":"","password":"p4ssw0rd"}', NO_NAME],
    ["a number for a password", '{"username":"app","password":12345}', NO_PASSWORD],
    ["an object for a username", '{"username":{},"password":"p4ssw0rd"}', NO_NAME],
    ["an inherited field", '{"__proto__":{"username":"a","password":"p4ssw0rd"}}', NO_NAME],
    ["bytes", { SecretBinary: Buffer.from("p4ssw0rd").toString("base64") }, NO_TEXT],
    ["nothing", {}, NO_TEXT],
  ])("is refused without showing its content: %s", async (_, content, expected) => {
    await fake({ body: typeof content === "string" ? { SecretString: content } : content });
    const wanted = 'expected JSON with non-empty "username" and "password", as RDS writes it';
    expect(await errorOf()).toBe(`secret ${ARN} (DB_SECRET_ARN) ${expected}; ${wanted}`);
  });
});

describe("the service's errors", () => {
  test.each<[string, string]>([
    ["ResourceNotFoundException", "DB_SECRET_ARN must be the ARN of a secret that has a value"],
    ["AccessDeniedException", "the function's role needs secretsmanager:GetSecretValue on the secret, and kms:Decrypt"],
    ["DecryptionFailure", "the function's role needs kms:Decrypt on the secret's key"],
    ["InvalidRequestException", "the secret must not be marked for deletion"],
  ])("%s names the secret and what to do, and is not tried again", async (type, cure) => {
    const server = await fake(refusalOf(`com.amazonaws#${type}`, "as it is"));
    const message = await errorOf();
    const refused = `Secrets Manager at ${server.url} refused secret ${ARN} (DB_SECRET_ARN): ${type}: as it is; `;
    expect(message).toContain(refused);
    expect(message).toContain(cure);
    expect(server.received).toHaveLength(1);
  });

  test("the type may be in a header", async () => {
    await fake({ status: 400, type: "ResourceNotFoundException:http://internal/", body: {} });
    expect(await errorOf()).toContain(": ResourceNotFoundException; ");
  });

  test("the text of a refused signature, which quotes the request, is not shown", async () => {
    const quoted = `should have been 'POST x-amz-security-token:${SESSION_TOKEN}'`;
    await fake(refusalOf("InvalidSignatureException", quoted));
    expect(await errorOf()).toMatch(/: InvalidSignatureException$/);
  });

  test("a text that quotes a secret is shown without it, in one line, and shortened", async () => {
    const text = `${SESSION_TOKEN}\n${SECRET_KEY} ${"0a".repeat(32)} ${"x".repeat(9_000)}`;
    await fake(refusalOf("AccessDeniedException", text));
    const message = await errorOf();
    expect(message).toContain(": *** *** *** xxx");
    expect(message.length).toBeLessThan(800);
  });

  test.each<[string, Answer]>([
    ["no JSON", { body: "<html>a portal</html>" }],
    ["an array", { body: [] }],
    ["an error without a type", { status: 418, body: "" }],
    ["a type that is no type", refusalOf("<b>\n".repeat(50))],
  ])("an answer that is not the service's is an error, not a crash: %s", async (_, answer) => {
    await fake(answer);
    expect(await errorOf()).toContain(`refused secret ${ARN}`);
  });

  test("an answer without an end is cut off", async () => {
    await fake({ body: "x".repeat(2_000_000) });
    expect(await errorOf()).toContain("TooLongAnswer");
  });
});

describe("another attempt", () => {
  test.each<[string, Answer]>([
    ["ThrottlingException", refusalOf("ThrottlingException")],
    ["status 429", { status: 429, body: "" }],
    ["InternalServiceError", { status: 500, body: { __type: "InternalServiceError" } }],
    ["status 503", { status: 503, body: "<html>" }],
    ["a connection that is reset", "reset"],
  ])("comes after %s, each with a new signature", async (_, answer) => {
    const server = await fake(answer, answer, RIGHT);
    expect(await read()).toMatchObject({ password: "p4ssw0rd" });
    expect(server.received).toHaveLength(3);
  });

  test("is at most the third", async () => {
    const server = await fake(refusalOf("ThrottlingException", "Rate exceeded"));
    expect(await errorOf()).toContain("ThrottlingException: Rate exceeded; the account reads too many secrets");
    expect(server.received).toHaveLength(3);
  });

  test("does not exceed the limit, and the error names the last one's result", async () => {
    jest.spyOn(Math, "random").mockReturnValue(0.99);
    await fake(refusalOf("ThrottlingException"));
    const message = await errorOf({ connectTimeoutMs: 200 });
    jest.restoreAllMocks();
    expect(message).toMatch(/did not answer within \d{3,4} ms \(the last attempt: ThrottlingException\)/);
  });
});

describe("a wait has a limit", () => {
  const NETWORK =
    "in a VPC the function needs a NAT or the interface endpoint com.amazonaws.eu-west-1.secretsmanager; " +
    `while reading secret ${ARN} (DB_SECRET_ARN)`;

  test("a silent service", async () => {
    const { url } = await fake("silence");
    const message = (await errorOf({ connectTimeoutMs: 200 })).replace(/\d{3,4} ms/, "N ms");
    expect(message).toBe(`Secrets Manager at ${url} did not answer within N ms; ${NETWORK}`);
  });

  test("a service that accepts the connection and never speaks", async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    for (const scheme of ["http", "https"]) {
      process.env["AWS_ENDPOINT_URL"] = `${scheme}://127.0.0.1:${port}`;
      expect(await errorOf({ connectTimeoutMs: 200 })).toMatch(/did not answer within \d{3,4} ms/);
    }
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  test("a service that cannot be reached", async () => {
    const server = await fake(RIGHT);
    server.close();
    expect(await errorOf()).toBe(`Secrets Manager at ${server.url} could not be reached: ECONNREFUSED; ${NETWORK}`);
  });

  test("the caller's signal", async () => {
    await fake("silence");
    expect(await errorOf({}, AbortSignal.timeout(50))).toMatch(/did not answer within \d{2,4} ms/);
    expect(await errorOf({}, AbortSignal.abort())).toMatch(/did not answer within \d+ ms/);
  });

  test("a client of AWS's SDK that does not listen to the signal", async () => {
    const secretsManager = { getSecretValue: () => new Promise<never>(() => undefined) };
    const error = /^the Secrets Manager client did not answer within \d{3,4} ms; in a VPC/;
    expect(await errorOf({ connectTimeoutMs: 100, secretsManager })).toMatch(error);
  });
});

describe("the request", () => {
  test("has the SDK's operation, and the signature that the SDK's signer gives it", async () => {
    const server = await fake(RIGHT);
    await read();
    const [{ method, url, headers, body }] = server.received as [(typeof server.received)[0]];
    expect([method, url, JSON.parse(body)]).toEqual(["POST", "/", { SecretId: ARN }]);
    expect(headers).toMatchObject({
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": "secretsmanager.GetSecretValue",
      "x-amz-security-token": SESSION_TOKEN,
    });
    const { authorization, "x-amz-date": date = "", connection, ...rest } = headers as Record<string, string>;
    expect(connection).toBe("close"); // it is not signed
    const signer = new SignatureV4({
      service: "secretsmanager",
      region: "eu-west-1", // the secret's, not the function's
      credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: SECRET_KEY, sessionToken: SESSION_TOKEN },
      applyChecksum: false,
      sha256: new SecretsManager({ region: "eu-west-1" }).config.sha256,
    });
    const signed = await signer.sign(
      { method: "POST", protocol: "http:", hostname: "127.0.0.1", path: "/", query: {}, headers: rest, body },
      { signingDate: new Date(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z")) },
    );
    expect(authorization).toBe(signed.headers["authorization"]);
  });

  test("the path of a configured endpoint is kept", async () => {
    const server = await fake(RIGHT);
    process.env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = `${server.url}/proxy/`;
    await read();
    expect(server.received[0]?.url).toBe("/proxy/");
  });
});

describe("AWS's SDK", () => {
  test("may be passed in, and its errors are reported in the same way", async () => {
    const server = await fake(RIGHT, refusalOf("ResourceNotFoundException", "gone"));
    const secretsManager = new SecretsManager({ region: "eu-west-1", endpoint: server.url });
    expect(await read({ secretsManager })).toEqual({ user: "app", password: "p4ssw0rd" });
    expect(server.received[0]?.headers["user-agent"]).toContain("aws-sdk-js");
    expect(await errorOf({ secretsManager })).toContain(
      `the Secrets Manager client refused secret ${ARN} (DB_SECRET_ARN): ResourceNotFoundException: gone; DB_SECRET_ARN`,
    );
    secretsManager.destroy();
  });

  test("may throw anything, also no Error", async () => {
    const secretsManager = { getSecretValue: () => Promise.reject(new Error("p4ssw0rd in a text")) };
    expect(await errorOf({ secretsManager })).toMatch(/\(DB_SECRET_ARN\): Error$/);
    const odd = {
      getSecretValue: (): never => {
        throw "p4ssw0rd" as unknown as Error;
      },
    };
    expect(await errorOf({ secretsManager: odd })).toMatch(/\(DB_SECRET_ARN\): an unknown error$/);
  });
});

describe("the credentials of a container, as with SnapStart", () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "container-credentials-"));
    process.env = { AWS_REGION: "us-east-1" };
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  async function container(...answers: Answer[]): Promise<FakeSecretsManager> {
    const server = await fakeSecretsManager(...answers);
    open.push(server);
    process.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = `${server.url}/credentials`;
    process.env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "the token";
    return server;
  }

  const valid = (minutes: number, AccessKeyId = "ASIAEXAMPLE"): Answer => {
    const Expiration = new Date(Date.now() + minutes * 60_000).toISOString();
    return { body: { AccessKeyId, SecretAccessKey: SECRET_KEY, Token: SESSION_TOKEN, Expiration } };
  };

  test("are requested once, with the token, and used until shortly before they expire", async () => {
    const endpoint = await container(valid(60));
    const server = await fake(RIGHT);
    await read();
    await read();
    const received = endpoint.received.map(({ url, headers }) => [url, headers.authorization]);
    expect(received).toEqual([["/credentials", "the token"]]);
    expect(server.received[1]?.headers).toMatchObject({ "x-amz-security-token": SESSION_TOKEN });
    expect(server.received[1]?.headers.authorization).toContain("Credential=ASIAEXAMPLE/");
  });

  test("are requested again five minutes before they expire; the old ones remain while the endpoint fails", async () => {
    const endpoint = await container(valid(4, "FIRST"), valid(4, "SECOND"), { status: 400, body: "" });
    const server = await fake(RIGHT);
    for (let count = 0; count < 3; count += 1) await read();
    expect(endpoint.received).toHaveLength(3);
    const ids = server.received.map(({ headers }) => /Credential=(\w+)/.exec(headers.authorization ?? "")?.[1]);
    expect(ids).toEqual(["FIRST", "SECOND", "SECOND"]);
  });

  test("a token in a file goes before one in a variable", async () => {
    const endpoint = await container(valid(60));
    await fake(RIGHT);
    process.env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = join(directory, "token");
    writeFileSync(join(directory, "token"), "from the file\n");
    await read();
    expect(endpoint.received[0]?.headers.authorization).toBe("from the file");
    process.env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = join(directory, "missing");
    process.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = `${endpoint.url}/others`;
    expect(await errorOf()).toMatch(/AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE ".*" cannot be read: ENOENT/);
  });

  test.each<[string, Answer, string]>([
    ["silent", "silence", "did not answer within "],
    ["refuses", { status: 403, body: SECRET_KEY }, "failed: Status403"],
    ["answers nonsense", { body: `{"${SECRET_KEY}` }, "failed: an answer without AccessKeyId and SecretAccessKey"],
    ["resets", "reset", "failed: ECONNRESET"],
  ])("an endpoint that %s is named", async (_, answer, expected) => {
    const { url } = await container(answer);
    await fake(RIGHT);
    const message = await errorOf({ connectTimeoutMs: answer === "silence" ? 200 : 4_000 });
    expect(message).toContain(`the endpoint for AWS credentials at ${url} (AWS_CONTAINER_CREDENTIALS_FULL_URI)`);
    expect(message).toContain(expected);
  });

  test("the token is sent to no other host without TLS", async () => {
    await container(valid(60));
    process.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://elsewhere.example/credentials";
    expect(await errorOf()).toContain("AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor one of");
  });
});
