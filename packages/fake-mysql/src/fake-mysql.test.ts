/** mysql2 talks to the fake server, which first behaves well and then badly. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { once } from "node:events";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import mysql, { type Connection, type ConnectionOptions as Options } from "mysql2/promise";
import type { ResultSetHeader, RowDataPacket } from "mysql2/promise";
import { createCertificates, type Certificates } from "./certificates.ts";
import { FakeMysql, type FakeMysqlConfig } from "./fake-mysql.ts";
import { answer, farewell, hangUp, refuse, refuseAndEnd, reset, silent, wait } from "./reaction.ts";

let directory: string;
let certificates: Certificates;
let server: FakeMysql;
let connections: Connection[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "fake-mysql-"));
  certificates = await createCertificates(directory);
});

afterEach(async () => {
  for (const connection of connections) connection.destroy();
  connections = [];
  await server.close();
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function start(config: FakeMysqlConfig = {}): Promise<void> {
  server = await FakeMysql.start(config);
}

/** A connection to a new server. */
async function connected(config: FakeMysqlConfig = {}): Promise<Connection> {
  await start(config);
  return connect();
}

async function connect(options: Options = {}): Promise<Connection> {
  const { host, port, account, database } = server;
  const connection = await mysql.createConnection({
    ...{ host, port, user: account.user, password: account.password, database, connectTimeout: 500 },
    ...options,
  });
  connection.on("error", () => undefined);
  connections.push(connection);
  return connection;
}

async function rows(connection: Connection, sql: string): Promise<RowDataPacket[]> {
  const [found] = await connection.query<RowDataPacket[]>(sql);
  return found;
}

const overTls = (): Options => ({
  host: "localhost",
  ssl: { ca: readFileSync(certificates.authorityFile, "utf8"), verifyIdentity: true },
});

describe("logs in", () => {
  const plugins = ["caching_sha2_password", "mysql_native_password", "mysql_clear_password"] as const;
  const cases = plugins.flatMap((plugin) =>
    plugins.flatMap((greetingPlugin) =>
      [true, false]
        .filter((tls) => tls || plugin !== "mysql_clear_password")
        .map((tls) => ({ plugin, greetingPlugin, tls })),
    ),
  );

  test.each(cases)("with $plugin after a greeting with $greetingPlugin, TLS $tls", async ({ tls, ...plugin }) => {
    await start({ ...plugin, ...(tls ? { certificate: certificates.rightName } : {}) });
    const options = { ...(tls ? overTls() : {}), enableCleartextPlugin: true };
    for (const password of [server.account.password, "wrong"]) {
      const connection = connect({ ...options, password });
      if (password === "wrong") await expect(connection).rejects.toMatchObject({ errno: 1045, sqlState: "28000" });
      else expect(await rows(await connection, "SELECT CONNECTION_ID() AS id")).toEqual([{ id: 8 }]);
    }
    const seen = { encrypted: tls, user: "lab" };
    expect(server.sessions).toMatchObject([
      { ...seen, loggedIn: true },
      { ...seen, loggedIn: false },
    ]);
  });

  test("with caching_sha2_password in full first, then fast", async () => {
    await start();
    await connect();
    await connect();
    expect(server.logIns.map(({ proof }) => proof)).toEqual(["full", "fast"]);
  });

  test("not with a password in clear text without TLS", async () => {
    await start({ plugin: "mysql_clear_password" });
    await expect(connect({ enableCleartextPlugin: true })).rejects.toMatchObject({ errno: 1045 });
  });

  test("with a token instead of the password", async () => {
    await start({ plugin: "mysql_clear_password", certificate: certificates.rightName, token: /^token-\d+$/ });
    const options = { ...overTls(), enableCleartextPlugin: true };
    await expect(connect({ ...options, password: "token-17" })).resolves.toBeDefined();
    await expect(connect({ ...options, password: "a token-17" })).rejects.toMatchObject({ errno: 1045 });
  });

  test("with MySQL 8.4's greeting", async () => {
    await start({ certificate: certificates.rightName });
    const socket = net.connect(server.port, server.host);
    const [greeting] = (await once(socket, "data")) as Buffer[];
    socket.destroy();
    const capabilities = (greeting?.readUInt16LE(24) ?? 0) + (greeting?.readUInt16LE(29) ?? 0) * 0x10000;
    expect(greeting?.subarray(5, 10).toString()).toBe("8.4.6");
    // CLIENT_SSL, CLIENT_SESSION_TRACK, CLIENT_DEPRECATE_EOF
    for (const bit of [0x800, 0x800000, 0x1000000]) expect(capabilities & bit).toBe(bit);
  });
});

describe("answers", () => {
  test.each(["answers", "packets", "bytes"] as const)("in %s", async (delivery) => {
    const connection = await connected({ delivery });
    expect(await rows(connection, "SELECT 1 AS one, 'a, b' AS text, @@hostname AS host")).toEqual([
      { one: 1, text: "a, b", host: "mysql-1" },
    ]);
    const [result] = await connection.query<ResultSetHeader>("INSERT INTO account VALUES (1, 2)");
    expect(result).toMatchObject({ affectedRows: 1, insertId: 1 });
  });

  test("unknown statements with an error", async () => {
    const connection = await connected();
    await expect(connection.query("SELECT SHA1('x')")).rejects.toMatchObject({ errno: 1064 });
    await expect(connection.query("SELECT 1 FROM performance_schema.threads")).rejects.toMatchObject({ errno: 1064 });
  });

  test("with the transaction's flag", async () => {
    const connection = await connected();
    const inTransaction = async (sql: string): Promise<boolean> => {
      const [result] = await connection.query<ResultSetHeader>(sql);
      return (result.serverStatus & 1) === 1;
    };
    expect(await inTransaction("INSERT INTO account VALUES (1, 2)")).toBe(false);
    expect(await inTransaction("START TRANSACTION")).toBe(true);
    expect(await inTransaction("UPDATE account SET balance = 1")).toBe(true);
    expect(server.sessions[0]?.state.holdsLock).toBe(true);
    expect(await inTransaction("ROLLBACK")).toBe(false);
    expect(server.sessions[0]?.state.holdsLock).toBe(false);
    expect(await inTransaction("SET autocommit = 0")).toBe(false);
    expect(await inTransaction("UPDATE account SET balance = 1")).toBe(true);
    const [changed] = await connection.query("SET SESSION wait_timeout = 5");
    expect(changed).toMatchObject({ stateChanges: { systemVariables: { wait_timeout: "5" } } });
  });

  test("with the processlist as the server sees it", async () => {
    await start();
    const [connection, busy] = [await connect(), await connect()];
    const sleeping = busy.query("SELECT SLEEP(30)");
    await sleep(20);
    const list = (select: string, where: string): Promise<RowDataPacket[]> =>
      rows(connection, `SELECT ${select} FROM information_schema.processlist WHERE ${where}`);
    expect(await rows(connection, "SHOW FULL PROCESSLIST")).toHaveLength(2);
    expect(await list("id, host", "id = CONNECTION_ID()")).toEqual([{ id: 8, host: server.sessions[0]?.peer }]);
    expect(await list("id", "command = 'Query' AND id IN (9, 10)")).toContainEqual({ id: 9 });
    await connection.query("KILL QUERY 9");
    await sleeping;
    expect(server.kills).toMatchObject([{ what: "QUERY", connectionId: 9, hit: "own" }]);
    await expect(connection.query("KILL QUERY 77")).rejects.toMatchObject({ errno: 1094 });
  });

  test("and writes down what it was asked, and how each connection ended", async () => {
    await start();
    const [polite, rude] = [await connect(), await connect()];
    await polite.ping();
    await polite.query("SELECT 1");
    await polite.reset();
    await polite.end();
    rude.destroy();
    await sleep(50);
    expect(server.sessions).toMatchObject([
      { quit: true, endedBy: "client", isOpen: false, statements: ["COM_PING", "SELECT 1", "COM_RESET_CONNECTION"] },
      { quit: false, endedBy: "client", isOpen: false, statements: [] },
    ]);
  });
});

describe("misbehaves", () => {
  test.each([
    ["Too many connections before the greeting", { connect: () => refuseAndEnd(1040) }, { errno: 1040 }],
    ["silent after it has accepted", { connect: () => silent }, { code: "ETIMEDOUT" }],
    ["silent after the greeting", { login: () => silent }, { code: "ETIMEDOUT" }],
    ["a log-in refused", { login: () => refuse(1226) }, { errno: 1226 }],
    ["a log-in without an answer", { login: () => hangUp }, { code: "PROTOCOL_CONNECTION_LOST" }],
  ])("at the log-in: %s", async (_name, script, error) => {
    await start({ script });
    await expect(connect()).rejects.toMatchObject(error);
    expect(server.sessions[0]?.loggedIn).toBe(false);
  });

  test.each([
    ["farewell", farewell(4031), { errno: 4031 }],
    ["reset", reset, { code: "ECONNRESET" }],
    ["FIN", hangUp, { code: "PROTOCOL_CONNECTION_LOST" }],
    ["refusal", refuse(1290), { errno: 1290, sqlState: "HY000" }],
  ])("at a statement: %s", async (_name, reaction, error) => {
    const connection = await connected();
    server.script = { statement: (sql) => (sql === "SELECT 1" ? reaction : undefined) };
    await expect(connection.query("SELECT 1")).rejects.toMatchObject(error);
  });

  test("with an answer of the script's, late", async () => {
    const connection = await connected();
    server.script = { statement: () => answer({ n: 9_007_199_254_740_993n }) };
    const [exact] = await connection.query<RowDataPacket[]>({ sql: "SELECT n", supportBigNumbers: true });
    expect(exact).toEqual([{ n: "9007199254740993" }]);
    server.script = { statement: () => wait(100) };
    const begun = performance.now();
    await connection.ping();
    expect(performance.now() - begun).toBeGreaterThan(90);
  });

  test("as a silent server does, from one moment on", async () => {
    const connection = await connected();
    server.silence();
    const ping = connection.ping().then(() => "answered");
    expect(await Promise.race([ping, sleep(100, "silence")])).toBe("silence");
    ping.catch(() => undefined);
    await expect(connect()).resolves.toBeDefined();
  });

  test.each([4031, 1053] as const)("with the farewell %d in front of an idle connection's FIN", async (code) => {
    const connection = await connected();
    const ended = new Promise<Error>((resolve) => connection.on("error", resolve));
    await server.endIdle(code);
    expect((await ended).message).toMatch(code === 4031 ? /because of inactivity/ : /^Server shutdown in progress$/);
    expect(server.sessions).toMatchObject([{ endedBy: "server", isOpen: false, quit: false }]);
  });

  test.each([1290, 1792, 1836] as const)("as a reader after a failover, with %d", async (code) => {
    const old = await connected();
    server.failOver(code);
    for (const write of ["INSERT INTO account VALUES (1, 2)", "SELECT balance FROM account WHERE id = 1 FOR UPDATE"])
      await expect(old.query(write)).rejects.toMatchObject({ errno: code });
    expect(await rows(old, "SELECT balance FROM account")).toEqual([{ balance: 0 }]);
    const anew = await connect();
    await expect(anew.query("INSERT INTO account VALUES (1, 2)")).resolves.toBeDefined();
  });

  test("as a proxy whose thread numbers are its own", async () => {
    const connection = await connected({ threadIdInGreeting: (id) => id + 1_000 });
    expect(connection.threadId).toBe(1_008);
    expect(await rows(connection, "SELECT CONNECTION_ID() AS id")).toEqual([{ id: 8 }]);
  });

  test("as two servers behind one port, so that a KILL may hit another client", async () => {
    await start({ backends: 2 });
    const [first, second] = [await connect(), await connect()];
    server.addOtherClient({ backend: 1, connectionId: 8 });
    const uuid = "SELECT @@server_uuid AS id";
    expect(await rows(first, uuid)).not.toEqual(await rows(second, uuid));
    expect([first.threadId, second.threadId]).toEqual([8, 108]);
    await second.query("KILL QUERY 8");
    expect(server.kills).toMatchObject([{ connectionId: 8, backend: { index: 1 }, hit: "another client's" }]);
  });

  test("with no room for one more", async () => {
    const connection = await connected({ limit: { connections: 1, code: 1203 } });
    await expect(connect()).rejects.toMatchObject({ errno: 1203 });
    await connection.end();
    await sleep(20);
    await expect(connect()).resolves.toBeDefined();
  });
});
