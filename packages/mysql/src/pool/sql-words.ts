/**
 * The first words of a statement, in lower case, in one pass over the text. A regular expression that skips comments
 * takes exponential time over many of them.
 *
 * A comment that the server runs, such as `/*!40000 BEGIN *\/`, counts as its content. `(` and `{` are words.
 * https://dev.mysql.com/doc/refman/8.4/en/comments.html
 */
function firstWords(sql: string, count: number): readonly string[] {
  const words: string[] = [];
  let at = 0;
  while (words.length < count && at < sql.length) {
    const skipped = afterBlank(sql, at);
    if (skipped > at) {
      at = skipped;
      continue;
    }
    WORD.lastIndex = at;
    const word = WORD.exec(sql)?.[0] ?? sql.charAt(at);
    words.push(word.toLowerCase());
    at += word.length;
  }
  return words;
}

/** No word that matters here is longer. */
const WORD = /[\w$\u0080-\uffff]{1,20}/y;
/** MySQL's `/*!80400` and MariaDB's `/*M!100100`. */
const EXECUTED = /\/\*M?!\d{0,6}/y;
/** What MySQL takes for white space. */
const SPACES = " \t\n\v\f\r";

/** @returns where white space or a comment at `at` ends, or `at` */
function afterBlank(sql: string, at: number): number {
  const two = sql.slice(at, at + 2);
  if (SPACES.includes(two.charAt(0))) return at + 1;
  if (two === "*/") return at + 2; // of a comment that the server runs
  if (two === "/*") {
    EXECUTED.lastIndex = at;
    const opening = EXECUTED.exec(sql)?.[0];
    return opening === undefined ? endOf(sql, "*/", at + 2) : at + opening.length;
  }
  const isDashed = two === "--" && (sql.length === at + 2 || sql.charCodeAt(at + 2) <= 0x20);
  return isDashed || two.startsWith("#") ? endOf(sql, "\n", at + 1) : at;
}

function endOf(sql: string, mark: string, from: number): number {
  const found = sql.indexOf(mark, from);
  return found === -1 ? sql.length : found + mark.length;
}

/** The server commits an open transaction before it begins another, and its status flags do not show that. */
export function beginsTransaction(sql: string): boolean {
  const [first, second] = firstWords(sql, 2);
  return (first === "start" && second === "transaction") || (first === "begin" && second !== "not");
}

/** `CALL` and its like, and MariaDB's compound statements outside procedures: https://mariadb.com/kb/en/begin-end/ */
const COMPOUND = new Set(["call", "execute", "begin", "do", "if", "case", "loop", "repeat", "while", "for"]);

/** Whether a statement holds statements. When one of them is refused, others may have run before it. */
export function isCompound(sql: string): boolean {
  // Parentheses and ODBC's braces may stand in front; ten are more than anybody writes.
  const words = firstWords(sql, 10);
  return words[0] === "{" || COMPOUND.has(words.find((word) => word !== "(") ?? "");
}
