import { LambdaFunction } from "@cdktf/provider-aws/lib/lambda-function";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { TerraformOutput, TerraformStack, TerraformVariable, Testing } from "cdktf";
import { databaseProblems } from "../graceful-function/database";
import { MysqlDatabase, type MysqlDatabaseConfig } from "./mysql-database";
import { SettingsError } from "../terraform/settings-error";
import { newStack, only, policy, temporaryDirectory, type Attributes, type Synthesized } from "../__tests__/synthesis";

const REQUIRED = { region: "us-east-1", name: "orders-db", databaseName: "orders" };

function synthesize(settings: Partial<MysqlDatabaseConfig> = {}, stack = newStack()): Synthesized {
  new MysqlDatabase(stack, "database", { ...REQUIRED, ...settings });
  return JSON.parse(Testing.synth(stack)) as Synthesized;
}

/** The problems of settings that TypeScript may refuse, as a fork without types would see them. */
function problems(settings: object): readonly string[] {
  try {
    synthesize(settings);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

function instance(settings: Partial<MysqlDatabaseConfig> = {}): Attributes {
  return only(synthesize(settings).resource, "aws_db_instance");
}

function parameters(settings: Partial<MysqlDatabaseConfig> = {}): Record<string, unknown> {
  const { parameter } = only(synthesize(settings).resource, "aws_db_parameter_group");
  return Object.fromEntries((parameter as { name: string; value: string }[]).map(({ name, value }) => [name, value]));
}

function all({ resource }: Synthesized, type: string): Attributes[] {
  return Object.values(resource[type] ?? {});
}

/** Name of a security group by the reference to its id. */
function groupNames({ resource }: Synthesized): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(resource.aws_security_group ?? {}).map(([id, { name }]) => [
      `\${aws_security_group.${id}.id}`,
      name,
    ]),
  );
}

describe("the server", () => {
  test("is a small MySQL 8.4 that is encrypted, backed up, protected and not public", () => {
    expect(instance()).toMatchObject({
      engine: "mysql",
      engine_version: "8.4",
      identifier: "orders-db",
      db_name: "orders",
      username: "admin",
      port: 3306,
      instance_class: "db.t4g.micro",
      allocated_storage: 20,
      storage_type: "gp3",
      storage_encrypted: true,
      multi_az: false,
      publicly_accessible: false,
      iam_database_authentication_enabled: false,
      auto_minor_version_upgrade: true,
      apply_immediately: false,
      backup_retention_period: 7,
      delete_automated_backups: true,
      copy_tags_to_snapshot: true,
      deletion_protection: true,
      skip_final_snapshot: false,
      final_snapshot_identifier: "orders-db-final",
    });
    expect(instance()).not.toHaveProperty("kms_key_id");
    expect(instance()).not.toHaveProperty("max_allocated_storage");
  });

  test.each([
    [{ name: "sales" }, { identifier: "sales", final_snapshot_identifier: "sales-final" }],
    [{ databaseName: "sales" }, { db_name: "sales" }],
    [{ masterUsername: "root_user" }, { username: "root_user" }],
    [{ instanceClass: "db.r8g.2xlarge" }, { instance_class: "db.r8g.2xlarge" }],
    [{ allocatedStorage: 100 }, { allocated_storage: 100 }],
    [{ maxAllocatedStorage: 200 }, { max_allocated_storage: 200 }],
    [{ storageType: "gp2" }, { storage_type: "gp2" }],
    [
      { kmsKeyArn: "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1" },
      { storage_encrypted: true, kms_key_id: "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1" },
    ],
    [{ multiAz: true }, { multi_az: true }],
    [{ backupRetentionDays: 0 }, { backup_retention_period: 0 }],
    [{ retainAutomatedBackups: true }, { delete_automated_backups: false }],
    [{ deletionProtection: false }, { deletion_protection: false }],
    [{ finalSnapshot: "kept" }, { skip_final_snapshot: false, final_snapshot_identifier: "kept" }],
    [{ finalSnapshot: false }, { skip_final_snapshot: true }],
    [{ applyImmediately: true }, { apply_immediately: true }],
    [{ iamAuthentication: true }, { iam_database_authentication_enabled: true }],
  ] satisfies [Partial<MysqlDatabaseConfig>, Attributes][])("with %j has %j", (settings, expected) => {
    expect(instance()).not.toMatchObject(expected);
    expect(instance(settings)).toMatchObject(expected);
  });

  test("has no name for a final snapshot if there is none", () => {
    expect(instance({ finalSnapshot: false })).not.toHaveProperty("final_snapshot_identifier");
  });

  test("has a password that RDS makes and nothing here knows", () => {
    expect(instance().manage_master_user_password).toBe(true);
    const mentions = JSON.stringify(synthesize({ iamAuthentication: true })).match(/"[^"]*password[^"]*"/gi);
    expect(mentions).toEqual(['"manage_master_user_password"']);
  });

  test("refuses connections without TLS and drops those that idle for 5 minutes", () => {
    expect(parameters()).toEqual({ require_secure_transport: "1", wait_timeout: "300", interactive_timeout: "300" });
  });

  test("drops idle connections after the given time", () => {
    expect(parameters({ waitTimeout: 60 })).toMatchObject({ wait_timeout: "60", interactive_timeout: "60" });
  });

  test("is destroyed first, so that its protection also protects the way to it", () => {
    const { resource } = synthesize();
    const ways = ["endpoint", "security_group_egress_rule", "security_group_ingress_rule"].flatMap((name) =>
      Object.keys(resource[`aws_vpc_${name}`] ?? {}).map((id) => `aws_vpc_${name}.${id}`),
    );
    expect(ways).toHaveLength(6);
    expect([...(only(resource, "aws_db_instance").depends_on as string[])].sort()).toEqual(ways.sort());
  });

  test("uses that parameter group, which outlives the instance's use of it", () => {
    const { resource } = synthesize();
    const [id] = Object.keys(resource.aws_db_parameter_group ?? {});
    expect(only(resource, "aws_db_instance").parameter_group_name).toBe(`\${aws_db_parameter_group.${id}.name}`);
    expect(only(resource, "aws_db_parameter_group")).toMatchObject({
      name: "orders-db-mysql84",
      family: "mysql8.4",
      lifecycle: { create_before_destroy: true },
    });
  });
});

describe("the network", () => {
  const stack = synthesize();

  test("has no way in or out but its endpoints", () => {
    expect(Object.keys(stack.resource).sort()).toEqual([
      "aws_db_instance",
      "aws_db_parameter_group",
      "aws_db_subnet_group",
      "aws_default_security_group",
      "aws_security_group",
      "aws_subnet",
      "aws_vpc",
      "aws_vpc_endpoint",
      "aws_vpc_security_group_egress_rule",
      "aws_vpc_security_group_ingress_rule",
    ]);
  });

  test("has two private subnets in different zones, chosen once, with room for more", () => {
    const [zones] = Object.keys(stack.data.aws_availability_zones ?? {});
    const [vpc] = Object.keys(stack.resource.aws_vpc ?? {});
    expect(only(stack.resource, "aws_vpc").cidr_block).toBe("10.0.0.0/16");
    expect(all(stack, "aws_subnet")).toMatchObject(
      [0, 1].map((index) => ({
        vpc_id: `\${aws_vpc.${vpc}.id}`,
        availability_zone: `\${element(data.aws_availability_zones.${zones}.names, ${index})}`,
        cidr_block: `\${cidrsubnet(aws_vpc.${vpc}.cidr_block, 4, ${index})}`,
        map_public_ip_on_launch: false,
        lifecycle: { ignore_changes: ["availability_zone"] },
      })),
    );
    expect(only(stack.resource, "aws_db_subnet_group").subnet_ids).toEqual(
      Object.keys(stack.resource.aws_subnet ?? {}).map((id) => `\${aws_subnet.${id}.id}`),
    );
  });

  test("has a subnet in each given zone, and in no other", () => {
    const given = synthesize({ availabilityZones: ["us-east-1a", "us-east-1c", "us-east-1f"] });
    expect(JSON.stringify(given)).not.toContain("aws_availability_zones");
    const subnets = all(given, "aws_subnet");
    expect(subnets.map((each) => each.availability_zone)).toEqual(["us-east-1a", "us-east-1c", "us-east-1f"]);
    for (const each of subnets) expect(each).not.toHaveProperty("lifecycle");
  });

  test("has the given addresses", () => {
    expect(only(synthesize({ cidrBlock: "172.20.16.0/20" }).resource, "aws_vpc").cidr_block).toBe("172.20.16.0/20");
  });

  test("lets the function reach the server and the endpoints, and allows nothing else", () => {
    const names = groupNames(stack);
    const rules = (direction: string): unknown[] =>
      all(stack, `aws_vpc_security_group_${direction}_rule`)
        .map((rule) => [
          names[String(rule.security_group_id)],
          names[String(rule.referenced_security_group_id)],
          rule.ip_protocol,
          rule.from_port,
          rule.to_port,
        ])
        .sort();
    expect(rules("ingress")).toEqual([
      ["orders-db-database", "orders-db-function", "tcp", 3306, 3306],
      ["orders-db-endpoints", "orders-db-function", "tcp", 443, 443],
    ]);
    expect(rules("egress")).toEqual([
      ["orders-db-function", "orders-db-database", "tcp", 3306, 3306],
      ["orders-db-function", "orders-db-endpoints", "tcp", 443, 443],
    ]);
    for (const type of ["aws_security_group", "aws_default_security_group"]) {
      for (const group of all(stack, type)) {
        expect(group).not.toHaveProperty("ingress");
        expect(group).not.toHaveProperty("egress");
      }
    }
    expect(JSON.stringify(stack)).not.toMatch(/0\.0\.0\.0\/0|::\/0|cidr_ipv|prefix_list/);
  });

  test("gives the server the one group that admits the function", () => {
    const groups = only(stack.resource, "aws_db_instance").vpc_security_group_ids as string[];
    expect(groups.map((id) => groupNames(stack)[id])).toEqual(["orders-db-database"]);
  });

  test("has the endpoints that a function needs, under the services' own names, for this account", () => {
    const endpoints = all(stack, "aws_vpc_endpoint");
    expect(endpoints.map((each) => each.service_name).sort()).toEqual([
      "com.amazonaws.us-east-1.logs",
      "com.amazonaws.us-east-1.secretsmanager",
    ]);
    const [vpc] = Object.keys(stack.resource.aws_vpc ?? {});
    for (const endpoint of endpoints) {
      expect(endpoint).toMatchObject({ vpc_endpoint_type: "Interface", private_dns_enabled: true });
      expect(endpoint.subnet_ids).toEqual(only(stack.resource, "aws_db_subnet_group").subnet_ids);
      const groups = endpoint.security_group_ids as string[];
      expect(groups.map((id) => groupNames(stack)[id])).toEqual(["orders-db-endpoints"]);
      const document = String(endpoint.policy).replaceAll(`aws_vpc.${vpc}.owner_id`, '"OWNER"');
      expect(policy(document).Statement).toMatchObject([
        { Condition: { StringEquals: { "aws:PrincipalAccount": "OWNER" } } },
      ]);
    }
    expect(only(stack.resource, "aws_vpc")).toMatchObject({ enable_dns_support: true, enable_dns_hostnames: true });
  });

  test("has the requested endpoints", () => {
    const names = all(synthesize({ region: "eu-west-1", endpoints: ["xray"] }), "aws_vpc_endpoint");
    expect(names.map((each) => each.service_name)).toEqual(["com.amazonaws.eu-west-1.xray"]);
  });

  test("has no group and no rule for endpoints without any", () => {
    const without = synthesize({ endpoints: [] });
    expect(without.resource.aws_vpc_endpoint).toBeUndefined();
    expect(Object.values(groupNames(without)).sort()).toEqual(["orders-db-database", "orders-db-function"]);
    expect(all(without, "aws_vpc_security_group_egress_rule")).toHaveLength(1);
  });
});

test("tags are on everything that can have them", () => {
  const { resource } = synthesize({ tags: { team: "sales" } });
  for (const [type, elements] of Object.entries(resource)) {
    for (const element of Object.values(elements)) {
      expect({ type, tags: element.tags }).toMatchObject({ type, tags: { team: "sales" } });
    }
  }
});

describe("what it gives a function", () => {
  test("are settings that the function's construct takes, with the secret that RDS keeps", () => {
    const stack = newStack();
    const { settings, vpc } = new MysqlDatabase(stack, "database", REQUIRED);
    expect(databaseProblems(settings)).toEqual([]);
    new TerraformOutput(stack, "taken", { value: settings });
    const { resource, output } = JSON.parse(Testing.synth(stack)) as Synthesized;
    const [server] = Object.keys(resource.aws_db_instance ?? {});
    expect(output.taken?.value).toEqual({
      host: `\${aws_db_instance.${server}.address}`,
      port: 3306,
      name: "orders",
      auth: { type: "secret", secretArn: `\${aws_db_instance.${server}.master_user_secret[0].secret_arn}` },
    });
    expect(settings).not.toHaveProperty("maxConnections");
    expect(vpc.subnetIds).toHaveLength(2);
    expect(vpc.securityGroupIds).toHaveLength(1);
  });

  test("tells how many connections the server accepts, if that is set", () => {
    const { settings } = new MysqlDatabase(newStack(), "database", { ...REQUIRED, maxConnections: 250 });
    expect(settings).toMatchObject({ maxConnections: 250 });
    expect(parameters({ maxConnections: 250 }).max_connections).toBe("250");
  });

  test.each([
    [undefined, true],
    [["logs"], true],
    [["secretsmanager"], false],
  ])("says whether Logs is reached: endpoints %j, %j", (endpoints, reachesLogs) => {
    const settings = endpoints === undefined ? REQUIRED : { ...REQUIRED, endpoints };
    expect(new MysqlDatabase(newStack(), "database", settings).vpc.reachesLogs).toBe(reachesLogs);
  });

  test("include settings for a user of the function's own with IAM authentication", () => {
    const mysql = new MysqlDatabase(newStack(), "database", { ...REQUIRED, iamAuthentication: true });
    const settings = mysql.iamSettings("app");
    expect(databaseProblems(settings)).toEqual([]);
    expect(settings).toMatchObject({ host: mysql.settings.host, user: "app", auth: { type: "iam" } });
    expect(JSON.stringify(settings)).not.toContain("secret");
  });

  test("include no such settings while IAM authentication is off", () => {
    const mysql = new MysqlDatabase(newStack(), "database", REQUIRED);
    expect(() => mysql.iamSettings("app")).toThrow(
      "iamAuthentication false does not allow user app to log in with IAM",
    );
  });

  test("can be used by another stack", () => {
    const app = Testing.app({ outdir: temporaryDirectory() });
    const servers = new TerraformStack(app, "servers");
    const { settings, vpc } = new MysqlDatabase(servers, "database", REQUIRED);
    const functions = new TerraformStack(app, "functions");
    new LambdaFunction(functions, "function", {
      functionName: "orders",
      role: "arn:aws:iam::123456789012:role/orders",
      environment: {
        variables: {
          DB_HOST: settings.host,
          DB_SECRET_ARN: settings.auth.type === "secret" ? settings.auth.secretArn : "",
        },
      },
      vpcConfig: { subnetIds: [...vpc.subnetIds], securityGroupIds: [...vpc.securityGroupIds] },
    });
    for (const stack of [servers, functions]) new AwsProvider(stack, "aws", { region: "us-east-1" });
    // What crosses becomes an output while the whole app is synthesized.
    app.synth();
    const { output } = JSON.parse(Testing.synth(servers)) as Synthesized;
    const taken = JSON.stringify(JSON.parse(Testing.synth(functions)));
    const crossing = Object.entries(output).filter(([name]) => name.startsWith("cross-stack-output"));
    expect(crossing.map(([, { value }]) => String(value).replace(/^\$\{(\w+)\..*?\.(.*)\}$/, "$1 $2")).sort()).toEqual([
      "aws_db_instance address",
      "aws_db_instance master_user_secret[0].secret_arn",
      "aws_security_group id",
      "aws_subnet id",
      "aws_subnet id",
    ]);
    for (const [name] of crossing) expect(taken).toContain(`.outputs.${name}`);
    expect(functions.dependencies).toEqual([servers]);
  });

  test("is in outputs with plain names", () => {
    expect(Object.keys(synthesize().output).sort()).toEqual([
      "database_host",
      "database_name",
      "database_port",
      "database_resource_id",
      "database_secret_arn",
      "database_security_group_ids",
      "database_subnet_ids",
      "database_vpc_id",
    ]);
  });
});

describe("settings that are wrong", () => {
  const range = (setting: string, value: unknown, bounds: string): string =>
    `${setting} ${JSON.stringify(value)} is not a whole number from ${bounds}`;

  test.each([
    ["name", "Orders", "is not 1 to 55 lower-case letters, digits and single hyphens that begin with a letter"],
    ["name", "orders--db", "is not 1 to 55 lower-case letters, digits and single hyphens that begin with a letter"],
    ["name", "o".repeat(56), "is not 1 to 55 lower-case letters, digits and single hyphens that begin with a letter"],
    ["databaseName", "my-orders", "is not 1 to 64 letters, digits and _ that begin with a letter"],
    [
      "masterUsername",
      "rdsadmin",
      "is not 1 to 16 letters, digits and _ that begin with a letter, or is rdsadmin, which RDS reserves",
    ],
    [
      "masterUsername",
      "a".repeat(17),
      "is not 1 to 16 letters, digits and _ that begin with a letter, or is rdsadmin, which RDS reserves",
    ],
    ["instanceClass", "t4g.micro", "is not an instance class such as db.t4g.micro"],
    ["storageType", "io1", "is not one of gp3, gp2"],
    ["kmsKeyArn", "alias/rds", "is not of the form arn:<partition>:kms:<region>:<account>:key/<id>"],
    [
      "finalSnapshot",
      "-last",
      "is neither false nor 1 to 255 letters, digits and single hyphens that begin with a letter",
    ],
    ["cidrBlock", "10.0.0.0", "is not an IPv4 block of /16 to /24 such as 10.0.0.0/16"],
    ["cidrBlock", "10.0.0.0/8", "is not an IPv4 block of /16 to /24 such as 10.0.0.0/16"],
    ["cidrBlock", "10.0.0.0/25", "is not an IPv4 block of /16 to /24 such as 10.0.0.0/16"],
    ["cidrBlock", "10.0.256.0/20", "is not an IPv4 block of /16 to /24 such as 10.0.0.0/16"],
    ["cidrBlock", "fd00::/16", "is not an IPv4 block of /16 to /24 such as 10.0.0.0/16"],
    ["cidrBlock", "192.168.30.7/20", "is not the first address of its block. Set 192.168.16.0/20"],
    ["availabilityZones", ["us-east-1a"], "are not 2 to 6 different zones"],
    ["availabilityZones", ["us-east-1a", "us-east-1a"], "are not 2 to 6 different zones"],
  ])("%s %j", (setting, value, expectation) => {
    expect(problems({ [setting]: value })).toEqual([`${setting} ${JSON.stringify(value)} ${expectation}`]);
  });

  test.each([
    ["allocatedStorage", 19, "20 to 65536 GiB"],
    ["maxAllocatedStorage", 20, "21 to 65536 GiB"],
    ["backupRetentionDays", 36, "0 to 35 days"],
    ["waitTimeout", 0, "1 to 31536000 s"],
    ["maxConnections", 100_001, "1 to 100000"],
  ])("%s %j", (setting, value, bounds) => {
    expect(problems({ [setting]: value })).toEqual([range(setting, value, bounds)]);
  });

  test.each([
    [["S3!"], '"S3!" is not the name of a service as in com.amazonaws.<region>.<service>, such as secretsmanager'],
    [["logs", "logs"], '"logs" is in the list twice'],
  ])("endpoints %j", (endpoints, expectation) => {
    expect(problems({ endpoints })).toEqual([`endpoints ${expectation}`]);
  });

  test("are reported all at once", () => {
    expect(problems({ name: "Orders", waitTimeout: 0, cidrBlock: "here", endpoints: [""] })).toHaveLength(4);
  });

  test("are not searched in values that only Terraform knows, except for the number of subnets", () => {
    const stack = newStack();
    const text = new TerraformVariable(stack, "text", { type: "string" });
    const number = new TerraformVariable(stack, "number", { type: "number" });
    const list = new TerraformVariable(stack, "list", { type: "list(string)" });
    const settings = { name: text.stringValue, cidrBlock: text.stringValue, waitTimeout: number.numberValue };
    expect(() => synthesize(settings, stack)).not.toThrow();
    expect(problems({ availabilityZones: list.listValue })).toEqual([
      expect.stringContaining("known to Terraform only"),
    ]);
  });
});

test("others build on references to the server, its secret, its network and its group", () => {
  const stack = newStack();
  const database = new MysqlDatabase(stack, "database", REQUIRED);
  const { host, port, databaseName, secretArn, resourceId, vpcId, securityGroupId } = database;
  const members = { host, port, databaseName, secretArn, resourceId, vpcId, securityGroupId };
  new TerraformOutput(stack, "members", { value: members });
  const synthesized = JSON.parse(Testing.synth(stack)) as Synthesized;
  const [id] = Object.keys(synthesized.resource.aws_db_instance ?? {});
  const [vpc] = Object.keys(synthesized.resource.aws_vpc ?? {});
  const value = synthesized.output.members?.value as Record<string, unknown>;
  expect(value).toEqual({
    host: `\${aws_db_instance.${id}.address}`,
    port: 3306,
    databaseName: "orders",
    secretArn: `\${aws_db_instance.${id}.master_user_secret[0].secret_arn}`,
    resourceId: `\${aws_db_instance.${id}.resource_id}`,
    vpcId: `\${aws_vpc.${vpc}.id}`,
    securityGroupId: value.securityGroupId,
  });
  expect(groupNames(synthesized)[String(value.securityGroupId)]).toBe("orders-db-database");
  expect(database.resource.identifierInput).toBe("orders-db");
});

describe("what is logged and measured", () => {
  test("is nothing by default", () => {
    const { resource } = synthesize();
    for (const name of ["monitoring_interval", "enabled_cloudwatch_logs_exports"]) {
      expect(only(resource, "aws_db_instance")).not.toHaveProperty(name);
    }
    expect(Object.keys(resource).filter((type) => /iam|flow|log_group/.test(type))).toEqual([]);
  });

  test("are measurements of the operating system, with a role for RDS alone", () => {
    const { resource } = synthesize({ monitoringInterval: 60 });
    const [role] = Object.keys(resource.aws_iam_role ?? {});
    expect(only(resource, "aws_db_instance")).toMatchObject({
      monitoring_interval: 60,
      monitoring_role_arn: `\${aws_iam_role.${role}.arn}`,
    });
    expect(only(resource, "aws_iam_role").name).toBe("orders-db-us-east-1-monitoring");
    expect(String(only(resource, "aws_iam_role").assume_role_policy)).toContain('"monitoring.rds.amazonaws.com"');
    expect(String(only(resource, "aws_iam_role_policy_attachment").policy_arn)).toMatch(
      /:iam::aws:policy\/service-role\/AmazonRDSEnhancedMonitoringRole$/,
    );
  });

  test("are logs of the server", () => {
    expect(instance({ logExports: ["error", "slowquery"] }).enabled_cloudwatch_logs_exports).toEqual([
      "error",
      "slowquery",
    ]);
  });

  test("is who connects to whom in the VPC", () => {
    const { resource } = synthesize({ flowLogDays: 30 });
    const [vpc] = Object.keys(resource.aws_vpc ?? {});
    const [group] = Object.keys(resource.aws_cloudwatch_log_group ?? {});
    expect(only(resource, "aws_flow_log")).toMatchObject({
      vpc_id: `\${aws_vpc.${vpc}.id}`,
      log_destination: `\${aws_cloudwatch_log_group.${group}.arn}`,
    });
    expect(only(resource, "aws_cloudwatch_log_group").retention_in_days).toBe(30);
    expect(String(only(resource, "aws_iam_role_policy").policy)).toContain(`aws_cloudwatch_log_group.${group}.arn`);
  });

  test("is refused where it is not possible", () => {
    expect(problems({ monitoringInterval: 7, logExports: ["all"], flowLogDays: 2 })).toEqual([
      "monitoringInterval 7 is not one of 0, 1, 5, 10, 15, 30, 60",
      'logExports "all" is not one of audit, error, general, slowquery',
      expect.stringMatching(/^flowLogDays 2 is not one of 0, 1, 3, /),
    ]);
  });
});
