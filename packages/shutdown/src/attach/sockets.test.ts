import { once } from "node:events";
import net, { type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Sockets } from "./sockets.ts";

const original = Object.getOwnPropertyDescriptor(net.Socket.prototype, "connect") as PropertyDescriptor;
let server: Server;
let port: number;
let sockets: Sockets;
let accepted: Set<Socket>;

beforeEach(async () => {
  accepted = new Set();
  server = net.createServer((socket) => {
    accepted.add(socket.on("close", () => accepted.delete(socket)));
    socket.on("error", () => undefined).pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ({ port } = server.address() as AddressInfo);
  sockets = new Sockets();
  sockets.watch();
});

afterEach(async () => {
  Object.defineProperty(net.Socket.prototype, "connect", original);
  for (const socket of accepted) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

async function echo(socket: Socket, bytes: string): Promise<void> {
  socket.write(bytes);
  while (socket.bytesRead < bytes.length) await sleep(1);
}

const REDIS = "*1\r\n$4\r\nPING\r\n";

test.each<[string, () => Socket]>([
  ["net.connect()", () => net.connect(port, "127.0.0.1")],
  ["net.connect() with options", () => net.connect({ port, host: "127.0.0.1" })],
  ["new net.Socket()", () => new net.Socket().connect(port, "127.0.0.1")],
])("%s is seen, and a driver sees no difference", async (_, connect) => {
  const socket = connect();
  await once(socket, "connect");
  const plain = sockets.connect({ port, host: "127.0.0.1" });
  await once(plain, "connect");
  const look = (of: Socket): object => ({
    keys: Object.keys(of).sort(),
    events: of.eventNames(),
    flowing: of.readableFlowing,
    needsData: of.listenerCount("data"),
  });
  expect(look(socket)).toEqual(look(plain));
  expect(Object.getOwnPropertyDescriptor(net.Socket.prototype, "connect")).toMatchObject({
    ...{ enumerable: original.enumerable, writable: original.writable, configurable: original.configurable },
  });
  await echo(socket, REDIS);
  expect(sockets.open().map(({ conversation, target }) => [conversation?.name, target])).toEqual([
    ["redis", { host: "127.0.0.1", port }],
  ]);
  socket.destroy();
  plain.destroy();
});

test("an HTTP connection is left alone from its first bytes on", async () => {
  const socket = net.connect(port, "127.0.0.1");
  await echo(socket, "GET / HTTP/1.1\r\n\r\n");
  expect(Object.getOwnPropertyNames(socket)).not.toContain("push");
  expect(Object.getOwnPropertyNames(socket)).not.toContain("write");
  expect(sockets.open().length).toBe(0);
  socket.destroy();
});

test("a socket that connects again is seen anew", async () => {
  const socket = net.connect(port, "127.0.0.1");
  await echo(socket, REDIS);
  socket.destroy();
  await once(socket, "close");
  expect(sockets.open().length).toBe(0);
  socket.connect(port, "127.0.0.1");
  await echo(socket, REDIS);
  expect(sockets.open().length).toBe(1);
  socket.destroy();
});

test("a driver that closes after the goodbye is served, and told that the server has ended", async () => {
  const socket = net.connect({ port, host: "127.0.0.1" });
  socket.resume();
  await echo(socket, REDIS);
  const [connection] = sockets.open();
  connection?.close(Reflect.get(net.Socket.prototype, "write"));
  const events: string[] = [];
  socket.on("data", () => events.push("data")).on("end", () => events.push("end"));
  while (connection?.hasServerEnded === false) await sleep(1);
  expect(events).toEqual([]);
  await new Promise<void>((resolve) =>
    socket.write("late", () => {
      resolve();
    }),
  );
  await once(socket, "close");
  expect(events).toEqual(["end"]);
});

test("2,000 sockets opened and closed leave nothing behind", async () => {
  for (let round = 0; round < 20; round += 1) {
    const opened = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const socket = net.connect(port, "127.0.0.1");
        await once(socket, "connect");
        return socket;
      }),
    );
    await Promise.all(
      opened.map(async (socket) => {
        socket.destroy();
        await once(socket, "close");
      }),
    );
  }
  expect(sockets.open().length).toBe(0);
  expect((sockets as unknown as { refs: Set<unknown> }).refs.size).toBeLessThanOrEqual(200);
});
