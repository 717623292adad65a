import { AsyncLocalStorage } from "node:async_hooks";
import { Cancellation } from "./pool/cancellation.ts";
import { closeConnections, type CloseResult } from "./pool/closing.ts";
import type { ServerConnection } from "./pool/connection.ts";
import { ConnectionRequest } from "./pool/connection-request.ts";
import { hasNotRun, isConnectionLost, isReadOnlyServer, serverErrorNumber } from "./pool/error-origin.ts";
import { Logins } from "./login/logins.ts";
import { ConnectionPool } from "./pool/pool.ts";
import { now } from "./node-runtime.ts";
import type { DatabaseSettings } from "./settings.ts";
import type { ShutdownContext } from "lambda-graceful-shutdown";
import { isCompound } from "./pool/sql-words.ts";
import { runStatement, type Cancel, type Query, type StatementOptions } from "./pool/statement.ts";
import { Transaction } from "./pool/transaction.ts";

export type { CloseResult } from "./pool/closing.ts";
export {
  CommitOutcomeUnknownError,
  DatabaseUnreachableError,
  NotRunError,
  ShuttingDownError,
  StatementTimeoutError,
  StatementTooLongError,
  TransactionEndedError,
} from "./pool/database-errors.ts";
export type { Query, StatementOptions, WriteResult } from "./pool/statement.ts";

export interface DatabaseOptions {
  /**
   * Connections at the most. More than one serve only a handler that runs statements side by side.
   *
   * An execution environment handles one invocation at a time. Each connection counts against the server's
   * `max_connections`.
   * @default 1
   */
  readonly connectionLimit?: number;
  /**
   * Milliseconds that a statement may wait for its connection, whatever it waits for.
   *
   * For other statements of this function that use the connections, for credentials, DNS, connects, log-ins, the check
   * after a freeze, and retries.
   * @default - no limit behind other statements, DB_CONNECT_TIMEOUT_MS for a connect
   */
  readonly acquireTimeoutMs?: number;
  /**
   * Ends `SET SESSION`, user variables, temporary tables and locks after each statement or transaction, in two round
   * trips.
   *
   * COM_RESET_CONNECTION does so. Without it they stay for the next user of the connection, and locks stay while the
   * environment is frozen. An open transaction is rolled back in any case.
   * @default false
   */
  readonly resetSession?: boolean;
}

/** The account's password has expired: the session runs nothing but its change. */
const ER_MUST_CHANGE_PASSWORD = 1820;

/** Milliseconds to cancel a statement that has its own time limit: connect, log-in, KILL QUERY. */
const STATEMENT_CANCEL_TIMEOUT_MS = 2_000;

/** Milliseconds before the end of a hook's time. A result that is later than the end does not get into the line. */
const REPORT_MS = 20;

/** Milliseconds of {@link Database.close} outside a Shutdown phase. */
const CLOSE_TIMEOUT_MS = 2_000;

/** The function's connections to MySQL: opened during Init, checked after a thaw, given back on shutdown. */
export class Database {
  private readonly logins: Logins;
  private readonly pool: ConnectionPool;
  private readonly acquireTimeoutMs: number | undefined;
  /** The transaction whose work is running, for a statement that asks for a second connection inside it. */
  private readonly inside = new AsyncLocalStorage<Transaction>();
  /** Statements that time out together share one connection that cancels them. */
  private readonly timedOut: Cancellation;
  private closing: Promise<CloseResult> | undefined;

  /** @throws TypeError if an option has no meaning */
  constructor(settings: DatabaseSettings, options: DatabaseOptions = {}) {
    const { connectionLimit = 1, acquireTimeoutMs, resetSession = false } = options;
    checkOptions(connectionLimit, acquireTimeoutMs);
    this.acquireTimeoutMs = acquireTimeoutMs;
    this.logins = new Logins(settings);
    this.pool = new ConnectionPool(settings, this.logins, connectionLimit, resetSession, acquireTimeoutMs);
    this.timedOut = this.cancellation(() => AbortSignal.timeout(STATEMENT_CANCEL_TIMEOUT_MS));
  }

  /**
   * Connects, for use during Init. Never throws: the next statement connects again.
   *
   * Await it where no invocation follows, as with provisioned concurrency: a freeze would cut the log-in off.
   */
  async open(): Promise<void> {
    try {
      const request = new ConnectionRequest(this.acquireTimeoutMs, undefined, true);
      await this.pool.release(await this.pool.acquire(request));
    } catch (error) {
      if (!this.pool.closing) console.warn(`no database connection during Init: ${(error as Error).message}`);
    }
  }

  /**
   * Runs one statement. If it cannot have run, it runs once more on a new connection.
   *
   * See `error-origin.ts`. The same holds if the server refused it because the server no longer accepts writes.
   *
   * @throws DatabaseUnreachableError if there is no connection to run it on
   * @throws ShuttingDownError if {@link close} was called
   * @throws StatementTimeoutError if it took longer than its `timeoutMs`
   * @throws StatementTooLongError if the server would not read it
   */
  readonly query: Query = async (sql: string, values: readonly unknown[] = [], options: StatementOptions = {}) => {
    const request = this.request();
    for (;;) {
      const connection = await this.pool.acquire(request);
      try {
        return await this.run(connection, sql, values, options);
      } catch (error) {
        // One statement that the server refused has not run in part.
        const isRefusedWrite = !connection.isReusable && isReadOnlyServer(error) !== false && !isCompound(sql);
        if (request.isRepeat || !(hasNotRun(error) || isRefusedWrite)) throw error;
        request.isRepeat = true;
      } finally {
        await this.pool.release(connection);
      }
    }
  };

  /**
   * Commits when `work` resolves, rolls back when it rejects. The work is never started a second time.
   *
   * Its `query` ends with the transaction, and so do statements that wait for their turn when the work rejects. A
   * running statement is waited for. COMMIT waits for statements that the work did not await, and if one fails
   * everything is rolled back.
   *
   * A statement that ends the transaction (DDL commits it) is the last one: the next is refused, and not committed by
   * itself.
   *
   * @throws TransactionEndedError if a statement came after the end, or the server had ended the transaction before
   * @throws CommitOutcomeUnknownError if the connection was lost while COMMIT ran
   */
  async transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const connection = await this.begin();
    const transaction = new Transaction(connection, (sql, values, options) =>
      this.run(connection, sql, values, options),
    );
    this.pool.holders.set(connection, transaction);
    try {
      const result = await this.inside.run(transaction, () => work(transaction.query));
      await transaction.commit();
      return result;
    } catch (error) {
      await transaction.rollback();
      throw error;
    } finally {
      await this.pool.release(connection);
    }
  }

  /**
   * Closes every connection. Later statements fail. A second call gets the first one's result.
   *
   * See `closing.ts`. On an idle connection COM_QUIT is written before this returns its promise.
   *
   * @param context the hook's @default - 2 s
   */
  close(context: ShutdownContext = shutdownWithin(CLOSE_TIMEOUT_MS)): Promise<CloseResult> {
    this.pool.close();
    const own = shutdownBefore(context, REPORT_MS);
    const cancellation = this.cancellation(() => own.signal);
    this.closing ??= closeConnections(this.pool.connections, (connection) => cancellation.cancel(connection), own);
    return this.closing;
  }

  private cancellation(timeLimit: () => AbortSignal): Cancellation {
    return new Cancellation(() => this.logins.worked, timeLimit);
  }

  private request(): ConnectionRequest {
    return new ConnectionRequest(this.acquireTimeoutMs, this.inside.getStore());
  }

  /** START TRANSACTION. Nothing of it outlives a lost connection, so it is repeated on another one. */
  private async begin(): Promise<ServerConnection> {
    const request = this.request();
    for (;;) {
      const connection = await this.pool.acquire(request);
      try {
        await this.run(connection, "START TRANSACTION", [], {});
        return connection;
      } catch (error) {
        await this.pool.release(connection);
        const mayRepeat = isConnectionLost(error) || (!connection.isReusable && isReadOnlyServer(error) !== false);
        if (!mayRepeat || request.isRepeat || this.pool.closing) throw error;
        request.isRepeat = true;
      }
    }
  }

  private async run(
    connection: ServerConnection,
    sql: string,
    values: readonly unknown[],
    options: StatementOptions,
  ): Promise<never> {
    if (this.pool.closing) await this.pool.refuse();
    try {
      return await runStatement<never>(connection, sql, values, options, this.cancelTimedOut);
    } catch (error) {
      await this.leaveRefusingServer(connection, error);
      throw error;
    }
  }

  private readonly cancelTimedOut: Cancel = (connection) => this.timedOut.cancel(connection);

  /** Uses a connection no more if its server accepts no writes, or its account needs another password. */
  private async leaveRefusingServer(connection: ServerConnection, error: unknown): Promise<void> {
    if (serverErrorNumber(error) === ER_MUST_CHANGE_PASSWORD) {
      connection.isReusable = false;
      this.logins.refused(connection.target.login, error);
    }
    const isReadOnly = isReadOnlyServer(error);
    if (isReadOnly === false) return;
    const answer = isReadOnly === true || (await connection.isOnReadOnlyServer());
    // Something that is not MySQL may not answer. Then a new connection costs little, but a write that the session
    // itself refused must not run there.
    if (answer ?? isReadOnly === "maybe") this.pool.leaveServer();
  }
}

/** As a hook gets it, for a program that closes by itself. */
function shutdownWithin(ms: number): ShutdownContext {
  const end = now() + ms;
  return { signal: AbortSignal.timeout(ms), remainingMs: () => Math.max(0, end - now()) };
}

function shutdownBefore({ signal, remainingMs }: ShutdownContext, ms: number): ShutdownContext {
  const ownMs = (): number => Math.max(0, remainingMs() - ms);
  return { signal: AbortSignal.any([signal, AbortSignal.timeout(Math.floor(ownMs()))]), remainingMs: ownMs };
}

/** `Number(undefined)` would be a pool without a limit, and a timer of 1 ms. */
function checkOptions(connectionLimit: number, acquireTimeoutMs: number | undefined): void {
  const where = "(the options of Database)";
  if (!Number.isInteger(connectionLimit) || connectionLimit < 1)
    throw new TypeError(`connectionLimit ${connectionLimit} is not a whole number of 1 or more ${where}`);
  if (acquireTimeoutMs !== undefined && !(acquireTimeoutMs > 0 && acquireTimeoutMs < 2 ** 31))
    throw new TypeError(`acquireTimeoutMs ${acquireTimeoutMs} is not a number of milliseconds above 0 ${where}`);
}
