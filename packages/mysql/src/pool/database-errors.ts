/** No connection. The message names the server and what was waited for. */
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

/** A statement came after SIGTERM, and did not run. */
export class ShuttingDownError extends Error {
  override readonly name = "ShuttingDownError";
  readonly code = "ERR_LGS_SHUTTING_DOWN";
}

/** A statement came after the end of its transaction, and did not run. */
export class TransactionEndedError extends Error {
  override readonly name = "TransactionEndedError";
  readonly code = "ERR_LGS_TRANSACTION_ENDED";
}

/** The connection was lost during COMMIT, or a procedure ended the transaction. Only the data shows the outcome. */
export class CommitOutcomeUnknownError extends Error {
  override readonly name = "CommitOutcomeUnknownError";
  readonly code = "ERR_LGS_COMMIT_OUTCOME_UNKNOWN";
}

/** A statement took longer than its `timeoutMs`. The message says whether it was cancelled. */
export class StatementTimeoutError extends Error {
  override readonly name = "StatementTimeoutError";
  readonly code = "ERR_LGS_STATEMENT_TIMEOUT";
}

/** The driver did not get the statement, or the server did not read it. */
export class NotRunError extends Error {
  override readonly name = "NotRunError";
  readonly code = "ERR_LGS_NOT_RUN";
}

/** No proof that a second connection leads to the server that runs the statement. */
export class CancelRefusedError extends Error {
  override readonly name = "CancelRefusedError";
  readonly code = "ERR_LGS_CANCEL_REFUSED";
}

/** Longer than the server's `max_allowed_packet`, and not sent. */
export class StatementTooLongError extends Error {
  override readonly name = "StatementTooLongError";
  readonly code = "ERR_LGS_STATEMENT_TOO_LONG";
}
