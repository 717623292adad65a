/** What passes between two bare sockets with the relay between them, byte by byte. */
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Relay, type RelayedConnection } from "./relay";
import { until } from "./until";

const COM_QUIT = Buffer.from([0x01, 0x00, 0x00, 0x00, 0x01]);
const GREETING = packet(0, Buffer.from("\x0a8.4.0-pieces\0\x04\x03\x02\x01salt", "latin1"));

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

function relayed(): RelayedConnection {
  const [connection] = relay.connections;
  if (connection === undefined) throw new Error("there is no connection");
  return connection;
}

async function sendByteByByte(...packets: readonly Buffer[]): Promise<void> {
  const bytes = Buffer.concat(packets);
  const before = arrived.length;
  for (let at = 0; at < bytes.length; at++) {
    client.write(bytes.subarray(at, at + 1));
    await until(() => arrived.length === before + at + 1);
  }
}

test("COM_QUIT that comes byte by byte is stamped with its last byte, once", async () => {
  let quits = 0;
  relay.on("quit", () => quits++);
  await sendByteByByte(logIn(0, 40), packet(0, Buffer.from("\x03SELECT 1")), COM_QUIT.subarray(0, 4));
  expect(quits).toBe(0);
  await sendByteByByte(COM_QUIT.subarray(4));
  expect(quits).toBe(1);
});

test("the same bytes in the log-in, in a continuation or in another command do not count as COM_QUIT", async () => {
  const ping = packet(0, Buffer.from([0x0e]));
  await sendByteByByte(logIn(0, 40), packet(3, Buffer.from([1])), packet(1, COM_QUIT), packet(0, COM_QUIT), ping);
  expect(relayed().quitAt).toBeUndefined();
  await sendByteByByte(COM_QUIT);
  expect(relayed().quitAt).toBeDefined();
});

test.each([
  ["makes the connection encrypted, in which nothing is taken for COM_QUIT", [logIn(0x800, 32)], true],
  ["is not seen in a statement that goes on in a second packet", [logIn(0, 40), logIn(0x820, 32)], false],
])("a request for TLS %s", async (_, packets, encrypted) => {
  await sendByteByByte(...packets, COM_QUIT);
  expect([relayed().encrypted, relayed().quitAt === undefined]).toEqual([encrypted, encrypted]);
});

test("the thread id is read from a greeting in pieces; the log-in is the client's first packet", async () => {
  const opened = once(relay, "open");
  for (const byte of GREETING) {
    server.write(Buffer.from([byte]));
    await sleep(1);
  }
  await opened;
  expect(relayed()).toMatchObject({ threadId: 0x01020304, loggedIn: false });
  await sendByteByByte(logIn(0, 40));
  expect(relayed().loggedIn).toBe(true);
});

test.each([
  ["refuses", Buffer.from("\xff\x15\x04#28000Access denied", "latin1"), false],
  ["accepts", Buffer.from([0, 0, 0, 2, 0, 0, 0]), true],
])("a log-in that the server %s", async (_, answer, loggedIn) => {
  const refused: RelayedConnection[] = [];
  relay.on("refused", (connection) => refused.push(connection));
  server.write(GREETING);
  await sendByteByByte(logIn(0, 40));
  const switched = packet(2, Buffer.from("\xfecaching_sha2_password\0salt", "latin1"));
  const moreData = packet(4, Buffer.from([1, 4]));
  server.write(Buffer.concat([switched, moreData, packet(5, answer)]));
  await until(() => (loggedIn ? client.bytesRead > 60 : refused.length === 1));
  // What a server says later is about statements.
  server.write(packet(1, Buffer.from("\xff\x15\x04#42000No such table", "latin1")));
  await sendByteByByte(packet(0, Buffer.from([0x0e])));
  expect(relayed().loggedIn).toBe(loggedIn);
  expect(refused).toHaveLength(loggedIn ? 0 : 1);
});

test("a server that answers with an error has no thread for it", async () => {
  const opened = once(relay, "open");
  server.end(packet(0, Buffer.from("\xff\x10\x04Too many connections", "latin1")));
  await opened;
  expect(relayed().threadId).toBeUndefined();
  await until(() => relayed().closedBy === "server");
});

test("a FIN passes and leaves the other direction open", async () => {
  client.end("last words");
  await once(server, "end");
  expect(arrived.toString()).toBe("last words");
  const answer = once(client, "data");
  server.end("answer");
  expect(String((await answer)[0])).toBe("answer");
  await until(() => relayed().closedBy === "function");
});

test.each(["function", "server"])("a reset by the %s passes as a reset", async (by) => {
  const [ending, other] = by === "server" ? [server, client] : [client, server];
  const lost = once(other, "end").catch((error: unknown) => [error]);
  ending.resetAndDestroy();
  expect(await lost).toMatchObject([{ code: "ECONNRESET" }]);
  expect(relayed().closedBy).toBe(by);
});

test("after sever() a server may end the connection, and the function does not notice", async () => {
  const heard: string[] = [];
  for (const event of ["data", "end", "error", "close"]) client.on(event, () => heard.push(event));
  relay.sever();
  server.end("good-bye");
  await once(server, "close");
  await sleep(50);
  expect(heard).toEqual([]);
  expect(relayed().closedBy).toBe("server");
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
