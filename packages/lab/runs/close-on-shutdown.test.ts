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
import { run } from "./run";
import { USER_HANDLERS } from "./user-handlers";
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
