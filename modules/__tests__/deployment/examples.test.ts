/** Each example of docs/construct.md in one plan of the real Terraform, so that the provider has checked it. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { deployed, startApi, startProject } from "./deployed";

const EXAMPLES = readdirSync(join(__dirname, "../examples")).map((file) => file.replace(".ts", ""));

/** @param runtime that the provider knows */
const app = (runtime: string): string => `
import { ArchiveProvider } from "@cdktf/provider-archive/lib/provider";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { LambdaFunction } from "@cdktf/provider-aws/lib/lambda-function";
import { App, Aspects, TerraformStack } from "cdktf";
import { Construct } from "constructs";
import { GracefulFunction, MysqlDatabase } from "lambda-graceful-shutdown-cdktf";

const app = new App();
const stack = new TerraformStack(app, "graceful-shutdown");
new AwsProvider(stack, "aws", { region: "us-east-1" });
new ArchiveProvider(stack, "archive");
const [region, name] = ["us-east-1", "orders"];
const code = { entry: "modules/__tests__/fixture/index.ts" };
const argument = (scope, example) =>
  example === "scanned-database"
    ? new MysqlDatabase(scope, "database", { region, name, databaseName: name })
    : new GracefulFunction(scope, "function", { region, functionName: name, code });
for (const file of ${JSON.stringify(EXAMPLES)}) {
  const [example] = Object.values(require(\`./modules/__tests__/examples/\${file}\`)) as ((...args: unknown[]) => void)[];
  const scope = new Construct(stack, file);
  example(scope, ...(example.length < 2 ? [] : [argument(scope, file)]));
}
Aspects.of(stack).add({
  visit(node) {
    if (node instanceof LambdaFunction && node.runtimeInput !== undefined) node.runtime = "${runtime}";
  },
});
app.synth();
`;

deployed((parts) => {
  test("Terraform and the provider plan all of them", async () => {
    const project = await startProject(parts, await startApi());
    project.write("main.ts", app(parts.awsIsOlder ? "nodejs22.x" : "nodejs24.x"));
    const { status, output } = await project.cdktf("diff");
    if (status !== 0) throw new Error(output);
    const planned = output.matchAll(/\(([\w-]+)\/[^)]+\) will be created/g);
    expect(output).toMatch(/Plan: \d+ to add, 0 to change, 0 to destroy/);
    expect([...new Set([...planned].map(([, example]) => example))].sort()).toEqual(EXAMPLES);
  });
});
