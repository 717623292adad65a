import { readFileSync } from "node:fs";
import { Testing, type TerraformStack } from "cdktf";
import { GracefulFunction, RUNTIMES, type GracefulFunctionConfig } from "./graceful-function";
import { ShutdownExtension } from "./shutdown-extension";
import { codeSigning } from "../__tests__/examples/code-signing";
import { deadLetters } from "../__tests__/examples/dead-letters";
import { environmentKey } from "../__tests__/examples/environment-key";
import { ENTRY, newStack, policy, synthesize, type Attributes, type Synthesized } from "../__tests__/synthesis";

/** The cells of the tables in docs/infrastructure.md, by heading. */
function documented(): Record<string, string[][]> {
  const sections = readFileSync("docs/infrastructure.md", "utf8").split(/^## /m).slice(1);
  return Object.fromEntries(
    sections.map((section) => {
      const [heading = "", ...lines] = section.split("\n");
      const rows = lines.filter((line) => line.startsWith("| ")).map((line) => line.split("|").slice(1, -1));
      const cells = rows.map((row) => row.map((cell) => cell.trim()));
      return [heading, cells.filter((row) => !row.every((cell) => /^-+$/.test(cell)))];
    }),
  );
}

const tables = documented();

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
  const vpc = { subnetIds: ["subnet-1"], securityGroupIds: ["sg-1"] };
  const secretArn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:name";
  const readsSecret = { Effect: "Allow", Action: "secretsmanager:GetSecretValue", Resource: secretArn };

  /** Words for what only Terraform knows, as an ARN has it. */
  function known(attribute: unknown): string {
    return String(attribute)
      .replace(/\$\{data\.aws_partition\.\w+\.partition\}/g, "aws")
      .replace(/\$\{data\.aws_caller_identity\.\w+\.account_id\}/g, "123456789012");
  }

  function ours(settings: Partial<GracefulFunctionConfig>): Policies {
    const auth = { type: "secret", secretArn } as const;
    const { resource } = synthesize({
      functionName: "name",
      database: { host: "db.example.com", name: "orders", auth },
      ...settings,
    });
    const [role] = Object.values(resource.aws_iam_role ?? {});
    return {
      statements: Object.values(resource.aws_iam_policy ?? {}).flatMap(
        (each) => policy(known(each.policy)).Statement as unknown as Statement[],
      ),
      trustsOwnAccountOnly: String(role?.assume_role_policy).includes("aws:SourceAccount"),
    };
  }

  /**
   * What iam.tf of version 8.8.1 makes of attach_cloudwatch_logs_policy (the default), attach_policy_statements with the
   * secret, and, with Insights, attach_policy with AWS's CloudWatchLambdaInsightsExecutionRolePolicy, in a VPC
   * attach_network_policy, which copies AWS's AWSLambdaENIManagementAccess.
   */
  function terraformAwsLambda(...attached: readonly ("Insights" | "VPC")[]): Policies {
    const group = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/name";
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

  test.each([
    ["The policies", [ours({}), terraformAwsLambda("Insights"), article]],
    [
      "The policies without Insights",
      [ours({ shutdownExtension: ShutdownExtension.internal() }), terraformAwsLambda(), article],
    ],
    ["The policies in a VPC", [ours({ vpc }), terraformAwsLambda("Insights", "VPC")]],
  ])("are as docs/infrastructure.md counts them: %s", (heading, compared) => {
    const [, ...rows] = tables[heading] ?? [];
    const columns = compared.map(count);
    const counted = rows.map((_, row) => columns.map((column) => column[row]));
    expect(rows.map((row) => row.slice(1))).toEqual(counted);
    expect(rows).toHaveLength(columns[0]?.length ?? 0);
  });
});

describe("the rules of scanners", () => {
  const key = "arn:aws:kms:us-east-1:123456789012:key/1";
  const lambdas = ({ resource }: Synthesized): Attributes[] => Object.values(resource.aws_lambda_function ?? {});
  const groups = ({ resource }: Synthesized): Attributes[] => Object.values(resource.aws_cloudwatch_log_group ?? {});

  /** As the scanners define them; a rule about a resource that is not there finds nothing. */
  const RULES: readonly {
    readonly id: string;
    readonly holds: (stack: Synthesized) => boolean;
    readonly settings: Partial<GracefulFunctionConfig>;
    /** The example of docs/construct.md for it, where it is no option. */
    readonly example?: (stack: TerraformStack, orders: GracefulFunction) => void;
  }[] = [
    { id: "CKV_AWS_363", holds: (s) => lambdas(s).every((l) => RUNTIMES.some((r) => r === l.runtime)), settings: {} },
    { id: "CKV_AWS_66", holds: (s) => groups(s).every((g) => g.retention_in_days !== undefined), settings: {} },
    { id: "CKV_AWS_338", holds: (s) => groups(s).every((g) => Number(g.retention_in_days) >= 365), settings: {} },
    {
      id: "CKV_AWS_158",
      holds: (s) => groups(s).every((g) => g.kms_key_id !== undefined),
      settings: { logGroup: { kmsKeyArn: key } },
    },
    {
      id: "CKV_AWS_173",
      holds: (s) => lambdas(s).every((l) => l.kms_key_arn !== undefined),
      settings: {},
      example: environmentKey,
    },
    {
      id: "CKV_AWS_50",
      holds: (s) => lambdas(s).every((l) => l.tracing_config !== undefined),
      settings: {},
    },
    {
      id: "CKV_AWS_115",
      holds: (s) => lambdas(s).every((l) => l.reserved_concurrent_executions !== undefined),
      settings: { reservedConcurrency: 10 },
    },
    {
      id: "CKV_AWS_116",
      holds: (s) => lambdas(s).every((l) => l.dead_letter_config !== undefined),
      settings: {},
      example: deadLetters,
    },
    {
      id: "CKV_AWS_117",
      holds: (s) => lambdas(s).every((l) => l.vpc_config !== undefined),
      settings: { vpc: { subnetIds: ["subnet-1"], securityGroupIds: ["sg-1"] } },
    },
    {
      id: "CKV_AWS_272",
      holds: (s) => lambdas(s).every((l) => l.code_signing_config_arn !== undefined),
      settings: {},
      example: codeSigning,
    },
  ];
  const [, ...rows] = tables["The rules of scanners"] ?? [];
  const byDefault = synthesize();

  test("are all in docs/infrastructure.md, and no others", () => {
    expect(rows.map(([id]) => id)).toEqual(RULES.map(({ id }) => id));
  });

  test.each(RULES)("$id holds where docs/infrastructure.md says so", ({ id, holds, settings, example }) => {
    const [, , defaultCell, settingCell, why] = rows.find((row) => row[0] === id) ?? [];
    expect(defaultCell).toBe(holds(byDefault) ? "holds" : "–");
    // One setting: its name, or that of the one in the group.
    const [[name, value] = []] = Object.entries(settings);
    const setting = name === "logGroup" ? `${name}.${Object.keys(value as object).join()}` : name;
    if (example) expect(settingCell).toMatch(/^\[an example\]\(construct\.md#[\w-]+\)$/);
    else expect(settingCell).toBe(setting === undefined ? "–" : `\`${setting}\``);
    const stack = newStack();
    const orders = new GracefulFunction(stack, "function", {
      region: "us-east-1",
      functionName: "orders",
      code: { entry: ENTRY },
      ...settings,
    });
    example?.(stack, orders);
    expect(holds(JSON.parse(Testing.synth(stack)) as Synthesized)).toBe(true);
    expect(why === "").toBe(holds(byDefault));
  });
});
