/** Lambda Managed Instances: AWS's client runs the function in worker threads, which get no signals. */
import { buildSync } from "esbuild";
import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import { ExtensionsApi } from "../lambda/extensions-api";
import { json, readBody } from "../lambda/http-answer";
import { lambdaRuntime, type LambdaRuntime } from "../lambda/lambda-runtime";
import { Relay } from "../mysql/relay";
import { synth } from "../functions/synth";
import { synthesizedFunction, type SynthesizedFunction } from "../functions/synthesized-function";

/** A Runtime API that takes one question for the next event from each worker; the lab's takes one at a time. */
class ConcurrentRuntimeApi {
  readonly extensions = new ExtensionsApi(
    { functionName: "f", functionVersion: "$LATEST", handler: "index.handler" },
    [],
    () => undefined,
  );
  readonly waiting: ServerResponse[] = [];
  readonly answers: unknown[] = [];
  readonly #server: Server = createServer((request, response) => void this.#route(request, response));

  async start(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Hands one invocation to each worker that waits. */
  invokeAll(): void {
    for (const response of this.waiting.splice(0)) {
      response.writeHead(200, {
        "Content-Type": "application/json",
        "Content-Length": 2,
        "Lambda-Runtime-Aws-Request-Id": randomUUID(),
        "Lambda-Runtime-Deadline-Ms": String(Date.now() + 60_000),
        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:012345678901:function:f",
        "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
      });
      response.end("{}");
    }
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "/";
    if (path.startsWith("/2020-01-01/extension")) {
      await this.extensions.handle(request, response, path.slice("/2020-01-01/extension".length));
    } else if (path.endsWith("/invocation/next")) {
      this.extensions.closeRegistration();
      this.waiting.push(response);
    } else {
      this.answers.push(JSON.parse(await readBody(request)));
      json(response, 202, { status: "OK" });
    }
  }
}

const WORKERS = 2;

let runtime: LambdaRuntime;
let database: DatabaseServer;
let synthesized: SynthesizedFunction;
let relay: Relay;
let api: ConcurrentRuntimeApi;
let child: ChildProcess;
let output: string;
const scratch = mkdtempSync(join(tmpdir(), "managed-"));
const deployed = join(scratch, "deployed");

beforeAll(async () => {
  synthesized = synthesizedFunction(await synth(join(scratch, "cdktf.out")));
  runtime = lambdaRuntime(synthesized.runtime);
  database = await startDatabaseServer();
  if (database.kind === "fake") throw new Error("a real server is needed: install mariadb-server-core");
  cpSync(synthesized.directory, deployed, { recursive: true });
  addPreload(deployed);
}, 120_000);

beforeEach(async () => {
  api = new ConcurrentRuntimeApi();
  relay = await Relay.start({ host: database.host, port: database.port });
});

afterEach(async () => {
  child.kill("SIGKILL");
  api.close();
  await relay.close();
});

afterAll(async () => {
  await database.stop();
  rmSync(scratch, { recursive: true, force: true });
});

/** The lab's own client, which the lab uses where AWS's cannot be built, has no workers. */
function onAwsClient(body: () => Promise<void>): () => Promise<void> {
  return async () => {
    if (runtime.isAwsClient) await body();
    else console.warn(`Managed Instances not tested: ${runtime.description}`);
  };
}

/** What docs/shutdown-extension.md says to do. */
function addPreload(directory: string): void {
  buildSync({
    entryPoints: [join(__dirname, "../../shutdown/src/attach/preload.ts")],
    outfile: join(directory, "attach.mjs"),
    bundle: true,
    platform: "node",
    format: "esm",
  });
}

/** Starts AWS's client with {@link WORKERS} workers, and waits until each has asked for its first event. */
async function start(directory: string, preload: boolean): Promise<void> {
  const [program = "", ...args] = runtime.command;
  output = "";
  child = spawn(program, args, {
    cwd: directory,
    env: {
      PATH: process.env["PATH"],
      AWS_LAMBDA_RUNTIME_API: await api.start(),
      AWS_LAMBDA_FUNCTION_NAME: "f",
      AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "1024",
      AWS_LAMBDA_LOG_GROUP_NAME: "/aws/lambda/f",
      AWS_LAMBDA_LOG_STREAM_NAME: "test",
      AWS_LAMBDA_MAX_CONCURRENCY: "16",
      AWS_LAMBDA_NODEJS_WORKER_COUNT: String(WORKERS),
      LAMBDA_TASK_ROOT: directory,
      _HANDLER: "index.handler",
      DB_HOST: "127.0.0.1",
      DB_PORT: String(relay.port),
      DB_NAME: database.database,
      DB_USER: database.user,
      DB_PASSWORD: database.password,
      DB_TLS: "off",
      SHUTDOWN_EXTENSION: "internal",
      SHUTDOWN_BUDGET_MS: "500",
      ...(preload ? { NODE_OPTIONS: `--import=${join(directory, "attach.mjs")}` } : {}),
    },
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  }
  while (api.waiting.length < WORKERS) await sleep(5);
}

async function terminate(): Promise<{ readonly signal: unknown; readonly ms: number }> {
  const begun = performance.now();
  const closed = once(child, "close");
  child.kill("SIGTERM");
  const [, signal] = (await closed) as unknown[];
  return { signal, ms: performance.now() - begun };
}

/** The lines at the end, in the order in which they came: each worker's, then the main thread's. */
function reports(): { readonly hooks: readonly { readonly name: string; readonly result: string }[] }[] {
  const lines = output.split("\n").filter((line) => line.startsWith('{"event":"shutdown"'));
  return lines.map((line) => JSON.parse(line) as ReturnType<typeof reports>[number]);
}

function warnings(): number {
  return output.split("WorkerThread").length - 1;
}

test(
  "without the preload no extension is registered, and one of the workers says what to do",
  onAwsClient(async () => {
    await start(deployed, false);
    expect(warnings()).toBe(1);
    expect(output).toContain("docs/shutdown-extension.md");
    expect(api.extensions.count("internal")).toBe(0);
    await terminate();
    expect(reports()).toEqual([]);
  }),
);

test(
  "with the preload SIGTERM reaches the workers, and each gives its connection back",
  onAwsClient(async () => {
    const aborted = await database.abortedClients();
    await start(deployed, true);
    expect(api.extensions.count("internal")).toBe(1);
    api.invokeAll();
    while (api.answers.length < WORKERS) await sleep(5);
    const ids = api.answers.map((answer) => (answer as { connectionId: number }).connectionId);
    expect(new Set(ids).size).toBe(WORKERS);

    const { signal, ms } = await terminate();
    expect(signal).toBe("SIGTERM");
    expect(ms).toBeLessThan(500);
    expect(relay.connections.map(({ quitAt }) => quitAt !== undefined)).toEqual([true, true]);
    await sleep(50);
    expect(await database.heldThreads(ids)).toEqual(new Set());
    expect(await database.abortedClients()).toBe(aborted);
    expect(reports().map(({ hooks }) => hooks.map(({ name, result }) => [name, result]))).toEqual([
      [
        ["mysql", "done"],
        ["attach", "done"],
      ],
      [
        ["mysql", "done"],
        ["attach", "done"],
      ],
      [
        ["workers", "done"],
        ["attach", "done"],
      ],
    ]);
    expect(warnings()).toBe(0);
  }),
);

test(
  "hooks that never settle are given up in time for each worker to say so",
  onAwsClient(async () => {
    const directory = join(scratch, "stuck");
    mkdirSync(directory, { recursive: true }); // there already when the test runs again
    addPreload(directory);
    buildSync({
      stdin: {
        contents: `import { onShutdown } from "./shutdown";
        onShutdown("stuck", () => new Promise(() => undefined));
        export const handler = async () => "answer";`,
        resolveDir: join(__dirname, "../../shutdown/src"),
      },
      outfile: join(directory, "index.mjs"),
      bundle: true,
      platform: "node",
      format: "esm",
    });
    await start(directory, true);
    const { signal, ms } = await terminate();
    expect(signal).toBe("SIGTERM");
    expect(ms).toBeLessThan(500);
    expect(reports().map(({ hooks }) => hooks.map(({ name, result }) => [name, result]))).toEqual([
      [
        ["stuck", "gave up"],
        ["attach", "done"],
      ],
      [
        ["stuck", "gave up"],
        ["attach", "done"],
      ],
      [
        ["workers", "done"],
        ["attach", "done"],
      ],
    ]);
  }),
);

test(
  "a worker that is blocked costs the budget, not more, and not the others",
  onAwsClient(async () => {
    const directory = join(scratch, "blocked");
    mkdirSync(directory, { recursive: true }); // there already when the test runs again
    addPreload(directory);
    const code = `import { threadId } from "node:worker_threads";
    let count = 0;
    export const handler = async () => { if (threadId === 1) for (;;) count += 1; return threadId; };`;
    writeFileSync(join(directory, "index.mjs"), code);
    await start(directory, true);
    api.invokeAll();
    while (api.answers.length < WORKERS - 1) await sleep(5);
    const { signal, ms } = await terminate();
    expect(signal).toBe("SIGTERM");
    expect(ms).toBeGreaterThan(300);
    expect(ms).toBeLessThan(500);
    expect(reports().at(-1)?.hooks).toMatchObject([{ name: "workers", result: "gave up" }, { name: "attach" }]);
    expect(reports()).toHaveLength(WORKERS);
  }),
);
