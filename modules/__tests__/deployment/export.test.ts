/** The exported module, as somebody who has never heard of CDKTF uses it: real Terraform, real AWS provider, moto as the API. */
import { CreateRoleCommand, GetRoleCommand, IAMClient, ListAttachedRolePoliciesCommand } from "@aws-sdk/client-iam";
import { GetFunctionCommand, LambdaClient, type GetFunctionResponse } from "@aws-sdk/client-lambda";
import { execFile, spawnSync, type SpawnSyncReturns } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AwsApi } from "./aws-api";
import { changesOf, clientOf, defaultVpc, deployed, publishLayer, scratch, startApi } from "./deployed";

const ROOT = join(__dirname, "../../..");
const exported = join(scratch, "terraform-module");

function runExport(args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = ROOT): SpawnSyncReturns<string> {
  const program = join(ROOT, "modules/export/export.ts");
  return spawnSync(process.execPath, ["--conditions=source", "--import", "tsx", program, ...args], {
    cwd,
    env: { ...process.env, ...env },
    encoding: "utf8",
  });
}

function read(name: string, directory = exported): string {
  return readFileSync(join(directory, name), "utf8");
}

function hashes(directory: string): Record<string, string> {
  return Object.fromEntries(readdirSync(directory).map((name) => [name, sha256(join(directory, name))]));
}

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("base64");
}

beforeAll(() => {
  const { status, stderr } = runExport([exported]);
  if (status !== 0 || stderr !== "") throw new Error(stderr);
}, 60_000);

describe("npm run export", () => {
  const FILES = [
    "README.md",
    "function.zip",
    ...["main", "outputs", "variables", "versions"].map((name) => `${name}.tf.json`),
  ];

  test("writes a module without a trace of CDKTF, of this machine and of the archive provider", () => {
    expect(readdirSync(exported).sort()).toEqual(FILES);
    const json = FILES.filter((name) => name.endsWith(".tf.json")).map((name) => read(name));
    expect(json.join("\n")).not.toMatch(/cdktf|archive|backend|"provider"|_[0-9A-F]{8}\b|"lifecycle": \{\s*\}/);
    expect(json.join("\n")).not.toContain(ROOT);
    expect(json.join("\n")).not.toContain(tmpdir());
  });

  test("lists every input and output in the README, and once what nodejs24.x needs", () => {
    const names = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, name = ""]) => name);
    const declared = names(read("variables.tf.json") + read("outputs.tf.json"), /^ {4}"(\w+)": \{/gm);
    expect(names(read("README.md"), /^\| `(\w+)`/gm)).toEqual(declared);
    expect(declared).toEqual(expect.arrayContaining(["tags", "environment", "log_retention_days", "role"]));
    expect(FILES.filter((name) => /version 6/.test(read(name)))).toEqual(["README.md"]);
  });

  test("writes the same bytes again, in another time zone, over an earlier export", () => {
    const again = join(scratch, "again");
    cpSync(exported, again, { recursive: true });
    writeFileSync(join(again, "function.zip"), "");
    expect(runExport([again], { TZ: "Pacific/Auckland" })).toMatchObject({ status: 0, stderr: "" });
    expect(hashes(again)).toEqual(hashes(exported));
  });

  test("takes its defaults from main.ts, and names what it leaves out", () => {
    const fork = join(scratch, "fork");
    mkdirSync(fork);
    for (const name of "cdktf.json function modules node_modules package.json packages tsconfig.json".split(" "))
      symlinkSync(join(ROOT, name), join(fork, name));
    const queueUrl = "${aws_sqs_queue.orders.url}";
    const settings = `$& environment: { LEVEL: "debug", QUEUE_URL: ${JSON.stringify(queueUrl)} }, reservedConcurrency: 7,
      ephemeralStorage: 1024, logGroup: { format: "JSON" }, tags: { team: "orders" },`;
    const queue = '}).role.allow("queue", [{ Effect: "Allow", Action: "sqs:SendMessage", Resource: "*" }]);$1';
    const main = read("main.ts", ROOT)
      .replace("timeout: 60,", "timeout: 9,")
      .replace(/memorySize: \d+,/, settings)
      .replace(/\}\);(\s+\}\s+private existingDatabase)/, queue);
    writeFileSync(join(fork, "main.ts"), main);
    const { status, stderr } = runExport(["other"], {}, fork);
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: "Not in the module: role/queue, role/queue-attachment\n",
    });
    const { variable } = JSON.parse(read("variables.tf.json", join(fork, "other"))) as Record<string, object>;
    expect(variable).toMatchObject({
      timeout: { default: 9 },
      reserved_concurrency: { default: 7 },
      tags: { default: { team: "orders" } },
      env_QUEUE_URL: { type: "string" },
    });
    expect(variable).not.toHaveProperty("env_QUEUE_URL.default");
    const { resource } = JSON.parse(read("main.tf.json", join(fork, "other"))) as Record<string, object>;
    const variables = /^\$\{merge\(merge\(\{"LEVEL" = "debug", "QUEUE_URL" = var\.env_QUEUE_URL\}, var\.environment\)/;
    expect(resource).toHaveProperty(
      "aws_lambda_function.lambda",
      expect.objectContaining({
        ephemeral_storage: { size: 1024 },
        logging_config: expect.objectContaining({ log_format: "JSON" }) as unknown,
        environment: { variables: expect.stringMatching(variables) as unknown },
      }),
    );
  });

  test("does not touch a directory that holds anything else", () => {
    const other = join(scratch, "other");
    mkdirSync(other);
    writeFileSync(join(other, "main.tf"), "# mine\n");
    const { status, stderr } = runExport([other]);
    expect(status).toBe(1);
    expect(stderr).toContain(`${other} is neither empty nor an earlier export: name another directory, or empty it`);
    expect(hashes(other)).toEqual({ "main.tf": sha256(join(other, "main.tf")) });
  });

  test.each([
    [["a", "b"], "one directory is expected, not a, b"],
    [["--zip"], "Unknown option '--zip'"],
    [["package.json"], "package.json is not a directory"],
    [["--function", "none"], "--function none names no function or several. Set one of: graceful-shutdown"],
  ])("refuses %j and says why", (args, message) => {
    const { status, stdout, stderr } = runExport(args);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain(message);
  });
});

/** Not the default architecture, and a region where Insights belongs to another account than in most. */
const REGION = "ap-southeast-5";
const LAYER = { account: "590183865173", name: "LambdaInsightsExtension", number: 9 };
const SECRET_ARN = `arn:aws:secretsmanager:${REGION}:${LAYER.account}:secret:orders-AbCdEf`;

/** Every variable of the module that a test sets is one of the root, too. The provider of version 5 knows no nodejs24.x. */
const VARIABLES: Readonly<Record<string, unknown>> = {
  region: REGION,
  name: "orders",
  architecture: "x86_64",
  runtime: "nodejs22.x",
  timeout: 60,
  db_host: "db.example.com",
  environment: {},
  role: null,
  subnet_ids: [],
  security_group_ids: [],
};

function rootModule(apiUrl: string, version: string): object {
  const variables = Object.entries(VARIABLES);
  return {
    terraform: { required_providers: { aws: { source: "hashicorp/aws", version } } },
    provider: {
      aws: {
        region: REGION,
        access_key: "test",
        secret_key: "test",
        skip_credentials_validation: true,
        skip_metadata_api_check: true,
        skip_region_validation: true,
        endpoints: Object.fromEntries(["iam", "lambda", "logs", "sts", "ec2"].map((service) => [service, apiUrl])),
      },
    },
    variable: {
      created: { default: false },
      ...Object.fromEntries(
        variables.map(([name, value]) => [
          name,
          { default: value, type: typeof value === "string" ? "string" : "any" },
        ]),
      ),
    },
    // Ids that are known after apply, as those of subnets of the same configuration are.
    resource: { terraform_data: { subnet_ids: { input: ["subnet-1"] } } },
    module: {
      orders: {
        source: "../terraform-module",
        ...Object.fromEntries(variables.map(([name]) => [name, `\${var.${name}}`])),
        db_name: "orders",
        db_secret_arn: SECRET_ARN,
        tags: { team: "sales" },
        log_retention_days: 30,
        subnet_ids: "${var.created ? terraform_data.subnet_ids.output : var.subnet_ids}",
      },
    },
    output: { arn: { value: "${module.orders.function_arn}" } },
  };
}

deployed((parts) => {
  let api: AwsApi;
  let lambda: LambdaClient;
  let iam: IAMClient;

  function terraform(...args: readonly string[]): Promise<{ status: number | null; output: string }> {
    const env = {
      PATH: process.env["PATH"],
      HOME: scratch,
      TF_CLI_CONFIG_FILE: parts.cliConfigFile,
      CHECKPOINT_DISABLE: "1",
      GOGC: "400",
      AWS_EC2_METADATA_DISABLED: "true",
    };
    const options = { cwd: join(scratch, "root"), env };
    return new Promise((settle) => {
      const child = execFile("terraform", [...args, "-no-color"], options, (_, stdout, stderr) => {
        settle({ status: child.exitCode, output: stdout + stderr });
      });
    });
  }

  const succeeded = async (...args: readonly string[]): Promise<string> => {
    const { status, output } = await terraform(...args);
    if (status !== 0) throw new Error(output);
    return output;
  };
  const apply = (...args: readonly string[]) => succeeded("apply", "-auto-approve", "-input=false", ...args);
  const found = (): Promise<GetFunctionResponse> => lambda.send(new GetFunctionCommand({ FunctionName: "orders" }));
  const attached = async (RoleName: string): Promise<number> =>
    (await iam.send(new ListAttachedRolePoliciesCommand({ RoleName }))).AttachedPolicies?.length ?? 0;

  beforeAll(async () => {
    api = await startApi(LAYER.account);
    const client = clientOf(api, REGION);
    [lambda, iam] = [new LambdaClient(client), new IAMClient(client)];
    await publishLayer(client, LAYER.name, LAYER.number);
    mkdirSync(join(scratch, "root"));
    writeFileSync(join(scratch, "root/main.tf.json"), JSON.stringify(rootModule(api.url, parts.awsVersion)));
    await succeeded("init", "-input=false");
  });

  test("is valid, and plans with subnets that are known after apply", async () => {
    expect(await succeeded("validate")).toContain("Success! The configuration is valid.");
    expect(await succeeded("plan", "-input=false", "-var=created=true")).toContain("Plan: ");
  });

  test.each([
    {
      variables: [
        ...["architecture=arm", "timeout=901", "db_host=db.example.com:3306", "name=my orders"],
        'environment={DB_HOST=""}',
      ],
      errors: [
        "architecture must be arm64 or x86_64.",
        "timeout must be 1 to 900.",
        "db_host must be a host name without port and protocol.",
        "name must be 1 to 64 letters, digits, - and _.",
        "environment must be a map without DB_HOST, ",
      ],
    },
    { variables: ["architecture=arm64"], errors: [`region "${REGION}" is not one of af-south-1, `] },
    { variables: ["region=us-east-1"], errors: [`region "us-east-1" differs from "${REGION}", the region of`] },
  ])("fails the plan with $variables, with one error each", async ({ variables, errors }) => {
    const { status, output } = await terraform("plan", "-input=false", ...variables.map((each) => `-var=${each}`));
    expect(status).toBe(1);
    // Terraform breaks the lines of an error.
    for (const error of errors) expect(output.replaceAll(/[\s│]+/g, " ")).toContain(error);
    expect(output.match(/^.*Error: /gm)).toHaveLength(errors.length);
  });

  test("deploys the function from the zip, in a VPC and with a role that exists, and destroys it", async () => {
    await apply();
    const { Configuration, Tags } = await found();
    expect(Configuration).toMatchObject({
      Handler: "index.handler",
      Architectures: ["x86_64"],
      CodeSha256: sha256(join(exported, "function.zip")),
      Layers: [{ Arn: `arn:aws:lambda:${REGION}:${LAYER.account}:layer:${LAYER.name}:${LAYER.number}` }],
      Environment: { Variables: { DB_PORT: "3306", DB_SECRET_ARN: SECRET_ARN, DB_CONNECT_TIMEOUT_MS: "3000" } },
    });
    expect(Tags).toEqual({ team: "sales" });
    expect(Configuration?.VpcConfig?.SubnetIds ?? []).toEqual([]);
    expect(await attached(`orders-${REGION}`)).toBe(3);
    expect(await succeeded("output", "-raw", "arn")).toBe(Configuration?.FunctionArn);
    expect(changesOf(await succeeded("plan", "-input=false"))).toEqual([]);

    const { Role } = await iam.send(new CreateRoleCommand({ RoleName: "mine", AssumeRolePolicyDocument: "{}" }));
    const vpc = await defaultVpc(clientOf(api, REGION));
    await apply(
      `-var=role={name="mine",arn="${Role?.Arn ?? ""}"}`,
      `-var=subnet_ids=${JSON.stringify(vpc.subnetIds)}`,
      `-var=security_group_ids=${JSON.stringify(vpc.securityGroupIds)}`,
      "-var=timeout=4",
    );
    expect((await found()).Configuration).toMatchObject({
      Role: Role?.Arn,
      VpcConfig: { SubnetIds: vpc.subnetIds, SecurityGroupIds: vpc.securityGroupIds },
      Environment: { Variables: { DB_CONNECT_TIMEOUT_MS: "1600" } },
    });
    expect(await attached("mine")).toBe(3);
    await expect(iam.send(new GetRoleCommand({ RoleName: `orders-${REGION}` }))).rejects.toThrow();

    expect(await succeeded("destroy", "-auto-approve", "-input=false")).toContain("Destroy complete!");
    await expect(found()).rejects.toMatchObject({ name: "ResourceNotFoundException" });
    expect(await attached("mine")).toBe(0);
  });
});
