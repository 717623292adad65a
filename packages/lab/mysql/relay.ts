import { EventEmitter, once } from "node:events";
import net from "node:net";
import type { SecureContext } from "node:tls";
import { watchMysql } from "./mysql-watch";
import { RelayTls } from "./relay-tls";
import type { Mutable, ProtocolWatch, RelayedConnection, WatchProtocol } from "./relayed-connection";
import { RelayedSide } from "./relayed-side";

export type { RelayedConnection, Watched, WatchProtocol } from "./relayed-connection";

export interface RelayConfig {
  /** The server's host. */
  readonly host: string;
  /** The server's port. */
  readonly port: number;
  /** What recognizes a connection's log-in and its end message. @default watchMysql */
  readonly watch?: WatchProtocol;
  /**
   * The certificate for functions that ask for TLS: then the relay is the other end of it, and sees COM_QUIT. For MySQL.
   * @default - TLS passes through to the server
   */
  readonly tls?: SecureContext;
}

interface RelayEvents {
  /** The server has answered, so `threadId` is known. A connection it never answers closes without having opened. */
  readonly open: [RelayedConnection];
  /** The server has refused the log-in. */
  readonly refused: [RelayedConnection];
  readonly quit: [RelayedConnection];
  readonly close: [RelayedConnection];
}

/** One relayed connection with both of its sides. */
interface Path {
  readonly connection: Mutable<RelayedConnection>;
  readonly client: RelayedSide;
  readonly server: RelayedSide;
  readonly watching: ProtocolWatch;
  readonly tls: RelayTls | undefined;
}

/**
 * The path from one execution environment to a server, owned by the lab. It notes when COM_QUIT or the end message of
 * another protocol passes, and it can make the environment vanish the way AWS does: without a FIN.
 *
 * @example
 * const relay = await Relay.start({ host: "127.0.0.1", port: 3306 });
 * // … the function runs with DB_PORT = relay.port …
 * relay.sever();
 * runtime.kill("SIGKILL");
 */
export class Relay extends EventEmitter<RelayEvents> {
  readonly #upstream: RelayConfig;
  readonly #connections: Mutable<RelayedConnection>[] = [];
  readonly #sides = new Set<RelayedSide>();
  // Half-open sockets, so that a FIN is forwarded when it comes and not answered by the relay itself.
  readonly #listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    this.#relay(client);
  });
  #severed = false;

  private constructor(upstream: RelayConfig) {
    super();
    this.#upstream = upstream;
  }

  static async start(upstream: RelayConfig): Promise<Relay> {
    const relay = new Relay(upstream);
    relay.#listener.listen(0, "127.0.0.1");
    await once(relay.#listener, "listening");
    return relay;
  }

  get port(): number {
    const address = this.#listener.address();
    if (address === null || typeof address === "string") throw new Error("the relay no longer listens");
    return address.port;
  }

  get connections(): readonly RelayedConnection[] {
    return this.#connections;
  }

  /**
   * From this moment the environment is gone: no byte, FIN or RST passes any more, in either direction. The sockets to
   * the server stay open and drained, so it keeps the threads until `wait_timeout`, as it does in production.
   * Takes effect before it returns, so the next line may kill the process.
   */
  sever(): void {
    if (this.#severed) return;
    this.#severed = true;
    this.#listener.close();
    // A side that waited for the other one to drain has nothing to wait for now.
    for (const side of this.#sides) side.resume();
  }

  /** The lab is over. The server counts what is still open as aborted, so read its counters before. */
  async close(): Promise<void> {
    for (const connection of this.#connections) this.#end(connection, "lab");
    // Called back with an error where sever() has closed the listener already, which is fine.
    const closed = new Promise((resolve) => this.#listener.close(resolve));
    for (const side of this.#sides) side.destroy();
    await closed;
  }

  #relay(clientSocket: net.Socket): void {
    const { host, port, tls, watch = watchMysql } = this.#upstream;
    const connection: Mutable<RelayedConnection> = {
      ...{ id: this.#connections.length + 1, clientPort: clientSocket.remotePort, openedAt: performance.now() },
      ...{ threadId: undefined, loggedIn: false, quitAt: undefined, encrypted: false },
      ...{ closedAt: undefined, closedBy: undefined },
    };
    this.#connections.push(connection);
    const client = this.#side(clientSocket);
    const server = this.#side(net.connect({ host, port, allowHalfOpen: true, noDelay: true }));
    const watching = watch(connection, (event) => {
      if (event === "quit") connection.quitAt = performance.now();
      this.emit(event, connection);
    });
    const end = tls && new RelayTls(client, server, tls, () => (connection.tls = "at the relay"));
    const path = { connection, client, server, watching, tls: end };
    this.#passOnFromFunction(path);
    this.#passOnFromServer(path);
  }

  #side(socket: net.Socket): RelayedSide {
    const side = new RelayedSide(socket);
    this.#sides.add(side);
    socket.on("close", () => this.#sides.delete(side));
    return side;
  }

  // Bytes are forwarded first and read second, so that the lab does not add to the times that it measures.
  #passOnFromFunction({ connection, client, server, watching, tls }: Path): void {
    client.listen({
      data: (chunk) => {
        if (this.#severed) return;
        const passing = tls?.fromFunction(chunk) ?? chunk;
        if (passing.length === 0) return;
        if (!server.write(passing)) client.pause();
        watching.fromFunction(passing);
      },
      drain: () => {
        server.resume();
      },
      end: () => {
        if (this.#severed) {
          client.end();
          return;
        }
        server.end();
        this.#end(connection, "function", "FIN");
      },
      error: (error) => {
        if (this.#severed) return;
        // Such as a certificate that the function does not trust: it says so, and then ends the connection with a FIN.
        const isOfTls = /^ERR_(SSL|TLS)_/.test(error.code ?? "");
        if (isOfTls) connection.tls = "failed";
        if (isOfTls) server.end();
        else server.reset();
        this.#end(connection, "function", isOfTls ? "FIN" : "RST");
      },
    });
  }

  #passOnFromServer({ connection, client, server, watching, tls }: Path): void {
    server.listen({
      data: (chunk) => {
        const passing = tls?.fromServer(chunk) ?? chunk;
        if (passing.length === 0) return;
        if (!this.#severed && !client.write(passing)) server.pause();
        watching.fromServer(passing);
      },
      drain: () => {
        client.resume();
      },
      end: () => {
        this.#end(connection, "server", "FIN");
        if (this.#severed) server.destroy();
        else client.end();
      },
      // A server that refuses the connection arrives here, too.
      error: () => {
        this.#end(connection, "server", "RST");
        if (!this.#severed) client.reset();
      },
    });
  }

  #end(connection: Mutable<RelayedConnection>, by: "function" | "server" | "lab", ended?: "FIN" | "RST"): void {
    if (connection.closedAt !== undefined) return;
    if (ended !== undefined) connection.endedWith = ended;
    connection.closedAt = performance.now();
    connection.closedBy = by === "server" && connection.quitAt !== undefined ? "function" : by;
    this.emit("close", connection);
  }
}
