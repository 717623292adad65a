import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setImmediate as turnOfTheLoop, setTimeout as sleep } from "node:timers/promises";
// Not mysql2/promise, which wraps the connection anew for each statement: a warm invocation and Init pay for it.
import mysql, { type Pool, type PoolConnection, type RowDataPacket } from "mysql2";
import { namedForCertificate } from "./certificate-name";
import { credentials } from "./credentials";
import type { DatabaseSettings } from "./settings";
import type { ShutdownContext } from "./shutdown";

export interface DatabaseOptions {
  /**
   * Connections at the most. An execution environment handles one invocation at a time, so a second connection serves
   * only a handler that runs statements side by side; each counts against the server's `max_connections`.
   * @default 1
   */
  readonly connectionLimit?: number;
}

/** What became of the connections that were open when the database was closed. */
export interface CloseResult {
  /** The server got COM_QUIT and let go. */
  readonly closed: number;
  /** As `closed`, after the statement that ran on it was cancelled on the server. */
  readonly cancelled: number;
  /** The server did not answer in time: cut off, and COM_QUIT may or may not have arrived. */
  readonly givenUp: number;
}

/** Runs one statement with its parameters. */
export type Query = <Row extends RowDataPacket>(sql: string, values?: unknown[]) => Promise<Row[]>;

/** A statement could not run because there is no connection; names the server, and the driver's error is its cause. */
export class DatabaseUnreachableError extends Error {
  override readonly name = "DatabaseUnreachableError";
}

/** A statement came after the Shutdown phase had begun. It was not run. */
export class ShuttingDownError extends Error {
  override readonly name = "ShuttingDownError";
}

/** Idle for this long, the environment may have been frozen meanwhile, and the end of the connection wait in its socket. */
const FROZEN_AFTER_MS = 10;

/** Idle for this long, a connection may have been dropped by something that told nobody (NAT, a load balancer). */
const SUSPECT_AFTER_MS = 10_000;

/** Milliseconds for the answer that clears a suspect, where a connect may take longer than that. */
const PING_TIMEOUT_MS = 1_000;

/**
 * A running statement is cancelled when no more than this is left of the time. A connect and two round trips take a few
 * milliseconds, but a function with little memory has a fraction of a CPU, and most of it is code that never ran before.
 */
const CANCEL_WITHIN_MS = 200;

/** The function's connections to MySQL: opened during Init, checked after a thaw, given back on shutdown. */
export class Database {
  private readonly connectionLimit: number;
  private pool: Promise<Pool> | undefined;
  /** Every pool there was: one whose credentials the server has refused since may hold connections from before. */
  private readonly pools: Pool[] = [];
  /** Every socket that is open or being opened: the end of one is the proof that the server let go. */
  private readonly sockets = new Set<Socket>();
  private readonly inUse = new Set<PoolConnection>();
  /** When a connection was used last, by Date.now(): that goes on while the execution environment is frozen. */
  private readonly lastUse = new WeakMap<PoolConnection, number>();
  private closing = false;

  constructor(
    private readonly settings: DatabaseSettings,
    { connectionLimit = 1 }: DatabaseOptions = {},
  ) {
    this.connectionLimit = connectionLimit;
  }

  /**
   * Starts to connect, for use during Init. Never throws: a database that is down now must not cost the execution
   * environment, the next statement connects anew.
   */
  async open(): Promise<void> {
    try {
      this.release(await this.acquire());
    } catch (error) {
      if (!this.closing) console.warn(`no database connection during Init: ${(error as Error).message}`);
    }
  }

  /**
   * Runs one statement on a connection of the pool.
   *
   * @throws DatabaseUnreachableError if there is no connection to run it on
   * @throws ShuttingDownError if {@link close} was called
   */
  readonly query: Query = async (sql, values = []) => {
    const connection = await this.acquire();
    try {
      return await rows(connection, sql, values);
    } catch (error) {
      if (!hasNotRun(error)) throw error;
    } finally {
      this.release(connection);
    }
    const another = await this.acquire();
    try {
      return await rows(another, sql, values);
    } finally {
      this.release(another);
    }
  };

  /**
   * Runs statements in one transaction: committed when `work` resolves, rolled back when it rejects. It is never
   * started a second time.
   */
  async transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const connection = await this.acquire();
    const statements = connection.promise();
    try {
      await statements.beginTransaction();
      const result = await work((sql, values = []) => rows(connection, sql, values));
      await statements.commit();
      return result;
    } catch (error) {
      // Where even this fails, the connection goes, and the server rolls back by itself.
      await statements.rollback().catch(() => {
        connection.destroy();
      });
      throw error;
    } finally {
      this.release(connection);
    }
  }

  /**
   * Sends COM_QUIT on every connection and waits until the server has closed each: that is the proof, a written
   * COM_QUIT is only the hope. An open transaction without a running statement is rolled back by that. A running
   * statement is waited for, then cancelled on the server, so that a function that timed out leaves no query running
   * and no lock held. What is still open when the time is up is cut off.
   */
  async close({ signal, remainingMs }: ShutdownContext): Promise<CloseResult> {
    this.closing = true;
    await socketsRead(); // what the server has ended before is not ours to close
    // mysql2 calls back too soon, and with an error if one connection was broken: the sockets tell the truth.
    for (const pool of this.pools) pool.end(() => undefined);

    const result = { closed: 0, cancelled: 0, givenUp: 0 };
    let outcome: keyof CloseResult = "closed";
    const open = [...this.sockets].filter((socket) => !socket.readableEnded);
    const ended = open.map(async (socket) => {
      await endOf(socket);
      if (hasGreeted(socket)) result[outcome] += 1;
    });

    const cutOff = (): void => {
      outcome = "givenUp";
      for (const socket of this.sockets) socket.destroy();
    };
    if (signal.aborted) setImmediate(cutOff); // after COM_QUIT was written
    signal.addEventListener("abort", cutOff);

    const allEnded = Promise.all(ended);
    const patience = sleep(remainingMs() - CANCEL_WITHIN_MS, "over" as const);
    if ((await Promise.race([allEnded, patience])) === "over") {
      // A server that has not even greeted by now holds nothing, and mysql2 would wait for its connect timeout.
      for (const socket of this.sockets) if (!hasGreeted(socket)) socket.destroy();
      if (this.inUse.size > 0) outcome = "cancelled";
      await this.cancelStatements(remainingMs()).catch(() => undefined); // the count says what became of it
    }
    await allEnded;
    return result;
  }

  /** Over a connection of its own, since the others are busy. The server lets a user cancel what is the user's. */
  private async cancelStatements(connectTimeout: number): Promise<void> {
    if (this.inUse.size === 0) return;
    const socket = this.openSocket();
    const { host } = this.settings;
    const login = await credentials(this.settings);
    const connection = mysql.createConnection({ host, connectTimeout, stream: () => socket, ...login }).promise();
    // The statement, not the connection: that one is ended by its own COM_QUIT, which waits behind the statement.
    for (const { threadId } of this.inUse) await connection.query("KILL QUERY ?", [threadId]).catch(() => undefined);
    await connection.end();
    await endOf(socket);
  }

  /** A connection on which a statement can run: known to the server, as far as can be told without asking each time. */
  private async acquire(): Promise<PoolConnection> {
    for (let attempt = 1; ; attempt += 1) {
      this.refuseWhenClosing();
      const pool = (this.pool ??= this.createPool());
      try {
        const connection = await freeConnection(await pool);
        this.inUse.add(connection);
        if (this.idleMs(connection) < FROZEN_AFTER_MS || (await this.isAlive(connection))) return connection;
        this.inUse.delete(connection);
        connection.destroy();
      } catch (error) {
        const useless = await this.isUseless(pool, error);
        if (useless && this.pool === pool) this.pool = undefined;
        if (useless && attempt === 1) continue;
        this.refuseWhenClosing();
        throw this.unreachable(error);
      }
    }
  }

  private refuseWhenClosing(): void {
    if (this.closing) throw new ShuttingDownError("the execution environment is shutting down, no statement is run");
  }

  private release(connection: PoolConnection): void {
    this.inUse.delete(connection);
    this.lastUse.set(connection, Date.now());
    connection.release();
  }

  /** Since the last use. A connection that was never used may have been opened right before a freeze. */
  private idleMs(connection: PoolConnection): number {
    const lastUse = this.lastUse.get(connection);
    return lastUse === undefined ? FROZEN_AFTER_MS : Date.now() - lastUse;
  }

  /** Whether the server is still there, as far as it is worth asking: the longer a connection was idle, the more so. */
  private async isAlive(connection: PoolConnection): Promise<boolean> {
    const idleMs = this.idleMs(connection);
    await socketsRead();
    if (hasEnded(connection)) return false;
    if (idleMs < SUSPECT_AFTER_MS) return true;
    const alive = new Promise<boolean>((resolve) => {
      connection.ping((error) => {
        resolve(!error); // null is what the types say, undefined what comes
      });
    });
    const limitMs = Math.min(PING_TIMEOUT_MS, this.settings.connectTimeoutMs);
    return Promise.race([alive, sleep(limitMs, false, { ref: false })]);
  }

  /** A pool connects anew by itself, but not with credentials it could not get, or a secret rotated since. */
  private async isUseless(pool: Promise<Pool>, error: unknown): Promise<boolean> {
    if ((await pool.catch(() => undefined)) === undefined) return true;
    return this.settings.login.type === "secret" && codeOf(error) === "ER_ACCESS_DENIED_ERROR";
  }

  private unreachable(error: unknown): DatabaseUnreachableError {
    const { host, port } = this.settings;
    const { message } = error as Error;
    const reason = message === "" ? (codeOf(error) ?? "no reason given") : message;
    return new DatabaseUnreachableError(`no connection to MySQL at ${host}:${port} (DB_HOST, DB_PORT): ${reason}`, {
      cause: error,
    });
  }

  private async createPool(): Promise<Pool> {
    const { host, port, name, connectTimeoutMs } = this.settings;
    const login = await credentials(this.settings);
    this.refuseWhenClosing();
    // Without an open socket none of them holds a connection: a secret that stays wrong must not pile them up.
    if (this.sockets.size === 0) this.pools.length = 0;
    const pool = mysql.createPool({
      host,
      port,
      database: name,
      connectionLimit: this.connectionLimit,
      connectTimeout: connectTimeoutMs,
      stream: () => this.openSocket(),
      ...login,
    });
    this.pools.push(pool);
    return pool;
  }

  private openSocket(): Socket {
    const { host, port } = this.settings;
    const socket = namedForCertificate(connect(port, host), host);
    socket.setNoDelay(true).setKeepAlive(true);
    this.sockets.add(socket);
    socket.once("close", () => this.sockets.delete(socket));
    return socket;
  }
}

function freeConnection(pool: Pool): Promise<PoolConnection> {
  return new Promise((resolve, reject) => {
    pool.getConnection((error, connection) => {
      if (error) reject(error);
      else resolve(connection);
    });
  });
}

async function rows<Row extends RowDataPacket>(
  connection: PoolConnection,
  sql: string,
  values: unknown[],
): Promise<Row[]> {
  try {
    return await new Promise((resolve, reject) => {
      connection.query<Row[]>(sql, values, (error, result) => {
        if (error) reject(error);
        else resolve(result);
      });
    });
  } catch (error) {
    // The driver's own stack ends in its parser; this one leads to whoever asked, and costs nothing until it is needed.
    Error.captureStackTrace(error as Error);
    throw error;
  }
}

/**
 * Whether an error says that the statement did not reach the server, so that it is safe to run it once more whatever it
 * does: the driver refused it because the connection had ended, or the kernel did because the server had reset it. A
 * connection that is lost later may have been lost after the statement ran, and only the caller knows what that means.
 */
function hasNotRun(error: unknown): boolean {
  return codeOf(error) === "EPIPE" || (error as Error).message.includes("when connection is in closed state");
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** Resolves when the event loop has read what waits in the sockets. The first turn may be one that had read before. */
async function socketsRead(): Promise<void> {
  await turnOfTheLoop();
  await turnOfTheLoop();
}

function hasEnded(connection: PoolConnection): boolean {
  const { stream } = connection as unknown as { readonly stream: Duplex };
  return stream.readableEnded || stream.destroyed;
}

/** MySQL's server speaks first: its first packet opens a connection. */
function hasGreeted(socket: Socket): boolean {
  return socket.bytesRead > 0;
}

/** Resolves when the server has let go (`end`, which a socket under TLS does not emit), or the connection was cut off. */
function endOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    for (const event of ["end", "close"]) {
      socket.once(event, () => {
        resolve();
      });
    }
  });
}
