import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import mysql, { type RowDataPacket } from "mysql2/promise";
import { startDatabaseServer } from "./database-server";
import type { DatabaseServer } from "./server";
import { Relay, type RelayedConnection } from "./relay";

const COM_QUIT = Buffer.from([0x01, 0x00, 0x00, 0x00, 0x01]);

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never became true: ${holds.toString()}`);
    await sleep(2);
  }
}

function only(relay: Relay): RelayedConnection {
  const [connection, ...others] = relay.connections;
  if (connection === undefined || others.length > 0)
    throw new Error(`${relay.connections.length} connections, not one`);
  return connection;
}

function packet(sequence: number, payload: Buffer): Buffer {
  const header = Buffer.from([0, 0, 0, sequence]);
  header.writeUIntLE(payload.length, 0, 3);
  return Buffer.concat([header, payload]);
}

/** Client flags first, as in Protocol::HandshakeResponse41 and in Protocol::SSLRequest. */
function logIn(flags: number, length: number): Buffer {
  const payload = Buffer.alloc(length);
  payload.writeUInt32LE(flags);
  return packet(1, payload);
}

describe("between a client and MariaDB", () => {
  let database: DatabaseServer;
  let relay: Relay;

  beforeAll(async () => {
    database = await startDatabaseServer({ kind: "mariadbd" });
  });
  afterAll(() => database.stop());
  beforeEach(async () => {
    relay = await Relay.start(database);
  });
  afterEach(() => relay.close());

  async function connect(options: mysql.ConnectionOptions = {}): Promise<mysql.Connection> {
    const { user, password } = database;
    const client = await mysql.createConnection({ host: "127.0.0.1", port: relay.port, user, password, ...options });
    client.on("error", () => undefined);
    return client;
  }

  async function isHeld({ threadId }: RelayedConnection): Promise<boolean> {
    return (await database.heldThreads([threadId ?? 0])).size === 1;
  }

  test("a clean close is stamped, and the server counts no aborted client", async () => {
    const before = await database.abortedClients();
    const events: string[] = [];
    for (const event of ["open", "quit", "close"] as const) relay.on(event, ({ id }) => events.push(`${event} ${id}`));
    const client = await connect();
    const [rows] = await client.query<RowDataPacket[]>("SELECT CONNECTION_ID() AS id");
    expect(only(relay)).toMatchObject({ threadId: rows[0]?.["id"] as number, quitAt: undefined, closedAt: undefined });
    expect(await isHeld(only(relay))).toBe(true);

    await client.end();
    await until(() => only(relay).closedAt !== undefined);
    const { openedAt, quitAt, closedAt, closedBy, encrypted } = only(relay);
    expect(quitAt).toBeGreaterThan(openedAt);
    expect(closedAt).toBeGreaterThanOrEqual(quitAt ?? Infinity);
    expect({ closedBy, encrypted }).toEqual({ closedBy: "function", encrypted: false });
    expect(events).toEqual(["open 1", "quit 1", "close 1"]);
    await until(async () => !(await isHeld(only(relay))));
    expect(await database.abortedClients()).toBe(before);
  });

  test("a close without COM_QUIT is not stamped, and the server counts one aborted client", async () => {
    const before = await database.abortedClients();
    (await connect()).destroy();
    await until(() => only(relay).closedAt !== undefined);
    expect(only(relay)).toMatchObject({ quitAt: undefined, closedBy: "function" });
    await until(async () => (await database.abortedClients()) === before + 1);
  });

  test("a clean close is stamped in the compressed protocol, too", async () => {
    const client = await connect({ compress: true });
    const text = "compressible ".repeat(1_000);
    const [rows] = await client.query<RowDataPacket[]>("SELECT ? AS text", [text]);
    expect(rows[0]?.["text"]).toBe(text);
    expect(only(relay).quitAt).toBeUndefined();
    await client.end();
    await until(() => only(relay).quitAt !== undefined);
  });

  test("20 MB full of COM_QUIT pass intact both ways and do not count as COM_QUIT", async () => {
    const text = COM_QUIT.toString("latin1").repeat(4_000_000);
    const client = await connect();
    const [rows] = await client.query<RowDataPacket[]>(`SELECT MD5('${text}') AS arrived, '${text}' AS returned`);
    expect(rows[0]?.["arrived"]).toBe(createHash("md5").update(text).digest("hex"));
    expect(rows[0]?.["returned"] === text).toBe(true);
    expect(only(relay)).toMatchObject({ quitAt: undefined, closedAt: undefined });
    await client.end();
    await until(() => only(relay).quitAt !== undefined);
  });

  test("after sever() the server holds the thread of a killed process and counts nothing", async () => {
    const before = await database.abortedClients();
    const { user, password } = database;
    const script = `
      require("mysql2").createConnection(${JSON.stringify({ host: "127.0.0.1", port: relay.port, user, password })})
        .query("SELECT 1", () => console.log("connected"));`;
    const child = spawn(process.execPath, ["-e", script], { cwd: __dirname, stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    const { port } = relay;

    relay.sever();
    child.kill("SIGKILL");
    await once(child, "exit");
    await sleep(300);
    expect(await isHeld(only(relay))).toBe(true);
    expect(await database.abortedClients()).toBe(before);
    expect(only(relay)).toMatchObject({ quitAt: undefined, closedAt: undefined, closedBy: undefined });
    await expect(mysql.createConnection({ host: "127.0.0.1", port })).rejects.toThrow("ECONNREFUSED");

    await relay.close();
    expect(only(relay)).toMatchObject({ closedBy: "lab" });
    await until(async () => !(await isHeld(only(relay))));
  });

  test("after sever() neither a statement nor COM_QUIT passes", async () => {
    const client = await connect();
    relay.sever();
    relay.sever();
    const answer = client.query("SELECT 1").then(
      () => "answered",
      () => "lost",
    );
    void client.end().catch(() => undefined);
    expect(await Promise.race([answer, sleep(200, "silence")])).toBe("silence");
    expect(only(relay)).toMatchObject({ quitAt: undefined, closedAt: undefined });
    client.destroy();
    await sleep(50);
    expect(await isHeld(only(relay))).toBe(true);
  });

  test("after sever() the server's own wait_timeout ends the connection", async () => {
    const client = await connect();
    await client.query("SET SESSION wait_timeout = 1");
    relay.sever();
    expect(await isHeld(only(relay))).toBe(true);
    await until(() => only(relay).closedAt !== undefined);
    expect(only(relay)).toMatchObject({ quitAt: undefined, closedBy: "server" });
    expect(await isHeld(only(relay))).toBe(false);
    client.destroy();
  });

  test("a connection that the server kills is closed by the server", async () => {
    const victim = await connect();
    const lost = once(victim as unknown as NodeJS.EventEmitter, "error");
    const { user, password, port } = database;
    const killer = await mysql.createConnection({ host: "127.0.0.1", port, user, password });
    await killer.query("KILL ?", [only(relay).threadId]);
    await killer.end();
    await lost;
    expect(only(relay)).toMatchObject({ quitAt: undefined, closedBy: "server" });
  });

  test("close() ends open connections on the lab's behalf, and nothing listens any more", async () => {
    const client = await connect();
    const { port } = relay;
    const lost = once(client as unknown as NodeJS.EventEmitter, "error");
    await relay.close();
    await relay.close();
    await lost;
    expect(only(relay)).toMatchObject({ quitAt: undefined, closedBy: "lab" });
    await expect(mysql.createConnection({ host: "127.0.0.1", port })).rejects.toThrow("ECONNREFUSED");
  });
});

test("a server that refuses connections resets the function's", async () => {
  const listener = net.createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as net.AddressInfo;
  listener.close();
  await once(listener, "close");

  const relay = await Relay.start({ host: "127.0.0.1", port });
  await expect(mysql.createConnection({ host: "127.0.0.1", port: relay.port })).rejects.toThrow("ECONNRESET");
  expect(only(relay)).toMatchObject({ threadId: undefined, closedBy: "server" });
  await relay.close();
});

describe("between two bare sockets", () => {
  let listener: net.Server;
  let relay: Relay;
  let client: net.Socket;
  let server: net.Socket;
  let arrived: Buffer;

  beforeEach(async () => {
    listener = net.createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
    await once(listener, "listening");
    relay = await Relay.start({ host: "127.0.0.1", port: (listener.address() as net.AddressInfo).port });
    const accepted = once(listener, "connection") as Promise<[net.Socket]>;
    client = net.connect({ host: "127.0.0.1", port: relay.port, allowHalfOpen: true, noDelay: true });
    [server] = await accepted;
    arrived = Buffer.alloc(0);
    server.on("data", (chunk: Buffer) => (arrived = Buffer.concat([arrived, chunk])));
    client.on("error", () => undefined);
  });
  afterEach(async () => {
    client.destroy();
    server.destroy();
    listener.close();
    await relay.close();
  });

  async function sendByteByByte(bytes: Buffer): Promise<void> {
    const before = arrived.length;
    for (let at = 0; at < bytes.length; at++) {
      client.write(bytes.subarray(at, at + 1));
      await until(() => arrived.length === before + at + 1);
    }
  }

  test("COM_QUIT that comes byte by byte is stamped with its last byte, once", async () => {
    let quits = 0;
    relay.on("quit", () => quits++);
    await sendByteByByte(
      Buffer.concat([logIn(0, 40), packet(0, Buffer.from("\x03SELECT 1")), COM_QUIT.subarray(0, 4)]),
    );
    expect(quits).toBe(0);
    await sendByteByByte(COM_QUIT.subarray(4));
    expect(quits).toBe(1);
  });

  test("the same bytes in the log-in, in a continuation or in another command do not count as COM_QUIT", async () => {
    const ping = packet(0, Buffer.from([0x0e]));
    await sendByteByByte(
      Buffer.concat([logIn(0, 40), packet(3, Buffer.from([1])), packet(1, COM_QUIT), packet(0, COM_QUIT), ping]),
    );
    expect(only(relay).quitAt).toBeUndefined();
    await sendByteByByte(COM_QUIT);
    expect(only(relay).quitAt).toBeDefined();
  });

  test("a request for TLS makes the connection encrypted, in which nothing is taken for COM_QUIT", async () => {
    await sendByteByByte(Buffer.concat([logIn(0x800, 32), COM_QUIT]));
    expect(only(relay)).toMatchObject({ encrypted: true, quitAt: undefined });
  });

  test("TLS is not seen in a statement that goes on in a second packet", async () => {
    await sendByteByByte(Buffer.concat([logIn(0, 40), logIn(0x820, 32), COM_QUIT]));
    expect(only(relay)).toMatchObject({ encrypted: false });
    expect(only(relay).quitAt).toBeDefined();
  });

  test("the thread id is read from a greeting in pieces", async () => {
    const opened = once(relay, "open");
    for (const byte of packet(0, Buffer.from("\x0a8.4.0-pieces\0\x04\x03\x02\x01salt", "latin1"))) {
      server.write(Buffer.from([byte]));
      await sleep(1);
    }
    await opened;
    expect(only(relay).threadId).toBe(0x01020304);
  });

  test("a connection that was greeted is logged in with the client's first packet, not before", async () => {
    const opened = once(relay, "open");
    server.write(packet(0, Buffer.from("\x0a8.4.0\0\x04\x03\x02\x01salt", "latin1")));
    await opened;
    expect(only(relay).loggedIn).toBe(false);
    await sendByteByByte(logIn(0, 40));
    expect(only(relay).loggedIn).toBe(true);
  });

  test.each([
    ["refuses", Buffer.from("\xff\x15\x04#28000Access denied", "latin1"), false],
    ["accepts", Buffer.from([0, 0, 0, 2, 0, 0, 0]), true],
  ])("a log-in that the server %s", async (_, answer, loggedIn) => {
    const refused: RelayedConnection[] = [];
    relay.on("refused", (connection) => refused.push(connection));
    server.write(packet(0, Buffer.from("\x0a8.4.0\0\x04\x03\x02\x01salt", "latin1")));
    await sendByteByByte(logIn(0, 40));
    const switched = packet(2, Buffer.from("\xfecaching_sha2_password\0salt", "latin1"));
    const moreData = packet(4, Buffer.from([1, 4]));
    server.write(Buffer.concat([switched, moreData, packet(5, answer)]));
    await until(() => (loggedIn ? client.bytesRead > 60 : refused.length === 1));
    // What a server says later is about statements.
    server.write(packet(1, Buffer.from("\xff\x15\x04#42000No such table", "latin1")));
    await sendByteByByte(packet(0, Buffer.from([0x0e])));
    expect(only(relay).loggedIn).toBe(loggedIn);
    expect(refused).toHaveLength(loggedIn ? 0 : 1);
  });

  test("a server that answers with an error has no thread for it", async () => {
    const opened = once(relay, "open");
    server.end(packet(0, Buffer.from("\xff\x10\x04Too many connections", "latin1")));
    await opened;
    expect(only(relay).threadId).toBeUndefined();
    await until(() => only(relay).closedBy === "server");
  });

  test("a FIN passes and leaves the other direction open", async () => {
    client.end("last words");
    await once(server, "end");
    expect(arrived.toString()).toBe("last words");
    const answer = once(client, "data");
    server.end("answer");
    expect(String((await answer)[0])).toBe("answer");
    await until(() => only(relay).closedBy === "function");
  });

  test("a reset by the function passes as a reset", async () => {
    const lost = once(server, "error").catch((error: unknown) => [error]);
    client.resetAndDestroy();
    expect(await lost).toMatchObject([{ code: "ECONNRESET" }]);
    expect(only(relay).closedBy).toBe("function");
  });

  test("a reset by the server passes as a reset", async () => {
    const lost = once(client, "end").catch((error: unknown) => [error]);
    server.resetAndDestroy();
    expect(await lost).toMatchObject([{ code: "ECONNRESET" }]);
    expect(only(relay).closedBy).toBe("server");
  });

  test("after sever() a server may end the connection, and the function does not notice", async () => {
    const heard: string[] = [];
    for (const event of ["data", "end", "error", "close"]) client.on(event, () => heard.push(event));
    relay.sever();
    server.end("good-bye");
    await once(server, "close");
    await sleep(50);
    expect(heard).toEqual([]);
    expect(only(relay).closedBy).toBe("server");
  });

  test("after sever() neither FIN nor reset passes", async () => {
    const heard: string[] = [];
    for (const event of ["end", "error", "close"]) server.on(event, () => heard.push(event));
    relay.sever();
    client.write("more");
    client.resetAndDestroy();
    server.write("a server's last words are drained");
    await sleep(100);
    expect({ heard, arrived: arrived.toString() }).toEqual({ heard: [], arrived: "" });
  });

  test("a reader that does not read stops the writer, and loses nothing", async () => {
    const size = 32 * 1024 * 1024;
    server.pause();
    client.write(Buffer.alloc(size, "x"));
    await sleep(100);
    expect(client.writableLength).toBeGreaterThan(0);
    let read = 0;
    server.removeAllListeners("data").on("data", (chunk: Buffer) => (read += chunk.length));
    server.resume();
    await until(() => read === size);
  });
});
