/** closeOnShutdown with the real drivers and mappers, each closed on SIGTERM. */
import { buildSync } from "esbuild";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lambdaRuntime, type LambdaRuntime } from "../lambda/lambda-runtime";
import { startDatabaseServer } from "../mysql/database-server";
import type { DatabaseServer } from "../mysql/server";
import { withExtension } from "../functions/subject";
import { HandlerJudge } from "./handler-judge";
import { run, type RunResult } from "./run";
import { USER_HANDLERS, type UserHandler } from "./user-handlers";
import { runVerdict } from "./verdict";

jest.setTimeout(180_000);

const scratch = mkdtempSync(join(tmpdir(), "close-"));
const LIBRARY = join(scratch, "library.cjs");
let runtime: LambdaRuntime;
let database: DatabaseServer;
let judge: HandlerJudge;

beforeAll(async () => {
  const entryPoints = [join(__dirname, "../../shutdown/src/index.ts")];
  buildSync({ entryPoints, outfile: LIBRARY, bundle: true, platform: "node", format: "cjs" });
  runtime = lambdaRuntime("nodejs24.x");
  database = await startDatabaseServer();
  judge = new HandlerJudge(database);
});

afterAll(async () => {
  await judge.close();
  await database.stop();
  rmSync(scratch, { recursive: true, force: true });
});

/** The handler of the lab's table, the variable that is passed, and the hook's entry in the line. */
const POOLS: readonly (readonly [handler: string, variable: string, entry: object])[] = [
  ["mysql2 pool", "pool", { name: "mysql2", closed: 1, givenUp: 0 }],
  ["mysql2 connection, top-level await", "connection", { name: "mysql2", closed: 1, givenUp: 0 }],
  ["mysql pool", "pool", { name: "mysql", closed: 1, givenUp: 0 }],
  ["knex", "knex", { name: "knex", closed: 1, givenUp: 0 }],
  ["Sequelize", "sequelize", { name: "sequelize", closed: 1, givenUp: 0 }],
  ["TypeORM", "dataSource", { name: "typeorm", closed: 1, givenUp: 0 }],
  ["Drizzle", "db", { name: "drizzle", closed: 1, givenUp: 0 }],
  ["Prisma, driver adapter", "prisma", { name: "prisma" }],
  ["pg", "pool", { name: "pg", closed: 1, givenUp: 0 }],
  ["ioredis", "redis", { name: "ioredis", closed: 1, givenUp: 0 }],
  ["redis", "client", { name: "redis", closed: 1, givenUp: 0 }],
];

const MYSQL_STATEMENT = (seconds: number): string => `"SELECT SLEEP(${seconds})"`;
const PG_STATEMENT = (seconds: number): string => `"SELECT pg_sleep(${seconds})"`;
/** Redis' own clock, as its `DEBUG SLEEP` may be off. */
const REDIS_STATEMENT = (seconds: number): string =>
  `"local end_ = redis.call('TIME')[1] * 1e6 + redis.call('TIME')[2] + ${seconds * 1e6}; while redis.call('TIME')[1] * 1e6 + redis.call('TIME')[2] < end_ do end return 1"`;

/** A pool, and a call with which one of its connections is busy. */
const BUSY: readonly (readonly [
  name: string,
  server: "PostgreSQL" | "Redis" | undefined,
  code: string,
  statement: (seconds: number) => string,
])[] = [
  [
    "mysql2",
    undefined,
    `const pool = require("mysql2/promise").createPool(process.env.MYSQL_URL); const query = (sql) => pool.query(sql);`,
    MYSQL_STATEMENT,
  ],
  [
    "mysql2 with compression",
    undefined,
    `const pool = require("mysql2/promise").createPool({ uri: process.env.MYSQL_URL, compress: true }); const query = (sql) => pool.query(sql);`,
    MYSQL_STATEMENT,
  ],
  [
    "a cluster of mysql2",
    undefined,
    `const pool = require("mysql2/promise").createPoolCluster(); pool.add("one", process.env.MYSQL_URL); const query = (sql) => pool.of("*").query(sql);`,
    MYSQL_STATEMENT,
  ],
  [
    "mysql",
    undefined,
    `const pool = require("mysql").createPool(process.env.MYSQL_URL); const query = (sql) => require("node:util").promisify(pool.query).call(pool, sql);`,
    MYSQL_STATEMENT,
  ],
  [
    "knex",
    undefined,
    `const pool = require("knex")({ client: "mysql2", connection: process.env.MYSQL_URL }); const query = (sql) => pool.raw(sql);`,
    MYSQL_STATEMENT,
  ],
  [
    "Sequelize",
    undefined,
    `const pool = new (require("sequelize").Sequelize)(process.env.MYSQL_URL, { logging: false }); const query = (sql) => pool.query(sql);`,
    MYSQL_STATEMENT,
  ],
  [
    "TypeORM",
    undefined,
    `const pool = new (require("typeorm").DataSource)({ type: "mysql", url: process.env.MYSQL_URL }); const opened = pool.initialize(); const query = (sql) => opened.then(() => pool.query(sql));`,
    MYSQL_STATEMENT,
  ],
  [
    "pg",
    "PostgreSQL",
    `const pool = new (require("pg").Pool)({ connectionString: process.env.POSTGRESQL_URL }); const query = (sql) => pool.query(sql);`,
    PG_STATEMENT,
  ],
  [
    "a client of pg",
    "PostgreSQL",
    `const pool = new (require("pg").Client)(process.env.POSTGRESQL_URL); const opened = pool.connect(); const query = (sql) => opened.then(() => pool.query(sql));`,
    PG_STATEMENT,
  ],
  [
    "knex with pg",
    "PostgreSQL",
    `const pool = require("knex")({ client: "pg", connection: process.env.POSTGRESQL_URL }); const query = (sql) => pool.raw(sql);`,
    PG_STATEMENT,
  ],
  [
    "TypeORM with pg",
    "PostgreSQL",
    `const pool = new (require("typeorm").DataSource)({ type: "postgres", url: process.env.POSTGRESQL_URL }); const opened = pool.initialize(); const query = (sql) => opened.then(() => pool.query(sql));`,
    PG_STATEMENT,
  ],
  [
    "ioredis",
    "Redis",
    `const pool = new (require("ioredis"))(process.env.REDIS_URL); const query = (text) => pool.eval(text, 0);`,
    REDIS_STATEMENT,
  ],
  [
    "redis",
    "Redis",
    `const pool = require("redis").createClient({ url: process.env.REDIS_URL }); const opened = pool.connect(); const query = (text) => opened.then(() => pool.eval(text));`,
    REDIS_STATEMENT,
  ],
];

describe("a busy connection", () => {
  const play = async (index: number, seconds: number): Promise<RunResult | undefined> => {
    const [name, server, code, statement] = BUSY[index] as (typeof BUSY)[number];
    const handler: UserHandler = {
      ...{ name, verdict: "clean", ...(server ? { server } : {}) },
      code: `const library = require(${JSON.stringify(LIBRARY)});\n${code}\nlibrary.closeOnShutdown(pool);
exports.handler = async () => {
  await query(${statement(0)});
  void query(${statement(seconds)}).then(() => console.log("ended"), (error) => console.log("lost", error.message));
  await new Promise((done) => setTimeout(done, 30));
};`,
    };
    const missing = await judge.missing(handler);
    if (missing !== undefined) console.warn(`not proven here: ${missing}`);
    if (missing !== undefined) return undefined;
    return run(withExtension(await judge.subject(handler), "external"), runtime, database, [{}]);
  };

  test.each(BUSY.map(([name], index) => [name, index] as const))(
    "of %s ends first, if it ends in time",
    async (_, index) => {
      const result = await play(index, 0.19);
      if (result === undefined) return;
      expect(result.logs.join("\n")).toContain("ended");
      expect(hookOf(result)).toMatchObject({ result: "done", closed: 1, givenUp: 0 });
      expect(runVerdict(result).kind).toBe("clean");
    },
  );

  test.each(
    BUSY.map(([name, server], index) => [name, index, server] as const).filter(([, , server]) => server !== "Redis"),
  )("of %s is given up with the protocol's goodbye, if it does not", async (_, index) => {
    const result = await play(index, 5);
    if (result === undefined) return;
    expect(hookOf(result)).toMatchObject({ result: "done", closed: 0, givenUp: 1 });
    expect(runVerdict(result).kind).toBe("clean");
  });
});

function hookOf({ logs }: RunResult): unknown {
  const line = logs.map((text) => /\{"event":"shutdown",.*\}/.exec(text)?.[0]).find((text) => text !== undefined);
  return (JSON.parse(line ?? '{"hooks":[]}') as { readonly hooks: readonly unknown[] }).hooks[0];
}

test.each(POOLS)("%s", async (name, variable, entry) => {
  const handler = USER_HANDLERS.find((each) => each.name === name);
  if (handler === undefined) throw new Error(`the table has no handler "${name}"`);
  const missing = await judge.missing(handler);
  if (missing !== undefined) {
    console.warn(`not proven here: ${missing}`);
    return;
  }
  const isModule = handler.file?.endsWith(".mjs") === true;
  const use = isModule
    ? `import library from ${JSON.stringify(LIBRARY)};`
    : `const library = require(${JSON.stringify(LIBRARY)});`;
  const code = `${use}\n${handler.code}\nlibrary.closeOnShutdown(${variable});`;
  const subject = withExtension(await judge.subject({ ...handler, code }), "external");
  const result = await run(subject, runtime, database);
  const line = result.logs
    .map((text) => /\{"event":"shutdown",.*\}/.exec(text)?.[0])
    .find((text) => text !== undefined);
  expect(JSON.parse(line ?? "{}")).toMatchObject({ level: "INFO", hooks: [{ ...entry, result: "done" }] });
  expect(runVerdict(result).kind).toBe("clean");
});
