import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Changes } from "./changes";
import { highestMemoryMb, signalGroup, type EnvironmentProcess, type RuntimeNote } from "./environment-process";
import type { ShutdownReason } from "./extensions-api";
import { failure, InitError, TIMED_OUT } from "./lambda-errors";
import { AWS_LIMITS, longInitMs, type ExternalExtension, type LambdaFunction, type Limits } from "./lambda-function";
import type { LambdaRuntime } from "./lambda-runtime";
import { Lifecycle, type Journal, type LifecycleConfig } from "./lifecycle";
import type { LambdaError } from "./runtime-api";
import type { Starvation } from "./starvation";
import { terminate } from "./termination";
import { threadsWait } from "./thawed-threads";

export { InitError, TIMED_OUT } from "./lambda-errors";
export { AWS_LIMITS, type ExternalExtension, type LambdaFunction, type Limits } from "./lambda-function";
export { RUNTIME_STARTED } from "./lifecycle";

export interface EnvironmentConfig {
  readonly lambdaFunction: LambdaFunction;
  readonly runtime: LambdaRuntime;
  /** @default none: the runtime gets SIGKILL instead of SIGTERM */
  readonly extensions?: readonly ExternalExtension[];
  /**
   * Called at the moment the environment is removed: from then on nothing of it reaches the network. It is awaited.
   * Before a SIGKILL at once, the processes are stopped until it has settled. @default nothing
   *
   * @param endedBy what ended, or is about to end, the runtime's process
   */
  readonly onGone?: OnGone;
  /** @default AWS_LIMITS */
  readonly limits?: Partial<Limits>;
}

export type OnGone = (endedBy: ShutdownResult["endedBy"]) => unknown;

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
  /** @default - the runtime could run, or nobody can tell */
  readonly starved?: Starvation;
}

/** What becomes of the machine: removed for good, or kept for another Init. */
interface Ending {
  readonly reason: ShutdownReason;
  /** Called when the environment is removed. */
  readonly remove: (endedBy: ShutdownResult["endedBy"]) => Promise<void>;
  readonly recorded: "environment gone" | "environment reset";
}

/** Milliseconds that the last lines of a process may take to arrive; one that it left behind may hold them for ever. */
const DRAINED_WITHIN_MS = 50;

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
  /** What the runtimes' processes told of the function's code. */
  readonly runtimeNotes: RuntimeNote[] = [];
  private readonly created = performance.now();
  private readonly limits: Limits;
  private readonly changes = new Changes();
  private lifecycle: Lifecycle | undefined;
  private isFrozen = false;
  private isRemoved = false;
  private phase: Phase = "Init";
  private lastStarvation: Starvation | undefined;

  constructor(private readonly config: EnvironmentConfig) {
    const { lambdaFunction, limits } = config;
    const ofInit = lambdaFunction.isProvisioned === true ? { initMs: longInitMs(lambdaFunction) } : {};
    this.limits = { ...AWS_LIMITS, ...ofInit, ...limits };
  }

  /** It has begun Init, and was neither reset nor shut down since. */
  get isThere(): boolean {
    return this.lifecycle !== undefined;
  }

  /** Of the last runtime that got SIGTERM, in a reset as well. @default - it could run, or nobody can tell */
  get starved(): Starvation | undefined {
    return this.lastStarvation;
  }

  /** Process id of the runtime. @default - Init has not come to it, or the environment was reset or shut down */
  get runtimePid(): number | undefined {
    return this.lifecycle?.runtime?.child.pid;
  }

  /** Process ids of what the runtime and the extensions had started by the end of the last invocation. */
  get childPids(): readonly number[] {
    return this.lifecycle?.childPids ?? [];
  }

  /**
   * The Init phase: extensions first, then the runtime, until each has asked for its first event.
   *
   * @throws InitError after the environment was reset; the next {@link invoke} tries again, as in Lambda
   */
  async init(limitMs = this.limits.initMs, phase: "init" | "invoke" = "init"): Promise<void> {
    if (this.lifecycle !== undefined || this.isRemoved) throw new Error("Init comes once, before the Shutdown phase");
    this.phase = "Init";
    const lifecycle = await Lifecycle.begin(this.lifecycleConfig, this.journal, phase);
    this.lifecycle = lifecycle;
    const isOver = await this.start(lifecycle, performance.now() + limitMs);
    const timedOut = { errorType: TIMED_OUT, errorMessage: `Init timed out after ${limitMs / 1_000} seconds` };
    const error = isOver ? lifecycle.initFailure : timedOut;
    const status = error === undefined ? "success" : isOver ? "error" : "timeout";
    lifecycle.events.initDone(status, lifecycle.api.extensions, isOver ? error?.errorType : undefined);
    lifecycle.api.telemetry.closeSubscription();
    if (error === undefined) return;
    this.record(`Init failed: ${error.errorType}`);
    await this.reset("failure");
    throw new InitError(error, error === lifecycle.initError);
  }

  /** The Invoke phase, with an Init before it if there was none or it failed. A time-out or a crash resets. */
  async invoke(event: unknown): Promise<InvocationResult> {
    const begun = performance.now();
    const { timeoutMs } = this.config.lambdaFunction;
    const deadlineMs = Date.now() + timeoutMs;
    const durationMs = (): number => performance.now() - begun;
    if (this.lifecycle === undefined) {
      const error = await this.initWithin(timeoutMs);
      if (error !== undefined) return { ok: false, error, durationMs: durationMs() };
    }
    if (this.isFrozen) this.thaw();
    const lifecycle = this.lifecycle as unknown as Lifecycle;
    this.phase = "Invoke";
    this.record("invocation");
    const requestId = lifecycle.invoke(event, deadlineMs);
    const isDone = await this.changes.until(
      begun + timeoutMs,
      () => (lifecycle.outcome(requestId) !== undefined && lifecycle.isIdle) || lifecycle.crash !== undefined,
    );
    const outcome = lifecycle.outcome(requestId); // what the function says while it is being reset comes too late
    lifecycle.forget(requestId);
    if (!isDone || lifecycle.crash !== undefined) {
      const error = await this.failInvocation(lifecycle, requestId, isDone);
      if (outcome === undefined) return { ok: false, error, durationMs: durationMs() };
    } else {
      lifecycle.invocation?.report("success", highestMemoryMb(lifecycle.runtime));
    }
    const result = this.resultOf(outcome ?? { response: "null" }, durationMs());
    lifecycle.noteDescendants();
    return result;
  }

  /** Between invocations an execution environment does not run. */
  freeze(): void {
    this.isFrozen = true;
    this.record("frozen");
    this.lifecycle?.freeze();
  }

  thaw(): void {
    this.isFrozen = false;
    this.lifecycle?.thaw();
    this.record("thawed");
  }

  /** A signal that is not part of any phase, such as a second SIGTERM. */
  signal(signal: NodeJS.Signals): void {
    this.record(`${signal} out of turn`);
    if (this.lifecycle?.runtime !== undefined) signalGroup(this.lifecycle.runtime.child, signal);
  }

  /**
   * The Shutdown phase, after which the machine is gone for good: no kernel closes the sockets of what still runs. So
   * `onGone` is called before the SIGKILL that comes at once, and after the extensions otherwise.
   */
  async shutdown(reason: ShutdownReason = "spindown"): Promise<ShutdownResult> {
    const remove = async (endedBy: ShutdownResult["endedBy"]): Promise<void> => {
      if (this.isRemoved) return;
      this.isRemoved = true;
      await this.config.onGone?.(endedBy);
    };
    if (this.lifecycle !== undefined) return this.end({ reason, remove, recorded: "environment gone" });
    await remove("gone before");
    return { endedBy: "gone before", runtimeMs: 0, totalMs: 0 };
  }

  /** Adds to the timeline, for observers outside the environment as well. */
  record(what: string): void {
    this.timeline.push({ at: performance.now() - this.created, phase: this.phase, what });
  }

  private get lifecycleConfig(): LifecycleConfig {
    const { lambdaFunction, runtime, extensions = [] } = this.config;
    return { lambdaFunction, runtime, extensions };
  }

  private get journal(): Journal {
    return {
      record: (what) => {
        this.record(what);
      },
      log: (line) => {
        this.logs.push(line);
      },
      note: (note) => {
        this.runtimeNotes.push(note);
      },
      changes: this.changes,
    };
  }

  /** Tells whether Init came to an end, good or bad, before the deadline. */
  private async start(lifecycle: Lifecycle, deadline: number): Promise<boolean> {
    const { extensions } = lifecycle.api;
    const hasFailed = (): boolean => lifecycle.initFailure !== undefined;
    lifecycle.startExtensions();
    if (!(await this.changes.until(deadline, () => extensions.allExternalsRegistered || hasFailed()))) return false;
    if (hasFailed()) return true;
    lifecycle.startRuntime();
    return this.changes.until(deadline, () => lifecycle.isIdle || hasFailed());
  }

  /** An Init that is a part of the invocation; returns the invocation's error. */
  private async initWithin(timeoutMs: number): Promise<LambdaError | undefined> {
    try {
      await this.init(timeoutMs, "invoke");
      return undefined;
    } catch (error) {
      if (!(error instanceof InitError)) throw error;
      if (error.isReported) return error.error;
      return failure(randomUUID(), error.error.errorType === TIMED_OUT ? undefined : error.error, timeoutMs);
    }
  }

  /** Resets, and returns the invocation's error. */
  private async failInvocation(lifecycle: Lifecycle, requestId: string, isCrash: boolean): Promise<LambdaError> {
    const error = failure(requestId, lifecycle.crash, this.config.lambdaFunction.timeoutMs);
    this.record(`${error.errorType}, reset`);
    const [status, errorType] = isCrash ? (["error", error.errorType] as const) : (["timeout"] as const);
    lifecycle.invocation?.runtimeDone(status, errorType);
    lifecycle.invocation?.report(status, highestMemoryMb(lifecycle.runtime), errorType);
    await this.reset(isCrash ? "failure" : "timeout");
    return error;
  }

  private resultOf(outcome: NonNullable<ReturnType<Lifecycle["outcome"]>>, durationMs: number): InvocationResult {
    if ("error" in outcome) {
      this.record(`function error ${outcome.error.errorType}`);
      return { ok: false, error: outcome.error, durationMs };
    }
    this.record("response");
    return { ok: true, payload: parse(outcome.response), durationMs };
  }

  /** The machine stays, so its kernel closes the sockets of a killed process, and the server notices. */
  private async reset(reason: ShutdownReason): Promise<void> {
    await this.end({ reason, remove: () => Promise.resolve(), recorded: "environment reset" });
  }

  /** Nobody registered: SIGKILL at once. Otherwise SIGTERM comes first. */
  private async end(ending: Ending): Promise<ShutdownResult> {
    const { lifecycle } = this;
    if (lifecycle === undefined) return { endedBy: "gone before", runtimeMs: 0, totalMs: 0 };
    this.lifecycle = undefined;
    this.phase = "Shutdown";
    lifecycle.noteDescendants();
    const result = await (lifecycle.hasExtension
      ? this.terminate(lifecycle, ending)
      : this.killAtOnce(lifecycle, ending));
    this.record(ending.recorded);
    await lifecycle.leaveNothing();
    return result;
  }

  /** Nobody hears a signal; when the machine is removed, it goes first. */
  private async killAtOnce(lifecycle: Lifecycle, { remove }: Ending): Promise<ShutdownResult> {
    const { runtime, processes } = lifecycle;
    const endedBy = runtime === undefined || runtime.isGone ? "gone before" : "SIGKILL at once";
    lifecycle.signalAll("SIGSTOP");
    await remove(endedBy);
    const begun = performance.now();
    this.record("no extension registered: SIGKILL");
    lifecycle.signalAll("SIGKILL");
    await Promise.all(processes.map(({ gone }) => gone));
    const runtimeMs = performance.now() - begun;
    return { endedBy, runtimeMs, totalMs: runtimeMs };
  }

  /** SIGTERM, SIGKILL when the runtime's time is over, then SHUTDOWN to the external extensions for the rest. */
  private async terminate(lifecycle: Lifecycle, { reason, remove }: Ending): Promise<ShutdownResult> {
    if (this.isFrozen) await this.thawToHear(lifecycle);
    const begun = performance.now();
    lifecycle.api.telemetry.resume();
    const runtime = await this.terminateRuntime(lifecycle);
    await flushTelemetry(lifecycle);
    await this.endExtensions(lifecycle, reason, begun + this.limits.shutdownMs);
    await remove(runtime.endedBy);
    return { ...runtime, totalMs: performance.now() - begun };
  }

  private async thawToHear(lifecycle: Lifecycle): Promise<void> {
    this.isFrozen = false;
    lifecycle.thaw();
    await threadsWait(lifecycle.runtime?.child.pid);
  }

  private async terminateRuntime(lifecycle: Lifecycle): Promise<Omit<ShutdownResult, "totalMs">> {
    const { runtime } = lifecycle;
    if (runtime === undefined || runtime.isGone) return { endedBy: "gone before", runtimeMs: 0 };
    const isInternal = lifecycle.api.extensions.count("internal") > 0;
    const budget = isInternal ? this.limits.runtimeWithInternalMs : this.limits.runtimeWithExternalMs;
    this.record("SIGTERM to the runtime");
    const { how, ended } = await terminate(runtime, budget, this.changes, () => {
      this.record(`SIGKILL to the runtime, its ${budget} ms are over`);
    });
    this.lastStarvation = ended.starved;
    this.record(`runtime gone (${how}${ended.unheard ? UNHEARD : ""})`);
    return ended;
  }

  /** @param deadline as `performance.now()` counts */
  private async endExtensions({ api, processes }: Lifecycle, reason: ShutdownReason, deadline: number): Promise<void> {
    const extensions = processes.filter(({ isGone }) => !isGone);
    if (extensions.length === 0) return;
    const kill = ({ child }: EnvironmentProcess): void => {
      signalGroup(child, "SIGKILL");
    };
    this.record(`SHUTDOWN (${reason}) to the external extensions`);
    const deadlineMs = Math.round(Date.now() + deadline - performance.now());
    api.extensions.send("SHUTDOWN", { shutdownReason: reason, deadlineMs });
    extensions.filter(({ name }) => !api.extensions.isSubscribed(name, "SHUTDOWN")).forEach(kill);
    await this.changes.until(deadline, () => extensions.every(({ isGone }) => isGone));
    extensions.filter(({ isGone }) => !isGone).forEach(kill);
    await Promise.all(extensions.map(({ gone }) => gone));
  }
}

/** The last lines arrive before SHUTDOWN. */
async function flushTelemetry({ api, runtime }: Lifecycle): Promise<void> {
  if (!api.telemetry.hasSubscribers) return;
  await Promise.race([runtime?.drained, sleep(DRAINED_WITHIN_MS)]);
  await api.telemetry.flush();
}

/** A handler answers with JSON, a program of another kind with any text. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
