import { TerraformOutput, TerraformVariable, Testing, Token, type TerraformStack } from "cdktf";
import { Construct } from "constructs";
import { GracefulFunction, type GracefulFunctionConfig } from "./graceful-function";
import { InsightsLayer } from "./insights-layer";
import { ShutdownExtension } from "./shutdown-extension";
import { ENTRY, newStack, only, policy, synthesize, type Attributes, type Synthesized } from "../__tests__/synthesis";

const secretArn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders";
const database = { host: "db.example.com", name: "orders", auth: { type: "secret", secretArn } } as const;

const KEY = "arn:aws:kms:us-east-1:123456789012:key/1";
const LAYER = "arn:aws:lambda:us-east-1:123456789012:layer:tools:3";
const VPC = { subnetIds: ["subnet-1", "subnet-2"], securityGroupIds: ["sg-1"] };

const SETTINGS = { region: "us-east-1", functionName: "orders", code: { entry: ENTRY } };
const ALLOW = { Effect: "Allow", Action: "sqs:SendMessage", Resource: "*" } as const;
const ROLE = { name: "given", arn: "arn:aws:iam::123456789012:role/path/given" };

/** Every setting that adds a permission. */
const EVERYTHING: Partial<GracefulFunctionConfig> = {
  database,
  vpc: VPC,
  tracing: "Active",
};

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
      layers: ["arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension-Arm64:27"],
    });
  });

  test("is deployed from the zip of the staged directory", () => {
    const [id] = Object.keys(stack.data.archive_file ?? {});
    expect(zip).toMatchObject({ type: "zip", output_file_mode: "0644" });
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
        DB_CONNECT_TIMEOUT_MS: "3000",
      },
    });
  });

  test.each([
    [1, "400"],
    [5, "2000"],
    [8, "3000"],
    [900, "3000"],
  ])("with a timeout of %d s it gives a connect %s ms: two fifths of it, 3 s at the most", (timeout, milliseconds) => {
    expect(only(synthesize({ database, timeout }).resource, "aws_lambda_function")).toMatchObject({
      environment: { variables: { DB_CONNECT_TIMEOUT_MS: milliseconds } },
    });
  });

  test("waits for its log group and for every attachment", () => {
    const { resource } = synthesize(EVERYTHING);
    const ids = ["aws_cloudwatch_log_group", "aws_iam_role_policy_attachment"].flatMap((type) =>
      Object.keys(resource[type] ?? {}).map((id) => `${type}.${id}`),
    );
    expect(ids).toHaveLength(5);
    expect([...(only(resource, "aws_lambda_function").depends_on as string[])].sort()).toEqual(ids.sort());
  });

  test("has its names as outputs", () => {
    expect(Object.keys(stack.output).sort()).toEqual([
      "function_arn",
      "function_insights_layer_arn",
      "function_invoke_arn",
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
    new GracefulFunction(both, "other", { region: "us-east-1", functionName: "other", code: { entry: ENTRY } });
    const { output, data } = synthesize({}, both);
    expect(Object.keys(output)).toEqual(expect.arrayContaining(["function_arn", "other_arn"]));
    const paths = Object.values(data.archive_file ?? {}).map((each) => each.output_path);
    expect(new Set(paths).size).toBe(2);
  });
});

describe("an option", () => {
  /** The function's attributes with the setting, and whether it has them without. */
  test.each<[Partial<GracefulFunctionConfig>, Attributes]>([
    [{ runtime: "nodejs22.x" }, { runtime: "nodejs22.x" }],
    [{ memorySize: 128 }, { memory_size: 128 }],
    [{ timeout: 900 }, { timeout: 900 }],
    [{ ephemeralStorage: 10240 }, { ephemeral_storage: { size: 10240 } }],
    [{ reservedConcurrency: 0 }, { reserved_concurrent_executions: 0 }],
    [{ tracing: "Active" }, { tracing_config: { mode: "Active" } }],
    [{ vpc: VPC }, { vpc_config: { subnet_ids: VPC.subnetIds, security_group_ids: VPC.securityGroupIds } }],
    [
      { logGroup: { format: "JSON", applicationLevel: "WARN", systemLevel: "INFO" } },
      { logging_config: { log_format: "JSON", application_log_level: "WARN", system_log_level: "INFO" } },
    ],
    [{ tags: { team: "orders" } }, { tags: { team: "orders" } }],
    [{ logGroup: { name: "/orders" } }, { logging_config: { log_format: "Text", log_group: "/orders" } }],
    [{ role: ROLE }, { role: ROLE.arn }],
    [
      { architecture: "x86_64" },
      {
        architectures: ["x86_64"],
        layers: [expect.stringMatching(/^arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension:\d+$/)],
      },
    ],
    [{ shutdownExtension: ShutdownExtension.internal(), layers: [LAYER] }, { layers: [LAYER] }],
    [
      { shutdownExtension: ShutdownExtension.insights(InsightsLayer.arn(LAYER)), layers: [LAYER] },
      { layers: [LAYER, LAYER] },
    ],
  ])("%j reaches the function, and is absent without the option", (settings, attributes) => {
    expect(only(synthesize(settings).resource, "aws_lambda_function")).toMatchObject(attributes);
    expect(only(synthesize().resource, "aws_lambda_function")).not.toMatchObject(attributes);
  });

  test("tags: on everything that can have tags", () => {
    const tags = { team: "orders" };
    const { resource } = synthesize({ ...EVERYTHING, tags });
    const tagged = Object.entries(resource).filter(([, each]) => Object.values(each).every((one) => one.tags));
    expect(tagged.map(([type]) => type).sort()).toEqual([
      "aws_cloudwatch_log_group",
      "aws_iam_policy",
      "aws_iam_role",
      "aws_lambda_function",
    ]);
    expect(tagged.flatMap(([, each]) => Object.values(each).map((one) => one.tags))).toEqual(Array(7).fill(tags));
    expect(new Set(Object.keys(resource))).toEqual(
      new Set([...tagged.map(([type]) => type), "aws_iam_role_policy_attachment"]),
    );
  });

  test.each<[Partial<GracefulFunctionConfig>, Attributes]>([
    [{}, { log_format: "Text", log_group: "/aws/lambda/orders" }],
    [
      { logGroup: { format: "JSON" } },
      {
        log_format: "JSON",
        log_group: "/aws/lambda/orders",
        application_log_level: "INFO",
        system_log_level: "INFO",
      },
    ],
  ])(
    "that is not set has its default written, which Terraform would not restore otherwise: %j",
    (settings, logging) => {
      expect(only(synthesize(settings).resource, "aws_lambda_function")).toMatchObject({
        ephemeral_storage: { size: 512 },
        tracing_config: { mode: "PassThrough" },
        logging_config: logging,
      });
    },
  );
});

describe("a role that exists", () => {
  test("gets a policy for each purpose", () => {
    const { resource, output } = synthesize({ ...EVERYTHING, role: ROLE });
    expect(resource).not.toHaveProperty("aws_iam_role");
    expect(Object.values(resource.aws_iam_policy ?? {})).toHaveLength(4);
    const attachments = Object.values(resource.aws_iam_role_policy_attachment ?? {});
    expect(attachments.map(({ role }) => role)).toEqual(Array(4).fill("given"));
    expect(output.function_role_arn?.value).toBe(ROLE.arn);
  });
});

describe("what others build on", () => {
  const stack = newStack();
  const settings = { region: "us-east-1", functionName: "orders", code: { entry: ENTRY } };
  const lambda = new GracefulFunction(stack, "function", settings);
  const members = {
    functionName: lambda.functionName,
    arn: lambda.arn,
    invokeArn: lambda.invokeArn,
    logGroupName: lambda.logGroupName,
    roleName: lambda.role.name,
    roleArn: lambda.role.arn,
  };
  const attachment = lambda.role.allow("queue", [{ ...ALLOW, Resource: lambda.arn }]);
  new TerraformOutput(stack, "members", { value: members });
  new TerraformOutput(stack, "attachment", { value: attachment.fqn });
  const { resource, output } = JSON.parse(Testing.synth(stack)) as Synthesized;
  const [id] = Object.keys(resource.aws_lambda_function ?? {});
  const [role] = Object.keys(resource.aws_iam_role ?? {});

  test("are references to the function, its role and its log group", () => {
    expect(output.members?.value).toEqual({
      functionName: `\${aws_lambda_function.${id}.function_name}`,
      arn: `\${aws_lambda_function.${id}.arn}`,
      invokeArn: `\${aws_lambda_function.${id}.invoke_arn}`,
      logGroupName: "/aws/lambda/orders",
      roleName: `\${aws_iam_role.${role}.name}`,
      roleArn: `\${aws_iam_role.${role}.arn}`,
    });
    expect(lambda.resource.functionNameInput).toBe("orders");
  });

  test("gets more permissions later, without a cycle if the statement names the function", () => {
    const policies = Object.values(resource.aws_iam_policy ?? {});
    const queue = policies.find(({ name }) => name === "orders-us-east-1-queue");
    expect(policy(String(queue?.policy).replaceAll(/\$\{aws_lambda_function\.\w+\.arn\}/g, "ARN")).Statement).toEqual([
      { ...ALLOW, Resource: "ARN" },
    ]);
    const attachments = Object.keys(resource.aws_iam_role_policy_attachment ?? {});
    const added = attachments.find((each) => each.includes("queue"));
    expect(output.attachment?.value).toBe(`\${aws_iam_role_policy_attachment.${added}}`);
    expect(only(resource, "aws_lambda_function").depends_on).not.toContain(`aws_iam_role_policy_attachment.${added}`);
  });

  test.each([
    ["queue", [ALLOW], 'name "queue" is already the name of a policy of this role'],
    ["logging", [ALLOW], 'name "logging" is already the name of a policy of this role'],
    ["nothing", [], "statements [] is empty. A policy needs at least one"],
  ])("refuses the policy %s with %j", (name, statements, message) => {
    expect(() => lambda.role.allow(name, statements)).toThrow(message);
  });
});

describe("the log group", () => {
  test("has the name of the settings", () => {
    const { resource, output } = synthesize({ logGroup: { name: "/orders" } });
    expect(only(resource, "aws_cloudwatch_log_group").name).toBe("/orders");
    expect(output.function_log_group_name?.value).toBe("/orders");
    const policies = Object.values(resource.aws_iam_policy ?? {}).map((each) => String(each.policy));
    expect(policies.join()).toContain(":log-group:/orders:*");
  });

  test("belongs to the stack and keeps lines for a year", () => {
    const group = only(synthesize().resource, "aws_cloudwatch_log_group");
    expect(group).toMatchObject({ name: "/aws/lambda/orders", retention_in_days: 365 });
    expect(group).not.toHaveProperty("kms_key_id");
  });

  test("takes retention and key from the settings", () => {
    const { resource } = synthesize({ logGroup: { retentionDays: 0, kmsKeyArn: KEY } });
    expect(only(resource, "aws_cloudwatch_log_group")).toMatchObject({ retention_in_days: 0, kms_key_id: KEY });
  });

  test("can be left to Lambda", () => {
    const { resource, output } = synthesize({ logGroup: { createdBy: "Lambda" } });
    expect(resource).not.toHaveProperty("aws_cloudwatch_log_group");
    expect(output.function_log_group_name?.value).toBe("/aws/lambda/orders");
  });
});

describe("Insights in a VPC", () => {
  const warning = expect.stringContaining("Set vpc.reachesLogs if there is one") as string;

  function warnings(settings: Partial<GracefulFunctionConfig>): unknown[] {
    const stack = newStack();
    synthesize(settings, stack);
    return stack.node.findAll().flatMap(({ node }) => node.metadata.map(({ data }) => data as unknown));
  }

  test("is warned about: it needs CloudWatch Logs", () => {
    expect(warnings({ vpc: VPC })).toContainEqual(warning);
  });

  test.each<Partial<GracefulFunctionConfig>>([
    {},
    { vpc: { ...VPC, reachesLogs: true } },
    { vpc: VPC, shutdownExtension: ShutdownExtension.internal() },
    { vpc: VPC, shutdownExtension: ShutdownExtension.layer(LAYER) },
  ])("causes no warning otherwise: %j", (settings) => {
    expect(warnings(settings)).not.toContainEqual(warning);
  });
});

describe("values that only Terraform knows", () => {
  const stack = newStack();
  const text = new TerraformVariable(stack, "text", { type: "string" }).stringValue;
  const number = new TerraformVariable(stack, "number", { type: "number" }).numberValue;
  const list = new TerraformVariable(stack, "list", { type: "list(string)" }).listValue;
  const synthesized = synthesize(
    {
      region: text,
      functionName: text,
      memorySize: number,
      timeout: number,
      ephemeralStorage: number,
      reservedConcurrency: number,
      environment: { TEXT: text },
      layers: list,
      vpc: { subnetIds: list, securityGroupIds: list },
      logGroup: { retentionDays: number, kmsKeyArn: text },
      database: {
        host: text,
        port: number,
        name: text,
        user: text,
        auth: { type: "iam", resourceId: text },
        connectionLimit: number,
        maxConnections: number,
      },
    },
    stack,
  );
  const lambda = only(synthesized.resource, "aws_lambda_function");

  test("reach the function", () => {
    expect(lambda).toMatchObject({
      function_name: "${var.text}",
      memory_size: "${var.number}",
      timeout: "${var.number}",
      ephemeral_storage: { size: "${var.number}" },
      reserved_concurrent_executions: "${var.number}",
      vpc_config: { subnet_ids: "${var.list}", security_group_ids: "${var.list}" },
      environment: {
        variables: {
          TEXT: "${var.text}",
          DB_PORT: "${var.number}",
          DB_USER: "${var.text}",
          DB_CONNECT_TIMEOUT_MS: "${min((var.number * 400), 3000)}",
        },
      },
    });
  });

  test("can be written as in HCL, in attributes and in policies", () => {
    const auth = { type: "secret", secretArn: "${var.secret}" } as const;
    const { resource } = synthesize({
      database: { ...database, auth },
      environment: { QUEUE: "${aws_sqs_queue.x.url}" },
    });
    expect(only(resource, "aws_lambda_function").environment).toMatchObject({
      variables: { QUEUE: "${aws_sqs_queue.x.url}", DB_SECRET_ARN: "${var.secret}" },
    });
    const policies = Object.values(resource.aws_iam_policy ?? {}).map((each) => String(each.policy));
    expect(policies.join()).toContain('"Resource":"${var.secret}"');
  });

  test("as a region look the layer up, and fail the plan where there is none", () => {
    const [[local, arns] = []] = Object.entries(synthesized.locals ?? {});
    expect(lambda.layers).toBe(`\${concat([local.${local}[var.text]], var.list)}`);
    expect(Object.keys(arns ?? {})).toHaveLength(26);
    expect(arns?.["us-east-1"]).toBe("arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension-Arm64:27");
    expect(lambda.lifecycle).toMatchObject({
      precondition: [
        { error_message: expect.stringContaining("is not the archive that was planned") as string },
        { error_message: expect.stringContaining("has more than 52428800 bytes") as string },
        { error_message: expect.stringContaining("the region of the AWS provider") as string },
        {
          condition: `\${contains(keys(local.${local}), var.text)}`,
          error_message: expect.stringMatching(
            /^region "\$\{var\.text\}" is not one of af-south-1, .*, us-west-2, the regions with an Insights layer for arm64$/,
          ) as string,
        },
      ],
    });
  });
});

describe("maps that only Terraform knows", () => {
  const stack = newStack();
  const map = new TerraformVariable(stack, "map", { type: "map(string)" });
  const values = Token.asStringMap(map.value);
  const { resource } = synthesize({ environment: values, tags: values }, stack);

  test("as environment get the construct's own variables added", () => {
    expect(only(resource, "aws_lambda_function").environment).toEqual({
      variables: '${merge(var.map, {"SHUTDOWN_EXTENSION" = "external", "SHUTDOWN_BUDGET_MS" = "300"})}',
    });
  });

  test("as tags are on everything that can have tags", () => {
    for (const type of ["aws_lambda_function", "aws_iam_role", "aws_cloudwatch_log_group"]) {
      expect(only(resource, type).tags).toBe("${var.map}");
    }
  });
});

test("any token of CDKTF is taken, also one that is an object", () => {
  const stack = newStack();
  const value = (name: string) => new TerraformVariable(stack, name, { type: "any" }).value as never;
  const settings = {
    functionName: value("name"),
    memorySize: value("memory"),
    environment: value("environment"),
    layers: value("layers"),
    vpc: { subnetIds: value("subnets"), securityGroupIds: value("groups") },
    logGroup: { retentionDays: value("days") },
  };
  const { resource } = synthesize({ ...settings, shutdownExtension: ShutdownExtension.internal() }, stack);
  expect(only(resource, "aws_lambda_function")).toMatchObject({
    function_name: "${var.name}",
    memory_size: "${var.memory}",
    layers: "${concat([], var.layers)}",
    vpc_config: { subnet_ids: "${var.subnets}", security_group_ids: "${var.groups}" },
  });
  expect(only(resource, "aws_iam_role").name).toBe("${var.name}-us-east-1");
  expect(only(resource, "aws_cloudwatch_log_group").retention_in_days).toBe("${var.days}");
});

describe("formerId", () => {
  function moved(stack: TerraformStack, settings: Partial<GracefulFunctionConfig>, scope: Construct = stack): string[] {
    new GracefulFunction(scope, "new", { ...SETTINGS, ...settings }).role.allow("queue", [ALLOW]);
    const json = JSON.parse(Testing.synth(stack)) as { moved?: { from: string; to: string }[] };
    return (json.moved ?? []).map(({ from, to }) => `${from} ${to}`).sort();
  }

  /** As the resources were called under the former path. */
  function names(stack: TerraformStack, id: string, scope: Construct = stack): string[] {
    new GracefulFunction(scope, id, SETTINGS).role.allow("queue", [ALLOW]);
    const { resource } = JSON.parse(Testing.synth(stack)) as Synthesized;
    return Object.entries(resource).flatMap(([type, each]) => Object.keys(each).map((name) => `${type}.${name}`));
  }

  test("moves every resource, also those that are added later", () => {
    const [before, stack] = [newStack(), newStack()];
    const found = moved(stack, { formerId: "old" });
    expect(found.map((each) => each.split(" ")[0])).toEqual(names(before, "old").sort());
    expect(found.map((each) => each.split(" ")[1]).sort()).toEqual(names(newStack(), "new").sort());
    expect(found).toHaveLength(7);
  });

  test("takes a path for a construct that was in another scope", () => {
    const [before, stack] = [newStack(), newStack()];
    const found = moved(stack, { formerId: "/orders/old" }, new Construct(stack, "sales"));
    expect(found.map((each) => each.split(" ")[0])).toEqual(
      names(before, "old", new Construct(before, "orders")).sort(),
    );
    expect(stack.node.tryFindChild("orders")).toBeUndefined();
  });

  test("writes nothing without it", () => {
    expect(moved(newStack(), {})).toEqual([]);
  });
});

test("code that was changed outside Terraform is a warning of every plan, unless the code is signed", () => {
  const stack = newStack();
  synthesize({}, stack);
  const { check } = JSON.parse(Testing.synth(stack)) as { check: Record<string, { assert: Record<string, string> }> };
  const condition = check.function_code?.assert.condition ?? "";
  expect(condition).toMatch(
    /^\$\{(aws_lambda_function\.\w+)\.package_type == "Image" \|\| try\(length\(\1\.signing_job_arn\), 0\) > 0 \|\| \1\.code_sha256 == \1\.source_code_hash\}$/,
  );
});
