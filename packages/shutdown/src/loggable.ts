/** Which values of a hook may go into the line at the end: few, plain ones. Reading them never throws. */

/** Characters of a text in the line. */
const MOST_CHARACTERS = 200;

/** Fields of one hook in the line. */
const MOST_FIELDS = 20;

/** Characters of a field's name. CloudWatch refuses metrics with longer names. */
const LONGEST_NAME = 64;

/**
 * A hook may resolve with anything, for example with the server that it closed. Only plain values of a plain object go
 * into the line. A field is left out if its getter throws or JSON cannot write its number (NaN, Infinity).
 */
export function loggable(detail: unknown): Readonly<Record<string, number | string | boolean>> {
  const fields: Record<string, number | string | boolean> = {};
  try {
    const prototype: unknown = Object.getPrototypeOf(detail); // throws for undefined and null
    if (prototype !== null && prototype !== Object.prototype) return {};
    for (const name of Object.keys(detail as object)) {
      if (Object.keys(fields).length === MOST_FIELDS) break;
      if (name.length > LONGEST_NAME || name === "__proto__") continue;
      const value = valueOf(detail as object, name);
      if (typeof value === "string") fields[name] = excerpt(value);
      else if (typeof value === "boolean" || Number.isFinite(value)) fields[name] = value as number | boolean;
    }
  } catch {
    // No object, or a proxy that does not let itself be read. What was read until then is true.
  }
  return fields;
}

function valueOf(detail: object, name: string): unknown {
  try {
    return (detail as Readonly<Record<string, unknown>>)[name];
  } catch {
    return undefined;
  }
}

/** An error's message, shortened. For other thrown values only the type, because the content may be a secret. */
export function messageOf(error: unknown): string {
  return textOf(error, "message") ?? `threw ${kindOf(error)}`;
}

function kindOf(thrown: unknown): string {
  if (thrown === undefined || thrown === null) return String(thrown);
  return typeof thrown === "object" ? "an object" : `a ${typeof thrown}`;
}

/** An error's name and message, bounded. */
export function nameAndMessageOf(error: unknown): string {
  const message = messageOf(error);
  const name = textOf(error, "name");
  return excerpt(name ? `${name}: ${message}` : message);
}

function textOf(error: unknown, name: "name" | "message"): string | undefined {
  const value = valueOf(error as object, name);
  return typeof value === "string" ? excerpt(value) : undefined;
}

export function excerpt(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1)}…`;
}
