import type { TerraformStack } from "cdktf";
import { GracefulFunction, RUNTIMES, type GracefulFunctionConfig } from "./graceful-function";
import { ShutdownExtension } from "./shutdown-extension";
import { codeSigning } from "../__tests__/examples/code-signing";
import { deadLetters } from "../__tests__/examples/dead-letters";
import { environmentKey } from "../__tests__/examples/environment-key";
import { documentRows } from "../__tests__/document-rows";
import {
  all,
  DATABASE as database,
  FUNCTION,
  jsonOf,
  KEY,
  newStack,
  policy,
  SECRET_ARN as secretArn,
  synthesize,
  VPC as vpc,
  type Attributes,
} from "../__tests__/synthesis";

describe("the policies", () => {
  interface Statement {
    readonly Effect: string;
    readonly Action: string | readonly string[];
    readonly Resource: string | readonly string[];
  }
  interface Policies {
    readonly statements: readonly Statement[];
    readonly trustsOwnAccountOnly: boolean;
  }
  const readsSecret = { Effect: "Allow", Action: "secretsmanager:GetSecretValue", Resource: secretArn };

  /** Words for what only Terraform knows, as an ARN has it. */
  function known(attribute: unknown): string {
    return String(attribute)
      .replace(/\$\{data\.aws_partition\.\w+\.partition\}/g, "aws")
      .replace(/\$\{data\.aws_caller_identity\.\w+\.account_id\}/g, "123456789012");
  }

  function ours(settings: Partial<GracefulFunctionConfig>): Policies {
    const stack = synthesize({ database, ...settings });
    return {
      statements: all(stack, "aws_iam_policy").flatMap(
        (each) => policy(known(each.policy)).Statement as unknown as Statement[],
      ),
      trustsOwnAccountOnly: JSON.stringify(all(stack, "aws_iam_role")).includes("aws:SourceAccount"),
    };
  }

  /**
   * What iam.tf of version 8.8.1 makes of attach_cloudwatch_logs_policy (the default), attach_policy_statements with the
   * secret, and, with Insights, attach_policy with AWS's CloudWatchLambdaInsightsExecutionRolePolicy, in a VPC
   * attach_network_policy, which copies AWS's AWSLambdaENIManagementAccess.
   */
  function terraformAwsLambda(...attached: readonly ("Insights" | "VPC")[]): Policies {
    const group = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/orders";
    const interfaces = ["Create", "Describe", "Delete"].map((verb) => `ec2:${verb}NetworkInterface`);
    const network = {
      Effect: "Allow",
      Action: [...interfaces, "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"],
      Resource: "*",
    };
    const insights = [
      { Effect: "Allow", Action: "logs:CreateLogGroup", Resource: "*" },
      {
        Effect: "Allow",
        Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
        Resource: "arn:aws:logs:*:*:log-group:/aws/lambda-insights:*",
      },
    ];
    return {
      statements: [
        {
          Effect: "Allow",
          Action: ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
          Resource: [`${group}:*`, `${group}:*:*`],
        },
        ...(attached.includes("Insights") ? insights : []),
        readsSecret,
        ...(attached.includes("VPC") ? [network] : []),
      ],
      trustsOwnAccountOnly: false,
    };
  }

  const article: Policies = {
    statements: [
      {
        Effect: "Allow",
        Action: ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
        Resource: "arn:aws:logs:*:*:*",
      },
    ],
    trustsOwnAccountOnly: false,
  };

  /** Each action with each resource it is granted on. */
  function grants({ statements }: Policies, effect = "Allow"): { action: string; resource: string }[] {
    return statements
      .filter(({ Effect }) => Effect === effect)
      .flatMap(({ Action, Resource }) =>
        [Action].flat().flatMap((action) => [Resource].flat().map((resource) => ({ action, resource }))),
      );
  }

  /** In every region or every account, as `*` is. */
  function isWide({ resource }: { resource: string }): boolean {
    const [, , , region, account] = resource.split(":");
    return resource === "*" || region === "*" || account === "*";
  }

  function count(policies: Policies): string[] {
    const all = grants(policies);
    const createsGroups = all.filter(({ action }) => action === "logs:CreateLogGroup");
    return [
      new Set(all.map(({ action }) => action)).size,
      all.length,
      all.filter(isWide).length,
      createsGroups.some(isWide) ? "any" : new Set(createsGroups.map(({ resource }) => resource.split(":")[6])).size,
      grants(policies, "Deny").length,
      policies.trustsOwnAccountOnly ? "yes" : "no",
      all.some(({ resource }) => resource === secretArn) ? "yes" : "no",
    ].map(String);
  }

  test("are as docs/infrastructure.md counts them", () => {
    const [, ...rows] = documentRows("The policies");
    expect(rows.map(([, ...counted]) => counted)).toEqual([
      count(ours({})),
      count(ours({ shutdownExtension: ShutdownExtension.internal() })),
      count(ours({ vpc })),
      count(terraformAwsLambda("Insights")),
      count(terraformAwsLambda()),
      count(terraformAwsLambda("Insights", "VPC")),
      count(article),
    ]);
  });
});

describe("the rules of scanners", () => {
  type Example = (stack: TerraformStack, orders: GracefulFunction) => void;
  const has = (attribute: string) => (each: Attributes) => each[attribute] !== undefined;
  const isLongKept = ({ retention_in_days: days }: Attributes): boolean => Number(days) >= 365;
  const isCurrent = ({ runtime }: Attributes): boolean => RUNTIMES.some((each) => each === runtime);

  /**
   * As the scanners define them; a rule about a resource that is not there finds nothing. Last comes what makes a rule
   * hold: a setting, or the example of docs/construct.md.
   */
  const RULES: readonly (readonly [
    string,
    "lambda_function" | "cloudwatch_log_group",
    (each: Attributes) => boolean,
    Partial<GracefulFunctionConfig> | Example,
  ])[] = [
    ["CKV_AWS_363", "lambda_function", isCurrent, {}],
    ["CKV_AWS_66", "cloudwatch_log_group", has("retention_in_days"), {}],
    ["CKV_AWS_338", "cloudwatch_log_group", isLongKept, {}],
    ["CKV_AWS_158", "cloudwatch_log_group", has("kms_key_id"), { logGroup: { kmsKeyArn: KEY } }],
    ["CKV_AWS_173", "lambda_function", has("kms_key_arn"), environmentKey],
    ["CKV_AWS_50", "lambda_function", has("tracing_config"), {}],
    ["CKV_AWS_115", "lambda_function", has("reserved_concurrent_executions"), { reservedConcurrency: 10 }],
    ["CKV_AWS_116", "lambda_function", has("dead_letter_config"), deadLetters],
    ["CKV_AWS_117", "lambda_function", has("vpc_config"), { vpc }],
    ["CKV_AWS_272", "lambda_function", has("code_signing_config_arn"), codeSigning],
  ];
  const [, ...rows] = documentRows("The rules of scanners");
  const byDefault = synthesize();

  test("are all in docs/infrastructure.md, and no others", () => {
    expect(rows.map(([id]) => id)).toEqual(RULES.map(([id]) => id));
  });

  test.each(RULES)("%s of %s holds where docs/infrastructure.md says so", (id, type, holds, cure) => {
    const [, , settingCell, why] = rows.find((row) => row[0] === id) ?? [];
    const holdsByDefault = all(byDefault, `aws_${type}`).every(holds);
    expect(settingCell === "holds").toBe(holdsByDefault);
    expect(why === "").toBe(holdsByDefault);
    const isExample = typeof cure === "function";
    const stack = newStack();
    const orders = new GracefulFunction(stack, "function", { ...FUNCTION, ...(isExample ? {} : cure) });
    if (isExample) cure(stack, orders);
    expect(all(jsonOf(stack), `aws_${type}`).every(holds)).toBe(true);
    // One setting: its name, or that of the one in the group.
    const [name] = Object.keys(cure);
    const setting = name === "logGroup" ? "logGroup.kmsKeyArn" : name;
    if (isExample) expect(settingCell).toMatch(/^\[an example\]\(construct\.md#[\w-]+\)$/);
    else expect(settingCell).toBe(setting === undefined ? "holds" : `\`${setting}\``);
  });
});
