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
  ["mysql2 connection, top-level await", "connection", { name: "mysql2", closed: 1, givenUp: 0 }],
  ["Drizzle", "db", { name: "drizzle", closed: 1, givenUp: 0 }],
  ["Prisma, driver adapter", "prisma", { name: "prisma" }],
  ["Prisma on PostgreSQL", "prisma", { name: "prisma" }],
];

const SERVERS = {
  mysql: { url: "MYSQL_URL", statement: (seconds: number) => `SELECT SLEEP(${seconds})` },
  postgres: {
    url: "POSTGRESQL_URL",
    server: "PostgreSQL",
    statement: (seconds: number) => `SELECT pg_sleep(${seconds})`,
  },
  redis: {
    url: "REDIS_URL",
    server: "Redis",
    statement: (seconds: number) => `local function now() local t = redis.call('TIME') return t[1] * 1e6 + t[2] end
local e = now() + ${seconds * 1e6} while now() < e do end return 1`,
  },
} as const;

/** A pool, and the call that keeps one of its connections busy with `text`. */
const BUSY: readonly (readonly [
  name: string,
  server: keyof typeof SERVERS,
  pool: string,
  call: string,
  open?: string,
])[] = [
  ["mysql2", "mysql", `require("mysql2/promise").createPool(url)`, "pool.query(text)"],
  ["mysql2 compressed", "mysql", `require("mysql2/promise").createPool(url + "?compress=true")`, "pool.query(text)"],
  [
    "a mysql2 cluster",
    "mysql",
    `require("mysql2/promise").createPoolCluster()`,
    `pool.of("*").query(text)`,
    `pool.add("one", url)`,
  ],
  ["mysql", "mysql", `require("mysql").createPool(url)`, "promisify(pool.query).call(pool, text)"],
  ["knex", "mysql", `require("knex")({ client: "mysql2", connection: url })`, "pool.raw(text)"],
  ["knex with pg", "postgres", `require("knex")({ client: "pg", connection: url })`, "pool.raw(text)"],
  ["Sequelize", "mysql", `new (require("sequelize").Sequelize)(url, { logging: false })`, "pool.query(text)"],
  [
    "TypeORM",
    "mysql",
    `new (require("typeorm").DataSource)({ type: "mysql", url })`,
    "pool.query(text)",
    "pool.initialize()",
  ],
  [
    "TypeORM with pg",
    "postgres",
    `new (require("typeorm").DataSource)({ type: "postgres", url })`,
    "pool.query(text)",
    "pool.initialize()",
  ],
  ["pg", "postgres", `new (require("pg").Pool)({ connectionString: url })`, "pool.query(text)"],
  ["a client of pg", "postgres", `new (require("pg").Client)(url)`, "pool.query(text)", "pool.connect()"],
  ["ioredis", "redis", `new (require("ioredis"))(url)`, "pool.eval(text, 0)"],
  ["redis", "redis", `require("redis").createClient({ url })`, "pool.eval(text)", "pool.connect()"],
];

describe("a busy connection", () => {
  const play = async (index: number, seconds: number): Promise<RunResult | undefined> => {
    const [name, kind, pool, call, open = "undefined"] = BUSY[index] as (typeof BUSY)[number];
    const { url, statement, ...server } = SERVERS[kind];
    const code = `const library = require(${JSON.stringify(LIBRARY)});
const { promisify } = require("node:util");
const url = process.env.${url};
const pool = library.closeOnShutdown(${pool});
const opened = ${open};
exports.handler = async () => {
  await opened;
  const query = (text) => ${call};
  await query(${JSON.stringify(statement(0))});
  void query(${JSON.stringify(statement(seconds))}).then(() => console.log("ended"), (error) => console.log("lost", error.message));
  await new Promise((done) => setTimeout(done, 30));
};`;
    const handler: UserHandler = { name, verdict: "clean", ...server, code };
    const missing = await judge.missing(handler);
    if (missing === undefined)
      return run(withExtension(await judge.subject(handler), "external"), runtime, database, [{}]);
    console.warn(`not proven here: ${missing}`);
    return undefined;
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
    BUSY.map(([name, server], index) => [name, index, server] as const).filter(([, , server]) => server !== "redis"),
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
