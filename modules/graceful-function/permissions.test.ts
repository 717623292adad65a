import type { GracefulFunctionConfig } from "./graceful-function";
import { ShutdownExtension } from "./shutdown-extension";
import { only, policy, synthesize, type Synthesized } from "../__tests__/synthesis";

const ACCOUNT = "123456789012";
const KEY = `arn:aws:kms:us-east-1:${ACCOUNT}:key/1`;
const secretArn = `arn:aws:secretsmanager:us-east-1:${ACCOUNT}:secret:orders`;
const database = { host: "db.example.com", name: "orders", auth: { type: "secret", secretArn } } as const;
const vpc = { subnetIds: ["subnet-1"], securityGroupIds: ["sg-1"] };

/** A policy's statements, with words for what only Terraform knows. */
function statements(attribute: unknown): Record<string, unknown>[] {
  const words = [
    [/\$\{data\.aws_partition\.\w+\.partition\}/g, "PARTITION"],
    [/\$\{data\.aws_partition\.\w+\.dns_suffix\}/g, "DNS_SUFFIX"],
    [/\$\{data\.aws_caller_identity\.\w+\.account_id\}/g, "ACCOUNT"],
  ] as const;
  return policy(words.reduce((text, [reference, word]) => text.replace(reference, word), String(attribute))).Statement;
}

/** Purpose of the policy → its statements. */
function permissions(settings: Partial<GracefulFunctionConfig>): Record<string, unknown[]> {
  const { resource } = synthesize(settings);
  return Object.fromEntries(
    Object.values(resource.aws_iam_policy ?? {}).map((each) => [
      String(each.name).replace("orders-us-east-1-", ""),
      statements(each.policy),
    ]),
  );
}

const ownLogs = {
  Effect: "Allow",
  Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
  Resource: "arn:PARTITION:logs:us-east-1:ACCOUNT:log-group:/aws/lambda/orders:*",
};
const insightsLogs = {
  Effect: "Allow",
  Action: ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
  Resource: "arn:PARTITION:logs:us-east-1:ACCOUNT:log-group:/aws/lambda-insights:*",
};

describe("the role", () => {
  const trust = ({ resource }: Synthesized): unknown => statements(only(resource, "aws_iam_role").assume_role_policy);
  const statement = { Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "lambda.amazonaws.com" } };

  test("may be assumed by Lambda for functions of this account only", () => {
    expect(trust(synthesize())).toEqual([
      { ...statement, Condition: { StringEquals: { "aws:SourceAccount": "ACCOUNT" } } },
    ]);
  });

  test("has each of its policies attached", () => {
    const { resource } = synthesize({ database, vpc, tracing: "Active" });
    const attachments = Object.values(resource.aws_iam_role_policy_attachment ?? {});
    const [role] = Object.keys(resource.aws_iam_role ?? {});
    expect(attachments.map((each) => each.policy_arn).sort()).toEqual(
      Object.keys(resource.aws_iam_policy ?? {}).map((id) => `\${aws_iam_policy.${id}.arn}`),
    );
    expect(attachments.map((each) => each.role)).toEqual(Array(4).fill(`\${aws_iam_role.${role}.name}`));
  });
});

describe("the function may", () => {
  test("write to its own log group and to that of Insights, and create only the latter", () => {
    expect(permissions({})).toEqual({ logging: [ownLogs, insightsLogs] });
  });

  test.each([
    ShutdownExtension.internal(),
    ShutdownExtension.none(),
    ShutdownExtension.layer(`arn:aws:lambda:us-east-1:${ACCOUNT}:layer:extension:1`),
  ])("not write to the log group of Insights without Insights: %j", (shutdownExtension) => {
    expect(permissions({ shutdownExtension })).toEqual({ logging: [ownLogs] });
  });

  test("create its log group where the stack does not", () => {
    const shutdownExtension = ShutdownExtension.none();
    expect(permissions({ shutdownExtension, logGroup: { createdBy: "Lambda" } })).toEqual({
      logging: [{ ...ownLogs, Action: insightsLogs.Action }],
    });
  });

  test("read the one secret", () => {
    expect(permissions({ database }).database).toEqual([
      { Effect: "Allow", Action: "secretsmanager:GetSecretValue", Resource: secretArn },
    ]);
  });

  test("decrypt with the secret's key, for Secrets Manager only", () => {
    const auth = { ...database.auth, kmsKeyArn: KEY };
    expect(permissions({ database: { ...database, auth } }).database?.[1]).toEqual({
      Effect: "Allow",
      Action: "kms:Decrypt",
      Resource: KEY,
      Condition: { StringEquals: { "kms:ViaService": "secretsmanager.us-east-1.DNS_SUFFIX" } },
    });
  });

  test("connect as the one user", () => {
    const auth = { type: "iam", resourceId: "cluster-ABC" } as const;
    expect(permissions({ database: { ...database, user: "app", auth } }).database).toEqual([
      {
        Effect: "Allow",
        Action: "rds-db:connect",
        Resource: "arn:PARTITION:rds-db:us-east-1:ACCOUNT:dbuser:cluster-ABC/app",
      },
    ]);
  });

  test("have network interfaces in a VPC; its code may not touch them", () => {
    const { network = [] } = permissions({ vpc });
    const [change, describe, deny] = network as { Action: string[] }[];
    expect(network).toEqual([
      {
        Effect: "Allow",
        Action: [
          "ec2:CreateNetworkInterface",
          "ec2:DeleteNetworkInterface",
          "ec2:AssignPrivateIpAddresses",
          "ec2:UnassignPrivateIpAddresses",
        ],
        Resource: "arn:PARTITION:ec2:us-east-1:ACCOUNT:*/*",
      },
      { Effect: "Allow", Action: ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"], Resource: "*" },
      {
        Effect: "Deny",
        Action: [...(change?.Action ?? []), ...(describe?.Action ?? [])],
        Resource: "*",
        Condition: {
          ArnEquals: { "lambda:SourceFunctionArn": "arn:PARTITION:lambda:us-east-1:ACCOUNT:function:orders" },
        },
      },
    ]);
    expect(deny).toBeDefined();
  });

  test("send traces with active tracing only", () => {
    expect(permissions({ tracing: "Active" }).tracing).toEqual([
      { Effect: "Allow", Action: ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource: "*" },
    ]);
    expect(permissions({ tracing: "PassThrough" })).not.toHaveProperty("tracing");
  });

  test("do no more with settings that need no permission", () => {
    const settings = {
      layers: [],
      reservedConcurrency: 1,
      tags: { team: "orders" },
    };
    expect(Object.keys(permissions(settings))).toEqual(["logging"]);
  });
});
