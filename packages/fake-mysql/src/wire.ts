import { once } from "node:events";
import type { Socket } from "node:net";
import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import { TLSSocket, type SecureContext } from "node:tls";
import { integer } from "./packets.ts";

/**
 * How packets are cut into what the client reads at once: an answer in one write, a write for each packet, or a write
 * for each byte.
 */
export type Delivery = "answers" | "packets" | "bytes";

const HEADER_LENGTH = 4;
const LONGEST_PAYLOAD = 0xffffff;

/** One connection as a stream of packets, in clear text and later perhaps under TLS. */
export class Wire {
  #socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;
  /** Of the next packet in either direction; each command begins at 0 again. */
  #sequence = 0;

  constructor(
    private readonly plain: Socket,
    private readonly delivery: () => Delivery,
  ) {
    plain.setNoDelay(true);
    this.#socket = plain;
    this.#listen();
  }

  get isOpen(): boolean {
    return !this.#ended;
  }

  /** The next packet's payload; undefined when the client has gone. */
  async read(): Promise<Buffer | undefined> {
    for (;;) {
      const payload = this.#take();
      if (payload !== undefined) return payload;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Sends packets; nothing arrives any more at a client that has gone. */
  async write(...payloads: readonly Buffer[]): Promise<void> {
    const packets = payloads.map((payload) =>
      Buffer.concat([integer(payload.length, 3), Buffer.of(this.#sequence++ & 0xff), payload]),
    );
    switch (this.delivery()) {
      case "answers":
        return this.#send(Buffer.concat(packets));
      case "packets":
        for (const packet of packets) await this.#send(packet);
        return;
      case "bytes":
        for (const byte of Buffer.concat(packets)) await this.#send(Buffer.of(byte));
    }
  }

  /** The next packet begins an exchange. What nobody has asked for begins one, too. */
  beginExchange(): void {
    this.#sequence = 0;
  }

  /** Answers the client's SSLRequest, whose ClientHello may have come along with it. */
  async secure(secureContext: SecureContext): Promise<{ serverName: string | false | null; resumed: boolean }> {
    this.plain.removeAllListeners("data");
    this.plain.pause();
    if (this.#received.length > 0) this.plain.unshift(this.#received);
    this.#received = Buffer.alloc(0);
    const secured = new TLSSocket(this.plain, { isServer: true, secureContext });
    this.#socket = secured;
    this.#listen();
    if (!this.#ended) await Promise.race([once(secured, "secure"), once(secured, "close")]);
    const { servername } = secured as unknown as { readonly servername: string | false | null };
    return { serverName: servername, resumed: secured.isSessionReused() };
  }

  end(): void {
    this.#socket.end();
  }

  reset(): void {
    this.plain.resetAndDestroy();
    this.#over();
  }

  destroy(): void {
    this.plain.destroy();
    this.#over();
  }

  #listen(): void {
    this.#socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake?.();
    });
    for (const event of ["end", "close", "error"]) {
      this.#socket.on(event, () => {
        this.#over();
      });
    }
  }

  #over(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async #send(bytes: Buffer): Promise<void> {
    if (!this.#socket.writable) return;
    this.#socket.write(bytes);
    // The next write is another segment, since the kernel is told to delay none.
    await turnOfTheLoop();
  }

  #take(): Buffer | undefined {
    const parts: Buffer[] = [];
    for (let at = 0, length = LONGEST_PAYLOAD; length === LONGEST_PAYLOAD; at += HEADER_LENGTH + length) {
      if (this.#received.length < at + HEADER_LENGTH) return undefined;
      length = this.#received.readUIntLE(at, 3);
      const end = at + HEADER_LENGTH + length;
      if (this.#received.length < end) return undefined;
      parts.push(this.#received.subarray(at + HEADER_LENGTH, end));
      if (length === LONGEST_PAYLOAD) continue;
      this.#sequence = this.#received.readUInt8(at + 3) + 1;
      this.#received = this.#received.subarray(end);
    }
    return Buffer.concat(parts);
  }
}
