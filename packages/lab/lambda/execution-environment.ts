import { randomUUID } from "node:crypto";
import { EventEmitter } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Descendants } from "../processes/descendants";
import { track } from "../processes/reaper";
import {
  closeLog,
  highestMemoryMb,
  listensToSigterm,
  signalGroup,
  startProcess,
  type EnvironmentProcess,
} from "./environment-process";
import { MAX_EXTENSIONS, type ShutdownReason } from "./extensions-api";
import { crash, failure, InitError, TIMED_OUT } from "./lambda-errors";
import { AWS_LIMITS, type ExternalExtension, type LambdaFunction, type Limits } from "./lambda-function";
import type { LambdaRuntime } from "./lambda-runtime";
import { PlatformEvents, type InvocationEvents } from "./platform-events";
import { processVariables } from "./process-variables";
import { RuntimeApi, TRACE_ID, type LambdaError } from "./runtime-api";
import { threadsWait } from "./thawed-threads";

export { InitError, TIMED_OUT } from "./lambda-errors";
export { AWS_LIMITS, type ExternalExtension, type LambdaFunction, type Limits } from "./lambda-function";

export interface EnvironmentConfig {
  readonly lambdaFunction: LambdaFunction;
  readonly runtime: LambdaRuntime;
  /** @default none: the runtime gets SIGKILL instead of SIGTERM */
  readonly extensions?: readonly ExternalExtension[];
  /** Called at the moment the environment is gone: from then on nothing of it reaches the network. @default nothing */
  readonly onGone?: () => void;
  /** @default AWS_LIMITS */
  readonly limits?: Partial<Limits>;
}

export type Phase = "Init" | "Invoke" | "Shutdown";

export interface TimelineEntry {
  /** Milliseconds since the environment was created. */
  readonly at: number;
  readonly phase: Phase;
  readonly what: string;
}

export type InvocationResult =
  | { readonly ok: true; readonly payload: unknown; readonly durationMs: number }
  | { readonly ok: false; readonly error: LambdaError; readonly durationMs: number };

export interface ShutdownResult {
  /** What ended the runtime's process. */
  readonly endedBy: "itself" | "SIGKILL at once" | "SIGKILL at its deadline" | "gone before";
  /**
   * It got SIGTERM without listening to it, so the signal's default action ended it. @default - it listened, or nobody
   * can tell
   */
  readonly unheard?: true;
  /** Milliseconds from the first signal to the end of the runtime's process. */
  readonly runtimeMs: number;
  /** Milliseconds of the whole phase. */
  readonly totalMs: number;
}

/** One life, from Init to Shutdown or reset: a reset execution environment begins another. */
interface Lifecycle {
  readonly api: RuntimeApi;
  /** What subscribers to the Telemetry API are told. */
  readonly events: PlatformEvents;
  /** @default - there was no invocation yet */
  invocation?: InvocationEvents;
  readonly processes: EnvironmentProcess[];
  /** What its processes started and left behind. */
  readonly descendants: Descendants;
  runtime?: EnvironmentProcess;
  /** What Lambda reports: the first thing that went wrong in it, the runtime's own words apart. */
  crash?: LambdaError;
  /** An extension, of either kind, has announced at /exit/error that it will go. */
  saidExitError?: boolean;
  /** To be called when its processes are gone: until then the reaper would end them with the lab. */
  readonly releases: (() => void)[];
}

/** Milliseconds that the last lines of a process may take to arrive; one that it left behind may hold them for ever. */
const DRAINED_WITHIN_MS = 50;

/** In the timeline. */
export const RUNTIME_STARTED = "runtime started";

/** In the timeline, behind how the runtime's process ended. */
export const UNHEARD = "; nothing listened to SIGTERM";

/**
 * A Lambda execution environment on this machine: a runtime's process and its extensions, taken through Init, Invoke
 * and Shutdown by AWS's rules, as documented and, where that is silent, as AWS's open-source emulator has them:
 * https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
 * https://github.com/aws/aws-lambda-runtime-interface-emulator (internal/lambda/rapid)
 */
export class ExecutionEnvironment {
  readonly timeline: TimelineEntry[] = [];
  /** What the function and its extensions wrote, a line each. */
  readonly logs: string[] = [];
  private readonly created = performance.now();
  private readonly limits: Limits;
  private readonly extensions: readonly ExternalExtension[];
  private lifecycle: Lifecycle | undefined;
  private isFrozen = false;
  private isGone = false;
  private phase: Phase = "Init";
  /** Emits `change` whenever something happened that a phase may wait for. */
  private readonly changes = new EventEmitter();
  private initError: LambdaError | undefined;
  private outcome:
    { readonly requestId: string; readonly result: { response: string } | { error: LambdaError } } | undefined;

  constructor(private readonly config: EnvironmentConfig) {
    this.limits = { ...AWS_LIMITS, ...config.limits };
    this.extensions = config.extensions ?? [];
  }

  /** It has begun Init, and was neither reset nor shut down since. */
  get isThere(): boolean {
    return this.lifecycle !== undefined;
  }

  /** Process id of the runtime. @default - Init has not come to it, or the environment was reset or shut down */
  get runtimePid(): number | undefined {
    return this.lifecycle?.runtime?.child.pid;
  }

  /**
   * The Init phase: extensions first, then the runtime, until each has asked for its first event.
   *
   * @throws InitError after the environment was reset; the next {@link invoke} tries again, as in Lambda
   */
  async init(limitMs = this.limits.initMs, phase: "init" | "invoke" = "init"): Promise<void> {
    if (this.lifecycle !== undefined || this.isGone) throw new Error("Init comes once, before the Shutdown phase");
    this.phase = "Init";
    this.initError = undefined;
    this.outcome = undefined;
    const { lambdaFunction } = this.config;
    const api = await RuntimeApi.start(
      { functionName: lambdaFunction.name, functionVersion: "$LATEST", handler: lambdaFunction.handler },
      this.extensions.map(({ name }) => name),
      {
        runtimeReady: () => {
          if (this.phase === "Init") this.record("runtime ready (first /next)");
          lifecycle.events.initRuntimeDone("success");
          lifecycle.invocation?.runtimeDone("success");
          this.changes.emit("change");
        },
        initError: (error) => {
          this.initError = error;
          this.changes.emit("change");
        },
        invocationDone: (requestId, result) => {
          lifecycle.invocation?.answered("response" in result ? Buffer.byteLength(result.response) : 0);
          this.outcome = { requestId, result };
          this.changes.emit("change");
        },
        extensionChanged: (event, name) => {
          if (event !== "ready") this.record(`extension ${name} ${event}`);
          if (event === "init error") lifecycle.crash ??= { errorType: "Extension.InitError", errorMessage: name };
          if (event === "exit error") lifecycle.saidExitError = true;
          this.changes.emit("change");
        },
      },
    );
    // Every process of this life has it, even one that was started when the lab had no time to note its number.
    const lifecycle: Lifecycle = {
      api,
      events: new PlatformEvents(api.telemetry, lambdaFunction, phase),
      processes: [],
      descendants: new Descendants(runtimeApiVariable(api)),
      releases: [track("variable", runtimeApiVariable(api))],
    };
    this.lifecycle = lifecycle;
    if (this.extensions.length > MAX_EXTENSIONS) {
      lifecycle.crash = { errorType: "Extension.LaunchError", errorMessage: "ErrTooManyExtensions" };
    } else {
      for (const { name, command } of this.extensions) this.start(lifecycle, name, command);
    }

    const failure = (): LambdaError | undefined => this.initError ?? lifecycle.crash;
    const deadline = performance.now() + limitMs;
    let done = await this.until(deadline, () => api.extensions.allExternalsRegistered || failure() !== undefined);
    if (done && failure() === undefined) {
      this.record(RUNTIME_STARTED);
      lifecycle.runtime = this.start(lifecycle, "runtime", this.config.runtime.command);
      done = await this.until(
        deadline,
        () => (api.runtimeIsReady && api.extensions.allReady) || failure() !== undefined,
      );
    }
    const timedOut = { errorType: TIMED_OUT, errorMessage: `Init timed out after ${limitMs / 1_000} seconds` };
    const error = done ? failure() : timedOut;
    lifecycle.events.initDone(
      error === undefined ? "success" : done ? "error" : "timeout",
      api.extensions,
      done ? error?.errorType : undefined,
    );
    api.telemetry.closeSubscription();
    if (error === undefined) return;
    this.record(`Init failed: ${error.errorType}`);
    await this.end("failure");
    throw new InitError(error);
  }

  /** The Invoke phase, with an Init before it if there was none or it failed. A time-out or a crash resets. */
  async invoke(event: unknown): Promise<InvocationResult> {
    const begun = performance.now();
    const { timeoutMs, name } = this.config.lambdaFunction;
    const deadlineMs = Date.now() + timeoutMs;
    const requestId = randomUUID();
    const failed = (error: LambdaError): InvocationResult => ({
      ok: false,
      error,
      durationMs: performance.now() - begun,
    });
    if (this.lifecycle === undefined) {
      try {
        await this.init(timeoutMs, "invoke");
      } catch (error) {
        if (!(error instanceof InitError)) throw error;
        const crash = error.error.errorType === TIMED_OUT ? undefined : error.error;
        return failed(this.initError ?? failure(requestId, crash, timeoutMs));
      }
    }
    if (this.isFrozen) this.thaw();
    const lifecycle = this.lifecycle as unknown as Lifecycle;
    this.phase = "Invoke";
    const functionArn = `arn:aws:lambda:us-east-1:012345678901:function:${name}`;
    this.record("invocation");
    const tracing = { type: "X-Amzn-Trace-Id", value: TRACE_ID };
    const told = (lifecycle.invocation = lifecycle.events.invocation(requestId, tracing));
    lifecycle.api.extensions.send("INVOKE", { deadlineMs, requestId, invokedFunctionArn: functionArn, tracing });
    lifecycle.api.invoke({ requestId, event: JSON.stringify(event), deadlineMs, functionArn });

    const answered = (): boolean => this.outcome?.requestId === requestId;
    const idle = (): boolean => answered() && lifecycle.api.runtimeIsReady && lifecycle.api.extensions.allReady;
    const done = await this.until(begun + timeoutMs, () => idle() || lifecycle.crash !== undefined);
    if (!done || lifecycle.crash !== undefined) {
      const inTime = answered(); // what the function says while it is being reset comes too late
      const error = failure(requestId, lifecycle.crash, timeoutMs);
      this.record(`${error.errorType}, reset`);
      const [status, errorType] = done ? (["error", error.errorType] as const) : (["timeout"] as const);
      told.runtimeDone(status, errorType);
      told.report(status, highestMemoryMb(lifecycle.runtime), errorType);
      await this.end(done ? "failure" : "timeout");
      if (!inTime) return failed(error);
    } else {
      told.report("success", highestMemoryMb(lifecycle.runtime));
    }
    const outcome = this.outcome?.result ?? { response: "null" };
    if ("error" in outcome) {
      this.record(`function error ${outcome.error.errorType}`);
      return failed(outcome.error);
    }
    this.record("response");
    const durationMs = performance.now() - begun;
    // If the runtime crashes later, nobody can tell any more which children were its own.
    noteDescendants(lifecycle);
    return { ok: true, payload: parse(outcome.response), durationMs };
  }

  /** Between invocations an execution environment does not run. */
  freeze(): void {
    this.isFrozen = true;
    this.record("frozen");
    this.lifecycle?.api.telemetry.pause();
    for (const { child } of this.lifecycle?.processes ?? []) signalGroup(child, "SIGSTOP");
    if (this.lifecycle !== undefined) noteDescendants(this.lifecycle);
    this.lifecycle?.descendants.signal("SIGSTOP");
  }

  thaw(): void {
    this.isFrozen = false;
    for (const { child } of this.lifecycle?.processes ?? []) signalGroup(child, "SIGCONT");
    this.lifecycle?.descendants.signal("SIGCONT");
    this.lifecycle?.api.telemetry.resume();
    this.record("thawed");
  }

  /** A signal that is not part of any phase, such as a second SIGTERM. */
  signal(signal: NodeJS.Signals): void {
    this.record(`${signal} out of turn`);
    if (this.lifecycle?.runtime !== undefined) signalGroup(this.lifecycle.runtime.child, signal);
  }

  /** The Shutdown phase, after which the environment is gone for good. */
  async shutdown(reason: ShutdownReason = "spindown"): Promise<ShutdownResult> {
    return this.end(reason, true);
  }

  /**
   * Ends the processes by the rules: nobody registered, SIGKILL at once; otherwise SIGTERM, SIGKILL when the runtime's
   * time is over, then SHUTDOWN to the external extensions for the rest of the time.
   *
   * A reset keeps the machine, so the kernel closes the sockets of a killed process and the server notices. When the
   * environment is taken away, nobody does that: `onGone` is called before the SIGKILL that comes at once, and after
   * the extensions otherwise, for until then the machine is there.
   */
  private async end(reason: ShutdownReason, forGood = false): Promise<ShutdownResult> {
    const lifecycle = this.lifecycle;
    let begun = performance.now();
    const since = (): number => performance.now() - begun;
    if (lifecycle === undefined) {
      if (forGood) this.vanish();
      return { endedBy: "gone before", runtimeMs: 0, totalMs: 0 };
    }
    this.lifecycle = undefined;
    this.phase = "Shutdown";
    const { runtime, api, processes } = lifecycle;
    const kill = (target: EnvironmentProcess): void => {
      signalGroup(target.child, "SIGKILL");
    };
    noteDescendants(lifecycle);
    let endedBy: ShutdownResult["endedBy"] = runtime === undefined || runtime.isGone ? "gone before" : "itself";

    const internals = api.extensions.count("internal");
    if (this.extensions.length + internals === 0) {
      if (forGood) this.vanish();
      this.record("no extension registered: SIGKILL");
      if (endedBy === "itself") endedBy = "SIGKILL at once";
      for (const target of processes) kill(target);
      await Promise.all(processes.map(({ gone }) => gone));
      const runtimeMs = since();
      this.record("environment gone");
      await this.leaveNothing(lifecycle);
      return { endedBy, runtimeMs, totalMs: since() };
    }

    if (this.isFrozen) {
      for (const { child } of processes) signalGroup(child, "SIGCONT"); // to hear the signal
      lifecycle.descendants.signal("SIGCONT");
      await threadsWait(runtime?.child.pid);
      begun = performance.now();
    }
    this.isFrozen = false;
    api.telemetry.resume();
    let runtimeMs = 0;
    let unheard = false;
    if (runtime !== undefined && !runtime.isGone) {
      const listens = listensToSigterm(runtime);
      const budget = internals > 0 ? this.limits.runtimeWithInternalMs : this.limits.runtimeWithExternalMs;
      this.record("SIGTERM to the runtime");
      signalGroup(runtime.child, "SIGTERM");
      if (!(await this.until(begun + budget, () => runtime.isGone))) {
        endedBy = "SIGKILL at its deadline";
        this.record(`SIGKILL to the runtime, its ${budget} ms are over`);
        kill(runtime);
      }
      await runtime.gone;
      runtimeMs = since();
      const how = await runtime.gone;
      unheard = listens === false && how === "signal: terminated";
      this.record(`runtime gone (${how}${unheard ? UNHEARD : ""})`);
    }
    const rest = processes.filter(({ isGone }) => !isGone);
    if (api.telemetry.hasSubscribers) {
      await Promise.race([runtime?.drained, sleep(DRAINED_WITHIN_MS)]);
      await api.telemetry.flush();
    }
    if (rest.length > 0) {
      this.record(`SHUTDOWN (${reason}) to the external extensions`);
      const deadlineMs = Date.now() + this.limits.shutdownMs - since();
      api.extensions.send("SHUTDOWN", { shutdownReason: reason, deadlineMs: Math.round(deadlineMs) });
      for (const target of rest) if (!api.extensions.isSubscribed(target.name, "SHUTDOWN")) kill(target);
      await this.until(begun + this.limits.shutdownMs, () => rest.every(({ isGone }) => isGone));
      for (const target of rest) if (!target.isGone) kill(target);
      await Promise.all(rest.map(({ gone }) => gone));
    }
    if (forGood) this.vanish();
    const totalMs = since();
    this.record(forGood ? "environment gone" : "environment reset");
    await this.leaveNothing(lifecycle);
    return { endedBy, ...(unheard ? { unheard } : {}), runtimeMs, totalMs };
  }

  /** What the processes left behind goes with the machine, and with a reset as well. */
  private async leaveNothing({ processes, descendants, releases, api }: Lifecycle): Promise<void> {
    for (const { child } of processes) signalGroup(child, "SIGKILL");
    const left = await descendants.end();
    if (left > 0) this.record(`SIGKILL to ${left} detached ${left === 1 ? "process" : "processes"} of the function`);
    await Promise.all(processes.map(closeLog));
    for (const release of releases) release();
    await api.close();
  }

  private vanish(): void {
    if (!this.isGone) this.config.onGone?.();
    this.isGone = true;
  }

  private start(lifecycle: Lifecycle, name: string, command: readonly string[]): EnvironmentProcess {
    const { lambdaFunction, runtime } = this.config;
    const { address, telemetry } = lifecycle.api;
    const isRuntime = name === "runtime";
    const started = startProcess({
      ...{ name, command, directory: lambdaFunction.directory, isWatched: isRuntime && runtime.isNode === true },
      variables: processVariables(lambdaFunction, runtime.name, address, name),
      onLine: (line) => {
        this.logs.push(line);
        telemetry.emit(isRuntime ? "function" : "extension", line);
      },
      onGone: (how, isStarted) => {
        lifecycle.crash ??= crash(name, how, isStarted, lifecycle.saidExitError);
        this.changes.emit("change");
      },
    });
    if (started.child.pid !== undefined) lifecycle.releases.push(track("group", String(started.child.pid)));
    lifecycle.processes.push(started);
    return started;
  }

  /** Waits until `condition` holds, or until the deadline (performance.now()); tells whether it holds. */
  private async until(deadline: number, condition: () => boolean): Promise<boolean> {
    if (condition()) return true;
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.changes.off("change", check);
        resolve(condition());
      };
      const check = (): void => {
        if (condition()) finish();
      };
      const timer = setTimeout(finish, Math.max(0, deadline - performance.now()));
      this.changes.on("change", check);
    });
  }

  /** Adds to the timeline, for observers outside the environment as well. */
  record(what: string): void {
    this.timeline.push({ at: performance.now() - this.created, phase: this.phase, what });
  }
}

function noteDescendants({ descendants, processes }: Lifecycle): void {
  descendants.note(processes.map(({ child }) => child.pid));
}

function runtimeApiVariable({ address }: RuntimeApi): string {
  return `AWS_LAMBDA_RUNTIME_API=${address}`;
}

/** A handler answers with JSON, a program of another kind with any text. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
