import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { diagnosticsChannel } from "./node-modules.ts";

export interface ServerResult {
  /** Requests that were in flight at SIGTERM or came later, and got their whole answer. */
  readonly answered: number;
  /** Requests without a whole answer at the end. */
  readonly cut: number;
}

/** What Node.js publishes with each request: https://nodejs.org/api/diagnostics_channel.html#http */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Socket;
  readonly server: Server;
}

/** A socket of an HTTP server. `parser` is null after an upgrade, such as that to WebSocket. */
interface ServerSocket extends Socket {
  readonly server?: Server;
  readonly parser?: object | null;
}

const CHANNELS = { request: "http.server.request.start", socket: "net.server.socket" } as const;

/**
 * The kernel holds a connection, its first bytes, and bytes behind those. Each takes a turn of the event loop, and libuv
 * accepts one connection a turn: https://github.com/libuv/libuv/pull/3696
 */
const TURNS = 3;

/** A flood of connections must not keep a server from its end. */
const MOST_TURNS = 1_000;

const PACE_MS = 1;

/** The requests in flight of HTTP servers, and the end of the servers when they have been answered. */
export class HttpServers {
  private readonly exchanges = new Set<Exchange>();
  /** Open connections, with the bytes that each had received when its last answer ended. */
  private readonly sockets = new Map<ServerSocket, number>();
  /** Responses that tell the client to close the connection. */
  private readonly last = new WeakSet<ServerResponse>();
  /** Each with its own `close`. */
  private readonly servers = new Map<Server, Server["close"]>();
  private isClosing = false;
  private answered = 0;
  /** Connections and requests. */
  private arrivals = 0;
  /** Begins with SIGTERM. */
  private kernelIsRead: Promise<void> | undefined;

  /** @param isOwn tells the servers that it is about */
  constructor(isOwn: (server: Server) => boolean = () => true) {
    diagnosticsChannel.subscribe(CHANNELS.request, (message) => {
      const exchange = message as Exchange;
      if (isOwn(exchange.server)) this.enter(exchange);
    });
    diagnosticsChannel.subscribe(CHANNELS.socket, (message) => {
      const { socket } = message as { readonly socket: ServerSocket };
      if (isHttpServer(socket.server) && isOwn(socket.server)) this.open(socket);
    });
  }

  /** From now on the server does not reset a connection that waits, nor destroy one that has a request in flight. */
  hold(server: Server): void {
    if (this.servers.has(server)) return;
    const close = server.close.bind(server);
    this.servers.set(server, close);
    this.kernelIsRead ??= this.readKernel();
    server.close = (callback) => {
      if (this.isClosing) close(callback);
      else void this.kernelIsRead?.then(() => close(callback));
      return server;
    };
    // Node.js' own destroys connections to which the answer is still being sent, and `server.close()` calls it. Other
    // listeners to SIGTERM call all three.
    server.closeIdleConnections = server.closeAllConnections = () => {
      this.closeIdle();
    };
  }

  /** Stops accepting connections, and resolves when no request is in flight or the time is over. */
  async close(isOver: () => boolean, over: Promise<unknown> = new Promise(() => undefined)): Promise<ServerResult> {
    this.answered = 0;
    let wake: () => void = () => undefined;
    // Once: a race in each turn would leave a thousand reactions to run at the end.
    void over.then(() => {
      wake();
    });
    await (this.kernelIsRead ??= this.readKernel());
    await Promise.resolve(); // closes that other listeners to SIGTERM have asked for go first
    this.isClosing = true;
    for (const [server, close] of this.servers) if (server.listening) close();
    for (const exchange of this.exchanges) this.announceEnd(exchange);
    for (;;) {
      this.closeIdle();
      if (this.isIdle() || isOver()) return { answered: this.answered, cut: this.exchanges.size };
      await new Promise<void>((resolve) => setTimeout((wake = resolve), PACE_MS));
    }
  }

  /** Closing before the kernel's bytes are read would reset their connections. */
  private async readKernel(): Promise<void> {
    for (let turn = 0, quiet = 0; quiet < TURNS && turn < MOST_TURNS; turn += 1) {
      const { arrivals } = this;
      await new Promise(setImmediate);
      quiet = this.arrivals > arrivals ? 0 : quiet + 1;
    }
  }

  private enter(exchange: Exchange): void {
    const { request, response, socket, server } = exchange;
    this.arrivals += 1;
    this.exchanges.add(exchange);
    if (!this.sockets.has(socket)) this.open(socket); // of a server with TLS
    response.once("close", () => {
      if (response.writableFinished) this.answered += 1;
      // The rest of an upload is read, as its client may read the answer afterwards.
      if (request.complete || socket.destroyed) this.leave(exchange);
      else
        for (const event of ["end", "close"])
          request.once(event, () => {
            this.leave(exchange);
          });
    });
    if (!this.isClosing) return;
    this.hold(server); // it began to listen late
    this.announceEnd(exchange);
  }

  private leave(exchange: Exchange): void {
    const { socket } = exchange;
    this.exchanges.delete(exchange);
    if (this.sockets.has(socket)) this.sockets.set(socket, socket.bytesRead);
  }

  private open(socket: ServerSocket): void {
    this.arrivals += 1;
    this.sockets.set(socket, socket.bytesRead);
    socket.once("close", () => {
      this.sockets.delete(socket);
      for (const exchange of this.exchanges) if (exchange.socket === socket) this.exchanges.delete(exchange);
    });
  }

  /** A client that keeps its connection alive must not send the next request on it, behind those that are there. */
  private announceEnd({ request, response, socket }: Exchange): void {
    for (const other of this.exchanges) {
      if (other.socket !== socket || other.response === response || !this.last.has(other.response)) continue;
      if (!other.response.headersSent) other.response.removeHeader("Connection");
    }
    const { "content-length": length = "0", "transfer-encoding": encoding } = request.headers;
    const isWhole = request.complete || (length === "0" && encoding === undefined);
    if (response.headersSent || response.hasHeader("Connection") || !isWhole) return;
    response.setHeader("Connection", "close");
    this.last.add(response);
  }

  private closeIdle(): void {
    const busy = new Set([...this.exchanges].map(({ socket }) => socket));
    for (const socket of this.sockets.keys()) {
      if (socket.parser != null && !busy.has(socket) && !this.isReceiving(socket)) socket.destroy();
    }
  }

  private isIdle(): boolean {
    return this.exchanges.size === 0 && ![...this.sockets.keys()].some((socket) => this.isReceiving(socket));
  }

  /** A part of a request's header has come. */
  private isReceiving(socket: ServerSocket): boolean {
    return socket.parser != null && socket.bytesRead > (this.sockets.get(socket) ?? 0);
  }
}

export function isHttpServer(value: unknown): value is Server {
  const { closeIdleConnections, close } = (value ?? {}) as Partial<Server>;
  return typeof closeIdleConnections === "function" && typeof close === "function";
}
