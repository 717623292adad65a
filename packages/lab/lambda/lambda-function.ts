/** A function as Lambda knows it. */
export interface LambdaFunction {
  readonly name: string;
  /** Directory with the deployed code. */
  readonly directory: string;
  readonly handler: string;
  readonly memorySizeMb: number;
  readonly timeoutMs: number;
  readonly environment: Readonly<Record<string, string>>;
  /**
   * Directories or zips with the content of its layers, the first one first. They need a mount namespace.
   * @default none: /opt is this machine's
   */
  readonly layerPaths?: readonly string[];
  /** It has provisioned concurrency, which gives Init more time. @default false */
  readonly isProvisioned?: boolean;
}

/** A program in /opt/extensions. */
export interface ExternalExtension {
  readonly name: string;
  readonly command: readonly string[];
}

/** Milliseconds that Lambda grants. A test may shorten them, nothing else should. */
export interface Limits {
  /**
   * Of Init on demand. @default 10000, https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
   */
  readonly initMs: number;
  /** SIGTERM → SIGKILL of the runtime, with external extensions only. @default 300 */
  readonly runtimeWithExternalMs: number;
  /** SIGTERM → SIGKILL of a runtime with an internal extension. @default 500 */
  readonly runtimeWithInternalMs: number;
  /** The whole Shutdown phase with an external extension. @default 2000 */
  readonly shutdownMs: number;
}

/** With provisioned concurrency, and on Managed Instances: the function's time-out where that is longer. */
const LEAST_LONG_INIT_MS = 130_000;

/**
 * Provisioned concurrency and Managed Instances start environments ahead of the first invocation:
 * https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
 */
export function longInitMs({ timeoutMs }: Pick<LambdaFunction, "timeoutMs">): number {
  return Math.max(LEAST_LONG_INIT_MS, timeoutMs);
}

export const AWS_LIMITS: Limits = {
  initMs: 10_000,
  runtimeWithExternalMs: 300,
  runtimeWithInternalMs: 500,
  shutdownMs: 2_000,
};
