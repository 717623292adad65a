import { setTimeout as sleep } from "node:timers/promises";
import type { PoolOptions } from "mysql2";
import { ServerConnection } from "./connection.ts";
import { DatabaseUnreachableError, ShuttingDownError, unreachable } from "./database-errors.ts";
import type { ConnectionRequest } from "./connection-request.ts";
import { comesBack, isAccessDenied, serverErrorNumber } from "./error-origin.ts";
import type { Logins } from "./logins.ts";
import { answers, socketsRead } from "./liveness.ts";
import type { DatabaseSettings } from "../settings.ts";
import { tidy } from "./tidying.ts";
import type { Transaction } from "./transaction.ts";

/** After this idle time the environment may have been frozen, and the end of the connection may wait in its socket. */
const FROZEN_AFTER_MS = 10;

/** Idle for this long, a connection may have been dropped without notice (by NAT or a load balancer). */
const SUSPECT_AFTER_MS = 10_000;

/** With less time left, the error of the last connect says more than another connect that is cut off. */
const SHORTEST_CONNECT_MS = 20;

/** Log-ins of one statement. A server that refuses or ends two in a row will do so a third time. */
const MOST_LOGINS = 2;

/** The connections of one function, never more than the limit. No connection is idle while a statement waits. */
export class ConnectionPool {
  /** All that are open or being opened. An ended connection counts until the server has closed it. */
  readonly connections = new Set<ServerConnection>();
  /** The connections that transactions hold. */
  readonly holders = new Map<ServerConnection, Transaction>();
  closing = false;
  private readonly idle: ServerConnection[] = [];
  private readonly waiters = new Set<() => void>();
  /** Places of connections that wait for their credentials. */
  private reserved = 0;
  /** The last connect's. */
  private failure: unknown;
  /** How many suspects are being pinged. An old connection is better than a new one. */
  private asking = 0;
  /** The one that Init began. */
  private ahead: ServerConnection | undefined;

  constructor(
    private readonly settings: DatabaseSettings,
    private readonly logins: Logins,
    private readonly limit: number,
    private readonly resetSession: boolean,
  ) {}

  /**
   * A connection on which a statement can run: known to the server, as far as can be told without asking each time.
   *
   * @throws DatabaseUnreachableError ShuttingDownError
   */
  async acquire(request: ConnectionRequest): Promise<ServerConnection> {
    request.deadline.begin();
    try {
      for (;;) {
        this.refuseWhenClosing();
        const connection = this.idle.pop();
        if (connection === undefined) {
          const isFull = this.asking > 0 || this.connections.size + this.reserved >= this.limit;
          if (isFull) await this.turn(request);
          const opened = isFull ? undefined : await this.open(request);
          if (opened !== undefined) return opened;
          continue;
        }
        const idleMs = connection.idleMs(FROZEN_AFTER_MS);
        if (idleMs >= FROZEN_AFTER_MS) await socketsRead();
        if (connection.hasEnded) connection.abandon(new Error("the connection had ended"));
        else if (idleMs < SUSPECT_AFTER_MS) return connection;
        else this.askSuspects(connection);
      }
    } finally {
      request.deadline.pause();
    }
  }

  /**
   * The one place that decides what is used again: a connection outside a transaction, to a server that answers and
   * accepts writes. The caller awaits this before it answers, because the environment may be frozen right after.
   */
  async release(connection: ServerConnection): Promise<void> {
    this.holders.delete(connection);
    connection.lastUse = Date.now();
    if (this.closing) return; // COM_QUIT is under way, and ends a transaction as well
    const { inTransaction, autocommitIsOff, databaseIsChanged, useless } = connection;
    const isClean = inTransaction === false && !autocommitIsOff && !databaseIsChanged && !useless;
    if (connection.hasEnded) connection.abandon(new Error("the connection has ended"));
    else if ((isClean && !this.resetSession) || (await tidy(connection, this.resetSession))) this.offer(connection);
  }

  /** The server of these connections cannot be used any more: the next statement looks its name up again. */
  leaveServer(): void {
    for (const connection of this.connections) connection.useless = true;
    for (const connection of this.idle.splice(0)) void tidy(connection, false);
  }

  /** From now on no statement gets a connection. */
  close(): void {
    this.closing = true;
    this.wake();
  }

  private offer(connection: ServerConnection): void {
    connection.lastUse = Date.now();
    if (this.closing) connection.quit();
    else this.idle.push(connection);
    this.wake();
  }

  /** Statements that wait look again whether there is a connection, or room for one. */
  private wake(): void {
    const waiters = [...this.waiters];
    this.waiters.clear();
    for (const look of waiters) look();
  }

  /** @returns undefined if it is worth another try */
  private async open(request: ConnectionRequest): Promise<ServerConnection | undefined> {
    const { deadline } = request;
    if (deadline.remainingMs < SHORTEST_CONNECT_MS && this.failure !== undefined)
      throw unreachable(this.settings, this.failure);
    let connection: ServerConnection | undefined;
    try {
      let login: PoolOptions;
      this.reserved += 1;
      try {
        login = await this.logins.current(deadline);
      } finally {
        this.reserved -= 1; // and in the same turn the connection takes its place
      }
      this.refuseWhenClosing();
      const opening = (connection = this.connect(login));
      if (request.isAhead) this.ahead = opening;
      await deadline.within(opening.logIn(), () => opening.phase);
      if (opening.hasEnded) throw new Error("the server ended the connection right after the log-in");
      this.logins.worked = login;
      this.failure = undefined;
      return opening;
    } catch (error) {
      this.refuseWhenClosing();
      this.failure = error;
      this.wake();
      connection?.abandon(error as Error);
      if (connection !== undefined && (await this.isWorthRepeating(request, error, connection))) return undefined;
      throw unreachable(this.settings, error);
    }
  }

  private async isWorthRepeating(
    request: ConnectionRequest,
    error: unknown,
    { hasGreeted, target }: ServerConnection,
  ): Promise<boolean> {
    const { deadline } = request;
    if (comesBack(error)) {
      const backOffMs = request.backOffMs * (1 + Math.random());
      request.backOffMs *= 2;
      if (backOffMs >= deadline.remainingMs) return false;
      await sleep(backOffMs);
      return true;
    }
    if (!hasGreeted || deadline.remainingMs === 0) return false;
    request.logins += 1;
    if (isAccessDenied(error)) {
      const another = await this.logins.refused(target.login, deadline).catch((reason: unknown) => {
        throw unreachable(this.settings, reason);
      });
      return another && request.logins < MOST_LOGINS;
    }
    // The server ended it: after a failover, another may be there at once.
    return serverErrorNumber(error) === undefined && request.logins < MOST_LOGINS;
  }

  private connect(login: PoolOptions): ServerConnection {
    const { host, port, name } = this.settings;
    const connection = new ServerConnection({ host, port, database: name, login });
    this.connections.add(connection);
    void connection.closed.then(() => {
      this.connections.delete(connection);
      const index = this.idle.indexOf(connection);
      if (index !== -1) this.idle.splice(index, 1);
      this.wake();
    });
    return connection;
  }

  /** Resolves when a connection or its place may have become free. */
  private async turn({ deadline, inside }: ConnectionRequest): Promise<void> {
    this.giveUpLateConnect(deadline.limitMs / 2);
    let look = (): void => undefined;
    const turn = new Promise<void>((resolve) => (look = resolve));
    this.waiters.add(look);
    if (inside !== undefined) inside.waiting += 1;
    try {
      this.refuseDeadlock(inside);
      await deadline.within(turn, () => this.whatIsMissing());
    } catch (error) {
      throw error instanceof DatabaseUnreachableError ? error : unreachable(this.settings, error);
    } finally {
      this.waiters.delete(look);
      if (inside !== undefined) inside.waiting -= 1;
    }
  }

  /** A connect of Init that hangs, perhaps since before a freeze, must not use up a statement's time as well. */
  private giveUpLateConnect(limitMs: number): void {
    const { ahead } = this;
    if (ahead === undefined || ahead.isLoggedIn || Date.now() - ahead.begunAt < limitMs) return;
    ahead.abandon(new Error(`no ${ahead.phase} in time`));
  }

  /** If each transaction that holds a connection waits for another one, the wait never ends. */
  private refuseDeadlock(inside: Transaction | undefined): void {
    if (inside === undefined || this.holders.size < this.limit) return;
    if ([...this.holders.values()].some(({ waiting }) => waiting === 0)) return;
    const cure = "use the query that transaction() passes to your code, or raise connectionLimit";
    const why = `a statement inside transaction() waits for a second connection, and all ${this.limit} are held`;
    throw unreachable(this.settings, new Error(`${why}: ${cure}`));
  }

  private whatIsMissing(): string {
    const connecting = [...this.connections].find(({ isLoggedIn }) => !isLoggedIn);
    return connecting?.phase ?? `free connection (connectionLimit ${this.limit}, all in use)`;
  }

  /** Pings all of them at once, so that connections that died in one freeze are found together. */
  private askSuspects(first: ServerConnection): void {
    const isSuspect = (connection: ServerConnection): boolean =>
      connection.idleMs(SUSPECT_AFTER_MS) >= SUSPECT_AFTER_MS;
    const others = this.idle.splice(0);
    this.idle.push(...others.filter((connection) => !isSuspect(connection)));
    for (const suspect of [first, ...others.filter(isSuspect)]) void this.ask(suspect);
  }

  private async ask(suspect: ServerConnection): Promise<void> {
    this.asking += 1;
    const alive = await answers(suspect, this.settings.connectTimeoutMs);
    this.asking -= 1;
    if (alive) this.offer(suspect);
    else suspect.abandon(new Error("the connection did not answer a ping"));
  }

  private refuseWhenClosing(): void {
    if (this.closing)
      throw new ShuttingDownError("the execution environment is shutting down; the statement was not run");
  }
}
