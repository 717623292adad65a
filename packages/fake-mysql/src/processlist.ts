import type { Row } from "./packets.ts";

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

/** @param sql with one space between its words */
export function asksForProcesslist(sql: string): boolean {
  return /\bfrom (?:information|performance)_schema\.processlist\b|^show (?:full )?processlist/i.test(sql);
}

/**
 * The threads that a statement asks for. It knows a WHERE of conditions that all have to hold, each a column compared
 * with literals or with CONNECTION_ID().
 *
 * @returns undefined if the condition says more than that
 */
export function processlistRows(
  sql: string,
  connectionId: number,
  processlist: readonly ProcesslistEntry[],
): readonly Row[] | undefined {
  const [, where] = sql.replaceAll(/\bconnection_id\(\)/gi, String(connectionId)).split(/ where /i);
  const [condition] = where?.split(/ (?:order|limit) /i) ?? [];
  const conditions = condition?.split(/ and /i).map(conditionOf) ?? [];
  if (conditions.includes(undefined)) return undefined;
  return processlist.flatMap((entry) => (conditions.every((holds) => holds?.({ ...entry })) ? [{ ...entry }] : []));
}

function conditionOf(text: string): ((row: Row) => boolean) | undefined {
  const [column = "", list, ...more] = text.split(/ ?= ?| in /i);
  if (!/^\w+$/.test(column) || list === undefined || more.length > 0) return undefined;
  const literals = list.split(",").map((literal) => literal.replaceAll(/[()'" ]/g, ""));
  return (row) => literals.includes(String(row[column.toLowerCase()] ?? "NULL"));
}
