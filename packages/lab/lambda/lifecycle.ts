import { randomUUID } from "node:crypto";
import { Descendants } from "../processes/descendants";
import { track } from "../processes/reaper";
import type { Changes } from "./changes";
import {
  closeLog,
  signalGroup,
  startProcess,
  WATCH_SIGTERM,
  type EnvironmentProcess,
  type RuntimeNote,
} from "./environment-process";
import { MAX_EXTENSIONS } from "./extensions-api";
import { crash } from "./lambda-errors";
import type { ExternalExtension, LambdaFunction } from "./lambda-function";
import type { LambdaRuntime } from "./lambda-runtime";
import { layersOf, type Layers } from "./layers";
import { PlatformEvents, type InvocationEvents } from "./platform-events";
import { processVariables, type InitializationType } from "./process-variables";
import { runtimeCommand } from "./runtime-command";
import { RuntimeApi, TRACE_ID, type LambdaError } from "./runtime-api";

/** In the timeline. */
export const ASKED_TOO_EARLY = "the runtime asked for its next event without an answer to this one";
export const RUNTIME_STARTED = "runtime started";

/** Where the parts of an environment note what happens. */
export interface Journal {
  /** A line in the timeline. */
  record(what: string): void;
  /** A line of a process. */
  log(line: string): void;
  note(note: RuntimeNote): void;
  readonly changes: Changes;
}

export interface LifecycleConfig {
  readonly lambdaFunction: LambdaFunction;
  readonly runtime: LambdaRuntime;
  readonly extensions: readonly ExternalExtension[];
}

type Outcome = { readonly response: string } | { readonly error: LambdaError };

/** One life, from Init to Shutdown or reset: a reset execution environment begins another. */
export class Lifecycle {
  readonly processes: EnvironmentProcess[] = [];
  runtime: EnvironmentProcess | undefined;
  /** The first thing that went wrong with a process; the runtime's own words are in {@link initError}. */
  crash: LambdaError | undefined;
  /** What the runtime reported at /init/error. */
  initError: LambdaError | undefined;
  /** @default - there was no invocation yet */
  invocation: InvocationEvents | undefined;
  /** What subscribers to the Telemetry API are told. */
  readonly events: PlatformEvents;
  private readonly outcomes = new Map<string, Outcome>();
  private readonly descendants: Descendants;
  /** To be called when its processes are gone: until then the reaper would end them with the lab. */
  private readonly releases: (() => void)[];
  /** An extension, of either kind, has announced at /exit/error that it will go. */
  private saidExitError = false;
  private hasAskedTooEarly = false;

  private constructor(
    private readonly config: LifecycleConfig,
    readonly api: RuntimeApi,
    private readonly journal: Journal,
    phase: "init" | "invoke",
    /** Those beside the function, and those of its layers. */
    private readonly extensions: readonly ExternalExtension[],
    private readonly layers: Layers | undefined,
  ) {
    const variable = `AWS_LAMBDA_RUNTIME_API=${api.address}`;
    this.events = new PlatformEvents(
      api.telemetry,
      config.lambdaFunction,
      phase,
      initializationTypeOf(config.lambdaFunction),
    );
    this.descendants = new Descendants(variable);
    // Every process of this life has it, even one that was started when the lab had no time to note its number.
    this.releases = [track("variable", variable)];
  }

  static async begin(config: LifecycleConfig, journal: Journal, phase: "init" | "invoke"): Promise<Lifecycle> {
    const { name: functionName, handler, directory, layerPaths: paths = [] } = config.lambdaFunction;
    const layers = paths.length === 0 ? undefined : layersOf(paths, directory);
    const extensions = [...config.extensions, ...(layers?.extensions ?? [])];
    const api = await RuntimeApi.start(
      { functionName, functionVersion: "$LATEST", handler },
      extensions.map(({ name }) => name),
      {
        askedTooEarly: () => {
          lifecycle.askedTooEarly();
        },
        runtimeReady: () => {
          lifecycle.runtimeReady();
        },
        initError: (error) => {
          lifecycle.initError = error;
          journal.changes.emit();
        },
        invocationDone: (requestId, outcome) => {
          lifecycle.invocation?.answered("response" in outcome ? Buffer.byteLength(outcome.response) : 0);
          lifecycle.outcomes.set(requestId, outcome);
          journal.changes.emit();
        },
        extensionChanged: (event, name) => {
          lifecycle.extensionChanged(event, name);
        },
      },
    );
    const lifecycle = new Lifecycle(config, api, journal, phase, extensions, layers);
    return lifecycle;
  }

  startExtensions(): void {
    const { extensions } = this;
    if (extensions.length > MAX_EXTENSIONS) {
      this.crash = { errorType: "Extension.LaunchError", errorMessage: "ErrTooManyExtensions" };
      return;
    }
    for (const { name, command } of extensions) this.start(name, command);
  }

  startRuntime(): void {
    this.journal.record(RUNTIME_STARTED);
    const { lambdaFunction, runtime } = this.config;
    const command = runtimeCommand(lambdaFunction, runtime, runtime.isNode === true ? WATCH_SIGTERM : []);
    this.runtime = this.start("runtime", this.layers?.inside(command) ?? command);
  }

  /** Why Init cannot go on, if it cannot. */
  get initFailure(): LambdaError | undefined {
    return this.initError ?? this.crash;
  }

  /** Somebody has registered, so the runtime gets SIGTERM before SIGKILL. */
  get hasExtension(): boolean {
    return this.extensions.length + this.api.extensions.count("internal") > 0;
  }

  /** The runtime and the extensions wait for their next event. */
  get isIdle(): boolean {
    return this.api.runtimeIsReady && this.api.extensions.allReady;
  }

  /** Hands an event to the runtime and the extensions; returns the request's id. */
  invoke(event: unknown, deadlineMs: number): string {
    const requestId = randomUUID();
    this.hasAskedTooEarly = false;
    const functionArn = `arn:aws:lambda:us-east-1:012345678901:function:${this.config.lambdaFunction.name}`;
    const tracing = { type: "X-Amzn-Trace-Id", value: TRACE_ID };
    this.invocation = this.events.invocation(requestId, tracing);
    this.api.extensions.send("INVOKE", { deadlineMs, requestId, invokedFunctionArn: functionArn, tracing });
    this.api.invoke({ requestId, event: JSON.stringify(event), deadlineMs, functionArn });
    return requestId;
  }

  /** @default - not answered yet */
  outcome(requestId: string): Outcome | undefined {
    return this.outcomes.get(requestId);
  }

  forget(requestId: string): void {
    this.outcomes.delete(requestId);
  }

  freeze(): void {
    this.api.telemetry.pause();
    this.signalAll("SIGSTOP");
    this.noteDescendants();
    this.descendants.signal("SIGSTOP");
  }

  thaw(): void {
    this.signalAll("SIGCONT");
    this.descendants.signal("SIGCONT");
    this.api.telemetry.resume();
  }

  signalAll(signal: NodeJS.Signals): void {
    for (const { child } of this.processes) signalGroup(child, signal);
  }

  /** If the runtime crashes later, nobody can tell any more which children were its own. */
  noteDescendants(): void {
    this.descendants.note(this.processes.map(({ child }) => child.pid));
  }

  /** Process ids of what the runtime and the extensions have started. */
  get childPids(): readonly number[] {
    return this.descendants.running();
  }

  /** What the processes left behind goes with the machine, and with a reset as well. */
  async leaveNothing(): Promise<void> {
    this.signalAll("SIGKILL");
    const left = await this.descendants.end();
    if (left > 0) {
      this.journal.record(`SIGKILL to ${left} detached ${left === 1 ? "process" : "processes"} of the function`);
    }
    await Promise.all(this.processes.map(closeLog));
    for (const release of this.releases) release();
    await this.api.close();
  }

  private runtimeReady(): void {
    this.events.initRuntimeDone("success");
    this.invocation?.runtimeDone("success");
    if (this.invocation === undefined) this.journal.record("runtime ready (first /next)");
    this.journal.changes.emit();
  }

  /** Once an invocation: a client that cannot send its answer asks thousands of times. */
  private askedTooEarly(): void {
    if (this.hasAskedTooEarly) return;
    this.hasAskedTooEarly = true;
    this.journal.record(ASKED_TOO_EARLY);
  }

  private extensionChanged(event: string, name: string): void {
    if (event !== "ready") this.journal.record(`extension ${name} ${event}`);
    if (event === "init error") this.crash ??= { errorType: "Extension.InitError", errorMessage: name };
    if (event === "exit error") this.saidExitError = true;
    this.journal.changes.emit();
  }

  private start(name: string, command: readonly string[]): EnvironmentProcess {
    const { lambdaFunction, runtime } = this.config;
    const { variables, telemetry } = this.api;
    const initializationType = initializationTypeOf(lambdaFunction);
    const isRuntime = name === "runtime";
    const started = startProcess({
      ...{ name, command, directory: lambdaFunction.directory, isWatched: isRuntime && runtime.isNode === true },
      variables: processVariables({
        lambdaFunction,
        runtime,
        process: name,
        apis: variables,
        initializationType,
      }),
      onLine: (line) => {
        this.journal.log(line);
        telemetry.emit(isRuntime ? "function" : "extension", line);
      },
      onNote: (note) => {
        this.journal.note(note);
      },
      onGone: (how, isStarted) => {
        this.crash ??= crash(name, how, isStarted, this.saidExitError);
        this.journal.changes.emit();
      },
    });
    if (started.child.pid !== undefined) this.releases.push(track("group", String(started.child.pid)));
    this.processes.push(started);
    return started;
  }
}

function initializationTypeOf({ isProvisioned }: LambdaFunction): InitializationType {
  return isProvisioned === true ? "provisioned-concurrency" : "on-demand";
}
