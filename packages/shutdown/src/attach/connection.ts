import type { Socket } from "node:net";
import { now } from "../clock.ts";
import type { Conversation } from "./conversation.ts";
import { PROTOCOLS } from "./protocols.ts";

/** Where a socket connects to, for a second connection to the same server. */
export interface Target {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
}

type Write = Socket["write"];

/** Bytes of a result since SIGTERM after which the driver's work on it would cost the rest of the time. */
const LARGE_RESULT = 1 << 20;

/** A client socket: what it speaks, and its end. */
export class Connection {
  conversation: Conversation | undefined;
  /** The shutdown has said goodbye. */
  isClosed = false;
  /** When the last bytes came that the driver does not see. */
  quietSince = 0;
  private isMuted = false;
  private bytesAtSignal = 0;
  /** The server has sent its FIN. */
  hasServerEnded = false;
  private isEndDelivered = false;
  private guarded: Socket | undefined;

  constructor(
    public socket: Socket,
    readonly target: Target,
  ) {}

  /** @returns false if the connection is left alone from now on */
  sent(chunk: unknown, encoding: unknown): boolean {
    const bytes = asBuffer(chunk, encoding);
    if (bytes === undefined || bytes.length === 0) return true;
    const conversation = (this.conversation ??= startedBy("client", bytes));
    conversation?.sent(bytes);
    return conversation !== undefined;
  }

  received(chunk: unknown): boolean {
    if (this.isMuted) this.quietSince = now();
    if (!Buffer.isBuffer(chunk)) return true;
    const conversation = (this.conversation ??= startedBy("server", chunk));
    conversation?.received(chunk);
    if (this.isClosed && conversation?.awaitsCloseOk === false) this.socket.end();
    return conversation !== undefined;
  }

  /** The driver sees no more bytes. */
  get isHidden(): boolean {
    return this.isMuted;
  }

  /** Reads what the driver does not, or not fast enough: the server reads a goodbye only when its result is sent. */
  readOn(): void {
    const { socket } = this;
    const isLarge = socket.bytesRead - this.bytesAtSignal > LARGE_RESULT;
    if (this.isMuted || (socket.readableFlowing === true && !isLarge)) return;
    this.mute();
  }

  private mute(): void {
    this.isMuted = true;
    this.quietSince = now();
    this.socket._read(0);
  }

  /** An AWS service or another HTTP server, by the protocol that TLS has agreed on. */
  get isHttp(): boolean {
    const { alpnProtocol } = this.socket as { alpnProtocol?: unknown };
    return alpnProtocol === "h2" || alpnProtocol === "http/1.1";
  }

  /** Idle, as far as the bytes tell. */
  get isIdle(): boolean {
    return this.conversation?.isBusy === false;
  }

  /** Says the protocol's goodbye, then FIN. */
  close(write: Write): void {
    this.isClosed = true;
    const goodbye = this.conversation?.goodbye?.();
    if (goodbye !== undefined) write.call(this.socket, goodbye);
    if (this.conversation?.awaitsCloseOk !== true) this.socket.end();
    this.mute();
  }

  /** From now on, a driver that ends the socket without a goodbye (mysql2's `destroy`) says one first. */
  guardEnd(write: Write, onGoodbye: () => void): void {
    if (this.guarded === this.socket) return;
    this.guarded = this.socket; // TLS takes the place of the first one
    this.bytesAtSignal = this.socket.bytesRead;
    for (const name of ["end", "destroy"] as const) {
      const original = Reflect.get(this.socket, name) as (...args: unknown[]) => Socket;
      const guarded = (...args: unknown[]): Socket => {
        if (this.isClosed && name === "destroy") args = []; // an error is no news for the driver
        const goodbye = this.isEndable ? this.conversation?.goodbye?.() : undefined;
        if (goodbye !== undefined && this.socket.writable) {
          this.isClosed = true;
          write.call(this.socket, goodbye);
          onGoodbye();
        }
        return Reflect.apply(original, this.socket, args);
      };
      Object.defineProperty(this.socket, name, {
        value: guarded,
        writable: true,
        configurable: true,
        enumerable: false,
      });
    }
  }

  /** It has a goodbye, and nobody has said it. */
  get isEndable(): boolean {
    return !this.isClosed && !this.isClosing && !this.isHttp && this.conversation?.goodbye !== undefined;
  }

  /** The driver has said goodbye, or has ended its side. */
  get isClosing(): boolean {
    return this.socket.writableEnded || this.conversation?.isClosing === true;
  }

  /** A write of the driver after the goodbye. The driver is told that the server has ended the connection. */
  dropWrite(args: readonly unknown[], push: Socket["push"]): boolean {
    const done = args.find((argument) => typeof argument === "function") as (() => void) | undefined;
    if (done !== undefined) process.nextTick(done);
    if (!this.isEndDelivered) {
      this.isEndDelivered = true;
      setImmediate(() => push.call(this.socket, null));
    }
    return true;
  }
}

function startedBy(side: "client" | "server", bytes: Buffer): Conversation | undefined {
  return PROTOCOLS.find((protocol) => protocol[side]?.(bytes))?.start?.();
}

function asBuffer(chunk: unknown, encoding: unknown): Buffer | undefined {
  if (Buffer.isBuffer(chunk)) return chunk;
  if (typeof chunk === "string")
    return Buffer.from(chunk, typeof encoding === "string" ? (encoding as "utf8") : "utf8");
  return chunk instanceof Uint8Array ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : undefined;
}
