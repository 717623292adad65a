import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type net from "node:net";
import mysql from "mysql2";
import type { DatabaseServer } from "./server";

// What mysql2's server half has and its typings leave out.
interface ServerSideConnection extends mysql.Connection {
  readonly stream: net.Socket;
}
interface ServerHalf {
  readonly _server: net.Server;
}
interface Column {
  readonly name: string;
  readonly columnType: number;
  readonly flags: number;
  readonly decimals: number;
  readonly value: string;
}

// Bits and numbers of the protocol:
// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
const LONG_PASSWORD = 0x1;
const LONG_FLAG = 0x4;
const CONNECT_WITH_DB = 0x8;
const PROTOCOL_41 = 0x200;
const TRANSACTIONS = 0x2000;
const SECURE_CONNECTION = 0x8000;
const PLUGIN_AUTH = 0x80000;
const CAPABILITIES =
  LONG_PASSWORD | LONG_FLAG | CONNECT_WITH_DB | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH;
const UTF8MB4 = 45;
const BINARY = 63;
const AUTOCOMMIT = 0x2;
const TYPE_LONGLONG = 0x08;
const TYPE_DATETIME = 0x0c;
const NOT_NULL = 0x1;
const UNSIGNED = 0x20;
const ER_NOT_SUPPORTED_YET = 1235;

const ANSWERED = "SELECT of CONNECTION_ID(), NOW(), UTC_TIMESTAMP() and whole numbers, COM_PING and COM_QUIT";

/**
 * The lab's server if there is no MySQL server: mysql2's own server half, in the lab's process. A mock. It accepts
 * every log-in, answers the sample handler's statement, and distinguishes a clean close from an aborted one. It has no
 * tables, no locks and no `wait_timeout`, so it proves only clean closes.
 */
export async function startStandInServer(): Promise<DatabaseServer> {
  const sockets = new Map<number, net.Socket>();
  let lastThreadId = 0;
  let aborted = 0;

  const server = mysql.createServer((accepted) => {
    const connection = accepted as ServerSideConnection;
    const threadId = ++lastThreadId;
    let loggedIn = false;
    let quit = false;

    sockets.set(threadId, connection.stream);
    connection.stream.setNoDelay(true);
    connection.stream.on("close", () => {
      sockets.delete(threadId);
      // As on a real server, what never logged in is no aborted client (there it counts as Aborted_connects).
      if (loggedIn && !quit) aborted++;
    });
    // mysql2 reports every close without COM_QUIT as an error; the socket's own event above has counted it.
    connection.on("error", () => undefined);

    /** mysql2's server half goes on counting packets where a real one begins each command at 0. */
    const reply = (write: () => void): void => {
      write();
      connection.sequenceId = 0;
    };
    const refuse = (what: string): void => {
      reply(() => {
        connection.writeError({
          code: ER_NOT_SUPPORTED_YET,
          message: `the stand-in answers only ${ANSWERED}, not ${what}`,
        });
      });
    };

    connection.serverHandshake({
      protocolVersion: 10,
      serverVersion: "8.0.0-stand-in",
      connectionId: threadId,
      statusFlags: AUTOCOMMIT,
      characterSet: UTF8MB4,
      capabilityFlags: CAPABILITIES,
      authCallback: (_login: unknown, done: (error: Error | null) => void) => {
        loggedIn = true;
        reply(() => {
          done(null);
        });
      },
    });
    connection.on("query", (sql: string) => {
      const columns = answer(sql, threadId);
      if (columns === undefined) {
        refuse(sql);
        return;
      }
      reply(() => {
        connection.writeTextResult(
          [Object.fromEntries(columns.map(({ name, value }) => [name, value]))],
          columns.map(toColumnDefinition),
        );
      });
    });
    connection.on("ping", () => {
      reply(() => {
        connection.writeOk();
      });
    });
    connection.on("quit", () => {
      quit = true;
      connection.stream.end();
    });
    // mysql2 hands SET over as if it were to be prepared.
    connection.on("stmt_prepare", (sql: string) => {
      refuse(sql);
    });
    connection.on("stmt_execute", () => {
      refuse("a prepared statement");
    });
    connection.on("init_db", () => {
      refuse("COM_INIT_DB");
    });
    connection.on("field_list", () => {
      refuse("COM_FIELD_LIST");
    });
    connection.on("packet", (_packet: unknown, known: boolean, command: number) => {
      if (!known) refuse(`command ${command}`);
    });
  });

  const listener = (server as unknown as ServerHalf)._server;
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as net.AddressInfo;

  return {
    kind: "stand-in",
    description: "stand-in: mysql2's server half, not a MySQL server; counts clean closes only",
    host: "127.0.0.1",
    port,
    user: "lab",
    password: randomBytes(16).toString("hex"),
    database: "lab",
    pid: undefined,
    heldThreads: (ids) => Promise.resolve(new Set(ids.filter((id) => sockets.has(id)))),
    abortedClients: () => Promise.resolve(aborted),
    stop: () =>
      new Promise((resolve) => {
        // Called back with an error when it has been stopped before, which is fine.
        listener.close(() => {
          resolve();
        });
        for (const socket of sockets.values()) socket.destroy();
      }),
  };
}

/** The columns of a SELECT that can be answered, under the names that the statement gives them. */
function answer(sql: string, threadId: number): readonly Column[] | undefined {
  const list = /^\s*select\s+([^;]+?)\s*;?\s*$/i.exec(sql)?.[1];
  const columns = list?.split(",").map((expression) => {
    const { call, name } =
      /^\s*(?<call>.+?)(?:\s+(?:as\s+)?[`"']?(?<name>\w+)[`"']?)?\s*$/i.exec(expression)?.groups ?? {};
    return call === undefined ? undefined : evaluate(call, name ?? call, threadId);
  });
  return columns?.every((column) => column !== undefined) === true ? columns : undefined;
}

function evaluate(call: string, name: string, threadId: number): Column | undefined {
  const integer = { name, columnType: TYPE_LONGLONG, flags: NOT_NULL, decimals: 0 };
  if (/^\d+$/.test(call)) return { ...integer, value: call };
  if (/^connection_id\(\)$/i.test(call)) return { ...integer, flags: NOT_NULL | UNSIGNED, value: String(threadId) };
  const now = /^(now|utc_timestamp)\(([0-3]?)\)$/i.exec(call);
  if (now === null) return undefined;
  const decimals = Number(now[2]);
  const offsetMinutes = now[1]?.toLowerCase() === "now" ? new Date().getTimezoneOffset() : 0;
  const value = timeAt(new Date(), offsetMinutes, decimals);
  return { name, columnType: TYPE_DATETIME, flags: NOT_NULL, decimals, value };
}

/** A server without a time zone of its own answers NOW() in its machine's. */
function timeAt(time: Date, offsetMinutes: number, decimals: number): string {
  const asIfUtc = new Date(time.getTime() - offsetMinutes * 60_000).toISOString();
  return asIfUtc.replace("T", " ").slice(0, decimals === 0 ? 19 : 20 + decimals);
}

function toColumnDefinition({ name, columnType, flags, decimals }: Column): object {
  const nowhere = { catalog: "def", schema: "", table: "", orgTable: "", orgName: "" };
  return { ...nowhere, name, columnType, flags, decimals, characterSet: BINARY, columnLength: 23 };
}
