import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { json, readBody, refuse, refuseMethod } from "./http-answer";

/** What the Extensions API tells an extension of the function that it belongs to. */
export interface FunctionMetadata {
  readonly functionName: string;
  readonly functionVersion: string;
  readonly handler: string;
}

export type ExtensionKind = "external" | "internal";
export type ShutdownReason = "spindown" | "timeout" | "failure";
type EventType = "INVOKE" | "SHUTDOWN";

/** An extension's states and their names, as AWS's emulator has them (internal/lambda/core/agent_state_names.go). */
type ExtensionState = "Registered" | "Ready" | "Running" | "InitError" | "ExitError";

interface Extension {
  readonly id: string;
  readonly name: string;
  readonly kind: ExtensionKind;
  readonly events: ReadonlySet<EventType>;
  state: ExtensionState;
  /** The unanswered GET …/event/next. */
  waiting?: ServerResponse | undefined;
  /** What came while it was busy. A later event takes the place of an earlier one. */
  pending?: object | undefined;
}

/** AWS's limit on extensions, internal and external together. */
export const MAX_EXTENSIONS = 10;

/** The account in the lab's ARNs. */
const ACCOUNT_ID = "012345678901";

const METHODS: Readonly<Record<string, string>> = {
  "/register": "POST",
  "/event/next": "GET",
  "/init/error": "POST",
  "/exit/error": "POST",
};

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
    /** On Managed Instances nobody is told of an invocation. */
    private readonly isManaged = false,
  ) {}

  /** Whose identifier it is. */
  nameOf(id: string): string | undefined {
    return this.extensions.get(id)?.name;
  }

  /** Each with its state and what it subscribed to, as the Telemetry API tells it. */
  list(): readonly { readonly name: string; readonly state: string; readonly events: readonly string[] }[] {
    return [...this.extensions.values()].map(({ name, state, events }) => ({ name, state, events: [...events] }));
  }

  count(kind: ExtensionKind): number {
    return [...this.extensions.values()].filter((extension) => extension.kind === kind).length;
  }

  get allExternalsRegistered(): boolean {
    return this.count("external") === this.externals.length;
  }

  /** Each extension has asked for its next event: it has finished Init, or its part of the invocation. */
  get allReady(): boolean {
    return [...this.extensions.values()].every(({ state }) => state === "Ready");
  }

  /** An external extension that did not ask for SHUTDOWN gets SIGKILL in its place. */
  isSubscribed(name: string, type: EventType): boolean {
    return [...this.extensions.values()].some((extension) => extension.name === name && extension.events.has(type));
  }

  /** From the runtime's first GET …/invocation/next on, the API refuses every registration. */
  closeRegistration(): void {
    this.registrationOpen = false;
  }

  send(type: EventType, event: object): void {
    for (const extension of this.extensions.values()) {
      if (!extension.events.has(type)) continue;
      const { state, waiting } = extension;
      if (state === "Ready" && waiting !== undefined) answer(extension, waiting, { eventType: type, ...event });
      else extension.pending = { eventType: type, ...event };
    }
  }

  async handle(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const body = await readBody(request);
    const method = METHODS[path];
    if (method === undefined) {
      response.writeHead(404).end();
      return;
    }
    if (request.method !== method) {
      refuseMethod(response);
      return;
    }
    if (path === "/register") {
      this.register(request, response, body);
      return;
    }
    const id = identifierOf(request, response);
    if (id === undefined) return;
    const isNext = path === "/event/next";
    if (!isNext && (request.headers["lambda-extension-function-error-type"] ?? "") === "") {
      refuse(response, 403, "Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found");
      return;
    }
    const extension = this.extensions.get(id);
    if (extension === undefined) {
      const unknown = isNext ? `Unknown extension ${id}` : "Unknown Lambda-Extension-Identifier";
      refuse(response, 403, "Extension.UnknownExtensionIdentifier", unknown);
    } else if (isNext) {
      this.next(extension, response);
    } else {
      this.error(extension, response, path === "/init/error" ? "InitError" : "ExitError");
    }
  }

  private register(request: IncomingMessage, response: ServerResponse, body: string): void {
    const name = request.headers["lambda-extension-name"];
    if (typeof name !== "string" || name === "") {
      refuse(response, 403, "Extension.InvalidExtensionName", "Empty extension name");
      return;
    }
    const events = parseEvents(body);
    if (typeof events === "string") {
      refuse(response, 403, "InvalidRequestFormat", events);
      return;
    }
    const kind = this.externals.includes(name) ? "external" : "internal";
    const refusal = this.refusalOf(name, kind, events);
    if (refusal !== undefined) {
      refuse(response, 403, ...refusal);
      return;
    }
    const id = randomUUID();
    this.extensions.set(id, { id, name, kind, events: new Set(events as EventType[]), state: "Registered" });
    response.setHeader("Lambda-Extension-Identifier", id);
    const features = String(request.headers["lambda-extension-accept-feature"] ?? "").split(",");
    const wantsAccount = features.some((feature) => feature.trim() === "accountId");
    json(response, 200, { ...(wantsAccount ? { accountId: ACCOUNT_ID } : {}), ...this.metadata });
    this.changed("registered", name);
  }

  /** Type and message, in the order in which Lambda looks. */
  private refusalOf(
    name: string,
    kind: Extension["kind"],
    events: readonly string[],
  ): readonly [errorType: string, errorMessage: string] | undefined {
    const allowed = kind === "internal" ? ["INVOKE"] : ["INVOKE", "SHUTDOWN"];
    const wrong = events.find((event) => !allowed.includes(event) || (this.isManaged && event === "INVOKE"));
    if (wrong !== undefined) {
      const why = wrong === "SHUTDOWN" ? "ShutdownEventNotSupportedForInternalExtension" : "ErrorInvalidEventType";
      return ["Extension.InvalidEventType", `${wrong}: ${why}`];
    }
    const namesake = [...this.extensions.values()].find((extension) => extension.name === name);
    if (kind === "external") return namesake && invalidTransition(namesake.state, "Registered", name);
    if (!this.registrationOpen) return ["Extension.RegistrationClosed", "Extension registration closed already"];
    if (this.externals.length + this.count("internal") >= MAX_EXTENSIONS) {
      return ["Extension.TooManyExtensions", `Extension limit (${MAX_EXTENSIONS}) reached`];
    }
    return namesake && ["Extension.InvalidExtensionState", "Extension with this name already registered"];
  }

  private next(extension: Extension, response: ServerResponse): void {
    if (extension.state !== "Registered" && extension.state !== "Running") {
      refuseTransition(response, extension.state, "Ready", extension.id);
      return;
    }
    extension.state = "Ready";
    if (extension.pending !== undefined) {
      answer(extension, response, extension.pending);
      return;
    }
    extension.waiting = response;
    this.changed("ready", extension.name);
  }

  /** Either error may be reported again; an error in Init only before Init is over, and no other error after it. */
  private error(extension: Extension, response: ServerResponse, to: "InitError" | "ExitError"): void {
    const { state, id, name } = extension;
    const isAllowed = state === to || (to === "InitError" ? state === "Registered" : state !== "InitError");
    if (!isAllowed) {
      refuseTransition(response, state, to === "InitError" ? to : "Exited", id);
      return;
    }
    extension.state = to;
    json(response, 202, { status: "OK" });
    if (state !== to) this.changed(to === "InitError" ? "init error" : "exit error", name);
  }
}

/** The identifier, or undefined after the request was refused for the want of one. */
export function identifierOf(request: IncomingMessage, response: ServerResponse): string | undefined {
  const id = request.headers["lambda-extension-identifier"];
  if (typeof id !== "string" || id === "") {
    refuse(response, 403, "Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header");
  } else if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) {
    refuse(response, 403, "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier");
  } else {
    return id.toLowerCase();
  }
  return undefined;
}

function refuseTransition(response: ServerResponse, from: string, to: string, extension: string): void {
  refuse(response, 403, ...invalidTransition(from, to, extension));
}

function invalidTransition(from: string, to: string, extension: string): readonly [string, string] {
  const why = "Error: State transition is not allowed";
  const message = `State transition from ${from} to ${to} failed for extension ${extension}. ${why}`;
  return ["Extension.InvalidExtensionState", message];
}

function answer(extension: Extension, response: ServerResponse, event: object): void {
  extension.state = "Running";
  extension.waiting = undefined;
  extension.pending = undefined;
  response.setHeader("Lambda-Extension-Event-Identifier", randomUUID());
  json(response, 200, event);
}

/** The events, or what is wrong with the body. */
function parseEvents(body: string): readonly string[] | string {
  try {
    const request: unknown = JSON.parse(body);
    if (request === null) return [];
    if (typeof request !== "object" || Array.isArray(request)) return "the body is not a JSON object";
    const { events, configurationKeys } = request as {
      readonly events?: unknown;
      readonly configurationKeys?: unknown;
    };
    if (Array.isArray(configurationKeys) && configurationKeys.length > 0) {
      return "configurationKeys are deprecated; use environment variables instead";
    }
    const list: unknown = events ?? [];
    const isList = Array.isArray(list) && list.every((event): event is string => typeof event === "string");
    return isList ? list : "events is not a list of strings";
  } catch {
    return "the body is not JSON";
  }
}
