import { ArchiveProvider } from "@cdktf/provider-archive/lib/provider";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { TerraformOutput, TerraformStack, TerraformVariable, Testing, Token } from "cdktf";
import { readFileSync } from "node:fs";
import { GracefulFunction } from "../graceful-function/graceful-function";
import { MysqlDatabase, type MysqlDatabaseConfig } from "./mysql-database";
import { HANDLER, project } from "../__tests__/code-project";
import {
  all,
  FUNCTION,
  jsonOf,
  newStack,
  only,
  policy,
  temporaryDirectory,
  type Attributes,
  type Synthesized,
} from "../__tests__/synthesis";

const REQUIRED = { region: "us-east-1", name: "orders-db", databaseName: "orders" };

function database(settings: Partial<MysqlDatabaseConfig> = {}, stack = newStack()): MysqlDatabase {
  return new MysqlDatabase(stack, "database", { ...REQUIRED, ...settings });
}

function synthesize(settings: Partial<MysqlDatabaseConfig> = {}, stack = newStack()): Synthesized {
  database(settings, stack);
  return jsonOf(stack);
}

function instance(settings: Partial<MysqlDatabaseConfig> = {}): Attributes {
  return only(synthesize(settings).resource, "aws_db_instance");
}

/** Name of a security group by the reference to its id. */
function groupNames({ resource }: Synthesized): Record<string, unknown> {
  const groups = Object.entries(resource.aws_security_group ?? {});
  return Object.fromEntries(groups.map(([id, { name }]) => [`\${aws_security_group.${id}.id}`, name]));
}

/** The one element of that type, in a reference. */
function idOf({ resource }: Synthesized, type: string): string {
  return Object.keys(resource[type] ?? {}).join();
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
    const { resource, network } = database({}, stack);
    resource.multiAz = true;
    network.vpc.cidrBlock = "172.20.16.0/20";
    const synthesized = jsonOf(stack).resource;
    expect(only(synthesized, "aws_db_instance").multi_az).toBe(true);
    expect(only(synthesized, "aws_vpc").cidr_block).toBe("172.20.16.0/20");
  });

  test("has a password that RDS makes and nothing here knows", () => {
    expect(instance().manage_master_user_password).toBe(true);
    const mentions = JSON.stringify(synthesize({ iamAuthentication: true })).match(/"[^"]*password[^"]*"/gi);
    expect(mentions).toEqual(['"manage_master_user_password"']);
  });

  test.each([
    [{}, {}],
    [
      { require_secure_transport: "0", wait_timeout: "60", slow_query_log: "1" },
      { wait_timeout: "60", slow_query_log: "1" },
    ],
  ])("refuses connections without TLS, and drops idle ones, with the parameters %j", (parameters, changed) => {
    const { parameter } = only(synthesize({ parameters }).resource, "aws_db_parameter_group");
    const found = (parameter as { name: string; value: string }[]).map(({ name, value }) => [name, value] as const);
    const byDefault = { require_secure_transport: "1", wait_timeout: "300", interactive_timeout: "300" };
    expect(Object.fromEntries(found)).toEqual({ ...byDefault, ...changed });
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
    const stack = synthesize();
    const group = `\${aws_db_parameter_group.${idOf(stack, "aws_db_parameter_group")}.name}`;
    expect(only(stack.resource, "aws_db_instance").parameter_group_name).toBe(group);
    expect(only(stack.resource, "aws_db_parameter_group")).toMatchObject({
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
    const vpc = idOf(stack, "aws_vpc");
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
    const vpc = idOf(stack, "aws_vpc");
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

  test("has the requested endpoints, and no group and no rule for them without any", () => {
    const names = all(synthesize({ region: "eu-west-1", endpoints: ["xray"] }), "aws_vpc_endpoint");
    expect(names.map((each) => each.service_name)).toEqual(["com.amazonaws.eu-west-1.xray"]);
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

describe("what others use", () => {
  test("are references to the server, its secret, its network and its group", () => {
    const stack = newStack();
    const mysql = database({ iamAuthentication: true }, stack);
    const { host, port, databaseName, secretArn, resourceId, vpcId, securityGroupId, settings } = mysql;
    const members = { host, port, databaseName, secretArn, resourceId, vpcId, securityGroupId, settings };
    new TerraformOutput(stack, "members", { value: { ...members, iamSettings: mysql.iamSettings("app") } });
    const synthesized = jsonOf(stack);
    const server = `aws_db_instance.${idOf(synthesized, "aws_db_instance")}`;
    const value = synthesized.output.members?.value as Record<string, unknown>;
    const [address, secret] = [`\${${server}.address}`, `\${${server}.master_user_secret[0].secret_arn}`];
    const reached = { host: address, port: 3306, name: "orders" };
    expect(value).toEqual({
      host: address,
      port: 3306,
      databaseName: "orders",
      secretArn: secret,
      resourceId: `\${${server}.resource_id}`,
      vpcId: `\${aws_vpc.${idOf(synthesized, "aws_vpc")}.id}`,
      securityGroupId: value.securityGroupId,
      settings: { ...reached, auth: { type: "secret", secretArn: secret } },
      iamSettings: { ...reached, user: "app", auth: { type: "iam", resourceId: `\${${server}.resource_id}` } },
    });
    expect(groupNames(synthesized)[String(value.securityGroupId)]).toBe("orders-db-database");
    expect(mysql.resource.identifierInput).toBe("orders-db");
    expect([mysql.vpc.subnetIds.length, mysql.vpc.securityGroupIds.length]).toEqual([2, 1]);
  });

  test.each([
    ["250", 250],
    ["{DBInstanceClassMemory/12582880}", undefined],
  ])("tell how many connections the server accepts, if that is set: %s, %s", (max_connections, expected) => {
    expect(database({ parameters: { max_connections } }).settings.maxConnections).toBe(expected);
  });

  test.each([
    [{}, true],
    [{ endpoints: ["logs"] }, true],
    [{ endpoints: ["secretsmanager"] }, false],
  ])("say whether Logs is reached: %j, %j", (settings, reachesLogs) => {
    expect(database(settings).vpc.reachesLogs).toBe(reachesLogs);
  });

  test("have no settings for IAM authentication while it is off", () => {
    expect(() => database().iamSettings("app")).toThrow(
      "iamAuthentication false does not allow user app to log in with IAM",
    );
  });

  test("can be used by another stack", () => {
    const app = Testing.app({ outdir: temporaryDirectory() });
    const [servers, functions] = ["servers", "functions"].map((id) => new TerraformStack(app, id)) as [
      TerraformStack,
      TerraformStack,
    ];
    const { settings, vpc } = database({}, servers);
    const code = { directory: project({ "index.mjs": HANDLER }), handler: "index.handler" };
    new GracefulFunction(functions, "function", { ...FUNCTION, code, database: settings, vpc });
    new ArchiveProvider(functions, "archive");
    for (const stack of [servers, functions]) new AwsProvider(stack, "aws", { region: "us-east-1" });
    // What crosses becomes an output while the whole app is synthesized.
    app.synth();
    const crossing = Object.entries(jsonOf(servers).output).filter(([name]) => name.startsWith("cross-stack-output"));
    expect(crossing.map(([, { value }]) => String(value).replace(/^\$\{(\w+)\..*?\.(.*)\}$/, "$1 $2")).sort()).toEqual([
      "aws_db_instance address",
      "aws_db_instance master_user_secret[0].secret_arn",
      "aws_security_group id",
      "aws_subnet id",
      "aws_subnet id",
    ]);
    for (const [name] of crossing) expect(Testing.synth(functions)).toContain(`.outputs.${name}`);
    expect(functions.dependencies).toEqual([servers]);
  });

  test("is in outputs with plain names", () => {
    const names = ["host", "name", "port", "resource_id", "secret_arn", "security_group_ids", "subnet_ids", "vpc_id"];
    expect(Object.keys(synthesize().output).sort()).toEqual(names.map((name) => `database_${name}`));
  });
});

test("the code for scanners in docs/mysql-database.md is that of the test, which Checkov reads", () => {
  const source = readFileSync("modules/__tests__/examples/scanned-database.ts", "utf8");
  const body = source.slice(source.indexOf("export function")).split("\n").slice(1, -2);
  const code = body.map((line) => line.replace(/^ {2}/, "")).join("\n");
  expect(readFileSync("docs/mysql-database.md", "utf8")).toContain(`\`\`\`ts\n${code}\n\`\`\``);
});
