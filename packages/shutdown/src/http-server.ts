import type { ShutdownContext } from "./hooks.ts";

/** What is used of an `http.Server`. */
export interface HttpServer {
  close(callback?: (error?: Error) => void): unknown;
  closeIdleConnections(): void;
  prependListener?(event: "request", listener: (request: unknown, response: Response) => void): unknown;
}

interface Response {
  once(event: "close", listener: () => void): unknown;
  setHeader(name: string, value: string): unknown;
  readonly headersSent: boolean;
}

export interface ServerResult {
  /** Requests that were in flight at SIGTERM or came later, and got their answer. */
  readonly answered: number;
  /** Requests without an answer at the end. */
  readonly cut: number;
}

/** Counts the requests in flight of a server, and closes it when they have ended. */
export class ServerShutdown {
  private readonly inFlight = new Set<Response>();
  private answered = 0;
  private onEnded: (() => void) | undefined;

  constructor(private readonly server: HttpServer) {
    server.prependListener?.("request", (_, response) => {
      this.enter(response);
    });
  }

  /** Stops accepting connections, and resolves when no request is in flight or the time is over. */
  async close({ signal }: ShutdownContext): Promise<ServerResult> {
    this.answered = 0;
    // Requests that the kernel holds already are read in the next turn. Closing now would reset their connections.
    await new Promise(setImmediate);
    this.server.close();
    for (const response of this.inFlight) endConnection(response);
    this.server.closeIdleConnections();
    if (this.inFlight.size > 0) {
      await new Promise<void>((resolve) => {
        this.onEnded = resolve;
        signal.addEventListener("abort", () => {
          resolve();
        });
      });
    }
    return { answered: this.answered, cut: this.inFlight.size };
  }

  private enter(response: Response): void {
    this.inFlight.add(response);
    response.once("close", () => {
      this.inFlight.delete(response);
      this.answered += 1;
      if (this.inFlight.size === 0) this.onEnded?.();
    });
  }
}

/** A client that keeps its connection alive must not send the next request on it. */
function endConnection(response: Response): void {
  if (!response.headersSent) response.setHeader("Connection", "close");
}
