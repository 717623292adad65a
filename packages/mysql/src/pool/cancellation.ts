import type { ConnectionOptions } from "mysql2";
import { ServerConnection, type ConnectionTarget } from "./connection.ts";
import { CancelRefusedError } from "./database-errors.ts";

/** A connection for nothing but `KILL QUERY`. */
interface Second {
  readonly connection: ServerConnection;
  readonly loggedIn: Promise<void>;
  /** How many statements are yet to be cancelled over it. */
  users: number;
  last: Promise<unknown>;
}

/**
 * Cancels statements: `KILL QUERY`, over a second connection, since the first is busy. The server lets a user cancel what
 * is the user's, and the connection itself stays. Statements that are cancelled at the same time share the second
 * connection: a log-in each would take more CPU than a small function has in its last milliseconds.
 *
 * Thread numbers are small and every server has its own, so `KILL QUERY 17` on another server kills the statement of
 * somebody else. The second connection goes to the same IP address, but a load balancer or a proxy there may lead it to
 * another server. So nothing is cancelled without a proof, see {@link isProven}.
 */
export class Cancellation {
  private readonly seconds = new Map<string, Second>();

  /**
   * @param lastLogin the last one that the server accepted
   * @param timeLimit ends a second connection; asked for when that is opened
   */
  constructor(
    private readonly lastLogin: () => ConnectionOptions | undefined,
    private readonly timeLimit: () => AbortSignal,
  ) {}

  /** @throws CancelRefusedError if there is no proof; another error if the server could not be reached, or refused */
  async cancel(busy: ServerConnection): Promise<void> {
    const { target, socket } = busy;
    const address = socket.remoteAddress;
    if (address === undefined) throw new CancelRefusedError("the connection has ended");
    // With the user of the busy connection: a secret may have changed to another user's meanwhile.
    const worked = this.lastLogin() ?? target.login;
    const login = worked.user === target.login.user ? worked : target.login;
    const key = `${address} ${login.user ?? ""}`;
    const second = this.seconds.get(key) ?? this.open(key, { ...target, address, login });
    second.users += 1;
    try {
      const turn = Promise.all([second.loggedIn, second.last]).then(() => kill(busy, second.connection));
      second.last = turn.catch(() => undefined);
      await turn;
    } finally {
      second.users -= 1;
      if (second.users === 0) this.end(key, second.connection);
      await second.connection.closed;
    }
  }

  private open(key: string, target: ConnectionTarget): Second {
    const connection = new ServerConnection(target);
    // In a later turn: what waits for the end of the time goes first.
    const cutOff = (): void => {
      setImmediate(() => {
        connection.abandon(new Error("the time to cancel the statement is over"));
      });
    };
    const signal = this.timeLimit();
    if (signal.aborted) cutOff();
    signal.addEventListener("abort", cutOff);
    void connection.closed.then(() => {
      signal.removeEventListener("abort", cutOff);
    });
    const second = { connection, loggedIn: connection.logIn(), users: 0, last: Promise.resolve() };
    this.seconds.set(key, second);
    return second;
  }

  private end(key: string, connection: ServerConnection): void {
    this.seconds.delete(key);
    if (connection.isLoggedIn) connection.quit();
    else connection.abandon(new Error("the connection that cancels did not log in"));
  }
}

async function kill(busy: ServerConnection, second: ServerConnection): Promise<void> {
  if (!(await isProven(busy, second))) {
    const why = "nothing proves that the second connection reaches the same thread of the same server";
    throw new CancelRefusedError(`${why}: a proxy or a load balancer is between`);
  }
  if (busy.running !== undefined) await second.run(`KILL QUERY ${busy.threadId}`);
}

/**
 * Whether a thread number means the busy connection on the server that the second connection has reached. A number is
 * not used again while its connection is open, so it is enough that
 *
 * - both servers have said at the log-in that they are the same (host name, port, server id, MySQL's server UUID), and
 * - on both connections, `CONNECTION_ID()` is the number of the greeting: nobody shares connections among clients.
 *
 * Where the server has not said who it is, its processlist can: it shows the address and port of both sockets.
 */
async function isProven(busy: ServerConnection, second: ServerConnection): Promise<boolean> {
  const [first, other] = [busy.identity, second.identity];
  if (first !== undefined && other !== undefined) {
    return first.server === other.server && first.id === busy.threadId && other.id === second.threadId;
  }
  const threads = await second.run<readonly { readonly ID: number; readonly HOST: string }[]>(
    `SELECT ID, HOST FROM information_schema.PROCESSLIST WHERE ID IN (${busy.threadId}, ${second.threadId})`,
  );
  return [busy, second].every(({ threadId, socket: { localAddress, localPort } }) =>
    threads.some(({ ID, HOST }) => ID === threadId && HOST === `${localAddress ?? ""}:${localPort ?? 0}`),
  );
}
