import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";

interface Option {
  /** `GracefulFunctionConfig.memorySize` */
  readonly name: string;
  readonly default: string | undefined;
}

/** What may be left out of the types that others see: options, but for the fields of IAM's own statements. */
function options(file: string): Option[] {
  const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
  const found: Option[] = [];
  const visit = (node: ts.Node, type: string): void => {
    if (ts.isPropertySignature(node) && node.questionToken) {
      const tag = ts.getJSDocTags(node).find(({ tagName }) => tagName.text === "default");
      const text = ts.getTextOfJSDocComment(tag?.comment);
      found.push({ name: `${type}.${node.name.getText()}`, default: text });
    }
    ts.forEachChild(node, (child) => {
      visit(child, type);
    });
  };
  for (const node of source.statements) {
    const isType = ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node);
    const isExported = isType && node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true;
    if (isExported && node.name.text !== "PolicyStatement") visit(node, node.name.text);
  }
  return found;
}

test("every option names its default", () => {
  const files = readdirSync("modules", { recursive: true, encoding: "utf8" }).filter((name) =>
    /^[a-z-]+\/[\w-]+\.ts$/.test(name),
  );
  const all = files.flatMap((name) => options(path.join("modules", name)));
  expect(all.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["GracefulFunctionConfig.memorySize", "DatabaseAuth.kmsKeyArn", "LogGroup.format"]),
  );
  expect(all.filter((option) => !option.default)).toEqual([]);
});
