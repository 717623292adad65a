import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once, EventEmitter } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import {
  AWS_LIMITS,
  type ExternalExtension,
  type LambdaFunction,
  type OnGone,
  type ShutdownResult,
} from "./execution-environment";
import { ExtensionsApi } from "./extensions-api";
import { json, readBody, refuse } from "./http-answer";
import type { LambdaRuntime } from "./lambda-runtime";
import { PlatformEvents } from "./platform-events";
import { processVariables } from "./process-variables";
import { TELEMETRY_PATH, TRACE_ID, type LambdaError } from "./runtime-api";
import { TelemetryApi } from "./telemetry-api";
import { track } from "../processes/reaper";

const INITIALIZATION_TYPE = "lambda-managed-instances";
const TIMED_OUT = "Sandbox.Timedout";

/** AWS's client starts this many workers for each vCPU. */
export const WORKERS_PER_VCPU = 8;

export interface ManagedConfig {
  readonly lambdaFunction: LambdaFunction;
  readonly runtime: LambdaRuntime;
  /** @default none: the runtime gets SIGKILL instead of SIGTERM */
  readonly extensions?: readonly ExternalExtension[];
  /** Worker threads, each with the function's code in it. @default 8, for one vCPU */
  readonly workers?: number;
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
  private readonly changes = new EventEmitter();
  /** Workers that wait for an invocation. */
  private readonly idle: ServerResponse[] = [];
  private readonly running = new Map<string, (result: ManagedResult) => void>();
  private readonly processes: { readonly name: string; readonly child: ChildProcess; isGone: boolean }[] = [];
  private readonly releases: (() => void)[] = [];
  private readonly server: Server = createServer((request, response) => {
    this.route(request, response).catch((error: unknown) => {
      if (!response.headersSent) refuse(response, 500, "InternalServerError", String(error));
    });
  });
  private isInitialized = false;
  private events: PlatformEvents | undefined;

  constructor(private readonly config: ManagedConfig) {
    const { name, handler } = config.lambdaFunction;
    const externals = (config.extensions ?? []).map((extension) => extension.name);
    const metadata = { functionName: name, functionVersion: "$LATEST", handler };
    this.extensions = new ExtensionsApi(metadata, externals, () => this.changes.emit("change"), true);
    this.telemetry = new TelemetryApi(this.extensions, true);
    this.server.requestTimeout = 0;
    this.changes.setMaxListeners(0);
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
    this.releases.push(track("variable", `AWS_LAMBDA_RUNTIME_API=${this.address}`));
    for (const { name, command } of this.config.extensions ?? []) this.start(name, command);
    const deadline = performance.now() + AWS_LIMITS.initMs;
    const failed = (): boolean => this.processes.some(({ isGone }) => isGone);
    await this.until(deadline, () => this.extensions.allExternalsRegistered || failed());
    if (!failed()) this.start("runtime", this.config.runtime.command);
    const isDone = await this.until(deadline, () => (this.idle.length > 0 && this.extensions.allReady) || failed());
    this.isInitialized = isDone && !failed();
    this.events.initDone(this.isInitialized ? "success" : isDone ? "error" : "timeout", this.extensions);
    this.telemetry.closeSubscription();
    if (this.isInitialized) return;
    const why = this.logs.slice(-20).join("\n");
    await this.shutdown("failure");
    throw new Error(`Init of ${lambdaFunction.name} failed\n${why}`);
  }

  /** Without an idle worker it fails at once; its time-out fails it alone, and the worker's code runs on. */
  async invoke(event: unknown): Promise<ManagedResult> {
    const worker = this.idle.shift();
    if (!this.isInitialized || worker === undefined) {
      const errorMessage = "no worker is idle";
      return { ok: false, error: { errorType: "Runtime.Unavailable", errorMessage } };
    }
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
  async shutdown(reason: "spindown" | "failure" = "spindown"): Promise<Pick<ShutdownResult, "endedBy" | "runtimeMs">> {
    const begun = performance.now();
    for (const requestId of [...this.running.keys()]) {
      const error = {
        errorType: "Sandbox.Failure",
        errorMessage: `RequestId: ${requestId} Error: the environment ends`,
      };
      this.settle(requestId, { ok: false, error });
    }
    const runtime = this.processes.find(({ name }) => name === "runtime");
    const isAlone = (this.config.extensions ?? []).length + this.extensions.count("internal") === 0;
    let endedBy: ShutdownResult["endedBy"] = runtime === undefined || runtime.isGone ? "gone before" : "itself";
    if (endedBy === "itself" && isAlone) {
      endedBy = "SIGKILL at once";
      this.signal("runtime", "SIGSTOP");
      await this.config.onGone?.("SIGKILL at once");
      this.signal("runtime", "SIGKILL");
    } else if (endedBy === "itself") {
      this.signal("runtime", "SIGTERM");
      if (!(await this.until(begun + MANAGED_RUNTIME_MS, () => runtime?.isGone === true))) {
        endedBy = "SIGKILL at its deadline";
        this.signal("runtime", "SIGKILL");
      }
    }
    const isGone = (): boolean => this.processes.every((each) => each.isGone);
    await this.until(begun + AWS_LIMITS.shutdownMs, () => runtime === undefined || runtime.isGone);
    const runtimeMs = performance.now() - begun;
    await this.telemetry.flush();
    const deadlineMs = Math.round(Date.now() + AWS_LIMITS.shutdownMs - (performance.now() - begun));
    this.extensions.send("SHUTDOWN", { shutdownReason: reason, deadlineMs });
    for (const { name } of this.config.extensions ?? []) {
      if (!this.extensions.isSubscribed(name, "SHUTDOWN")) this.signal(name, "SIGKILL");
    }
    await this.until(begun + AWS_LIMITS.shutdownMs, isGone);
    for (const { name } of this.processes) this.signal(name, "SIGKILL");
    await this.until(performance.now() + AWS_LIMITS.shutdownMs, isGone);
    if (!isAlone) await this.config.onGone?.(endedBy);
    for (const release of this.releases.splice(0)) release();
    this.telemetry.stop();
    this.server.close();
    this.server.closeAllConnections();
    return { endedBy, runtimeMs };
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
    } else if (path === "/2018-06-01/runtime/invocation/next") {
      this.extensions.closeRegistration();
      this.events?.initRuntimeDone("success");
      this.idle.push(response);
      this.changes.emit("change");
    } else {
      const body = await readBody(request);
      const [, requestId = "", kind] =
        /^\/2018-06-01\/runtime\/invocation\/([^/]+)\/(response|error)$/.exec(path) ?? [];
      const result: ManagedResult =
        kind === "error" ? { ok: false, error: JSON.parse(body) as LambdaError } : { ok: true, payload: parse(body) };
      // Nobody waits for an answer after the time-out.
      if (kind !== undefined && this.settle(requestId, result)) json(response, 202, { status: "OK" });
      else refuse(response, 400, "InvalidRequestID", "Invalid request ID");
    }
  }

  private start(name: string, [program = "", ...args]: readonly string[]): void {
    const { lambdaFunction, runtime, workers = WORKERS_PER_VCPU } = this.config;
    const child = spawn(program, args, {
      cwd: lambdaFunction.directory,
      env: processVariables({
        lambdaFunction,
        runtime,
        process: name,
        workers,
        apis: { AWS_LAMBDA_RUNTIME_API: this.address },
      }),
      stdio: ["ignore", "pipe", "pipe"],
      detached: true, // a process group of its own: Lambda signals the group
    });
    if (child.pid !== undefined) this.releases.push(track("group", String(child.pid)));
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        this.logs.push(line);
        this.telemetry.emit(name === "runtime" ? "function" : "extension", line);
      });
    }
    const started = { name, child, isGone: false };
    this.processes.push(started);
    const end = (): void => {
      started.isGone = true;
      this.changes.emit("change");
    };
    child.on("error", end).on("exit", end);
  }

  private signal(name: string, signal: NodeJS.Signals): void {
    const pid = this.processes.find((each) => each.name === name)?.child.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // The group is gone already.
    }
  }

  private async until(deadline: number, condition: () => boolean): Promise<boolean> {
    while (!condition() && performance.now() < deadline) {
      const timeout = AbortSignal.timeout(Math.max(1, Math.ceil(deadline - performance.now())));
      await once(this.changes, "change", { signal: timeout }).catch(() => undefined);
    }
    return condition();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
