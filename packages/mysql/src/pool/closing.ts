import type { Socket } from "node:net";
import { setImmediate as turnOfTheLoop, setTimeout as sleep } from "node:timers/promises";
import { now } from "../node-runtime.ts";
import type { ServerConnection } from "./connection.ts";
import { ShuttingDownError } from "./database-errors.ts";
import type { Cancel } from "./statement.ts";
import type { ShutdownContext } from "lambda-graceful-shutdown";

/** The outcome of the connections that were open when the database was closed. */
export interface CloseResult {
  /** The server closed the connection after COM_QUIT. */
  readonly closed: number;
  /** The same, after its statement was cancelled. */
  readonly cancelled: number;
  /** Cut off, since the server did not answer in time. COM_QUIT may or may not have arrived. */
  readonly givenUp: number;
  /** Why a statement could not be cancelled. @default - none had to be, or each was */
  readonly cancelRefused?: string;
}

/**
 * A running statement is cancelled when no more than this is left of the time. A connect and a few round trips take
 * some milliseconds, but a function with little memory has a fraction of a CPU, and most of it is code that never ran
 * before.
 */
const START_CANCELLING_BEFORE_END_MS = 200;

/**
 * Sends COM_QUIT on every connection before it returns its promise, and waits until the server has closed each. Only
 * that proves that COM_QUIT arrived. It also rolls back an open transaction without a running statement. A running
 * statement is waited for, then cancelled on the server, so that a function that timed out leaves no query running and
 * no lock held. What is still open when the time is up is cut off.
 */
export async function closeConnections(
  connections: ReadonlySet<ServerConnection>,
  cancel: Cancel,
  { signal, remainingMs }: ShutdownContext,
): Promise<CloseResult> {
  // The server has ended the others already. Do not wait for the event loop to read that.
  const open = [...connections].filter((connection) => !connection.hasEndedUnread);
  for (const connection of open) connection.quit();
  const mustCancelNow =
    open.filter(({ running }) => running !== undefined).length > 1 || open.some((c) => c.isReceiving);
  for (const connection of open) connection.endReading(shuttingDown("the rest of the result was not read"));

  const counts = { closed: 0, cancelled: 0, givenUp: 0 };
  const pending = new Set(open);
  const cancels = new Cancels(cancel);
  const ended = open.map(async (connection) => {
    await endOf(connection.socket);
    pending.delete(connection);
    if (connection.hasGreeted) counts[cancels.accepted.has(connection) ? "cancelled" : "closed"] += 1;
  });
  const closeAll = async (): Promise<void> => {
    const allEnded = Promise.all(ended);
    if (!mustCancelNow && (await endInTime(allEnded, remainingMs))) return;
    // Each second connection has to end as well, or the server counts it as aborted.
    await Promise.all([allEnded, ...open.map((connection) => cancels.begin(connection))]);
  };
  await Promise.race([closeAll(), timeIsOver(signal)]);
  // To cut a connection off runs code of the driver and of the handler, so the result comes first.
  setImmediate(() => {
    for (const connection of connections) connection.abandon(shuttingDown("the time is over"));
  });
  const givenUp = [...pending].filter(({ hasGreeted }) => hasGreeted).length;
  const { refusal } = cancels;
  return { ...counts, givenUp, ...(refusal === undefined ? {} : { cancelRefused: refusal }) };
}

/** Statements that are cancelled on the server. */
class Cancels {
  readonly accepted = new Set<ServerConnection>();
  private running = 0;
  private lastRefusal: string | undefined;

  constructor(private readonly cancel: Cancel) {}

  /** Why a statement could not be cancelled, the last reason. */
  get refusal(): string | undefined {
    return this.running > 0 ? "the time to cancel the statement is over" : this.lastRefusal;
  }

  async begin(connection: ServerConnection): Promise<void> {
    // A server that has not even greeted by now holds nothing, and the log-in would wait for its deadline.
    if (!connection.hasGreeted) connection.abandon(shuttingDown("the server has not greeted"));
    if (connection.running === undefined) return;
    this.accepted.add(connection);
    this.running += 1;
    try {
      await this.cancel(connection);
    } catch (error) {
      this.accepted.delete(connection);
      this.lastRefusal = (error as Error).message;
    } finally {
      this.running -= 1;
      connection.skipRows();
    }
  }
}

function timeIsOver(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => {
      resolve();
    });
  });
}

/** Whether all connections have ended before it is time to cancel what runs. */
async function endInTime(allEnded: Promise<unknown>, remainingMs: () => number): Promise<boolean> {
  const begun = now();
  await turnOfTheLoop();
  // The signal was heard as late as this turn is, and so will be the end of the wait.
  const patienceMs = remainingMs() - START_CANCELLING_BEFORE_END_MS - 2 * (now() - begun);
  const patience = sleep(Math.max(1, patienceMs), "over" as const);
  return (await Promise.race([allEnded, patience])) !== "over";
}

function shuttingDown(what: string): ShuttingDownError {
  return new ShuttingDownError(`the execution environment is shutting down, and ${what}`);
}

/**
 * Resolves when the server has closed (`end`, which a socket under TLS does not emit), or the connection was cut off.
 */
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
