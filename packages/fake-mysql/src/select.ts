import type { Row, Value } from "./packets.ts";

/** What the expressions of a SELECT are taken from. */
export interface SelectContext {
  readonly connectionId: number;
  readonly user: string;
  readonly address: string;
  readonly database: string | null;
  readonly variables: Readonly<Record<string, Value>>;
  /** What every column of a table holds: this server has no tables. */
  readonly columns: Value | undefined;
}

/** How long the SELECT sleeps, and what it answers. */
export interface Selected {
  readonly names: readonly string[];
  readonly rows: readonly Row[];
  readonly sleepMs: number;
}

const SLEEP = /\bsleep\s*\(\s*([\d.]+)\s*\)/gi;

/**
 * Evaluates the list of a SELECT.
 *
 * @param rows what it reads from; one empty row without a FROM
 * @returns undefined if an expression is none that this server knows
 */
export function select(sql: string, rows: readonly Row[], context: SelectContext): Selected | undefined {
  const [, list = ""] = /^select (?:\/\*[^*]*\*\/ )?(.*)$/i.exec(sql) ?? [];
  const columns = expressions(list.split(/ from /i)[0] ?? "").flatMap((expression): Column[] => {
    if (expression === "*") return Object.keys(rows[0] ?? {}).map((name) => ({ name, call: name }));
    const [, call = expression, name = call] = /^(.*\S) (?:as )?[`"']?(\w+)[`"']?$/i.exec(expression) ?? [];
    return [{ name: name.replaceAll("`", ""), call: call.replace(/ as$/i, "") }];
  });
  if (columns.length === 0) return undefined;
  const evaluated = rows.map((row) => columns.map(({ call }) => evaluate(call.trim(), row, context)));
  if (evaluated.some((values) => values.includes(undefined))) return undefined;
  const seconds = [...sql.matchAll(SLEEP)].reduce((sum, [, time]) => sum + Number(time), 0);
  return {
    names: columns.map(({ name }) => name),
    rows: evaluated.map((values) => Object.fromEntries(columns.map(({ name }, at) => [name, values[at] ?? null]))),
    sleepMs: seconds * 1_000,
  };
}

/** Splits at commas that stand in no parentheses and in no string. */
function expressions(list: string): readonly string[] {
  const found = [""];
  let depth = 0;
  let quote = "";
  for (const letter of list) {
    if (quote !== "") quote = letter === quote ? "" : quote;
    else if (letter === "'" || letter === '"') quote = letter;
    else if (letter === "(") depth += 1;
    else if (letter === ")") depth -= 1;
    if (letter === "," && depth === 0 && quote === "") found.push("");
    else found.push(`${found.pop() ?? ""}${letter}`);
  }
  return found.map((expression) => expression.trim()).filter((expression) => expression !== "");
}

interface Column {
  readonly name: string;
  readonly call: string;
}

function evaluate(call: string, row: Row, context: SelectContext): Value | undefined {
  if (/^-?\d+$/.test(call)) return BigInt(call);
  const text = /^'(.*)'$/s.exec(call)?.[1] ?? /^"(.*)"$/s.exec(call)?.[1];
  if (text !== undefined) return text;
  const variable = /^@@(?:global\.|session\.)?(\w+)$/i.exec(call)?.[1];
  if (variable !== undefined) return context.variables[variable.toLowerCase()];
  const name = call.replaceAll("`", "").replace(/^\w+\./, "");
  const column = Object.keys(row).find((each) => each.toLowerCase() === name.toLowerCase());
  if (column !== undefined) return row[column] ?? null;
  const called = /^(\w+)\s*\(.*\)$/s.exec(call)?.[1]?.toLowerCase();
  switch (called) {
    case "connection_id":
      return context.connectionId;
    case "sleep":
      return 0;
    case "now":
    case "utc_timestamp":
      return new Date().toISOString().replace("T", " ").slice(0, 23);
    case "user":
    case "current_user":
      return `${context.user}@${context.address}`;
    case "database":
      return context.database;
    case "version":
      return context.variables["version"];
    case undefined:
      return /^\w+$/.test(name) ? context.columns : undefined;
    default:
      return undefined;
  }
}
