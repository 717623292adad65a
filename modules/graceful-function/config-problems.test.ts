import { Annotations } from "cdktf";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { InsightsLayer } from "./insights-layer";
import { ShutdownExtension } from "./shutdown-extension";
import {
  DATABASE as database,
  ENTRY,
  LAYER,
  problemsOf,
  SECRET_ARN as secretArn,
  synthesize,
  temporaryDirectory,
  VPC as vpc,
} from "../__tests__/synthesis";

/** Of settings that TypeScript may refuse, as an app without a type check sees them. */
function problems(settings: object): readonly string[] {
  return problemsOf(() => synthesize(settings));
}

test("an error has a code, and each line names the construct's path and the option", () => {
  expect(() => synthesize({ layers: Array(6).fill(LAYER) as string[], environment: { DB_HOST: "x" } })).toThrow(
    expect.objectContaining({
      code: "ERR_LGS_CONSTRUCT_SETTINGS",
      message: expect.stringMatching(
        /^test\/function: layers \[.*\] are 7 layers.*\ntest\/function: environment "DB_HOST" is a variable/,
      ) as string,
    }) as Error,
  );
});

test("an error of the bundling names the function's path, too", () => {
  const entry = path.join(temporaryDirectory(), "index.ts");
  writeFileSync(entry, "export const other = 1;");
  expect(() => synthesize({ code: { entry } })).toThrow(
    `test/function: code.entry ${JSON.stringify(entry)} does not export "handler"`,
  );
});

// option-kinds.test.ts tries every option with values of every kind.
test.each([
  [{ memory: 2048 }, "memory is not an option. Did you mean memorySize?"],
  [{ code: { directory: "a", handler: "b.c", entries: 1 } }, expect.stringMatching(/^code.entries is not an option/)],
  [
    { code: { entry: ENTRY, copy: [{ from: "a", into: "b" }] } },
    "code.copy[0].into is not an option. Did you mean code.copy[0].to?",
  ],
  [{ database: { ...database, hostname: "a" } }, "database.hostname is not an option. Did you mean database.host?"],
  [{ vpc: { ...vpc, subnets: [] } }, "vpc.subnets is not an option. Did you mean vpc.subnetIds?"],
  [{ logGroup: { retention: 30 } }, "logGroup.retention is not an option. Did you mean logGroup.retentionDays?"],
  [{ role: { name: "a", arn: "a/a", path: "/" } }, "role.path is not an option. The options are name, arn"],
  [{ functionName: undefined }, "functionName is undefined, but required"],
  [{ functionName: "" }, 'functionName "" is empty'],
  [{ functionName: 5 }, "functionName 5 is not a text"],
  [{ environment: { QUEUE: undefined } }, "environment.QUEUE is undefined, but required"],
  [{ vpc: { ...vpc, subnetIds: [null] } }, "vpc.subnetIds[0] null is not a text"],
  [{ vpc: "vpc-1" }, 'vpc "vpc-1" is not an object'],
  [
    { tracing: "${var.tracing}" },
    "tracing is known to Terraform only, but the synthesis reads it. Set the value itself",
  ],
  [{ architecture: "arm" }, `architecture "arm" is not one of arm64, x86_64`],
  [{ runtime: "python3.13" }, `runtime "python3.13" is not one of nodejs22.x, nodejs24.x`],
  [
    {
      shutdownExtension: ShutdownExtension.insights(
        InsightsLayer.arn("arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension:60"),
      ),
    },
    expect.stringContaining("is for x86_64; arm64 needs LambdaInsightsExtension-Arm64") as string,
  ],
  [
    { layers: Array(5).fill(LAYER) },
    expect.stringMatching(/are 6 layers with the shutdown extension's layer. A function can have 5$/) as string,
  ],
  [
    { layers: Array(6).fill(LAYER), shutdownExtension: ShutdownExtension.none() },
    expect.stringMatching(/are 6 layers. A function can have 5$/) as string,
  ],
  [{ vpc: { ...vpc, subnetIds: [] } }, "vpc.subnetIds [] is empty. A function in a VPC needs at least one"],
  [
    { vpc: { ...vpc, securityGroupIds: [] } },
    "vpc.securityGroupIds [] is empty. A function in a VPC needs at least one",
  ],
  [{ logGroup: { createdBy: "nobody" } }, `logGroup.createdBy "nobody" is not one of stack, Lambda`],
  [{ logGroup: { applicationLevel: "WARN" } }, `logGroup.applicationLevel "WARN" needs logGroup.format "JSON"`],
  [{ logGroup: { format: "Text", systemLevel: "WARN" } }, `logGroup.systemLevel "WARN" needs logGroup.format "JSON"`],
  [
    { logGroup: { createdBy: "Lambda", retentionDays: 30 } },
    `logGroup.retentionDays 30 has no effect with logGroup.createdBy "Lambda". Remove it or set "stack"`,
  ],
  [
    { role: { name: "other", arn: "arn:aws:iam::123456789012:role/mine" } },
    'role.name "other" is not the name at the end of role.arn "arn:aws:iam::123456789012:role/mine"',
  ],
  [
    { database: { ...database, host: "db.example.com:3306" } },
    'database.host "db.example.com:3306" is not a host name such as db.example.com. Set the port in database.port',
  ],
  [
    { database: { ...database, host: "mysql://db.example.com/orders" } },
    'database.host "mysql://db.example.com/orders" is not a host name such as db.example.com',
  ],
  [{ database: { ...database, host: " " } }, 'database.host " " is not a host name such as db.example.com'],
  [
    { database: { ...database, tlsServerName: "db:1" } },
    'database.tlsServerName "db:1" is not a host name such as db.example.com. Set the port in database.port',
  ],
  [{ database: { ...database, port: 65536 } }, "database.port 65536 is not a whole number from 1 to 65535"],
  [
    { database: { ...database, auth: { type: "password", secretArn } } },
    `database.auth.type "password" is not one of secret, iam`,
  ],
  [
    { database: { ...database, auth: { type: "iam", resourceId: "db-1" } } },
    `database.user is undefined. database.auth.type "iam" needs the name of a database user`,
  ],
  [
    { database: { ...database, maxConnections: 60 }, reservedConcurrency: 61 },
    "reservedConcurrency 61 times database.connectionLimit 1 is 61 connections, more than database.maxConnections 60",
  ],
  [
    { database: { ...database, maxConnections: 60, connectionLimit: 2 }, reservedConcurrency: 31 },
    "reservedConcurrency 31 times database.connectionLimit 2 is 62 connections, more than database.maxConnections 60",
  ],
  [
    { environment: { DB_TLS_SERVER_NAME: "x" } },
    `environment "DB_TLS_SERVER_NAME" is a variable that the construct sets. Set database, timeout or shutdownExtension instead of DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_AUTH, DB_PASSWORD, DB_SECRET_ARN, DB_TLS_SERVER_NAME, DB_CONNECT_TIMEOUT_MS, SHUTDOWN_EXTENSION, SHUTDOWN_BUDGET_MS`,
  ],
])("%j is refused", (settings, expected) => {
  expect(problems(settings)).toEqual([expected]);
});

test.each([
  { layers: Array(4).fill(LAYER) },
  { layers: Array(5).fill(LAYER), shutdownExtension: ShutdownExtension.internal() },
  { database: { ...database, maxConnections: 60, connectionLimit: 2 }, reservedConcurrency: 30 },
  { database: { ...database, host: "${aws_db_instance.orders.address}" } },
  { database: { ...database, host: "2001:db8::1" } },
  { environment: { AWS_LAMBDA_EXEC_WRAPPER: "/opt/wrapper", EMPTY: "" } },
  { tracing: undefined, vpc: undefined, logGroup: undefined },
])("%j is accepted", (settings) => {
  expect(problems(settings)).toEqual([]);
});

test("a function whose connections nothing bounds is a warning, if the server's are known", () => {
  const warn = jest.spyOn(Annotations.prototype, "addWarning");
  synthesize({ database });
  synthesize({ database: { ...database, maxConnections: 60 }, reservedConcurrency: 60 });
  expect(warn).not.toHaveBeenCalled();
  synthesize({ database: { ...database, maxConnections: 60 } });
  expect(warn).toHaveBeenCalledWith(expect.stringContaining("more connections than database.maxConnections 60"));
});

test("all problems are reported at once, a region without layer and roots as one", () => {
  const settings = {
    runtime: "nodejs14.x",
    region: "us-moon-1",
    code: { entry: "missing.ts" },
    vpc: { subnetIds: [], securityGroupIds: [] },
    database,
  };
  const starts = ["runtime", 'region "us-moon-1"', "vpc.subnetIds", "vpc.securityGroupIds", 'code.entry "missing.ts"'];
  const found = problems(settings);
  expect(found.map((each, index) => each.slice(0, starts[index]?.length))).toEqual(starts);
});
