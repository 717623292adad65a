import { ArchiveProvider } from "@cdktf/provider-archive/lib/provider";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { TerraformOutput, TerraformStack, TerraformVariable, Testing, Token } from "cdktf";
import { GracefulFunction } from "../graceful-function/graceful-function";
import { MysqlDatabase, type MysqlDatabaseConfig } from "./mysql-database";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newStack, only, policy, temporaryDirectory, type Attributes, type Synthesized } from "../__tests__/synthesis";

const REQUIRED = { region: "us-east-1", name: "orders-db", databaseName: "orders" };

function synthesize(settings: Partial<MysqlDatabaseConfig> = {}, stack = newStack()): Synthesized {
  new MysqlDatabase(stack, "database", { ...REQUIRED, ...settings });
  return JSON.parse(Testing.synth(stack)) as Synthesized;
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
  });

  test.each([
    [{ name: "sales" }, { identifier: "sales", final_snapshot_identifier: "sales-final" }],
    [{ databaseName: "sales" }, { db_name: "sales" }],
    [{ instanceClass: "db.r8g.2xlarge" }, { instance_class: "db.r8g.2xlarge" }],
    [{ deletionProtection: false }, { deletion_protection: false }],
    [{ iamAuthentication: true }, { iam_database_authentication_enabled: true }],
  ] satisfies [Partial<MysqlDatabaseConfig>, Attributes][])("with %j has %j", (settings, expected) => {
    expect(instance()).not.toMatchObject(expected);
    expect(instance(settings)).toMatchObject(expected);
  });

  test("takes every other setting by its resource, and the network by the resources of its own", () => {
    const stack = newStack();
    const { resource, network } = new MysqlDatabase(stack, "database", REQUIRED);
    resource.multiAz = true;
    resource.enabledCloudwatchLogsExports = ["error"];
    resource.skipFinalSnapshot = true;
    network.vpc.cidrBlock = "172.20.16.0/20";
    const synthesized = JSON.parse(Testing.synth(stack)) as Synthesized;
    expect(only(synthesized.resource, "aws_db_instance")).toMatchObject({
      multi_az: true,
      enabled_cloudwatch_logs_exports: ["error"],
      skip_final_snapshot: true,
    });
    expect(only(synthesized.resource, "aws_vpc").cidr_block).toBe("172.20.16.0/20");
  });

  test("has a password that RDS makes and nothing here knows", () => {
    expect(instance().manage_master_user_password).toBe(true);
    const mentions = JSON.stringify(synthesize({ iamAuthentication: true })).match(/"[^"]*password[^"]*"/gi);
    expect(mentions).toEqual(['"manage_master_user_password"']);
  });

  test("refuses connections without TLS and drops those that idle for 5 minutes", () => {
    expect(parameters()).toEqual({ require_secure_transport: "1", wait_timeout: "300", interactive_timeout: "300" });
  });

  test("takes other parameters, but not the one that allows connections without TLS", () => {
    const changed = { require_secure_transport: "0", wait_timeout: "60", slow_query_log: "1" };
    expect(parameters({ parameters: changed })).toEqual({
      require_secure_transport: "1",
      wait_timeout: "60",
      interactive_timeout: "300",
      slow_query_log: "1",
    });
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
      const document = String(endpoint.policy).replaceAll(`\${aws_vpc.${vpc}.owner_id}`, "OWNER");
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
  const stack = newStack();
  const tags = new TerraformVariable(stack, "tags", { type: "map(string)" });
  expect(JSON.stringify(synthesize({ tags: Token.asStringMap(tags.value) }, stack).resource)).toContain(
    '"tags":"${merge(var.tags, {\\"Name\\" = \\"orders-db-vpc\\"})}"',
  );
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
    const { settings } = new MysqlDatabase(newStack(), "database", {
      ...REQUIRED,
      parameters: { max_connections: "250" },
    });
    expect(settings).toMatchObject({ maxConnections: 250 });
    const formula = { ...REQUIRED, parameters: { max_connections: "{DBInstanceClassMemory/12582880}" } };
    expect(new MysqlDatabase(newStack(), "database", formula).settings).not.toHaveProperty("maxConnections");
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
    const code = { directory: temporaryDirectory(), handler: "index.handler" };
    writeFileSync(join(code.directory, "index.mjs"), "export const handler = () => 1;");
    const config = { region: "us-east-1", functionName: "orders", code, database: settings, vpc };
    new GracefulFunction(functions, "function", config);
    new ArchiveProvider(functions, "archive");
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

test("the code for scanners in docs/mysql-database.md is that of the test, which Checkov reads", () => {
  const source = readFileSync("modules/__tests__/examples/scanned-database.ts", "utf8");
  const body = source.slice(source.indexOf("export function")).split("\n").slice(1, -2);
  const code = body.map((line) => line.replace(/^ {2}/, "")).join("\n");
  expect(readFileSync("docs/mysql-database.md", "utf8")).toContain(`\`\`\`ts\n${code}\n\`\`\``);
});
