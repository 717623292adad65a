/** A statement could not run because there is no connection; names the server and what was waited for. */
export class DatabaseUnreachableError extends Error {
  override readonly name = "DatabaseUnreachableError";
}

/** The error of a statement that could not get a connection, whatever the reason. */
export function unreachable(
  { host, port }: { readonly host: string; readonly port: number },
  cause: unknown,
): DatabaseUnreachableError {
  const { message, code = "no reason given" } = cause as NodeJS.ErrnoException;
  const reason = message === "" ? code : message;
  return new DatabaseUnreachableError(`no connection to MySQL at ${host}:${port} (DB_HOST, DB_PORT): ${reason}`, {
    cause,
  });
}

/** A statement came after the Shutdown phase had begun. It was not run. */
export class ShuttingDownError extends Error {
  override readonly name = "ShuttingDownError";
}

/**
 * A statement came on the `query` of a transaction that has ended, or that the server or a statement of its own has
 * ended early. It was not run.
 */
export class TransactionEndedError extends Error {
  override readonly name = "TransactionEndedError";
}

/**
 * The connection was lost while COMMIT ran, or a procedure ended the transaction. The server may or may not have
 * committed: only the data can tell.
 */
export class CommitOutcomeUnknownError extends Error {
  override readonly name = "CommitOutcomeUnknownError";
}

/** A statement took longer than its `timeoutMs`. The message says whether it was cancelled on the server. */
export class StatementTimeoutError extends Error {
  override readonly name = "StatementTimeoutError";
}

/** The driver was not given the statement, or the server closed before it read it. */
export class NotRunError extends Error {
  override readonly name = "NotRunError";
}

/** A second connection does not prove to lead to the server and the thread that run the statement. */
export class CancelRefusedError extends Error {
  override readonly name = "CancelRefusedError";
}
