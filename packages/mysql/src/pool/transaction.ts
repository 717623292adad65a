import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import type { ServerConnection } from "./connection.ts";
import { CommitOutcomeUnknownError, NotRunError, TransactionEndedError } from "./database-errors.ts";
import { hasNotRun, isConnectionLost, isReadOnlyServer, serverErrorNumber } from "./error-origin.ts";
import { beginsTransaction, isCompound } from "./sql-words.ts";
import type { Query, StatementOptions } from "./statement.ts";

/** Runs one statement on the transaction's connection. */
export type RunStatement = (sql: string, values: readonly unknown[], options: StatementOptions) => Promise<never>;

/**
 * One transaction, after START TRANSACTION. Its statements run one after the other, and only while the server says that
 * the transaction is open: nothing that was meant for it is ever committed by itself.
 */
export class Transaction {
  /** How many statements of other connections are waited for inside: see `ConnectionPool`. */
  waiting = 0;
  private state: "open" | "committing" | "ended" = "open";
  private last: Promise<unknown> = Promise.resolve();
  private pending = 0;
  /** Of a statement that failed, or was refused, after the work had resolved. */
  private firstErrorAfterWork: unknown;
  /** The server's last refusal: some, such as a deadlock's, end the transaction. */
  private refusal: unknown;
  /** Whether it was a procedure that ended the transaction. */
  private endedInside = false;
  private lastStatementFailed = false;
  /** Servers that are not MySQL may not send status flags. */
  private readonly serverReportsStatus: boolean;

  constructor(
    private readonly connection: ServerConnection,
    private readonly run: RunStatement,
  ) {
    this.serverReportsStatus = connection.inTransaction === true;
  }

  /** What the work gets. It ends with the transaction: a statement that comes later is refused, and not run. */
  readonly query: Query = (sql: string, values: readonly unknown[] = [], options: StatementOptions = {}) => {
    if (this.state !== "open") return this.refuse("the transaction has ended");
    this.pending += 1;
    const turn = this.last.then(() => this.runNext(sql, values, options));
    this.last = turn
      .catch((error: unknown) => {
        if (this.state === "committing") this.firstErrorAfterWork ??= error;
      })
      .finally(() => (this.pending -= 1));
    return turn;
  };

  /**
   * Commits. Statements that the work has begun and not awaited are waited for. Where one of them fails, or asks for
   * another statement, the transaction must be rolled back, since a part of it would be missing.
   *
   * @throws CommitOutcomeUnknownError if the connection was lost while COMMIT ran
   * @throws TransactionEndedError if there is nothing left to commit, or not the whole
   */
  async commit(): Promise<void> {
    this.state = "committing";
    while (this.pending > 0) {
      await this.last;
      await turnOfTheLoop(); // code that waited for it may ask for more
    }
    if (this.firstErrorAfterWork !== undefined) {
      const why = "a statement that was not awaited failed or came too late";
      throw new TransactionEndedError(`the transaction was rolled back: ${why}`, { cause: this.firstErrorAfterWork });
    }
    if (!(await this.isOpen())) {
      if (this.refusal !== undefined) throw this.endedEarly();
      if (!this.endedInside) return; // a statement has committed it, or rolled it back, as asked
      throw new CommitOutcomeUnknownError(
        "a procedure has ended the transaction: it may have committed or rolled back",
      );
    }
    try {
      await this.connection.run("COMMIT");
    } catch (error) {
      if (isReadOnlyServer(error) !== false) this.connection.isReusable = false;
      // A server that ends the connection may have committed before it saw that.
      const refused = serverErrorNumber(error) !== undefined && !isConnectionLost(error);
      if (refused || hasNotRun(error)) throw error;
      const unknown = "the connection was lost while COMMIT ran: the transaction may or may not have been committed";
      throw new CommitOutcomeUnknownError(`${unknown} (${(error as Error).message})`, { cause: error });
    }
    this.state = "ended";
  }

  /** Rolls back, behind the statement under way. Those that wait for their turn are refused. Never throws. */
  async rollback(): Promise<void> {
    this.state = "ended";
    await this.last;
    // Where even this fails, the connection goes, and the server rolls back by itself.
    await this.connection.run("ROLLBACK").catch((error: unknown) => {
      if (!this.connection.isLeaving) this.connection.abandon(error as Error);
    });
  }

  private async runNext(sql: string, values: readonly unknown[], options: StatementOptions): Promise<never> {
    // Work that rejects because of the statement before has ended the transaction by then.
    if (this.lastStatementFailed) await turnOfTheLoop();
    this.lastStatementFailed = false;
    if (this.state === "ended") return this.refuse("the transaction was rolled back");
    if (!(await this.isOpen())) throw this.endedEarly();
    if (beginsTransaction(sql)) {
      const cure = "use SAVEPOINT, or transaction() for a transaction of its own";
      throw new NotRunError(`a second BEGIN would commit the transaction that is open, and was not run: ${cure}`);
    }
    try {
      const result = await this.run(sql, values, options);
      this.endedInside = isCompound(sql) && this.connection.inTransaction === false;
      return result;
    } catch (error) {
      this.refusal = error;
      this.lastStatementFailed = true;
      throw error;
    }
  }

  /** Needs a round trip only after an error. */
  private async isOpen(): Promise<boolean> {
    if (!this.serverReportsStatus) return true;
    if (this.connection.inTransaction === undefined) await this.connection.ping();
    return this.connection.inTransaction === true;
  }

  private endedEarly(): TransactionEndedError {
    if (this.refusal !== undefined) {
      const how = "rolled the transaction back, or committed it before a DDL statement that failed";
      return new TransactionEndedError(`after an error the server ${how}`, { cause: this.refusal });
    }
    const why = "an earlier statement committed the transaction (as DDL does) or rolled it back";
    return new TransactionEndedError(`${why}: further statements are not run`);
  }

  private refuse(why: string): Promise<never> {
    const error = new TransactionEndedError(`${why}: the statement was not run (the query of transaction())`);
    if (this.state === "committing") this.firstErrorAfterWork ??= error;
    return Promise.reject(error);
  }
}
