import { TerraformVariable } from "cdktf";
import { GracefulFunction, type GracefulFunctionConfig } from "../../modules/graceful-function";
import { InsightsLayer } from "../../modules/insights-layer";
import { ENTRY, newStack, only, policy, synthesize } from "./synthesis";

const secretArn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders";
const database = { host: "db.example.com", name: "orders", auth: { type: "secret", secretArn } } as const;

/** The lines of the error for settings that TypeScript may refuse, as a fork without types would see them. */
function problems(settings: object): string[] {
  try {
    synthesize(settings);
  } catch (error) {
    return (error as Error).message.split("\n");
  }
  return [];
}

describe("the function", () => {
  const stack = synthesize({ database, environment: { LOG_LEVEL: "info" } });
  const lambda = only(stack.resource, "aws_lambda_function");
  const zip = only(stack.data, "archive_file");

  test("has the article's values where they still make sense", () => {
    expect(lambda).toMatchObject({
      function_name: "orders",
      handler: "index.handler",
      package_type: "Zip",
      runtime: "nodejs24.x",
      architectures: ["arm64"],
      memory_size: 1024,
      timeout: 60,
      layers: ["arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension-Arm64:23"],
    });
  });

  test("is deployed from the zip of the staged directory, without the source map", () => {
    const [id] = Object.keys(stack.data.archive_file ?? {});
    expect(zip).toMatchObject({ type: "zip", excludes: ["index.mjs.map"], output_file_mode: "0644" });
    expect(zip.source_dir).toMatch(/^\$\{path\.module\}\/assets\/function_code_asset_\w+\/[0-9a-f]{32}$/);
    expect(zip.output_path).toBe("${path.module}/function.zip");
    expect(lambda.filename).toBe(`\${data.archive_file.${id}.output_path}`);
    expect(lambda.source_code_hash).toBe(`\${data.archive_file.${id}.output_base64sha256}`);
  });

  test("learns how long its shutdown may take, and where its database is", () => {
    expect(lambda.environment).toEqual({
      variables: {
        LOG_LEVEL: "info",
        SHUTDOWN_EXTENSION: "external",
        SHUTDOWN_BUDGET_MS: "300",
        DB_HOST: "db.example.com",
        DB_PORT: "3306",
        DB_NAME: "orders",
        DB_AUTH: "secret",
        DB_SECRET_ARN: secretArn,
      },
    });
  });

  test("waits for every attachment", () => {
    const attachments = Object.keys(stack.resource.aws_iam_role_policy_attachment ?? {});
    expect(attachments).toHaveLength(2);
    expect([...(lambda.depends_on as string[])].sort()).toEqual(
      attachments.map((id) => `aws_iam_role_policy_attachment.${id}`),
    );
  });

  test("gives its names away as outputs", () => {
    expect(Object.keys(stack.output).sort()).toEqual([
      "function_arn",
      "function_insights_layer_arn",
      "function_log_group_name",
      "function_name",
      "function_role_arn",
    ]);
    expect(stack.output.function_log_group_name?.value).toBe("/aws/lambda/orders");
  });

  test("needs no database", () => {
    const { resource } = synthesize();
    expect(only(resource, "aws_lambda_function").environment).toEqual({
      variables: { SHUTDOWN_EXTENSION: "external", SHUTDOWN_BUDGET_MS: "300" },
    });
    expect(Object.keys(resource.aws_iam_policy ?? {})).toHaveLength(1);
  });

  test("can stand beside another", () => {
    const both = newStack();
    new GracefulFunction(both, "other", { region: "us-east-1", functionName: "other", entry: ENTRY });
    const { output, data } = synthesize({}, both);
    expect(Object.keys(output)).toEqual(expect.arrayContaining(["function_arn", "other_arn"]));
    const paths = Object.values(data.archive_file ?? {}).map((each) => each.output_path);
    expect(new Set(paths).size).toBe(2);
  });
});

describe("policies", () => {
  function statements(settings: Partial<GracefulFunctionConfig>): Record<string, unknown>[] {
    const { data, resource } = synthesize(settings);
    const [partition] = Object.keys(data.aws_partition ?? {});
    return Object.values(resource.aws_iam_policy ?? {}).flatMap(
      (each) =>
        policy(String(each.policy).replaceAll(`\${data.aws_partition.${partition}.partition}`, "PARTITION")).Statement,
    );
  }
  const logging = {
    Effect: "Allow",
    Action: ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
    Resource: [
      "arn:PARTITION:logs:us-east-1:*:log-group:/aws/lambda/orders:*",
      "arn:PARTITION:logs:us-east-1:*:log-group:/aws/lambda-insights:*",
    ],
  };

  test("Lambda, and nothing else, may assume the role", () => {
    const { resource } = synthesize();
    expect(policy(only(resource, "aws_iam_role").assume_role_policy)).toEqual({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "lambda.amazonaws.com" } }],
    });
  });

  test("the function may write to its own log group and to that of Insights only", () => {
    expect(statements({})).toEqual([logging]);
  });

  test("a secret adds the right to read that secret", () => {
    expect(statements({ database })).toEqual([
      { Effect: "Allow", Action: "secretsmanager:GetSecretValue", Resource: secretArn },
      logging,
    ]);
  });

  test("IAM authentication adds the right to connect as that user", () => {
    const auth = { type: "iam", resourceId: "cluster-ABC" } as const;
    expect(statements({ database: { ...database, user: "app", auth } })).toEqual([
      {
        Effect: "Allow",
        Action: "rds-db:connect",
        Resource: expect.stringMatching(
          /^arn:PARTITION:rds-db:us-east-1:\$\{data\.aws_caller_identity\.\w+\.account_id\}:dbuser:cluster-ABC\/app$/,
        ) as string,
      },
      logging,
    ]);
  });
});

describe("values that only Terraform knows", () => {
  const stack = newStack();
  const text = new TerraformVariable(stack, "text", { type: "string" }).stringValue;
  const number = new TerraformVariable(stack, "number", { type: "number" }).numberValue;
  const synthesized = synthesize(
    {
      region: text,
      functionName: text,
      memorySize: number,
      timeout: number,
      environment: { TEXT: text },
      database: { host: text, port: number, name: text, user: text, auth: { type: "iam", resourceId: text } },
    },
    stack,
  );
  const lambda = only(synthesized.resource, "aws_lambda_function");

  test("reach the function", () => {
    expect(lambda).toMatchObject({
      function_name: "${var.text}",
      memory_size: "${var.number}",
      timeout: "${var.number}",
      environment: { variables: { TEXT: "${var.text}", DB_PORT: "${var.number}", DB_USER: "${var.text}" } },
    });
  });

  test("as a region look the layer up, and fail the plan where there is none", () => {
    const [[local, arns] = []] = Object.entries(synthesized.locals ?? {});
    expect(lambda.layers).toEqual([`\${local.${local}[var.text]}`]);
    expect(Object.keys(arns ?? {})).toHaveLength(26);
    expect(arns?.["us-east-1"]).toBe("arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension-Arm64:23");
    expect(lambda.lifecycle).toEqual({
      precondition: [
        {
          condition: `\${contains(keys(local.${local}), var.text)}`,
          error_message: expect.stringMatching(
            /^region "\$\{var\.text\}" is not one of af-south-1, .*, us-west-2, the regions with an Insights layer for arm64 \(main\.ts: region\)$/,
          ) as string,
        },
      ],
    });
  });
});

describe("bad input", () => {
  test.each([
    [{ architecture: "arm" }, `architecture "arm" is not one of arm64, x86_64 (main.ts: architecture)`],
    [{ runtime: "nodejs20.x" }, `runtime "nodejs20.x" is not one of nodejs22.x, nodejs24.x (main.ts: runtime)`],
    [{ memorySize: 127 }, "memorySize 127 is not a whole number from 128 to 10240 MB (main.ts: memorySize)"],
    [{ memorySize: 10241 }, "memorySize 10241 is not a whole number from 128 to 10240 MB (main.ts: memorySize)"],
    [{ memorySize: 128.5 }, "memorySize 128.5 is not a whole number from 128 to 10240 MB (main.ts: memorySize)"],
    [{ timeout: 0 }, "timeout 0 is not a whole number from 1 to 900 s (main.ts: timeout)"],
    [{ timeout: 901 }, "timeout 901 is not a whole number from 1 to 900 s (main.ts: timeout)"],
    [{ functionName: "a b" }, `functionName "a b" is not 1 to 49 letters, digits, - and _ (main.ts: functionName)`],
    [
      { insightsLayer: InsightsLayer.arn("arn") },
      `insightsLayer "arn" is not of the form arn:<partition>:lambda:<region>:<account>:layer:<name>:<number> (main.ts: insightsLayer)`,
    ],
    [
      { database: { ...database, port: 0 } },
      "database.port 0 is not a whole number from 1 to 65535 (main.ts: database.port)",
    ],
    [
      { database: { ...database, port: 65536 } },
      "database.port 65536 is not a whole number from 1 to 65535 (main.ts: database.port)",
    ],
    [
      { database: { ...database, auth: { type: "password" } } },
      `database.auth.type "password" is not one of secret, iam (main.ts: database.auth.type)`,
    ],
    [
      { database: { ...database, auth: { type: "iam", resourceId: "db-1" } } },
      `database.user "" is not the name of a database user, which auth.type "iam" needs (main.ts: database.user)`,
    ],
  ])("%j is refused", (settings, expected) => {
    expect(problems(settings)).toEqual([expected]);
  });

  test.each(["DB_PASSWORD", "DB_HOST", "SHUTDOWN_BUDGET_MS"])("environment %s is the construct's own", (name) => {
    expect(problems({ environment: { [name]: "x" } })).toEqual([
      `environment "${name}" is set by the construct alone, as are DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_AUTH, DB_PASSWORD, DB_SECRET_ARN, SHUTDOWN_EXTENSION, SHUTDOWN_BUDGET_MS: use database (main.ts: environment)`,
    ]);
  });

  test("environment AWS_REGION is Lambda's own", () => {
    expect(problems({ environment: { AWS_REGION: "x" } })).toEqual([
      expect.stringMatching(/^environment "AWS_REGION" is not free in Lambda: .* \(main.ts: environment\)$/),
    ]);
  });

  test("is told all at once", () => {
    expect(
      problems({ region: "us-moon-1", memorySize: 1, timeout: 1000, runtime: "nodejs14.x", entry: "missing.ts" }),
    ).toEqual([
      expect.stringMatching(/^runtime "nodejs14.x"/),
      expect.stringMatching(/^memorySize 1 /),
      expect.stringMatching(/^timeout 1000 /),
      expect.stringMatching(/^region "us-moon-1" is not one of af-south-1, .* \(main.ts: region\)$/),
      expect.stringMatching(/^entry "missing.ts" is not a TypeScript file/),
    ]);
  });
});
