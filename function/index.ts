import { onShutdown, tracked } from "./shutdown"; // first, so that a SIGTERM finds its listener however early it comes
import type { RowDataPacket } from "mysql2";
import { Database } from "./database";
import { registerExtension } from "./extension";
import { databaseSettings } from "./settings";

interface Answer {
  /** The server's number for the connection, `CONNECTION_ID()`. */
  readonly connectionId: number;
  /** The server's clock, ISO 8601 in UTC. */
  readonly serverTime: string;
}

const database = new Database(databaseSettings());
onShutdown("mysql", (context) => database.close(context));

// Connect during Init, as AWS recommends, but do not wait. The handler waits, and reports a failure.
void database.open();

// Awaited here, at the top level: once Init is over, Lambda lets no extension register.
await registerExtension();

/**
 * Answers any event. An event with `sleepSeconds`, 0 to 900, first keeps the server busy for that long, so that you can
 * see in your own account what a time-out leaves behind.
 *
 * @throws TypeError if `sleepSeconds` is something else
 */
export const handler = tracked(async (event: unknown): Promise<Answer | undefined> => {
  const seconds = sleepSeconds(event);
  if (seconds > 0) await database.query("SELECT SLEEP(?)", [seconds]);
  const [row] = await database.query<Answer & RowDataPacket>(
    "SELECT CONNECTION_ID() AS connectionId, UTC_TIMESTAMP(3) AS serverTime",
  );
  // 2026-01-02 03:04:05.678, as the server writes it.
  return row && { connectionId: row.connectionId, serverTime: `${row.serverTime.replace(" ", "T")}Z` };
});

function sleepSeconds(event: unknown): number {
  const { sleepSeconds: value = 0 } = (event ?? {}) as { readonly sleepSeconds?: unknown };
  if (typeof value === "number" && value >= 0 && value <= 900) return value;
  throw new TypeError(`sleepSeconds ${JSON.stringify(value)} is not a number from 0 to 900 (set it in the event)`);
}
