import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { json, readBody, refuse } from "./http-answer";

/** What the Extensions API tells an extension of the function that it belongs to. */
export interface FunctionMetadata {
  readonly functionName: string;
  readonly functionVersion: string;
  readonly handler: string;
}

export type ExtensionKind = "external" | "internal";
export type ShutdownReason = "spindown" | "timeout" | "failure";
type EventType = "INVOKE" | "SHUTDOWN";

interface Extension {
  readonly id: string;
  readonly name: string;
  readonly kind: ExtensionKind;
  readonly events: ReadonlySet<EventType>;
  /** The unanswered GET …/event/next; present means that the extension waits, so it is ready. */
  waiting?: ServerResponse | undefined;
  readonly queue: object[];
  /** It has asked for an event before, so its Init is over. */
  asked: boolean;
}

/** AWS's limit on extensions, internal and external together. */
const MAX_EXTENSIONS = 10;

/**
 * The Extensions API of one execution environment, with the refusals that AWS's open-source emulator gives:
 * https://github.com/aws/aws-lambda-runtime-interface-emulator (internal/lambda/rapi/handler),
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
 */
export class ExtensionsApi {
  private readonly extensions = new Map<string, Extension>();
  private registrationOpen = true;

  /**
   * @param externals names of the programs in /opt/extensions: one of these that registers is external, any other
   * name is an internal extension, which lives in the runtime's process
   */
  constructor(
    private readonly metadata: FunctionMetadata,
    private readonly externals: readonly string[],
    private readonly changed: (event: string, extension: string) => void,
  ) {}

  count(kind: ExtensionKind): number {
    return [...this.extensions.values()].filter((extension) => extension.kind === kind).length;
  }

  get allExternalsRegistered(): boolean {
    return this.count("external") === this.externals.length;
  }

  /** Each extension has asked for its next event: it has finished Init, or its part of the invocation. */
  get allReady(): boolean {
    return [...this.extensions.values()].every((extension) => extension.waiting !== undefined);
  }

  /** An external extension that did not ask for SHUTDOWN gets SIGKILL in its place. */
  isSubscribed(name: string, type: EventType): boolean {
    return [...this.extensions.values()].some((extension) => extension.name === name && extension.events.has(type));
  }

  /** From the runtime's first GET …/invocation/next on, nobody can register. */
  closeRegistration(): void {
    this.registrationOpen = false;
  }

  send(type: EventType, event: object): void {
    for (const extension of this.extensions.values()) {
      if (!extension.events.has(type)) continue;
      if (extension.waiting === undefined) {
        extension.queue.push({ eventType: type, ...event });
        continue;
      }
      answerEvent(extension.waiting, { eventType: type, ...event });
      extension.waiting = undefined;
    }
  }

  async handle(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const body = await readBody(request);
    const route = `${request.method ?? ""} ${path}`;
    if (route === "POST /register") {
      this.register(request, response, body);
      return;
    }
    const id = request.headers["lambda-extension-identifier"];
    if (typeof id !== "string" || id === "") {
      refuse(response, 403, "Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header");
      return;
    }
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) {
      refuse(response, 403, "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier");
      return;
    }
    const extension = this.extensions.get(id);
    if (extension === undefined) {
      refuse(response, 403, "Extension.UnknownExtensionIdentifier", `Unknown extension ${id}`);
      return;
    }
    switch (route) {
      case "GET /event/next":
        this.next(extension, response);
        return;
      case "POST /init/error":
      case "POST /exit/error":
        if ((request.headers["lambda-extension-function-error-type"] ?? "") === "") {
          refuse(response, 403, "Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found");
          return;
        }
        if (path === "/init/error" && extension.asked) {
          refuseTransition(response, extension, "InitError");
          return;
        }
        json(response, 202, { status: "OK" });
        this.changed(path === "/init/error" ? "init error" : "exit error", extension.name);
        return;
      default:
        response.writeHead(404).end();
    }
  }

  private register(request: IncomingMessage, response: ServerResponse, body: string): void {
    const name = request.headers["lambda-extension-name"];
    if (typeof name !== "string" || name === "") {
      refuse(response, 403, "Extension.InvalidExtensionName", "Empty extension name");
      return;
    }
    const events = parseEvents(body);
    if (events === undefined) {
      refuse(response, 403, "InvalidRequestFormat", "the body is not a JSON object with a list of events");
      return;
    }
    const kind = this.externals.includes(name) ? "external" : "internal";
    const wrong = events.find((event) => event !== "INVOKE" && (event !== "SHUTDOWN" || kind === "internal"));
    if (wrong !== undefined) {
      const why = wrong === "SHUTDOWN" ? "ShutdownEventNotSupportedForInternalExtension" : "ErrorInvalidEventType";
      refuse(response, 403, "Extension.InvalidEventType", `${wrong}: ${why}`);
      return;
    }
    if (!this.registrationOpen) {
      refuse(response, 403, "Extension.RegistrationClosed", "Extension registration closed already");
      return;
    }
    if (this.extensions.size >= MAX_EXTENSIONS) {
      refuse(response, 403, "Extension.TooManyExtensions", `Extension limit (${MAX_EXTENSIONS}) reached`);
      return;
    }
    if ([...this.extensions.values()].some((extension) => extension.name === name)) {
      refuse(response, 403, "Extension.InvalidExtensionState", "Extension with this name already registered");
      return;
    }
    const id = randomUUID();
    this.extensions.set(id, { id, name, kind, events: new Set(events as EventType[]), queue: [], asked: false });
    response.setHeader("Lambda-Extension-Identifier", id);
    json(response, 200, this.metadata);
    this.changed("registered", name);
  }

  private next(extension: Extension, response: ServerResponse): void {
    if (extension.waiting !== undefined) {
      refuseTransition(response, extension, "Ready");
      return;
    }
    extension.asked = true;
    const event = extension.queue.shift();
    if (event !== undefined) {
      answerEvent(response, event);
      return;
    }
    extension.waiting = response;
    this.changed("ready", extension.name);
  }
}

function refuseTransition(response: ServerResponse, { id, waiting, asked }: Extension, to: string): void {
  const from = waiting !== undefined ? "Ready" : asked ? "Running" : "Registered";
  const errorMessage = `State transition from ${from} to ${to} failed for extension ${id}. Error: State transition is not allowed`;
  refuse(response, 403, "Extension.InvalidExtensionState", errorMessage);
}

function answerEvent(response: ServerResponse, event: object): void {
  response.setHeader("Lambda-Extension-Event-Identifier", randomUUID());
  json(response, 200, event);
}

function parseEvents(body: string): string[] | undefined {
  try {
    const { events = [] } = JSON.parse(body) as { events?: unknown };
    return Array.isArray(events) ? events.map(String) : undefined;
  } catch {
    return undefined;
  }
}
