/** Rules of the phases that need more than one process to be seen. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ExecutionEnvironment, type ExternalExtension } from "./execution-environment";
import { testEnvironments } from "./test-handlers/test-environments";

const HANDLERS = join(__dirname, "test-handlers");

const at = testEnvironments();

interface Note {
  readonly what: string;
}

/** What the extension wrote down. */
function notes(what: string): Note[] {
  const file = join(at.folder, "notes");
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Note).filter((note) => note.what === what);
}

/** The function's code, as index.mjs; extensions take the options of handlers/extension.mjs. */
function environment(code: string, options: object, timeoutMs = 20_000): ExecutionEnvironment {
  writeFileSync(join(at.folder, "index.mjs"), code);
  const extension = [process.execPath, join(HANDLERS, "extension.mjs"), "outside", JSON.stringify(options)];
  const created = new ExecutionEnvironment({
    runtime: {
      name: "nodejs24.x",
      command: [process.execPath, join(__dirname, "runtime-client.mjs")],
      isAwsClient: false,
      description: "the lab's own runtime client",
    },
    extensions: [{ name: "outside", command: extension }],
    lambdaFunction: {
      name: "a-function",
      directory: at.folder,
      handler: "index.handler",
      memorySizeMb: 128,
      timeoutMs,
      environment: { NOTES: join(at.folder, "notes") },
    },
  });
  at.environments.push(created);
  return created;
}

/** It answers its deadline. The clock may have gone on between two looks at it; then it looks again. */
const ANSWERS = `export const handler = async (event, context) => {
  for (;;) {
    const now = Date.now();
    const deadline = now + context.getRemainingTimeInMillis();
    if (Date.now() === now) return deadline;
  }
};`;

test("SIGTERM reaches the runtime's whole process group", async () => {
  const lab = environment(
    `import { spawn } from "node:child_process";
    const child = spawn("/bin/sh", ["-c", "trap 'echo the child heard SIGTERM; exit' TERM; echo ready; while :; do sleep 0.01; done"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise((ready) => child.stdout.once("data", ready));
    child.stdout.pipe(process.stdout);
    const ended = new Promise((done) => child.on("close", done));
    process.once("SIGTERM", () => ended.then(() => process.kill(process.pid, "SIGTERM")));
    export const handler = async () => "answer";`,
    {},
  );
  expect(await lab.invoke({})).toMatchObject({ ok: true });
  expect(await lab.shutdown()).toMatchObject({ endedBy: "itself" });
  expect(lab.logs).toContain("the child heard SIGTERM");
});

test("an extension and the function are told the same deadline", async () => {
  const lab = environment(ANSWERS, { events: ["INVOKE"] });
  const result = await lab.invoke({});
  expect(result).toMatchObject({ ok: true, payload: expect.any(Number) as number });
  expect(notes("outside got INVOKE")).toMatchObject([{ event: { deadlineMs: result.ok && result.payload } }]);
});

test("the time-out counts the extensions' work: the response is given, and the environment is reset", async () => {
  const lab = environment(ANSWERS, { events: ["INVOKE", "SHUTDOWN"], workMs: 60_000 }, 2_000);
  await lab.init();
  expect(await lab.invoke({})).toMatchObject({ ok: true });
  expect(lab.timeline.map(({ what }) => what)).toContain("Sandbox.Timedout, reset");
});

test("a reset begins with the runtime, and the next invocation has new extensions as well", async () => {
  const lab = environment("export const handler = async (event) => event.exit ? process.exit(3) : event;", {});
  expect(await lab.invoke({ exit: true })).toMatchObject({ ok: false, error: { errorType: "Runtime.ExitError" } });
  expect(await lab.invoke("again")).toMatchObject({ ok: true, payload: "again" });
  expect(notes("outside registered")).toHaveLength(2);
});

test("a program that cannot be started is reported with Lambda's error types", async () => {
  const missing = join(at.folder, "no-such-program");
  const config = {
    runtime: { name: "provided", command: [missing], isAwsClient: false, description: "" },
    lambdaFunction: {
      name: "a-function",
      directory: at.folder,
      handler: "",
      memorySizeMb: 128,
      timeoutMs: 20_000,
      environment: {},
    },
  };
  const extensions = (count: number): ExternalExtension[] =>
    Array.from({ length: count }, (_, index) => ({
      name: `missing-${index}`,
      command: [missing],
    }));
  const errors = [0, 1, 11].map((count) =>
    new ExecutionEnvironment({ ...config, extensions: extensions(count) }).invoke({}),
  );
  const said = (error: RegExp): string =>
    expect.stringMatching(new RegExp(`^RequestId: [0-9a-f-]{36} Error: ${error.source}$`)) as string;
  expect(await Promise.all(errors)).toMatchObject([
    { error: { errorType: "Runtime.InvalidEntrypoint", errorMessage: said(/spawn .*no-such-program ENOENT/) } },
    { error: { errorType: "Extension.LaunchError", errorMessage: said(/spawn .*no-such-program ENOENT/) } },
    { error: { errorType: "Extension.LaunchError", errorMessage: said(/ErrTooManyExtensions/) } },
  ]);
});

test("an extension does not see the runtime's own variables, and its INVOKE has the trace", async () => {
  const lab = environment(ANSWERS, { events: ["INVOKE"] });
  expect(await lab.invoke({})).toMatchObject({ ok: true });
  const [started] = notes("outside started") as {
    readonly variables?: readonly string[];
  }[];
  expect(started?.variables).toEqual(expect.arrayContaining(["AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "NOTES"]));
  for (const variable of ["_HANDLER", "LAMBDA_TASK_ROOT", "AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME"])
    expect(started?.variables).not.toContain(variable);
  expect(notes("outside got INVOKE")).toMatchObject([{ event: { tracing: { type: "X-Amzn-Trace-Id" } } }]);
});

test("an extension that reports /exit/error and exits is Extension.ExitError", async () => {
  const lab = environment(ANSWERS, { mode: "exit error" });
  expect(await lab.invoke({})).toMatchObject({
    ok: false,
    error: { errorType: "Extension.ExitError" },
  });
});

test("the first error counts: an internal extension's /exit/error, not the runtime's end after it", async () => {
  const lab = environment(
    `const url = \`http://\${process.env.AWS_LAMBDA_RUNTIME_API}/2020-01-01/extension\`;
    const post = (path, headers) => fetch(url + path, { method: "POST", headers, body: "{}" });
    const { headers } = await post("/register", { "Lambda-Extension-Name": "inside" });
    const identifier = { "Lambda-Extension-Identifier": headers.get("lambda-extension-identifier") };
    void fetch(url + "/event/next", { headers: identifier });
    export const handler = async () => {
      await post("/exit/error", { ...identifier, "Lambda-Extension-Function-Error-Type": "Extension.Broken" });
      process.exit(4);
    };`,
    {},
  );
  expect(await lab.invoke({})).toMatchObject({
    error: {
      errorType: "Extension.ExitError",
      errorMessage: expect.stringMatching(/Error: Runtime exited with error: exit status 4$/) as string,
    },
  });
});
