import { NotRunError } from "./database-errors.ts";

/**
 * What an error says about its statement, decided by where the error came from and by the server's error number. The
 * text of a message does not count, because a server's message can quote anything.
 */

// Server error numbers: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html and, from 1900 to 1999
// and from 4000 on, https://mariadb.com/kb/en/mariadb-error-code-reference/

/**
 * `max_connections`, an account's `max_user_connections` or its connections an hour, and a server that shuts down: in a
 * failover another one is there a moment later.
 */
const TEMPORARY_REFUSALS = new Set([1040, 1203, 1226, 1053]);

/**
 * The account may not log in: no right to the database or from this host, another password, an expired password (1820
 * comes with the first statement), a locked or blocked account. Another secret can name another account or password.
 */
const ACCOUNT_REFUSALS = new Set([1044, 1045, 1130, 1698, 1820, 1862, 3118, 3955, 4150, 4151]);

/** The server ends the connection: at its shutdown (1053), or because somebody killed it (MariaDB's 1927, MySQL's 3169). */
const SESSION_ENDED = new Set([1053, 1152, 1927, 3169]);
const ER_CLIENT_INTERACTION_TIMEOUT = 4031;

/** InnoDB or its data dictionary is read only (1836, 1874, as on Aurora's readers), or the server is offline (3032). */
const READ_ONLY_SERVER = new Set([1836, 1874, 3032]);

/** An option of the server, which may be `read_only` or another, such as `secure_file_priv`. */
const ER_OPTION_PREVENTS_STATEMENT = 1290;

/** The transaction is read only: because of the server, or because the session asked for it. */
const ER_READ_ONLY_TRANSACTION = 1792;

/** The SQL state of errors that a trigger or a procedure makes itself (SIGNAL). It may give them any number. */
const SIGNALED = "45000";

/** Errors of Node.js about a way to the server that may be there a moment later. */
const NETWORK_ERRORS = new Set([
  ...["EAI_AGAIN", "ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EHOSTUNREACH", "EHOSTDOWN"],
  ...["ENETUNREACH", "ENETDOWN", "EPIPE", "ETIMEDOUT", "EADDRNOTAVAIL", "PROTOCOL_CONNECTION_LOST"],
]);

/** @returns the server's number for the error if the error is an answer of the server's, and undefined otherwise */
export function serverErrorNumber(error: unknown): number | undefined {
  const { sqlState, errno } = (error ?? {}) as { readonly sqlState?: unknown; readonly errno?: unknown };
  // mysql2 reads `sqlState` out of the server's packet, and sets it nowhere else.
  return typeof sqlState === "string" && typeof errno === "number" ? errno : undefined;
}

/**
 * Whether the statement cannot have run, so that it is safe to run it once more whatever it does:
 * - the connection was known to have ended, so the driver was not asked;
 * - the server sent an error and closed before it read the statement, see `ServerConnection`;
 * - the kernel did not accept all bytes of the statement, and a server runs no statement that it has not read whole.
 *
 * A connection that is lost later may have been lost after the statement ran, and only the caller knows what that
 * means.
 */
export function hasNotRun(error: unknown): boolean {
  if (error instanceof NotRunError) return true;
  if (serverErrorNumber(error) !== undefined) return false;
  const { syscall, code } = error as NodeJS.ErrnoException;
  return syscall === "write" && (code === "EPIPE" || code === "ECONNRESET");
}

/**
 * Whether the server no longer accepts writes, as after a failover. `maybe` and `hardly` are what the error says where
 * only the server's variables can tell.
 */
export function isReadOnlyServer(error: unknown): boolean | "maybe" | "hardly" {
  const number = serverErrorNumber(error);
  if (number === undefined || (error as { readonly sqlState?: string }).sqlState === SIGNALED) return false;
  if (number === ER_OPTION_PREVENTS_STATEMENT) return "maybe";
  return number === ER_READ_ONLY_TRANSACTION ? "hardly" : READ_ONLY_SERVER.has(number);
}

/** Whether the server refuses this account, so that only another log-in can help. */
export function isAccountRefusal(error: unknown): boolean {
  return ACCOUNT_REFUSALS.has(serverErrorNumber(error) ?? 0);
}

/** Whether the server accepts no connection now, but may in a moment. */
export function isTemporaryRefusal(error: unknown): boolean {
  return TEMPORARY_REFUSALS.has(serverErrorNumber(error) ?? 0);
}

/** Whether the way to the server failed, rather than the server refused something. */
export function isNetworkError(error: unknown): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return serverErrorNumber(error) === undefined && typeof code === "string" && NETWORK_ERRORS.has(code);
}

/**
 * Whether the server ended the session, and refused nothing: also because it was idle (4031), which a log-in is for the
 * server while the execution environment is frozen in the middle of it.
 */
export function isEndOfSession(error: unknown): boolean {
  const number = serverErrorNumber(error) ?? 0;
  return number === ER_CLIENT_INTERACTION_TIMEOUT || SESSION_ENDED.has(number);
}

/** Whether the connection was lost, rather than a statement refused. */
export function isConnectionLost(error: unknown): boolean {
  const number = serverErrorNumber(error);
  if (number !== undefined) return SESSION_ENDED.has(number);
  return hasNotRun(error) || (error as { fatal?: boolean }).fatal === true;
}
