import type { Row } from "./packets.ts";
import { asksForProcesslist, processlistRows, type ProcesslistEntry } from "./processlist.ts";
import { refuse, type Reaction } from "./reaction.ts";
import { select, type Selected } from "./select.ts";

/** What statements leave in a connection. */
export interface SessionState {
  inTransaction: boolean;
  autocommit: boolean;
  /** False with NO_BACKSLASH_ESCAPES in sql_mode. */
  backslashEscapes: boolean;
  /** A lock on a row, which ends with the transaction. */
  holdsLock: boolean;
  database: string | null;
  /** The code with which writes are refused, since a reader is at the other end. */
  readOnly: number | undefined;
}

/** What a statement can see of the server. */
export interface StatementContext {
  readonly connectionId: number;
  readonly user: string;
  /** Address without the port. */
  readonly address: string;
  readonly variables: Row;
  readonly processlist: () => readonly ProcesslistEntry[];
  /** Runs a KILL; false if there is no such thread. */
  kill(what: "QUERY" | "CONNECTION", connectionId: number): boolean;
  nextInsertId(): number;
}

/** What the statement comes to when nothing goes wrong on the way. */
export type Reply =
  | { readonly kind: "ok"; readonly affectedRows?: number; readonly insertId?: number; readonly changed?: Assignment }
  | ({ readonly kind: "rows" } & Selected)
  | Reaction;

type Assignment = readonly [name: string, value: string];

const WRITES = /^(insert|update|delete|replace|create|alter|drop|truncate|load)\b|\bfor\s+(update|share)\b/i;
const LOCKS = /^(insert|update|delete|replace)\b|\bfor\s+(update|share)\b/i;

export function execute(sql: string, state: SessionState, context: StatementContext): Reply {
  const statement = sql.replace(/;$/, "").replaceAll(/\s+/g, " ");
  const [, verb = ""] = /^(\w+)/.exec(statement) ?? [];
  switch (verb.toUpperCase()) {
    case "KILL":
      return kill(statement, context);
    case "START":
    case "BEGIN":
      state.inTransaction = true;
      return { kind: "ok" };
    case "COMMIT":
    case "ROLLBACK":
    case "CREATE":
    case "ALTER":
    case "DROP":
      endTransaction(state);
      return { kind: "ok" };
    case "SET":
      return set(statement, state);
  }
  if (WRITES.test(statement) && state.readOnly !== undefined) return refuse(state.readOnly);
  if (!state.autocommit) state.inTransaction = true;
  if (LOCKS.test(statement)) state.holdsLock = state.inTransaction;
  if (/^(select|show)\b/i.test(statement)) return read(statement, state, context);
  return { kind: "ok", affectedRows: 1, insertId: /^insert\b/i.test(statement) ? context.nextInsertId() : 0 };
}

/** As COMMIT, ROLLBACK, COM_RESET_CONNECTION and the connection's end do. */
export function endTransaction(state: SessionState): void {
  state.inTransaction = false;
  state.holdsLock = false;
}

function kill(statement: string, context: StatementContext): Reply {
  const [, what, id] = /^kill\s+(?:(query|connection)\s+)?(\d+)$/i.exec(statement) ?? [];
  if (id === undefined) return refuse(1064);
  const found = context.kill(what?.toUpperCase() === "QUERY" ? "QUERY" : "CONNECTION", Number(id));
  return found ? { kind: "ok" } : refuse(1094, `Unknown thread id: ${id}`);
}

function set(statement: string, state: SessionState): Reply {
  const [, name, value = ""] = /^set (?:session |@@(?:session\.)?)?(\w+) ?= ?(\S.*)$/i.exec(statement) ?? [];
  if (name === undefined) return { kind: "ok" };
  if (name.toLowerCase() === "sql_mode") state.backslashEscapes = !value.includes("NO_BACKSLASH_ESCAPES");
  if (name.toLowerCase() === "autocommit") state.autocommit = /^(1|on|true)$/i.test(value);
  return { kind: "ok", changed: [name, value] };
}

function read(statement: string, { database }: SessionState, context: StatementContext): Reply {
  const fromProcesslist = asksForProcesslist(statement);
  const fromOtherSchema = !fromProcesslist && /\b(information|performance)_schema\b/i.test(statement);
  const fromTable = !fromProcesslist && /\bfrom\b/i.test(statement);
  const rows = fromProcesslist
    ? processlistRows(statement, context.connectionId, context.processlist())
    : fromOtherSchema
      ? undefined
      : [{}];
  const list = /^show\b/i.test(statement) ? "select *" : statement;
  const selected = rows && select(list, rows, { ...context, database, columns: fromTable ? 0 : undefined });
  if (selected === undefined) return refuse(1064, `the fake server does not know ${statement}`);
  return { kind: "rows", ...selected };
}
