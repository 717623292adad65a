/** Real clients and servers with the relay between them: what it sees, and what the server counts. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";
import mysql, { type RowDataPacket } from "mysql2/promise";
import { CAPABILITIES, createCertificates, FakeMysql, greeting, ok, type Certificates } from "#fake-mysql";
import { startDatabaseServer } from "./database-server";
import { Relay, type RelayedConnection } from "./relay";
import type { DatabaseServer } from "./server";
import { until } from "./until";

const COM_QUIT = "\u0001\0\0\0\u0001";
const directory = mkdtempSync(join(tmpdir(), "relay-"));
let certificates: Certificates;
let secureContext: tls.SecureContext;
let relay: Relay;

beforeAll(async () => {
  certificates = await createCertificates(directory);
  const { certificateFile, keyFile } = certificates.rightName;
  secureContext = tls.createSecureContext({ cert: readFileSync(certificateFile), key: readFileSync(keyFile) });
});
afterEach(() => relay.close());
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function only(): RelayedConnection {
  const [connection, ...others] = relay.connections;
  if (connection === undefined || others.length > 0) throw new Error(`${others.length + 1} connections, not one`);
  return connection;
}

type Account = Pick<DatabaseServer, "host" | "port" | "user" | "password">;

/** @param withTls at the relay: the client verifies the certificate and its name, as the deployed function does */
async function connect(
  { host, port, user, password }: Account,
  withTls: boolean,
  options: mysql.ConnectionOptions = {},
): Promise<mysql.Connection> {
  relay = await Relay.start({ host, port, ...(withTls ? { tls: secureContext } : {}) });
  const ssl = withTls ? { ssl: { ca: readFileSync(certificates.authorityFile), verifyIdentity: true } } : {};
  const client = await mysql.createConnection({
    ...{ host: "localhost", port: relay.port, user, password, ...ssl },
    ...options,
  });
  client.on("error", () => undefined);
  return client;
}

describe.each([
  ["MariaDB", false],
  ["MariaDB, TLS up to the relay", true],
  ["MariaDB with TLS, TLS", true],
  ["the fake, which has no TLS, TLS up to the relay", true],
])("to %s", (kind, withTls) => {
  const isFake = kind.startsWith("the fake");
  let server: DatabaseServer;
  let abortedBefore: number;

  beforeAll(async () => {
    const certificate = kind.startsWith("MariaDB with TLS") ? { certificate: certificates.rightName } : {};
    server = await startDatabaseServer({ kind: isFake ? "fake" : "mariadbd", ...certificate });
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    abortedBefore = await server.abortedClients();
  });

  async function isHeld(): Promise<boolean> {
    return (await server.heldThreads([only().threadId ?? 0])).size === 1;
  }

  test("COM_QUIT is stamped, the thread is known, and the server counts no aborted client", async () => {
    const client = await connect(server, withTls);
    const events: string[] = [];
    for (const event of ["quit", "close"] as const) relay.on(event, ({ id }) => events.push(`${event} ${id}`));
    const [rows] = await client.query<RowDataPacket[]>("SELECT CONNECTION_ID() AS id");
    expect(only()).toMatchObject({ threadId: rows[0]?.["id"] as number, quitAt: undefined, closedAt: undefined });
    expect(only().tls).toBe(withTls ? "at the relay" : undefined);
    expect(await isHeld()).toBe(true);

    await client.end();
    await until(() => only().closedAt !== undefined);
    const { quitAt, openedAt, closedAt, ...rest } = only();
    expect(quitAt).toBeGreaterThan(openedAt);
    expect(closedAt).toBeGreaterThanOrEqual(quitAt ?? Infinity);
    expect(rest).toMatchObject({ closedBy: "function", endedWith: "FIN", encrypted: false, loggedIn: true });
    expect(events).toEqual(["quit 1", "close 1"]);
    await until(async () => !(await isHeld()));
    expect(await server.abortedClients()).toBe(abortedBefore);
  });

  test.each([
    ["FIN", (socket: net.Socket | undefined) => socket?.end()],
    ["RST", (socket: net.Socket | undefined) => socket?.resetAndDestroy()],
  ])("%s without COM_QUIT is not stamped, and the server counts it", async (endedWith, end) => {
    let socket: net.Socket | undefined;
    await connect(server, withTls, { stream: () => (socket = net.connect(relay.port, "127.0.0.1")) });
    end(socket);
    await until(() => only().closedAt !== undefined);
    expect(only()).toMatchObject({ quitAt: undefined, closedBy: "function", endedWith });
    await until(async () => (await server.abortedClients()) === abortedBefore + 1);
  });

  test("after sever() the server keeps the thread, and neither a statement nor COM_QUIT passes", async () => {
    const client = await connect(server, withTls);
    relay.sever();
    relay.sever();
    const answer = client.query("SELECT 1").then(
      () => "answered",
      () => "lost",
    );
    void client.end().catch(() => undefined);
    expect(await Promise.race([answer, sleep(200, "silence")])).toBe("silence");
    client.destroy();
    await sleep(100);
    expect(only()).toMatchObject({ quitAt: undefined, closedAt: undefined, closedBy: undefined });
    expect(await isHeld()).toBe(true);
    expect(await server.abortedClients()).toBe(abortedBefore);
    await relay.close();
    expect(only()).toMatchObject({ closedBy: "lab" });
    await until(async () => !(await isHeld()));
  });

  test("close() ends open connections on the lab's behalf, and nothing listens any more", async () => {
    const client = await connect(server, withTls);
    const { port } = relay;
    const lost = once(client as unknown as NodeJS.EventEmitter, "error");
    await relay.close();
    await relay.close();
    await lost;
    expect(only()).toMatchObject({ quitAt: undefined, closedBy: "lab" });
    await expect(mysql.createConnection({ host: "127.0.0.1", port })).rejects.toThrow("ECONNREFUSED");
  });

  if (!isFake) {
    test.each([false, true])(
      "20 MB full of COM_QUIT pass intact both ways and are not stamped (compressed: %s)",
      async (compress) => {
        const text = COM_QUIT.repeat(compress ? 4_000 : 4_000_000);
        const client = await connect(server, withTls, { compress });
        const [rows] = await client.query<RowDataPacket[]>(`SELECT MD5('${text}') AS arrived, '${text}' AS returned`);
        expect(rows[0]?.["arrived"]).toBe(createHash("md5").update(text).digest("hex"));
        expect(rows[0]?.["returned"] === text).toBe(true);
        expect(only()).toMatchObject({ quitAt: undefined, closedAt: undefined });
        await client.end();
        await until(() => only().quitAt !== undefined);
      },
    );

    test("a connection that the server kills is closed by the server", async () => {
      const victim = await connect(server, withTls);
      const lost = once(victim as unknown as NodeJS.EventEmitter, "error");
      const { host, port, user, password } = server;
      const killer = await mysql.createConnection({ host, port, user, password });
      await killer.query("KILL ?", [only().threadId]);
      await killer.end();
      await lost;
      expect(only()).toMatchObject({ quitAt: undefined, closedBy: "server", endedWith: "FIN" });
    });

    test("after sever() the server's own wait_timeout ends the connection", async () => {
      const client = await connect(server, withTls);
      await client.query("SET SESSION wait_timeout = 1");
      relay.sever();
      expect(await isHeld()).toBe(true);
      await until(() => only().closedAt !== undefined);
      expect(only()).toMatchObject({ quitAt: undefined, closedBy: "server" });
      expect(await isHeld()).toBe(false);
      client.destroy();
    });
  }

  if (withTls) {
    test("a client without TLS is passed on as it is", async () => {
      const client = await connect(server, true, { ssl: undefined as unknown as mysql.SslOptions });
      await client.query("SELECT 1");
      await client.end();
      await until(() => only().quitAt !== undefined);
      expect(only()).not.toHaveProperty("tls");
    });

    test("a client that trusts another authority does not log in, and is no aborted client", async () => {
      const ssl = { ca: readFileSync(certificates.otherAuthorityFile), verifyIdentity: true };
      await expect(connect(server, true, { ssl })).rejects.toThrow("certificate");
      await until(() => only().closedAt !== undefined);
      expect(only()).toMatchObject({ loggedIn: false, closedBy: "function", endedWith: "FIN" });
      expect(await server.abortedClients()).toBe(abortedBefore);
    });

    test("a wrong password is refused by the server in its own words", async () => {
      await expect(connect(server, true, { password: "wrong" })).rejects.toThrow("Access denied");
    });
  } else {
    test("after sever() the server holds the thread of a killed process and counts nothing", async () => {
      const { host, port, user, password } = server;
      relay = await Relay.start({ host, port });
      const login = { host: "127.0.0.1", port: relay.port, user, password };
      const script = `require("mysql2").createConnection(${JSON.stringify(login)})
        .query("SELECT 1", () => console.log("connected"));`;
      const child = spawn(process.execPath, ["-e", script], { cwd: __dirname, stdio: ["ignore", "pipe", "inherit"] });
      await once(child.stdout, "data");
      relay.sever();
      child.kill("SIGKILL");
      await once(child, "exit");
      await sleep(300);
      expect(await isHeld()).toBe(true);
      expect(await server.abortedClients()).toBe(abortedBefore);
      expect(only()).toMatchObject({ quitAt: undefined, closedAt: undefined, closedBy: undefined });
      await expect(mysql.createConnection(login)).rejects.toThrow("ECONNREFUSED");
    });
  }
});

test("a server that refuses connections resets the function's", async () => {
  const listener = net.createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as net.AddressInfo;
  listener.close();
  await once(listener, "close");
  await expect(connect({ host: "127.0.0.1", port, user: "lab", password: "" }, false)).rejects.toThrow("ECONNRESET");
  expect(only()).toMatchObject({ threadId: undefined, closedBy: "server" });
});

test.each([
  ["caching_sha2_password under TLS", "caching_sha2_password", true],
  ["mysql_native_password, with TLS up to the relay only", "mysql_native_password", false],
] as const)("a log-in that comes byte by byte and switches the plugin: %s", async (_, plugin, withTls) => {
  const server = await FakeMysql.start({
    ...{ plugin, delivery: "bytes", ...(withTls ? { certificate: certificates.rightName } : {}) },
    greetingPlugin: plugin === "mysql_native_password" ? "caching_sha2_password" : "mysql_native_password",
  });
  try {
    const { host, port, account } = server;
    const client = await connect({ host, port, user: account.user, password: account.password }, true);
    await client.query("SELECT 1");
    expect(server.sessions).toMatchObject([{ encrypted: withTls, proof: withTls ? "full" : "fast" }]);
    await client.end();
    await until(() => only().quitAt !== undefined);
    expect(only().tls).toBe("at the relay");
    await until(() => server.sessions[0]?.quit === true);
  } finally {
    await server.close();
  }
});

test("a server without TLS gets a log-in that does not speak of TLS, and a reset as a reset", async () => {
  const capabilities = Object.values(CAPABILITIES).reduce((all, one) => all | one, 0) & ~CAPABILITIES.SSL;
  const offer = { version: "8.4.0", threadId: 7, scramble: Buffer.alloc(20, 1), capabilities, status: 2 };
  const payload = greeting({ ...offer, plugin: "mysql_native_password" });
  const listener = net.createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as net.AddressInfo;
  const accepted = once(listener, "connection") as Promise<[net.Socket]>;
  let socket: net.Socket | undefined;
  const stream = (): net.Socket => (socket = net.connect(relay.port, "127.0.0.1"));
  const connected = connect({ host: "127.0.0.1", port, user: "lab", password: "lab" }, true, { stream });
  const [server] = await accepted;
  server.write(Buffer.concat([Buffer.of(payload.length, 0, 0, 0), payload]));
  const [login] = (await once(server, "data")) as [Buffer];
  expect(login.readUInt8(3)).toBe(1);
  expect(login.readUInt32LE(4) & (CAPABILITIES.SSL | CAPABILITIES.PROTOCOL_41)).toBe(CAPABILITIES.PROTOCOL_41);
  const welcome = ok({ status: 2 });
  server.write(Buffer.concat([Buffer.of(welcome.length, 0, 0, 2), welcome]));
  await connected;
  const lost = once(server, "end").catch((error: unknown) => [error]);
  socket?.resetAndDestroy();
  expect(await lost).toMatchObject([{ code: "ECONNRESET" }]);
  listener.close();
});

test("what is no TLS behind the request for it ends the connection", async () => {
  const server = await startDatabaseServer({ kind: "fake" });
  relay = await Relay.start({ host: server.host, port: server.port, tls: secureContext });
  const client = net.connect(relay.port, "127.0.0.1").on("error", () => undefined);
  await once(client, "data");
  const request = Buffer.alloc(36);
  request.set([32, 0, 0, 1, 0x00, 0x0a]); // 32 bytes, packet 1, CLIENT_SSL and CLIENT_PROTOCOL_41
  client.write(Buffer.concat([request, Buffer.from("this is not TLS, whatever it may be")]));
  await once(client, "close");
  expect(only()).toMatchObject({ loggedIn: false, tls: "failed", closedBy: "function", endedWith: "FIN" });
  await server.stop();
});

test("a server that refuses with its first packet is passed on", async () => {
  const server = await FakeMysql.start({ limit: { connections: 0, code: 1040 } });
  const { host, port, account } = server;
  const client = connect({ host, port, user: account.user, password: account.password }, true);
  await expect(client).rejects.toThrow("Too many connections");
  await server.close();
});
