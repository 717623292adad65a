/**
 * What the library says on Lambda Managed Instances, where AWS's client runs the function in worker threads, which get
 * no signals. managed-run.test.ts asks what becomes of the connections.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { buildSync } from "esbuild";
import { lambdaRuntime } from "../lambda/lambda-runtime";
import { ManagedEnvironment } from "../lambda/managed-environment";

const WORKERS = 2;
const SHUTDOWN = join(__dirname, "../../shutdown/src");
const HANDLERS = {
  quick: `import { onShutdown, registerExtension } from "./index";
    onShutdown("quick", () => undefined);
    await registerExtension();
    export const handler = async () => "answer";`,
  stuck: `import { onShutdown } from "./index";
    onShutdown("stuck", () => new Promise(() => undefined));
    export const handler = async () => "answer";`,
  blocked: `import { threadId } from "node:worker_threads";
    let count = 0;
    export const handler = async () => { if (threadId === 1) for (;;) count += 1; return threadId; };`,
};

const scratch = mkdtempSync(join(tmpdir(), "managed-"));
const runtime = lambdaRuntime("nodejs24.x");
let lab: ManagedEnvironment;

beforeAll(() => {
  const common = { bundle: true, platform: "node", format: "esm" } as const;
  for (const [name, contents] of Object.entries(HANDLERS)) {
    const outfile = join(scratch, name, "index.mjs");
    buildSync({ ...common, stdin: { contents, resolveDir: SHUTDOWN, loader: "ts" }, outfile });
  }
  // What docs/shutdown-extension.md says to do.
  buildSync({ ...common, entryPoints: [join(SHUTDOWN, "attach/preload.ts")], outfile: join(scratch, "attach.mjs") });
});

afterEach(async () => {
  await lab.shutdown();
});

afterAll(() => {
  rmSync(scratch, { recursive: true });
});

async function start(name: keyof typeof HANDLERS, preload = true): Promise<void> {
  const environment = {
    ...{ SHUTDOWN_EXTENSION: "internal", SHUTDOWN_BUDGET_MS: "500" },
    ...(preload ? { NODE_OPTIONS: `--import=${join(scratch, "attach.mjs")}` } : {}),
  };
  const code = { directory: join(scratch, name), handler: "index.handler", memorySizeMb: 1_024, timeoutMs: 20_000 };
  lab = new ManagedEnvironment({ runtime, workers: WORKERS, lambdaFunction: { name, ...code, environment } });
  await lab.init();
  while (lab.idleWorkers < WORKERS) await sleep(5);
}

/** Name and result of each hook, of the lines at the end: each worker's, then the main thread's. */
function reports(): (readonly [name: string, result: string])[][] {
  const lines = lab.logs.filter((line) => line.startsWith('{"event":"shutdown"'));
  return lines.map((line) => {
    const { hooks } = JSON.parse(line) as {
      readonly hooks: readonly { readonly name: string; readonly result: string }[];
    };
    return hooks.map(({ name, result }) => [name, result] as const);
  });
}

function warnings(): number {
  return lab.logs.filter((line) => line.includes("WorkerThread")).length;
}

/** The lab's own client, which the lab uses where AWS's cannot be built, has no workers. */
const onAwsClient = runtime.isAwsClient ? test : test.skip;

onAwsClient("without the preload no extension is registered, and one of the workers says what to do", async () => {
  await start("quick", false);
  expect(warnings()).toBe(1);
  expect(lab.logs.join("\n")).toContain("docs/shutdown-extension.md");
  expect(lab.extensions.count("internal")).toBe(0);
});

onAwsClient.each([
  ["quick", "done"],
  ["stuck", "gave up"],
] as const)("with the preload each worker says that its hook %s is %s", async (name, result) => {
  await start(name);
  expect(lab.extensions.count("internal")).toBe(1);
  const { endedBy, runtimeMs } = await lab.shutdown();
  expect(endedBy).toBe("itself");
  expect(runtimeMs).toBeLessThan(500);
  const worker = [
    [name, result],
    ["attach", "done"],
  ];
  const main = [
    ["workers", "done"],
    ["attach", "done"],
  ];
  expect(reports()).toEqual([worker, worker, main]);
  expect(warnings()).toBe(0);
});

onAwsClient("a worker that is blocked costs the budget, not more, and not the others", async () => {
  await start("blocked");
  const answers = Array.from({ length: WORKERS }, () => lab.invoke({}));
  await Promise.race(answers);
  const { endedBy, runtimeMs } = await lab.shutdown();
  expect(endedBy).toBe("itself");
  expect(runtimeMs).toBeGreaterThan(300);
  expect(runtimeMs).toBeLessThan(500);
  expect(reports()).toHaveLength(WORKERS);
  expect(reports().at(-1)).toMatchObject([
    ["workers", "gave up"],
    ["attach", expect.any(String)],
  ]);
});
