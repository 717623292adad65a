import type { RelayedConnection } from "../mysql/relay";

/**
 * What became of a connection: `closed` (the server got COM_QUIT), `aborted` (it was closed without), `leaked` (the
 * environment vanished and the server still holds the thread).
 */
export type Outcome = "closed" | "aborted" | "leaked";

/** A connection to MySQL is closed by COM_QUIT. */
export function outcomesOf(connections: readonly Pick<RelayedConnection, "quitAt" | "closedAt">[]): readonly Outcome[] {
  return connections.map(({ quitAt, closedAt }) =>
    quitAt !== undefined ? "closed" : closedAt === undefined ? "leaked" : "aborted",
  );
}
