/**
 * Removes values from errors. mysql2's errors carry the statement with its values as `sql`, which a log would print,
 * and the server's messages quote values. Both are the user's data and must not leave the function.
 */

/** Characters of the caller's SQL that go into an error. */
const EXCERPT_LENGTH = 200;

/** Characters of a server's message. */
const MESSAGE_LENGTH = 300;

/** Shorter strings are words of the message itself too often. */
const SHORTEST_SECRET = 4;

/** Comments, literals in single or double quotes (to the end where the closing one is missing), numbers, and names. */
const COMMENT_OR_LITERAL =
  /`[^`]*`|\/\*.*?(?:\*\/|$)|--\s.*?(?:\n|$)|#.*?(?:\n|$)|[xnb]?'(?:[^'\\]|\\.|'')*(?:'|$)|"(?:[^"\\]|\\.|"")*(?:"|$)|\b0[xb][\da-f]+\b|(?<![\w`$])\d+(?:\.\d+)?(?:e[+-]?\d+)?/gis;

/** Names that a message quotes: they help, and are no data. What else stands in quotes is, or may be. */
const QUOTED_NAME =
  /\b(column|key|index|constraint|table|view|database|schema|function|procedure|trigger|event|user|variable|field|clause|in|on|engine|partition|to|@)\s?'([\w$.@% -]*)'(?=$|[\s.,;:)@])/gi;

/**
 * Takes the values out of an error, in place: the class, `code`, `errno` and `sqlState` stay as the driver set them.
 * Its stack leads to the caller from here on. The driver's own ends in its parser.
 */
export function withoutValues(error: unknown, sql: string, values: readonly unknown[]): unknown {
  if (!(error instanceof Error)) return error;
  const told = error as Error & { sql?: unknown; sqlMessage?: string; statement?: string };
  delete told.sql;
  told.message = maskMessage(told.message, sql, values);
  if (typeof told.sqlMessage === "string") told.sqlMessage = told.message;
  told.statement = excerpt(sql);
  Error.captureStackTrace(told, withoutValues);
  return told;
}

/** The caller's text with its placeholders, without literals, 200 characters at the most. */
export function excerpt(sql: string): string {
  // Twice the length, so that a long literal in the beginning leaves something to see, and never megabytes.
  const text = sql
    .slice(0, 4 * EXCERPT_LENGTH)
    .replace(COMMENT_OR_LITERAL, masked)
    .replace(new RegExp(`${CUT}.*`, "s"), "…")
    .replace(/\s+/g, " ")
    .trim();
  const cut = text.length > EXCERPT_LENGTH || sql.length > 4 * EXCERPT_LENGTH;
  return cut && !text.endsWith("…") ? `${text.slice(0, EXCERPT_LENGTH - 1)}…` : text;
}

function masked(found: string): string {
  if (found.startsWith("`")) return found; // a name, which may hold a quote
  return /^(?:\/\*|--|#)/.test(found) ? " " : cutWhereUnsure(found);
}

const CUT = "\uE000";

/** With a backslash, where a literal ends depends on the server's SQL mode: what follows may be data. */
function cutWhereUnsure(literal: string): string {
  return literal.includes("\\") ? `?${CUT}` : "?";
}

function maskMessage(message: string, sql: string, values: readonly unknown[]): string {
  // First, as a value may look like a name: "a' in 'b".
  const hidden = secrets(sql, values).reduce((text, secret) => text.replaceAll(secret, "?"), message);
  const names: string[] = [];
  const named = hidden.replace(QUOTED_NAME, (_, kind: string, name: string) => {
    names.push(`${kind}${kind === "@" ? "" : " "}'${name}'`);
    return `\uE001${names.length - 1}\uE002`;
  });
  // From the first quote to the last: a value may hold quotes itself. The one in "doesn't" opens nothing.
  const quoted = named.replace(/(?<!\w)'.*'|(?<!\w)'.*$/s, "'?'");
  const whole = quoted.replace(/\uE001(\d+)\uE002/g, (_, index: string) => names[Number(index)] ?? "");
  return whole.length > MESSAGE_LENGTH ? `${whole.slice(0, MESSAGE_LENGTH - 1)}…` : whole;
}

/** The texts and numbers that a message could quote without quotes, such as SIGNAL's. */
function secrets(sql: string, values: readonly unknown[]): readonly string[] {
  const literals = sql.slice(0, 4 * EXCERPT_LENGTH).match(/'[^']*'|"[^"]*"|\b\d[\d.]*/g) ?? [];
  return [...plainValues(values), ...literals.map((literal) => literal.replace(/^['"]|['"]$/g, ""))]
    .map((value) => String(value).slice(0, MESSAGE_LENGTH))
    .filter((text) => text.length >= SHORTEST_SECRET)
    .sort((one, other) => other.length - one.length); // a longer one may hold a shorter one
}

/** Also those in lists of lists (`VALUES ?`) and in objects (`SET ?`). */
function plainValues(value: unknown, depth = 3): readonly unknown[] {
  if (typeof value === "string" || typeof value === "number" || typeof value === "bigint") return [value];
  if (typeof value !== "object" || value === null || Buffer.isBuffer(value) || depth === 0) return [];
  return Object.values(value).flatMap((each) => plainValues(each, depth - 1));
}
