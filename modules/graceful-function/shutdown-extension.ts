import type { Precondition } from "cdktf";
import type { Construct } from "constructs";
import type { Architecture } from "../code/native-code";
import type { OwnVariables } from "./environment";
import { InsightsLayer } from "./insights-layer";
import { isKnown, problem } from "../terraform/construct-settings-error";

/**
 * Milliseconds that Lambda leaves between SIGTERM and SIGKILL, by what is registered. With an external extension it is
 * as AWS's emulator has it, https://github.com/aws/aws-lambda-runtime-interface-emulator
 * (internal/lambda/rapid/shutdown.go); with an internal one as in
 * https://github.com/aws-samples/graceful-shutdown-with-aws-lambda.
 */
const BUDGET_MS = { external: 300, internal: 500, none: undefined } as const;

/** What a function needs to use the extension. */
export interface ShutdownExtensionBinding {
  readonly layers: readonly string[];
  /** Conditions of the function that fail the plan. */
  readonly preconditions: Precondition[];
}

/**
 * What makes Lambda send SIGTERM before it removes an execution environment: any registered extension does. This one
 * setting selects layer, permissions, SHUTDOWN_EXTENSION and SHUTDOWN_BUDGET_MS; docs/shutdown-extension.md has what
 * each costs.
 *
 * @example ShutdownExtension.insights(InsightsLayer.version("1.0.404.0"))
 */
export class ShutdownExtension {
  private constructor(
    private readonly kind: keyof typeof BUDGET_MS,
    /** Of an internal extension there is none. */
    private readonly layer: InsightsLayer | string | null,
  ) {}

  /** CloudWatch Lambda Insights, from AWS's layer. */
  public static insights(layer = InsightsLayer.latest()): ShutdownExtension {
    return new ShutdownExtension("external", layer);
  }

  /**
   * The one that the function registers itself (function/extension.ts): no layer, no process, no further permission.
   */
  public static internal(): ShutdownExtension {
    return new ShutdownExtension("internal", null);
  }

  /** A layer of yours that holds an external extension, by the ARN of its version. */
  public static layer(arn: string): ShutdownExtension {
    return new ShutdownExtension("external", arn);
  }

  /** No extension: the runtime gets SIGKILL, and no hook runs. */
  public static none(): ShutdownExtension {
    return new ShutdownExtension("none", null);
  }

  /** Whether it is Insights, which writes to a log group of its own. */
  public get isInsights(): boolean {
    return this.layer instanceof InsightsLayer;
  }

  public get hasLayer(): boolean {
    return this.layer !== null;
  }

  /** What tells the function that SIGTERM will come, and how long it then has. */
  public get environment(): OwnVariables {
    const budget = BUDGET_MS[this.kind];
    return {
      SHUTDOWN_EXTENSION: this.kind,
      ...(budget === undefined ? {} : { SHUTDOWN_BUDGET_MS: String(budget) }),
    };
  }

  public problems(region: string, architecture: Architecture): string[] {
    const { layer } = this;
    if (layer instanceof InsightsLayer) return layer.problems(region, architecture);
    const isArn = layer === null || !isKnown(layer) || (typeof layer === "string" && layer.startsWith("arn:"));
    return isArn
      ? []
      : [problem("shutdownExtension.layer", layer, "is neither an InsightsLayer nor the ARN of a layer")];
  }

  public bind(scope: Construct, region: string, architecture: Architecture): ShutdownExtensionBinding {
    if (this.layer instanceof InsightsLayer) {
      const { arn, preconditions } = this.layer.bind(scope, region, architecture);
      return { layers: [arn], preconditions };
    }
    return { layers: this.layer === null ? [] : [this.layer], preconditions: [] };
  }
}
