/** What the advice says to paste is pasted into the handler, and the next run is clean. */
import { lambdaRuntime } from "../lambda/lambda-runtime";
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import { HandlerJudge } from "./handler-judge";
import { USER_HANDLERS, type UserHandler } from "./user-handlers";

jest.setTimeout(120_000);

let database: DatabaseServer;
let judge: HandlerJudge;
beforeAll(async () => {
  database = await startDatabaseServer();
  judge = new HandlerJudge(database);
});
afterAll(async () => {
  await judge.close();
  await database.stop();
});

const ONE = 'exports.handler = async () => (await db.query("SELECT 1"))[0];';
const MORE: readonly UserHandler[] = [
  {
    name: "mysql2, a pool with promise()",
    code: `const db = require("mysql2").createPool(process.env.MYSQL_URL).promise();\n${ONE}`,
    verdict: "not clean",
  },
  {
    name: "mysql2, two pools",
    code: `const mysql = require("mysql2/promise");
const db = mysql.createPool(process.env.MYSQL_URL);
const other = mysql.createPool(process.env.MYSQL_URL);
exports.handler = async () => { await other.query("SELECT 1"); return (await db.query("SELECT 1"))[0]; };`,
    verdict: "not clean",
  },
  {
    name: "mysql2, a pool that the first invocation opens",
    code: `const mysql = require("mysql2/promise");
let n = 0, db;
exports.handler = async () => { db ??= mysql.createPool(process.env.MYSQL_URL); n++; return (await db.query("SELECT 1"))[0]; };`,
    verdict: "not clean",
  },
  {
    name: "knex, exported",
    code: `module.exports = require("knex")({ client: "mysql2", connection: process.env.MYSQL_URL });
module.exports.handler = async () => module.exports.raw("SELECT 1");`,
    verdict: "not clean",
  },
];

/** As a user pastes it: the call, without the name of its file, then the way to leave. */
function pasted(change: string): string {
  const [, close] =
    /^listen to SIGTERM,.* open: (await .*?)(?: in \S+)?, then leave by raising the signal again \(/.exec(change) ?? [];
  const [, leave] = /raising the signal again \((.*?\))\)/.exec(change) ?? [];
  if (close === undefined || leave === undefined) throw new Error(`nothing to paste in: ${change}`);
  return `\nprocess.once("SIGTERM", async () => { ${close}; ${leave.replace(", then ", "; ")}; });`;
}

const ADVISED = USER_HANDLERS.filter(
  ({ verdict, advice = "", code, file = "index.js" }) =>
    // In the others something else is wrong first, or the place is inside of a class.
    verdict === "not clean" &&
    /^(listen|await|new Promise)/.test(advice) &&
    !/SIGTERM|class /.test(code) &&
    !file.endsWith(".ts"),
);

test.each([...ADVISED, ...MORE].map((handler) => [handler.name, handler] as const))("%s", async (_, handler) => {
  const missing = await judge.missing(handler);
  if (missing !== undefined && handler.usesPrisma === true) {
    console.warn(`not proven here: ${missing}`);
    return;
  }
  expect(missing).toBeUndefined();
  const runtime = lambdaRuntime(handler.runtime ?? "nodejs24.x");
  const before = await judge.judge(handler, runtime);
  expect(before.verdict.kind).toBe("not clean");
  const after = await judge.judge({ ...handler, code: handler.code + pasted(before.change ?? "") }, runtime);
  expect({ kind: after.verdict.kind, change: after.change }).toEqual({ kind: "clean", change: undefined });
});

test("there are handlers of many libraries to paste into", () => {
  const names = ADVISED.map(({ name }) => name).join();
  for (const library of ["mysql2", "mysql pool", "knex", "Sequelize", "TypeORM", "Drizzle", "Prisma", "pg"]) {
    expect(names).toContain(library);
  }
});
