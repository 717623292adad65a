import { setTimeout as sleep } from "node:timers/promises";
import type { ServerConnection } from "./connection.ts";
import { serverErrorNumber } from "./error-origin.ts";

/** Milliseconds to leave a connection as it was found. One whose server takes longer is cut off. */
const TIDY_WITHIN_MS = 1_000;

/**
 * Makes a connection fit for its next user, or ends it: an open transaction is rolled back, since its locks would be
 * held while the environment is frozen, and the next statement would become a part of it.
 *
 * @param resetSession whether to forget the session's settings, variables, temporary tables and locks, too
 * @returns whether it is fit
 */
export async function tidy(connection: ServerConnection, resetSession: boolean): Promise<boolean> {
  const fit = (async () => {
    const fit = await isFit(connection, resetSession).catch((error: unknown) => {
      // What the server refuses to undo, such as XA START, ends with the connection.
      if (serverErrorNumber(error) === undefined) throw error;
      console.warn(`the server does not reset the session, so the connection is closed: ${(error as Error).message}`);
      return false;
    });
    if (fit) return true;
    connection.quit();
    await connection.closed;
    return false;
  })().catch(() => undefined);
  const settled = await Promise.race([fit, sleep(TIDY_WITHIN_MS, undefined, { ref: false })]);
  if (connection.isLeaving) return false;
  if (settled === undefined) connection.abandon(new Error("the server did not reset the session in time"));
  return settled ?? false;
}

async function isFit(connection: ServerConnection, resetSession: boolean): Promise<boolean> {
  if (connection.useless) return false;
  // After an error: a procedure may have begun a transaction before it failed. COM_PING brings the flags.
  if (connection.inTransaction === undefined) await connection.ping();
  if (connection.autocommitIsOff) {
    console.warn(
      "a statement turned autocommit off: the connection is closed, and uncommitted changes are rolled back",
    );
    return false;
  }
  if (connection.databaseIsChanged) {
    console.warn("a statement changed the database (USE): the connection is ended, the next one is in DB_NAME again");
    return false;
  }
  if (connection.inTransaction === true) {
    console.warn("a statement left a transaction open: rolled back; use transaction()");
    await connection.run("ROLLBACK");
  }
  if (resetSession) await connection.reset();
  return connection.inTransaction === false;
}
