import type { Row, Value } from "./misbehaving-server-packets";

/** One thread, as `information_schema.processlist` shows it. */
export interface ProcesslistEntry {
  readonly id: number;
  readonly user: string;
  /** Address and port as the server sees them: a proxy's, if there is one. */
  readonly host: string;
  readonly db: string | null;
  readonly command: string;
  readonly time: number;
  readonly state: string;
  readonly info: string | null;
}

const FROM = /\bfrom\s+(?:information_schema|performance_schema)\s*\.\s*processlist\b/i;
const SPECIAL = /[.*+?^${}()|[\]\\]/g;
const CONDITION = /^(\w+)\s*(=|<>|!=|like|in)\s*(.+)$/is;

export function asksForProcesslist(sql: string): boolean {
  return FROM.test(sql) || /^show\s+(full\s+)?processlist/i.test(sql);
}

/**
 * The threads that a statement asks for. It knows a WHERE of conditions that all have to hold, each a column compared
 * with literals or with CONNECTION_ID().
 *
 * @returns undefined if the condition says more than that
 */
export function processlistRows(
  sql: string,
  {
    connectionId,
    processlist,
  }: { readonly connectionId: number; readonly processlist: () => readonly ProcesslistEntry[] },
): readonly Row[] | undefined {
  const where = /\bwhere\s+(.+?)(?:\s+(?:order|limit)\s.*)?$/is
    .exec(sql)?.[1]
    ?.replace(/\bconnection_id\(\)/gi, String(connectionId));
  const conditions = where === undefined ? [] : where.split(/\s+and\s+/i).map(conditionOf);
  const known = conditions.filter((condition) => condition !== undefined);
  if (known.length < conditions.length) return undefined;
  const rows = processlist().map((entry): Row => ({ ...entry }));
  return rows.filter((row) => known.every((holds) => holds(row)));
}

function conditionOf(text: string): ((row: Row) => boolean) | undefined {
  const [, column, operator = "", operand = ""] = CONDITION.exec(text.trim()) ?? [];
  if (column === undefined) return undefined;
  const literals = operand.replace(/^\(|\)$/g, "").split(/\s*,\s*/);
  const values = literals.map((literal) => literal.trim().replace(/^(['"])(.*)\1$/s, "$2"));
  const valueOf = (row: Row): string => textOf(row[column.toLowerCase()] ?? null);
  switch (operator.toLowerCase()) {
    case "<>":
    case "!=":
      return (row) => !values.includes(valueOf(row));
    case "like": {
      const [first, ...others] = (values[0] ?? "").split("%").map((part) => part.replace(SPECIAL, "\\$&"));
      const pattern = new RegExp(`^${[first, ...others].join(".*")}$`, "is");
      return (row) => pattern.test(valueOf(row));
    }
    default:
      return (row) => values.includes(valueOf(row));
  }
}

function textOf(value: Value): string {
  return value === null ? "NULL" : String(value);
}
