/** SIGTERM without a layer: the function registers an internal extension, on AWS's runtime client and the lab's API. */
import { buildSync } from "esbuild";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import { ExecutionEnvironment, type ExternalExtension } from "../lambda/execution-environment";
import { lambdaRuntime, type LambdaRuntime } from "../lambda/lambda-runtime";
import { run } from "./run";
import { synth } from "../functions/synth";
import { synthesizedFunction, type SynthesizedFunction } from "../functions/synthesized-function";
import { templateVariables, thisFunction, type Subject } from "../functions/subject";

const REGISTERED = "extension lambda-graceful-shutdown registered";

let runtime: LambdaRuntime;
let database: DatabaseServer;
let synthesized: SynthesizedFunction;
const scratch = mkdtempSync(join(tmpdir(), "internal-"));
const environments: ExecutionEnvironment[] = [];

beforeAll(async () => {
  synthesized = synthesizedFunction(await synth(join(scratch, "cdktf.out")));
  runtime = lambdaRuntime(synthesized.runtime);
  database = await startDatabaseServer();
  if (database.kind === "fake") throw new Error("a real server is needed: install mariadb-server-core");
}, 120_000);

afterEach(() => Promise.all(environments.splice(0).map((environment) => environment.shutdown())));

afterAll(async () => {
  await database.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const INTERNAL = { SHUTDOWN_EXTENSION: "internal", SHUTDOWN_BUDGET_MS: "500" };

function subject(variables: Readonly<Record<string, string>>, extensions: readonly ExternalExtension[] = []): Subject {
  const environment = { ...synthesized.environment, ...variables };
  return { name: "internal extension", lambdaFunction: { ...synthesized, environment }, extensions };
}

function started(
  variables: Readonly<Record<string, string>>,
  extensions: readonly ExternalExtension[] = [],
  directory = synthesized.directory,
  timeoutMs = synthesized.timeoutMs,
): ExecutionEnvironment {
  const environment = {
    ...templateVariables({ ...database, host: "127.0.0.1" }),
    NOTES: join(scratch, "notes"),
    ...variables,
  };
  const created = new ExecutionEnvironment({
    runtime,
    extensions,
    lambdaFunction: { ...synthesized, directory, environment, timeoutMs },
  });
  environments.push(created);
  return created;
}

/** What the function wrote about an event, whatever the runtime's client puts before and after it. */
function reports(logs: readonly string[], event: string): Record<string, unknown>[] {
  const lines = logs.map((line) => new RegExp(`\\{"event":"${event}".*\\}`).exec(line)?.[0]);
  return lines.filter((line) => line !== undefined).map((line) => JSON.parse(line) as Record<string, unknown>);
}

function registrations(environment: { readonly timeline: readonly { readonly what: string }[] }): string[] {
  return environment.timeline.map(({ what }) => what).filter((what) => what.endsWith(" registered"));
}

function extension(name: string): ExternalExtension {
  const program = join(__dirname, "../lambda/test-handlers/extension.mjs");
  return { name, command: [process.execPath, program, name, "{}"] };
}

test("internal: SIGTERM arrives without a layer, and every connection is given back", async () => {
  const result = await run(subject(INTERNAL), runtime, database);
  expect(result).toMatchObject({
    invocations: [{ ok: true }],
    outcomes: ["closed"],
    abortedClients: 0,
    shutdown: { endedBy: "itself" },
  });
  expect(registrations(result)).toEqual([REGISTERED]);
  expect(reports(result.logs, "shutdown")).toMatchObject([{ signal: "SIGTERM", budgetMs: 500 }]);
  expect(reports(result.logs, "shutdown extension")).toEqual([]);
});

test.each([
  ["not set, and no layer", () => subject({ SHUTDOWN_EXTENSION: "" }), [REGISTERED], "closed", "itself"],
  ["external", () => thisFunction(synthesized), ["extension fake-insights-extension registered"], "closed", "itself"],
  ["none", () => subject({ SHUTDOWN_EXTENSION: "none" }), [], "leaked", "SIGKILL at once"],
] as const)("%s: which extensions register, and how it ends", async (_, subjectOf, registered, outcome, endedBy) => {
  const result = await run(subjectOf(), runtime, database);
  expect(registrations(result)).toEqual(registered);
  expect(result).toMatchObject({ outcomes: [outcome], abortedClients: 0, shutdown: { endedBy } });
});

test("freezing and thawing do not disturb the extension", async () => {
  const environment = started(INTERNAL);
  await environment.init();
  for (let round = 0; round < 3; round += 1) {
    environment.freeze();
    await sleep(200);
    environment.thaw();
    expect(await environment.invoke({})).toMatchObject({ ok: true });
  }
  environment.freeze();
  expect(await environment.shutdown()).toMatchObject({ endedBy: "itself" });
  expect(reports(environment.logs, "shutdown extension")).toEqual([]);
});

test("an environment that is reset after a time-out registers again", async () => {
  const code = `await registerExtension();
    export const handler = ({ hang }) => hang ? new Promise(() => setInterval(() => {}, 1_000)) : Promise.resolve();`;
  const environment = started(INTERNAL, [], scenario("hangs", code), 3_000);
  expect(await environment.invoke({ hang: true })).toMatchObject({
    ok: false,
    error: { errorType: "Sandbox.Timedout" },
  });
  expect(await environment.invoke({})).toMatchObject({ ok: true });
  expect(registrations(environment)).toEqual([REGISTERED, REGISTERED]);
});

describe("a refusal is one line, and the function answers", () => {
  test.each([
    ["ten extensions are", Array.from({ length: 10 }, (_, index) => `extension-${index}`), "TooManyExtensions"],
    ["one of that name is", ["lambda-graceful-shutdown"], "InvalidExtensionState"],
  ])("%s registered already", async (_, names, errorType) => {
    const environment = started(INTERNAL, names.map(extension));
    expect(await environment.invoke({})).toMatchObject({ ok: true });
    expect(reports(environment.logs, "shutdown extension")).toMatchObject([
      { errorType: `Extension.${errorType}`, sigterm: "comes: an extension is registered already" },
    ]);
    expect(await environment.shutdown()).toMatchObject({ endedBy: "itself" }); // SIGTERM came, as the line says
  });

  test("the runtime has asked for its first event already", async () => {
    const code = `setTimeout(registerExtension, 300);
      export const handler = () => new Promise((done) => setTimeout(done, 500, "answer"));`;
    const environment = started(INTERNAL, [], scenario("late", code));
    expect(await environment.invoke({})).toMatchObject({ ok: true, payload: "answer" });
    expect(reports(environment.logs, "shutdown extension")).toMatchObject([
      { errorType: "Extension.RegistrationClosed", sigterm: expect.stringMatching(/^will not come/) as unknown },
    ]);
    expect(await environment.shutdown()).toMatchObject({ endedBy: "SIGKILL at once" });
  });
});

test("two copies of the module in one function register once", async () => {
  const code = `import { registerExtension as again } from "./copy.mjs";
    await registerExtension(); await again();
    export const handler = async () => "answer";`;
  const environment = started(INTERNAL, [], scenario("twice", code));
  expect(await environment.invoke({})).toMatchObject({ ok: true, payload: "answer" });
  expect(registrations(environment)).toEqual([REGISTERED]);
  expect(reports(environment.logs, "shutdown extension")).toEqual([]);
});

/** A function of its own, with function/extension.ts beside it, twice. */
function scenario(name: string, code: string): string {
  const directory = join(scratch, name);
  mkdirSync(directory, { recursive: true });
  for (const file of ["extension.mjs", "copy.mjs"]) {
    buildSync({
      entryPoints: [join(__dirname, "../../shutdown/src/extension.ts")],
      outfile: join(directory, file),
      bundle: true,
      platform: "node",
      format: "esm",
    });
  }
  writeFileSync(join(directory, "index.mjs"), `import { registerExtension } from "./extension.mjs";\n${code}`);
  return directory;
}
