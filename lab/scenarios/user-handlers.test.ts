/** Common handlers, each on AWS's runtime client and on the lab's: the same verdict, and its advice. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { lambdaRuntime } from "../lambda/lambda-runtime";
import type { LambdaRuntime } from "../lambda/runtime";
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import { handlerCode } from "../subjects/handler-code";
import { withExtension } from "../subjects/subject";
import { userFunction, userVariables } from "../subjects/user-function";
import { advice } from "./advice";
import { run } from "./run";
import { USER_HANDLERS, userHandlersTable, type UserHandler } from "./user-handlers";
import { runVerdict, type VerdictKind } from "./verdict";

jest.setTimeout(120_000);

const ROOT = join(__dirname, "../..");
// Below the lab, where a handler finds the packages of the lab and of the project.
const CACHE = join(ROOT, "lab/node_modules/.cache");
mkdirSync(CACHE, { recursive: true });
const scratch = mkdtempSync(join(CACHE, "handlers-"));
let database: DatabaseServer;
beforeAll(async () => {
  database = await startDatabaseServer();
});
afterAll(async () => {
  await database.stop();
  rmSync(scratch, { recursive: true, force: true });
});

/** The same JavaScript of AWS's, with and without its native addon. */
function clients(name: string): readonly LambdaRuntime[] {
  const runtime = lambdaRuntime(name);
  const [node = "", ...rest] = runtime.command;
  if (!runtime.isAwsClient) return [runtime];
  const last = rest.at(-1) ?? "";
  const folder = last.endsWith("index.mjs") ? dirname(last) : last;
  const command = [node, join(ROOT, "lab/lambda/runtime-client.mjs"), folder];
  return [runtime, { ...runtime, command, isAwsClient: false, isLabClient: true }];
}

async function judge(
  { file = "index.js", code }: UserHandler,
  runtime: LambdaRuntime,
): Promise<{ readonly verdict: VerdictKind; readonly change: string | undefined }> {
  const directory = mkdtempSync(join(scratch, "handler-"));
  writeFileSync(join(directory, file), code);
  const { compiledFrom, ...found } = userFunction(directory, mkdtempSync(join(scratch, "scratch-")));
  expect(compiledFrom).toBe(file.endsWith(".ts") ? file : undefined);
  const subject = withExtension(
    {
      name: "theirs",
      lambdaFunction: { ...found, memorySizeMb: 128, timeoutMs: 5_000, environment: {} },
      extensions: [],
      variables: (login) => userVariables(login),
    },
    "external",
  );
  const result = await run(subject, runtime, database);
  const change = advice(result, true, { code: handlerCode(subject.lambdaFunction) });
  return { verdict: runVerdict(result).kind, change };
}

test.each(USER_HANDLERS.map((handler) => [handler.name, handler] as const))("%s", async (_, handler) => {
  for (const runtime of clients(handler.runtime ?? "nodejs24.x")) {
    const { verdict, change } = await judge(handler, runtime);
    expect({ client: runtime.description, verdict }).toEqual({ client: runtime.description, verdict: handler.verdict });
    if (handler.advice === undefined) expect(change).toBeUndefined();
    else expect(change).toContain(handler.advice);
  }
});

test("lab/README.md has this table", () => {
  const plain = (text: string): string => text.replace(/ +/g, " ").replace(/-{3,}/g, "---");
  expect(plain(readFileSync(join(ROOT, "lab/README.md"), "utf8"))).toContain(plain(userHandlersTable()));
});
