/** Real clients and servers of other protocols, with the relay between them. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import mysql from "mysql2/promise";
import { startDatabaseServer } from "./database-server";
import { watchAnyProtocol } from "./protocol-watch";
import { Relay, type Watched } from "./relay";
import { until } from "./until";
import { startPostgresql, startRedis, type ThrowawayTcpServer } from "./throwaway-tcp-server";

let relay: Relay;
afterEach(() => relay.close());

function message(type: string, body: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, Buffer.from(body)]);
}

const STARTUP = message("", "\0\x03\0\0user\0postgres\0\0");
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const CANCEL = Buffer.from([0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 1]);
const TERMINATE = message("X", "");

async function client(): Promise<net.Socket> {
  const socket = net.connect({ host: "127.0.0.1", port: relay.port, noDelay: true });
  await once(socket, "connect");
  socket.on("error", () => undefined).resume();
  return socket;
}

describe("PostgreSQL", () => {
  let server: ThrowawayTcpServer;
  beforeAll(async () => {
    server = await startPostgresql();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    relay = await Relay.start({ ...server, watch: watchAnyProtocol });
  });

  async function logIn(socket: net.Socket): Promise<void> {
    let isReady = false;
    socket.on("data", (chunk) => (isReady ||= chunk.includes(message("Z", "I"))));
    socket.write(STARTUP);
    await until(() => isReady);
  }

  test("psql sends Terminate, then FIN", async () => {
    const args = `-h 127.0.0.1 -p ${relay.port} -U postgres -c`.split(" ");
    const env = { PATH: process.env["PATH"], PGSSLMODE: "prefer" };
    await promisify(execFile)("psql", [...args, "SELECT 'X\\000\\000\\000\\004'"], { env });
    await until(() => relay.connections[0]?.closedAt !== undefined);
    const seen = { protocol: "PostgreSQL", loggedIn: true, closedBy: "function", endedWith: "FIN" };
    expect(relay.connections).toMatchObject([{ ...seen, quitAt: expect.any(Number) as number }]);
  });

  test("Terminate in pieces counts, the same bytes in a statement do not", async () => {
    const socket = await client();
    await logIn(socket);
    socket.write(message("Q", `SELECT '${TERMINATE.toString("latin1").replaceAll("\0", " ")}X'\0`));
    socket.write(Buffer.concat([message("Q", "SELECT 1\0"), TERMINATE.subarray(0, 2)]));
    await sleep(50);
    expect(relay.connections[0]?.quitAt).toBeUndefined();
    socket.write(TERMINATE.subarray(2));
    await until(() => relay.connections[0]?.quitAt !== undefined);
  });

  test.each([
    ["FIN", (socket: net.Socket) => socket.end()],
    ["RST", (socket: net.Socket) => socket.resetAndDestroy()],
  ])("%s without Terminate", async (endedWith, end) => {
    const socket = await client();
    await logIn(socket);
    end(socket);
    await until(() => relay.connections[0]?.closedAt !== undefined);
    expect(relay.connections).toMatchObject([{ closedBy: "function", endedWith, quitAt: undefined }]);
  });

  test("after a TLS that was refused the session goes on as it is", async () => {
    const socket = await client();
    socket.write(SSL_REQUEST);
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toBe("N");
    await logIn(socket);
    expect(relay.connections).toMatchObject([{ encrypted: false, loggedIn: true }]);
    socket.end(TERMINATE);
    await until(() => relay.connections[0]?.quitAt !== undefined);
  });

  test("a request to cancel is not a session", async () => {
    const socket = await client();
    socket.write(CANCEL);
    await until(() => relay.connections[0]?.loggedIn === false);
    expect(relay.connections).toMatchObject([{ protocol: "PostgreSQL" }]);
  });
});

describe("Redis", () => {
  let server: ThrowawayTcpServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    relay = await Relay.start({ ...server, watch: watchAnyProtocol });
  });

  test.each([
    ["*1\r\n$4\r\nQUIT\r\n", true],
    ["*1\r\n$4\r\nquit\r\n", true],
    ["QUIT\r\n", true],
    ["*3\r\n$3\r\nSET\r\n$4\r\nQUIT\r\n$4\r\nQUIT\r\n", false],
    ["*3\r\n$3\r\nSET\r\n$1\r\na\r\n$19\r\n\r\n*1\r\n$4\r\nQUIT\r\n\r\n\r\n", false],
    ["*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n", true],
  ])("%j ends the session: %s, in one piece and byte by byte", async (text, isGoodbye) => {
    for (const pieces of [[text], Array.from(text)]) {
      const socket = await client();
      socket.write("*1\r\n$4\r\nPING\r\n");
      await once(socket, "data");
      for (const piece of pieces) socket.write(piece);
      socket.end();
      await until(() => relay.connections.every(({ closedAt }) => closedAt !== undefined));
      const last = relay.connections.at(-1);
      expect(last).toMatchObject({ protocol: "Redis", closedBy: "function", endedWith: "FIN" });
      expect(last?.quitAt !== undefined).toBe(isGoodbye);
    }
  });
});

test("MySQL is recognized by its greeting, with its thread and COM_QUIT", async () => {
  const database = await startDatabaseServer({ kind: "mariadbd" });
  relay = await Relay.start({ host: database.host, port: database.port, watch: watchAnyProtocol });
  const { user, password } = database;
  const connection = await mysql.createConnection({ host: "127.0.0.1", port: relay.port, user, password });
  await connection.end();
  await until(() => relay.connections[0]?.closedAt !== undefined);
  const [threadId, quitAt] = [expect.any(Number), expect.any(Number)] as number[];
  const seen = { protocol: "MySQL", loggedIn: true, closedBy: "function", threadId, quitAt };
  expect(relay.connections).toMatchObject([seen]);
  await database.stop();
});

test("of any other protocol only the end is seen, and TLS hides PostgreSQL's goodbye", () => {
  const watched = (): Watched => ({ threadId: undefined, loggedIn: false, encrypted: false });
  const seen: string[] = [];
  const unknown = watched();
  const watch = watchAnyProtocol(unknown, (event) => seen.push(event));
  watch.fromFunction(Buffer.from("GARBAGE without end"));
  watch.fromFunction(TERMINATE);
  expect({ unknown, seen }).toEqual({ unknown: { ...watched(), loggedIn: true }, seen: ["open"] });

  const encrypted = watched();
  const tls = watchAnyProtocol(encrypted, (event) => seen.push(event));
  tls.fromFunction(SSL_REQUEST);
  tls.fromServer(Buffer.from("S"));
  tls.fromFunction(TERMINATE);
  expect({ encrypted, seen }).toMatchObject({
    encrypted: { protocol: "PostgreSQL", encrypted: true },
    seen: ["open", "open"],
  });
});
