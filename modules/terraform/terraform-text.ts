import { Token, type IResolvable, type IResolveContext } from "cdktf";
import { loneExpression, quoted, templateParts, type TemplatePart } from "./template";

/**
 * What IAM and not Terraform replaces: `aws:username`, `aws:PrincipalTag/team, 'none'`, and `*`, `?`, `$`, which stand
 * for themselves. No expression of Terraform is a word, one colon and a name.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
 */
const IAM_VARIABLE = /^(?:[*?$]|[\w.-]+:(?!:)[\p{L}\p{N}\s_.:/=+@-]+(?:,\s*'[^']*')?)$/u;

/** The words that a directive of a template begins with. Anything else after `%{` is a text, such as a log format. */
const DIRECTIVE = /^~?\s*(?:if|else|endif|for|endfor)\b/;

/** What CDKTF has for a value that it puts in later. */
const CDKTF_TOKEN = "TfToken[";

/** Whether the text contains an expression that Terraform would evaluate. */
export function hasExpressions(text: string): boolean {
  try {
    return templateParts(text).some(isTerraforms);
  } catch {
    return false;
  }
}

/** What is wrong with the braces of a text. Empty if each has its end. */
export function isUnfinished(text: string): boolean {
  try {
    templateParts(text);
    return false;
  } catch {
    return true;
  }
}

function isTerraforms({ kind, text }: TemplatePart): boolean {
  return (kind === "expression" && !IAM_VARIABLE.test(text)) || (kind === "directive" && DIRECTIVE.test(text));
}

/**
 * The one rule for all text in settings: a reference or another expression of Terraform is put in,
 * IAM's variables and every other `%{` are text, and `$${` and `%%{` are `${` and `%{`. Escapes what Terraform would
 * misread, and turns expressions into tokens, which CDKTF would otherwise treat as text within a function.
 */
export function terraformText(text: string): string {
  return template(text, (source) =>
    source.includes(CDKTF_TOKEN) ? `\${${source}}` : Token.asString(new Expression(source)),
  );
}

/** @param expression what stands for an expression, which it gets without braces */
function template(text: string, expression: (source: string) => string): string {
  return templateParts(text)
    .map((part) => {
      if (part.kind === "literal") return part.text;
      const source = `${part.kind === "expression" ? "$" : "%"}{${part.text}}`;
      if (!isTerraforms(part)) return source.charAt(0) + source;
      return part.kind === "expression" ? expression(part.text) : source;
    })
    .join("");
}

/**
 * `terraformText` for every text in settings; names of their fields, tokens and objects of a class stay as they are.
 */
export function terraformTexts<T>(settings: T): T {
  return converted(settings) as T;
}

function converted(value: unknown): unknown {
  if (typeof value === "string") return terraformText(value);
  if (Token.isUnresolved(value)) return value;
  if (Array.isArray(value)) return (value as readonly unknown[]).map(converted);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [isUnfinished(name) ? name : terraformText(name), converted(each)]),
  );
}

/** The texts in settings that have an unfinished `${` or `%{`, by where they stand. */
export function unfinishedTexts(value: unknown, setting = ""): (readonly [setting: string, text: string])[] {
  if (typeof value === "string") return isUnfinished(value) ? [[setting, value]] : [];
  if (typeof value !== "object" || value === null || Token.isUnresolved(value)) return [];
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return [];
  return Object.entries(value).flatMap(([name, each]) => {
    const inner = Array.isArray(value) || setting === "" ? setting + (setting ? "" : name) : `${setting}.${name}`;
    return unfinishedTexts(each, inner);
  });
}

/** An expression as somebody wrote it. */
class Expression implements IResolvable {
  public readonly creationStack = [];

  public constructor(private readonly source: string) {}

  public resolve(context: IResolveContext): string {
    return context.suppressBraces === true ? this.source : `\${${this.source}}`;
  }

  public toString(): string {
    return Token.asString(this);
  }
}

/**
 * The call of a function of Terraform. Not CDKTF's `Fn`, which takes `${…}` for a text, and loses quotes and
 * backslashes: here a text means what it means in an attribute.
 */
export function call(name: string, ...values: readonly unknown[]): IResolvable {
  return new Call(name, values);
}

/** Merges maps; later ones win. Terraform alone may know a map, or a part of one. */
export function mergedMaps(...maps: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  const parts = maps.flatMap(mapParts);
  if (parts.length === 1) return { ...parts[0] };
  return parts.some((part) => Token.isUnresolved(part))
    ? Token.asStringMap(call("merge", ...parts))
    : Object.fromEntries(parts.flatMap((part) => Object.entries(part)));
}

/** The names in a map that are known while synthesizing. */
export function knownNames(map: Readonly<Record<string, string>>): string[] {
  return mapParts(map)
    .filter((part) => !Token.isUnresolved(part))
    .flatMap((part) => Object.keys(part));
}

/** A token within an object is an entry of it, whose name is the token: `{ ...variable, NAME: "text" }`. */
function mapParts(map: Readonly<Record<string, string>>): Readonly<Record<string, string>>[] {
  const tokens = Object.entries(map).filter(([name]) => name.startsWith("&{TfToken["));
  if (tokens.length === 0) return [map];
  const rest = Object.entries(map).filter(([name]) => !name.startsWith("&{TfToken["));
  return [
    ...tokens.map(([name, value]) => ({ [name]: value })),
    ...(rest.length === 0 ? [] : [terraformTexts(Object.fromEntries(rest))]),
  ];
}

class Call implements IResolvable {
  public readonly creationStack = [];

  public constructor(
    private readonly name: string,
    private readonly values: readonly unknown[],
  ) {}

  public resolve(context: IResolveContext): string {
    const isInner = context.suppressBraces === true;
    // What a token stands for then is a template, as it is in an attribute.
    context.suppressBraces = false;
    const source = `${this.name}(${this.values.map((value) => hcl(context.resolve(value))).join(", ")})`;
    context.suppressBraces = true;
    return isInner ? source : `\${${source}}`;
  }

  public toString(): string {
    return Token.asString(this);
  }
}

function hcl(value: unknown): string {
  if (typeof value === "string") {
    const text = template(value, (source) => `\${${source}}`);
    return loneExpression(text) ?? quoted(text);
  }
  if (Array.isArray(value)) return `[${value.map(hcl).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).map(([name, each]) => `${quoted(name)} = ${hcl(each)}`);
  return `{${entries.join(", ")}}`;
}
