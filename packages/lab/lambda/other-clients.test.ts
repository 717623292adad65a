/** Programs other than Node.js run in the lab unchanged. They use only the Runtime API and the Extensions API. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExecutionEnvironment, type ExternalExtension, type InvocationResult } from "./execution-environment";
import { lambdaRuntime } from "./lambda-runtime";

const CLIENTS = join(__dirname, "other-clients");
const EXTENSION: ExternalExtension = { name: "extension", command: [join(CLIENTS, "shell", "extension")] };

const environments: ExecutionEnvironment[] = [];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "clients-"));
});
afterEach(async () => {
  await Promise.all(environments.splice(0).map((environment) => environment.shutdown()));
  rmSync(folder, { recursive: true });
});

interface Setting {
  readonly extensions?: readonly ExternalExtension[];
  readonly variables?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

function environment(client: string, { extensions = [], variables = {}, timeoutMs = 20_000 }: Setting = {}) {
  const created = new ExecutionEnvironment({
    runtime: lambdaRuntime("provided.al2023"),
    extensions,
    lambdaFunction: {
      name: "a-function",
      directory: join(CLIENTS, client),
      handler: "not.used",
      memorySizeMb: 128,
      timeoutMs,
      environment: { ...variables, TMPDIR: folder }, // the shell's file is left when SIGKILL comes
    },
  });
  environments.push(created);
  return created;
}

async function pid(invocation: Promise<InvocationResult>): Promise<number> {
  const result = await invocation;
  if (!result.ok) throw new Error(`${result.error.errorType}: ${result.error.errorMessage}`);
  return (result.payload as { readonly pid: number }).pid;
}

/** Where a program is missing, its tests are reported as skipped, and their title says what they need. */
function needs(programs: readonly string[]): jest.It {
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin" }; // the PATH of an execution environment
  return programs.every((program) => spawnSync(program, ["--version"], { env }).status === 0) ? test : test.skip;
}

describe.each([
  ["shell", ["curl"]],
  ["python", ["python3", "curl"]], // curl for the external extension
])("%s/bootstrap (needs %j)", (client, programs) => {
  const it = needs(programs);
  const sigterm = "SIGTERM arrived";

  it("answers one event after the other, and says what failed", async () => {
    const lab = environment(client);
    const event = { greeting: "Grüß Gott, 世界 👋🏽" };
    expect(await lab.invoke(event)).toMatchObject({ ok: true, payload: { event } });
    const error = { errorType: "Function.Refused", errorMessage: "as asked" };
    expect(await lab.invoke("fail")).toMatchObject({ ok: false, error });
    const first = await pid(lab.invoke(1));
    lab.freeze();
    lab.thaw();
    expect(await pid(lab.invoke(2))).toBe(first);
  });

  it("no extension: SIGKILL, and no signal before", async () => {
    const lab = environment(client);
    await lab.init();
    expect(await lab.shutdown()).toMatchObject({ endedBy: "SIGKILL at once" });
    expect(lab.logs).not.toContain(sigterm);
  });

  it("an external extension: SIGTERM arrives, and it ends itself", async () => {
    const lab = environment(client, { extensions: [EXTENSION] });
    await lab.init();
    lab.freeze();
    expect(await lab.shutdown("spindown")).toMatchObject({ endedBy: "itself" });
    expect(lab.logs).toContain(sigterm);
    expect(lab.logs).toContainEqual(expect.stringMatching(/^extension was told \{.*"shutdownReason":"spindown"/));
  });

  it("an internal extension of its own: the same", async () => {
    const lab = environment(client, { variables: { INTERNAL_EXTENSION: "inside" } });
    await lab.init();
    expect(lab.timeline.map(({ what }) => what)).toContain("extension inside registered");
    await pid(lab.invoke({}));
    expect(await lab.shutdown()).toMatchObject({ endedBy: "itself" });
    expect(lab.logs).toContain(sigterm);
  });

  it("a time-out: SIGTERM in the middle of the work, and a new process for the next event", async () => {
    const lab = environment(client, { variables: { INTERNAL_EXTENSION: "inside" }, timeoutMs: 4_000 });
    await lab.init();
    const before = await pid(lab.invoke({}));
    expect(await lab.invoke("hang")).toMatchObject({ ok: false, error: { errorType: "Sandbox.Timedout" } });
    expect(lab.logs).toContain(sigterm);
    expect(await pid(lab.invoke({}))).not.toBe(before);
  });
});

test("a bootstrap gets no AWS_EXECUTION_ENV, which names AWS's runtimes", async () => {
  writeFileSync(join(folder, "bootstrap"), "#!/bin/sh\nenv\n", { mode: 0o755 });
  const environmentOf = async (name: string): Promise<readonly string[]> => {
    const lambdaFunction = { name: "f", directory: folder, handler: "x", memorySizeMb: 128, timeoutMs: 3_000 };
    const runtime = { ...lambdaRuntime("provided"), name };
    const created = new ExecutionEnvironment({ runtime, lambdaFunction: { ...lambdaFunction, environment: {} } });
    environments.push(created);
    await expect(created.init()).rejects.toThrow("Runtime.ExitError");
    return created.logs;
  };
  expect(await environmentOf("python3.13")).toContain("AWS_EXECUTION_ENV=AWS_Lambda_python3.13");
  const provided = await environmentOf("provided.al2023");
  expect(provided).toContain("_HANDLER=x");
  expect(provided.filter((line) => line.startsWith("AWS_EXECUTION_ENV"))).toEqual([]);
});

test("the Runtime API answers until the runtime is gone: on SIGTERM an answer is accepted as before", async () => {
  const program = `#!${process.execPath}
    const api = "http://" + process.env.AWS_LAMBDA_RUNTIME_API + "/2018-06-01/runtime/";
    process.on("SIGTERM", () => setTimeout(async () => {
      const { status } = await fetch(api + "invocation/none/response", { method: "POST", body: "{}" });
      console.log("answered " + status);
      process.exit(0);
    }, 20));
    fetch(api + "invocation/next").catch((error) => console.log("closed " + error));`;
  writeFileSync(join(folder, "bootstrap"), program, { mode: 0o755 });
  const lambdaFunction = { name: "f", directory: folder, handler: "x", memorySizeMb: 128, timeoutMs: 3_000 };
  const created = new ExecutionEnvironment({
    runtime: lambdaRuntime("provided"),
    extensions: [EXTENSION],
    lambdaFunction: { ...lambdaFunction, environment: {} },
  });
  environments.push(created);
  await created.init();
  expect(await created.shutdown()).toMatchObject({ endedBy: "itself" });
  expect(created.logs).toContain("answered 400");
  expect(created.logs).not.toContainEqual(expect.stringContaining("closed"));
});

test("the lab's description of such a runtime", () => {
  expect(lambdaRuntime("provided")).toEqual({
    name: "provided",
    command: ["./bootstrap"],
    isAwsClient: false,
    description: expect.stringContaining("this machine's operating system instead of Amazon Linux") as string,
  });
});
