/** Who runs a connection's statements, as the server itself says. */
export interface ServerIdentity {
  /** `CONNECTION_ID()`. Behind a proxy it is not the number of the greeting. */
  readonly id: number;
  /** What no two servers of one installation have in common, and no restart changes. */
  readonly server: string;
}

/** A row of {@link whoAreYou}. */
export interface Session {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  readonly serverId: number;
  /** MySQL's UUID. MariaDB has none, so this is the server's directory. */
  readonly uuid?: string;
  readonly autocommit: number;
  readonly zone: string;
  readonly systemZone: string;
}

/** Set whatever the server's own defaults are, so that what is read and written is the same everywhere. */
export const SET_SESSION = "SET time_zone = '+00:00', autocommit = 1";

/** After COM_RESET_CONNECTION, which brings back the server's character set, and not that of the log-in. */
export const SET_SESSION_AGAIN = `${SET_SESSION}, NAMES utf8mb4 COLLATE utf8mb4_unicode_ci`;

/** The statement that every connection begins with. */
export function whoAreYou(serverVersion: string): string {
  // Two MariaDB servers with the same host name and port, on two addresses of a machine, have different directories.
  const uuid = serverVersion.includes("MariaDB") ? "@@datadir" : "@@server_uuid";
  return (
    `SELECT CONNECTION_ID() AS id, @@hostname AS host, @@port AS port, @@server_id AS serverId, ${uuid} AS uuid, ` +
    "@@autocommit AS autocommit, @@time_zone AS zone, @@system_time_zone AS systemZone"
  );
}

/** The answer's row. What is no MySQL may answer with no rows at all. */
export function sessionOf(answer: unknown): Session | undefined {
  return Array.isArray(answer) ? (answer[0] as Session | undefined) : undefined;
}

/** @returns undefined if the row is no answer to {@link whoAreYou}: what only speaks the protocol may say anything */
export function identityOf(row: Partial<Session> | undefined): ServerIdentity | undefined {
  const { id, host, port, serverId, uuid } = row ?? {};
  if (typeof id !== "number" || host === undefined || port === undefined || serverId === undefined) return undefined;
  return { id, server: [host, port, serverId, uuid].join(" ") };
}

export function isAsSet({ autocommit, zone, systemZone }: Session): boolean {
  const effective = zone === "SYSTEM" ? systemZone : zone;
  return autocommit === 1 && (effective === "+00:00" || effective === "UTC");
}
