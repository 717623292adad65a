import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RuntimeApi, type LambdaError } from "./runtime-api";

const CLIENT = join(__dirname, "runtime-client.mjs");

let folder: string;
let api: RuntimeApi;
let client: ChildProcess | undefined;
let initErrors: LambdaError[];
let outcomes: ({ readonly response: string } | { readonly error: LambdaError })[];
let written: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "client-"));
  initErrors = [];
  outcomes = [];
  written = "";
  const metadata = { functionName: "a-function", functionVersion: "$LATEST", handler: "index.handler" };
  api = await RuntimeApi.start(metadata, [], {
    runtimeReady: () => undefined,
    initError: (error) => initErrors.push(error),
    invocationDone: (_, outcome) => outcomes.push(outcome),
    extensionChanged: () => undefined,
  });
});

afterEach(async () => {
  if (client !== undefined && isRunning(client)) {
    client.kill("SIGKILL");
    await once(client, "exit");
  }
  client = undefined;
  await api.close();
  rmSync(folder, { recursive: true });
});

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`never became true: ${holds.toString()}\n${written}`);
    await sleep(2);
  }
}

/** Starts the client on a handler's code, which was written to `file`. */
function start(code: string, file = "index.mjs", handler = "index.handler"): ChildProcess {
  writeFileSync(join(folder, file), code);
  const started = spawn(process.execPath, [CLIENT], {
    env: {
      AWS_LAMBDA_RUNTIME_API: api.address,
      AWS_LAMBDA_FUNCTION_NAME: "a-function",
      LAMBDA_TASK_ROOT: folder,
      _HANDLER: handler,
    },
  });
  for (const stream of [started.stdout, started.stderr]) stream.on("data", (text) => (written += String(text)));
  client = started;
  return started;
}

async function invoke(event: unknown, requestId = "1"): Promise<(typeof outcomes)[number] | undefined> {
  await until(() => api.runtimeIsReady);
  const before = outcomes.length;
  const deadlineMs = Date.now() + 20_000;
  api.invoke({ requestId, event: JSON.stringify(event), deadlineMs, functionArn: "arn:aws:lambda:::a-function" });
  await until(() => outcomes.length > before);
  return outcomes.at(-1);
}

test("answers one event after the other, with the invocation's context", async () => {
  start(`export const handler = async (event, { awsRequestId, functionName, getRemainingTimeInMillis }) =>
    ({ event, awsRequestId, functionName, remaining: getRemainingTimeInMillis() });`);
  for (const [requestId, event] of [
    ["1", { greeting: "Grüß Gott, 世界 👋🏽" }],
    ["2", null],
  ] as const) {
    const outcome = await invoke(event, requestId);
    if (outcome === undefined || !("response" in outcome)) throw new Error(JSON.stringify(outcome));
    const { remaining, ...rest } = JSON.parse(outcome.response) as { remaining: number };
    expect(rest).toEqual({ event, awsRequestId: requestId, functionName: "a-function" });
    expect(remaining).toBeGreaterThan(0);
    expect(remaining).toBeLessThanOrEqual(20_000);
  }
});

test.each([
  ["index.js", "exports.handler = () => 'CommonJS';"],
  ["index.cjs", "module.exports = Object.fromEntries([['handler', async () => 'CommonJS']]);"],
])("takes a handler from %s", async (file, code) => {
  start(code, file);
  expect(await invoke({})).toEqual({ response: '"CommonJS"' });
});

test("a handler that returns nothing answers null", async () => {
  start("export const handler = () => {};");
  expect(await invoke({})).toEqual({ response: "null" });
});

test("reports the handler's errors, and goes on", async () => {
  start(`export const handler = async ({ text }) => { if (text) throw text; throw new RangeError("too far"); };`);
  expect(await invoke({})).toEqual({
    error: {
      errorType: "RangeError",
      errorMessage: "too far",
      trace: expect.arrayContaining(["RangeError: too far"]) as string[],
    },
  });
  expect(await invoke({ text: "no Error" })).toMatchObject({
    error: { errorType: "string", errorMessage: "no Error" },
  });
  expect(written).toContain("RangeError: too far");
});

test.each([
  ["code that throws", 'throw new TypeError("not today");', "index.handler", "TypeError", "not today"],
  ["a missing file", "", "another.handler", "Runtime.ImportModuleError", "Cannot find module 'another'"],
  [
    "a missing export",
    "export const other = 1;",
    "index.handler",
    "Runtime.HandlerNotFound",
    "index.handler is undefined or not exported",
  ],
])("%s ends Init with its error", async (_, code, handler, errorType, message) => {
  const started = start(code, "index.mjs", handler);
  expect(await once(started, "exit")).toEqual([1, null]);
  expect(initErrors).toMatchObject([{ errorType, errorMessage: expect.stringContaining(message) as string }]);
  expect(api.runtimeIsReady).toBe(false);
});

test("process.exit() on SIGTERM hangs while it waits for an event, as it does on AWS's client", async () => {
  const started = start(`process.on("SIGTERM", () => process.exit(0)); export const handler = () => 1;`);
  await until(() => api.runtimeIsReady);
  started.kill("SIGTERM");
  await sleep(500);
  expect(isRunning(started)).toBe(true);
  started.kill("SIGKILL");
  expect(await once(started, "exit")).toEqual([null, "SIGKILL"]);
});

test("process.exit() in an invocation ends it at once, as it does on AWS's client", async () => {
  const started = start(`export const handler = async () => process.exit(3);`);
  await until(() => api.runtimeIsReady);
  api.invoke({ requestId: "1", event: "{}", deadlineMs: Date.now() + 20_000, functionArn: "arn:aws:lambda:::a" });
  expect(await once(started, "exit")).toEqual([3, null]);
});

test("a handler with a callback is refused with AWS's words, as on nodejs24.x", async () => {
  const started = start(`export const handler = (event, context, callback) => callback(null, 1);`);
  await once(started, "exit");
  expect(initErrors).toMatchObject([
    {
      errorType: "Runtime.CallbackHandlerDeprecated",
      errorMessage: expect.stringContaining("removed support for callback-based function handlers") as string,
    },
  ]);
});
