import type { Row } from "./packets.ts";

interface Refusal {
  readonly kind: "refuse";
  readonly code: number;
  readonly message: string;
  readonly sqlState: string;
  readonly thenEnds: boolean;
}

/** What the server does instead of the right thing. The functions of this module make them. */
export type Reaction =
  | Refusal
  | { readonly kind: "farewell"; readonly code: number; readonly message: string }
  | { readonly kind: "silent" | "hang up" | "reset" }
  | { readonly kind: "answer"; readonly rows: readonly Row[] }
  | { readonly kind: "wait"; readonly ms: number };

/** What the server says of errors that a production server has sent, and their SQL states. */
const ERRORS: Readonly<Record<number, readonly [sqlState: string, message: string]>> = {
  1040: ["08004", "Too many connections"],
  1045: ["28000", "Access denied for user"],
  1053: ["08S01", "Server shutdown in progress"],
  1064: ["42000", "You have an error in your SQL syntax"],
  1094: ["HY000", "Unknown thread id"],
  1203: ["42000", "User already has more than 'max_user_connections' active connections"],
  1205: ["HY000", "Lock wait timeout exceeded; try restarting transaction"],
  1213: ["40001", "Deadlock found when trying to get lock; try restarting transaction"],
  1226: ["42000", "User has exceeded the 'max_user_connections' resource (current value: 3)"],
  1235: ["42000", "This version of MySQL doesn't yet support it"],
  1290: ["HY000", "The MySQL server is running with the --read-only option so it cannot execute this statement"],
  1317: ["70100", "Query execution was interrupted"],
  1644: ["45000", "Unhandled user-defined exception condition"],
  1792: ["25006", "Cannot execute statement in a READ ONLY transaction."],
  1836: ["HY000", "Running in read-only mode"],
  3024: ["HY000", "Query execution was interrupted, maximum statement execution time exceeded"],
  4031: [
    "HY000",
    "The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout for " +
      "configuring this behavior.",
  ],
};

export function sqlStateOf(code: number): string {
  return ERRORS[code]?.[0] ?? "HY000";
}

export function messageOf(code: number): string {
  return ERRORS[code]?.[1] ?? "Unknown error";
}

/** An error packet in answer; a connection that has not logged in ends with it. */
export function refuse(code: number, message = messageOf(code), sqlState = sqlStateOf(code)): Reaction {
  return { kind: "refuse", code, message, sqlState, thenEnds: false };
}

/** An error packet in answer, and the end of the connection. */
export function refuseAndEnd(code: number, message = messageOf(code)): Reaction {
  return { kind: "refuse", code, message, sqlState: sqlStateOf(code), thenEnds: true };
}

/**
 * The error packet in front of the FIN that a server sends when it ends a connection by itself. As an answer, it is one
 * that was under way when the statement arrived: the statement does not run.
 */
export function farewell(code: number): Reaction {
  return { kind: "farewell", code, message: messageOf(code) };
}

/** Never answers again on this connection, and does not end it either. */
export const silent: Reaction = { kind: "silent" };

/** FIN without a word. */
export const hangUp: Reaction = { kind: "hang up" };

export const reset: Reaction = { kind: "reset" };

/** Rows of the script's own. All have the columns of the first. */
export function answer(...rows: readonly Row[]): Reaction {
  return { kind: "answer", rows };
}

/** The right answer, later. */
export function wait(ms: number): Reaction {
  return { kind: "wait", ms };
}
