/**
 * The synthesized function on Managed Instances, with and without the preload that passes SIGTERM to the workers: the
 * lab and AWS's emulator come to one verdict.
 */
import { buildSync } from "esbuild";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtEmulator } from "../lambda/built-emulator";
import { lambdaRuntime, type LambdaRuntime } from "../lambda/lambda-runtime";
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import { templateVariables, thisFunction, withExtension, type ExtensionKind, type Subject } from "../functions/subject";
import { synth } from "../functions/synth";
import { synthesizedFunction } from "../functions/synthesized-function";
import { emulatorVerdict, isSameVerdict, runManagedInEmulator } from "./emulator-run";
import { managedAdvice, managedVerdict, runManaged } from "./managed-run";

let runtime: LambdaRuntime;
let database: DatabaseServer;
let program: string | undefined;
let directory: string;
let deployed: Subject;
const scratch = mkdtempSync(join(tmpdir(), "managed-"));

beforeAll(async () => {
  const synthesized = synthesizedFunction(await synth(join(scratch, "cdktf.out")));
  runtime = lambdaRuntime(synthesized.runtime);
  database = await startDatabaseServer();
  if (database.kind === "fake") throw new Error("a real server is needed: install mariadb-server-core");
  program = builtEmulator();
  directory = join(scratch, "deployed");
  cpSync(synthesized.directory, directory, { recursive: true });
  buildSync({
    entryPoints: [join(__dirname, "../../shutdown/src/attach/preload.ts")],
    outfile: join(directory, "attach.mjs"),
    ...{ bundle: true, platform: "node", format: "esm" },
  });
  deployed = thisFunction({ ...synthesized, directory, timeoutMs: 20_000 });
}, 240_000);

afterAll(async () => {
  await database.stop();
  rmSync(scratch, { recursive: true, force: true });
});

function subject(kind: ExtensionKind, preload: boolean): Subject {
  const made = withExtension(deployed, kind);
  const { environment } = made.lambdaFunction;
  const NODE_OPTIONS = `--import=${join(directory, "attach.mjs")}`;
  const lambdaFunction = {
    ...made.lambdaFunction,
    environment: { ...environment, ...(preload ? { NODE_OPTIONS } : {}) },
  };
  return { ...made, lambdaFunction };
}

test.each([
  { kind: "internal", preload: true, workers: 2, slow: false, endedBy: "itself", outcome: "closed" },
  { kind: "internal", preload: true, workers: 4, slow: true, endedBy: "itself", outcome: "closed" },
  { kind: "external", preload: true, workers: 2, slow: false, endedBy: "itself", outcome: "closed" },
  { kind: "internal", preload: false, workers: 2, slow: false, endedBy: "SIGKILL at once", outcome: "leaked" },
  { kind: "external", preload: false, workers: 2, slow: false, endedBy: "itself", outcome: "aborted" },
] as const)(
  "$kind, preload: $preload, $workers workers, busy: $slow → $outcome, ended by $endedBy",
  async ({ kind, preload, workers, slow, endedBy, outcome }) => {
    if (!runtime.isAwsClient) {
      console.warn(`Managed Instances not tested: ${runtime.description}`);
      return;
    }
    const config = {
      ...{ subject: subject(kind, preload), runtime, database, workers },
      ...(slow ? { slowEvent: { sleepSeconds: 15 } } : {}),
    };
    const result = await runManaged(config);
    expect(result.invocations.map(({ ok }) => ok)).toEqual(Array.from({ length: workers }, () => true));
    const clean = outcome === "closed";
    expect({ endedBy: result.shutdown.endedBy, clean: managedVerdict(result).clean }).toEqual({ endedBy, clean });
    expect(result.outcomes.length).toBeGreaterThanOrEqual(workers);
    expect(new Set(result.outcomes)).toEqual(new Set([outcome]));
    expect(result.abortedClients).toBe(outcome === "aborted" ? workers : 0);
    if (program === undefined || process.getuid?.() !== 0) {
      console.warn("AWS's emulator did not judge here: it needs Linux, root and Go");
      return;
    }
    const emulated = await runManagedInEmulator(config, program);
    expect(emulated.invocations).toEqual(Array.from({ length: workers }, () => true));
    expect({ endedBy: emulated.endedBy, outcomes: [...emulated.outcomes].sort() }).toEqual({
      endedBy,
      outcomes: [...result.outcomes].sort(),
    });
    expect({ clean: emulatorVerdict(emulated).clean, isSame: isSameVerdict(result, emulated) }).toEqual({
      ...{ clean, isSame: true },
    });
    expect(emulated.abortedClients).toBe(result.abortedClients);
  },
);

test("AWS's client takes a thread of libuv's pool for each worker, and the advice is to have more of them", async () => {
  if (!runtime.isAwsClient) {
    console.warn(`Managed Instances not tested: ${runtime.description}`);
    return;
  }
  const made = subject("internal", true);
  const workers = 6;
  // A host name, as a deployed function has: it is looked up in the same threads.
  const named = (size: Readonly<Record<string, string>>): Subject => ({
    ...made,
    variables: (login) => ({ ...templateVariables({ ...login, host: "localhost" }), ...size }),
  });
  const few = await runManaged({ ...{ runtime, database, workers }, subject: named({}) });
  expect(few.invocations.filter(({ ok }) => !ok).length).toBeGreaterThanOrEqual(workers - 4);
  const [, size = ""] = /^set UV_THREADPOOL_SIZE to (\d+):/.exec(managedAdvice(few) ?? "") ?? [];
  const enough = await runManaged({ ...{ runtime, database, workers }, subject: named({ UV_THREADPOOL_SIZE: size }) });
  expect(managedAdvice(enough)).toBeUndefined();
  expect(managedVerdict(enough)).toMatchObject({ clean: true });
  expect(enough.outcomes).toEqual(Array.from({ length: workers }, () => "closed"));
});
