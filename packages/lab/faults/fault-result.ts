import type { ShutdownResult } from "../lambda/execution-environment";
import type { Starvation } from "../lambda/starvation";
import type { Login } from "../mysql/server";
import type { ShutdownExtension } from "./shutdown-extension";
import type { ShutdownLine } from "./shutdown-line";
import type { Scenario } from "./steps";

/** The function that a fault is played to. */
export interface FaultedFunction {
  readonly name: string;
  readonly directory: string;
  readonly handler: string;
  /** Whether it logs what its Shutdown came to; other people's ways do not. */
  readonly logsShutdown: boolean;
  /** The events that it understands. @default - those of the faults */
  readonly events?: Scenario["events"];
  /** Content of its layers. @default none */
  readonly layerPaths?: readonly string[];
  /** Variables of its own. @default none */
  readonly environment?: Readonly<Record<string, string>>;
  /** The variables that tell a user handler, whose errors are its own, where the database is. @default - DB_* */
  readonly userVariables?: (login: Login) => Readonly<Record<string, string>>;
}

/** What only a server can tell; `unreachable` if there is none any more. */
export type Told<T> = T | "unreachable";

export interface FaultResult {
  readonly fault: string;
  readonly function: string;
  readonly extension: ShutdownExtension;
  /** `ok`, or type and message of the error. */
  readonly invocations: readonly string[];
  /** Milliseconds from the signal to the end of the process. */
  readonly goneMs: number;
  readonly endedBy: ShutdownResult["endedBy"];
  /** By how much the lab's own SIGKILL missed the deadline: where that is much, the machine stood still. */
  readonly killLateMs: number;
  /** @default - the runtime could run, or nobody can tell */
  readonly starved?: Starvation;
  /** The only problem is that the lab cannot see how a connection was closed. @default false */
  readonly isHidden?: true;
  /** How many connections the server answered. */
  readonly connectionsOpened: number;
  /** What the server held after the environment was gone. */
  readonly connectionsLeft: Told<number>;
  readonly statementsLeft: Told<number>;
  /** Rise of the server's own counter, without what was the fault's doing. */
  readonly abortedClients: Told<number>;
  /** Whether somebody else could change the row that the function may have locked. */
  readonly locksFree: Told<boolean>;
  /** Milliseconds from the signal to each COM_QUIT that followed it. */
  readonly quitsAfterMs: readonly number[];
  readonly unhandledRejection: boolean;
  readonly lines: readonly ShutdownLine[];
  /** What differs from the expected result, a sentence each. Empty if nothing does. */
  readonly problems: readonly string[];
}
