import { NotRunError } from "./database-errors.ts";

/**
 * What an error says about its statement, decided by where the error came from and by the server's error number. The
 * text of a message does not count, because a server's message can quote anything.
 */

/** Server error numbers: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html */
const ER_ACCESS_DENIED = 1045;

/**
 * `max_connections`, an account's `max_user_connections` or its connections an hour, and a server that shuts down: in a
 * failover another one is there a moment later.
 */
const COMES_BACK = new Set([1040, 1203, 1226, 1053]);

/** The server ends the connection: at its shutdown (1053), or because somebody killed it (MariaDB's 1927, MySQL's 3169). */
const SESSION_ENDED = new Set([1053, 1152, 1927, 3169]);

/**
 * The server refuses to write, or to work at all: `read_only` (1290), a read-only transaction (1792) or data dictionary
 * (1836), InnoDB read only, as Aurora's readers are (1874), offline mode (3032). 1290 has other causes as well, such as
 * `secure_file_priv`: for those, one more connection and one more refusal is all that this costs. The number does not
 * count in an error of {@link SIGNALED}.
 */
const USELESS_SERVER = new Set([1290, 1792, 1836, 1874, 3032]);

/** The SQL state of errors that a trigger or a procedure makes itself (SIGNAL). It may give them any number. */
const SIGNALED = "45000";

/** Statements that hold statements. When one of those is refused, others of the same call may have run before it. */
const COMPOUND = /^(?:\s|\/\*.*?\*\/|--\s.*?\n|#.*?\n|\()*(?:call|execute|begin|\{|do)\b/is;

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

/** Whether the server cannot be used for writing any more, as after a failover. */
export function isUselessServer(error: unknown): boolean {
  return (
    USELESS_SERVER.has(serverErrorNumber(error) ?? 0) && (error as { readonly sqlState?: string }).sqlState !== SIGNALED
  );
}

/** Whether the refused statement may be run once more on another server: it is one statement, so none of it has run. */
export function isWhollyRefused(error: unknown, sql: string): boolean {
  return isUselessServer(error) && !isCompound(sql);
}

export function isCompound(sql: string): boolean {
  return COMPOUND.test(sql);
}

export function isAccessDenied(error: unknown): boolean {
  return serverErrorNumber(error) === ER_ACCESS_DENIED;
}

/** Whether the server accepts no connection now, but may in a moment. */
export function comesBack(error: unknown): boolean {
  return COMES_BACK.has(serverErrorNumber(error) ?? 0);
}

/** Whether the connection was lost, rather than a statement refused. */
export function isConnectionLost(error: unknown): boolean {
  const number = serverErrorNumber(error);
  if (number !== undefined) return SESSION_ENDED.has(number);
  return hasNotRun(error) || (error as { fatal?: boolean }).fatal === true;
}
