import type { FakeMysqlConfig } from "#fake-mysql";
import type { Check } from "./checks";
import type { ShutdownExtension } from "./shutdown-extension";
import type { HookEntry } from "./shutdown-line";
import type { Step } from "./steps";

/**
 * What a handler must understand beside an event that runs one statement. The key is for the rows, the text for people.
 */
export const NEEDS = {
  "slow event": "it needs an event whose statement runs for 30 seconds (--slow-event)",
  "DB_AUTH, DB_TLS": "it sets DB_AUTH or DB_TLS, which are this template's",
  "known statements": "it runs against a server without tables, which answers the statements of this template only",
  "AWS SDK": "it needs the AWS SDK, which Lambda has, in a node_modules above the code (CDKTF_OUTDIR)",
  MySQL: "they depend on MySQL or on this template's code",
  "the faults' events": "it asks for hooks, transactions or logs; npx jest faults plays it to the template's library",
} as const;
export type Need = keyof typeof NEEDS;

/** Something that goes wrong, and what a function that meets it has to do. A SIGTERM comes after the last step. */
export interface Fault {
  readonly name: string;
  /** What happens, for people. */
  readonly happens: string;
  /** What a correct function does, for people. */
  readonly answer: string;
  /** What stays on the server, for people. @default "nothing" */
  readonly leaves?: string;
  readonly steps: readonly Step[];
  /** @default none */
  readonly needs?: readonly Need[];
  /**
   * What each invocation comes to: `ok`, `any`, a pattern for the type and message of its error, or one for the JSON
   * that it answers.
   */
  readonly invocations: readonly ("ok" | "any" | RegExp | { readonly answers: RegExp })[];
  /** What the line in the log says of itself. @default - no line is expected, nothing is there that could write it */
  readonly line?: {
    /** Their names, and what must stand in their entries. */
    readonly hooks: Readonly<Record<string, Partial<HookEntry>>>;
  };
  /** What the function finds at DB_HOST and DB_PORT. @default "server" */
  readonly target?: "server" | "nobody" | "dropped packets" | "silent server";
  /** A server of its own, since the next fault could not use it any more. @default - one that others use as well */
  readonly ownServer?: { readonly certificate: "right name" | "wrong name" | "name only" | "address only" };
  /** A server that does what the steps tell it to, instead of a real one. @default - a real one */
  readonly fake?: Omit<FakeMysqlConfig, "certificate">;
  /** With TLS, and whose certificates the function trusts. @default - without TLS */
  readonly trusts?: "authority" | "other authority";
  readonly environment?: Readonly<Record<string, string>>;
  /** Milliseconds that an invocation may take. @default 10000 */
  readonly timeoutMs?: number;
  /**
   * Milliseconds that each invocation may take at the most, where that is less than the timeout. @default - timeoutMs
   */
  readonly withinMs?: number;
  /** What must stand neither in the log nor in an error. Passwords never may. @default none */
  readonly confidential?: readonly string[];
  /** What else must hold when the environment is gone. @default nothing */
  readonly afterwards?: readonly Check[];
  /** What makes Lambda send the SIGTERM. @default both */
  readonly extensions?: readonly ShutdownExtension[];
  /** No function can avoid what is left on the server. @default false */
  readonly outOfReach?: boolean;
  /** The process may be killed before it has written its line, as nothing lets it run in time. @default false */
  readonly mayBeKilled?: boolean;
  /** Loads a module that never finishes loading instead of the function. @default false */
  readonly slowImport?: boolean;
}
