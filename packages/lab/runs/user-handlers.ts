import type { VerdictKind } from "./verdict";

/** A small common handler, and the lab's verdict on it. */
export interface UserHandler {
  readonly name: string;
  /** @default "index.js" */
  readonly file?: string;
  readonly code: string;
  /** @default "nodejs24.x" */
  readonly runtime?: string;
  /** A server that it uses beside MySQL's, or in its place. @default none */
  readonly server?: "PostgreSQL" | "Redis";
  /** It imports `./client.mjs`, a generated Prisma client. @default false */
  readonly usesPrisma?: true;
  readonly verdict: VerdictKind;
  /** The verdict of AWS's emulator, which begins Init with the first invocation. @default the same */
  readonly emulated?: VerdictKind;
  /** What the advice begins with, or holds. @default - nothing is to be changed */
  readonly advice?: string;
}

const RAISE = `process.removeAllListeners("SIGTERM"); process.kill(process.pid, "SIGTERM");`;
const POOL = `const mysql = require("mysql2/promise");\nconst pool = mysql.createPool({ uri: process.env.MYSQL_URL, connectionLimit: 2 });`;
const SELECT = `exports.handler = async () => (await pool.query("SELECT 1 AS one"))[0];`;
const onSigterm = (close: string): string => `process.once("SIGTERM", async () => { ${close}; ${RAISE} });`;
const LISTEN = "Nothing listens to SIGTERM";
const EXIT = "called process.exit()";
const NO_DATABASE = "Give it its database variables";

const KNEX = `const knex = require("knex")({ client: "mysql2", connection: process.env.MYSQL_URL });
exports.handler = async () => knex.raw("SELECT 1");`;
const SEQUELIZE = `const { Sequelize } = require("sequelize");
const sequelize = new Sequelize(process.env.MYSQL_URL, { logging: false });
exports.handler = async () => sequelize.query("SELECT 1");`;
const TYPEORM = `const { DataSource } = require("typeorm");
const dataSource = new DataSource({ type: "mysql", url: process.env.MYSQL_URL });
const opened = dataSource.initialize();
exports.handler = async () => { await opened; return dataSource.query("SELECT 1"); };`;
const DRIZZLE = `import { drizzle } from "drizzle-orm/mysql2";
import { sql } from "drizzle-orm";
import mysql from "mysql2/promise";
const pool = mysql.createPool(process.env.MYSQL_URL);
const db = drizzle(pool);
export const handler = async () => (await db.execute(sql\`SELECT 1\`))[0];`;
const MYSQL = `const mysql = require("mysql");
const pool = mysql.createPool(process.env.MYSQL_URL);
exports.handler = () => new Promise((done, failed) => pool.query("SELECT 1", (error, rows) => error ? failed(error) : done(rows)));`;

const PG = `const { Pool } = require("pg");
const pool = new Pool({ connectionString: process.env.POSTGRESQL_URL, max: 2 });
exports.handler = async () => (await pool.query("SELECT 1 AS one")).rows;`;
const IOREDIS = `const Redis = require("ioredis");
const redis = new Redis(process.env.REDIS_URL);
exports.handler = async () => redis.incr("visits");`;
const NODE_REDIS = `import { createClient } from "redis";
const client = createClient({ url: process.env.REDIS_URL });
await client.connect();
export const handler = async () => client.incr("visits");`;
const PRISMA_PG = `import { PrismaClient, PrismaPg } from "./client.mjs";
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env.POSTGRESQL_URL, max: 1 }) });
export const handler = async () => { const [{ one }] = await prisma.$queryRaw\`SELECT 1 AS one\`; return Number(one); };`;
const PRISMA = `import { PrismaClient, PrismaMariaDb } from "./client.mjs";
const { DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_NAME } = process.env;
const adapter = new PrismaMariaDb({ host: DB_HOST, port: Number(DB_PORT), user: DB_USER, password: DB_PASSWORD, database: DB_NAME, connectionLimit: 1 });
const prisma = new PrismaClient({ adapter });
export const handler = async () => { const [{ one }] = await prisma.$queryRaw\`SELECT 1 AS one\`; return Number(one); };`;

/** Code of a worker thread or of a child, which finds the packages of the directory that it was started in. */
const CONNECT_AND_STAY = `const pool = require("mysql2/promise").createPool(process.env.MYSQL_URL); process.on("SIGTERM", () => {}); setInterval(() => {}, 1_000);`;

/** Printed in lab/README.md; runs/user-handlers.test.ts runs each on both runtime clients. */
export const USER_HANDLERS: readonly UserHandler[] = [
  { name: "mysql2 pool", code: `${POOL}\n${SELECT}`, verdict: "not clean", advice: LISTEN },
  {
    name: "mysql2 pool, closed and raised again",
    code: `${POOL}\n${SELECT}\n${onSigterm("await pool.end()")}`,
    verdict: "clean",
  },
  {
    name: "mysql2 pool, process.exit()",
    code: `${POOL}\n${SELECT}\nprocess.on("SIGTERM", async () => { await pool.end(); process.exit(0); });`,
    verdict: "not clean",
    advice: EXIT,
  },
  {
    name: "mysql2 pool, not awaited",
    code: `${POOL}\n${SELECT}\nprocess.on("SIGTERM", () => { pool.end(); process.exit(0); });`,
    verdict: "not clean",
    advice: EXIT,
  },
  {
    name: "mysql2 pool, listens and does nothing",
    code: `${POOL}\n${SELECT}\nprocess.on("SIGTERM", () => {});`,
    verdict: "not clean",
    advice: "It listens to SIGTERM and did not leave before its deadline",
  },
  {
    name: "mysql2 connection an invocation",
    code: `const mysql = require("mysql2/promise");
exports.handler = async () => { const one = await mysql.createConnection(process.env.MYSQL_URL); await one.query("SELECT 1"); await one.end(); };`,
    verdict: "clean",
  },
  {
    name: "mysql2 connection an invocation, never closed",
    code: `const mysql = require("mysql2/promise");
exports.handler = async () => { const one = await mysql.createConnection(process.env.MYSQL_URL); return (await one.query("SELECT 1"))[0]; };`,
    verdict: "not clean",
    advice: "opened at index.js:2 by mysql2",
  },
  {
    name: "mysql2 connection, destroyed",
    code: `const mysql = require("mysql2/promise");
let connection;
exports.handler = async () => { connection ??= await mysql.createConnection(process.env.MYSQL_URL); return (await connection.query("SELECT 1"))[0]; };
${onSigterm("connection.destroy()")}`,
    verdict: "not clean",
    advice: "It left on SIGTERM with 1 of 1 connection open",
  },
  {
    name: "mysql2 pool in a class",
    code: `const mysql = require("mysql2/promise");
class Orders { constructor() { this.pool = mysql.createPool(process.env.MYSQL_URL); } count() { return this.pool.query("SELECT 1"); } }
const orders = new Orders();
exports.handler = async () => (await orders.count())[0];`,
    verdict: "not clean",
    advice: "opened at index.js:2 by mysql2",
  },
  {
    name: "mysql2 connection, top-level await",
    file: "index.mjs",
    code: `import mysql from "mysql2/promise";
const connection = await mysql.createConnection(process.env.MYSQL_URL);
export const handler = async () => (await connection.query("SELECT 1"))[0];`,
    verdict: "not clean",
    advice: "opened at index.mjs:2 by mysql2",
  },
  { name: "mysql pool", code: MYSQL, verdict: "not clean", advice: "opened at index.js:3 by mysql 2" },
  {
    name: "mysql pool, closed",
    code: `${MYSQL}\n${onSigterm("await new Promise((done) => pool.end(done))")}`,
    verdict: "clean",
  },
  { name: "knex", code: KNEX, verdict: "not clean", advice: "of knex" },
  { name: "knex, destroyed", code: `${KNEX}\n${onSigterm("await knex.destroy()")}`, verdict: "clean" },
  { name: "Sequelize", code: SEQUELIZE, verdict: "not clean", advice: "of sequelize" },
  { name: "Sequelize, closed", code: `${SEQUELIZE}\n${onSigterm("await sequelize.close()")}`, verdict: "clean" },
  { name: "TypeORM", code: TYPEORM, verdict: "not clean", advice: "of typeorm" },
  { name: "TypeORM, destroyed", code: `${TYPEORM}\n${onSigterm("await dataSource.destroy()")}`, verdict: "clean" },
  { name: "Drizzle", file: "index.mjs", code: DRIZZLE, verdict: "not clean", advice: LISTEN },
  {
    name: "Drizzle, closed",
    file: "index.mjs",
    code: `${DRIZZLE}\n${onSigterm("await pool.end()")}`,
    verdict: "clean",
  },
  {
    name: "Prisma, driver adapter",
    file: "index.mjs",
    usesPrisma: true,
    code: PRISMA,
    verdict: "not clean",
    advice: LISTEN,
  },
  {
    name: "Prisma, disconnected",
    file: "index.mjs",
    usesPrisma: true,
    code: `${PRISMA}\n${onSigterm("await prisma.$disconnect()")}`,
    verdict: "clean",
  },
  {
    name: "Prisma on PostgreSQL",
    file: "index.mjs",
    server: "PostgreSQL",
    usesPrisma: true,
    code: PRISMA_PG,
    verdict: "not clean",
    advice: LISTEN,
  },
  { name: "pg", server: "PostgreSQL", code: PG, verdict: "not clean", advice: LISTEN },
  { name: "pg, closed", server: "PostgreSQL", code: `${PG}\n${onSigterm("await pool.end()")}`, verdict: "clean" },
  { name: "ioredis", server: "Redis", code: IOREDIS, verdict: "clean" },
  {
    name: "ioredis, quit and process.exit()",
    server: "Redis",
    code: `${IOREDIS}\nprocess.on("SIGTERM", async () => { await redis.quit(); process.exit(0); });`,
    verdict: "not clean",
    advice: EXIT,
  },
  { name: "redis", file: "index.mjs", server: "Redis", code: NODE_REDIS, verdict: "clean" },
  {
    name: "redis, closed",
    file: "index.mjs",
    server: "Redis",
    code: `${NODE_REDIS}\n${onSigterm("await client.close()")}`,
    verdict: "clean",
  },
  {
    name: "serverless-mysql, end() each time",
    code: `const mysql = require("serverless-mysql")({ config: process.env.MYSQL_URL });
exports.handler = async () => { const rows = await mysql.query("SELECT 1"); await mysql.end(); return rows; };`,
    verdict: "not clean",
    advice: "of serverless-mysql",
  },
  {
    name: "Express through serverless-http",
    file: "index.mjs",
    code: `import express from "express";
import mysql from "mysql2/promise";
import serverless from "serverless-http";
const pool = mysql.createPool(process.env.MYSQL_URL);
const app = express();
app.get("/orders", async (request, response) => response.json((await pool.query("SELECT 1"))[0]));
export const handler = serverless(app);`,
    verdict: "no database seen",
    advice: "it answered statusCode 404",
  },
  {
    name: "middy",
    file: "index.mjs",
    code: `import middy from "@middy/core";
import mysql from "mysql2/promise";
const pool = mysql.createPool(process.env.MYSQL_URL);
export const handler = middy(async () => (await pool.query("SELECT 1"))[0]);`,
    verdict: "not clean",
    advice: LISTEN,
  },
  {
    name: "Powertools logger",
    code: `${POOL}\nconst { Logger } = require("@aws-lambda-powertools/logger");
const logger = new Logger();\nexports.handler = async () => { logger.info("one"); return (await pool.query("SELECT 1"))[0]; };\n${onSigterm("await pool.end()")}`,
    verdict: "clean",
  },
  {
    name: "TypeScript",
    file: "index.ts",
    code: `import { createPool } from "mysql2/promise";
const db = createPool(process.env["MYSQL_URL"] as string);
export const handler = async (): Promise<unknown> => (await db.query("SELECT 1"))[0];`,
    verdict: "not clean",
    advice: "index.ts:3 by mysql2",
  },
  {
    name: "mysql2 pool in a detached child",
    code: `const { once } = require("node:events");
const { spawn } = require("node:child_process");
const code = \`${CONNECT_AND_STAY} pool.query("SELECT 1").then(() => console.log("connected"));\`;
const child = spawn(process.execPath, ["--eval", code], { detached: true, stdio: ["ignore", "pipe", "inherit"] });
const connected = once(child.stdout, "data");
exports.handler = async () => { await connected; };
process.once("SIGTERM", () => { ${RAISE} });`,
    verdict: "not clean",
    advice: "Let the child process close its own connections",
  },
  {
    name: "mysql2 pool in a worker thread",
    code: `const { Worker } = require("node:worker_threads");
const code = \`${CONNECT_AND_STAY} const { parentPort } = require("node:worker_threads");
parentPort.on("message", () => pool.query("SELECT 1").then(([rows]) => parentPort.postMessage(rows)));\`;
const worker = new Worker(code, { eval: true });
exports.handler = () => new Promise((done) => { worker.once("message", done); worker.postMessage("go"); });`,
    verdict: "not clean",
    advice: "opened at [worker eval]:2 by mysql2",
  },
  {
    name: "process.exit() in an invocation",
    code: `${POOL}\nexports.handler = async () => { await pool.query("SELECT 1"); process.exit(1); };`,
    verdict: "not clean",
    advice: "index.js:3 called process.exit() before any signal",
  },
  {
    name: "top-level await that never settles",
    file: "index.mjs",
    code: `await new Promise(() => {});\nexport const handler = async () => "hello";`,
    verdict: "not clean",
    emulated: "could not be invoked",
    advice: "a top-level await never settles",
  },
  {
    name: "no database",
    code: `exports.handler = async () => "hello";`,
    verdict: "no database seen",
    advice: NO_DATABASE,
  },
  {
    name: "no database, process.exit()",
    code: `exports.handler = async () => "hello";\nprocess.on("SIGTERM", () => process.exit(0));`,
    verdict: "no database seen",
    advice: NO_DATABASE,
  },
  {
    name: "callback on nodejs24.x",
    code: `${POOL}\nexports.handler = (event, context, callback) => pool.query("SELECT 1").then(([rows]) => callback(null, rows), callback);`,
    verdict: "not clean",
    emulated: "could not be invoked",
    advice: "Take the third parameter, callback, out of the handler",
  },
  {
    name: "callback on nodejs22.x",
    runtime: "nodejs22.x",
    code: `${POOL}\nexports.handler = (event, context, callback) => { context.callbackWaitsForEmptyEventLoop = false; pool.query("SELECT 1").then(([rows]) => callback(null, rows), callback); };\n${onSigterm("await pool.end()")}`,
    verdict: "clean",
  },
  {
    name: "response stream",
    code: `${POOL}\nexports.handler = awslambda.streamifyResponse(async (event, stream) => { const [rows] = await pool.query("SELECT 1"); stream.end(JSON.stringify(rows)); });\n${onSigterm("await pool.end()")}`,
    verdict: "clean",
  },
  {
    name: "throws at Init",
    code: `throw new TypeError("no settings");`,
    verdict: "not clean",
    emulated: "could not be invoked",
    advice: "Repair the Init first",
  },
  {
    name: "process.exit(0) at Init",
    code: `process.exit(0);`,
    verdict: "not clean",
    emulated: "could not be invoked",
    advice: "index.js:1 called process.exit()",
  },
  {
    name: "sets its own address",
    code: `process.env.DB_HOST = "db.invalid";
const mysql = require("mysql2/promise");
const { DB_HOST: host, DB_USER: user, DB_PASSWORD: password } = process.env;
const pool = mysql.createPool({ host, user, password });
${SELECT}`,
    verdict: "could not be invoked",
    advice: "Let it connect to the lab's server instead of db.invalid",
  },
  {
    name: "variable that the lab does not give",
    code: `const mysql = require("mysql2/promise");
const { RDS_HOSTNAME, RDS_PORT } = process.env;
exports.handler = async () => { if (!RDS_HOSTNAME) throw new Error("RDS_HOSTNAME is not set"); return mysql.createConnection({ host: RDS_HOSTNAME, port: Number(RDS_PORT) }); };`,
    verdict: "could not be invoked",
    advice: "fails with Error: RDS_HOSTNAME is not set. If it misses a variable, use --env NAME=VALUE",
  },
  {
    name: "expects another event",
    code: `${POOL}\nexports.handler = async ({ Records }) => { for (const { body } of Records) await pool.query(body); };`,
    verdict: "could not be invoked",
    advice: "If it expects another event, use --event",
  },
  {
    name: "package that is not there",
    code: `const db = require("a-package-that-is-not-there");\nexports.handler = async () => db;`,
    verdict: "not clean",
    emulated: "could not be invoked",
    advice: "Deploy every package that the handler loads",
  },
];

/** The table of lab/README.md: a row for each verdict. */
export function userHandlersTable(): string {
  const namesOf = new Map<string, string[]>();
  for (const { name, verdict, emulated = verdict } of USER_HANDLERS) {
    const judged = emulated === verdict ? verdict : `${verdict} (${emulated})`;
    namesOf.set(judged, [...(namesOf.get(judged) ?? []), name]);
  }
  const rows = [...namesOf].map(([judged, names]) => `| ${judged} | ${names.join("<br>")} |`);
  // The formatter would make each row as wide as the longest.
  return ["<!-- prettier-ignore -->", "| verdict | handlers |", "| --- | --- |", ...rows].join("\n");
}
