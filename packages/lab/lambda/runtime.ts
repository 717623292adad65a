/** What a function runs on: the Node.js of its runtime and a client of the Runtime API, or the program that it brings. */
export interface LambdaRuntime {
  readonly name: string;
  /** Runs in the function's directory. */
  readonly command: readonly string[];
  /** AWS's own client. */
  readonly isAwsClient: boolean;
  /**
   * The lab's client replaces AWS's, so some figures do not tell what happens in Lambda. A `bootstrap` has neither:
   * its client is the function's own, in Lambda as well. @default false
   */
  readonly isLabClient?: boolean;
  /** Its program takes Node.js's options, so the lab can find out whether the function listens to SIGTERM. @default false */
  readonly isNode?: boolean;
  /** What runs in the place of the version that {@link name} says, such as `Python 3.11.7`. @default - that version runs */
  readonly otherVersion?: string;
  /** One line for the reader, which says plainly where the lab differs from Lambda. */
  readonly description: string;
}
