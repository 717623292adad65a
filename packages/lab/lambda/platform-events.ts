import type { ExtensionsApi } from "./extensions-api";
import type { TelemetryApi } from "./telemetry-api";

export type PlatformStatus = "success" | "failure" | "error" | "timeout";

interface Described {
  readonly name: string;
  readonly memorySizeMb: number;
}

interface Tracing {
  readonly type: string;
  readonly value: string;
}

const INITIALIZATION_TYPE = "on-demand";

/**
 * What Lambda tells its subscribers about an execution environment, from one Init to the Shutdown or reset after it:
 * https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
 */
export class PlatformEvents {
  private readonly createdAt = performance.now();
  private isInitRuntimeDone = false;
  /** For the report of the first invocation. */
  private initDurationMs: number | undefined;

  /** @param phase where Init happens: a second try is a part of the invocation */
  constructor(
    private readonly telemetry: TelemetryApi,
    private readonly lambdaFunction: Described,
    private readonly phase: "init" | "invoke",
    private readonly initializationType: string = INITIALIZATION_TYPE,
  ) {
    this.emit("initStart", {
      ...this.init,
      functionName: lambdaFunction.name,
      functionVersion: "$LATEST",
      instanceId: "lab",
    });
  }

  /** The runtime has asked for its first event. */
  initRuntimeDone(status: PlatformStatus, errorType?: string): void {
    if (this.isInitRuntimeDone) return;
    this.isInitRuntimeDone = true;
    this.emit("initRuntimeDone", { ...this.init, status, ...of(errorType) });
  }

  initDone(status: PlatformStatus, extensions: Pick<ExtensionsApi, "list">, errorType?: string): void {
    this.initRuntimeDone(status, errorType);
    for (const extension of extensions.list()) this.emit("extension", extension);
    const durationMs = since(this.createdAt);
    this.emit("initReport", { ...this.init, status, metrics: { durationMs }, ...of(errorType) });
    if (this.phase === "init") this.initDurationMs = durationMs;
  }

  invocation(requestId: string, tracing: Tracing): InvocationEvents {
    const { initDurationMs } = this;
    this.initDurationMs = undefined;
    const { memorySizeMb } = this.lambdaFunction;
    return new InvocationEvents(this.telemetry, { requestId, tracing, memorySizeMb, initDurationMs });
  }

  private get init(): object {
    return { initializationType: this.initializationType, phase: this.phase };
  }

  private emit(event: string, record: object): void {
    this.telemetry.emit(`platform.${event}`, record);
  }
}

/** What subscribers are told of one invocation. */
export class InvocationEvents {
  private readonly begunAt = performance.now();
  private producedBytes = 0;
  private isRuntimeDone = false;

  constructor(
    private readonly telemetry: TelemetryApi,
    private readonly about: {
      readonly requestId: string;
      readonly tracing: Tracing;
      readonly memorySizeMb: number;
      /** @default - it is not the first invocation after an Init */
      readonly initDurationMs: number | undefined;
    },
  ) {
    const { requestId, tracing } = about;
    telemetry.emit("platform.start", { requestId, version: "$LATEST", tracing });
  }

  /** @param producedBytes of the response */
  answered(producedBytes: number): void {
    this.producedBytes = producedBytes;
  }

  /** The runtime has answered and asked for its next event, or it will not. */
  runtimeDone(status: PlatformStatus, errorType?: string): void {
    if (this.isRuntimeDone) return;
    this.isRuntimeDone = true;
    const { requestId, tracing } = this.about;
    const metrics = { durationMs: since(this.begunAt), producedBytes: this.producedBytes };
    this.telemetry.emit("platform.runtimeDone", { requestId, status, metrics, tracing, ...of(errorType) });
  }

  /** The invocation is over, and with it the extensions' work. */
  report(status: PlatformStatus, maxMemoryUsedMB: number | undefined, errorType?: string): void {
    const { requestId, tracing, memorySizeMb, initDurationMs } = this.about;
    const durationMs = since(this.begunAt);
    const metrics = {
      ...{ durationMs, billedDurationMs: Math.ceil(durationMs), memorySizeMB: memorySizeMb },
      ...(maxMemoryUsedMB === undefined ? {} : { maxMemoryUsedMB }),
      ...(initDurationMs === undefined ? {} : { initDurationMs }),
    };
    this.telemetry.emit("platform.report", { requestId, status, metrics, tracing, ...of(errorType) });
  }
}

function of(errorType: string | undefined): object {
  return errorType === undefined ? {} : { errorType };
}

/** Milliseconds, with microseconds as their last digits. */
function since(begun: number): number {
  return Math.round((performance.now() - begun) * 1_000) / 1_000;
}
