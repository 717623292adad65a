/** `cdktf deploy`, `diff` and `destroy` with the real Terraform and the real AWS provider, against moto's AWS API. */
import { CloudWatchLogsClient, DescribeLogGroupsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { DescribeSecurityGroupsCommand, DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  GetPolicyCommand,
  GetPolicyVersionCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  IAMClient,
  ListAttachedRolePoliciesCommand,
  ListPoliciesCommand,
  ListRolePoliciesCommand,
  ListRolesCommand,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import {
  GetFunctionConfigurationCommand,
  LambdaClient,
  ListFunctionsCommand,
  PublishLayerVersionCommand,
} from "@aws-sdk/client-lambda";
import { unzipSync } from "fflate";
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { synthesizedFunction, type SynthesizedFunction } from "./synthesized-function";
import type { GracefulFunctionConfig } from "../../graceful-function/graceful-function";
import { startFakeArchive, type FakeArchive } from "./fake-archive";
import { AwsApi } from "./aws-api";
import { deployed, scratch } from "./deployed";
import { Project } from "./project";
import type { TerraformParts } from "./terraform-parts";

deployed(deploymentTests);

/** All settings but those that make another function or have no JSON. */
type ChangeableSettings = Required<
  Omit<
    GracefulFunctionConfig,
    | "region"
    | "functionName"
    | "code"
    | "architecture"
    | "runtime"
    | "database"
    | "shutdownExtension"
    | "provider"
    | "role"
    | "formerId"
  >
>;

interface Statement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
}

function deploymentTests(parts: TerraformParts): void {
  jest.setTimeout(300_000);

  /** As main.ts is, on the machine of the lab. */
  let synthesized: SynthesizedFunction;
  let layer: { readonly account: string; readonly name: string; readonly number: number };
  let api: AwsApi;
  let project: Project;
  let archive: FakeArchive | undefined;
  let ec2: EC2Client;
  let lambda: LambdaClient;
  let iam: IAMClient;
  let logs: CloudWatchLogsClient;

  beforeAll(async () => {
    const outdir = join(scratch, "as-it-is");
    execFileSync(process.execPath, ["--conditions=source", "--import", "tsx", "main.ts"], {
      env: { ...process.env, CDKTF_OUTDIR: outdir },
    });
    synthesized = synthesizedFunction(join(outdir, "stacks/graceful-shutdown/cdk.tf.json"));
    const parsed = /^arn:[\w-]+:lambda:([\w-]+):(\d+):layer:([\w-]+):(\d+)$/.exec(synthesized.layers[0] ?? "");
    const [, region = "", account = "", name = "", number = ""] = parsed ?? [];
    layer = { account, name, number: Number(number) };
    // moto has one account, which has to be the layer's.
    api = await AwsApi.start({ account });

    const directory = join(scratch, "project");
    mkdirSync(directory);
    project = new Project({ directory, parts, apiUrl: api.url });
    // Providers check the runtime against a list of their own; that the same code runs on both, the lab shows.
    if (parts.awsIsOlder) project.edit("main.ts", /runtime: "nodejs\d+\.x"/, 'runtime: "nodejs22.x"');
    if (!parts.hasArchive) {
      archive = await startFakeArchive(project.stackDirectory);
      project.reattach = archive.reattach;
    }

    const client = { endpoint: api.url, region, credentials: project.credentials };
    ec2 = new EC2Client(client);
    lambda = new LambdaClient(client);
    iam = new IAMClient(client);
    logs = new CloudWatchLogsClient(client);
    await publishLayer();
  }, 60_000);

  afterAll(async () => {
    archive?.stop();
    await api.stop();
  });

  /** moto finds a layer by name and number, so every number up to this one has to be taken. */
  async function publishLayer(): Promise<void> {
    for (let number = 1; number <= layer.number; number++) {
      await lambda.send(
        new PublishLayerVersionCommand({ LayerName: layer.name, Content: { ZipFile: Buffer.from("layer") } }),
      );
    }
    api.forget();
  }

  async function roles(): Promise<string[]> {
    const { Roles = [] } = await iam.send(new ListRolesCommand({}));
    return Roles.map(({ RoleName = "" }) => RoleName);
  }

  async function attachedPolicies(role: string): Promise<string[]> {
    const { AttachedPolicies = [] } = await iam.send(new ListAttachedRolePoliciesCommand({ RoleName: role }));
    return AttachedPolicies.map(({ PolicyArn = "" }) => PolicyArn);
  }

  /** What the account has, as Terraform would write it into its state. */
  async function existing(): Promise<Record<string, string[]>> {
    const { Functions = [] } = await lambda.send(new ListFunctionsCommand({}));
    const { Policies = [] } = await iam.send(new ListPoliciesCommand({ Scope: "Local" }));
    const { logGroups = [] } = await logs.send(new DescribeLogGroupsCommand({}));
    const attachments = (await roles()).map(async (role) =>
      (await attachedPolicies(role)).map((policy) => `${role} ${policy}`),
    );
    return {
      aws_lambda_function: Functions.map(({ FunctionName = "" }) => FunctionName),
      aws_iam_role: await roles(),
      aws_iam_policy: Policies.map(({ Arn = "" }) => Arn).sort(),
      aws_iam_role_policy_attachment: (await Promise.all(attachments)).flat().sort(),
      aws_cloudwatch_log_group: logGroups.map(({ logGroupName = "" }) => logGroupName),
    };
  }

  /** The same of the state. */
  function inState(): Record<string, string[]> {
    const { state } = project;
    const names = (type: string, name: (attributes: Readonly<Record<string, unknown>>) => unknown): string[] =>
      (state[type] ?? []).map((attributes) => String(name(attributes))).sort();
    return {
      aws_lambda_function: names("aws_lambda_function", (each) => each["function_name"]),
      aws_iam_role: names("aws_iam_role", (each) => each["name"]),
      aws_iam_policy: names("aws_iam_policy", (each) => each["arn"]),
      aws_iam_role_policy_attachment: names(
        "aws_iam_role_policy_attachment",
        (each) => `${String(each["role"])} ${String(each["policy_arn"])}`,
      ),
      aws_cloudwatch_log_group: names("aws_cloudwatch_log_group", (each) => each["name"]),
    };
  }

  const NOTHING = {
    aws_lambda_function: [],
    aws_iam_role: [],
    aws_iam_policy: [],
    aws_iam_role_policy_attachment: [],
    aws_cloudwatch_log_group: [],
  };

  /** The policies that the function's role has, attached or inline. */
  async function statements(role: string): Promise<Statement[]> {
    const documents: string[] = [];
    for (const PolicyArn of await attachedPolicies(role)) {
      const { Policy } = await iam.send(new GetPolicyCommand({ PolicyArn }));
      const VersionId = Policy?.DefaultVersionId;
      const { PolicyVersion } = await iam.send(new GetPolicyVersionCommand({ PolicyArn, VersionId }));
      documents.push(PolicyVersion?.Document ?? "");
    }
    const { PolicyNames = [] } = await iam.send(new ListRolePoliciesCommand({ RoleName: role }));
    for (const PolicyName of PolicyNames) {
      const { PolicyDocument = "" } = await iam.send(new GetRolePolicyCommand({ RoleName: role, PolicyName }));
      documents.push(PolicyDocument);
    }
    return documents.flatMap((text) => (JSON.parse(decodeURIComponent(text)) as { Statement: Statement[] }).Statement);
  }

  function arrivedZip(): Buffer {
    const upload = api.changes.findLast(
      ({ service, action }) => service === "lambda" && /^(POST .*\/functions\/?|PUT .*\/code)$/.test(action),
    );
    const request = JSON.parse(upload?.body.toString() ?? "{}") as { ZipFile?: string; Code?: { ZipFile: string } };
    return Buffer.from(request.ZipFile ?? request.Code?.ZipFile ?? "", "base64");
  }

  function functionConfiguration() {
    return lambda.send(new GetFunctionConfigurationCommand({ FunctionName: synthesized.name }));
  }

  function actions(): string[] {
    return api.changes.map(({ service, action }) => `${service} ${action}`);
  }

  /** What was deleted or created of that which is there whatever the settings are. */
  function replacements(): string[] {
    return actions().filter((action) =>
      /(Create|Delete)(Role|LogGroup)$|POST \S*\/functions\/?$|DELETE \S*\/functions\/[\w-]+$/.test(action),
    );
  }

  describe("from deploy to destroy", () => {
    test("cdktf deploy creates what is in the stack, and the state says so", async () => {
      expect(await project.cdktf("deploy")).toMatchObject({ status: 0 });
      const found = await existing();
      expect(found).toMatchObject({ aws_lambda_function: [synthesized.name], aws_iam_role: [expect.any(String)] });
      expect(inState()).toEqual(found);
    });

    test("the function is configured as in main.ts", async () => {
      const { name, handler, memorySizeMb, timeoutMs, layers, environment } = synthesized;
      const found = await functionConfiguration();
      expect(found).toMatchObject({
        FunctionName: name,
        Handler: handler,
        MemorySize: memorySizeMb,
        Timeout: timeoutMs / 1_000,
        Architectures: ["arm64"],
        Layers: layers.map((Arn) => ({ Arn })),
      });
      if (!parts.awsIsOlder) expect(found.Runtime).toBe(synthesized.runtime);
      expect(environment["SHUTDOWN_EXTENSION"]).toBe("external");
      expect(found.Environment?.Variables).toMatchObject({
        ...environment,
        DB_HOST: project.variables.db_host,
        DB_NAME: project.variables.db_name,
        DB_SECRET_ARN: project.variables.db_secret_arn,
      });
    });

    test("the role trusts Lambda only, and allows its logs and its one secret only", async () => {
      const { Role } = await functionConfiguration();
      const [RoleName = ""] = await roles();
      const found = (await iam.send(new GetRoleCommand({ RoleName }))).Role;
      expect(found?.Arn).toBe(Role);
      const trust = JSON.parse(decodeURIComponent(found?.AssumeRolePolicyDocument ?? "")) as { Statement: unknown };
      expect(trust.Statement).toMatchObject([
        { Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "lambda.amazonaws.com" } },
      ]);

      const granted = (await statements(RoleName)).flatMap(({ Effect, Action, Resource }) =>
        [Action].flat().flatMap((action) => [Resource].flat().map((resource) => `${Effect} ${action} ${resource}`)),
      );
      const own = new RegExp(`^Allow logs:\\w+ \\S+:log-group:/aws/lambda(/${synthesized.name}|-insights)(:|$)`);
      expect(granted.filter((grant) => !own.test(grant))).toEqual([
        `Allow secretsmanager:GetSecretValue ${project.variables.db_secret_arn}`,
      ]);
      expect(granted).toContainEqual(expect.stringMatching(new RegExp(`PutLogEvents .*/${synthesized.name}(:|$)`)));
    });

    test("the zip that arrived holds the staged code, and its hash is the one in the state and at the API", async () => {
      const zip = arrivedZip();
      const { CodeSha256 } = await functionConfiguration();
      expect(CodeSha256).toBe(createHash("sha256").update(zip).digest("base64"));
      expect(project.state["aws_lambda_function"]).toMatchObject([{ source_code_hash: CodeSha256 }]);

      const staged = synthesizedFunction(project.synthesizedFile).directory;
      const files = unzipSync(zip);
      const names = Object.keys(files).sort();
      expect(names.filter((name) => !name.startsWith("deferred/"))).toEqual([
        "certificate-authorities.pem",
        "index.mjs",
      ]);
      expect(names).toContain("deferred/mysql2.cjs");
      for (const [name, content] of Object.entries(files)) {
        expect(Buffer.from(content).equals(readFileSync(join(staged, name)))).toBe(true);
      }
    });

    test("run in the lab, what arrived gives its connections back", async () => {
      const zip = join(scratch, "arrived.zip");
      writeFileSync(zip, arrivedZip());
      const { Environment } = await functionConfiguration();
      // The lab has a server of its own.
      const variables = Object.entries(Environment?.Variables ?? {}).filter(([name]) => !name.startsWith("DB_"));
      const given = variables.flatMap(([name, value]) => ["--env", `${name}=${value}`]);
      const lab = [join("node_modules", ".bin", "lambda-shutdown-lab"), "run", "--handler", zip, "--json", ...given];
      const { stdout } = await promisify(execFile)(process.execPath, lab, {
        env: { ...process.env, MYSQL_URL: "" },
        maxBuffer: 2 ** 26,
      });
      expect(JSON.parse(stdout)).toMatchObject({
        clean: true,
        result: {
          invocations: [{ ok: true }],
          outcomes: ["closed"],
          abortedClients: 0,
          shutdown: { endedBy: "itself" },
        },
      });
    });

    test("a second run has nothing to do", async () => {
      api.forget();
      const diff = await project.cdktf("diff", "--skip-synth");
      expect(diff).toMatchObject({ status: 0, output: expect.stringContaining("No changes.") as string });
      expect(actions()).toEqual([]);
    });

    test("a change of the code updates the function's code, and nothing else", async () => {
      const before = await functionConfiguration();
      api.forget();
      project.edit("function/index.ts", /$/, '\nconsole.info("another version");\n');
      expect(await project.cdktf("deploy")).toMatchObject({ status: 0 });
      expect(actions()).toEqual([expect.stringMatching(/^lambda PUT .*\/functions\/[\w-]+\/code$/)]);
      const after = await functionConfiguration();
      expect(after.CodeSha256).not.toBe(before.CodeSha256);
      expect({ ...after, CodeSha256: "", CodeSize: 0, LastModified: "", $metadata: {} }).toEqual({
        ...before,
        ...{ CodeSha256: "", CodeSize: 0, LastModified: "", $metadata: {} },
      });
    });

    test("settings are changed in place, into a VPC and out again", async () => {
      const before = await functionConfiguration();
      const [role = ""] = await roles();
      const account = { ...(await existing()), statements: await statements(role) };
      await lambda.send(new PublishLayerVersionCommand({ LayerName: "tools", Content: { ZipFile: Buffer.from("-") } }));
      const tools = synthesized.layers.map((arn) => arn.replace(/[\w-]+:\d+$/, "tools:1"));
      const { Subnets: [subnet] = [] } = await ec2.send(new DescribeSubnetsCommand({}));
      const { SecurityGroups = [] } = await ec2.send(new DescribeSecurityGroupsCommand({}));
      const group = SecurityGroups.find(({ VpcId }) => VpcId === subnet?.VpcId);
      const [subnetIds, securityGroupIds] = [[subnet?.SubnetId ?? ""], [group?.GroupId ?? ""]];
      const settings = {
        memorySize: 512,
        timeout: 5,
        ephemeralStorage: 1024,
        environment: { LOG_LEVEL: "info" },
        layers: tools,
        reservedConcurrency: 5,
        tracing: "Active",
        vpc: { subnetIds, securityGroupIds, reachesLogs: true },
        logGroup: { retentionDays: 400, format: "JSON", applicationLevel: "WARN", systemLevel: "WARN" },
        tags: { team: "orders" },
      } satisfies ChangeableSettings;

      api.forget();
      project.edit("main.ts", /memorySize: 1024,\s+timeout: 60,/, `...${JSON.stringify(settings)},`);
      expect(await project.cdktf("deploy")).toMatchObject({ status: 0 });
      expect(replacements()).toEqual([]);
      // Not what the API then answers: moto does not keep all of it.
      const update = api.changes.find(({ action }) => /^PUT .*\/configuration$/.test(action));
      expect(JSON.parse(update?.body.toString() ?? "{}")).toMatchObject({
        MemorySize: 512,
        Timeout: 5,
        EphemeralStorage: { Size: 1024 },
        Environment: { Variables: { LOG_LEVEL: "info", DB_CONNECT_TIMEOUT_MS: "2000" } },
        Layers: [...synthesized.layers, ...tools],
        TracingConfig: { Mode: "Active" },
        VpcConfig: { SubnetIds: subnetIds, SecurityGroupIds: securityGroupIds },
        LoggingConfig: { LogFormat: "JSON", ApplicationLogLevel: "WARN", SystemLogLevel: "WARN" },
      });
      expect((await functionConfiguration()).VpcConfig).toMatchObject({ SubnetIds: subnetIds });
      expect(inState()).toEqual(await existing());

      api.forget();
      project.edit("main.ts", /\.\.\.\{"memorySize".*\},$/m, "memorySize: 1024, timeout: 60,");
      expect(await project.cdktf("deploy")).toMatchObject({ status: 0 });
      expect(replacements()).toEqual([]);
      const back = api.changes.find(({ action }) => /^PUT .*\/configuration$/.test(action));
      expect(JSON.parse(back?.body.toString() ?? "{}")).toMatchObject({
        EphemeralStorage: { Size: 512 },
        TracingConfig: { Mode: "PassThrough" },
        LoggingConfig: { LogFormat: "Text" },
      });
      expect({ ...(await existing()), statements: await statements(role) }).toEqual(account);
      const after = await functionConfiguration();
      expect(after.VpcConfig).toMatchObject({ SubnetIds: [], SecurityGroupIds: [] });
      const changesAnyway = { LastModified: "", VpcConfig: {}, $metadata: {} };
      expect({ ...after, ...changesAnyway }).toEqual({ ...before, ...changesAnyway });
    });

    test("cdktf destroy leaves nothing", async () => {
      expect(await project.cdktf("destroy", "--skip-synth")).toMatchObject({ status: 0 });
      expect(await existing()).toEqual(NOTHING);
      expect(project.state).toEqual({});
    });
  });

  describe("when something is in the way", () => {
    const APPLY = ["apply", "-auto-approve"];

    /** Terraform said what was wrong, and wrote down exactly what there is. */
    async function expectNoHalfWrittenState(): Promise<void> {
      expect(inState()).toEqual(await existing());
    }

    beforeAll(() => api.reset());

    afterEach(async () => {
      api.beforeChange = () => undefined;
      await api.enforceIam(false);
      project.credentials = { accessKeyId: "test", secretAccessKey: "test" };
    });

    test("wrong credentials", async () => {
      await api.enforceIam(true);
      project.credentials = { accessKeyId: "AKIAUNKNOWNUNKNOWN00", secretAccessKey: "unknown" };
      const { status, output } = await project.terraform(APPLY);
      expect(output).toMatch(/Error: [^]*StatusCode: 403/);
      expect(status).toBe(1);
      await api.enforceIam(false);
      expect(await existing()).toEqual(NOTHING);
      await expectNoHalfWrittenState();
    });

    test("a missing permission", async () => {
      const UserName = "deployer";
      await iam.send(new CreateUserCommand({ UserName }));
      const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
      const document = {
        Version: "2012-10-17",
        Statement: [
          { Effect: "Allow", Action: "*", Resource: "*" },
          { Effect: "Deny", Action: "lambda:CreateFunction", Resource: "*" },
        ],
      };
      await iam.send(
        new PutUserPolicyCommand({ UserName, PolicyName: "deployer", PolicyDocument: JSON.stringify(document) }),
      );
      await api.enforceIam(true);
      project.credentials = {
        accessKeyId: AccessKey?.AccessKeyId ?? "",
        secretAccessKey: AccessKey?.SecretAccessKey ?? "",
      };
      const { status, output } = await project.terraform(APPLY);
      expect(output).toMatch(/Error: creating Lambda Function[^]*StatusCode: 403/);
      expect(status).toBe(1);
      await api.enforceIam(false);
      expect((await existing())["aws_lambda_function"]).toEqual([]);
      expect((await existing())["aws_iam_role"]).toHaveLength(1);
      await expectNoHalfWrittenState();
    });

    test("an unknown layer version", async () => {
      const { status, output } = await project.terraform(APPLY);
      expect(output).toMatch(/Error: creating Lambda Function[^]*Layer/);
      expect(status).toBe(1);
      expect((await existing())["aws_lambda_function"]).toEqual([]);
      await expectNoHalfWrittenState();
    });

    test("an interruption half way, after which another run does the rest", async () => {
      await publishLayer();
      // An interrupt cancels the request under way. AWS may carry such a one out all the same, and Terraform does not
      // know of what it made; here it does not run.
      const interrupted = await project.terraform(APPLY, (terraform) => {
        api.beforeChange = async ({ service, over }) => {
          if (service !== "lambda") return;
          terraform.kill("SIGINT");
          await over;
        };
      });
      expect(interrupted).toMatchObject({ status: 1, output: expect.stringContaining("Interrupt received") as string });
      api.beforeChange = () => undefined;
      expect((await existing())["aws_lambda_function"]).toEqual([]);
      await expectNoHalfWrittenState();

      expect(await project.terraform(APPLY)).toMatchObject({ status: 0 });
      expect((await existing())["aws_lambda_function"]).toEqual([synthesized.name]);
      await expectNoHalfWrittenState();
      expect((await project.terraform(["plan", "-detailed-exitcode"])).status).toBe(0);
    });
  });
}
