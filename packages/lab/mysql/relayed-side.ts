import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

interface SideListeners {
  readonly data: (chunk: Buffer) => void;
  readonly drain: () => void;
  readonly end: () => void;
  readonly error: (error: NodeJS.ErrnoException) => void;
}

/** One side of a relayed connection: a TCP socket, which may go on under TLS. */
export class RelayedSide {
  #stream: Socket;
  #listeners: SideListeners | undefined;

  constructor(private readonly tcp: Socket) {
    this.#stream = tcp;
  }

  listen(listeners: SideListeners): void {
    this.#listeners = listeners;
    for (const [event, listener] of Object.entries(listeners)) this.#stream.on(event, listener as () => void);
  }

  /** @param begun bytes of TLS that came along with the plain ones */
  secure(begun: Buffer, wrap: (tcp: Socket) => TLSSocket): void {
    for (const event of Object.keys(this.#listeners ?? {})) this.tcp.removeAllListeners(event);
    this.tcp.on("error", () => undefined); // the TLS socket says it as well
    this.tcp.pause();
    if (begun.length > 0) this.tcp.unshift(begun);
    this.#stream = wrap(this.tcp);
    if (this.#listeners !== undefined) this.listen(this.#listeners);
  }

  /** Whether the other side may go on writing. */
  write(chunk: Buffer): boolean {
    return this.#stream.write(chunk);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** A FIN; under TLS with the close_notify before it. */
  end(): void {
    this.#stream.end();
  }

  /** An RST. The kernel's socket is below TLS, which has no such thing. */
  reset(): void {
    this.tcp.resetAndDestroy();
  }

  destroy(): void {
    this.tcp.destroy();
  }
}
