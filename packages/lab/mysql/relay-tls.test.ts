/** A relay that is the other end of the function's TLS: what it sees, and what the server counts. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";
import mysql, { type RowDataPacket } from "mysql2/promise";
import { createCertificates, type Certificates } from "#fake-mysql";
import { startDatabaseServer } from "./database-server";
import { FakeMysql } from "#fake-mysql";
import { CAPABILITIES, greeting, ok } from "#fake-mysql";
import { Relay, type RelayedConnection } from "./relay";
import type { DatabaseServer } from "./server";

const directory = mkdtempSync(join(tmpdir(), "relay-tls-"));
let certificates: Certificates;
let secureContext: tls.SecureContext;
let relay: Relay | undefined;

beforeAll(async () => {
  certificates = await createCertificates(directory);
  const { certificateFile, keyFile } = certificates.rightName;
  secureContext = tls.createSecureContext({ cert: readFileSync(certificateFile), key: readFileSync(keyFile) });
});
afterEach(() => relay?.close());
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never became true: ${holds.toString()}`);
    await sleep(2);
  }
}

function only({ connections: [connection, ...others] }: Relay): RelayedConnection {
  if (connection === undefined || others.length > 0) throw new Error(`${others.length + 1} connections, not one`);
  return connection;
}

type Account = Pick<DatabaseServer, "host" | "port" | "user" | "password">;

/** A client as the deployed function is one: it verifies the certificate and its name. */
async function connect(server: Account, options: mysql.ConnectionOptions = {}): Promise<[mysql.Connection, Relay]> {
  const { host, port, user, password } = server;
  relay = await Relay.start({ host, port, tls: secureContext });
  const ssl = { ca: readFileSync(certificates.authorityFile), verifyIdentity: true };
  const client = await mysql.createConnection({
    ...{ host: "localhost", port: relay.port, user, password, ssl },
    ...options,
  });
  client.on("error", () => undefined);
  return [client, relay];
}

describe.each(["MariaDB with TLS", "MariaDB without TLS", "the fake, which has no TLS"])("to %s", (kind) => {
  let server: DatabaseServer;
  const hasCounter = !kind.startsWith("the fake");

  beforeAll(async () => {
    const certificate = kind === "MariaDB with TLS" ? { certificate: certificates.rightName } : {};
    server = await startDatabaseServer({ kind: hasCounter ? "mariadbd" : "fake", ...certificate });
  });
  afterAll(() => server.stop());

  test("COM_QUIT is stamped, the thread is known, and the server counts no aborted client", async () => {
    const before = await server.abortedClients();
    const [client, relay] = await connect(server);
    const [rows] = await client.query<RowDataPacket[]>("SELECT CONNECTION_ID() AS id");
    expect(only(relay)).toMatchObject({ threadId: rows[0]?.["id"] as number, tls: "at the relay", quitAt: undefined });
    await client.end();
    await until(() => only(relay).closedAt !== undefined);
    const { quitAt, openedAt, closedAt, ...rest } = only(relay);
    expect(quitAt).toBeGreaterThan(openedAt);
    expect(closedAt).toBeGreaterThanOrEqual(quitAt ?? Infinity);
    expect(rest).toMatchObject({ closedBy: "function", endedWith: "FIN", encrypted: false, loggedIn: true });
    await until(async () => (await server.heldThreads([rest.threadId ?? 0])).size === 0);
    expect(await server.abortedClients()).toBe(before);
  });

  test("a close without COM_QUIT is not stamped, and the server counts it", async () => {
    const before = await server.abortedClients();
    const [client, relay] = await connect(server);
    client.destroy();
    await until(() => only(relay).closedAt !== undefined);
    expect(only(relay)).toMatchObject({ quitAt: undefined, closedBy: "function", endedWith: "FIN" });
    await until(async () => (await server.abortedClients()) === before + 1);
  });

  test("a reset is told apart from a FIN", async () => {
    const before = await server.abortedClients();
    let socket: net.Socket | undefined;
    const stream = (): net.Socket => (socket = net.connect(relay?.port ?? 0, "127.0.0.1"));
    const [, ours] = await connect(server, { stream });
    socket?.resetAndDestroy();
    await until(() => only(ours).closedAt !== undefined);
    expect(only(ours)).toMatchObject({ quitAt: undefined, closedBy: "function", endedWith: "RST" });
    await until(async () => (await server.abortedClients()) === before + 1);
  });

  test("a client without TLS is passed on as it is", async () => {
    const [client, relay] = await connect(server, { ssl: undefined as unknown as mysql.SslOptions });
    await client.query("SELECT 1");
    await client.end();
    await until(() => only(relay).quitAt !== undefined);
    expect(only(relay)).not.toHaveProperty("tls");
  });

  test("a client that trusts another authority does not log in, and is no aborted client", async () => {
    const before = await server.abortedClients();
    const ssl = { ca: readFileSync(certificates.otherAuthorityFile), verifyIdentity: true };
    await expect(connect(server, { ssl })).rejects.toThrow("certificate");
    await until(() => relay?.connections[0]?.closedAt !== undefined);
    expect(relay?.connections).toMatchObject([{ loggedIn: false, closedBy: "function", endedWith: "FIN" }]);
    expect(await server.abortedClients()).toBe(before);
  });

  test("after sever() the server keeps the thread, and nothing passes", async () => {
    const [client, relay] = await connect(server);
    relay.sever();
    void client.end().catch(() => undefined);
    await sleep(100);
    client.destroy();
    await sleep(100);
    expect(only(relay)).toMatchObject({ quitAt: undefined, closedAt: undefined });
    expect((await server.heldThreads([only(relay).threadId ?? 0])).size).toBe(1);
    await relay.close();
    await until(async () => (await server.heldThreads([only(relay).threadId ?? 0])).size === 0);
  });

  if (hasCounter) {
    test("a wrong password is refused by the server in its own words", async () => {
      await expect(connect(server, { password: "wrong" })).rejects.toThrow("Access denied");
    });

    test("20 MB pass intact both ways; in the compressed protocol COM_QUIT is stamped, too", async () => {
      for (const [compress, times] of [[false, 4_000_000] as const, [true, 4_000] as const]) {
        const text = "\u0001\0\0\0\u0001".repeat(times);
        const [client, relay] = await connect(server, { compress });
        const [rows] = await client.query<RowDataPacket[]>(`SELECT MD5('${text}') AS arrived, '${text}' AS returned`);
        expect(rows[0]?.["arrived"]).toBe(createHash("md5").update(text).digest("hex"));
        expect(rows[0]?.["returned"] === text).toBe(true);
        expect(only(relay).quitAt).toBeUndefined();
        await client.end();
        await until(() => only(relay).quitAt !== undefined);
        await relay.close();
      }
    });

    test("a connection that the server kills is closed by the server", async () => {
      const [victim, relay] = await connect(server);
      const lost = once(victim as unknown as NodeJS.EventEmitter, "error");
      const { host, port, user, password } = server;
      const killer = await mysql.createConnection({ host, port, user, password });
      await killer.query("KILL ?", [only(relay).threadId]);
      await killer.end();
      await lost;
      expect(only(relay)).toMatchObject({ quitAt: undefined, closedBy: "server", endedWith: "FIN" });
    });
  }
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
    const [client, relay] = await connect({ host, port, user: account.user, password: account.password });
    await client.query("SELECT 1");
    expect(server.sessions).toMatchObject([{ encrypted: withTls, proof: withTls ? "full" : "fast" }]);
    await client.end();
    await until(() => only(relay).quitAt !== undefined);
    expect(only(relay).tls).toBe("at the relay");
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
  const stream = (): net.Socket => (socket = net.connect(relay?.port ?? 0, "127.0.0.1"));
  const connected = connect({ host: "127.0.0.1", port, user: "lab", password: "lab" }, { stream });
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
  expect(only(relay)).toMatchObject({ loggedIn: false, tls: "failed", closedBy: "function", endedWith: "FIN" });
  await server.stop();
});

test("a server that refuses with its first packet is passed on", async () => {
  const server = await FakeMysql.start({ limit: { connections: 0, code: 1040 } });
  const { host, port, account } = server;
  await expect(connect({ host, port, user: account.user, password: account.password })).rejects.toThrow(
    "Too many connections",
  );
  await server.close();
});
