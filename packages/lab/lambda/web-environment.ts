import { once } from "node:events";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Descendants } from "../processes/descendants";
import { freePort, listens } from "../processes/free-port";
import { track } from "../processes/reaper";
import { Changes } from "./changes";
import { closeLog, signalGroup, startProcess, WATCH_SIGTERM, type EnvironmentProcess } from "./environment-process";
import type { ShutdownResult } from "./execution-environment";
import { crash, InitError, TIMED_OUT } from "./lambda-errors";
import type { LambdaFunction } from "./lambda-function";
import { COMMON_VARIABLES } from "./process-variables";
import type { LambdaRuntime } from "./runtime";
import { RuntimeApi, type LambdaError } from "./runtime-api";
import { terminate } from "./termination";

/** How many requests an environment has at once. AWS allows 1 to 128. */
const WEB_CONCURRENCY = 64;
/** The server has to listen by then. */
const WEB_INIT_MS = 10_000;
/** SIGTERM → SIGKILL. */
const WEB_RUNTIME_MS = 1_000;
const POLL_EVERY_MS = 5;
const ENTRYPOINT = "AWS_LAMBDA_NODEJS_ENTRYPOINT";

export interface WebConfig {
  /** Its handler does not matter; {@link ENTRYPOINT} in its environment names another file than index.js. */
  readonly lambdaFunction: LambdaFunction;
  /** A Node.js; its client is not used. */
  readonly runtime: LambdaRuntime;
  /** @default 64 */
  readonly concurrency?: number;
  /** As in an execution environment of an Event Function. @default nothing */
  readonly onGone?: (endedBy: ShutdownResult["endedBy"]) => unknown;
}

export interface WebRequest {
  /** @default "GET" */
  readonly method?: string;
  /** @default "/" */
  readonly path?: string;
  /** @default none */
  readonly headers?: Readonly<Record<string, string>>;
  /** @default none */
  readonly body?: string;
}

export type WebAnswer =
  | { readonly ok: true; readonly status: number; readonly body: string; readonly durationMs: number }
  | { readonly ok: false; readonly error: LambdaError; readonly durationMs: number };

export interface WebShutdownResult extends ShutdownResult {
  /** Requests in flight at SIGTERM that got their whole answer. */
  readonly answered: number;
  /** Requests in flight at SIGTERM whose answer was cut off. */
  readonly cutOff: number;
}

/** In the error of a request whose answer did not come, or not wholly. */
export const CUT_OFF = "Web.CutOff";

/**
 * An execution environment of a Web Function: an HTTP server in one Node.js process, without an extension and without
 * a freeze. AWS has no emulator of it, so the rules are those of its documentation alone:
 * https://docs.aws.amazon.com/lambda/latest/dg/web-functions-env-lifecycle.html
 */
export class WebEnvironment {
  /** What the server wrote, a line each. */
  readonly logs: string[] = [];
  private readonly changes = new Changes();
  private readonly agent: Agent;
  private readonly releases: (() => void)[] = [];
  private api: RuntimeApi | undefined;
  private descendants: Descendants | undefined;
  private server: EnvironmentProcess | undefined;
  /** Where the server is to listen, on 127.0.0.1. */
  port = 0;
  private running = 0;
  private answered = 0;
  private crash: LambdaError | undefined;
  private isRouting = false;
  private isGone = false;

  constructor(private readonly config: WebConfig) {
    this.agent = new Agent({ keepAlive: true, maxSockets: this.concurrency });
  }

  /** Requests that have no whole answer yet. */
  get inFlight(): number {
    return this.running;
  }

  /** Process id of the server. @default - it was not started */
  get runtimePid(): number | undefined {
    return this.server?.child.pid;
  }

  /**
   * Starts the server, and ends when it listens.
   *
   * @throws InitError if it ends before, or does not listen in time
   */
  async init(): Promise<void> {
    const begun = performance.now();
    await this.startServer();
    while (!(await listens(this.port))) {
      const isLate = performance.now() - begun > WEB_INIT_MS;
      if (this.crash === undefined && !isLate) {
        await sleep(POLL_EVERY_MS);
        continue;
      }
      const endpoint = `nothing listens on 127.0.0.1:${this.port}, as AWS_LAMBDA_HTTP_ENDPOINT says`;
      const error = this.crash ?? {
        errorType: TIMED_OUT,
        errorMessage: `Init timed out after ${WEB_INIT_MS / 1_000} seconds: ${endpoint}`,
      };
      await this.shutdown();
      throw new InitError(error);
    }
    this.isRouting = true;
  }

  /** Without a free place, or after the end of the routing, it fails at once; in Lambda another environment gets it. */
  async request(request: WebRequest = {}): Promise<WebAnswer> {
    const begun = performance.now();
    const failed = (errorType: string, errorMessage: string): WebAnswer => ({
      ok: false,
      error: { errorType, errorMessage },
      durationMs: performance.now() - begun,
    });
    if (!this.isRouting) return failed("Web.NotRouted", "the environment gets no requests");
    if (this.running >= this.concurrency) {
      return failed("Web.TooManyRequests", `${this.concurrency} requests are in flight`);
    }
    this.running += 1;
    try {
      const { status, body } = await this.send(request);
      this.answered += 1;
      return { ok: true, status, body, durationMs: performance.now() - begun };
    } catch (error) {
      const { timeoutMs } = this.config.lambdaFunction;
      const isLate = performance.now() - begun >= timeoutMs;
      if (isLate) return failed(TIMED_OUT, `Task timed out after ${(timeoutMs / 1_000).toFixed(2)} seconds`);
      return failed(CUT_OFF, (error as Error).message);
    } finally {
      this.running -= 1;
      this.changes.emit();
    }
  }

  /** Routing stops, SIGTERM, 1 s at most, SIGKILL; then the environment is gone. */
  async shutdown(): Promise<WebShutdownResult> {
    this.isRouting = false;
    const inFlight = this.running;
    const answeredBefore = this.answered;
    const begun = performance.now();
    const ended = await this.endServer();
    const totalMs = performance.now() - begun;
    if (!this.isGone) await this.config.onGone?.(ended.endedBy);
    this.isGone = true;
    await this.leaveNothing();
    await this.changes.until(performance.now() + WEB_RUNTIME_MS, () => this.running === 0);
    const answered = this.answered - answeredBefore;
    return { ...ended, totalMs, answered, cutOff: inFlight - answered };
  }

  private get concurrency(): number {
    return this.config.concurrency ?? WEB_CONCURRENCY;
  }

  private async startServer(): Promise<void> {
    const { lambdaFunction, runtime } = this.config;
    const { name, directory, handler, environment } = lambdaFunction;
    const nothing = (): void => undefined;
    this.api = await RuntimeApi.start({ functionName: name, functionVersion: "$LATEST", handler }, [], {
      ...{ runtimeReady: nothing, initError: nothing, invocationDone: nothing, extensionChanged: nothing },
    });
    this.port = await freePort();
    const variable = `AWS_LAMBDA_RUNTIME_API=${this.api.address}`;
    this.descendants = new Descendants(variable);
    this.releases.push(track("variable", variable));
    const [node = process.execPath] = runtime.command;
    this.server = startProcess({
      name: "runtime",
      command: [node, ...WATCH_SIGTERM, join(directory, environment[ENTRYPOINT] ?? "index.js")],
      directory,
      isWatched: true,
      variables: {
        ...COMMON_VARIABLES,
        AWS_EXECUTION_ENV: `AWS_Lambda_${runtime.name}`,
        AWS_LAMBDA_INITIALIZATION_TYPE: "native-http",
        LAMBDA_TASK_ROOT: directory,
        ...environment,
        ...this.api.variables,
        AWS_LAMBDA_HTTP_ENDPOINT: `127.0.0.1:${this.port}`,
      },
      onLine: (line) => this.logs.push(line),
      onNote: () => undefined,
      onGone: (how, isStarted) => {
        this.crash ??= crash("runtime", how, isStarted);
        this.changes.emit();
      },
    });
    const { pid } = this.server.child;
    if (pid !== undefined) this.releases.push(track("group", String(pid)));
  }

  private async send(request: WebRequest): Promise<{ readonly status: number; readonly body: string }> {
    const { method = "GET", path = "/", headers = {}, body } = request;
    const { timeoutMs } = this.config.lambdaFunction;
    const signal = AbortSignal.timeout(timeoutMs);
    const options = { host: "127.0.0.1", port: this.port, agent: this.agent, method, path, headers, signal };
    const outgoing = httpRequest(options);
    outgoing.end(body);
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    response.setEncoding("utf8");
    let text = "";
    // Throws if the connection ends before the whole answer has come.
    for await (const chunk of response as AsyncIterable<string>) text += chunk;
    return { status: response.statusCode ?? 0, body: text };
  }

  private async endServer(): Promise<Omit<WebShutdownResult, "totalMs" | "answered" | "cutOff">> {
    const { server } = this;
    this.descendants?.note([server?.child.pid]);
    if (server === undefined || server.isGone) return { endedBy: "gone before", runtimeMs: 0 };
    const { ended } = await terminate(server, WEB_RUNTIME_MS, this.changes);
    signalGroup(server.child, "SIGKILL"); // its children
    return ended;
  }

  private async leaveNothing(): Promise<void> {
    await this.descendants?.end();
    if (this.server !== undefined) await closeLog(this.server);
    this.agent.destroy();
    for (const release of this.releases.splice(0)) release();
    await this.api?.close();
    this.api = undefined;
  }
}
