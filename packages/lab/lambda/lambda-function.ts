/** A function as Lambda knows it. */
export interface LambdaFunction {
  readonly name: string;
  /** Directory with the deployed code. */
  readonly directory: string;
  readonly handler: string;
  readonly memorySizeMb: number;
  readonly timeoutMs: number;
  readonly environment: Readonly<Record<string, string>>;
}

/** A program in /opt/extensions. */
export interface ExternalExtension {
  readonly name: string;
  readonly command: readonly string[];
}

/** Milliseconds that Lambda grants. A test may shorten them, nothing else should. */
export interface Limits {
  /**
   * @default 10000, https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
   */
  readonly initMs: number;
  /** SIGTERM → SIGKILL of the runtime, with external extensions only. @default 300 */
  readonly runtimeWithExternalMs: number;
  /** SIGTERM → SIGKILL of a runtime with an internal extension. @default 500 */
  readonly runtimeWithInternalMs: number;
  /** The whole Shutdown phase with an external extension. @default 2000 */
  readonly shutdownMs: number;
}

export const AWS_LIMITS: Limits = {
  initMs: 10_000,
  runtimeWithExternalMs: 300,
  runtimeWithInternalMs: 500,
  shutdownMs: 2_000,
};
