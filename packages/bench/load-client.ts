/** One load on one pool of each side in turn, in a process of its own: it may have a small share of a CPU. */
import { performance } from "node:perf_hooks";
import mysql from "mysql2/promise";
import { Database } from "lambda-graceful-shutdown-mysql";

export interface LoadRound {
  readonly ms: number;
  readonly longestWaitMs: number;
  readonly failed: number;
}

/** What the process is asked for, as JSON in its first argument. */
export interface Load {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly connectionLimit: number;
  /** Callers side by side, each with so many statements one after the other. */
  readonly callers: number;
  readonly statements: number;
  readonly rounds: number;
}

type Statement = (sql: string, values: readonly unknown[]) => Promise<unknown>;

const load = JSON.parse(process.argv[2] ?? "{}") as Load;
const { host, port, database: name, user, password, connectionLimit } = load;
const ours = new Database(
  { host, port, name, login: { type: "password", user, password }, tls: "off", connectTimeoutMs: 10_000 },
  { connectionLimit },
);
const theirs = mysql.createPool({ host, port, database: name, user, password, connectionLimit });
const sides: readonly (readonly [string, Statement])[] = [
  ["ours", (sql, values) => ours.query(sql, values)],
  ["mysql2", (sql, values) => theirs.query(sql, [...values])],
];

async function round(statement: Statement): Promise<LoadRound> {
  let longestWaitMs = 0;
  let failed = 0;
  const begun = performance.now();
  const caller = async (): Promise<void> => {
    for (let count = 0; count < load.statements; count += 1) {
      const asked = performance.now();
      await statement("SELECT ? AS number", [count]).catch(() => (failed += 1));
      longestWaitMs = Math.max(longestWaitMs, performance.now() - asked);
    }
  };
  await Promise.all(Array.from({ length: load.callers }, caller));
  return { ms: performance.now() - begun, longestWaitMs, failed };
}

async function main(): Promise<void> {
  for (const [, statement] of sides) await round(statement); // connects, and compiles
  const rounds: Record<string, LoadRound>[] = [];
  for (let count = 0; count < load.rounds; count += 1) {
    const played: Record<string, LoadRound> = {};
    for (const [side, statement] of count % 2 === 0 ? sides : sides.toReversed()) played[side] = await round(statement);
    rounds.push(played);
  }
  await Promise.all([ours.close(), theirs.end()]);
  console.log(JSON.stringify(rounds));
}

void main();
