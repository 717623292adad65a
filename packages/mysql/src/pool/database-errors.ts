/** A statement could not run because there is no connection; names the server and what was waited for. */
export class DatabaseUnreachableError extends Error {
  override readonly name = "DatabaseUnreachableError";
  readonly code = "ERR_LGS_DATABASE_UNREACHABLE";
}

/** The error of a statement that could not get a connection, whatever the reason. */
export function unreachable(
  { host, port }: { readonly host: string; readonly port: number },
  cause: unknown,
): DatabaseUnreachableError {
  // A failed connect to several addresses is an AggregateError, which has a code and no message.
  const { message, code = "no reason given" } = cause as NodeJS.ErrnoException;
  const reason = message === "" ? code : message;
  return new DatabaseUnreachableError(`no connection to MySQL at ${host}:${port} (DB_HOST, DB_PORT): ${reason}`, {
    cause,
  });
}

/** A statement came after the Shutdown phase had begun. It was not run. */
export class ShuttingDownError extends Error {
  override readonly name = "ShuttingDownError";
  readonly code = "ERR_LGS_SHUTTING_DOWN";
}

/**
 * A statement came on the `query` of a transaction that has ended, or that the server or a statement of its own has
 * ended early. It was not run.
 */
export class TransactionEndedError extends Error {
  override readonly name = "TransactionEndedError";
  readonly code = "ERR_LGS_TRANSACTION_ENDED";
}

/**
 * The connection was lost while COMMIT ran, or a procedure ended the transaction. The server may or may not have
 * committed: only the data can tell.
 */
export class CommitOutcomeUnknownError extends Error {
  override readonly name = "CommitOutcomeUnknownError";
  readonly code = "ERR_LGS_COMMIT_OUTCOME_UNKNOWN";
}

/** A statement took longer than its `timeoutMs`. The message says whether it was cancelled on the server. */
export class StatementTimeoutError extends Error {
  override readonly name = "StatementTimeoutError";
  readonly code = "ERR_LGS_STATEMENT_TIMEOUT";
}

/** The driver was not given the statement, or the server closed before it read it. */
export class NotRunError extends Error {
  override readonly name = "NotRunError";
  readonly code = "ERR_LGS_NOT_RUN";
}

/** A second connection does not prove to lead to the server and the thread that run the statement. */
export class CancelRefusedError extends Error {
  override readonly name = "CancelRefusedError";
  readonly code = "ERR_LGS_CANCEL_REFUSED";
}

/** The statement is longer than the server's `max_allowed_packet`. It was not sent. */
export class StatementTooLongError extends Error {
  override readonly name = "StatementTooLongError";
  readonly code = "ERR_LGS_STATEMENT_TOO_LONG";
}
