/** Lambda Managed Instances in the lab: a shell or Node.js program asks for several invocations at a time. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ExternalExtension } from "./execution-environment";
import { LIGHT_FAKE_INSIGHTS } from "./fake-insights";
import { longInitMs } from "./lambda-function";
import { lambdaRuntime } from "./lambda-runtime";
import { ManagedEnvironment, MANAGED_RUNTIME_MS, type ManagedConfig } from "./managed-environment";

const EXTENSION = LIGHT_FAKE_INSIGHTS;

/** Two workers in one process; an event says how long it takes. The second begins a moment later. */
const BOOTSTRAP = `#!${process.execPath}
const api = "http://" + process.env.AWS_LAMBDA_RUNTIME_API;
if (process.env.ON_SIGTERM === "leave") process.on("SIGTERM", () => { console.log("heard"); process.exit(0); });
else if (process.env.ON_SIGTERM === "stay") process.on("SIGTERM", () => console.log("heard"));
async function main() {
  if (process.env.WAITS) await new Promise((resolve) => setTimeout(resolve, 60_000));
  if (process.env.FAILS) {
    const body = JSON.stringify({ errorType: "RangeError", errorMessage: "too far" });
    await fetch(api + "/2018-06-01/runtime/init/error", { method: "POST", body });
    await new Promise(() => setInterval(() => {}, 1_000));
  }
  if (process.env.INTERNAL) {
    const register = (events) => fetch(api + "/2020-01-01/extension/register", { method: "POST", body: JSON.stringify({ events }), headers: { "Lambda-Extension-Name": "inside" } });
    console.log("INVOKE " + (await register(["INVOKE"])).status);
    const id = (await register([])).headers.get("lambda-extension-identifier");
    fetch(api + "/2020-01-01/extension/event/next", { headers: { "Lambda-Extension-Identifier": id } }).catch(() => {});
  }
  if (process.env.DETACHES) {
    const { pid } = require("node:child_process").spawn("sleep", ["60"], { detached: true, stdio: "inherit" });
    console.log("detached " + pid);
  }
  for (const delay of process.env.ASKS_AT_ONCE ? [0] : [0, 100]) setTimeout(worker, delay);
}
async function worker() {
  for (;;) {
    const next = await fetch(api + "/2018-06-01/runtime/invocation/next");
    const id = next.headers.get("lambda-runtime-aws-request-id");
    const ms = await next.json();
    const done = run(id, ms);
    if (!process.env.ASKS_AT_ONCE) await done;
  }
}
async function run(id, ms) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    const path = api + "/2018-06-01/runtime/invocation/" + id + "/response";
    const answer = await fetch(path, { method: "POST", body: JSON.stringify({ pid: process.pid, ms }) });
    console.log(ms + " " + answer.status);
}
main();
`;

const directory = mkdtempSync(join(tmpdir(), "managed-"));
writeFileSync(join(directory, "bootstrap"), BOOTSTRAP, { mode: 0o755 });
let lab: ManagedEnvironment;
afterEach(async () => {
  await lab.shutdown();
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

async function start(
  environment: Readonly<Record<string, string>>,
  extensions: readonly ExternalExtension[] = [],
  config: Partial<ManagedConfig> = {},
): Promise<void> {
  const lambdaFunction = { name: "f", directory, handler: "x", memorySizeMb: 128, timeoutMs: 1_000, environment };
  lab = new ManagedEnvironment({
    runtime: lambdaRuntime("provided.al2023"),
    lambdaFunction,
    extensions,
    workers: 2,
    ...config,
  });
  await lab.init();
}

async function workers(count: number): Promise<void> {
  while (lab.idleWorkers < count) await sleep(5);
}

/** A process that nobody has waited for yet does not run. */
function runs(pid: number): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
}

test("Init ends with the first worker, and an invocation without an idle worker fails at once", async () => {
  await start({});
  expect(lab.idleWorkers).toBe(1);
  const first = lab.invoke(300);
  expect(await lab.invoke(0)).toMatchObject({ ok: false, error: { errorType: "Runtime.Unavailable" } });
  await workers(1);
  const second = lab.invoke(1);
  const [a, b] = (await Promise.all([first, second])) as { ok: true; payload: { pid: number } }[];
  expect(a?.payload.pid).toBe(b?.payload.pid);
});

test("a time-out fails that invocation only: the code runs on, its late answer is refused, the process stays", async () => {
  await start({});
  await workers(2);
  const [late, other] = await Promise.all([lab.invoke(1_300), lab.invoke(10)]);
  expect(late).toMatchObject({ ok: false, error: { errorType: "Sandbox.Timedout" } });
  expect(other).toMatchObject({ ok: true });
  await workers(2);
  expect(lab.logs).toContain("1300 410");
  expect(await lab.invoke(2)).toMatchObject({ ok: true, payload: { ms: 2 } });
});

test("one worker that asks at once runs many side by side, up to the concurrency", async () => {
  await start({ ASKS_AT_ONCE: "1" }, [], { workers: 1, concurrency: 3 });
  const running: Promise<unknown>[] = [];
  for (let each = 0; each < 3; each += 1) {
    await workers(1);
    running.push(lab.invoke(700));
  }
  await workers(1);
  expect(await lab.invoke(0)).toEqual({
    ok: false,
    error: { errorType: "Runtime.Unavailable", errorMessage: "3 invocations run" },
  });
  const begun = performance.now();
  expect(await Promise.all(running)).toMatchObject([{ ok: true }, { ok: true }, { ok: true }]);
  expect(performance.now() - begun).toBeLessThan(3 * 700);
});

test("AWS's client runs many invocations in one worker", async () => {
  writeFileSync(
    join(directory, "index.mjs"),
    `let running = 0, most = 0;
     export const handler = async (ms) => {
       most = Math.max(most, ++running);
       await new Promise((resolve) => setTimeout(resolve, ms));
       running--;
       return { most, variables: [process.env.AWS_LAMBDA_MAX_CONCURRENCY, process.env.AWS_LAMBDA_METADATA_API !== undefined] };
     };`,
  );
  const lambdaFunction = { name: "f", directory, handler: "index.handler", memorySizeMb: 128, timeoutMs: 5_000 };
  lab = new ManagedEnvironment({
    ...{ runtime: lambdaRuntime("nodejs24.x"), workers: 1 },
    lambdaFunction: { ...lambdaFunction, environment: {} },
  });
  await lab.init();
  const running: Promise<unknown>[] = [];
  for (let each = 0; each < 5; each += 1) {
    await workers(1);
    running.push(lab.invoke(1_500));
  }
  const answers = await Promise.all(running);
  expect(answers.at(-1)).toEqual({ ok: true, payload: { most: 5, variables: ["64", true] } });
});

test("no detached child is left, and the lab ends though it has the log", async () => {
  await start({ ON_SIGTERM: "leave", DETACHES: "1" }, [EXTENSION]);
  const child = Number(/^detached (\d+)$/m.exec(lab.logs.join("\n"))?.[1]);
  expect(runs(child)).toBe(process.platform === "linux");
  await lab.shutdown();
  expect(runs(child)).toBe(false);
});

test("no extension: SIGKILL at once", async () => {
  await start({ ON_SIGTERM: "leave" });
  expect(await lab.shutdown()).toMatchObject({ endedBy: "SIGKILL at once" });
  expect(lab.logs).not.toContain("heard");
});

test.each(["external", "internal"])(
  "an extension (%s): running invocations are aborted, SIGTERM arrives",
  async (kind) => {
    await start(
      { ON_SIGTERM: "leave", ...(kind === "internal" ? { INTERNAL: "1" } : {}) },
      kind === "external" ? [EXTENSION] : [],
    );
    await workers(2);
    const running = lab.invoke(900);
    await sleep(50);
    const { endedBy, runtimeMs } = await lab.shutdown();
    expect(await running).toMatchObject({ ok: false, error: { errorType: "Sandbox.Failure" } });
    expect(endedBy).toBe("itself");
    expect(runtimeMs).toBeLessThan(MANAGED_RUNTIME_MS);
    expect(lab.logs).toContain("heard");
  },
);

test("a runtime that stays is killed after 600 ms", async () => {
  await start({ ON_SIGTERM: "stay" }, [EXTENSION]);
  const { endedBy, runtimeMs } = await lab.shutdown();
  expect(endedBy).toBe("SIGKILL at its deadline");
  expect(runtimeMs).toBeGreaterThanOrEqual(MANAGED_RUNTIME_MS);
});

test.each([
  ["2022-12-13", []],
  [
    "2025-01-29",
    ["initStart", "telemetrySubscription", "initRuntimeDone", "extension", "initReport", "start", "report"],
  ],
])("a subscription to the Telemetry API with schema %s hears %j", async (schemaVersion, heard) => {
  const notes = join(directory, `notes-${schemaVersion}`);
  writeFileSync(notes, "");
  const program = join(__dirname, "test-handlers", "telemetry-extension.mjs");
  const options = { events: ["SHUTDOWN"], schemaVersion, types: ["platform"] };
  const command = [process.execPath, program, "outside", JSON.stringify(options)];
  await start({ NOTES: notes, ON_SIGTERM: "leave" }, [{ name: "outside", command }]);
  await lab.invoke(1);
  await lab.shutdown();
  const events = readFileSync(notes, "utf8").trim().split("\n").filter(Boolean);
  const types = events.map((line) => (JSON.parse(line) as { readonly type: string }).type);
  expect(types).toEqual(heard.map((type) => `platform.${type}`));
});

test("no extension may subscribe to INVOKE", async () => {
  await start({ INTERNAL: "1" });
  expect(lab.logs).toContain("INVOKE 403");
  expect(lab.extensions.count("internal")).toBe(1);
});

test("Init may take 130 s; beyond its limit the error says so", async () => {
  await expect(start({ WAITS: "1" }, [], { initMs: 500 })).rejects.toThrow(
    "Init of f failed: Sandbox.Timedout: Init timed out after 0.5 seconds",
  );
  await expect(start({ FAILS: "1" })).rejects.toThrow("Init of f failed: RangeError: too far");
  expect(longInitMs({ timeoutMs: 3_000 })).toBe(130_000);
  expect(longInitMs({ timeoutMs: 900_000 })).toBe(900_000);
});

test("the error of a failed Init contains the runtime's output", async () => {
  await expect(start({ NODE_OPTIONS: "--require=/nowhere.cjs" })).rejects.toThrow("nowhere.cjs");
});
