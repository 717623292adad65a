/** Other libraries' SIGTERM listeners beside the synthesized function, on AWS's runtime client. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lambdaRuntime, type LambdaRuntime } from "../lambda/lambda-runtime";
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import { thisFunction } from "../functions/subject";
import { synth } from "../functions/synth";
import { synthesizedFunction, type SynthesizedFunction } from "../functions/synthesized-function";
import { run, type RunResult } from "./run";

let runtime: LambdaRuntime;
let database: DatabaseServer;
let synthesized: SynthesizedFunction;
const scratch = mkdtempSync(join(tmpdir(), "foreign-"));

beforeAll(async () => {
  synthesized = synthesizedFunction(await synth(join(scratch, "cdktf.out")));
  runtime = lambdaRuntime(synthesized.runtime);
  database = await startDatabaseServer();
}, 120_000);

afterAll(async () => {
  await database.stop();
  rmSync(scratch, { recursive: true, force: true });
});

let directories = 0;

/** One life of the function with a library that is loaded before it, and one that is loaded after it. */
async function live(
  before: string,
  after = before,
  environment: Readonly<Record<string, string>> = {},
): Promise<RunResult> {
  const directory = join(scratch, `function-${(directories += 1)}`);
  mkdirSync(directory, { recursive: true });
  cpSync(synthesized.directory, join(directory, "function"), { recursive: true });
  writeFileSync(join(directory, "before.mjs"), before);
  writeFileSync(
    join(directory, "index.mjs"),
    `import "./before.mjs"; export { handler } from "./function/index.mjs"; import "./after.mjs";`,
  );
  writeFileSync(join(directory, "after.mjs"), after);
  const subject = thisFunction(synthesized);
  const lambdaFunction = {
    ...subject.lambdaFunction,
    directory,
    environment: { ...subject.lambdaFunction.environment, ...environment },
  };
  return run({ ...subject, lambdaFunction }, runtime, database);
}

function line({ logs }: RunResult): Record<string, unknown> {
  const text = logs.map((log) => /\{"event":"shutdown".*\}$/.exec(log)?.[0]).find((found) => found !== undefined);
  return JSON.parse(text ?? "{}") as Record<string, unknown>;
}

test.each([
  [`process.on("SIGTERM", () => process.exit(0));`, { what: "process.exit(0)" }],
  [`process.once("SIGTERM", async () => { process.exit(0); });`, { what: "process.exit(0)" }],
  [
    `process.prependListener("SIGTERM", () => { throw new Error("flush"); });`,
    { what: "uncaughtException", error: "Error: flush" },
  ],
  [
    `process.on("SIGTERM", async () => { throw new Error("flush"); });
     process.on("unhandledRejection", () => process.exit(128));`,
    { what: "unhandledRejection", error: "Error: flush" },
  ],
  [
    `process.removeAllListeners("SIGTERM");
     process.on("SIGTERM", () => { process.removeAllListeners("SIGTERM"); process.kill(process.pid, "SIGTERM"); });`,
    { what: "process.kill(process.pid, SIGTERM)" },
  ],
])("%s: the connection is closed with COM_QUIT, and the line says what was held back", async (library, heldBack) => {
  const result = await live(library);
  expect(result).toMatchObject({ abortedClients: 0, shutdown: { endedBy: "itself" } });
  expect(result.outcomes).toEqual(["closed"]);
  expect(line(result)).toMatchObject({ level: "WARN", hooks: [{ name: "mysql", result: "done", closed: 1 }] });
  expect(line(result)["heldBack"]).toContainEqual(heldBack);
});

test("with the variables of the log format JSON at level ERROR the line is at that level", async () => {
  const result = await live("", "", { AWS_LAMBDA_LOG_FORMAT: "JSON", AWS_LAMBDA_LOG_LEVEL: "ERROR" });
  expect(line(result)).toMatchObject({ level: "ERROR", hooks: [{ result: "done" }] });
});
