import type { GracefulFunctionConfig } from "./graceful-function";
import { ShutdownExtension } from "./shutdown-extension";
import {
  all,
  DATABASE as database,
  KEY,
  LAYER,
  only,
  policy,
  SECRET_ARN as secretArn,
  synthesize,
  VPC as vpc,
} from "../__tests__/synthesis";

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
  const policies = all(synthesize(settings), "aws_iam_policy");
  return Object.fromEntries(
    policies.map((each) => [String(each.name).replace("orders-us-east-1-", ""), statements(each.policy)]),
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
  test("may be assumed by Lambda for functions of this account only", () => {
    expect(statements(only(synthesize().resource, "aws_iam_role").assume_role_policy)).toEqual([
      {
        Effect: "Allow",
        Action: "sts:AssumeRole",
        Principal: { Service: "lambda.amazonaws.com" },
        Condition: { StringEquals: { "aws:SourceAccount": "ACCOUNT" } },
      },
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
  const logGroup = { createdBy: "Lambda" } as const;
  const none = ShutdownExtension.none();
  const noNeed = { layers: [], reservedConcurrency: 1, tags: { team: "orders" } };
  test.each<[string, Partial<GracefulFunctionConfig>, Record<string, unknown>]>([
    [
      "write to its own log group and that of Insights, and create only the latter",
      noNeed,
      { logging: [ownLogs, insightsLogs] },
    ],
    ["write to its own log group only", { shutdownExtension: ShutdownExtension.internal() }, { logging: [ownLogs] }],
    ["write to its own log group only", { shutdownExtension: none }, { logging: [ownLogs] }],
    ["write to its own log group only", { shutdownExtension: ShutdownExtension.layer(LAYER) }, { logging: [ownLogs] }],
    [
      "create its log group, too",
      { shutdownExtension: none, logGroup },
      { logging: [{ ...ownLogs, Action: insightsLogs.Action }] },
    ],
    [
      "read the one secret",
      { database },
      { database: [{ Effect: "Allow", Action: "secretsmanager:GetSecretValue", Resource: secretArn }] },
    ],
    [
      "decrypt with the secret's key, for Secrets Manager only",
      { database: { ...database, auth: { ...database.auth, kmsKeyArn: KEY } } },
      {
        database: [
          expect.anything(),
          {
            Effect: "Allow",
            Action: "kms:Decrypt",
            Resource: KEY,
            Condition: { StringEquals: { "kms:ViaService": "secretsmanager.us-east-1.DNS_SUFFIX" } },
          },
        ],
      },
    ],
    [
      "connect as the one user",
      { database: { ...database, user: "app", auth: { type: "iam", resourceId: "cluster-ABC" } } },
      {
        database: [
          {
            Effect: "Allow",
            Action: "rds-db:connect",
            Resource: "arn:PARTITION:rds-db:us-east-1:ACCOUNT:dbuser:cluster-ABC/app",
          },
        ],
      },
    ],
    [
      "send traces",
      { tracing: "Active" },
      { tracing: [{ Effect: "Allow", Action: ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], Resource: "*" }] },
    ],
  ])("%s, and no more: %j", (_, settings, expected) => {
    expect(permissions(settings)).toEqual({ logging: expect.anything() as unknown, ...expected });
  });

  test("have network interfaces in a VPC; its code may not touch them", () => {
    const { network = [] } = permissions({ vpc });
    const [change, describe] = network as { Action: string[] }[];
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
  });
});
