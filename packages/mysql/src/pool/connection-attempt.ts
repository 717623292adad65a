import type { PoolOptions } from "mysql2";
import type { Logins } from "../login/logins.ts";
import type { ServerConnection } from "./connection.ts";

/** One try to get a connection: credentials, DNS, TCP, TLS and log-in, within one time limit. */
export class ConnectionAttempt {
  /** By Date.now(), which goes on while the execution environment is frozen. */
  readonly begunAt = Date.now();
  login: PoolOptions | undefined;
  connection: ServerConnection | undefined;
  private readonly over = new AbortController();

  /** @param limitMs DB_CONNECT_TIMEOUT_MS */
  constructor(private readonly limitMs: number) {}

  /** For errors: what has not come yet. */
  get missing(): string {
    return this.connection?.phase ?? "credentials";
  }

  /** Whether the server has answered, so that it counts a connection that is cut off. */
  get hasGreeted(): boolean {
    return this.connection?.hasGreeted === true;
  }

  /**
   * @param connect begins the connection, which takes its place in the pool in the same turn
   * @throws Error the first reason why there is no connection; what there was of one is ended
   */
  async run(logins: Logins, connect: (login: PoolOptions) => ServerConnection): Promise<ServerConnection> {
    const timer = setTimeout(() => {
      this.giveUp();
    }, this.limitMs);
    try {
      return await Promise.race([this.open(logins, connect), this.timeUp()]);
    } catch (error) {
      // A server that has let the function in counts a connection without COM_QUIT as aborted.
      if (this.connection?.isLoggedIn === true && !this.over.signal.aborted) this.connection.quit();
      else this.connection?.abandon(error as Error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  giveUp(): void {
    this.over.abort();
  }

  private async open(logins: Logins, connect: (login: PoolOptions) => ServerConnection): Promise<ServerConnection> {
    const { signal } = this.over;
    this.login = await logins.next(signal);
    signal.throwIfAborted();
    this.connection = connect(this.login);
    await this.connection.logIn();
    if (this.connection.hasEnded) throw new Error("the server ended the connection right after the log-in");
    return this.connection;
  }

  private timeUp(): Promise<never> {
    return new Promise((_, reject) => {
      this.over.signal.addEventListener("abort", () => {
        const error = new ConnectTimeoutError(`no ${this.missing} within ${this.limitMs} ms (DB_CONNECT_TIMEOUT_MS)`);
        // Work that ends because of the signal knows better what it waited for.
        setImmediate(() => {
          reject(error);
        });
      });
    });
  }
}

/** The server, or the way to it, is silent. */
export class ConnectTimeoutError extends Error {}
