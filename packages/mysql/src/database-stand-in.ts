import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import mysql from "mysql2";
import { Database, type DatabaseOptions } from "./database.ts";
import type { DatabaseSettings } from "./settings.ts";
import type { ShutdownContext } from "lambda-graceful-shutdown";

/** What the stand-in does instead of what it should; `undefined` lets it answer. */
export type Reaction =
  | { readonly error: number; readonly message?: string; readonly sqlState?: string }
  | { readonly farewell: number }
  | { readonly rows: readonly Readonly<Record<string, string>>[] }
  | "hang up"
  | "silent"
  | "slow"
  | undefined;

/** One connection, as the stand-in sees it. */
export interface Session {
  readonly number: number;
  readonly threadId: number;
  readonly statements: string[];
  quit: boolean;
  open: boolean;
  inTransaction: boolean;
  autocommit: boolean;
  backslashEscapes: boolean;
}

export interface StandInScript {
  /** In answer to a log-in. */
  login?: (session: Session) => number | undefined;
  /** In answer to a statement, or to COM_PING. */
  statement?: (sql: string, session: Session) => Reaction;
  /** CONNECTION_ID(), which is not the number in the greeting where a proxy is on the way. */
  connectionId?: (session: Session) => number;
  /** @default "8.4.0" */
  version?: string;
  /** max_allowed_packet. @default - the server does not say */
  maxPacket?: number;
  /** Which of read_only, innodb_read_only and transaction_read_only are on. @default - the server does not say */
  variablesOn?: (session: Session) => readonly string[];
  /** The server's UUID, or MariaDB's directory, as this connection is told it. */
  server?: (session: Session) => string;
}

// What mysql2's server half has and its typings leave out.
interface ServerSide extends mysql.Connection {
  readonly stream: Socket;
  writeColumns(columns: readonly object[]): void;
  writeTextRow(values: readonly string[]): void;
}

// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
const CAPABILITIES = 0x1 | 0x4 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000;
const LONGLONG = 8;
const VAR_STRING = 253;

/**
 * MySQL's side of the protocol without a server: mysql2's server half. It has no tables; it knows transactions by their
 * status flags, and KILL QUERY by what waits.
 */
export class DatabaseStandIn {
  script: StandInScript = {};
  readonly sessions: Session[] = [];
  readonly kills: number[] = [];
  private readonly streams = new Set<Socket>();
  private readonly waiting = new Map<number, () => void>();
  private readonly server = mysql.createServer((connection) => {
    this.accept(connection as ServerSide);
  }) as unknown as { readonly _server: Server };

  static async start(script: StandInScript = {}, port = 0): Promise<DatabaseStandIn> {
    const standIn = new DatabaseStandIn();
    standIn.script = script;
    standIn.server._server.listen(port, "127.0.0.1");
    await once(standIn.server._server, "listening");
    return standIn;
  }

  get settings(): DatabaseSettings {
    const { port } = this.server._server.address() as AddressInfo;
    const login = { type: "password", user: "app", password: "secret" } as const;
    return { host: "127.0.0.1", port, name: "app", login, tls: "off", connectTimeoutMs: 1_000 };
  }

  database(options?: DatabaseOptions, settings: Partial<DatabaseSettings> = {}): Database {
    return new Database({ ...this.settings, ...settings }, options);
  }

  /** Every statement but those with which a connection begins. */
  get statements(): readonly string[] {
    return this.sessions.flatMap(({ statements }) => statements).filter((sql) => !sql.includes("@@hostname"));
  }

  get open(): readonly Session[] {
    return this.sessions.filter(({ open }) => open);
  }

  /** Nobody new gets in; resolves when everybody is out. */
  async refuseConnections(): Promise<void> {
    const closed = once(this.server._server, "close");
    this.server._server.close();
    await closed;
  }

  async close(): Promise<void> {
    const closed = this.server._server.listening ? this.refuseConnections() : undefined;
    for (const stream of this.streams) stream.destroy();
    await closed;
  }

  private accept(connection: ServerSide): void {
    const number = this.sessions.length + 1;
    const session: Session = {
      ...{ number, threadId: 100 + number, statements: [], quit: false, open: true },
      ...{ inTransaction: false, autocommit: true, backslashEscapes: true },
    };
    this.sessions.push(session);
    const { stream } = connection;
    this.streams.add(stream);
    connection.on("error", () => undefined);
    stream
      .setNoDelay(true) // it writes an answer in pieces, and the client's kernel acknowledges one after 40 ms
      .on("error", () => undefined)
      .on("close", () => {
        session.open = false;
        this.streams.delete(stream);
      });
    const answer = (write: () => void): void => {
      if (stream.destroyed) return;
      write();
      connection.sequenceId = 0; // as a real server begins each command
    };
    connection.serverHandshake({
      ...{
        protocolVersion: 10,
        serverVersion: this.script.version ?? "8.4.0",
        connectionId: session.threadId,
        statusFlags: 2,
      },
      ...{ characterSet: 45, capabilityFlags: CAPABILITIES },
      authCallback: (_: unknown, done: (none: null, refusal?: { message: string; code: number }) => void) => {
        const code = this.script.login?.(session);
        answer(() => {
          if (code === undefined) done(null);
          else done(null, { code, message: "refused by the stand-in" });
        });
      },
    });
    const react = (sql: string): void => {
      session.statements.push(sql);
      this.react(sql, session, connection, answer);
    };
    for (const event of ["query", "stmt_prepare", "stmt_execute"]) connection.on(event, react);
    connection.on("ping", () => {
      react("COM_PING");
    });
    connection.on("packet", (_: unknown, isKnown: boolean) => {
      if (!isKnown) react("COM_RESET_CONNECTION");
    });
    connection.on("quit", () => {
      session.quit = true;
      stream.end();
    });
  }

  private react(sql: string, session: Session, connection: ServerSide, answer: (write: () => void) => void): void {
    const reaction = this.script.statement?.(sql, session);
    const error = (code: number, message = "refused by the stand-in", sqlState?: string): void => {
      answer(() => {
        if (sqlState === undefined) connection.writeError({ code, message });
        else connection.stream.write(errorPacket(code, sqlState, message));
      });
    };
    const status = (): number =>
      (session.inTransaction ? 1 : 0) | (session.autocommit ? 2 : 0) | (session.backslashEscapes ? 0 : 0x200);
    const rows = (...all: readonly Readonly<Record<string, string>>[]): void => {
      answer(() => {
        const names = Object.keys(all[0] ?? {});
        connection.writeColumns(names.map((name) => columnOf(name, all[0]?.[name] ?? "")));
        for (const row of all) connection.writeTextRow(names.map((name) => row[name] ?? ""));
        (connection as unknown as { writeEof(warnings: number, flags: number): void }).writeEof(0, status());
      });
    };
    if (reaction === "silent") return;
    if (reaction === "slow") {
      setTimeout(() => {
        rows({ one: "1" });
      }, 100);
      return;
    }
    if (reaction === "hang up") connection.stream.end();
    else if (reaction !== undefined && "error" in reaction) error(reaction.error, reaction.message, reaction.sqlState);
    else if (reaction !== undefined && "rows" in reaction) rows(...reaction.rows);
    else if (reaction !== undefined) {
      connection.sequenceId = 0; // it was sent before the statement was read
      error(reaction.farewell);
      connection.stream.end();
    } else if (sql.includes("@@hostname")) {
      const id = String(this.script.connectionId?.(session) ?? session.threadId);
      const uuid = this.script.server?.(session) ?? "uuid-1";
      const own: Record<string, string> = sql.includes("AS uuid") ? { uuid } : {};
      const limit: Record<string, string> =
        this.script.maxPacket === undefined ? {} : { maxPacket: String(this.script.maxPacket) };
      const where = { host: "db", port: "3306", serverId: "1", ...own, ...limit };
      rows({ id, ...where, autocommit: "1", zone: "SYSTEM", systemZone: "UTC" });
    } else if (sql.includes("@@global.read_only") && this.script.variablesOn !== undefined) {
      const on = this.script.variablesOn(session);
      const value = (name: string): string => (on.includes(name) ? "1" : "0");
      const own = { sessionReadOnly: value("transaction_read_only") };
      rows({ serverReadOnly: value("read_only"), innodbReadOnly: value("innodb_read_only"), ...own });
    } else if (/^select.*sleep/i.test(sql)) {
      this.waiting.set(session.threadId, () => {
        error(1317, "Query execution was interrupted");
      });
    } else if (/^select/i.test(sql)) {
      rows({ one: "1" });
    } else {
      const killed = Number(/^kill query (\d+)/i.exec(sql)?.[1]);
      if (killed > 0) {
        this.kills.push(killed);
        this.waiting.get(killed)?.();
      }
      if (/^(start transaction|begin)/i.test(sql)) session.inTransaction = true;
      if (/^(commit|rollback|create|alter|drop|COM_RESET)/i.test(sql)) session.inTransaction = false;
      if (/sql_mode/i.test(sql)) session.backslashEscapes = !sql.includes("NO_BACKSLASH_ESCAPES");
      if (/autocommit\s*=\s*0/i.test(sql)) session.autocommit = false;
      answer(() => {
        connection.writeOk({ affectedRows: 1, insertId: 7, serverStatus: status() });
      });
    }
  }
}

/** mysql2 writes none with an SQL state of one's own. */
function errorPacket(code: number, sqlState: string, message: string): Buffer {
  const payload = Buffer.concat([Buffer.of(0xff, code & 0xff, code >> 8), Buffer.from(`#${sqlState}${message}`)]);
  return Buffer.concat([Buffer.of(payload.length, 0, 0, 1), payload]);
}

function columnOf(name: string, value: string): object {
  const nowhere = { catalog: "def", schema: "", table: "", orgTable: "", orgName: "" };
  const columnType = /^\d+$/.test(value) ? LONGLONG : VAR_STRING;
  return { ...nowhere, name, columnType, flags: 1, decimals: 0, characterSet: 45, columnLength: 100 };
}

/** A Shutdown phase with so many milliseconds. */
export function shutdownIn(ms: number): ShutdownContext {
  const end = Date.now() + ms;
  return { signal: AbortSignal.timeout(ms), remainingMs: () => Math.max(0, end - Date.now()) };
}
