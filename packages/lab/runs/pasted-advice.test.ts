/** The code of the advice is pasted into the handler, and the next run is clean. */
import { lambdaRuntime } from "../lambda/lambda-runtime";
import { startDatabaseServer } from "../mysql/database-server";
import { HandlerJudge } from "./handler-judge";
import type { UserHandler } from "./user-handlers";

const HANDLER = (leave: string): UserHandler => ({
  name: "leaves on SIGTERM",
  code: `const mysql = require("mysql2/promise");
const pool = mysql.createPool(process.env.MYSQL_URL);
exports.handler = async () => (await pool.query("SELECT 1"))[0];
process.on("SIGTERM", async () => { await pool.end();
${leave}
});`,
  verdict: "clean",
});

test("the two lines that leave without process.exit()", async () => {
  const database = await startDatabaseServer();
  const judge = new HandlerJudge(database);
  try {
    const runtime = lambdaRuntime("nodejs24.x");
    const { change = "" } = await judge.judge(HANDLER("process.exit(0);"), runtime);
    expect(change).toContain("index.js:5 called process.exit()");
    const code = change
      .slice(change.indexOf("Or leave in this way"))
      .split("\n")
      .filter((line) => line.startsWith("    "));
    const { verdict, change: next } = await judge.judge(HANDLER(code.join("\n")), runtime);
    expect({ kind: verdict.kind, next }).toEqual({ kind: "clean", next: undefined });
  } finally {
    await judge.close();
    await database.stop();
  }
}, 60_000);
