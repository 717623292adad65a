/** The rows of the fault table that do not depend on MySQL, played to two handlers of pg with a real PostgreSQL. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withExtension } from "../functions/subject";
import { userVariables } from "../functions/user-function";
import { lambdaRuntime } from "../lambda/lambda-runtime";
import { startFakeDatabaseServer } from "../mysql/fake-database-server";
import type { DatabaseServer } from "../mysql/server";
import { startPostgresql, type ThrowawayTcpServer } from "../mysql/throwaway-tcp-server";
import type { FaultResult } from "./fault-result";
import { playInLanes } from "./fault-runs";
import { runTcpFault, type TcpFaultConfig } from "./run-tcp-fault";
import { TCP_FAULTS } from "./tcp-faults";

const CACHE = join(__dirname, "../../../node_modules/.cache");
// Below the root, where pg is found.
mkdirSync(CACHE, { recursive: true });
const scratch = mkdtempSync(join(CACHE, "tcp-faults-"));
const POOL = `
import pg from "pg";
const { PGPORT, TIME_LIMIT_MS } = process.env;
const pool = new pg.Pool({ host: "127.0.0.1", port: Number(PGPORT), user: "postgres", max: 1 });
if (TIME_LIMIT_MS !== undefined) pool.on("error", () => undefined);
export const handler = async ({ seconds = 0 }) => (await pool.query("SELECT pg_sleep($1)", [seconds])).rows;
const leave = () => process.kill(process.pid, "SIGTERM");
process.once("SIGTERM", () => {
  if (TIME_LIMIT_MS !== undefined) setTimeout(leave, Number(TIME_LIMIT_MS));
  pool.end().then(leave);
});`;

let database: DatabaseServer;
let postgresql: ThrowawayTcpServer;

beforeAll(async () => {
  writeFileSync(join(scratch, "index.mjs"), POOL);
  [database, postgresql] = await Promise.all([startFakeDatabaseServer(), startPostgresql()]);
});

afterAll(async () => {
  await Promise.all([database.stop(), postgresql.stop()]);
  rmSync(scratch, { recursive: true });
});

async function play(row: string, environment: Readonly<Record<string, string>>): Promise<FaultResult> {
  const fault = TCP_FAULTS.find(({ name }) => name === row);
  if (fault === undefined) throw new Error(`no row ${row}`);
  const common = { name: "theirs", directory: scratch, handler: "index.handler", memorySizeMb: 128, timeoutMs: 3_000 };
  const subject = withExtension(
    {
      name: "theirs",
      lambdaFunction: { ...common, environment },
      extensions: [],
      variables: (login, addresses) => userVariables(login, { PGPORT: "{db.port}" }, addresses),
    },
    "external",
  );
  const config: TcpFaultConfig = {
    ...{ subject, database, extension: "external", runtime: lambdaRuntime("nodejs24.x") },
    servers: [{ name: "db", host: postgresql.host, port: postgresql.port }],
    events: { quick: {}, slow: { seconds: 30 } },
  };
  // What a busy machine took from the budget is played again.
  const [result] = playInLanes([() => runTcpFault(fault, config)], 0);
  if (result === undefined) throw new Error("nothing was played");
  return result;
}

const WITH_LIMIT = { TIME_LIMIT_MS: "100" };

test.each([
  ["idle", {}, []],
  ["connect refused", {}, []],
  ["connect to a silent server", {}, [/SIGKILL at its deadline/]],
  ["connect to a silent server", WITH_LIMIT, []],
  ["SIGTERM in an invocation", {}, [/SIGKILL at its deadline/, /^connection to db: FIN without Terminate$/]],
  ["SIGTERM in an invocation", WITH_LIMIT, [/^connection to db: FIN without Terminate$/]],
  ["server frozen in a long query", WITH_LIMIT, []],
  ["server killed", WITH_LIMIT, []],
  ["wait_timeout while frozen", {}, [/gone before/, /Runtime.ExitError/]],
  ["wait_timeout while frozen", WITH_LIMIT, []],
] as const)("%s, %j: %j", async (row, environment, problems) => {
  const result = await play(row, environment);
  expect(result.problems).toEqual(problems.map((problem) => expect.stringMatching(problem) as string));
});
