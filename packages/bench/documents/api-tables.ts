import { readFileSync } from "node:fs";
import ts from "typescript";

interface Entry {
  readonly name: string;
  readonly meaning: string;
  readonly defaultValue: string;
}

/** The options of an interface: name, what its comment says, and its `@default`. */
export function optionsTable(file: string, name: string): string {
  const rows = declaration(file, name).flatMap((node) => propertiesOf(node).map(entryOf));
  return table(
    ["Option", "Meaning", "Default"],
    rows.map((each) => [`\`${each.name}\``, each.meaning, each.defaultValue]),
  );
}

/** The fields of what a call results in: name, and what its comment says. */
export function fieldsTable(file: string, name: string): string {
  return meaningsTable("Field", declaration(file, name).flatMap(propertiesOf));
}

export function membersTable(file: string, name: string): string {
  const classes = declaration(file, name).filter(ts.isClassDeclaration);
  return meaningsTable(
    "Member",
    classes.flatMap(({ members }) => members.filter(isPublicMember)),
  );
}

/** The classes of a file that extend another one, such as a package's errors. */
export function classesTable(file: string): string {
  return meaningsTable("Class", statements(file).filter(ts.isClassDeclaration));
}

function meaningsTable(head: string, nodes: readonly Documented[]): string {
  const rows = nodes.map(entryOf).map(({ name, meaning }) => [`\`${name}\``, meaning]);
  return table([head, "Meaning"], rows);
}

function statements(file: string): readonly ts.Statement[] {
  return ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true).statements;
}

/** @throws Error if the file declares no such name: a generated part must not become empty unnoticed. */
function declaration(file: string, name: string): readonly ts.Statement[] {
  const found = statements(file).filter(
    (node) =>
      (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || ts.isClassDeclaration(node)) &&
      node.name?.text === name,
  );
  if (found.length === 0) throw new Error(`${file} declares no ${name}`);
  return found;
}

function propertiesOf(node: ts.Node): readonly ts.PropertySignature[] {
  const found: ts.PropertySignature[] = [];
  const visit = (each: ts.Node): void => {
    if (ts.isPropertySignature(each)) found.push(each);
    else ts.forEachChild(each, visit);
  };
  ts.forEachChild(node, visit);
  return found;
}

function isPublicMember(node: ts.ClassElement): boolean {
  const modifiers = (ts.canHaveModifiers(node) ? ts.getModifiers(node) : undefined) ?? [];
  const hidden = [ts.SyntaxKind.PrivateKeyword, ts.SyntaxKind.ProtectedKeyword, ts.SyntaxKind.StaticKeyword];
  return !ts.isConstructorDeclaration(node) && !modifiers.some(({ kind }) => hidden.includes(kind));
}

type Documented = ts.PropertySignature | ts.ClassElement | ts.ClassDeclaration;

function entryOf(node: Documented): Entry {
  return { name: node.name?.getText() ?? "", meaning: meaningOf(node), defaultValue: defaultOf(node) };
}

/** The text before the tags, links as their names. */
function meaningOf(node: ts.Node): string {
  const [comment] = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
  const text = ts.getTextOfJSDocComment(comment?.comment) ?? "";
  return text.replaceAll(/\{@link (\w+)\}/g, "`$1`").replaceAll(/\s+/g, " ");
}

/** `@default 7 - why`: the value as code. An option that must be set has none. */
function defaultOf(node: ts.Node & { readonly questionToken?: ts.QuestionToken }): string {
  const tag = ts.getJSDocTags(node).find(({ tagName }) => tagName.text === "default");
  if (tag === undefined) return node.questionToken === undefined ? "required" : "";
  const text = (ts.getTextOfJSDocComment(tag.comment) ?? "").replaceAll(/\s+/g, " ");
  const [value = "", ...why] = text.split(" - ");
  const isValue = /^(?:["'[{\d]|true$|false$|[\w.]+\()/.test(value);
  return [isValue ? `\`${value}\`` : value.replace(/^- /, ""), ...why].filter((part) => part !== "").join(": ");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) throw new Error(`a table of ${head.join(", ")} has no rows`);
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
