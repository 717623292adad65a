import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import type { Subscription, TelemetryDestination } from "./telemetry-subscription";

/** An event as it is sent. */
export interface TelemetryEvent {
  readonly time: string;
  readonly type: string;
  readonly record: unknown;
}

/** What a subscriber did not get. */
export interface Dropped {
  readonly droppedBytes: number;
  readonly droppedRecords: number;
  readonly reason: string;
}

type Send = (events: readonly string[]) => Promise<void>;

/** Collects events into batches, and sends one batch after the other. */
export class TelemetrySubscriber {
  private batch: string[] = [];
  private bytes = 0;
  private timer: NodeJS.Timeout | undefined;
  private isPaused = false;
  /** Its time came while the environment was frozen. */
  private isDue = false;
  /** Resolves when everything that was handed over has been sent. */
  private sent: Promise<void> = Promise.resolve();

  private constructor(
    readonly subscription: Subscription,
    private readonly send: Send,
    private readonly close: () => void,
    private readonly onDropped: (dropped: Dropped) => void,
  ) {}

  /** @throws if a TCP destination does not listen */
  static async start(subscription: Subscription, onDropped: (dropped: Dropped) => void): Promise<TelemetrySubscriber> {
    const { send, close } = await senderTo(subscription.destination);
    return new TelemetrySubscriber(subscription, send, close, onDropped);
  }

  add(event: TelemetryEvent): void {
    const text = JSON.stringify(event);
    this.batch.push(text);
    this.bytes += Buffer.byteLength(text);
    const { maxItems, maxBytes, timeoutMs } = this.subscription.buffering;
    if (this.batch.length >= maxItems || this.bytes >= maxBytes) this.hand();
    else
      this.timer ??= setTimeout(() => {
        this.hand();
      }, timeoutMs).unref();
  }

  /** A frozen environment receives nothing. */
  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    if (this.isDue) this.hand();
  }

  /** Sends what there is now; resolves when it has arrived. */
  async flush(): Promise<void> {
    this.hand();
    await this.sent;
  }

  stop(): void {
    clearTimeout(this.timer);
    this.batch = [];
    this.close();
  }

  private hand(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.isDue = this.isPaused;
    if (this.isPaused || this.batch.length === 0) return;
    const { batch, bytes } = this;
    this.batch = [];
    this.bytes = 0;
    this.sent = this.sent
      .then(() => this.send(batch))
      .catch((error: unknown) => {
        const reason = `could not send events: ${error instanceof Error ? error.message : String(error)}`;
        this.onDropped({ droppedBytes: bytes, droppedRecords: batch.length, reason });
      });
  }
}

async function senderTo(destination: TelemetryDestination): Promise<{ send: Send; close: () => void }> {
  if (destination.protocol === "HTTP") {
    const { port, path } = destination;
    return { send: async (events) => post(port, path, `[${events.join(",")}]`), close: () => undefined };
  }
  const socket = connect(destination.port, "127.0.0.1");
  await once(socket, "connect");
  socket.on("error", () => undefined); // told by the write that fails
  socket.unref();
  return {
    send: async (events) => write(socket, events.map((event) => `${event}\n`).join("")),
    close: () => socket.destroy(),
  };
}

async function post(port: number, path: string, body: string): Promise<void> {
  const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
  await new Promise<void>((resolve, reject) => {
    request({ host: "127.0.0.1", port, path, method: "POST", headers, agent: false }, (response) => {
      const { statusCode = 0 } = response;
      response.resume().once("error", reject);
      response.once("end", () => {
        if (statusCode < 400) resolve();
        else reject(new Error(`the subscriber answered ${statusCode}`));
      });
    })
      .once("error", reject)
      .once("socket", (socket) => socket.unref())
      .end(body);
  });
}

async function write(socket: Socket, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.write(text, (error) => {
      if (error == null) resolve();
      else reject(error);
    });
  });
}
