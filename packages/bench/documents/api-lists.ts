import { readFileSync } from "node:fs";
import ts from "typescript";

interface Entry {
  readonly name: string;
  readonly meaning: string;
  readonly defaultValue: string;
}

/**
 * The options of an interface: name, its `@default`, and what its comment says.
 *
 * @param groups files of further interfaces: `modules/a.ts#vpc.VpcConfig` has the options of the option `vpc`. Without such
 *   an option, they come last.
 */
export function optionsList(file: string, name: string, ...groups: readonly string[]): string {
  const options = optionsOf(file, name);
  for (const group of groups) {
    const [groupFile = "", path = ""] = group.split("#");
    const [, parent = "", groupName = ""] = /^(.+)\.(\w+)$/.exec(path) ?? [];
    const last = options.findLastIndex((each) => each.name === parent || each.name.startsWith(`${parent}.`));
    options.splice(last < 0 ? options.length : last + 1, 0, ...optionsOf(groupFile, groupName, `${parent}.`));
  }
  return list(options);
}

function optionsOf(file: string, name: string, prefix = ""): Entry[] {
  const entries = declaration(file, name).flatMap((node) => propertiesOf(node).map(entryOf));
  return entries.map((each) => ({ ...each, name: `${prefix}${each.name}` }));
}

/** The fields of what a call results in: name, and what its comment says. */
export function fieldsList(file: string, name: string): string {
  return listWithoutDefaults(declaration(file, name).flatMap(propertiesOf));
}

export function membersList(file: string, name: string): string {
  const classes = declaration(file, name).filter(ts.isClassDeclaration);
  return listWithoutDefaults(classes.flatMap(({ members }) => members.filter(isPublicMember)));
}

/** The classes of a file that extend another one, such as a package's errors. */
export function classesList(file: string): string {
  return listWithoutDefaults(statements(file).filter(ts.isClassDeclaration));
}

function listWithoutDefaults(nodes: readonly Documented[]): string {
  return list(nodes.map((node) => ({ ...entryOf(node), defaultValue: "" })));
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
  const isPrivateName = node.name !== undefined && ts.isPrivateIdentifier(node.name);
  return !ts.isConstructorDeclaration(node) && !isPrivateName && !modifiers.some(({ kind }) => hidden.includes(kind));
}

type Documented = ts.PropertySignature | ts.ClassElement | ts.ClassDeclaration;

function entryOf(node: Documented): Entry {
  return { name: node.name?.getText() ?? "", meaning: meaningOf(node), defaultValue: defaultOf(node) };
}

/** The first paragraph, links as their names. */
function meaningOf(node: ts.Node): string {
  const [comment] = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
  const [text = ""] = (ts.getTextOfJSDocComment(comment?.comment) ?? "").split(/\n\s*\n/);
  return text.replaceAll(/\{@link (\w+)\}/g, "`$1`").replaceAll(/\s+/g, " ");
}

/** `@default 7 - why`: the value as code. An option that must be set has none. */
function defaultOf(node: ts.Node & { readonly questionToken?: ts.QuestionToken }): string {
  const tag = ts.getJSDocTags(node).find(({ tagName }) => tagName.text === "default");
  if (tag === undefined) return node.questionToken === undefined ? "required" : "";
  const text = (ts.getTextOfJSDocComment(tag.comment) ?? "").replaceAll(/\s+/g, " ");
  const [value = "", ...why] = text.split(" - ");
  const isValue = /^(?:["'[{\d]|true$|false$|[\w.]+\()/.test(value);
  return [isValue ? `\`${value}\`` : value.replace(/^- /, ""), ...why].filter((part) => part !== "").join(", ");
}

function list(entries: readonly Entry[]): string {
  if (entries.length === 0) throw new Error("a list of a generated part is empty");
  const line = ({ name, defaultValue, meaning }: Entry): string =>
    `- \`${name}\`${defaultValue === "" ? "" : ` (${defaultValue})`}${meaning === "" ? "" : `: ${meaning}`}`;
  return entries.map(line).join("\n");
}
