import { writeFileSync } from "node:fs";
import path from "node:path";
import { InsightsLayer } from "./insights-layer";
import { ShutdownExtension } from "./shutdown-extension";
import { SettingsError } from "../terraform/settings-error";
import { synthesize, temporaryDirectory } from "../__tests__/synthesis";

const secretArn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders";
const database = { host: "db.example.com", name: "orders", auth: { type: "secret", secretArn } } as const;
const vpc = { subnetIds: ["subnet-1"], securityGroupIds: ["sg-1"] };
const role = { name: "given", arn: "arn:aws:iam::123456789012:role/path/given" };
const KMS_FORM = "is not of the form arn:<partition>:kms:<region>:<account>:key/<id>";
const LAYER_FORM = "is not of the form arn:<partition>:lambda:<region>:<account>:layer:<name>:<number>";

function layer(name: string, region = "us-east-1"): string {
  return `arn:aws:lambda:${region}:123456789012:layer:${name}:1`;
}

/** The lines of the error for settings that TypeScript may refuse, as a fork without types would see them. */
function problems(settings: object): readonly string[] {
  try {
    synthesize(settings);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

test("each line of an error names the construct's path and the option", () => {
  expect(() => synthesize({ memorySize: 64, timeout: 0 })).toThrow(
    "test/function: memorySize 64 is not a whole number from 128 to 10240 MB\n" +
      "test/function: timeout 0 is not a whole number from 1 to 900 s",
  );
});

test("an error of the bundling names the function's path, too", () => {
  const entry = path.join(temporaryDirectory(), "index.ts");
  writeFileSync(entry, "export const other = 1;");
  expect(() => synthesize({ code: { entry } })).toThrow(
    `test/function: code.entry ${JSON.stringify(entry)} does not export "handler"`,
  );
});

test.each([
  [{ architecture: "arm" }, `architecture "arm" is not one of arm64, x86_64`],
  [
    { architecture: "arm", shutdownExtension: ShutdownExtension.none() },
    `architecture "arm" is not one of arm64, x86_64`,
  ],
  [{ runtime: "python3.13" }, `runtime "python3.13" is not one of nodejs22.x, nodejs24.x`],
  [
    { runtime: "nodejs20.x" },
    `runtime "nodejs20.x" is a runtime that Lambda no longer creates functions with. Set one of nodejs22.x, nodejs24.x`,
  ],
  [
    { runtime: "nodejs10.x" },
    `runtime "nodejs10.x" is a runtime that Lambda no longer creates functions with and never supported arm64. Set one of nodejs22.x, nodejs24.x`,
  ],
  [{ memorySize: 127 }, "memorySize 127 is not a whole number from 128 to 10240 MB"],
  [{ memorySize: 10241 }, "memorySize 10241 is not a whole number from 128 to 10240 MB"],
  [{ memorySize: 128.5 }, "memorySize 128.5 is not a whole number from 128 to 10240 MB"],
  [{ timeout: 0 }, "timeout 0 is not a whole number from 1 to 900 s"],
  [{ timeout: 901 }, "timeout 901 is not a whole number from 1 to 900 s"],
  [{ ephemeralStorage: 511 }, "ephemeralStorage 511 is not a whole number from 512 to 10240 MB"],
  [{ ephemeralStorage: 10241 }, "ephemeralStorage 10241 is not a whole number from 512 to 10240 MB"],
  [{ reservedConcurrency: -1 }, "reservedConcurrency -1 is not a whole number of 0 or more"],
  [{ functionName: "a b" }, `functionName "a b" is not 1 to 64 letters, digits, - and _`],
  [{ functionName: "" }, `functionName "" is not 1 to 64 letters, digits, - and _`],
  [
    { functionName: "n".repeat(55) },
    `functionName "${"n".repeat(55)}" is longer than 54 characters. The role is called <functionName>-us-east-1, and IAM allows 64 characters`,
  ],
  [{ description: "d".repeat(257) }, `description "${"d".repeat(257)}" is longer than 256 characters`],
  [{ tracing: "On" }, `tracing "On" is not one of Active, PassThrough`],
  [{ loggingPolicy: "all" }, `loggingPolicy "all" is not one of own log group, article`],
  [{ trustPolicy: "all" }, `trustPolicy "all" is not one of own account, article`],
  [
    { shutdownExtension: ShutdownExtension.insights(InsightsLayer.arn(layer("LambdaInsightsExtension"))) },
    expect.stringContaining("is for x86_64; arm64 needs LambdaInsightsExtension-Arm64") as string,
  ],
  [{ shutdownExtension: ShutdownExtension.layer("extension") }, `shutdownExtension "extension" ${LAYER_FORM}`],
  [{ layers: ["tools"] }, `layers "tools" ${LAYER_FORM}`],
  [
    { layers: [layer("tools", "eu-west-1")] },
    `layers "${layer("tools", "eu-west-1")}" is not in the function's region, us-east-1`,
  ],
  [
    { layers: [layer("AWS-Parameters-and-Secrets-Lambda-Extension")] },
    `layers "${layer("AWS-Parameters-and-Secrets-Lambda-Extension")}" is for x86_64; arm64 needs AWS-Parameters-and-Secrets-Lambda-Extension-Arm64`,
  ],
  [
    { layers: [layer("LambdaAdapterLayerArm64")], architecture: "x86_64" },
    `layers "${layer("LambdaAdapterLayerArm64")}" is for arm64; x86_64 needs LambdaAdapterLayerX86`,
  ],
  [
    { layers: Array(5).fill(layer("tools")) },
    `layers ${JSON.stringify(Array(5).fill(layer("tools")))} are 6 layers with the shutdown extension's layer. A function can have 5`,
  ],
  [
    { layers: Array(6).fill(layer("tools")), shutdownExtension: ShutdownExtension.none() },
    `layers ${JSON.stringify(Array(6).fill(layer("tools")))} are 6 layers. A function can have 5`,
  ],
  [{ environmentKmsKeyArn: "key" }, `environmentKmsKeyArn "key" ${KMS_FORM}`],
  [
    { deadLetterTargetArn: "arn:aws:lambda:us-east-1:123456789012:function:failed" },
    `deadLetterTargetArn "arn:aws:lambda:us-east-1:123456789012:function:failed" is not of the form arn:<partition>:sqs:<region>:<account>:<queue> or arn:<partition>:sns:<region>:<account>:<topic>`,
  ],
  [
    { codeSigningConfigArn: "csc" },
    `codeSigningConfigArn "csc" is not of the form arn:<partition>:lambda:<region>:<account>:code-signing-config:<id>`,
  ],
  [
    { permissionsBoundaryArn: "arn:aws:iam::123456789012:role/boundary" },
    `permissionsBoundaryArn "arn:aws:iam::123456789012:role/boundary" is not of the form arn:<partition>:iam::<account>:policy/<name> or arn:<partition>:iam::aws:policy/<name>`,
  ],
  [{ vpc: { ...vpc, subnetIds: [] } }, "vpc.subnetIds [] is empty. A function in a VPC needs at least one"],
  [
    { vpc: { ...vpc, securityGroupIds: [] } },
    "vpc.securityGroupIds [] is empty. A function in a VPC needs at least one",
  ],
  [{ logGroup: { createdBy: "nobody" } }, `logGroup.createdBy "nobody" is not one of stack, Lambda`],
  [
    { logGroup: { retentionDays: 2 } },
    "logGroup.retentionDays 2 is not one of 0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653",
  ],
  [{ logGroup: { kmsKeyArn: "key" } }, `logGroup.kmsKeyArn "key" ${KMS_FORM}`],
  [{ logGroup: { format: "XML" } }, `logGroup.format "XML" is not one of Text, JSON`],
  [
    { logGroup: { format: "JSON", applicationLevel: "ALL" } },
    `logGroup.applicationLevel "ALL" is not one of TRACE, DEBUG, INFO, WARN, ERROR, FATAL`,
  ],
  [
    { logGroup: { format: "JSON", systemLevel: "ERROR" } },
    `logGroup.systemLevel "ERROR" is not one of DEBUG, INFO, WARN`,
  ],
  [{ logGroup: { applicationLevel: "WARN" } }, `logGroup.applicationLevel "WARN" needs logGroup.format "JSON"`],
  [{ logGroup: { format: "Text", systemLevel: "WARN" } }, `logGroup.systemLevel "WARN" needs logGroup.format "JSON"`],
  [
    { logGroup: { createdBy: "Lambda", retentionDays: 30 } },
    `logGroup.retentionDays 30 has no effect with logGroup.createdBy "Lambda". Remove it or set "stack"`,
  ],
  [{ database: { ...database, port: 0 } }, "database.port 0 is not a whole number from 1 to 65535"],
  [{ database: { ...database, port: 65536 } }, "database.port 65536 is not a whole number from 1 to 65535"],
  [
    { database: { ...database, auth: { type: "password" } } },
    `database.auth.type "password" is not one of secret, iam`,
  ],
  [
    { database: { ...database, auth: { type: "iam", resourceId: "db-1" } } },
    `database.user "" is empty. database.auth.type "iam" needs the name of a database user`,
  ],
  [
    { database: { ...database, auth: { type: "secret", secretArn: "orders" } } },
    `database.auth.secretArn "orders" is not of the form arn:<partition>:secretsmanager:<region>:<account>:secret:<name>`,
  ],
  [
    { database: { ...database, auth: { ...database.auth, kmsKeyArn: "key" } } },
    `database.auth.kmsKeyArn "key" ${KMS_FORM}`,
  ],
  [{ database: { ...database, connectionLimit: 0 } }, "database.connectionLimit 0 is not a whole number of 1 or more"],
  [{ database: { ...database, maxConnections: 0 } }, "database.maxConnections 0 is not a whole number of 1 or more"],
  [
    { database: { ...database, maxConnections: 60 }, reservedConcurrency: 61 },
    "reservedConcurrency 61 times database.connectionLimit 1 is 61 connections, more than database.maxConnections 60",
  ],
  [
    { database: { ...database, maxConnections: 60, connectionLimit: 2 }, reservedConcurrency: 31 },
    "reservedConcurrency 31 times database.connectionLimit 2 is 62 connections, more than database.maxConnections 60",
  ],
  [
    { environment: { "A-B": "" } },
    `environment "A-B" is not a name of letters, digits and _ that begins with a letter`,
  ],
  [{ environment: { A: "" } }, `environment "A" is not a name of letters, digits and _ that begins with a letter`],
])("%j is refused", (settings, expected) => {
  expect(problems(settings)).toEqual([expected]);
});

test.each([
  { functionName: "n".repeat(54) },
  { functionName: "n".repeat(64), role },
  { alias: "v1", provisionedConcurrency: 2, reservedConcurrency: 2 },
  { role: { ...role, policies: "none" } },
  { description: "d".repeat(256) },
  { ephemeralStorage: 512, memorySize: 10240, timeout: 1 },
  { layers: Array(4).fill(layer("tools")) },
  { layers: Array(5).fill(layer("tools")), shutdownExtension: ShutdownExtension.internal() },
  { layers: [layer("AWS-Parameters-and-Secrets-Lambda-Extension-Arm64"), layer("LambdaAdapterLayerArm64")] },
  { database: { ...database, maxConnections: 60, connectionLimit: 2 }, reservedConcurrency: 30 },
  { permissionsBoundaryArn: "arn:aws:iam::aws:policy/PowerUserAccess" },
  { environment: { AWS_LAMBDA_EXEC_WRAPPER: "/opt/wrapper" } },
])("%j is accepted", (settings) => {
  expect(problems(settings)).toEqual([]);
});

test("the partition is not always aws", () => {
  const cn = {
    region: "cn-north-1",
    architecture: "x86_64",
    deadLetterTargetArn: "arn:aws-cn:sqs:cn-north-1:123456789012:failed",
    environmentKmsKeyArn: "arn:aws-cn:kms:cn-north-1:123456789012:key/1",
    layers: ["arn:aws-cn:lambda:cn-north-1:123456789012:layer:tools:1"],
  };
  expect(problems(cn)).toEqual([]);
});

describe("environment variables", () => {
  const external = { SHUTDOWN_EXTENSION: "external", SHUTDOWN_BUDGET_MS: "300" };

  test.each(["DB_PASSWORD", "DB_HOST", "DB_CONNECT_TIMEOUT_MS", "SHUTDOWN_BUDGET_MS"])(
    "%s is the construct's own",
    (name) => {
      expect(problems({ environment: { [name]: "x" } })).toEqual([
        `environment "${name}" is a variable that the construct sets. Set database, timeout or shutdownExtension instead of DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_AUTH, DB_PASSWORD, DB_SECRET_ARN, DB_CONNECT_TIMEOUT_MS, SHUTDOWN_EXTENSION, SHUTDOWN_BUDGET_MS`,
      ]);
    },
  );

  test("AWS_REGION is Lambda's own", () => {
    expect(problems({ environment: { AWS_REGION: "x" } })).toEqual([
      expect.stringMatching(/^environment "AWS_REGION" is reserved by Lambda, as are .*$/),
    ]);
  });

  test("may have 4096 bytes in all, the construct's own and the quotes of JSON included", () => {
    const rest = 4096 - Buffer.byteLength(JSON.stringify({ TEXT: "", ...external }));
    expect(problems({ environment: { TEXT: "x".repeat(rest) } })).toEqual([]);
    expect(problems({ environment: { TEXT: "x".repeat(rest + 1) } })).toEqual([
      "environment 4097 bytes are more than the 4096 bytes that Lambda allows for all variables, as JSON",
    ]);
  });

  test("are not counted where only Terraform knows them", () => {
    expect(problems({ environment: { TEXT: "${" + "x".repeat(4096) + "}" } })).toEqual([]);
  });
});

test("all problems are reported at once, and none twice", () => {
  const settings = {
    region: "us-moon-1",
    architecture: "arm",
    memorySize: 1,
    timeout: 1000,
    runtime: "nodejs14.x",
    code: { entry: "missing.ts" },
    tracing: "On",
    vpc: { subnetIds: [], securityGroupIds: [] },
  };
  expect(problems(settings)).toEqual([
    expect.stringMatching(/^architecture "arm" /),
    expect.stringMatching(/^runtime "nodejs14.x" /),
    expect.stringMatching(/^memorySize 1 /),
    expect.stringMatching(/^timeout 1000 /),
    expect.stringMatching(/^tracing "On" /),
    expect.stringMatching(/^region "us-moon-1" is not one of af-south-1, .*$/),
    expect.stringMatching(/^vpc.subnetIds /),
    expect.stringMatching(/^vpc.securityGroupIds /),
    expect.stringMatching(/^code.entry "missing.ts" is not a TypeScript file/),
  ]);
});
