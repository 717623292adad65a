/** Unchanged handlers with the layer's preload: each gives its connections back. */
import { buildSync } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { lambdaRuntime, type LambdaRuntime } from "../lambda/lambda-runtime";
import { createCertificates } from "#fake-mysql";
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import { withExtension, type Subject } from "../functions/subject";
import { HandlerJudge } from "./handler-judge";
import { run, type RunResult } from "./run";
import { USER_HANDLERS, type UserHandler } from "./user-handlers";
import { runVerdict } from "./verdict";

jest.setTimeout(180_000);

const ROOT = join(__dirname, "../../..");
const layer = mkdtempSync(join(tmpdir(), "layer-"));
const PRELOAD = join(layer, "lambda-graceful-shutdown/attach.mjs");
let runtime: LambdaRuntime;
let database: DatabaseServer;
let judge: HandlerJudge;

beforeAll(async () => {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, "scripts/layer.mjs"), layer], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
  runtime = lambdaRuntime("nodejs24.x");
  database = await startDatabaseServer();
  judge = new HandlerJudge(database);
});

afterAll(async () => {
  await judge.close();
  await database.stop();
  rmSync(layer, { recursive: true, force: true });
  rmSync(`${layer}.zip`, { force: true });
});

async function attached(handler: UserHandler, environment: Readonly<Record<string, string>> = {}): Promise<Subject> {
  const subject = withExtension(await judge.subject(handler), "internal");
  const variables: Subject["variables"] = (login, addresses) => ({
    ...subject.variables?.(login, addresses),
    NODE_OPTIONS: `--import=${PRELOAD}`,
    ...environment,
  });
  return { ...subject, variables };
}

interface AttachHook {
  readonly name: string;
  readonly [count: string]: unknown;
}

function hooksOf({ logs }: RunResult): readonly AttachHook[] {
  const line = logs.map((text) => /\{"event":"shutdown",.*\}/.exec(text)?.[0]).find((text) => text !== undefined);
  return line === undefined ? [] : (JSON.parse(line) as { hooks: AttachHook[] }).hooks;
}

/**
 * Handlers that open connections and close none, close them too late or end by process.exit(). Node.js runs no preload in
 * a worker thread whose code is a text, and a detached child that listens to SIGTERM is left to its listener.
 */
const LEAKING = USER_HANDLERS.filter(
  ({ name, verdict }) =>
    verdict === "not clean" &&
    !/at Init|package that is not there|^callback|in an invocation|top-level await that|detached child|worker thread/.test(
      name,
    ),
);

const URI = `uri: process.env.MYSQL_URL, connectionLimit: 2`;
const pool = (options = URI): string =>
  `const mysql = require("mysql2/promise");\nconst pool = mysql.createPool({ ${options} });`;
const QUERY = `exports.handler = async ({ sql = "SELECT 1" }) => (await pool.query(sql))[0];`;

/** Handlers of its own, and what the line says of each. */
const OTHERS: readonly (UserHandler & { readonly counts: object; readonly heldBack?: string })[] = [
  {
    name: "TypeORM that ends in process.exit()",
    code: `const { DataSource } = require("typeorm");
const dataSource = new DataSource({ type: "mysql", url: process.env.MYSQL_URL });
const opened = dataSource.initialize();
process.on("SIGTERM", () => process.exit(0));
exports.handler = async () => { await opened; return dataSource.query("SELECT 1"); };`,
    verdict: "clean",
    counts: { closed: 1, mysql: 1 },
  },
  {
    name: "mysql2 with compression",
    code: `${pool(`${URI}, compress: true`)}\n${QUERY}`,
    verdict: "clean",
    counts: { closed: 1, mysql: 1 },
  },
  {
    name: "a listener that still uses the database",
    code: `${pool(URI.replace("2", "1"))}\n${QUERY}
process.on("SIGTERM", async () => { await pool.query("SELECT SLEEP(0.05)"); await pool.query("DO 1"); await pool.end(); console.log("listener done"); process.exit(0); });`,
    verdict: "clean",
    counts: { closed: 0 },
  },
  {
    name: "a transaction under way",
    code: `${pool()}
let release; const begun = new Promise((done) => (release = done));
process.on("SIGTERM", () => release());
const work = async () => { const one = await pool.getConnection(); await one.query("START TRANSACTION"); await begun; await new Promise((done) => setTimeout(done, 30)); await one.query("COMMIT"); console.log("committed"); };
exports.handler = async () => { void work(); await new Promise((done) => setTimeout(done, 100)); };`,
    verdict: "clean",
    counts: { closed: 1 },
  },
  {
    name: "a child process that holds the pool",
    code: `if (process.send) { ${pool()} process.on("message", async () => process.send((await pool.query("SELECT 1"))[0])); } else {
const child = require("node:child_process").fork(__filename);
exports.handler = () => new Promise((done) => { child.once("message", done); child.send(1); });
}`,
    verdict: "clean",
    counts: {},
  },
  {
    name: "a child process that ends its pool itself, later",
    code: `if (process.send) { ${pool()} process.on("message", async () => process.send((await pool.query("SELECT 1"))[0]));
process.on("SIGTERM", () => setTimeout(async () => { await pool.query("DO 1"); await pool.end(); process.exit(0); }, 50)); } else {
const child = require("node:child_process").fork(__filename);
child.on("exit", (code) => console.log("the child's code: " + code));
exports.handler = () => new Promise((done) => { child.once("message", done); child.send(1); });
}`,
    verdict: "clean",
    counts: {},
  },
  {
    name: "servers on unix sockets, of which one never ends its side",
    code: `${pool()}
const net = require("node:net");
const open = (allowHalfOpen) => new Promise((done) => {
  const path = require("node:os").tmpdir() + "/attach-" + process.pid + allowHalfOpen;
  const answer = (socket) => socket.on("data", () => socket.write("+PONG\\r\\n"));
  net.createServer({ allowHalfOpen }, answer).listen(path, () => net.connect(path).once("data", done).write("*1\\r\\n$4\\r\\nPING\\r\\n"));
});
const opened = [open(true), open(false)];
exports.handler = async () => { await Promise.all(opened); return (await pool.query("SELECT 1"))[0]; };`,
    verdict: "clean",
    counts: { closed: 2, givenUp: 1, mysql: 1, redis: 2 },
  },
  {
    name: "a subscription and a blocked command of Redis",
    server: "Redis",
    code: `const Redis = require("ioredis");
const [redis, subscriber, blocked] = [1, 2, 3].map(() => new Redis(process.env.REDIS_URL));
exports.handler = async () => { await subscriber.subscribe("news"); void blocked.blpop("queue", 0).catch(() => 0); return redis.publish("news", "x"); };`,
    verdict: "clean",
    counts: { closed: 3, redis: 3 },
  },
];

test.each([...LEAKING, ...OTHERS].map((handler) => [handler.name, handler] as const))("%s", async (_, handler) => {
  const missing = await judge.missing(handler);
  if (missing !== undefined) {
    console.warn(`not proven here: ${missing}`);
    return;
  }
  const result = await run(await attached(handler), runtime, database);
  const { counts = {} } = handler as { readonly counts?: object };
  expect({ verdict: runVerdict(result).kind, hooks: hooksOf(result) }).toMatchObject({
    verdict: "clean",
    hooks: [{ name: "attach", result: "done", givenUp: 0, ...counts }],
  });
});

test.each([
  ["mysql2", `${pool(`${URI}, ssl: { rejectUnauthorized: false }`)}\n${QUERY}`],
  [
    "mysql",
    `const pool = require("mysql").createPool(process.env.MYSQL_URL + "?ssl=" + JSON.stringify({ rejectUnauthorized: false }));
exports.handler = () => new Promise((done, failed) => pool.query("SELECT 1", (error, rows) => error ? failed(error) : done(rows)));`,
  ],
])("%s under TLS", async (name, code) => {
  const { certificateFile, keyFile } = (await createCertificates(layer)).rightName;
  const tls = createSecureContext({ cert: readFileSync(certificateFile), key: readFileSync(keyFile) });
  const result = await run({ ...(await attached({ name, code, verdict: "clean" })), tls }, runtime, database);
  expect(result.logIn).toMatchObject({ tls: expect.anything() as unknown });
  expect(hooksOf(result)).toMatchObject([{ name: "attach", closed: 1, givenUp: 0, mysql: 1 }]);
  expect(runVerdict(result).kind).toBe("clean");
});

test("a process that ends itself gives its connections back", async () => {
  const code = `${pool()}\nexports.handler = async () => { await pool.query("SELECT 1"); process.exit(1); };`;
  const { outcomes } = await run(await attached({ name: "exits", code, verdict: "not clean" }), runtime, database);
  expect(outcomes).toEqual(["closed"]);
});

test("HTTP clients beside the pool are left alone", async () => {
  const code = `${pool()}
const http = require("node:http"), http2 = require("node:http2");
const server = http.createServer((request, response) => response.end("answer")).listen(0, "127.0.0.1");
const second = http2.createServer((request, response) => response.end("answer")).listen(0, "127.0.0.1");
const agent = new http.Agent({ keepAlive: true });
const gone = require("node:net").createServer(() => gone.close()).listen(0, "127.0.0.1"); // its connection stays
gone.once("listening", () => fetch("http://127.0.0.1:" + gone.address().port).catch(() => 0));
exports.handler = async () => {
  const { port } = server.address();
  await new Promise((done) => http.get({ port, host: "127.0.0.1", agent }, (response) => response.resume().on("end", done)));
  const text = await (await fetch("http://127.0.0.1:" + port)).text();
  const session = http2.connect("http://127.0.0.1:" + second.address().port);
  await new Promise((done) => session.request({ ":path": "/" }).resume().on("end", done).end());
  await pool.query("SELECT 1");
  return text;
};`;
  const result = await run(await attached({ name: "http", code, verdict: "clean" }), runtime, database);
  const [hook] = hooksOf(result);
  expect(hook).toMatchObject({ name: "attach", closed: 1, mysql: 1, givenUp: 0 });
  expect(hook).not.toHaveProperty("other");
  expect(hook).not.toHaveProperty("unknownSockets");
  expect(runVerdict(result).kind).toBe("clean");
});

describe("a statement that runs at the time-out of the invocation", () => {
  test("of MySQL ends first, if it ends in time", async () => {
    const handler: UserHandler = { name: "busy", code: `${pool()}\n${QUERY}`, verdict: "clean" };
    const subject = await attached(handler, { SHUTDOWN_BUDGET_MS: "500" });
    const short = { ...subject, lambdaFunction: { ...subject.lambdaFunction, timeoutMs: 1_000 } };
    const result = await run(short, runtime, database, [{}], { how: "timeout", event: { sql: "SELECT SLEEP(1.1)" } });
    expect(hooksOf(result)).toMatchObject([{ name: "attach", closed: 1, givenUp: 0 }]);
    expect(runVerdict(result).kind).toBe("clean");
  });

  test("of PostgreSQL is cancelled", async () => {
    const code = `const { Pool } = require("pg");
const pool = new Pool({ connectionString: process.env.POSTGRESQL_URL, max: 2 });
exports.handler = async ({ sql = "SELECT 1" }) => (await pool.query(sql)).rows;`;
    const handler: UserHandler = { name: "busy pg", server: "PostgreSQL", code, verdict: "clean" };
    const missing = await judge.missing(handler);
    if (missing !== undefined) {
      console.warn(`not proven here: ${missing}`);
      return;
    }
    const subject = await attached(handler, { SHUTDOWN_BUDGET_MS: "500" });
    const short = { ...subject, lambdaFunction: { ...subject.lambdaFunction, timeoutMs: 1_000 } };
    const result = await run(short, runtime, database, [{}], { how: "timeout", event: { sql: "SELECT pg_sleep(8)" } });
    // pg says Terminate itself when its statement has failed.
    expect(hooksOf(result)).toMatchObject([{ name: "attach", cancelled: 1, givenUp: 0 }]);
    expect(new Set(result.outcomes)).toEqual(new Set(["closed"]));
  });
});

test("the package and attach share one line, and count a connection once", async () => {
  const library = join(layer, "library.mjs");
  buildSync({
    entryPoints: [join(ROOT, "packages/shutdown/src/index.ts")],
    outfile: library,
    bundle: true,
    platform: "node",
    format: "esm",
  });
  const code = `import mysql from "mysql2/promise"; import { closeOnShutdown } from ${JSON.stringify(library)};
const pool = closeOnShutdown(mysql.createPool(process.env.MYSQL_URL)); const other = mysql.createPool(process.env.MYSQL_URL);
export const handler = async () => { await other.query("SELECT 1"); return (await pool.query("SELECT 1"))[0]; };`;
  const result = await run(
    await attached({ name: "both", file: "index.mjs", code, verdict: "clean" }),
    runtime,
    database,
  );
  expect(hooksOf(result)).toMatchObject([
    { name: "mysql2", closed: 1 },
    { name: "attach", closed: 1, mysql: 1 },
  ]);
  expect(runVerdict(result).kind).toBe("clean");
});

test("a CommonJS handler attaches by require(), before the runtime asks for its first event", async () => {
  const required = join(layer, "attach.cjs");
  buildSync({
    entryPoints: [join(ROOT, "packages/shutdown/src/attach/require.ts")],
    outfile: required,
    bundle: true,
    platform: "node",
    format: "cjs",
  });
  const code = `require(${JSON.stringify(required)});\n${pool()}\n${QUERY}`;
  const result = await run(
    await attached({ name: "require", code, verdict: "clean" }, { NODE_OPTIONS: "" }),
    runtime,
    database,
  );
  expect(hooksOf(result)).toMatchObject([{ name: "attach", closed: 1 }]);
  expect(runVerdict(result).kind).toBe("clean");
});

describe("wrong use is one line in the log, and the function works", () => {
  test("attached twice", async () => {
    const code = `require(${JSON.stringify(join(layer, "attach.cjs"))});\n${pool()}\n${QUERY}`;
    const result = await run(await attached({ name: "twice", code, verdict: "clean" }), runtime, database);
    expect(result.logs.join("\n").split("ERR_LGS_ATTACHED_TWICE")).toHaveLength(2);
    expect(runVerdict(result).kind).toBe("clean");
  });

  test.each([
    ["AWS_Lambda_nodejs24.x", "", `--import=${PRELOAD}`, 0],
    ["AWS_Lambda_nodejs22.x", "--enable-source-maps", `--enable-source-maps --import=${PRELOAD}`, 0],
    ["AWS_Lambda_nodejs24.x", `--import=${PRELOAD}`, `--import=${PRELOAD}`, 0],
    ["AWS_Lambda_nodejs20.x", "", "", 1],
    ["AWS_Lambda_python3.13", "", "", 1],
    ["", "", "", 1],
  ])("the exec wrapper on %p with NODE_OPTIONS %p leaves %p", (AWS_EXECUTION_ENV, NODE_OPTIONS, expected, warnings) => {
    const { stdout, stderr } = spawnSync(
      join(layer, "graceful-shutdown"),
      ["sh", "-c", 'echo "$NODE_OPTIONS" "$1"', "sh", "an argument"],
      {
        encoding: "utf8",
        env: { PATH: process.env["PATH"], AWS_EXECUTION_ENV, NODE_OPTIONS },
      },
    );
    expect(stdout).toBe(`${expected} an argument\n`);
    const lines = stderr.split("\n").filter((line) => line !== "");
    expect(lines).toHaveLength(warnings);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ code: "ERR_LGS_RUNTIME" });
  });
});

test("the layer is reproducible, and small", () => {
  const again = mkdtempSync(join(tmpdir(), "layer-"));
  spawnSync(process.execPath, [join(ROOT, "scripts/layer.mjs"), again]);
  const [first, second] = [readFileSync(`${layer}.zip`), readFileSync(`${again}.zip`)];
  rmSync(again, { recursive: true });
  rmSync(`${again}.zip`);
  expect(second.equals(first)).toBe(true);
  expect(first.length).toBeLessThan(60_000);
});
