import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { identifierOf, type ExtensionsApi } from "./extensions-api";
import { json, readBody, refuse, refuseMethod } from "./http-answer";
import { TelemetrySubscriber, type Dropped, type TelemetryEvent } from "./telemetry-subscriber";
import { parseSubscription, SubscriptionError, type Subscription, type TelemetryType } from "./telemetry-subscription";

/** As long as the emulator waits for its subscribers, before it tells the extensions to shut down. */
const FLUSH_MS = 1_000;

const LOGS_DROPPED = "platform.logsDropped";

/**
 * The Telemetry API of one execution environment, with the schema of AWS's documentation and, where that is silent, as
 * AWS's open-source emulator has it (internal/lambda-managed-instances/aws-lambda-rie/internal/telemetry):
 * https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api.html
 */
export class TelemetryApi {
  private readonly subscribers = new Map<string, TelemetrySubscriber>();
  /** What happened in Init, for extensions that subscribe after it. */
  private readonly past: { readonly type: TelemetryType; readonly event: TelemetryEvent }[] = [];
  private isOpen = true;

  constructor(
    private readonly extensions: Pick<ExtensionsApi, "nameOf">,
    private readonly isManaged = false,
  ) {}

  get hasSubscribers(): boolean {
    return this.subscribers.size > 0;
  }

  async handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(incoming);
    if (incoming.method !== "PUT") {
      refuseMethod(response);
      return;
    }
    const id = identifierOf(incoming, response);
    if (id === undefined) return;
    const name = this.extensions.nameOf(id);
    if (name === undefined) {
      refuse(response, 403, "Extension.UnknownExtensionIdentifier", `Unknown extension ${id}`);
      return;
    }
    try {
      const subscription = parseSubscription(body, this.isManaged);
      if (!this.isOpen) {
        refuse(response, 403, "Telemetry.SubscriptionClosed", "Telemetry API subscription is closed");
      } else if (this.subscribers.has(name)) {
        refuse(response, 500, "InternalServerError", "Internal Server Error");
      } else {
        await this.subscribe(name, subscription);
        json(response, 200, "OK");
      }
    } catch (error) {
      const why = error instanceof SubscriptionError ? error.message : `Invalid destination: ${String(error)}`;
      refuse(response, 400, "ValidationError", why);
    }
  }

  emit(type: string, record: unknown): void {
    const event = { time: new Date().toISOString(), type, record };
    const stream = (type.startsWith("platform.") ? "platform" : type) as TelemetryType;
    for (const subscriber of this.subscribers.values()) {
      if (subscriber.subscription.types.has(stream)) subscriber.add(event);
    }
    if (this.isOpen) this.past.push({ type: stream, event });
  }

  /** From the end of Init on, nobody subscribes. */
  closeSubscription(): void {
    this.isOpen = false;
    this.past.length = 0;
  }

  /** A frozen environment receives nothing. */
  pause(): void {
    for (const subscriber of this.subscribers.values()) subscriber.pause();
  }

  resume(): void {
    for (const subscriber of this.subscribers.values()) subscriber.resume();
  }

  /** Sends what there is; waits for the subscribers, but not longer than the emulator does. */
  async flush(): Promise<void> {
    const flushed = Promise.all([...this.subscribers.values()].map((subscriber) => subscriber.flush()));
    const timer = new AbortController();
    await Promise.race([flushed, sleep(FLUSH_MS, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
  }

  stop(): void {
    this.isOpen = false;
    for (const subscriber of this.subscribers.values()) subscriber.stop();
    this.subscribers.clear();
  }

  private async subscribe(name: string, subscription: Subscription): Promise<void> {
    const subscriber = await TelemetrySubscriber.start(subscription, (dropped) => {
      this.dropped(name, dropped);
    });
    this.subscribers.set(name, subscriber);
    for (const { type, event } of this.past) if (subscription.types.has(type)) subscriber.add(event);
    this.emit("platform.telemetrySubscription", { name, state: "Subscribed", types: [...subscription.types] });
  }

  /** Tells the others: who could not be reached with an event cannot be told of it either. */
  private dropped(name: string, record: Dropped): void {
    const event = { time: new Date().toISOString(), type: LOGS_DROPPED, record };
    for (const [each, subscriber] of this.subscribers) {
      if (each !== name && subscriber.subscription.types.has("platform")) subscriber.add(event);
    }
  }
}
