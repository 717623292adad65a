import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { Worker } from "node:worker_threads";

export interface BlackHole {
  readonly port: number;
  close(): Promise<void>;
}

/** Longer than any connect on loopback takes; who has not connected by then is not let in. */
const CONNECTED_WITHIN_MS = 250;

/** Accepts every connection and never sends a byte: a server that has hung, or a proxy with no server behind it. */
export async function silentServer(): Promise<BlackHole> {
  const sockets = new Set<Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/**
 * Answers no SYN, like a firewall that drops packets. On loopback that needs a listener with a full backlog that
 * accepts no connection, because its thread sleeps for ever. A thread ends with the lab, however the lab ends.
 */
export async function droppedPackets(): Promise<BlackHole> {
  const wake = new Int32Array(new SharedArrayBuffer(4));
  const listener = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
       parentPort.postMessage(server.address().port);
       Atomics.wait(workerData, 0, 0);
       process.exit();
     });`,
    { eval: true, workerData: wake },
  );
  const [port] = (await once(listener, "message")) as [number];
  const backlog: Socket[] = [];
  for (let connected = true; connected;) {
    const socket = net.connect(port, "127.0.0.1").on("error", () => undefined);
    backlog.push(socket);
    const connect = once(socket, "connect", { signal: AbortSignal.timeout(CONNECTED_WITHIN_MS) });
    connected = await connect.then(Boolean, () => false);
  }
  return {
    port,
    close: async () => {
      for (const socket of backlog) socket.destroy();
      Atomics.store(wake, 0, 1);
      Atomics.notify(wake, 0);
      await once(listener, "exit");
    },
  };
}
