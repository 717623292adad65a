/** The exported module, as somebody who has never heard of CDKTF uses it: real Terraform, real AWS provider, moto as the API. */
import { DescribeSecurityGroupsCommand, DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import {
  GetPolicyCommand,
  GetPolicyVersionCommand,
  ListAttachedRolePoliciesCommand,
  IAMClient,
} from "@aws-sdk/client-iam";
import { GetFunctionConfigurationCommand, LambdaClient, PublishLayerVersionCommand } from "@aws-sdk/client-lambda";
import { spawn, spawnSync, type ChildProcess, type SpawnSyncReturns } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AwsApi } from "./aws-api";
import { findTerraformParts } from "./terraform-parts";

const ROOT = join(__dirname, "../../..");
const scratch = mkdtempSync(join(tmpdir(), "export-"));
const exported = join(scratch, "terraform-module");
const parts = findTerraformParts(scratch);
const running = new Set<ChildProcess>();
let api: AwsApi | undefined;

/** Not the default architecture, and a region where Insights belongs to another account than in most. */
const REGION = "ap-southeast-5";
const LAYER = { account: "590183865173", name: "LambdaInsightsExtension", number: 9 };
const SECRET_ARN = `arn:aws:secretsmanager:${REGION}:${LAYER.account}:secret:orders-AbCdEf`;

const SERVICES = ["iam", "lambda", "logs", "sts", "ec2"];
const credentials = { accessKeyId: "test", secretAccessKey: "test" };

function runExport(args: readonly string[], env: NodeJS.ProcessEnv = {}): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, ["--conditions=source", "--import", "tsx", "modules/export/export.ts", ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    encoding: "utf8",
  });
}

/** Not waited for with spawnSync: the API answers in this process. */
async function terraform(...args: readonly string[]): Promise<{ status: number | null; output: string }> {
  if ("missing" in parts) throw new Error(parts.missing.join("\n"));
  const child = spawn("terraform", [...args, "-no-color"], {
    cwd: join(scratch, "root"),
    env: {
      PATH: process.env["PATH"],
      HOME: scratch,
      TF_CLI_CONFIG_FILE: parts.cliConfigFile,
      CHECKPOINT_DISABLE: "1",
      AWS_EC2_METADATA_DISABLED: "true",
    },
  });
  running.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const [status] = (await once(child, "close")) as [number | null];
  running.delete(child);
  return { status, output };
}

/** Terraform breaks the lines of an error. */
function unbroken(output: string): string {
  return output.replaceAll(/\s+/g, " ");
}

function rootModule(apiUrl: string, awsVersion: string): string {
  return `
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "${awsVersion}"
    }
  }
}

provider "aws" {
  region                      = "${REGION}"
  access_key                  = "${credentials.accessKeyId}"
  secret_key                  = "${credentials.secretAccessKey}"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true

  endpoints {
${SERVICES.map((service) => `    ${service} = "${apiUrl}"`).join("\n")}
  }
}

variable "region" {
  default = "${REGION}"
}

variable "architecture" {
  default = "x86_64"
}

# Version 5 of the provider knows no later one.
variable "runtime" {
  default = "nodejs22.x"
}

variable "timeout" {
  default = 60
}

variable "subnet_ids" {
  type    = list(string)
  default = []
}

variable "security_group_ids" {
  type    = list(string)
  default = []
}

variable "created" {
  default = false
}

# Ids that are known after apply, as those of subnets of the same configuration are.
resource "terraform_data" "subnet_ids" {
  input = ["subnet-1"]
}

module "orders" {
  source             = "../terraform-module"
  region             = var.region
  architecture       = var.architecture
  runtime            = var.runtime
  timeout            = var.timeout
  name               = "orders"
  db_host            = "db.example.com"
  db_name            = "orders"
  db_secret_arn      = "${SECRET_ARN}"
  subnet_ids         = var.created ? terraform_data.subnet_ids.output : var.subnet_ids
  security_group_ids = var.security_group_ids
}

output "arn" {
  value = module.orders.function_arn
}
`;
}

beforeAll(async () => {
  const { status, stderr } = runExport([exported]);
  if (status !== 0) throw new Error(stderr);

  mkdirSync(join(scratch, "root"), { recursive: true });
  if ("missing" in parts) return;
  api = await AwsApi.start({ account: LAYER.account });
  const lambda = new LambdaClient({ endpoint: api.url, region: REGION, credentials });
  for (let number = 1; number <= LAYER.number; number += 1) {
    await lambda.send(
      new PublishLayerVersionCommand({ LayerName: LAYER.name, Content: { ZipFile: Buffer.from("-") } }),
    );
  }
  writeFileSync(join(scratch, "root/main.tf"), rootModule(api.url, parts.awsVersion));
  const init = await terraform("init", "-input=false");
  if (init.status !== 0) throw new Error(init.output);
}, 300_000);

afterAll(async () => {
  // Terraform then ends its provider, too.
  for (const child of running) child.kill("SIGINT");
  await Promise.all([...running].map((child) => once(child, "close")));
  await api?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

/** A claim that needs Terraform, its provider and moto: where one is missing, the test's name says which. */
function terraformTest(claim: string, prove: () => Promise<void>): void {
  if ("missing" in parts) {
    const untested = `not tested, ${parts.missing.join("; ")}: ${claim}`;
    test(untested, () => {
      console.warn(untested);
    });
  } else test(claim, prove, 600_000);
}

describe("npm run export", () => {
  const files = (directory: string): Record<string, string> =>
    Object.fromEntries(readdirSync(directory).map((name) => [name, sha256(join(directory, name))]));

  test("writes the files of a module, without a trace of CDKTF, of this machine and of the archive provider", () => {
    expect(readdirSync(exported).sort()).toEqual([
      "function.zip",
      "main.tf",
      "outputs.tf",
      "variables.tf",
      "versions.tf",
    ]);
    const hcl = readdirSync(exported)
      .filter((name) => name.endsWith(".tf"))
      .map((name) => readFileSync(join(exported, name), "utf8"))
      .join("\n");
    expect(hcl).not.toMatch(/cdktf|archive|backend|provider "|_[0-9A-F]{8}\b/);
    expect(hcl).not.toContain(ROOT);
    expect(hcl).not.toContain(tmpdir());
  });

  test("writes the same bytes again, in another time zone, over an earlier export", () => {
    const again = join(scratch, "again");
    cpSync(exported, again, { recursive: true });
    writeFileSync(join(again, "function.zip"), "");
    expect(runExport([again], { TZ: "Pacific/Auckland" })).toMatchObject({ status: 0, stderr: "" });
    expect(files(again)).toEqual(files(exported));
  });

  test("does not touch a directory that holds anything else", () => {
    const other = join(scratch, "other");
    mkdirSync(other, { recursive: true });
    writeFileSync(join(other, "main.tf"), "# mine\n");
    const { status, stderr } = runExport([other]);
    expect(status).toBe(1);
    expect(stderr).toContain(`${other} is neither empty nor an earlier export: name another directory, or empty it`);
    expect(readdirSync(other)).toEqual(["main.tf"]);
    expect(readFileSync(join(other, "main.tf"), "utf8")).toBe("# mine\n");
  });

  test.each([
    [["a", "b"], "one directory is expected, not a, b"],
    [["--zip"], "Unknown option '--zip'"],
    [["package.json"], "package.json is not a directory"],
  ])("refuses %j and says how it is used", (args, message) => {
    const { status, stdout, stderr } = runExport(args);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr).toContain("npm run export [-- <directory>]");
  });
});

describe("a root module in HCL that calls it", () => {
  terraformTest("is valid, and the module is formatted as terraform fmt would", async () => {
    expect(await terraform("fmt", "-check", "-diff", "../terraform-module")).toEqual({ status: 0, output: "" });
    expect(await terraform("validate")).toEqual({ status: 0, output: "Success! The configuration is valid.\n\n" });
  });

  terraformTest("fails the plan for an unknown architecture, with those that there are, and nothing else", async () => {
    const { status, output } = await terraform("plan", "-input=false", "-var=architecture=arm");
    expect(status).toBe(1);
    expect(unbroken(output)).toContain('architecture "arm" is not one of arm64, x86_64 ');
    expect(output.match(/^Error: .*/gm)).toEqual(["Error: Resource precondition failed"]);
  });

  terraformTest(
    "fails the plan for a region without a layer for the architecture, with those that have one",
    async () => {
      const { status, output } = await terraform("plan", "-input=false", "-var=architecture=arm64");
      expect(status).toBe(1);
      expect(unbroken(output)).toMatch(
        new RegExp(
          `region "${REGION}" is not one of af-south-1, .*us-west-2, the regions with an Insights layer for arm64 `,
        ),
      );
      expect(output.match(/^Error: .*/gm)).toEqual(["Error: Resource precondition failed"]);
    },
  );

  terraformTest("fails the plan for a region that is not the provider's", async () => {
    const { status, output } = await terraform("plan", "-input=false", "-var=region=us-east-1");
    expect(status).toBe(1);
    expect(unbroken(output)).toContain(`region "us-east-1" differs from "${REGION}", the region of the AWS provider`);
  });

  terraformTest("plans with subnets that are known after apply", async () => {
    const { status, output } = await terraform("plan", "-input=false", "-var=created=true");
    expect({ status, output }).toMatchObject({ status: 0 });
  });

  terraformTest("deploys the function from the zip, puts it into a VPC and out again, and destroys it", async () => {
    const endpoint = { endpoint: api?.url ?? "", region: REGION, credentials };
    const lambda = new LambdaClient(endpoint);
    const ec2 = new EC2Client(endpoint);
    const apply = async (...args: readonly string[]): Promise<void> => {
      const { status, output } = await terraform("apply", "-auto-approve", "-input=false", ...args);
      if (status !== 0) throw new Error(output);
    };
    const configuration = () => lambda.send(new GetFunctionConfigurationCommand({ FunctionName: "orders" }));
    const attached = async (): Promise<string[]> => {
      const command = new ListAttachedRolePoliciesCommand({ RoleName: `orders-${REGION}` });
      const { AttachedPolicies } = await new IAMClient(endpoint).send(command);
      return (AttachedPolicies ?? []).map(({ PolicyName }) => PolicyName ?? "").sort();
    };
    const networkEffects = async (): Promise<string[]> => {
      const iam = new IAMClient(endpoint);
      const PolicyArn = `arn:aws:iam::${LAYER.account}:policy/orders-${REGION}-network`;
      const { Policy } = await iam.send(new GetPolicyCommand({ PolicyArn }));
      const VersionId = Policy?.DefaultVersionId;
      const { PolicyVersion } = await iam.send(new GetPolicyVersionCommand({ PolicyArn, VersionId }));
      const { Statement } = JSON.parse(decodeURIComponent(PolicyVersion?.Document ?? "")) as {
        Statement: { Effect: string }[];
      };
      return Statement.map(({ Effect }) => Effect);
    };
    const policies = ["database", "logging", "network"].map((purpose) => `orders-${REGION}-${purpose}`);

    await apply();
    const deployed = await configuration();
    expect(deployed).toMatchObject({
      Handler: "index.handler",
      Architectures: ["x86_64"],
      CodeSha256: sha256(join(exported, "function.zip")),
      Layers: [{ Arn: `arn:aws:lambda:${REGION}:${LAYER.account}:layer:${LAYER.name}:${LAYER.number}` }],
      Environment: {
        Variables: {
          DB_HOST: "db.example.com",
          DB_PORT: "3306",
          DB_SECRET_ARN: SECRET_ARN,
          DB_CONNECT_TIMEOUT_MS: "3000",
          SHUTDOWN_EXTENSION: "external",
        },
      },
    });
    expect(deployed.VpcConfig?.SubnetIds ?? []).toEqual([]);
    expect(await attached()).toEqual(policies);
    expect(await networkEffects()).toEqual(["Deny", "Deny", "Deny"]);
    expect((await terraform("output", "-raw", "arn")).output).toBe(deployed.FunctionArn);
    const again = await terraform("plan", "-detailed-exitcode", "-input=false");
    expect({ changes: again.status === 2, output: again.output }).toMatchObject({ changes: false });

    const subnet = (await ec2.send(new DescribeSubnetsCommand({}))).Subnets?.[0];
    const groups = await ec2.send(new DescribeSecurityGroupsCommand({}));
    const group = groups.SecurityGroups?.find(({ VpcId }) => VpcId === subnet?.VpcId);
    await apply(
      `-var=subnet_ids=["${subnet?.SubnetId ?? ""}"]`,
      `-var=security_group_ids=["${group?.GroupId ?? ""}"]`,
      "-var=timeout=4",
    );
    expect(await configuration()).toMatchObject({
      VpcConfig: { SubnetIds: [subnet?.SubnetId], SecurityGroupIds: [group?.GroupId] },
      Environment: { Variables: { DB_CONNECT_TIMEOUT_MS: "1600" } },
    });
    expect(await attached()).toEqual(policies);
    expect(await networkEffects()).toEqual(["Allow", "Allow", "Deny"]);

    await apply();
    expect((await configuration()).VpcConfig?.SubnetIds ?? []).toEqual([]);
    expect(await attached()).toEqual(policies);

    const { status, output } = await terraform("destroy", "-auto-approve", "-input=false");
    expect({ status, destroyed: output.includes("Destroy complete!") }).toEqual({ status: 0, destroyed: true });
    await expect(configuration()).rejects.toMatchObject({ name: "ResourceNotFoundException" });
  });
});

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("base64");
}
