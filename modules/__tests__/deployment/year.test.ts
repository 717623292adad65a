/** A function's life with the real Terraform and AWS provider against moto's API: create, change, rename, destroy. */
import { LambdaClient, UpdateFunctionCodeCommand } from "@aws-sdk/client-lambda";
import { zipSync } from "fflate";
import type { GracefulFunctionConfig } from "../../graceful-function/graceful-function";
import type { AwsApi } from "./aws-api";
import { clientOf, defaultVpc, deployed, publishLayer, startApi, startProject } from "./deployed";
import type { Project } from "./project";

const OPTIONS = {
  memorySize: 256,
  timeout: 5,
  reservedConcurrency: 3,
  environment: { LEVEL: "debug" },
  ephemeralStorage: 1024,
  tracing: "Active",
  logGroup: { format: "JSON", applicationLevel: "WARN", systemLevel: "WARN", retentionDays: 30 },
  tags: { team: "orders" },
} satisfies Partial<GracefulFunctionConfig>;

/** An app with a function of that id in that scope of the stack. */
function app(runtime: string, id: string, options: object, scope?: string): string {
  return `
import { ArchiveProvider } from "@cdktf/provider-archive/lib/provider";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { App, TerraformStack } from "cdktf";
import { Construct } from "constructs";
import { GracefulFunction, ShutdownExtension } from "lambda-graceful-shutdown-cdktf";

const app = new App();
const stack = new TerraformStack(app, "graceful-shutdown");
new AwsProvider(stack, "aws", { region: "us-east-1" });
new ArchiveProvider(stack, "archive");
const scope = ${scope === undefined ? "stack" : `new Construct(stack, "${scope}")`};
new GracefulFunction(scope, "${id}", {
  region: "us-east-1",
  functionName: "orders",
  code: { entry: "orders.ts" },
  runtime: "${runtime}",
  shutdownExtension: ShutdownExtension.internal(),
  ...${JSON.stringify(options)},
}).role.allow("pictures", [{ Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::pictures/*" }]);
app.synth();
`;
}

deployed((parts) => {
  const runtime = parts.awsIsOlder ? "nodejs22.x" : "nodejs24.x";
  let api: AwsApi;
  let project: Project;

  beforeAll(async () => {
    api = await startApi();
    project = await startProject(parts, api);
    project.write("orders.ts", 'export const handler = async () => Promise.resolve("orders");\n');
  }, 60_000);

  async function deploy(main: string): Promise<void> {
    project.write("main.ts", main);
    api.forget();
    expect(await project.cdktf("deploy")).toMatchObject({ status: 0 });
  }

  async function expectEmptyPlan(): Promise<void> {
    const { status, output } = await project.terraform(["plan", "-detailed-exitcode"]);
    expect(output).toContain("No changes.");
    expect(output).not.toContain("Warning");
    expect(status).toBe(0);
  }

  /** What was created or deleted, but for policies, which come and go with the options. */
  function replaced(): string[] {
    const actions = api.changes.map(({ service, action }) => `${service} ${action}`);
    return actions.filter((action) =>
      /(Create|Delete)(Role|LogGroup)$|POST \S*\/functions\/?$|DELETE \S*\/functions\/[\w-]+$/.test(action),
    );
  }

  function configuration(): Record<string, unknown> {
    const update = api.changes.find(({ action }) => /^PUT .*\/configuration$/.test(action));
    return JSON.parse(update?.body.toString() ?? "{}") as Record<string, unknown>;
  }

  test("a function is created", async () => {
    await deploy(app(runtime, "function", {}));
    await expectEmptyPlan();
  });

  test("options are changed in place", async () => {
    const vpc = await defaultVpc(clientOf(api));
    await publishLayer(clientOf(api), "tools", 1);
    const layers = ["arn:aws:lambda:us-east-1:123456789012:layer:tools:1"];
    await deploy(app(runtime, "function", { ...OPTIONS, layers, vpc }));
    expect(replaced()).toEqual([]);
    // Not what the API then answers: moto does not keep all of it.
    expect(configuration()).toMatchObject({
      MemorySize: 256,
      Timeout: 5,
      EphemeralStorage: { Size: 1024 },
      Environment: { Variables: { LEVEL: "debug" } },
      Layers: layers,
      TracingConfig: { Mode: "Active" },
      VpcConfig: { SubnetIds: vpc.subnetIds, SecurityGroupIds: vpc.securityGroupIds },
      LoggingConfig: { LogFormat: "JSON", ApplicationLogLevel: "WARN", SystemLogLevel: "WARN" },
    });
    expect(project.state["aws_iam_policy"]).toHaveLength(4);
    await expectEmptyPlan();
  });

  test("options that are taken out are set back", async () => {
    await deploy(app(runtime, "function", { logGroup: { format: "JSON" } }));
    expect(replaced()).toEqual([]);
    expect(project.state["aws_iam_policy"]).toHaveLength(2);
    const others = api.changes.map(({ action, body }) => `${action} ${body.toString()}`);
    expect(others).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^DELETE \S+\/concurrency/),
        expect.stringMatching(/^DELETE \S+\/tags\//),
        expect.stringMatching(/PutRetentionPolicy.*365/),
      ]),
    );
    expect(configuration()).toMatchObject({
      MemorySize: 1024,
      Timeout: 60,
      Layers: [],
      Environment: { Variables: { SHUTDOWN_EXTENSION: "internal" } },
      VpcConfig: { SubnetIds: [], SecurityGroupIds: [] },
      EphemeralStorage: { Size: 512 },
      TracingConfig: { Mode: "PassThrough" },
      LoggingConfig: { LogFormat: "JSON", ApplicationLogLevel: "INFO", SystemLogLevel: "INFO" },
    });
    await expectEmptyPlan();
    await deploy(app(runtime, "function", {}));
    expect(configuration()).toMatchObject({ LoggingConfig: { LogFormat: "Text", LogGroup: "/aws/lambda/orders" } });
    await expectEmptyPlan();
  });

  function created(): string[] {
    const actions = api.changes.map(({ service, action }) => `${service} ${action}`);
    return actions.filter((action) => /Create|Delete|DELETE|POST \S*\/functions\/?$/.test(action));
  }

  test("with formerId another id creates and deletes nothing", async () => {
    await deploy(app(runtime, "orders", { formerId: "function" }));
    expect(created()).toEqual([]);
    await expectEmptyPlan();
  });

  test("with the former path another scope creates and deletes nothing", async () => {
    await deploy(app(runtime, "function", { formerId: "/orders" }, "sales"));
    expect(created()).toEqual([]);
    await expectEmptyPlan();
    await deploy(app(runtime, "function", {}, "sales"));
    expect(created()).toEqual([]);
  });

  test("a function that Terraform has forgotten is imported", async () => {
    const { output } = await project.terraform(["state", "list"]);
    const ids: Readonly<Record<string, string>> = {
      aws_lambda_function: "orders",
      aws_iam_role: "orders-us-east-1",
      aws_cloudwatch_log_group: "/aws/lambda/orders",
    };
    const forgotten = output.split("\n").filter((address) => (address.split(".")[0] ?? "") in ids);
    expect(forgotten).toHaveLength(3);
    await project.terraform(["state", "rm", ...forgotten]);
    for (const address of forgotten) {
      const id = ids[address.split(".")[0] ?? ""] ?? "";
      expect(await project.terraform(["import", address, id])).toMatchObject({ status: 0 });
    }
    await deploy(app(runtime, "function", {}, "sales"));
    expect(created()).toEqual([]);
    await expectEmptyPlan();
  });

  test("code that is changed outside Terraform is a warning of the next plan", async () => {
    const ZipFile = zipSync({ "index.mjs": Buffer.from("export const handler = 1;") });
    await new LambdaClient(clientOf(api)).send(new UpdateFunctionCodeCommand({ FunctionName: "orders", ZipFile }));
    const { status, output } = await project.terraform(["plan"]);
    expect(output.replaceAll(/[\s│]+/g, " ")).toContain("The code of orders was changed outside Terraform.");
    expect(status).toBe(0);
  });

  test("it is destroyed", async () => {
    expect(await project.cdktf("destroy", "--skip-synth")).toMatchObject({ status: 0 });
    expect(project.state).toEqual({});
  });
});
