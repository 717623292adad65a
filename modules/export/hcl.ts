import { loneExpression, quoted, Scanner } from "../terraform/template";

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
type Body = Readonly<Record<string, Json>>;

/** Arguments of a resource that are maps. Any other object is a block: JSON writes both in the same way. */
const MAPS = ["variables", "tags"];

/** Arguments that are quoted in JSON and not in HCL. */
const REFERENCES = ["type", "depends_on", "ignore_changes"];

/** How many labels stand between the type of a block and its body. */
const LABELS: Readonly<Record<string, number>> = {
  terraform: 0,
  locals: 0,
  variable: 1,
  output: 1,
  data: 2,
  resource: 2,
};

/**
 * Terraform's JSON as HCL, as `terraform fmt` writes it. Not `toHclTerraform()` of CDKTF: that loses the quotes of a
 * text with references in it, `nullable`, and the difference between a block and an argument in `lifecycle`.
 *
 * @param type of the blocks: terraform, locals, variable, output, data or resource
 */
export function hclBlocks(type: string, value: Json, labels: readonly string[] = []): string[] {
  if (!isObject(value)) throw new Error(`${[type, ...labels].join(".")} is no block`);
  if (labels.length < (LABELS[type] ?? 0)) {
    return Object.entries(value).flatMap(([label, body]) => hclBlocks(type, body, [...labels, label]));
  }
  const header = [type, ...labels.map((label) => JSON.stringify(label))].join(" ");
  const lines = indent(bodyLines(value, type)).map((line) => `${line}\n`);
  return [`${header} {\n${lines.join("")}}\n`];
}

function isObject(value: Json): value is Body {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Arguments, then the blocks within, each after a blank line. */
function bodyLines(body: Body, type: string): string[] {
  const values: [string, string][] = [];
  const blocks: string[] = [];
  for (const [name, value] of Object.entries(body)) {
    const inner = (Array.isArray(value) ? value : [value]) as readonly Json[];
    if (isBlock(name, inner, type)) {
      for (const each of inner) {
        if (isObject(each)) blocks.push("", `${name} {`, ...indent(bodyLines(each, name)), "}");
      }
    } else {
      values.push([name, REFERENCES.includes(name) ? referenceText(value) : text(value)]);
    }
  }
  return values.length === 0 ? blocks.slice(1) : [...aligned(values), ...blocks];
}

function isBlock(name: string, values: readonly Json[], type: string): boolean {
  const holdsBlocks = !["locals", "output", "required_providers"].includes(type);
  return holdsBlocks && !MAPS.includes(name) && name !== "default" && values.length > 0 && values.every(isObject);
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => (line === "" ? "" : `  ${line.replaceAll("\n", "\n  ")}`));
}

/** Names and values with the equals signs below each other, as far as values of one line follow one another. */
function aligned(entries: readonly (readonly [string, string])[]): string[] {
  const lines: string[] = [];
  let run: (readonly [string, string])[] = [];
  const endRun = (): void => {
    const width = Math.max(...run.map(([name]) => name.length));
    lines.push(...run.map(([name, value]) => `${name.padEnd(width)} = ${value}`));
    run = [];
  };
  for (const entry of entries) {
    const [name, value] = entry;
    if (value.includes("\n")) {
      endRun();
      lines.push(`${name} = ${value}`);
    } else run.push(entry);
  }
  endRun();
  return lines;
}

function referenceText(value: Json): string {
  return Array.isArray(value)
    ? list((value as readonly Json[]).map(referenceText))
    : typeof value === "string"
      ? value
      : text(value);
}

function text(value: Json): string {
  if (Array.isArray(value)) return list((value as readonly Json[]).map(text));
  if (isObject(value)) return object(Object.entries(value).map(([name, each]) => [name, text(each)]));
  return typeof value === "string" ? template(value) : JSON.stringify(value);
}

function list(items: readonly string[]): string {
  const line = `[${items.join(", ")}]`;
  if (line.length <= 90 && !line.includes("\n")) return line;
  return `[\n${indent(items.map((item) => `${item},`)).join("\n")}\n]`;
}

function object(entries: readonly (readonly [string, string])[]): string {
  if (entries.length === 0) return "{}";
  const named = entries.map(
    ([name, value]) => [/^[a-zA-Z_][\w-]*$/.test(name) ? name : JSON.stringify(name), value] as const,
  );
  return `{\n${indent(aligned(named)).join("\n")}\n}`;
}

/** A text of Terraform's JSON: a lone `${…}` is an expression. */
function template(source: string): string {
  const expression = loneExpression(source);
  return expression === undefined ? quoted(source) : new PolicyFormatter(expression).expression();
}

/** Breaks the lines of a policy document. */
class PolicyFormatter extends Scanner {
  /** The same expression, objects and lists with their elements in lines of their own. */
  public expression(): string {
    const call = "jsonencode(";
    if (!this.source.startsWith(call)) return this.source;
    this.position = call.length;
    const argument = this.literal();
    return this.source.slice(this.position) === ")" ? `${call}${argument})` : this.source;
  }

  private literal(): string {
    if (this.skips("{")) {
      const entries: [string, string][] = [];
      while (!this.skips("}")) {
        const name = this.until("=").trim();
        this.position += 1;
        this.skips(" ");
        entries.push([JSON.parse(name) as string, this.literal()]);
        this.skips(", ");
      }
      return object(entries);
    }
    if (this.skips("[")) {
      const items: string[] = [];
      while (!this.skips("]")) {
        items.push(this.literal());
        this.skips(", ");
      }
      return list(items);
    }
    return this.until(",", "}", "]", ")");
  }
}
