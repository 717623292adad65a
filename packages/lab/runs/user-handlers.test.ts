/** Common handlers, each on AWS's runtime client, on the lab's and in AWS's emulator: the verdict, and its advice. */
import { dirname, join } from "node:path";
import { builtEmulator } from "../lambda/built-emulator";
import { lambdaRuntime } from "../lambda/lambda-runtime";
import type { LambdaRuntime } from "../lambda/runtime";
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import { emulatorKind, runInEmulator } from "./emulator-run";
import { HandlerJudge } from "./handler-judge";
import { USER_HANDLERS } from "./user-handlers";

jest.setTimeout(120_000);

const ROOT = join(__dirname, "../../..");
let database: DatabaseServer;
let judge: HandlerJudge;
let program: string | undefined;
beforeAll(async () => {
  program = builtEmulator();
  if (program === undefined) console.warn("AWS's emulator did not judge here: it needs Linux and Go");
  database = await startDatabaseServer();
  judge = new HandlerJudge(database);
});
afterAll(async () => {
  await judge.close();
  await database.stop();
});

/** The same JavaScript of AWS's, with and without its native addon. */
function clients(name: string): readonly LambdaRuntime[] {
  const runtime = lambdaRuntime(name);
  const [node = "", ...rest] = runtime.command;
  if (!runtime.isAwsClient) return [runtime];
  const last = rest.at(-1) ?? "";
  const folder = last.endsWith("index.mjs") ? dirname(last) : last;
  const command = [node, join(ROOT, "packages/lab/lambda/runtime-client.mjs"), folder];
  return [runtime, { ...runtime, command, isAwsClient: false, isLabClient: true }];
}

/** The first handler on nodejs22.x waits until AWS's client is compiled for it: 40 s, and more on a busy machine. */
const COMPILES_MS = 300_000;

test.each(USER_HANDLERS.map((handler) => [handler.name, handler] as const))(
  "%s",
  async (_, handler) => {
    const missing = await judge.missing(handler);
    if (missing !== undefined && handler.usesPrisma === true) {
      console.warn(`not proven here: ${missing}`);
      return;
    }
    expect(missing).toBeUndefined();
    for (const runtime of clients(handler.runtime ?? "nodejs24.x")) {
      const { verdict, change } = await judge.judge(handler, runtime);
      const client = runtime.description;
      expect({ client, verdict: verdict.kind }).toEqual({ client, verdict: handler.verdict });
      if (handler.advice === undefined) expect(change).toBeUndefined();
      else expect(change).toContain(handler.advice);
      if (program === undefined || !runtime.isAwsClient) continue;
      const subject = await judge.subject(handler);
      const emulated = await runInEmulator(subject, runtime, database, [{}], { how: "idle" }, program);
      expect({ emulated: emulatorKind(emulated) }).toEqual({ emulated: handler.emulated ?? handler.verdict });
    }
  },
  COMPILES_MS,
);

test("a handler with a missing package gets no verdict, and the advice names the package", async () => {
  const code = 'import { a } from "a-database-nobody-has/promise"; import { readFileSync } from "node:fs";';
  expect(await judge.missing({ name: "theirs", code, verdict: "clean" })).toBe("no a-database-nobody-has");
});
