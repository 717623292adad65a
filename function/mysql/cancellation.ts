import type { ConnectionOptions } from "mysql2";
import { ServerConnection } from "./connection";
import { CancelRefusedError } from "./database-errors";

/**
 * Cancels the statement that runs on a connection: `KILL QUERY`, over a second connection, since the first is busy. The
 * server lets a user cancel what is the user's, and the connection itself stays.
 *
 * Thread numbers are small and every server has its own, so `KILL QUERY 17` on another server kills the statement of
 * somebody else. The second connection goes to the same IP address, but a load balancer or a proxy there may lead it to
 * another server. So nothing is cancelled without a proof, see {@link isProven}.
 *
 * @param login the last one that the server accepted
 * @param signal ends the second connection
 * @throws CancelRefusedError if there is no proof; another error if the server could not be reached, or refused
 */
export async function cancelStatement(
  busy: ServerConnection,
  login: ConnectionOptions,
  signal: AbortSignal,
): Promise<void> {
  const { target, socket } = busy;
  const address = socket.remoteAddress;
  if (address === undefined) throw new CancelRefusedError("the connection has ended");
  // With the user of the busy connection: a secret may have changed to another user's meanwhile.
  const user = login.user === target.login.user ? login : target.login;
  const second = new ServerConnection({ ...target, address, login: user });
  const cutOff = (): void => {
    second.abandon(new Error("the time to cancel the statement is over"));
  };
  if (signal.aborted) cutOff();
  signal.addEventListener("abort", cutOff);
  try {
    await second.logIn();
    if (!(await isProven(busy, second))) {
      const why = "nothing proves that the second connection reaches the same thread of the same server";
      throw new CancelRefusedError(`${why}: a proxy or a load balancer is between`);
    }
    if (busy.running !== undefined) await second.run(`KILL QUERY ${busy.threadId}`);
  } finally {
    if (second.isLoggedIn) second.quit();
    else second.abandon(new Error("the connection that cancels did not log in"));
    await second.closed;
    signal.removeEventListener("abort", cutOff);
  }
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
