import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ExtensionsApi, type FunctionMetadata } from "./extensions-api";
import { json, readBody, refuse } from "./http-answer";

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
}

export interface RuntimeApiEvents {
  /** The runtime asks for an invocation: Init is done, or the invocation before it. */
  runtimeReady(): void;
  initError(error: LambdaError): void;
  invocationDone(requestId: string, outcome: { readonly response: string } | { readonly error: LambdaError }): void;
  extensionChanged(event: string, extension: string): void;
}

/** Lambda's limit on a synchronous response, 6 MB. */
const MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100;

/**
 * The Runtime API and the Extensions API of one execution environment, from one Init to the Shutdown or reset after it:
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 */
export class RuntimeApi {
  readonly extensions: ExtensionsApi;
  private readonly server: Server;
  private waiting: ServerResponse | undefined;
  /** The invocation that the runtime has, until it asks for the next one. */
  private current: { readonly invocation: Invocation; answered: boolean } | undefined;
  private asked = false;
  private initFailed = false;

  private constructor(
    metadata: FunctionMetadata,
    externals: readonly string[],
    private readonly events: RuntimeApiEvents,
  ) {
    this.extensions = new ExtensionsApi(metadata, externals, (event, name) => {
      events.extensionChanged(event, name);
    });
    this.server = createServer((request, response) => {
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

  /** Value of AWS_LAMBDA_RUNTIME_API. */
  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The runtime waits for an invocation. */
  get runtimeIsReady(): boolean {
    return this.waiting !== undefined;
  }

  /** Hands an invocation to the runtime, which has to be ready for it. */
  invoke(invocation: Invocation): void {
    if (this.waiting === undefined) throw new Error("the runtime does not wait for an invocation");
    this.current = { invocation, answered: false };
    hand(invocation, this.waiting);
    this.waiting = undefined;
  }

  async close(): Promise<void> {
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
    const runtime = /^\/2018-06-01\/runtime(\/.*)$/.exec(pathname)?.[1];
    const invocation = /^\/invocation\/([^/]+)\/(response|error)$/.exec(runtime ?? "");
    const route = `${request.method ?? ""} ${invocation === null ? (runtime ?? pathname) : `/invocation/${invocation[2] ?? ""}`}`;
    switch (route) {
      case "GET /invocation/next":
        this.next(response);
        return;
      case "POST /init/error":
        await this.initError(request, response);
        return;
      case "POST /invocation/response":
      case "POST /invocation/error":
        await this.done(request, response, invocation?.[1] ?? "", route.endsWith("error"));
        return;
      default:
        response.writeHead(404).end();
    }
  }

  private next(response: ServerResponse): void {
    if (this.initFailed || this.waiting !== undefined) {
      refuse(response, 403, "InvalidStateTransition", "State transition to Ready failed for runtime");
      return;
    }
    if (this.current?.answered === false) {
      hand(this.current.invocation, response); // it lost the answer to its last question: it is given the same again
      return;
    }
    this.current = undefined;
    this.asked = true;
    this.extensions.closeRegistration();
    this.waiting = response;
    this.events.runtimeReady();
  }

  private async initError(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const error = parseError(await readBody(request), request);
    if (this.asked || this.initFailed) {
      refuse(response, 403, "InvalidStateTransition", "State transition to InitError failed for runtime");
      return;
    }
    this.initFailed = true;
    json(response, 202, { status: "OK" });
    this.events.initError(error);
  }

  private async done(
    request: IncomingMessage,
    response: ServerResponse,
    requestId: string,
    failed: boolean,
  ): Promise<void> {
    const body = await readBody(request);
    if (requestId !== this.current?.invocation.requestId) {
      refuse(response, 400, "InvalidRequestID", "Invalid request ID");
      return;
    }
    if (this.current.answered) {
      refuse(
        response,
        403,
        "InvalidStateTransition",
        "State transition from InvocationResponseSent failed for runtime",
      );
      return;
    }
    this.current.answered = true;
    if (!failed && Buffer.byteLength(body) > MAX_RESPONSE_BYTES) {
      const errorMessage = `Exceeded maximum allowed payload size (${MAX_RESPONSE_BYTES} bytes).`;
      refuse(response, 413, "RequestEntityTooLarge", errorMessage);
      const error = { errorType: "Function.ResponseSizeTooLarge", errorMessage };
      this.events.invocationDone(requestId, { error });
      return;
    }
    json(response, 202, { status: "OK" });
    this.events.invocationDone(requestId, failed ? { error: parseError(body, request) } : { response: body });
  }
}

function hand(invocation: Invocation, response: ServerResponse): void {
  response.writeHead(200, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(invocation.event),
    "Lambda-Runtime-Aws-Request-Id": invocation.requestId,
    "Lambda-Runtime-Deadline-Ms": String(invocation.deadlineMs),
    "Lambda-Runtime-Invoked-Function-Arn": invocation.functionArn,
    "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
  });
  response.end(invocation.event);
}

function parseError(body: string, request: IncomingMessage): LambdaError {
  const type = request.headers["lambda-runtime-function-error-type"];
  const errorType = typeof type === "string" ? type : "Runtime.Unknown";
  try {
    return { errorType, errorMessage: "", ...(JSON.parse(body) as Partial<LambdaError>) };
  } catch {
    return { errorType, errorMessage: body };
  }
}
