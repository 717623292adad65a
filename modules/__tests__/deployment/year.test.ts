/** A function's life with the real Terraform and AWS provider against moto's API: create, change, rename, destroy. */
import { LambdaClient, UpdateFunctionCodeCommand } from "@aws-sdk/client-lambda";
import { zipSync } from "fflate";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GracefulFunctionConfig } from "../../graceful-function/graceful-function";
import { startFakeArchive, type FakeArchive } from "./fake-archive";
import { AwsApi } from "./aws-api";
import { deployed, scratch } from "./deployed";
import { Project } from "./project";
import type { TerraformParts } from "./terraform-parts";

deployed(deploymentTests);

/** Options that Terraform keeps, where the configuration says nothing of them. */
const OPTIONS = {
  ephemeralStorage: 1024,
  tracing: "Active",
  logGroup: { format: "JSON", applicationLevel: "WARN", systemLevel: "WARN" },
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

function deploymentTests(parts: TerraformParts): void {
  jest.setTimeout(280_000);
  const runtime = parts.awsIsOlder ? "nodejs22.x" : "nodejs24.x";
  const directory = join(scratch, "project");
  let api: AwsApi;
  let project: Project;
  let archive: FakeArchive | undefined;

  beforeAll(async () => {
    api = await AwsApi.start({ account: "123456789012" });
    mkdirSync(directory);
    project = new Project({ directory, parts, apiUrl: api.url });
    writeFileSync(join(directory, "orders.ts"), 'export const handler = async () => Promise.resolve("orders");\n');
    if (!parts.hasArchive) {
      archive = await startFakeArchive(project.stackDirectory);
      project.reattach = archive.reattach;
    }
  }, 60_000);

  afterAll(async () => {
    archive?.stop();
    await api.stop();
  });

  async function deploy(main: string): Promise<void> {
    writeFileSync(join(directory, "main.ts"), main);
    api.forget();
    expect(await project.cdktf("deploy")).toMatchObject({ status: 0 });
  }

  async function expectEmptyPlan(): Promise<void> {
    const { status, output } = await project.terraform(["plan", "-detailed-exitcode"]);
    expect(output).toContain("No changes.");
    expect(output).not.toContain("Warning");
    expect(status).toBe(0);
  }

  function created(): string[] {
    const actions = api.changes.map(({ service, action }) => `${service} ${action}`);
    return actions.filter((action) => /Create|Delete|DELETE|POST \S*\/functions\/?$/.test(action));
  }

  function configuration(): Record<string, unknown> {
    const update = api.changes.find(({ action }) => /^PUT .*\/configuration$/.test(action));
    return JSON.parse(update?.body.toString() ?? "{}") as Record<string, unknown>;
  }

  test("a function with options is created", async () => {
    await deploy(app(runtime, "function", OPTIONS));
    await expectEmptyPlan();
  });

  test("options that are taken out are set back", async () => {
    await deploy(app(runtime, "function", { logGroup: { format: "JSON" } }));
    expect(configuration()).toMatchObject({
      EphemeralStorage: { Size: 512 },
      TracingConfig: { Mode: "PassThrough" },
      LoggingConfig: { LogFormat: "JSON", ApplicationLogLevel: "INFO", SystemLogLevel: "INFO" },
    });
    await expectEmptyPlan();
    await deploy(app(runtime, "function", {}));
    expect(configuration()).toMatchObject({ LoggingConfig: { LogFormat: "Text", LogGroup: "/aws/lambda/orders" } });
    await expectEmptyPlan();
  });

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

  test("code that is changed outside Terraform is a warning of the next plan", async () => {
    const { credentials } = project;
    const lambda = new LambdaClient({ endpoint: api.url, region: "us-east-1", credentials });
    const ZipFile = zipSync({ "index.mjs": Buffer.from("export const handler = 1;") });
    await lambda.send(new UpdateFunctionCodeCommand({ FunctionName: "orders", ZipFile }));
    const { status, output } = await project.terraform(["plan"]);
    expect(output.replaceAll(/[\s│]+/g, " ")).toContain("The code of orders was changed outside Terraform.");
    expect(status).toBe(0);
  });

  test("it is destroyed", async () => {
    expect(await project.cdktf("destroy", "--skip-synth")).toMatchObject({ status: 0 });
    expect(project.state).toEqual({});
  });
}
