import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Changes } from "./changes";
import { closeLog, signalGroup, startProcess, type EnvironmentProcess } from "./environment-process";
import {
  AWS_LIMITS,
  parse,
  type ExternalExtension,
  type LambdaFunction,
  type OnGone,
  type ShutdownResult,
} from "./execution-environment";
import { ExtensionsApi } from "./extensions-api";
import { json, readBody, refuse } from "./http-answer";
import { crash, TIMED_OUT } from "./lambda-errors";
import { longInitMs } from "./lambda-function";
import type { LambdaRuntime } from "./lambda-runtime";
import { layersOf, type Layers } from "./layers";
import { METADATA_PATH, MetadataApi } from "./metadata-api";
import { PlatformEvents } from "./platform-events";
import { processVariables } from "./process-variables";
import { runtimeCommand } from "./runtime-command";
import { TELEMETRY_PATH, TRACE_ID, type LambdaError } from "./runtime-api";
import { terminate } from "./termination";
import { TelemetryApi } from "./telemetry-api";
import { Descendants } from "../processes/descendants";
import { track } from "../processes/reaper";

const INITIALIZATION_TYPE = "lambda-managed-instances";

/** AWS's client starts this many workers for each vCPU. */
export const WORKERS_PER_VCPU = 8;

/** https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances-nodejs-runtime.html */
export const CONCURRENCY_PER_VCPU = 64;

export interface ManagedConfig {
  readonly lambdaFunction: LambdaFunction;
  readonly runtime: LambdaRuntime;
  /** @default none: the runtime gets SIGKILL instead of SIGTERM */
  readonly extensions?: readonly ExternalExtension[];
  /** Worker threads, each with the function's code in it. @default 8, for one vCPU */
  readonly workers?: number;
  /** Invocations that run at once, on all workers together. @default 64, for one vCPU */
  readonly concurrency?: number;
  /** Milliseconds of Init. A test may shorten them. @default 130,000, or the function's time-out if that is longer */
  readonly initMs?: number;
  /** Called before a SIGKILL that comes at once. @default nothing */
  readonly onGone?: OnGone;
}

export type ManagedResult =
  { readonly ok: true; readonly payload: unknown } | { readonly ok: false; readonly error: LambdaError };

/** SIGTERM → SIGKILL of the runtime, whatever kind of extension there is. */
export const MANAGED_RUNTIME_MS = 600;

/**
 * An execution environment of Lambda Managed Instances: one process, several invocations at a time. Nothing is frozen
 * and nothing is reset. The rules are those of AWS's emulator:
 * https://github.com/aws/aws-lambda-runtime-interface-emulator (internal/lambda-managed-instances)
 */
export class ManagedEnvironment {
  /** What the function and its extensions wrote, a line each. */
  readonly logs: string[] = [];
  readonly extensions: ExtensionsApi;
  private readonly telemetry: TelemetryApi;
  private readonly changes = new Changes();
  /** Workers that wait for an invocation. */
  private readonly idle: ServerResponse[] = [];
  private readonly running = new Map<string, (result: ManagedResult) => void>();
  private readonly processes: EnvironmentProcess[] = [];
  private readonly metadata = new MetadataApi();
  private readonly layers: Layers | undefined;
  /** Those beside the function, and those of its layers. */
  private readonly externals: readonly ExternalExtension[];
  private descendants: Descendants | undefined;
  /** The first thing that went wrong. */
  private failure: LambdaError | undefined;
  private readonly releases: (() => void)[] = [];
  private readonly server: Server = createServer((request, response) => {
    this.route(request, response).catch((error: unknown) => {
      if (!response.headersSent) refuse(response, 500, "InternalServerError", String(error));
    });
  });
  /** Invocations whose answer would come too late. */
  private readonly timedOut = new Set<string>();
  private isInitialized = false;
  private events: PlatformEvents | undefined;

  constructor(private readonly config: ManagedConfig) {
    const { name, handler, directory, layerPaths = [] } = config.lambdaFunction;
    this.layers = layerPaths.length === 0 ? undefined : layersOf(layerPaths, directory);
    this.externals = [...(config.extensions ?? []), ...(this.layers?.extensions ?? [])];
    const names = this.externals.map((extension) => extension.name);
    const metadata = { functionName: name, functionVersion: "$LATEST", handler };
    this.extensions = new ExtensionsApi(
      metadata,
      names,
      () => {
        this.changes.emit();
      },
      true,
    );
    this.telemetry = new TelemetryApi(this.extensions, true);
    this.server.requestTimeout = 0;
  }

  /** How many workers wait for an invocation. */
  get idleWorkers(): number {
    return this.idle.length;
  }

  /**
   * Ends with the first worker's question for an invocation, while others still start.
   *
   * @throws if the runtime or an extension ends before, or the time is over
   */
  async init(): Promise<void> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    const { lambdaFunction } = this.config;
    this.events = new PlatformEvents(this.telemetry, lambdaFunction, "init", INITIALIZATION_TYPE);
    const variable = `AWS_LAMBDA_RUNTIME_API=${this.address}`;
    this.releases.push(track("variable", variable));
    this.descendants = new Descendants(variable);
    for (const { name, command } of this.externals) this.start(name, command);
    const limitMs = this.config.initMs ?? longInitMs(lambdaFunction);
    const deadline = performance.now() + limitMs;
    const failed = (): boolean => this.failure !== undefined;
    await this.changes.until(deadline, () => this.extensions.allExternalsRegistered || failed());
    if (!failed()) this.startRuntime();
    const isDone = await this.changes.until(
      deadline,
      () => (this.idle.length > 0 && this.extensions.allReady) || failed(),
    );
    this.isInitialized = isDone && !failed();
    this.events.initDone(this.isInitialized ? "success" : isDone ? "error" : "timeout", this.extensions);
    this.telemetry.closeSubscription();
    if (this.isInitialized) return;
    const timedOut = { errorType: TIMED_OUT, errorMessage: `Init timed out after ${limitMs / 1_000} seconds` };
    const { errorType, errorMessage } = this.failure ?? timedOut;
    await this.shutdown("failure");
    const log = this.logs.slice(-20).join("\n");
    throw new Error(`Init of ${lambdaFunction.name} failed: ${errorType}: ${errorMessage}\n${log}`);
  }

  /**
   * AWS's client asks for the next event at once, so one worker runs many. Without a worker that asks, or beyond the
   * concurrency, the invocation fails at once. A time-out fails it alone, and its code runs on.
   */
  async invoke(event: unknown): Promise<ManagedResult> {
    const unavailable = (errorMessage: string): ManagedResult => ({
      ok: false,
      error: { errorType: "Runtime.Unavailable", errorMessage },
    });
    if (this.running.size >= this.concurrency) return unavailable(`${this.concurrency} invocations run`);
    const worker = this.idle.shift();
    if (!this.isInitialized || worker === undefined) return unavailable("no worker is idle");
    const { timeoutMs, name } = this.config.lambdaFunction;
    const requestId = randomUUID();
    const body = JSON.stringify(event);
    worker.writeHead(200, {
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(body),
      "Lambda-Runtime-Aws-Request-Id": requestId,
      "Lambda-Runtime-Deadline-Ms": String(Date.now() + timeoutMs),
      "Lambda-Runtime-Invoked-Function-Arn": `arn:aws:lambda:us-east-1:012345678901:function:${name}`,
      "Lambda-Runtime-Trace-Id": TRACE_ID,
    });
    worker.end(body);
    const tracing = { type: "X-Amzn-Trace-Id", value: TRACE_ID };
    const told = this.events?.invocation(requestId, tracing);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        const errorMessage = `RequestId: ${requestId} Error: Task timed out after ${(timeoutMs / 1_000).toFixed(2)} seconds`;
        this.timedOut.add(requestId);
        this.settle(requestId, { ok: false, error: { errorType: TIMED_OUT, errorMessage } });
      }, timeoutMs);
      this.running.set(requestId, (result) => {
        clearTimeout(timer);
        const errorType = result.ok ? undefined : result.error.errorType;
        told?.report(result.ok ? "success" : errorType === TIMED_OUT ? "timeout" : "error", undefined, errorType);
        resolve(result);
      });
    });
  }

  /** Running invocations are aborted first, then the processes are told. */
  async shutdown(reason: "spindown" | "failure" = "spindown"): Promise<Omit<ShutdownResult, "totalMs">> {
    const begun = performance.now();
    this.abortInvocations();
    const runtime = this.processes.find(({ name }) => name === "runtime");
    this.descendants?.note(this.processes.map(({ child }) => child.pid));
    const isAlone = this.externals.length + this.extensions.count("internal") === 0;
    let ended: Omit<ShutdownResult, "totalMs"> = { endedBy: "gone before", runtimeMs: 0 };
    if (runtime !== undefined && !runtime.isGone) {
      ended = await (isAlone ? this.killAtOnce(runtime, begun) : this.terminate(runtime));
    }
    await this.telemetry.flush();
    await this.endExtensions(reason, begun + AWS_LIMITS.shutdownMs);
    if (!isAlone) await this.config.onGone?.(ended.endedBy);
    await this.leaveNothing();
    return ended;
  }

  private abortInvocations(): void {
    for (const requestId of [...this.running.keys()]) {
      const errorMessage = `RequestId: ${requestId} Error: the environment ends`;
      this.settle(requestId, { ok: false, error: { errorType: "Sandbox.Failure", errorMessage } });
    }
  }

  private async killAtOnce(
    { child, gone }: EnvironmentProcess,
    begun: number,
  ): Promise<Omit<ShutdownResult, "totalMs">> {
    signalGroup(child, "SIGSTOP");
    await this.config.onGone?.("SIGKILL at once");
    signalGroup(child, "SIGKILL");
    await gone;
    return { endedBy: "SIGKILL at once", runtimeMs: performance.now() - begun };
  }

  private async terminate(runtime: EnvironmentProcess): Promise<Omit<ShutdownResult, "totalMs">> {
    const { ended } = await terminate(runtime, MANAGED_RUNTIME_MS, this.changes);
    signalGroup(runtime.child, "SIGKILL"); // its children
    return ended;
  }

  /** @param deadline as `performance.now()` counts */
  private async endExtensions(reason: "spindown" | "failure", deadline: number): Promise<void> {
    const deadlineMs = Math.round(Date.now() + deadline - performance.now());
    this.extensions.send("SHUTDOWN", { shutdownReason: reason, deadlineMs });
    const others = this.processes.filter(({ name }) => name !== "runtime");
    for (const { name, child } of others) {
      if (!this.extensions.isSubscribed(name, "SHUTDOWN")) signalGroup(child, "SIGKILL");
    }
    await this.changes.until(deadline, () => others.every(({ isGone }) => isGone));
    for (const { child } of others) signalGroup(child, "SIGKILL");
    await Promise.all(others.map(({ gone }) => gone));
  }

  private async leaveNothing(): Promise<void> {
    for (const { child } of this.processes) signalGroup(child, "SIGKILL");
    await this.descendants?.end();
    await Promise.all(this.processes.map(closeLog));
    for (const release of this.releases.splice(0)) release();
    this.telemetry.stop();
    this.server.close();
    this.server.closeAllConnections();
  }

  private startRuntime(): void {
    const { lambdaFunction, runtime } = this.config;
    const command = runtimeCommand(lambdaFunction, runtime);
    this.start("runtime", this.layers?.inside(command) ?? command);
  }

  private get concurrency(): number {
    return this.config.concurrency ?? CONCURRENCY_PER_VCPU;
  }

  private get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  private settle(requestId: string, result: ManagedResult): boolean {
    const settle = this.running.get(requestId);
    this.running.delete(requestId);
    settle?.(result);
    return settle !== undefined;
  }

  private async route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "/";
    const extension = /^\/2020-01-01\/extension(\/.*)$/.exec(path)?.[1];
    if (extension !== undefined) {
      await this.extensions.handle(request, response, extension);
    } else if (TELEMETRY_PATH.test(path)) {
      await this.telemetry.handle(request, response);
    } else if (path === METADATA_PATH) {
      this.metadata.handle(request, response);
    } else if (path === "/2018-06-01/runtime/init/error") {
      this.failure ??= parse(await readBody(request)) as LambdaError;
      json(response, 202, { status: "OK" });
      this.changes.emit();
    } else if (path === "/2018-06-01/runtime/invocation/next") {
      this.extensions.closeRegistration();
      this.events?.initRuntimeDone("success");
      this.idle.push(response);
      this.changes.emit();
    } else {
      const body = await readBody(request);
      const [, requestId = "", kind] =
        /^\/2018-06-01\/runtime\/invocation\/([^/]+)\/(response|error)$/.exec(path) ?? [];
      const result: ManagedResult =
        kind === "error" ? { ok: false, error: JSON.parse(body) as LambdaError } : { ok: true, payload: parse(body) };
      if (kind !== undefined && this.settle(requestId, result)) json(response, 202, { status: "OK" });
      else if (this.timedOut.delete(requestId)) refuse(response, 410, "InvokeTimeout", "Invoke timeout");
      else refuse(response, 400, "InvalidRequestID", "Invalid request ID");
    }
  }

  private start(name: string, command: readonly string[]): void {
    const { lambdaFunction, runtime, workers = WORKERS_PER_VCPU } = this.config;
    const isRuntime = name === "runtime";
    const started = startProcess({
      ...{ name, command, directory: lambdaFunction.directory, isWatched: false },
      variables: processVariables({
        lambdaFunction,
        runtime,
        process: name,
        managed: { workers, concurrency: this.concurrency },
        apis: { AWS_LAMBDA_RUNTIME_API: this.address, ...this.metadata.variables(this.address) },
      }),
      onLine: (line) => {
        this.logs.push(line);
        this.telemetry.emit(isRuntime ? "function" : "extension", line);
      },
      onNote: () => undefined,
      onGone: (how, isStarted) => {
        this.failure ??= crash(name, how, isStarted);
        this.changes.emit();
      },
    });
    if (started.child.pid !== undefined) this.releases.push(track("group", String(started.child.pid)));
    this.processes.push(started);
  }
}
