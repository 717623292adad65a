import { setImmediate as turnOfTheLoop, setTimeout as sleep } from "node:timers/promises";
import type { PoolOptions } from "mysql2";
import { RefusedLoginError, type Logins } from "../login/logins.ts";
import { now } from "../node-runtime.ts";
import type { DatabaseSettings } from "../settings.ts";
import { ServerConnection } from "./connection.ts";
import { ConnectionAttempt, ConnectTimeoutError } from "./connection-attempt.ts";
import type { ConnectionRequest } from "./connection-request.ts";
import { ShuttingDownError, unreachable } from "./database-errors.ts";
import {
  isAccountRefusal,
  isEndOfSession,
  isNetworkError,
  isTemporaryRefusal,
  serverErrorNumber,
} from "./error-origin.ts";
import { answersPing, socketsRead } from "./liveness.ts";
import { isClean, prepareForReuse } from "./reuse.ts";
import type { Transaction } from "./transaction.ts";
import { Waiter, WaitQueue } from "./wait-queue.ts";

/** After this idle time the environment may have been frozen, and the end of the connection may wait in its socket. */
const FROZEN_AFTER_MS = 10;

/** Idle for this long, a connection may have been dropped without notice (by NAT or a load balancer). */
const SUSPECT_AFTER_MS = 10_000;

/** Before another attempt after a failed one: doubled each time, and up to twice as long at random. */
const FIRST_BACK_OFF_MS = 50;
const LONGEST_BACK_OFF_MS = 1_000;

/** A server that cuts off two log-ins in a row will do so a third time. */
const MOST_LOST_LOGINS = 2;

/** A handler that catches {@link ShuttingDownError} and loops leaves the event loop so much time each round. */
const REFUSE_AFTER_MS = 10;

/** So many waiting statements are refused in a turn of the event loop: each runs code of its caller. */
const REJECTED_A_TURN = 100;

/**
 * The connections of one function, never more than the limit. Statements wait in one queue: what becomes free goes to
 * the first of them. Connects, retries and back-off belong to the pool, so that one attempt serves all who wait.
 */
export class ConnectionPool {
  /** All that are open or being opened. An ended connection counts until the server has closed it. */
  readonly connections = new Set<ServerConnection>();
  /** The connections that transactions hold. */
  readonly holders = new Map<ServerConnection, Transaction>();
  closing = false;
  private readonly idle: ServerConnection[] = [];
  private readonly queue = new WaitQueue();
  private readonly attempts = new Set<ConnectionAttempt>();
  /** The attempt that Init began. */
  private initAttempt: ConnectionAttempt | undefined;
  /** An old connection is better than a new one: no connect begins while one is being pinged. */
  private pendingPings = 0;
  /** Why the last attempt failed. @default - none has failed since a connection was opened */
  private failure: unknown;
  private lostLogins = 0;
  private backOffMs = FIRST_BACK_OFF_MS;
  private backOff: NodeJS.Timeout | undefined;
  /** Since when statements wait for a connection that is being opened, and none becomes free. */
  private stalledSince: number | undefined;
  private stallTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly settings: DatabaseSettings,
    private readonly logins: Logins,
    private readonly limit: number,
    private readonly resetSession: boolean,
    private readonly acquireTimeoutMs: number | undefined,
  ) {}

  /**
   * A connection on which a statement can run: known to the server, as far as can be told without asking each time.
   *
   * @throws DatabaseUnreachableError ShuttingDownError
   */
  async acquire(request: ConnectionRequest): Promise<ServerConnection> {
    for (;;) {
      if (this.closing) await this.refuse();
      const connection = this.idle.pop();
      if (connection === undefined) return this.wait(request);
      const idleMs = connection.idleMs(FROZEN_AFTER_MS);
      if (idleMs >= FROZEN_AFTER_MS) await socketsRead();
      if (connection.hasEnded) connection.abandon(new Error("the connection had ended"));
      else if (idleMs < SUSPECT_AFTER_MS) return connection;
      else this.pingIdleConnections(connection);
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
    if (connection.hasEnded) connection.abandon(new Error("the connection has ended"));
    else if (isClean(connection) && !this.resetSession) this.offer(connection);
    else if (await prepareForReuse(connection, this.resetSession)) this.offer(connection);
  }

  /** The server of these connections cannot be used any more: the next statement looks its name up again. */
  leaveServer(): void {
    for (const connection of this.connections) connection.isReusable = false;
    for (const connection of this.idle.splice(0)) void prepareForReuse(connection, false);
  }

  /** From now on no statement gets a connection. */
  close(): void {
    this.closing = true;
    clearTimeout(this.backOff);
    clearTimeout(this.stallTimer);
    void this.rejectAll(() => new ShuttingDownError(SHUTTING_DOWN));
  }

  /** Rejects in a later turn, so that a handler that catches the error and loops does not keep the process from closing. */
  async refuse(): Promise<never> {
    await sleep(REFUSE_AFTER_MS);
    throw new ShuttingDownError(SHUTTING_DOWN);
  }

  private offer(connection: ServerConnection): void {
    connection.lastUse = Date.now();
    this.stalledSince = undefined;
    if (this.closing) {
      connection.quit();
      return;
    }
    const waiter = this.queue.shift();
    if (waiter === undefined) this.idle.push(connection);
    else waiter.resolve(connection);
  }

  private async wait(request: ConnectionRequest): Promise<ServerConnection> {
    const { inside, remainingMs } = request;
    const begun = now();
    const waiter = new Waiter(request.since);
    if (this.queue.length === 0 && this.attempts.size === 0) this.forgetFailures();
    const timeUp = (): void => {
      waiter.reject(this.timeoutError(`${request.limitMs ?? 0} ms (acquireTimeoutMs)`));
    };
    const timer = remainingMs === undefined ? undefined : setTimeout(timeUp, remainingMs);
    if (inside !== undefined) inside.waiting += 1;
    try {
      this.refuseDeadlock(inside);
      if (request.isRepeat) this.queue.pushFirst(waiter);
      else this.queue.push(waiter);
      this.giveUpLateInit(request);
      this.openForWaiters();
      if (request.isInit) [this.initAttempt] = this.attempts;
      return await waiter.connection;
    } finally {
      if (inside !== undefined) inside.waiting -= 1;
      clearTimeout(timer);
      if (remainingMs !== undefined) request.remainingMs = Math.max(1, remainingMs - (now() - begun));
    }
  }

  /** Begins as many connects as there are waiters without one and free places. */
  private openForWaiters(): void {
    if (this.closing) return;
    while (this.attempts.size < this.queue.length && this.mayAttempt()) void this.attempt();
    this.watchStall();
  }

  private mayAttempt(): boolean {
    if (this.backOff !== undefined || this.pendingPings > 0) return false;
    const unconnected = [...this.attempts].filter(({ connection }) => connection === undefined).length;
    if (this.connections.size + unconnected >= this.limit) return false;
    // Side by side only with a log-in that has just worked: the server would refuse, and count, each of the others.
    return this.attempts.size === 0 || (this.failure === undefined && this.logins.isProven);
  }

  private async attempt(): Promise<void> {
    const attempt = new ConnectionAttempt(this.settings.connectTimeoutMs);
    this.attempts.add(attempt);
    try {
      const connection = await attempt.run(this.logins, (login) => this.connect(login));
      this.attempts.delete(attempt);
      this.logins.accepted(connection.target.login);
      this.forgetFailures();
      if (connection.isReusable) this.offer(connection);
      else void prepareForReuse(connection, false); // its server was left while it was being opened
    } catch (error) {
      this.attempts.delete(attempt);
      if (!this.closing) this.attemptFailed(error, attempt);
    }
    this.openForWaiters();
  }

  /** Decides whether the attempt is repeated: at once, after a while, or not. */
  private attemptFailed(error: unknown, { login, hasGreeted }: ConnectionAttempt): void {
    this.failure = error instanceof RefusedLoginError ? error.refusal : error;
    const isLost = isNetworkError(error) || isEndOfSession(error);
    const isRefused = serverErrorNumber(error) !== undefined && !isTemporaryRefusal(error) && !isLost;
    if (isRefused && login !== undefined) this.logins.refused(login, error);
    // At once: the secret is read again, and no password that was refused is sent.
    if (isAccountRefusal(error) && this.logins.canChange) return;
    const isUnreached = !hasGreeted && (isNetworkError(error) || error instanceof ConnectTimeoutError);
    if (error instanceof RefusedLoginError || isTemporaryRefusal(error) || isUnreached) {
      this.startBackOff();
      return;
    }
    // After a failover, another server may be there at once.
    if (isLost && (this.lostLogins += 1) < MOST_LOST_LOGINS) return;
    // Statements can still wait for the connections that are in use.
    if ([...this.connections].some((connection) => connection.isServing)) this.startBackOff();
    else void this.rejectAll(() => unreachable(this.settings, error));
  }

  private startBackOff(): void {
    const ms = this.backOffMs * (1 + Math.random());
    this.backOffMs = Math.min(LONGEST_BACK_OFF_MS, this.backOffMs * 2);
    this.backOff ??= setTimeout(() => {
      this.backOff = undefined;
      this.openForWaiters();
    }, ms);
  }

  private forgetFailures(): void {
    this.failure = undefined;
    this.lostLogins = 0;
    this.backOffMs = FIRST_BACK_OFF_MS;
    clearTimeout(this.backOff);
    this.backOff = undefined;
  }

  private connect(login: PoolOptions): ServerConnection {
    if (this.closing) throw new ShuttingDownError(SHUTTING_DOWN);
    const { host, port, name } = this.settings;
    const connection = new ServerConnection({ host, port, database: name, login });
    this.connections.add(connection);
    void connection.closed.then(() => {
      this.connections.delete(connection);
      const index = this.idle.indexOf(connection);
      if (index !== -1) this.idle.splice(index, 1);
      this.openForWaiters();
    });
    return connection;
  }

  /**
   * Statements wait as long as they must for each other, but no longer than DB_CONNECT_TIMEOUT_MS for a connection that
   * is being opened while none becomes free. A limit of the caller's own counts by itself.
   */
  private watchStall(): void {
    const { first } = this.queue;
    const isOpening = this.attempts.size > 0 || this.backOff !== undefined || this.pendingPings > 0;
    if (first === undefined || !isOpening) {
      this.stalledSince = undefined;
      return;
    }
    this.stalledSince ??= now();
    if (this.acquireTimeoutMs !== undefined) return;
    const dueMs = Math.max(first.since, this.stalledSince) + this.settings.connectTimeoutMs - now();
    this.stallTimer ??= setTimeout(() => void this.rejectStalled(), Math.max(1, dueMs));
  }

  private async rejectStalled(): Promise<void> {
    // A freeze makes the timer due before the answer is read, and the attempt may be over in the same turn.
    await socketsRead();
    await turnOfTheLoop();
    const isDue = (waiter: Waiter): boolean =>
      this.stalledSince !== undefined &&
      now() - Math.max(waiter.since, this.stalledSince) >= this.settings.connectTimeoutMs - 1;
    for (let count = 1, { first } = this.queue; first !== undefined && isDue(first); { first } = this.queue) {
      this.queue.shift();
      first.reject(this.timeoutError(`${this.settings.connectTimeoutMs} ms (DB_CONNECT_TIMEOUT_MS)`));
      if ((count += 1) % REJECTED_A_TURN === 0) await turnOfTheLoop();
    }
    this.stallTimer = undefined;
    this.openForWaiters();
  }

  private async rejectAll(reason: () => Error): Promise<void> {
    for (const [index, waiter] of this.queue.takeAll().entries()) {
      if (index % REJECTED_A_TURN === REJECTED_A_TURN - 1) await turnOfTheLoop();
      waiter.reject(reason());
    }
  }

  /** The last failure says more than the wait for the next attempt. */
  private timeoutError(within: string): Error {
    const [attempt] = this.attempts;
    const missing = attempt?.missing ?? `free connection (connectionLimit ${this.limit}, all in use)`;
    return unreachable(this.settings, this.failure ?? new Error(`no ${missing} within ${within}`));
  }

  /** A connect of Init that hangs, perhaps since before a freeze, must not use up a statement's time as well. */
  private giveUpLateInit({ isInit }: ConnectionRequest): void {
    const attempt = this.initAttempt;
    if (isInit || attempt === undefined || !this.attempts.has(attempt)) return;
    if (Date.now() - attempt.begunAt >= this.settings.connectTimeoutMs / 2) attempt.giveUp();
  }

  /** If each transaction that holds a connection waits for another one, the wait never ends. */
  private refuseDeadlock(inside: Transaction | undefined): void {
    if (inside === undefined || this.holders.size < this.limit) return;
    if ([...this.holders.values()].some(({ waiting }) => waiting === 0)) return;
    const cure = "use the query that transaction() passes to your code, or raise connectionLimit";
    const why = `a statement inside transaction() waits for a second connection, and all ${this.limit} are held`;
    throw unreachable(this.settings, new Error(`${why}: ${cure}`));
  }

  /** Pings all of them at once, so that connections that died in one freeze are found together. */
  private pingIdleConnections(first: ServerConnection): void {
    const isSuspect = (connection: ServerConnection): boolean =>
      connection.idleMs(SUSPECT_AFTER_MS) >= SUSPECT_AFTER_MS;
    const others = this.idle.splice(0);
    this.idle.push(...others.filter((connection) => !isSuspect(connection)));
    for (const suspect of [first, ...others.filter(isSuspect)]) void this.ping(suspect);
  }

  private async ping(suspect: ServerConnection): Promise<void> {
    this.pendingPings += 1;
    const isAlive = await answersPing(suspect, this.settings.connectTimeoutMs);
    this.pendingPings -= 1;
    if (isAlive) this.offer(suspect);
    else suspect.abandon(new Error("the connection did not answer a ping"));
    this.openForWaiters();
  }
}

const SHUTTING_DOWN = "the execution environment is shutting down; the statement was not run";
