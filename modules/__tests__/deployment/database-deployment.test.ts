/** Both stacks, as `cdktf deploy '*'` brings them up: the real Terraform and AWS provider, against moto's AWS API. */
import {
  DescribeSecurityGroupRulesCommand,
  DescribeSubnetsCommand,
  DescribeVpcEndpointsCommand,
  DescribeVpcsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import { GetFunctionConfigurationCommand, LambdaClient, ListFunctionsCommand } from "@aws-sdk/client-lambda";
import {
  DescribeDBInstancesCommand,
  DescribeDBParametersCommand,
  DescribeDBSnapshotsCommand,
  RDSClient,
  type DBInstance,
} from "@aws-sdk/client-rds";
import { ListSecretsCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Synthesized } from "../synthesis";
import type { AwsApi } from "./aws-api";
import { changesOf, clientOf, deployed, startApi, startProject } from "./deployed";
import type { Project } from "./project";

const DATABASE_STACK = "graceful-shutdown-database";

deployed((parts) => {
  let api: AwsApi;
  let project: Project;
  let databaseDirectory: string;
  let ec2: EC2Client;
  let lambda: LambdaClient;
  let rds: RDSClient;
  let secrets: SecretsManagerClient;

  beforeAll(async () => {
    api = await startApi();
    project = await startProject(parts, api);
    databaseDirectory = join(project.stackDirectory, "..", DATABASE_STACK);
    project.edit("main.ts", /CREATE_DATABASE = false/, "CREATE_DATABASE = true");
    // Else RDS refuses to destroy it; the last snapshot is kept, as by default.
    project.edit("main.ts", /databaseName: "app",/, "$& deletionProtection: false,");
    // moto has one account, in which the layer of Insights cannot be.
    project.edit("main.ts", /timeout: 60,/, "$& shutdownExtension: ShutdownExtension.internal(),");
    project.edit("main.ts", / {2}ConstructSettingsError,/, "$& ShutdownExtension,");
    const client = clientOf(api);
    ec2 = new EC2Client(client);
    lambda = new LambdaClient(client);
    rds = new RDSClient(client);
    secrets = new SecretsManagerClient(client);
  }, 60_000);

  async function cdktf(...args: Parameters<Project["cdktf"]>): Promise<string> {
    const { status, output } = await project.cdktf(...args);
    if (status !== 0) throw new Error(output);
    return output;
  }

  async function server(): Promise<DBInstance> {
    const { DBInstances: [instance] = [] } = await rds.send(new DescribeDBInstancesCommand({}));
    if (instance === undefined) throw new Error("there is no DB instance");
    return instance;
  }

  /**
   * The AWS provider waits a minute after it has created or deleted an instance, before it asks RDS for the first time.
   * moto is done at once. So this interrupts Terraform, as Ctrl-C would, when RDS has answered and the provider has had
   * time to note the answer.
   */
  async function terraformUntil(action: string, command: "apply" | "destroy"): Promise<void> {
    let child: ChildProcess | undefined;
    api.beforeChange = (change) => {
      if (change.action === action) void change.over.then(() => sleep(5_000)).then(() => child?.kill("SIGINT"));
    };
    const { output } = await project.terraform(
      [command, "-auto-approve"],
      (started) => (child = started),
      databaseDirectory,
    );
    api.beforeChange = () => undefined;
    if (!api.changes.some((change) => change.action === action)) throw new Error(output);
  }

  /** Without cdktf, which would synthesize and initialize again. */
  async function planIn(directory: string): Promise<string> {
    const { status, output } = await project.terraform(["plan"], undefined, directory);
    if (status !== 0) throw new Error(output);
    return output;
  }

  test("two commands create both: an encrypted MySQL 8.4 that only the VPC reaches", async () => {
    expect(await cdktf("diff", DATABASE_STACK)).toContain(" 0 to change, 0 to destroy.");
    await terraformUntil("CreateDBInstance", "apply");
    // An interrupted instance is tainted, and would be replaced.
    const json = JSON.parse(readFileSync(join(databaseDirectory, "cdk.tf.json"), "utf8")) as Synthesized;
    const [id = ""] = Object.keys(json.resource["aws_db_instance"] ?? {});
    await project.terraform(["untaint", `aws_db_instance.${id}`], undefined, databaseDirectory);
    await cdktf("deploy", "*", "--skip-synth");
    expect(api.changes.filter(({ action }) => action === "CreateDBInstance")).toHaveLength(1);
    expect(await server()).toMatchObject({
      Engine: "mysql",
      EngineVersion: expect.stringMatching(/^8\.4/) as unknown,
      DBName: "app",
      StorageEncrypted: true,
      PubliclyAccessible: false,
      BackupRetentionPeriod: 7,
      MasterUserSecret: { SecretArn: expect.stringContaining(":secret:rds!") as unknown },
    });
  });

  test("the server insists on TLS and closes what leaked", async () => {
    const [group] = (await server()).DBParameterGroups ?? [];
    const { Parameters = [] } = await rds.send(
      new DescribeDBParametersCommand({ DBParameterGroupName: group?.DBParameterGroupName, Source: "user" }),
    );
    expect(Object.fromEntries(Parameters.map((each) => [each.ParameterName, each.ParameterValue]))).toEqual({
      require_secure_transport: "1",
      wait_timeout: "300",
      interactive_timeout: "300",
    });
  });

  test("the function knows the server, and is in its private subnets", async () => {
    const { Endpoint, MasterUserSecret, DBSubnetGroup } = await server();
    const { Environment, VpcConfig } = await lambda.send(
      new GetFunctionConfigurationCommand({ FunctionName: "graceful-shutdown" }),
    );
    expect(Environment?.Variables).toMatchObject({
      DB_HOST: Endpoint?.Address,
      DB_NAME: "app",
      DB_AUTH: "secret",
      DB_SECRET_ARN: MasterUserSecret?.SecretArn,
    });
    const subnets = DBSubnetGroup?.Subnets?.map(({ SubnetIdentifier = "" }) => SubnetIdentifier) ?? [];
    expect(subnets).toHaveLength(2);
    expect([...(VpcConfig?.SubnetIds ?? [])].sort()).toEqual([...subnets].sort());
    const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({ SubnetIds: subnets }));
    expect(Subnets.map(({ MapPublicIpOnLaunch }) => MapPublicIpOnLaunch)).toEqual([false, false]);
  });

  test("the server admits the function's security group and nothing else", async () => {
    const { VpcConfig } = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName: "graceful-shutdown" }));
    const [own = "", ...others] = VpcConfig?.SecurityGroupIds ?? [];
    expect(others).toEqual([]);
    const [group] = (await server()).VpcSecurityGroups ?? [];
    const { SecurityGroupRules = [] } = await ec2.send(new DescribeSecurityGroupRulesCommand({}));
    expect(SecurityGroupRules.filter(({ GroupId }) => GroupId === group?.VpcSecurityGroupId)).toMatchObject([
      { IsEgress: false, IpProtocol: "tcp", FromPort: 3306, ToPort: 3306, ReferencedGroupInfo: { GroupId: own } },
    ]);
    const ofFunction = SecurityGroupRules.filter(({ GroupId }) => GroupId === own);
    expect(ofFunction.map(({ IsEgress, FromPort }) => [IsEgress, FromPort]).sort()).toEqual([
      [true, 3306],
      [true, 443],
    ]);
  });

  test("Logs and Secrets Manager are reached without NAT", async () => {
    const { VpcEndpoints = [] } = await ec2.send(new DescribeVpcEndpointsCommand({}));
    expect(VpcEndpoints.map(({ ServiceName }) => ServiceName).sort()).toEqual([
      "com.amazonaws.us-east-1.logs",
      "com.amazonaws.us-east-1.secretsmanager",
    ]);
  });

  test("the next plan of the function is empty, and that of the database too, except for moto's differences", async () => {
    expect(changesOf(await planIn(project.stackDirectory))).toEqual([]);
    const plan = await planIn(databaseDirectory);
    expect(plan).toMatch(/No changes\.|\b0 to add, \d+ to change, 0 to destroy/);
    const changed = new Set(Array.from(plan.matchAll(/# (\w+)\.\S+ .*will be updated/g), ([, type]) => type));
    // It has an account id before each referenced group, and does not say whose each parameter is.
    for (const type of ["ingress", "egress"]) changed.delete(`aws_vpc_security_group_${type}_rule`);
    changed.delete("aws_db_parameter_group");
    expect([...changed]).toEqual([]);
  });

  test("the function can be removed, then the server: its instance first, and the last snapshot stays", async () => {
    await cdktf("destroy", "graceful-shutdown", "--skip-synth");
    api.forget();
    await terraformUntil("DeleteDBInstance", "destroy");
    expect(api.changes.map(({ action }) => action)).toEqual(["DeleteDBInstance"]);
    await project.terraform(["destroy", "-auto-approve"], undefined, databaseDirectory);
    const { DBInstances } = await rds.send(new DescribeDBInstancesCommand({}));
    const { DBSnapshots } = await rds.send(new DescribeDBSnapshotsCommand({}));
    const { Functions } = await lambda.send(new ListFunctionsCommand({}));
    const { SecretList } = await secrets.send(new ListSecretsCommand({}));
    const snapshots = DBSnapshots?.map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier);
    expect({ DBInstances, snapshots, Functions, SecretList }).toEqual({
      DBInstances: [],
      snapshots: ["graceful-shutdown-final"],
      Functions: [],
      SecretList: [],
    });
    const { Vpcs = [] } = await ec2.send(new DescribeVpcsCommand({}));
    expect(Vpcs.map(({ IsDefault }) => IsDefault)).toEqual([true]);
    expect(project.stateOf("graceful-shutdown")).toEqual({});
    expect(project.stateOf(DATABASE_STACK)).toEqual({});
  });
});
