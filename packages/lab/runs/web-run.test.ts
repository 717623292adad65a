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
import { runWeb, webStorm, webStormVerdict, webVerdict, type WebRunResult } from "./web-run";

jest.setTimeout(120_000);

const ROOT = join(__dirname, "../../..");
const scratch = mkdtempSync(join(tmpdir(), "web-run-"));
const layer = join(scratch, "layer");
let runtime: LambdaRuntime;
let database: DatabaseServer;

/** Four requests at once, for two connections: the last ones wait for the first. */
const POOL = `
  import mysql from "mysql2/promise";
  import { closeOnShutdown } from "lambda-graceful-shutdown";
  const pool = mysql.createPool({ uri: process.env.MYSQL_URL, connectionLimit: 2 });
  const query = (url) => pool.query(url === "/slow" ? "SELECT SLEEP(0.15)" : "SELECT 1");
  const [host, port] = process.env.AWS_LAMBDA_HTTP_ENDPOINT.split(":");`;

/** What listens, and what is passed to closeOnShutdown. */
const FRAMEWORKS = {
  "node:http": `import { createServer } from "node:http";
    const server = createServer((request, response) => void query(request.url).then(() => response.end("done")));
    server.listen(port, host);`,
  Express: `import express from "express";
    const app = express().use((request, response) => query(request.url).then(() => response.send("done")));
    const server = app.listen(port, host);`,
  Fastify: `import fastify from "fastify";
    const server = fastify();
    server.get("/*", async (request) => { await query(request.url); return "done"; });
    void server.listen({ port, host });`,
  Hono: `import { serve } from "@hono/node-server"; import { Hono } from "hono";
    const app = new Hono().get("*", async (context) => { await query(context.req.path); return context.text("done"); });
    const server = serve({ fetch: app.fetch, port, hostname: host });`,
  Koa: `import Koa from "koa";
    const app = new Koa().use(async (context) => { await query(context.url); context.body = "done"; });
    const server = app.listen(port, host);`,
} as const;

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

function subject(
  name: string,
  code: { readonly contents: string } | { readonly file: string },
  environment: Readonly<Record<string, string>> = {},
): Subject {
  const directory = join(scratch, name.replaceAll(/\W/g, "-"));
  mkdirSync(directory, { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(directory, "node_modules"));
  buildSync({
    ...("file" in code ? { entryPoints: [code.file] } : { stdin: { contents: code.contents, resolveDir: __dirname } }),
    outfile: join(directory, "index.js"),
    ...{ bundle: true, platform: "node", format: "cjs", conditions: ["source"], external: ["mysql2"] },
  });
  const lambdaFunction = { name: "f", directory, handler: "index.handler", memorySizeMb: 512, timeoutMs: 10_000 };
  return {
    ...{ name, lambdaFunction: { ...lambdaFunction, environment: {} }, extensions: [] },
    variables: (login) => ({ ...userVariables(login), ...environment }),
  };
}

const play = (web: Subject): Promise<WebRunResult> =>
  runWeb({ subject: web, runtime, database, concurrency: 4, slowRequest: { path: "/slow" } });

function seen(result: WebRunResult): object {
  const { cutOff, answered, endedBy } = result.shutdown;
  const { clean, kind } = webVerdict(result);
  return { kind, cutOff, answered, endedBy, logs: clean ? [] : result.logs };
}

const CLEAN = { kind: "clean", cutOff: 0, answered: 4, endedBy: "itself", logs: [] };
const PRELOAD = { NODE_OPTIONS: `--import=${join(layer, "lambda-graceful-shutdown/attach.mjs")}` };

test("an unchanged server cuts off each answer", async () => {
  const result = await play(subject("unchanged", { contents: POOL + FRAMEWORKS["node:http"] }));
  expect(seen(result)).toMatchObject({ kind: "not clean", cutOff: 4, answered: 0, endedBy: "itself" });
});

test.each(Object.entries(FRAMEWORKS))("%s is clean, attached and closed by the library", async (name, code) => {
  const attached = await play(subject(`${name} attached`, { contents: POOL + code }, PRELOAD));
  const closes = "closeOnShutdown(server); closeOnShutdown(pool);";
  const closed = await play(subject(`${name} closed`, { contents: POOL + code + closes }));
  expect([seen(attached), seen(closed)]).toEqual([CLEAN, CLEAN]);
});

test.each(["index.js", "express.js"])("examples/web-function/%s is clean", async (file) => {
  expect(seen(await play(subject(file, { file: join(ROOT, "examples/web-function", file) })))).toEqual(CLEAN);
});

test("the connections of many environments are held at once, and judged together", async () => {
  const code = POOL + FRAMEWORKS["node:http"];
  const config = { runtime, database, concurrency: 4, slowRequest: { path: "/slow" } };
  const unchanged = await webStorm({ ...config, subject: subject("storm unchanged", { contents: code }) }, 3);
  const attached = await webStorm({ ...config, subject: subject("storm attached", { contents: code }, PRELOAD) }, 3);
  expect([unchanged.heldAtMost, attached.heldAtMost]).toEqual([6, 6]);
  expect(webStormVerdict(unchanged)).toMatchObject({
    kind: "not clean",
    sentence: expect.stringMatching(/in 3 environments .* 6 opened, 0 closed .* 6 aborted/) as string,
  });
  expect(webStormVerdict(attached).kind).toBe("clean");
});
