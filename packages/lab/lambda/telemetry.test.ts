/** What an extension hears of an environment that subscribes to the Telemetry API and waits for what it is told. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ExecutionEnvironment } from "./execution-environment";
import type { TelemetryEvent } from "./telemetry-subscriber";
import { testEnvironments } from "./test-handlers/test-environments";

const at = testEnvironments();

function heard(): TelemetryEvent[] {
  const file = join(at.folder, "notes");
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as TelemetryEvent);
}

function records(type: string): unknown[] {
  return heard().flatMap((event) => (event.type === type ? [event.record] : []));
}

/** With an extension that waits for platform.runtimeDone in each invocation. */
function environment(code: string, types = ["platform", "function", "extension"]): ExecutionEnvironment {
  writeFileSync(join(at.folder, "index.mjs"), code);
  const program = join(__dirname, "test-handlers", "telemetry-extension.mjs");
  const asked = JSON.stringify({ types, buffering: { timeoutMs: 25 } });
  const created = new ExecutionEnvironment({
    runtime: {
      name: "nodejs24.x",
      command: [process.execPath, join(__dirname, "runtime-client.mjs")],
      isAwsClient: false,
      description: "the lab's own runtime client",
    },
    extensions: [{ name: "outside", command: [process.execPath, program, "outside", asked] }],
    lambdaFunction: {
      name: "a-function",
      directory: at.folder,
      handler: "index.handler",
      memorySizeMb: 128,
      timeoutMs: 5_000,
      environment: { NOTES: join(at.folder, "notes") },
    },
  });
  at.environments.push(created);
  return created;
}

const SAYS = `console.log("init");
process.once("SIGTERM", () => { console.log("the last line"); process.kill(process.pid, "SIGTERM"); });
export const handler = async (event) => {
  console.log("a line of the function");
  if (event === "throw") throw new Error("thrown");
  if (event === "exit") process.exit(3);
  if (event === "sleep") await new Promise(() => setTimeout(() => {}, 60_000));
  return event;
};`;

test("an extension that waits for platform.runtimeDone ends its part, and hears each phase in its order", async () => {
  const lab = environment(SAYS);
  await lab.init();
  expect(await lab.invoke("hello")).toMatchObject({ ok: true, payload: "hello" });
  expect(await lab.shutdown()).toMatchObject({ endedBy: "itself" });
  expect(lab.logs).toContain('subscribed: "OK"');

  const platform = heard().flatMap(({ type }) => (type.startsWith("platform.") ? [type.slice(9)] : []));
  expect(platform).toEqual([
    "initStart",
    "telemetrySubscription",
    "initRuntimeDone",
    "extension",
    "initReport",
    "start",
    "runtimeDone",
    "report",
  ]);
  const init = { initializationType: "on-demand", phase: "init" };
  expect(records("platform.initStart")).toMatchObject([{ ...init, functionName: "a-function" }]);
  expect(records("platform.initRuntimeDone")).toEqual([{ ...init, status: "success" }]);
  expect(records("platform.extension")).toEqual([{ name: "outside", state: "Ready", events: ["INVOKE", "SHUTDOWN"] }]);
  const milliseconds = expect.any(Number) as number;
  expect(records("platform.initReport")).toEqual([
    { ...init, status: "success", metrics: { durationMs: milliseconds } },
  ]);
  const [start] = records("platform.start") as { readonly requestId: string }[];
  expect(start).toEqual({
    requestId: expect.stringMatching(/^[\da-f-]{36}$/) as string,
    version: "$LATEST",
    tracing: { type: "X-Amzn-Trace-Id", value: expect.stringMatching(/^Root=/) as string },
  });
  const same = { requestId: start?.requestId, tracing: expect.any(Object) as object, status: "success" };
  expect(records("platform.runtimeDone")).toEqual([
    { ...same, metrics: { durationMs: milliseconds, producedBytes: '"hello"'.length } },
  ]);
  expect(records("platform.report")).toMatchObject([
    {
      ...same,
      metrics: {
        memorySizeMB: 128,
        durationMs: milliseconds,
        billedDurationMs: milliseconds,
        initDurationMs: milliseconds,
      },
    },
  ]);
});

test("the log comes a line an event, the last line before SHUTDOWN", async () => {
  const lab = environment(SAYS);
  expect(await lab.invoke("hello")).toMatchObject({ ok: true });
  await lab.shutdown();
  const lines = records("function").join("\n");
  for (const line of ["init", "a line of the function", "the last line"]) expect(lines).toContain(line);
  expect(records("extension")).toEqual(['subscribed: "OK"']);
});

test.each([
  ["exit", "error", { errorType: "Runtime.ExitError" }],
  ["sleep", "timeout", {}],
])("an invocation that fails (%s) is also done, with the status %s", async (event, status, more) => {
  const lab = environment(SAYS);
  expect(await lab.invoke(event)).toHaveProperty("ok", false);
  for (const type of ["platform.runtimeDone", "platform.report"]) {
    expect(records(type)).toMatchObject([{ status, ...more }]);
  }
  expect(records("platform.runtimeDone")).toMatchObject([{ metrics: { producedBytes: 0 } }]);
});

test("an Init that fails is reported, and a second try is a part of the invocation", async () => {
  const lab = environment('throw new Error("no Init");');
  await expect(lab.init()).rejects.toThrow();
  expect(records("platform.initReport")).toMatchObject([
    { phase: "init", status: "error", errorType: expect.any(String) as string },
  ]);
  await lab.invoke({});
  expect(records("platform.initStart")).toMatchObject([{ phase: "init" }, { phase: "invoke" }]);
});

test("a frozen environment gets no events until the thaw", async () => {
  const lab = environment(SAYS);
  await lab.invoke("hello");
  lab.freeze();
  const before = heard().length;
  await sleep(100);
  expect(heard()).toHaveLength(before);
  lab.thaw();
  expect(await lab.invoke("again")).toMatchObject({ ok: true });
  await lab.shutdown();
  expect(records("platform.report")).toHaveLength(2);
});
