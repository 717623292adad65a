import { setTimeout as sleep } from "node:timers/promises";
import type { ServerConnection } from "./connection.ts";
import { serverErrorNumber } from "./error-origin.ts";

/** Milliseconds to leave a connection as it was found. One whose server takes longer is cut off. */
const PREPARE_TIMEOUT_MS = 1_000;

/** Whether the connection can be used again as it is, without a round trip. */
export function isClean({ inTransaction, autocommitIsOff, databaseIsChanged, isReusable }: ServerConnection): boolean {
  return inTransaction === false && !autocommitIsOff && !databaseIsChanged && isReusable;
}

/**
 * Makes a connection ready for its next user, or ends it: an open transaction is rolled back, since its locks would be
 * held while the environment is frozen, and the next statement would become a part of it.
 *
 * @param resetSession whether to forget the session's settings, variables, temporary tables and locks, too
 * @returns whether it is ready
 */
export async function prepareForReuse(connection: ServerConnection, resetSession: boolean): Promise<boolean> {
  const prepared = prepareOrQuit(connection, resetSession).catch(() => undefined); // it is lost
  const isReady = await Promise.race([prepared, sleep(PREPARE_TIMEOUT_MS, undefined, { ref: false })]);
  if (connection.isLeaving) return false;
  if (isReady === undefined) connection.abandon(new Error("the server did not reset the session in time"));
  return isReady ?? false;
}

async function prepareOrQuit(connection: ServerConnection, resetSession: boolean): Promise<boolean> {
  try {
    if (await prepare(connection, resetSession)) return true;
  } catch (error) {
    // What the server refuses to undo, such as XA START, ends with the connection.
    if (serverErrorNumber(error) === undefined) throw error;
    console.warn(`the server does not reset the session, so the connection is closed: ${(error as Error).message}`);
  }
  connection.quit();
  await connection.closed;
  return false;
}

async function prepare(connection: ServerConnection, resetSession: boolean): Promise<boolean> {
  if (!connection.isReusable) return false;
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
