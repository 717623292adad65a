import type { RowDataPacket } from "mysql2";
import type { ServerConnection } from "./connection.ts";
import { StatementTimeoutError } from "./database-errors.ts";
import { serverErrorNumber } from "./error-origin.ts";
import { withoutValues } from "./statement-error.ts";

export interface StatementOptions {
  /**
   * Milliseconds that the server may take, without the wait for a connection. Then the function cancels the statement.
   *
   * The statement fails with a {@link StatementTimeoutError}.
   * @default - the function's timeout
   */
  readonly timeoutMs?: number;
}

/** What an INSERT, an UPDATE or another statement without rows results in. */
export interface WriteResult {
  readonly affectedRows: number;
  /** A string above 2^53; 0 without AUTO_INCREMENT. */
  readonly insertId: number | string;
  readonly changedRows: number;
  readonly warningStatus: number;
}

/**
 * Runs one statement with its parameters.
 *
 * Values are exact. BIGINT is a number up to 2^53 and a string above, DECIMAL is a string. DATE, DATETIME, TIMESTAMP and
 * TIME are strings as the server writes them, also the zero date. The session's time zone is UTC, and a `Date` among the
 * values is written in UTC, whatever the zones of the server and of the function are.
 *
 * @example
 * const [user] = await query<User>("SELECT id, name FROM user WHERE id = ?", [id]);
 * const { insertId } = await query<WriteResult>("INSERT INTO user (name) VALUES (?)", [name]);
 */
export interface Query {
  <Row extends RowDataPacket>(sql: string, values?: readonly unknown[], options?: StatementOptions): Promise<Row[]>;
  <Result extends WriteResult>(sql: string, values?: readonly unknown[], options?: StatementOptions): Promise<Result>;
  <Row extends object>(sql: string, values?: readonly unknown[], options?: StatementOptions): Promise<Row[]>;
}

/** Cancels what runs on the connection; rejects where that is not possible. */
export type Cancel = (connection: ServerConnection) => Promise<void>;

/** ER_QUERY_INTERRUPTED; what else a statement fails with has nothing to do with its time. */
const INTERRUPTED = 1317;

/** mysql2 puts backslashes before quotes: there a value with a quote would end its literal, and become SQL. */
const NO_ESCAPES =
  "values cannot be escaped, because sql_mode has NO_BACKSLASH_ESCAPES: take it out of the server's or the session's " +
  "sql_mode, or write a statement without values";

/** @throws Error the server's or the driver's, without the statement's values */
export async function runStatement<Result>(
  connection: ServerConnection,
  sql: string,
  values: readonly unknown[],
  { timeoutMs }: StatementOptions,
  cancel: Cancel,
): Promise<Result> {
  checkArguments(sql, values);
  try {
    if (values.length > 0 && connection.status.noBackslashEscapes) throw new Error(NO_ESCAPES);
    const result =
      timeoutMs === undefined
        ? await connection.run<Result>(sql, values)
        : await runWithin<Result>(timeoutMs, connection, sql, values, cancel);
    return withUnsignedId(result);
  } catch (error) {
    throw withoutValues(error);
  }
}

/** mysql2 would take the letters of a text for values, and leave out the values of an object. */
function checkArguments(sql: unknown, values: unknown): void {
  if (typeof sql !== "string") throw new TypeError(`query(): the statement is of type ${typeof sql}, not a string`);
  if (Array.isArray(values)) return;
  throw new TypeError(`query(): the values are of type ${typeof values}, not an array (the second argument of query)`);
}

/** mysql2 reads the id as a signed number: one of BIGINT UNSIGNED from 2^63 on comes as a negative number or text. */
function withUnsignedId<Result>(result: Result): Result {
  const write = result as { insertId?: unknown } | undefined;
  const id = write?.insertId;
  if (write && ((typeof id === "string" && id.startsWith("-")) || (typeof id === "number" && id < 0))) {
    write.insertId = BigInt.asUintN(64, BigInt(id)).toString();
  }
  return result;
}

async function runWithin<Result>(
  timeoutMs: number,
  connection: ServerConnection,
  sql: string,
  values: readonly unknown[],
  cancel: Cancel,
): Promise<Result> {
  if (!(timeoutMs > 0 && timeoutMs < 2 ** 31)) {
    throw new TypeError(`timeoutMs ${timeoutMs} is not a number of milliseconds above 0 (the statement's options)`);
  }
  let cancelling: Promise<void> | undefined;
  const timer = setTimeout(() => {
    cancelling = cancel(connection).catch((error: unknown) => {
      const reason = `it could not be cancelled on the server, where it may still run (${(error as Error).message})`;
      connection.abandon(new StatementTimeoutError(`the statement took more than ${timeoutMs} ms: ${reason}`));
    });
  }, timeoutMs);
  const timedOut = (cause?: unknown): StatementTimeoutError => {
    const options = cause === undefined ? {} : { cause: withoutValues(cause) };
    return new StatementTimeoutError(`the statement took more than ${timeoutMs} ms: cancelled on the server`, options);
  };
  try {
    const result = await connection.run<Result>(sql, values);
    if (cancelling !== undefined) {
      // It has ended before KILL QUERY came, which would hit the next statement: there is none on this connection.
      await cancelling;
      connection.isReusable = false;
      // SLEEP() answers 1 when it is cancelled. What was written, however, is written.
      if (Array.isArray(result)) throw timedOut();
    }
    return result;
  } catch (error) {
    await cancelling; // so that it does not reach the next statement
    throw cancelling !== undefined && serverErrorNumber(error) === INTERRUPTED ? timedOut(error) : error;
  } finally {
    clearTimeout(timer);
  }
}
