/** `cdktf deploy`, `diff` and `destroy` with the real Terraform and the real AWS provider, against moto's AWS API. */
import { CloudWatchLogsClient, DescribeLogGroupsCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  GetPolicyCommand,
  GetPolicyVersionCommand,
  GetRoleCommand,
  IAMClient,
  ListAttachedRolePoliciesCommand,
  ListPoliciesCommand,
  ListRolesCommand,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import { GetFunctionConfigurationCommand, LambdaClient, ListFunctionsCommand } from "@aws-sdk/client-lambda";
import { unzipSync } from "fflate";
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { only, type Attributes, type Synthesized } from "../synthesis";
import type { AwsApi } from "./aws-api";
import { clientOf, deployed, publishLayer, scratch, startApi, startProject } from "./deployed";
import type { Project } from "./project";

interface Statement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
}

function synthesized(file: string): { readonly lambda: Attributes; readonly code: string } {
  const { data, resource } = JSON.parse(readFileSync(file, "utf8")) as Synthesized;
  const { source_dir } = only(data, "archive_file");
  const code = String(source_dir).replace("${path.module}", dirname(file));
  return { lambda: only(resource, "aws_lambda_function"), code };
}

deployed((parts) => {
  /** As main.ts is, on the machine of the lab. */
  let own: Attributes;
  let name: string;
  let layer: string;
  let api: AwsApi;
  let project: Project;
  let lambda: LambdaClient;
  let iam: IAMClient;
  let logs: CloudWatchLogsClient;

  beforeAll(async () => {
    const outdir = join(scratch, "as-it-is");
    execFileSync(process.execPath, ["--conditions=source", "--import", "tsx", "main.ts"], {
      env: { ...process.env, CDKTF_OUTDIR: outdir },
    });
    own = synthesized(join(outdir, "stacks/graceful-shutdown/cdk.tf.json")).lambda;
    name = String(own["function_name"]);
    [layer = ""] = own["layers"] as string[];
    // moto has one account, which has to be the layer's.
    api = await startApi(layer.split(":")[4]);
    project = await startProject(parts, api);
    const client = clientOf(api);
    [lambda, iam, logs] = [new LambdaClient(client), new IAMClient(client), new CloudWatchLogsClient(client)];
    await publishInsights();
  }, 60_000);

  async function publishInsights(): Promise<void> {
    const [layerName = "", number] = layer.split(":").slice(-2);
    await publishLayer(clientOf(api), layerName, Number(number));
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

  /** Of the policies that the function's role has. */
  async function statements(role: string): Promise<Statement[]> {
    const documents = (await attachedPolicies(role)).map(async (PolicyArn) => {
      const { Policy } = await iam.send(new GetPolicyCommand({ PolicyArn }));
      const VersionId = Policy?.DefaultVersionId;
      const { PolicyVersion } = await iam.send(new GetPolicyVersionCommand({ PolicyArn, VersionId }));
      return JSON.parse(decodeURIComponent(PolicyVersion?.Document ?? "")) as { readonly Statement: Statement[] };
    });
    return (await Promise.all(documents)).flatMap(({ Statement }) => Statement);
  }

  function arrivedZip(): Buffer {
    const upload = api.changes.findLast(
      ({ service, action }) => service === "lambda" && /^(POST .*\/functions\/?|PUT .*\/code)$/.test(action),
    );
    const request = JSON.parse(upload?.body.toString() ?? "{}") as { ZipFile?: string; Code?: { ZipFile: string } };
    return Buffer.from(request.ZipFile ?? request.Code?.ZipFile ?? "", "base64");
  }

  function functionConfiguration() {
    return lambda.send(new GetFunctionConfigurationCommand({ FunctionName: name }));
  }

  function actions(): string[] {
    return api.changes.map(({ service, action }) => `${service} ${action}`);
  }

  describe("from deploy to destroy", () => {
    test("cdktf deploy creates what is in the stack, and the state says so", async () => {
      expect(await project.cdktf("deploy")).toMatchObject({ status: 0 });
      const found = await existing();
      expect(found).toMatchObject({ aws_lambda_function: [name], aws_iam_role: [expect.any(String)] });
      expect(inState()).toEqual(found);
    });

    test("the function is configured as in main.ts", async () => {
      const { variables } = own["environment"] as { readonly variables: Readonly<Record<string, string>> };
      const known = Object.entries(variables).filter(([, value]) => !value.includes("${"));
      const { db_host: DB_HOST, db_name: DB_NAME, db_secret_arn: DB_SECRET_ARN } = project.variables;
      const found = await functionConfiguration();
      expect(found).toMatchObject({
        FunctionName: name,
        Handler: own["handler"],
        MemorySize: own["memory_size"],
        Timeout: own["timeout"],
        Architectures: ["arm64"],
        Layers: [{ Arn: layer }],
        Environment: {
          Variables: { ...Object.fromEntries(known), SHUTDOWN_EXTENSION: "external", DB_HOST, DB_NAME, DB_SECRET_ARN },
        },
      });
      if (!parts.awsIsOlder) expect(found.Runtime).toBe(own["runtime"]);
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
      const ownLogs = new RegExp(`^Allow logs:\\w+ \\S+:log-group:/aws/lambda(/${name}|-insights)(:|$)`);
      expect(granted.filter((grant) => !ownLogs.test(grant))).toEqual([
        `Allow secretsmanager:GetSecretValue ${project.variables.db_secret_arn}`,
      ]);
      expect(granted).toContainEqual(expect.stringMatching(new RegExp(`PutLogEvents .*/${name}(:|$)`)));
    });

    test("the zip that arrived holds the staged code, and its hash is the one in the state and at the API", async () => {
      const zip = arrivedZip();
      const { CodeSha256 } = await functionConfiguration();
      expect(CodeSha256).toBe(createHash("sha256").update(zip).digest("base64"));
      expect(project.state["aws_lambda_function"]).toMatchObject([{ source_code_hash: CodeSha256 }]);

      const { code } = synthesized(project.synthesizedFile);
      const files = unzipSync(zip);
      const names = Object.keys(files).filter((each) => !each.startsWith("deferred/"));
      expect(names.sort()).toEqual(["certificate-authorities.pem", "index.mjs"]);
      expect(files).toHaveProperty(["deferred/mysql2.cjs"]);
      for (const [file, content] of Object.entries(files)) {
        expect(Buffer.from(content).equals(readFileSync(join(code, file)))).toBe(true);
      }
    });

    test("run in the lab, what arrived gives its connections back", async () => {
      const zip = join(scratch, "arrived.zip");
      writeFileSync(zip, arrivedZip());
      const { Environment } = await functionConfiguration();
      // The lab has a server of its own.
      const variables = Object.entries(Environment?.Variables ?? {}).filter(([each]) => !each.startsWith("DB_"));
      const env = variables.flatMap(([each, value]) => ["--env", `${each}=${value}`]);
      const lab = [join("node_modules", ".bin", "lambda-shutdown-lab"), "run", "--handler", zip, "--json", ...env];
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
      const changed = { CodeSha256: "", CodeSize: 0, LastModified: "", $metadata: {} };
      expect({ ...after, ...changed }).toEqual({ ...before, ...changed });
    });

    test("cdktf destroy leaves nothing", async () => {
      expect(await project.cdktf("destroy", "--skip-synth")).toMatchObject({ status: 0 });
      expect(await existing()).toEqual(NOTHING);
      expect(project.state).toEqual({});
    });
  });

  describe("when something is in the way", () => {
    const APPLY = ["apply", "-auto-approve"];

    /** Terraform says what is wrong, and writes down exactly what there is. */
    async function expectFailure(error: RegExp, roleCount: number): Promise<void> {
      const { status, output } = await project.terraform(APPLY);
      expect(output).toMatch(error);
      expect(status).toBe(1);
      await api.enforceIam(false);
      const found = await existing();
      expect(found["aws_lambda_function"]).toEqual([]);
      expect(found["aws_iam_role"]).toHaveLength(roleCount);
      expect(inState()).toEqual(found);
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
      await expectFailure(/Error: [^]*StatusCode: 403/, 0);
      expect(await existing()).toEqual(NOTHING);
    });

    test("a missing permission", async () => {
      const UserName = "deployer";
      await iam.send(new CreateUserCommand({ UserName }));
      const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
      const Statement = [
        { Effect: "Allow", Action: "*", Resource: "*" },
        { Effect: "Deny", Action: "lambda:CreateFunction", Resource: "*" },
      ];
      const PolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement });
      await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: UserName, PolicyDocument }));
      await api.enforceIam(true);
      const { AccessKeyId: accessKeyId = "", SecretAccessKey: secretAccessKey = "" } = AccessKey ?? {};
      project.credentials = { accessKeyId, secretAccessKey };
      await expectFailure(/Error: creating Lambda Function[^]*StatusCode: 403/, 1);
    });

    test("an unknown layer version", async () => {
      await expectFailure(/Error: creating Lambda Function[^]*Layer/, 1);
    });

    test("an interruption half way, after which another run does the rest", async () => {
      await publishInsights();
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
      expect(inState()).toEqual(await existing());

      expect(await project.terraform(APPLY)).toMatchObject({ status: 0 });
      expect((await existing())["aws_lambda_function"]).toEqual([name]);
      expect(inState()).toEqual(await existing());
      expect((await project.terraform(["plan", "-detailed-exitcode"])).status).toBe(0);
    });
  });
});
