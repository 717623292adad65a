import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ExtensionsApi, type FunctionMetadata } from "./extensions-api";
import { json, readBody, readBodyUpTo, refuse, refuseMethod } from "./http-answer";
import { METADATA_PATH, MetadataApi } from "./metadata-api";
import { TelemetryApi } from "./telemetry-api";

export interface Invocation {
  readonly requestId: string;
  /** The event, as JSON text. */
  readonly event: string;
  /** Unix time in milliseconds at which the function times out. */
  readonly deadlineMs: number;
  readonly functionArn: string;
}

/** What a runtime or a function says went wrong. */
export interface LambdaError {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly stackTrace?: readonly string[];
  /** The same, as AWS's Node.js client names it. */
  readonly trace?: readonly string[];
}

export interface RuntimeApiEvents {
  /** The runtime asks for an invocation, and has not answered the one before. */
  askedTooEarly?(): void;
  /** The runtime asks for an invocation: Init is done, or the invocation before it. */
  runtimeReady(): void;
  initError(error: LambdaError): void;
  invocationDone(requestId: string, outcome: { readonly response: string } | { readonly error: LambdaError }): void;
  extensionChanged(event: string, extension: string): void;
}

/** Lambda's limits on a response: 6 MB, and 200 MB where it is streamed. */
const MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100;
const MAX_STREAMED_BYTES = 200 * 1024 * 1024;

/**
 * AWS's client for Node.js puts a whole error into a header, up to the 1 MB that libcurl sends, and Node.js' server takes
 * 16 kB. Other clients send more: an error may be as long as a response, and JSON may double the length of a text.
 */
const MAX_HEADER_BYTES = 2 * MAX_RESPONSE_BYTES;

/** X-Ray's header of every invocation: not sampled. */
export const TRACE_ID = "Root=1-00000000-000000000000000000000000;Sampled=0";

/** The runtime's states and their names, as AWS's emulator has them (internal/lambda/core/states.go). */
type RuntimeState = "Started" | "InitError" | "Ready" | "Running" | "InvocationResponse" | "RuntimeResponseSentState";

/** The API before the Telemetry API. Here, as in AWS's emulator, a subscription is accepted and nothing is sent. */
const LOGS_PATH = "/2020-08-15/logs";
/** The documentation writes it with and without the slash at its end. */
export const TELEMETRY_PATH = /^\/2022-07-01\/telemetry\/?$/;

/**
 * The Runtime API and the Extensions API of one execution environment, from one Init to the Shutdown or reset after it,
 * with the states and refusals of AWS's open-source emulator:
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 * https://github.com/aws/aws-lambda-runtime-interface-emulator (internal/lambda/rapi)
 */
export class RuntimeApi {
  readonly extensions: ExtensionsApi;
  readonly telemetry: TelemetryApi;
  private readonly metadata = new MetadataApi();
  private readonly server: Server;
  private state: RuntimeState = "Started";
  /** The unanswered GET …/invocation/next, the first of which gets the next invocation. */
  private readonly waiting: ServerResponse[] = [];
  /** The invocation that the runtime has, until it asks for the next one. */
  private current: Invocation | undefined;

  private constructor(
    metadata: FunctionMetadata,
    externals: readonly string[],
    private readonly events: RuntimeApiEvents,
  ) {
    this.extensions = new ExtensionsApi(metadata, externals, (event, name) => {
      events.extensionChanged(event, name);
    });
    this.telemetry = new TelemetryApi(this.extensions);
    this.server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
      this.route(request, response).catch((error: unknown) => {
        if (!response.headersSent) refuse(response, 500, "InternalServerError", String(error));
      });
    });
    // The clients wait for their next event for as long as the environment is idle.
    this.server.requestTimeout = 0;
    this.server.keepAliveTimeout = 0;
  }

  static async start(
    metadata: FunctionMetadata,
    externals: readonly string[],
    events: RuntimeApiEvents,
  ): Promise<RuntimeApi> {
    const api = new RuntimeApi(metadata, externals, events);
    await new Promise<void>((resolve, reject) => {
      api.server.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
    return api;
  }

  /** What tells a process where the APIs are. */
  get variables(): Readonly<Record<string, string>> {
    return { AWS_LAMBDA_RUNTIME_API: this.address, ...this.metadata.variables(this.address) };
  }

  /** Value of AWS_LAMBDA_RUNTIME_API. */
  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The runtime waits for an invocation. */
  get runtimeIsReady(): boolean {
    return this.state === "Ready";
  }

  /** Hands an invocation to the runtime, which has to be ready for it. */
  invoke(invocation: Invocation): void {
    const waiting = this.waiting.shift();
    if (this.state !== "Ready" || waiting === undefined) throw new Error("the runtime does not wait for an invocation");
    this.state = "Running";
    this.current = invocation;
    hand(invocation, waiting);
  }

  async close(): Promise<void> {
    this.telemetry.stop();
    await new Promise((resolve) => {
      this.server.close(resolve);
      this.server.closeAllConnections();
    });
  }

  private async route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://runtime");
    const extension = /^\/2020-01-01\/extension(\/.*)$/.exec(pathname)?.[1];
    if (extension !== undefined) {
      await this.extensions.handle(request, response, extension);
      return;
    }
    if (TELEMETRY_PATH.test(pathname)) {
      await this.telemetry.handle(request, response);
      return;
    }
    if (pathname === METADATA_PATH) {
      this.metadata.handle(request, response);
      return;
    }
    if (pathname === LOGS_PATH) {
      if (request.method === "PUT") refuse(response, 202, "Logs.NotSupported", "Logs API is not supported");
      else refuseMethod(response);
      return;
    }
    const path = /^\/2018-06-01\/runtime(\/.*)$/.exec(pathname)?.[1] ?? "";
    const [, requestId = "", kind] = /^\/invocation\/([^/]+)\/(response|error)$/.exec(path) ?? [];
    if (path !== "/invocation/next" && path !== "/init/error" && kind === undefined) {
      response.writeHead(404).end();
    } else if (request.method !== (path === "/invocation/next" ? "GET" : "POST")) {
      refuseMethod(response);
    } else if (path === "/invocation/next") {
      this.next(response);
    } else if (path === "/init/error") {
      await this.initError(request, response);
    } else {
      await this.done(request, response, requestId, kind === "error");
    }
  }

  private next(response: ServerResponse): void {
    switch (this.state) {
      case "InitError":
      case "InvocationResponse":
        this.refuseTransition(response, "Ready");
        return;
      case "Running":
        // It lost the answer to its last question, or could not send its own: it is given the same again.
        this.events.askedTooEarly?.();
        if (this.current !== undefined) hand(this.current, response);
        return;
      case "Ready":
        this.waiting.push(response);
        return;
      default:
        this.state = "Ready";
        this.current = undefined;
        this.waiting.push(response);
        this.extensions.closeRegistration();
        this.events.runtimeReady();
    }
  }

  private async initError(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const error = parseError(await readBody(request), request);
    if (this.state !== "Started") {
      this.refuseTransition(response, "InitError");
      return;
    }
    this.state = "InitError";
    json(response, 202, { status: "OK" });
    this.events.initError(error);
  }

  private async done(
    request: IncomingMessage,
    response: ServerResponse,
    requestId: string,
    failed: boolean,
  ): Promise<void> {
    const mode = request.headers["lambda-runtime-function-response-mode"];
    const most = mode === "streaming" && !failed ? MAX_STREAMED_BYTES : MAX_RESPONSE_BYTES;
    const { body, size } = await readBodyUpTo(request, most);
    if (requestId !== this.current?.requestId) {
      refuse(response, 400, "InvalidRequestID", "Invalid request ID");
      return;
    }
    if (this.state !== "Running") {
      this.refuseTransition(response, failed ? "InvocationErrorResponse" : "InvocationResponse");
      return;
    }
    if (!failed && mode !== undefined && mode !== "" && mode !== "streaming") {
      this.state = "InvocationResponse"; // and there it stays: the emulator lets such a runtime do nothing more
      refuse(response, 400, "InvalidFunctionResponseMode", "Invalid function response mode");
      const error = { errorType: "Runtime.InvalidResponseModeHeader", errorMessage: "" };
      this.events.invocationDone(requestId, { error });
      return;
    }
    this.state = "RuntimeResponseSentState";
    if (!failed && size > most) {
      const limit = `maximum allowed payload size (${most} bytes).`;
      refuse(response, 413, "RequestEntityTooLarge", `Exceeded ${limit}`);
      const errorMessage = `Response payload size (${size} bytes) exceeded ${limit}`;
      this.events.invocationDone(requestId, { error: { errorType: "Function.ResponseSizeTooLarge", errorMessage } });
      return;
    }
    json(response, 202, { status: "OK" });
    const error = failed ? parseError(body, request) : trailingError(request);
    this.events.invocationDone(requestId, error === undefined ? { response: body } : { error });
  }

  private refuseTransition(response: ServerResponse, to: string): void {
    const why = `State transition from ${this.state} to ${to} failed for runtime. Error: State transition is not allowed`;
    refuse(response, 403, "InvalidStateTransition", why);
  }
}

function hand(invocation: Invocation, response: ServerResponse): void {
  response.writeHead(200, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(invocation.event),
    "Lambda-Runtime-Aws-Request-Id": invocation.requestId,
    "Lambda-Runtime-Deadline-Ms": String(invocation.deadlineMs),
    "Lambda-Runtime-Invoked-Function-Arn": invocation.functionArn,
    "Lambda-Runtime-Trace-Id": TRACE_ID,
  });
  response.end(invocation.event);
}

/** The error as the body has it; what the body does not say comes from the header and the body's text. */
function parseError(body: string, request: IncomingMessage): LambdaError {
  return parseErrorBody(body, errorTypeOf(request));
}

function parseErrorBody(body: string, errorType: string): LambdaError {
  const error = { errorType, errorMessage: body };
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return error;
    return { ...error, errorMessage: "", ...(parsed as Partial<LambdaError>) };
  } catch {
    return error;
  }
}

/**
 * A function that fails in the middle of a streamed response says so in trailers:
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
 */
function trailingError({ trailers }: IncomingMessage): LambdaError | undefined {
  const errorType = trailers["lambda-runtime-function-error-type"];
  if (errorType === undefined) return undefined;
  const body = Buffer.from(trailers["lambda-runtime-function-error-body"] ?? "", "base64").toString("utf8");
  return parseErrorBody(body, errorType);
}

/** Lambda lets through what looks like one of its own types (internal/lambda/fatalerror/fatalerror.go). */
function errorTypeOf(request: IncomingMessage): string {
  const type = String(request.headers["lambda-runtime-function-error-type"] ?? "");
  if (/(Runtime|Function)\.[A-Z][a-zA-Z]+/.test(type)) return type;
  return type.startsWith("Function.") ? "Function.Unknown" : "Runtime.Unknown";
}
