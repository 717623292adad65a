import { existsSync, readFileSync } from "node:fs";
import { freemem } from "node:os";
import mysql, { type RowDataPacket } from "mysql2/promise";
import type { DatabaseServer } from "../mysql/server";

export const MAX_ENVIRONMENTS = 1_000;
export const MAX_SECONDS = 3_600;

/**
 * Measured with Node.js 24 at 200 environments, in a control group: page tables, sockets and extension included. A secret
 * and TLS take 0.8 MB of it (measured at 70).
 */
const ENVIRONMENT_BYTES = 20.3e6;
/** The lab itself, and the server. */
const LAB_BYTES = 300e6;
/**
 * Pipes, sockets and listeners of one environment in the lab: 16, and a part of a second connection, which few have.
 */
const ENVIRONMENT_FILES = 18;
const LAB_FILES = 100;

/**
 * Checks what a storm of this size needs from the machine and the server.
 *
 * @param lifecycles how many environments it has from its begin to its end
 * @throws with all that is too much
 */
export async function checkRoom(
  {
    environments,
    seconds,
    lifecycles,
  }: { readonly environments: number; readonly seconds: number; readonly lifecycles: number },
  database: DatabaseServer,
): Promise<void> {
  const problems = [
    ...outOfRange("environments", environments, MAX_ENVIRONMENTS),
    ...outOfRange("seconds", seconds, MAX_SECONDS),
  ];
  const room: readonly [what: string, needed: number, there: number, unit: string][] = [
    ["memory", Math.ceil((environments * ENVIRONMENT_BYTES + LAB_BYTES) / 1e6), Math.floor(freemem() / 1e6), " MB"],
    ["open files (ulimit -n)", environments * ENVIRONMENT_FILES + LAB_FILES, openFilesLimit(), ""],
    // Of a way that gives none back, all are held at the end.
    ["the server's max_connections", Math.ceil(lifecycles) + 1, await maxConnections(database), ""],
  ];
  for (const [what, needed, there, unit] of room) {
    if (needed <= there) continue;
    problems.push(
      `${what}: a storm of ${environments} environments needs ${needed}${unit}, there are ${there}${unit} (--environments)`,
    );
  }
  if (problems.length > 0) throw new Error(problems.join("\n"));
}

function outOfRange(name: string, value: number, most: number): readonly string[] {
  return Number.isInteger(value) && value >= 1 && value <= most
    ? []
    : [`${name} ${value} is not a whole number from 1 to ${most} (--${name})`];
}

/** Node.js itself has raised it as far as it may; where there is no /proc nobody can tell. */
function openFilesLimit(): number {
  if (!existsSync("/proc/self/limits")) return Infinity;
  const limit = /^Max open files\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return limit === undefined || limit === "unlimited" ? Infinity : Number(limit);
}

async function maxConnections(database: DatabaseServer): Promise<number> {
  if (database.kind === "fake") return Infinity;
  const { host, port, user, password } = database;
  const client = await mysql.createConnection({ host, port, user, password, database: database.database });
  const [[row]] = await client.query<RowDataPacket[]>("SELECT @@max_connections AS most");
  await client.end();
  return Number(row?.["most"]);
}
