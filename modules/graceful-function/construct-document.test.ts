import { Testing } from "cdktf";
import { readFileSync } from "node:fs";
import ts from "typescript";
import { GracefulFunction } from "./graceful-function";
import { alarm } from "../__tests__/examples/alarm";
import { httpApi } from "../__tests__/examples/http-api";
import { queue } from "../__tests__/examples/queue";
import { schedule } from "../__tests__/examples/schedule";
import { ENTRY, newStack, only, policy, type Synthesized } from "../__tests__/synthesis";

const document = readFileSync("docs/construct.md", "utf8");

/** A section's table: first cell, without backticks → last cell. */
function documented(heading: string): Record<string, string> {
  const section = document.split(/^## /m).find((each) => each.startsWith(`${heading}\n`)) ?? "";
  const rows = section.matchAll(/^\| `([^`]+)` .*\| (.*?) +\|$/gm);
  return Object.fromEntries([...rows].map(([, name = "", last = ""]) => [name, last]));
}

function declarations(file: string): ts.Statement[] {
  return [...ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true).statements];
}

/** Fields of an interface or of the members of a union: name → what the table says of the default. */
function options(file: string, name: string): Record<string, string> {
  const found: ts.PropertySignature[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isPropertySignature(node)) found.push(node);
    ts.forEachChild(node, visit);
  };
  declarations(file)
    .filter((each) => ts.isInterfaceDeclaration(each) || ts.isTypeAliasDeclaration(each))
    .filter((each) => each.name.text === name)
    .forEach(visit);
  return Object.fromEntries(found.map((each) => [each.name.getText(), defaultCell(each)]));
}

/** `@default 7 - why` as the table has it: a value in code, or words. */
function defaultCell(option: ts.PropertySignature): string {
  if (!option.questionToken) return "required";
  const tag = ts.getJSDocTags(option).find(({ tagName }) => tagName.text === "default");
  const text = (ts.getTextOfJSDocComment(tag?.comment) ?? "").replaceAll(/\s+/g, " ");
  const [, value, dash = "", words = ""] =
    /^("[^"]*"|\d+|true|false|\[[^\]]*\]|\{\}|[\w.]+\(\))(?:( -)? (.*))?$/.exec(text) ?? [];
  if (value === undefined) return text.replace(/^- /, "");
  return `\`${value}\`${dash ? " –" : ""} ${words}`.trim();
}

/** Public fields and methods of a class. */
function members(file: string, name: string): string[] {
  const found = declarations(file).find((each) => ts.isClassDeclaration(each) && each.name?.text === name);
  if (!found || !ts.isClassDeclaration(found)) return [];
  const isPublic = (each: ts.ClassElement): boolean =>
    ts.canHaveModifiers(each) &&
    ts.getModifiers(each)?.some(({ kind }) => kind === ts.SyntaxKind.PublicKeyword) === true;
  return found.members
    .filter((each) => isPublic(each) && !ts.isConstructorDeclaration(each))
    .map((each) => each.name?.getText() ?? "");
}

test.each([
  ["Members of GracefulFunction", members("modules/graceful-function/graceful-function.ts", "GracefulFunction")],
  ["Members of MysqlDatabase", members("modules/mysql-database/mysql-database.ts", "MysqlDatabase")],
])("docs/construct.md, %s: everything that the source has, and nothing else", (heading, names) => {
  expect(names.length).toBeGreaterThan(2);
  expect(Object.keys(documented(heading)).sort()).toEqual([...names].sort());
});

test.each([
  [
    "Options of GracefulFunction",
    options("modules/graceful-function/graceful-function-config.ts", "GracefulFunctionConfig"),
  ],
  ["Options of `code` with `entry`", options("modules/code/code-bundle.ts", "CodeBundleConfig")],
  ["Options of `code.copy`", options("modules/code/copied-files.ts", "CopiedPath")],
  ["Options of `code` with `directory`", options("modules/code/code-directory.ts", "CodeDirectoryConfig")],
  ["Options of `database`", options("modules/graceful-function/database.ts", "Database")],
  ["Options of `database.auth`", options("modules/graceful-function/database.ts", "DatabaseAuth")],
  ["Options of `vpc`", options("modules/graceful-function/graceful-function-config.ts", "VpcConfig")],
  ["Options of `logGroup`", options("modules/graceful-function/log-group.ts", "LogGroup")],
  ["Options of `role`", options("modules/graceful-function/execution-role.ts", "ExistingRole")],
  ["Options of MysqlDatabase", options("modules/mysql-database/mysql-database.ts", "MysqlDatabaseConfig")],
])("docs/construct.md, %s: every option of the source with its default, and nothing else", (heading, expected) => {
  expect(Object.keys(expected).length).toBeGreaterThan(1);
  expect(documented(heading)).toEqual(expected);
});

describe("an example of docs/construct.md", () => {
  const examples = { "http-api": httpApi, schedule, queue, alarm };

  function synthesized(name: keyof typeof examples): Synthesized {
    const stack = newStack();
    const orders = new GracefulFunction(stack, "function", {
      region: "us-east-1",
      functionName: "orders",
      code: { entry: ENTRY },
      environment: { SHUTDOWN_METRICS_NAMESPACE: "Orders" },
    });
    examples[name](stack, orders);
    return JSON.parse(Testing.synth(stack)) as Synthesized;
  }

  test.each(Object.keys(examples))("is that of the test: %s", (name) => {
    const source = readFileSync(`modules/__tests__/examples/${name}.ts`, "utf8");
    const body = source.slice(source.indexOf("export function"));
    const lines = body.split("\n").slice(1, -2);
    const code = lines.map((line) => line.replace(/^ {2}/, "")).join("\n");
    expect(document).toContain(`\`\`\`ts\n${code}\n\`\`\``);
  });

  test("lets API Gateway call the function", () => {
    const { resource } = synthesized("http-api");
    const [id] = Object.keys(resource.aws_lambda_function ?? {});
    expect(only(resource, "aws_apigatewayv2_api").target).toBe(`\${aws_lambda_function.${id}.arn}`);
    expect(only(resource, "aws_lambda_permission").principal).toBe("apigateway.amazonaws.com");
  });

  test("lets EventBridge call the function", () => {
    const { resource } = synthesized("schedule");
    const [id] = Object.keys(resource.aws_lambda_function ?? {});
    expect(only(resource, "aws_cloudwatch_event_target").arn).toBe(`\${aws_lambda_function.${id}.arn}`);
  });

  test("lets the function read a queue before the queue calls it", () => {
    const { resource } = synthesized("queue");
    const found = Object.values(resource.aws_iam_policy ?? {}).find(({ name }) => name === "orders-us-east-1-queue");
    expect(policy(String(found?.policy).replaceAll(/aws_sqs_queue\.messages\.arn/g, '"ARN"')).Statement).toMatchObject([
      { Resource: "ARN" },
    ]);
    expect(only(resource, "aws_lambda_event_source_mapping").depends_on).toEqual([
      expect.stringMatching(/^aws_iam_role_policy_attachment\.function_role_queue-attachment_/),
    ]);
  });

  test("has an alarm on a metric that the function writes", () => {
    const metric = only(synthesized("alarm").resource, "aws_cloudwatch_metric_alarm");
    expect(metric.namespace).toBe("Orders");
    const source = readFileSync("packages/shutdown/src/metrics.ts", "utf8");
    expect(source).toContain(String(metric.metric_name));
    for (const name of Object.keys(metric.dimensions as object)) expect(source).toContain(`[["${name}"]]`);
  });
});
