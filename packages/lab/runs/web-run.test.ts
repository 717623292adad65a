/** A Web Function with requests in flight at its end: unchanged, with attach, and closed by the library. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { lambdaRuntime, type LambdaRuntime } from "../lambda/lambda-runtime";
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import type { Subject } from "../functions/subject";
import { userVariables } from "../functions/user-function";
import { runWeb, webVerdict } from "./web-run";

jest.setTimeout(120_000);

const ROOT = join(__dirname, "../../..");
const scratch = mkdtempSync(join(tmpdir(), "web-run-"));
const layer = join(scratch, "layer");
let runtime: LambdaRuntime;
let database: DatabaseServer;

/** More requests than connections: the last ones wait for the first. */
const server = (close = ""): string => `
  import { createServer } from "node:http";
  import mysql from "mysql2/promise";
  import { closeOnShutdown } from "lambda-graceful-shutdown";
  const pool = mysql.createPool({ uri: process.env.MYSQL_URL, connectionLimit: 2 });
  const [host, port] = process.env.AWS_LAMBDA_HTTP_ENDPOINT.split(":");
  const server = createServer(async (request, response) => {
    await pool.query(request.url === "/slow" ? "SELECT SLEEP(0.15)" : "SELECT 1");
    response.end("done");
  }).listen(Number(port), host);
  ${close}`;

beforeAll(async () => {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, "scripts/layer.mjs"), layer], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
  runtime = lambdaRuntime("nodejs24.x");
  database = await startDatabaseServer();
});

afterAll(async () => {
  await database.stop();
  rmSync(scratch, { recursive: true, force: true });
});

function subject(name: string, code: string, environment: Readonly<Record<string, string>> = {}): Subject {
  const directory = join(scratch, name);
  mkdirSync(directory, { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(directory, "node_modules"));
  buildSync({
    stdin: { contents: code, resolveDir: directory },
    outfile: join(directory, "index.js"),
    ...{ bundle: true, platform: "node", format: "cjs", conditions: ["source"], external: ["mysql2"] },
  });
  const lambdaFunction = { name, directory, handler: "index.handler", memorySizeMb: 512, timeoutMs: 10_000 };
  return {
    ...{ name, lambdaFunction: { ...lambdaFunction, environment: {} }, extensions: [] },
    variables: (login) => ({ ...userVariables(login), ...environment }),
  };
}

const PRELOAD = { NODE_OPTIONS: `--import=${join(layer, "lambda-graceful-shutdown/attach.mjs")}` };
const CLOSES = "closeOnShutdown(server); closeOnShutdown(pool);";

test.each([
  { name: "unchanged", code: server(), environment: {}, isClean: false, cutOff: 4 },
  { name: "attached", code: server(), environment: PRELOAD, isClean: true, cutOff: 0 },
  { name: "closed-by-the-library", code: server(CLOSES), environment: {}, isClean: true, cutOff: 0 },
])("a server that is $name: clean $isClean, $cutOff of 4 answers cut off", async (each) => {
  const web = subject(each.name, each.code, each.environment);
  const requests = { concurrency: 4, request: { path: "/" }, slowRequest: { path: "/slow" } };
  const result = await runWeb({ subject: web, runtime, database, ...requests });
  const { clean } = webVerdict(result);
  const { cutOff, answered, endedBy } = result.shutdown;
  expect({ clean, cutOff, answered, endedBy, logs: result.logs }).toMatchObject({
    ...{ clean: each.isClean, cutOff: each.cutOff, answered: 4 - each.cutOff, endedBy: "itself" },
  });
});
