import { EventEmitter, once } from "node:events";
import net from "node:net";

/** One connection of the function's, as the relay saw it pass. Times are `performance.now()` milliseconds. */
export interface RelayedConnection {
  readonly id: number;
  /** What `CONNECTION_ID()` answers, read from the server's greeting; absent when it refused ("Too many connections"). */
  readonly threadId: number | undefined;
  readonly openedAt: number;
  /** Its log-in has passed, or the request for TLS before it. Others the server gives up after its `connect_timeout`. */
  readonly loggedIn: boolean;
  /** When COM_QUIT, which is what makes a close clean, passed. */
  readonly quitAt: number | undefined;
  /** With TLS, COM_QUIT cannot be seen: only the server's Aborted_clients tells a clean close then. */
  readonly encrypted: boolean;
  /** When the first side ended it. A connection that outlives its environment stays open here, as it does on the server. */
  readonly closedAt: number | undefined;
  /** After COM_QUIT it is the function that closed, although the server's FIN comes first. */
  readonly closedBy: "function" | "server" | "lab" | undefined;
}

export interface RelayConfig {
  /** The MySQL server's host. */
  readonly host: string;
  /** The MySQL server's port. */
  readonly port: number;
}

interface RelayEvents {
  /** The server has answered, so `threadId` is known. A connection it never answers closes without having opened. */
  readonly open: [RelayedConnection];
  readonly quit: [RelayedConnection];
  readonly close: [RelayedConnection];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
const CLIENT_SSL = 0x800;
const CLIENT_COMPRESS = 0x20;
const CLIENT_ZSTD_COMPRESSION = 0x4000000;
const SSL_REQUEST_LENGTH = 32;
const PROTOCOL_10 = 10;
const COM_QUIT = Buffer.from([0x01]);
// The whole plain packet: what is this short is put into a compressed one as it is.
const COMPRESSED_QUIT = Buffer.from([0x01, 0x00, 0x00, 0x00, 0x01]);

/**
 * The path from one execution environment to the MySQL server, owned by the lab. It stamps COM_QUIT as it passes, and it
 * can make the environment vanish the way AWS does: without a FIN.
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
  readonly #sockets = new Set<net.Socket>();
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
    for (const socket of this.#sockets) socket.resume();
  }

  /** The lab is over. The server counts what is still open as aborted, so read its counters before. */
  async close(): Promise<void> {
    for (const connection of this.#connections) this.#end(connection, "lab");
    const closed = new Promise<void>((resolve) => {
      // Called back with an error where sever() has closed the listener already, which is fine.
      this.#listener.close(() => {
        resolve();
      });
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #relay(client: net.Socket): void {
    const { host, port } = this.#upstream;
    const server = net.connect({ host, port, allowHalfOpen: true, noDelay: true });
    const connection: Mutable<RelayedConnection> = {
      id: this.#connections.length + 1,
      threadId: undefined,
      openedAt: performance.now(),
      loggedIn: false,
      quitAt: undefined,
      encrypted: false,
      closedAt: undefined,
      closedBy: undefined,
    };
    this.#connections.push(connection);
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    }

    // The client's first packet is its log-in, or the request for TLS that goes before it.
    const commands = new PacketReader(5, (packet) => {
      if (!connection.loggedIn) {
        connection.loggedIn = true;
        const capabilities = packet.firstBytes.length < 4 ? 0 : packet.firstBytes.readUInt32LE();
        connection.encrypted = packet.length === SSL_REQUEST_LENGTH && (capabilities & CLIENT_SSL) !== 0;
        if (connection.encrypted) commands.stop();
        if ((capabilities & (CLIENT_COMPRESS | CLIENT_ZSTD_COMPRESSION)) !== 0) commands.expectCompression();
      } else if (isQuit(packet)) {
        connection.quitAt = performance.now();
        this.emit("quit", connection);
      }
    });
    const greeting = new PacketReader(256, (packet) => {
      greeting.stop();
      connection.threadId = readThreadId(packet.firstBytes);
      this.emit("open", connection);
    });

    // What passes is forwarded first and looked at second: the lab must not add to the times it measures.
    client.on("data", (chunk) => {
      if (this.#severed) return;
      if (!server.write(chunk)) client.pause();
      commands.read(chunk);
    });
    server.on("data", (chunk) => {
      if (!this.#severed && !client.write(chunk)) server.pause();
      greeting.read(chunk);
    });
    client.on("drain", () => server.resume());
    server.on("drain", () => client.resume());

    client.on("end", () => {
      if (this.#severed) {
        client.end();
        return;
      }
      server.end();
      this.#end(connection, "function");
    });
    server.on("end", () => {
      this.#end(connection, "server");
      if (this.#severed) server.destroy();
      else client.end();
    });

    // A reset on one side is a reset on the other; a server that refuses the connection arrives here, too.
    client.on("error", () => {
      if (this.#severed) return;
      server.resetAndDestroy();
      this.#end(connection, "function");
    });
    server.on("error", () => {
      this.#end(connection, "server");
      if (!this.#severed) client.resetAndDestroy();
    });
  }

  #end(connection: Mutable<RelayedConnection>, by: "function" | "server" | "lab"): void {
    if (connection.closedAt !== undefined) return;
    connection.closedAt = performance.now();
    connection.closedBy = by === "server" && connection.quitAt !== undefined ? "function" : by;
    this.emit("close", connection);
  }
}

interface PacketStart {
  /** Of the payload. */
  readonly length: number;
  /** 0 begins a command: continuations, the log-in and a file's contents count on from there. */
  readonly sequence: number;
  readonly compressed: boolean;
  /** Of the payload, at most as many as the reader was asked for. */
  readonly firstBytes: Buffer;
}

/**
 * Finds where packets begin in one direction of a MySQL connection. It keeps a header and the first bytes of a payload,
 * never the payload: packets of megabytes pass without being held.
 */
class PacketReader {
  readonly #bytesWanted: number;
  readonly #onPacket: (packet: PacketStart) => void;
  #start = Buffer.alloc(0);
  #toSkip = 0;
  #compression: "none" | "expected" | "on" = "none";
  #stopped = false;

  constructor(bytesWanted: number, onPacket: (packet: PacketStart) => void) {
    this.#bytesWanted = bytesWanted;
    this.#onPacket = onPacket;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** The log-in goes on in plain packets; compressed ones, with their longer header, begin with the first command. */
  expectCompression(): void {
    this.#compression = "expected";
  }

  read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#stopped) {
      const skipped = Math.min(this.#toSkip, chunk.length - at);
      this.#toSkip -= skipped;
      at += skipped;
      const taken = chunk.subarray(at, at + this.#missing());
      at += taken.length;
      this.#start = Buffer.concat([this.#start, taken]);
      if (this.#missing() === 0) this.#packetBegan();
    }
  }

  /** How many bytes are wanted next: first those of the header, which tells how many the payload has. */
  #missing(): number {
    if (this.#start.length < 4) return 4 - this.#start.length;
    if (this.#compression === "expected" && this.#start[3] === 0) this.#compression = "on";
    return this.#headerLength() + Math.min(this.#start.readUIntLE(0, 3), this.#bytesWanted) - this.#start.length;
  }

  #headerLength(): number {
    return this.#compression === "on" ? 7 : 4;
  }

  #packetBegan(): void {
    const length = this.#start.readUIntLE(0, 3);
    const sequence = this.#start.readUInt8(3);
    const firstBytes = this.#start.subarray(this.#headerLength());
    this.#start = Buffer.alloc(0);
    this.#toSkip = length - firstBytes.length;
    this.#onPacket({ length, sequence, compressed: this.#compression === "on", firstBytes });
  }
}

/** Only a command can be COM_QUIT; the same bytes inside a statement or in a continued packet are none. */
function isQuit({ length, sequence, compressed, firstBytes }: PacketStart): boolean {
  const quit = compressed ? COMPRESSED_QUIT : COM_QUIT;
  return sequence === 0 && length === quit.length && firstBytes.equals(quit);
}

/** Protocol::HandshakeV10: version, the server's version ending in NUL, thread id. Anything else is a refusal. */
function readThreadId(greeting: Buffer): number | undefined {
  if (greeting[0] !== PROTOCOL_10) return undefined;
  const versionEnd = greeting.indexOf(0, 1);
  if (versionEnd === -1 || versionEnd + 5 > greeting.length) return undefined;
  return greeting.readUInt32LE(versionEnd + 1);
}
