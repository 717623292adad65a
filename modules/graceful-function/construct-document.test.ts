import { Testing, type TerraformStack } from "cdktf";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { GracefulFunction } from "./graceful-function";
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
  ["Options of ShutdownLayer", options("modules/shutdown-layer/shutdown-layer.ts", "ShutdownLayerConfig")],
  ["Options of attachShutdown", options("modules/shutdown-layer/attach-shutdown.ts", "AttachShutdownConfig")],
  ["Options of `role`", options("modules/graceful-function/execution-role.ts", "ExistingRole")],
  ["Options of MysqlDatabase", options("modules/mysql-database/mysql-database.ts", "MysqlDatabaseConfig")],
])("docs/construct.md, %s: every option of the source with its default, and nothing else", (heading, expected) => {
  expect(Object.keys(expected).length).toBeGreaterThan(1);
  expect(documented(heading)).toEqual(expected);
});

describe("an example of docs/construct.md", () => {
  const directory = "modules/__tests__/examples";
  type Example = (stack: TerraformStack, orders: GracefulFunction) => void;
  const files = readdirSync(directory).filter(
    (file) => !readFileSync(path.join(directory, file), "utf8").includes("MysqlDatabase"),
  );

  /** The stack of the example of that file, with the function that it takes, unless it has its own. */
  function synthesized(file: string): Synthesized {
    const [example] = Object.values(jest.requireActual<Record<string, Example>>(path.resolve(directory, file)));
    if (example === undefined) throw new Error(`${file} has no example`);
    const stack = newStack();
    const orders = (): GracefulFunction =>
      new GracefulFunction(stack, "function", {
        region: "us-east-1",
        functionName: "orders",
        code: { entry: ENTRY },
        environment: { SHUTDOWN_METRICS_NAMESPACE: "Orders" },
      });
    example(stack, ...((example.length < 2 ? [] : [orders()]) as [GracefulFunction]));
    return JSON.parse(Testing.synth(stack)) as Synthesized;
  }

  test.each(files)("is the code of the file, and synthesizes: %s", (file) => {
    const source = readFileSync(path.join(directory, file), "utf8");
    const body = source.slice(source.indexOf("export function"));
    const code = body
      .split("\n")
      .slice(1, -2)
      .map((line) => line.replace(/^ {2}/, ""))
      .join("\n");
    expect(document).toContain(`\`\`\`ts\n${code}\n\`\`\``);
    expect(only(synthesized(file).resource, "aws_lambda_function").function_name).toBe("orders");
  });

  test("lets API Gateway call the function", () => {
    const { resource } = synthesized("http-api.ts");
    const [id] = Object.keys(resource.aws_lambda_function ?? {});
    expect(only(resource, "aws_apigatewayv2_api").target).toBe(`\${aws_lambda_function.${id}.arn}`);
    expect(only(resource, "aws_lambda_permission").principal).toBe("apigateway.amazonaws.com");
  });

  test("lets the function read a queue before the queue calls it", () => {
    const { resource } = synthesized("queue.ts");
    const found = Object.values(resource.aws_iam_policy ?? {}).find(({ name }) => name === "orders-us-east-1-queue");
    expect(policy(found?.policy).Statement).toMatchObject([{ Resource: "${aws_sqs_queue.messages.arn}" }]);
    expect(only(resource, "aws_lambda_event_source_mapping").depends_on).toEqual([
      expect.stringMatching(/^aws_iam_role_policy_attachment\.function_role_queue-attachment_/),
    ]);
  });

  test.each(["dead-letters.ts", "environment-key.ts"])("lets the function wait for its permission: %s", (file) => {
    const { resource } = synthesized(file);
    const dependencies = only(resource, "aws_lambda_function").depends_on as string[];
    const attachments = Object.keys(resource.aws_iam_role_policy_attachment ?? {});
    expect(dependencies.filter((each) => each.startsWith("aws_iam")).sort()).toEqual(
      attachments.map((id) => `aws_iam_role_policy_attachment.${id}`).sort(),
    );
  });

  test("leaves a role alone that has every permission", () => {
    const { resource } = synthesized("complete-role.ts");
    expect(Object.keys(resource).sort()).toEqual(["aws_cloudwatch_log_group", "aws_lambda_function"]);
    expect(only(resource, "aws_lambda_function").depends_on).toEqual([
      expect.stringMatching(/^aws_cloudwatch_log_group\./),
    ]);
  });

  test("deploys an archive of any size from S3", () => {
    const lambda = only(synthesized("package-from-s3.ts").resource, "aws_lambda_function");
    expect(lambda).not.toHaveProperty("filename");
    expect(JSON.stringify(lambda.lifecycle)).not.toContain("52428800)");
  });

  test("has alarms and a dashboard for metrics that the function writes", () => {
    const source = readFileSync("packages/shutdown/src/metrics.ts", "utf8");
    const [alarm] = Object.values(synthesized("alarm.ts").resource.aws_cloudwatch_metric_alarm ?? {});
    expect(alarm?.namespace).toBe("Orders");
    const body = String(only(synthesized("dashboard.ts").resource, "aws_cloudwatch_dashboard").dashboard_body);
    const names = [...body.matchAll(/\["Orders", "(\w+)", "functionName"/g)].map(([, name]) => name ?? "");
    expect(names).toHaveLength(3);
    for (const name of [...names, String(alarm?.metric_name)]) expect(source).toContain(name);
    for (const name of Object.keys(alarm?.dimensions as object)) expect(source).toContain(`["${name}"]`);
  });
});
