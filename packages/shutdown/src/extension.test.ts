import { buildSync } from "esbuild";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { registerExtension } from "./extension.ts";

interface Call {
  readonly route: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** What the fake Extensions API does with a call; one that it does not answer waits. */
type Answer = (call: Call, response: ServerResponse) => void;

const REGISTER = "POST /2020-01-01/extension/register";
const NEXT = "GET /2020-01-01/extension/event/next";

const folder = mkdtempSync(join(tmpdir(), "extension-"));
const bundled = join(folder, "extension.mjs");
let server: Server;
let calls: Call[];
let answer: Answer;
let warnings: jest.SpyInstance;

beforeAll(() => {
  buildSync({
    entryPoints: [join(__dirname, "extension.ts")],
    outfile: bundled,
    bundle: true,
    platform: "node",
    format: "esm",
  });
});

beforeEach(async () => {
  globalThis.lambdaGracefulShutdownExtension = undefined;
  calls = [];
  answer = accept;
  warnings = jest.spyOn(console, "warn").mockImplementation();
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      const call = { route: `${request.method ?? ""} ${request.url ?? ""}`, headers: request.headers, body };
      calls.push(call);
      answer(call, response);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(async () => {
  jest.restoreAllMocks();
  answer = () => undefined;
  jest.spyOn(console, "warn").mockImplementation(); // the waiting request is told that it ends
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await sleep(10);
  jest.restoreAllMocks();
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function accept({ route }: Call, response: ServerResponse): void {
  if (route === REGISTER) respond(response, 200, { functionName: "f" }, { "Lambda-Extension-Identifier": "an-id" });
}

function respond(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, headers).end(JSON.stringify(body));
}

function inLambda(settings: NodeJS.ProcessEnv = { SHUTDOWN_EXTENSION: "internal" }): NodeJS.ProcessEnv {
  return { AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${(server.address() as AddressInfo).port}`, ...settings };
}

function lines(): unknown[] {
  return warnings.mock.calls.map(([line]) => JSON.parse(String(line)) as unknown);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(1);
}

const WILL_NOT_COME = expect.stringMatching(/^will not come/) as unknown;
const COMES = expect.stringMatching(/^comes/) as unknown;

test("registers for no events, then asks for the next one, which never comes", async () => {
  await registerExtension(inLambda());
  await until(() => calls.length === 2);
  expect(calls).toMatchObject([
    { route: REGISTER, headers: { "lambda-extension-name": "lambda-graceful-shutdown" }, body: '{"events":[]}' },
    { route: NEXT, headers: { "lambda-extension-identifier": "an-id" }, body: "" },
  ]);
  await sleep(50);
  expect(calls).toHaveLength(2);
  expect(lines()).toEqual([]);
});

test("registers once, however often it is called", async () => {
  await Promise.all([registerExtension(inLambda()), registerExtension(inLambda())]);
  await registerExtension(inLambda());
  await until(() => calls.length === 2);
  expect(calls.map(({ route }) => route)).toEqual([REGISTER, NEXT]);
});

describe("SHUTDOWN_EXTENSION", () => {
  const withLayer = join(folder, "with-layer");
  const withoutLayer = join(folder, "without-layer");
  mkdirSync(withLayer, { recursive: true });
  mkdirSync(withoutLayer, { recursive: true });
  writeFileSync(join(withLayer, "a-program"), "");

  test.each([
    ["external", withoutLayer, 0],
    ["none", withoutLayer, 0],
    ["internal", withLayer, 1],
    [undefined, withLayer, 0],
    [undefined, withoutLayer, 1],
    [undefined, join(folder, "nothing"), 1],
    ["", withLayer, 0],
    ["", withoutLayer, 1],
  ])("%p with the extensions of %p registers %d", async (setting, directory, registrations) => {
    await registerExtension(inLambda({ SHUTDOWN_EXTENSION: setting }), directory);
    expect(calls.filter(({ route }) => route === REGISTER)).toHaveLength(registrations);
    expect(lines()).toEqual([]);
  });

  test("with another value registers nothing, and one line says what is allowed", async () => {
    await registerExtension(inLambda({ SHUTDOWN_EXTENSION: "Internal" }));
    expect(calls).toEqual([]);
    expect(lines()).toMatchObject([
      { errorMessage: 'SHUTDOWN_EXTENSION "Internal" is not one of external, internal, none', sigterm: WILL_NOT_COME },
    ]);
  });
});

test.each([
  ["in a Web Function, which gets SIGTERM without", { AWS_LAMBDA_INITIALIZATION_TYPE: "native-http" }],
  ["outside Lambda", { AWS_LAMBDA_RUNTIME_API: undefined, SHUTDOWN_EXTENSION: "internal" }],
])("registers none %s", async (_, settings) => {
  await registerExtension(inLambda(settings));
  expect([calls, lines()]).toEqual([[], []]);
});

describe("fails open, with one line that says what it means", () => {
  test.each([
    [403, "Extension.RegistrationClosed", WILL_NOT_COME],
    [403, "Extension.InvalidExtensionName", WILL_NOT_COME],
    [403, "Extension.InvalidEventType", WILL_NOT_COME],
    [403, "InvalidRequestFormat", WILL_NOT_COME],
    [500, "InternalServerError", WILL_NOT_COME],
    [403, "Extension.TooManyExtensions", COMES],
    [403, "Extension.InvalidExtensionState", COMES],
  ])("the API refuses: %d %s", async (status, errorType, sigterm) => {
    answer = (_, response) => {
      respond(response, status, { errorType, errorMessage: "why" });
    };
    await registerExtension(inLambda());
    expect(lines()).toEqual([{ event: "shutdown extension", errorType, errorMessage: "why", sigterm }]);
    expect(calls).toHaveLength(1);
  });

  test.each<[string, Answer | string, string, string?]>([
    [
      "the refusal is not JSON",
      (_, response) => response.writeHead(502).end("<html>"),
      ...(["HTTP 502", "the answer is not one of the Extensions API"] as const),
    ],
    [
      "it accepts without an identifier",
      (_, response) => {
        respond(response, 200, {});
      },
      "Extension.NoIdentifier",
    ],
    ["it breaks the connection", (_, response) => response.destroy(), "ECONNRESET"],
    ["it is not there", "127.0.0.1:1", "ECONNREFUSED"],
    ["its address is not valid", "not an address", "ERR_INVALID_URL"],
  ])("the API: %s", async (_, behaviour, errorType, errorMessage = expect.any(String) as string) => {
    const isThere = typeof behaviour === "function";
    if (isThere) answer = behaviour;
    await registerExtension({ ...inLambda(), ...(isThere ? {} : { AWS_LAMBDA_RUNTIME_API: behaviour }) });
    expect(lines()).toMatchObject([{ errorType, errorMessage, sigterm: WILL_NOT_COME }]);
  });

  test.each<[string, Answer]>([
    ["does not answer", () => undefined],
    ["begins an answer and does not end it", (_, response) => response.writeHead(403).write("{")],
  ])("the API %s: Init goes on after half a second", async (_, silence) => {
    answer = silence;
    const begun = performance.now();
    await registerExtension(inLambda());
    expect(performance.now() - begun).toBeGreaterThan(450);
    expect(performance.now() - begun).toBeLessThan(800);
    expect(lines()).toMatchObject([{ errorType: "Timeout", sigterm: WILL_NOT_COME }]);
  });

  test("a slow API is waited for", async () => {
    answer = (call, response) => setTimeout(accept, 200, call, response);
    await registerExtension(inLambda());
    await until(() => calls.length === 2);
    expect(lines()).toEqual([]);
  });

  test("the connection breaks while the extension waits: it stays registered", async () => {
    await registerExtension(inLambda());
    await until(() => calls.length === 2);
    server.closeAllConnections();
    await until(() => lines().length > 0);
    expect(lines()).toMatchObject([{ errorType: "ECONNRESET", sigterm: COMES }]);
  });

  test("the API does not know the extension when it asks for its next event", async () => {
    answer = (call, response) => {
      if (call.route === REGISTER) accept(call, response);
      else respond(response, 403, { errorType: "Extension.UnknownExtensionIdentifier", errorMessage: "who?" });
    };
    await registerExtension(inLambda());
    await until(() => lines().length > 0);
    expect(lines()).toMatchObject([{ errorType: "Extension.UnknownExtensionIdentifier", sigterm: WILL_NOT_COME }]);
  });
});

test("the waiting request does not keep the process alive", async () => {
  const program = `import { registerExtension } from "./extension.mjs"; await registerExtension();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { cwd: folder, env: inLambda() });
  const limit = setTimeout(() => child.kill("SIGKILL"), 5_000);
  const [code, signal] = (await once(child, "exit")) as unknown[];
  clearTimeout(limit);
  expect([code, signal]).toEqual([0, null]);
  expect(calls[0]?.route).toBe(REGISTER);
});

describe("in a worker thread", () => {
  const program = `import("./extension.mjs").then(({ registerExtension }) => registerExtension())`;

  async function stderrOf(settings?: NodeJS.ProcessEnv, before = ""): Promise<string> {
    const file = join(folder, "worker.cjs");
    writeFileSync(file, before + program);
    const worker = new Worker(file, { env: inLambda(settings), stderr: true });
    let text = "";
    worker.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
    await once(worker, "exit");
    return text;
  }

  test("it registers nothing, and says what to do", async () => {
    const text = await stderrOf();
    expect(JSON.parse(text)).toMatchObject({ errorType: "WorkerThread", sigterm: WILL_NOT_COME });
    expect(text).toContain("docs/shutdown-extension.md");
    expect(calls).toEqual([]);
  });

  test.each([
    ["external", 1],
    ["none", 0],
  ])("with %s there is a signal to miss: %d lines", async (setting, count) => {
    expect((await stderrOf({ SHUTDOWN_EXTENSION: setting })).split("WorkerThread")).toHaveLength(count + 1);
  });

  test("to which attach passes signals on, it logs nothing", async () => {
    expect(await stderrOf(undefined, "globalThis.lambdaGracefulShutdown = { signalsAreRelayed: true };")).toBe("");
    expect(calls).toEqual([]);
  });
});
