export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
type Body = Readonly<Record<string, Json>>;

/** Arguments that are maps. Any other object of a resource is a block: JSON writes both in the same way. */
const MAPS = ["variables", "tags", "default"];

/** Arguments that are quoted in JSON and not in HCL. */
const UNQUOTED = ["type", "depends_on", "ignore_changes"];

/** Characters of a list or an expression; longer ones are split. */
const MAX_LINE = 90;

/** Blocks that have arguments only, and how many labels stand between the type of a block and its body. */
const WITHOUT_BLOCKS = ["locals", "output", "required_providers"];
const LABELS: Readonly<Record<string, number>> = { variable: 1, output: 1, check: 1, data: 2, resource: 2 };

/**
 * Terraform's JSON as HCL, without line breaks that `terraform fmt` adds. Not `toHclTerraform()` of CDKTF: that loses the
 * quotes of a text with references in it, `nullable`, and the difference between a block and an argument in `lifecycle`.
 */
export function hcl(type: string, value: Json, labels: readonly string[] = []): string {
  if (!isObject(value)) throw new Error(`${[type, ...labels].join(".")} is no block`);
  if (labels.length < (LABELS[type] ?? 0)) {
    return Object.entries(value)
      .map(([label, body]) => hcl(type, body, [...labels, label]))
      .join("\n");
  }
  const header = [type, ...labels.map((label) => JSON.stringify(label))].join(" ");
  const values = Object.entries(value).filter((entry) => !isBlock(...entry, type));
  const blocks = Object.entries(value).filter((entry) => isBlock(...entry, type));
  const lines = [
    ...values.map(([name, each]) => `${name} = ${UNQUOTED.includes(name) ? unquoted(each) : expression(each)}\n`),
    ...blocks.flatMap(([name, each]) => listOf(each).map((one) => `\n${hcl(name, one)}`)),
  ];
  return `${header} {\n${lines.join("").replace(/^\n/, "")}}\n`;
}

function isObject(value: Json): value is Body {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(value: Json): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [value];
}

function isBlock(name: string, value: Json, type: string): boolean {
  const inner = listOf(value);
  return !WITHOUT_BLOCKS.includes(type) && !MAPS.includes(name) && inner.length > 0 && inner.every(isObject);
}

function unquoted(value: Json): string {
  return Array.isArray(value) ? list((value as readonly string[]).map(unquoted)) : (value as string);
}

function list(items: readonly string[]): string {
  const line = `[${items.join(", ")}]`;
  return line.length <= MAX_LINE && !line.includes("\n") ? line : `[\n${items.map((item) => `${item},\n`).join("")}]`;
}

function expression(value: Json): string {
  if (Array.isArray(value)) return list((value as readonly Json[]).map(expression));
  if (isObject(value)) {
    const entries = Object.entries(value).map(([name, each]) => `${key(name)} = ${expression(each)}\n`);
    return entries.length === 0 ? "{}" : `{\n${entries.join("")}}`;
  }
  return typeof value === "string" ? template(value) : JSON.stringify(value);
}

function key(name: string): string {
  return /^[a-zA-Z_][\w-]*$/.test(name) ? name : JSON.stringify(name);
}

/** A policy as an object, a lone `${…}` as an expression, and any other text in quotes. */
function template(text: string): string {
  if (text.startsWith('{"Version":"2012-10-17"')) return `jsonencode(${expression(JSON.parse(text) as Json)})`;
  const parts = templateParts(text);
  const [only = ""] = parts;
  if (parts.length === 1 && only.startsWith("${")) return inLines(only.slice(2, -1));
  return `"${parts.map((part) => (part.startsWith("${") ? part : JSON.stringify(part).slice(1, -1))).join("")}"`;
}

/** A long expression, with the elements of its objects and lists in lines of their own. */
function inLines(expression: string): string {
  if (expression.length <= MAX_LINE) return expression;
  const open: string[] = [];
  let isString = false;
  return expression.replaceAll(/\\.|"|\{\}|\[\]|[\w*\])]\[|[{[(]|[}\])]|, /g, (token) => {
    if (token === '"') isString = !isString;
    if (isString || token === '"') return token;
    const isSplit = open.at(-1) === "{" || open.at(-1) === "[";
    if (/^[}\])]$/.test(token)) open.pop();
    else if (/^.?[{[(]$/.test(token)) {
      open.push(token);
      return ["{", "["].includes(token) ? `${token}\n` : token;
    } else if (token !== ", ") return token;
    if (!isSplit) return token;
    return token === ", " ? ",\n" : `\n${token}`;
  });
}

/** Plain texts and expressions in turn. */
function templateParts(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let at = text.indexOf("${"); at >= 0; at = text.indexOf("${", at)) {
    if (text[at - 1] === "$") {
      at += 1;
      continue;
    }
    const end = endOfExpression(text, at + 2);
    parts.push(text.slice(start, at), text.slice(at, end));
    start = at = end;
  }
  return [...parts, text.slice(start)].filter((part) => part !== "");
}

/** Index behind the brace that closes an expression. Braces in its strings do not count. */
function endOfExpression(text: string, from: number): number {
  let depth = 1;
  let isString = false;
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === '"') isString = !isString;
    else if (!isString && text[at] === "{") depth += 1;
    else if (!isString && text[at] === "}" && (depth -= 1) === 0) return at + 1;
  }
  throw new Error(`${text} has an expression without an end`);
}
