import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import type { TcpServer } from "../functions/subject";

/** Stands between the lab's relay and a server that is not the lab's, and does to connections what the server could do. */
export class TcpValve {
  private readonly sockets = new Set<Socket>();
  private isFrozen = false;
  private readonly listener = createServer({ noDelay: true }, (client) => {
    this.pass(client);
  });

  private constructor(private readonly upstream: TcpServer) {}

  static async start(upstream: TcpServer): Promise<TcpValve> {
    const valve = new TcpValve(upstream);
    await once(valve.listener.listen(0, "127.0.0.1"), "listening");
    return valve;
  }

  /** The server with the valve in front of it. */
  get server(): TcpServer {
    return { ...this.upstream, host: "127.0.0.1", port: (this.listener.address() as AddressInfo).port };
  }

  /** The server's kernel accepts data, and no answer comes. */
  freeze(): void {
    this.isFrozen = true;
    for (const socket of this.sockets) socket.pause();
  }

  /** The server closes each connection. */
  drop(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  /** The server is gone: its connections end, and a new one is refused. */
  kill(): void {
    this.listener.close();
    this.drop();
  }

  private pass(client: Socket): void {
    const { host, port } = this.upstream;
    const server = connect({ host, port, noDelay: true });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.sockets.add(socket);
      socket.on("data", (chunk) => other.write(chunk));
      socket.on("end", () => other.end());
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        this.sockets.delete(socket);
        other.destroySoon();
      });
      if (this.isFrozen) socket.pause();
    }
  }
}
