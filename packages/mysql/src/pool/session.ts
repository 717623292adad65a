/** Who runs a connection's statements, as the server itself says. */
export interface ServerIdentity {
  /** `CONNECTION_ID()`. Behind a proxy it is not the number of the greeting. */
  readonly id: number;
  /** What no two servers of one installation have in common, and no restart changes. */
  readonly server: string;
}

/** A row of {@link identityQuery}. */
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
  /** Bytes of the longest statement that the server reads. */
  readonly maxPacket?: number;
}

/** Set whatever the server's own defaults are, so that what is read and written is the same everywhere. */
export const SET_SESSION_SQL = "SET time_zone = '+00:00', autocommit = 1";

/** After COM_RESET_CONNECTION, which brings back the server's character set, and not that of the log-in. */
export const RESTORE_SESSION_SQL = `${SET_SESSION_SQL}, NAMES utf8mb4 COLLATE utf8mb4_unicode_ci`;

/** The statement that every connection begins with. */
export function identityQuery(serverVersion: string): string {
  // Two MariaDB servers with the same host name and port, on two addresses of a machine, have different directories.
  const uuid = serverVersion.includes("MariaDB") ? "@@datadir" : "@@server_uuid";
  return (
    `SELECT CONNECTION_ID() AS id, @@hostname AS host, @@port AS port, @@server_id AS serverId, ${uuid} AS uuid, ` +
    "@@autocommit AS autocommit, @@time_zone AS zone, @@system_time_zone AS systemZone, " +
    "@@max_allowed_packet AS maxPacket"
  );
}

/** The answer's row. A proxy or another product may answer with no rows at all. */
export function sessionOf(answer: unknown): Session | undefined {
  return Array.isArray(answer) ? (answer[0] as Session | undefined) : undefined;
}

/** @returns undefined if the row is no answer to {@link identityQuery} */
export function identityOf(row: Partial<Session> | undefined): ServerIdentity | undefined {
  const { id, host, port, serverId, uuid } = row ?? {};
  if (typeof id !== "number" || host === undefined || port === undefined || serverId === undefined) return undefined;
  return { id, server: [host, port, serverId, uuid].join(" ") };
}

export function hasSessionDefaults({ autocommit, zone, systemZone }: Session): boolean {
  const effective = zone === "SYSTEM" ? systemZone : zone;
  return autocommit === 1 && (effective === "+00:00" || effective === "UTC");
}

/** Asks whether the server, or the session by its own choice, is read only. */
export function readOnlyQuery(serverVersion: string): string {
  const own = serverVersion.includes("MariaDB") ? "tx_read_only" : "transaction_read_only";
  return (
    "SELECT @@global.read_only AS serverReadOnly, @@global.innodb_read_only AS innodbReadOnly, " +
    `@@session.${own} AS sessionReadOnly`
  );
}

/**
 * @returns whether the server is read only, and the session is not read only by its own choice; undefined if the answer
 * does not say
 */
export function saysReadOnlyServer(answer: unknown): boolean | undefined {
  const [row] = (Array.isArray(answer) ? answer : []) as readonly Readonly<Record<string, string | number>>[];
  const isOn = (name: string): boolean => row?.[name] !== undefined && !/^(?:0|OFF)$/i.test(String(row[name]));
  if (row?.["serverReadOnly"] === undefined) return undefined;
  return (isOn("serverReadOnly") || isOn("innodbReadOnly")) && !isOn("sessionReadOnly");
}
