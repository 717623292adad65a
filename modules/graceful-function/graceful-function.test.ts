import { TerraformOutput, TerraformVariable, Testing, Token } from "cdktf";
import { GracefulFunction, type GracefulFunctionConfig } from "./graceful-function";
import { InsightsLayer } from "./insights-layer";
import { ShutdownExtension } from "./shutdown-extension";
import { ENTRY, newStack, only, policy, synthesize, type Attributes, type Synthesized } from "../__tests__/synthesis";

const secretArn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:orders";
const database = { host: "db.example.com", name: "orders", auth: { type: "secret", secretArn } } as const;

const KEY = "arn:aws:kms:us-east-1:123456789012:key/1";
const QUEUE = "arn:aws:sqs:us-east-1:123456789012:failed";
const LAYER = "arn:aws:lambda:us-east-1:123456789012:layer:tools:3";
const CODE_SIGNING = "arn:aws:lambda:us-east-1:123456789012:code-signing-config:csc-0123456789abcdefg";
const BOUNDARY = "arn:aws:iam::123456789012:policy/boundary";
const VPC = { subnetIds: ["subnet-1", "subnet-2"], securityGroupIds: ["sg-1"] };

const ALLOW = { Effect: "Allow", Action: "sqs:SendMessage", Resource: "*" } as const;
const ROLE = { name: "given", arn: "arn:aws:iam::123456789012:role/path/given" };

/** Every setting that adds a permission. */
const EVERYTHING: Partial<GracefulFunctionConfig> = {
  database,
  vpc: VPC,
  tracing: "Active",
  deadLetterTargetArn: QUEUE,
  environmentKmsKeyArn: KEY,
  statements: [{ Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::bucket/*" }],
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
    expect(ids).toHaveLength(8);
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
    [{ description: "Takes orders" }, { description: "Takes orders" }],
    [{ runtime: "nodejs22.x" }, { runtime: "nodejs22.x" }],
    [{ memorySize: 128 }, { memory_size: 128 }],
    [{ timeout: 900 }, { timeout: 900 }],
    [{ ephemeralStorage: 10240 }, { ephemeral_storage: { size: 10240 } }],
    [{ environmentKmsKeyArn: KEY }, { kms_key_arn: KEY }],
    [{ reservedConcurrency: 0 }, { reserved_concurrent_executions: 0 }],
    [{ tracing: "Active" }, { tracing_config: { mode: "Active" } }],
    [{ tracing: "PassThrough" }, { tracing_config: { mode: "PassThrough" } }],
    [{ deadLetterTargetArn: QUEUE }, { dead_letter_config: { target_arn: QUEUE } }],
    [{ codeSigningConfigArn: CODE_SIGNING }, { code_signing_config_arn: CODE_SIGNING }],
    [{ vpc: VPC }, { vpc_config: { subnet_ids: VPC.subnetIds, security_group_ids: VPC.securityGroupIds } }],
    [{ logGroup: { format: "Text" } }, { logging_config: { log_format: "Text" } }],
    [
      { logGroup: { format: "JSON", applicationLevel: "WARN", systemLevel: "INFO" } },
      { logging_config: { log_format: "JSON", application_log_level: "WARN", system_log_level: "INFO" } },
    ],
    [{ tags: { team: "orders" } }, { tags: { team: "orders" } }],
    [{ logGroup: { name: "/orders" } }, { logging_config: { log_format: "Text", log_group: "/orders" } }],
    [{ publishVersions: true }, { publish: true }],
    [{ alias: "live" }, { publish: true }],
    [{ vpc: { ...VPC, replaceSecurityGroupsOnDestroy: true } }, { replace_security_groups_on_destroy: true }],
    [
      { vpc: { ...VPC, replaceSecurityGroupsOnDestroy: true, replacementSecurityGroupIds: ["sg-2"] } },
      { replace_security_groups_on_destroy: true, replacement_security_group_ids: ["sg-2"] },
    ],
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
    const { resource } = synthesize({ ...EVERYTHING, functionUrl: true, tags });
    const tagged = Object.entries(resource).filter(([, each]) => Object.values(each).every((one) => one.tags));
    expect(tagged.map(([type]) => type).sort()).toEqual([
      "aws_cloudwatch_log_group",
      "aws_iam_policy",
      "aws_iam_role",
      "aws_lambda_function",
    ]);
    expect(tagged.flatMap(([, each]) => Object.values(each).map((one) => one.tags))).toEqual(Array(10).fill(tags));
    expect(new Set(Object.keys(resource))).toEqual(
      new Set([...tagged.map(([type]) => type), "aws_iam_role_policy_attachment", "aws_lambda_function_url"]),
    );
  });

  test("permissionsBoundaryArn bounds the role", () => {
    const role = only(synthesize({ permissionsBoundaryArn: BOUNDARY }).resource, "aws_iam_role");
    expect(role.permissions_boundary).toBe(BOUNDARY);
    expect(only(synthesize().resource, "aws_iam_role")).not.toHaveProperty("permissions_boundary");
  });

  test("functionUrl creates a URL that is not open to everybody, and an output for it", () => {
    const { resource, output } = synthesize({ functionUrl: true });
    const [id] = Object.keys(resource.aws_lambda_function_url ?? {});
    const [lambda] = Object.keys(resource.aws_lambda_function ?? {});
    expect(only(resource, "aws_lambda_function_url")).toMatchObject({
      authorization_type: "AWS_IAM",
      function_name: `\${aws_lambda_function.${lambda}.function_name}`,
    });
    expect(output.function_url?.value).toBe(`\${aws_lambda_function_url.${id}.function_url}`);
    expect(synthesize().resource).not.toHaveProperty("aws_lambda_function_url");
    expect(synthesize().output).not.toHaveProperty("function_url");
  });
});

describe("an alias", () => {
  test("points to the newest version, and is what callers get", () => {
    const { resource, output } = synthesize({ alias: "live", functionUrl: true });
    const [lambda] = Object.keys(resource.aws_lambda_function ?? {});
    const [alias] = Object.keys(resource.aws_lambda_alias ?? {});
    expect(only(resource, "aws_lambda_alias")).toMatchObject({
      name: "live",
      function_name: `\${aws_lambda_function.${lambda}.function_name}`,
      function_version: `\${aws_lambda_function.${lambda}.version}`,
    });
    expect(output.function_alias_arn?.value).toBe(`\${aws_lambda_alias.${alias}.arn}`);
    expect(output.function_invoke_arn?.value).toBe(`\${aws_lambda_alias.${alias}.invoke_arn}`);
    expect(only(resource, "aws_lambda_function_url").qualifier).toBe(`\${aws_lambda_alias.${alias}.name}`);
    expect(resource).not.toHaveProperty("aws_lambda_provisioned_concurrency_config");
    expect(synthesize().resource).not.toHaveProperty("aws_lambda_alias");
  });

  test("has environments that are kept ready, on request", () => {
    const { resource } = synthesize({ alias: "live", provisionedConcurrency: 2 });
    const [alias] = Object.keys(resource.aws_lambda_alias ?? {});
    expect(only(resource, "aws_lambda_provisioned_concurrency_config")).toMatchObject({
      provisioned_concurrent_executions: 2,
      qualifier: `\${aws_lambda_alias.${alias}.name}`,
    });
  });
});

describe("a role that exists", () => {
  test("gets a policy for each purpose", () => {
    const { resource, output } = synthesize({ ...EVERYTHING, role: ROLE });
    expect(resource).not.toHaveProperty("aws_iam_role");
    expect(Object.values(resource.aws_iam_policy ?? {})).toHaveLength(7);
    const attachments = Object.values(resource.aws_iam_role_policy_attachment ?? {});
    expect(attachments.map(({ role }) => role)).toEqual(Array(7).fill("given"));
    expect(output.function_role_arn?.value).toBe(ROLE.arn);
  });

  test("is not changed, on request", () => {
    const stack = newStack();
    const role = { ...ROLE, policies: "none" } as const;
    const { resource } = synthesize({ database, vpc: VPC, role }, stack);
    expect(Object.keys(resource).sort()).toEqual(["aws_cloudwatch_log_group", "aws_lambda_function"]);
    const lambda = stack.node.findChild("function");
    expect(() => lambda instanceof GracefulFunction && lambda.role.allow("queue", [ALLOW])).toThrow(
      'test/function/role: role.policies "none" does not allow the policy queue. Set it to',
    );
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
    version: lambda.version,
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
      version: `\${aws_lambda_function.${id}.version}`,
      logGroupName: "/aws/lambda/orders",
      roleName: `\${aws_iam_role.${role}.name}`,
      roleArn: `\${aws_iam_role.${role}.arn}`,
    });
    expect(lambda.resource.functionNameInput).toBe("orders");
    expect(lambda.alias).toBeUndefined();
  });

  test("gets more permissions later, without a cycle if the statement names the function", () => {
    const policies = Object.values(resource.aws_iam_policy ?? {});
    const queue = policies.find(({ name }) => name === "orders-us-east-1-queue");
    expect(policy(String(queue?.policy).replaceAll(/aws_lambda_function\.\w+\.arn/g, '"ARN"')).Statement).toEqual([
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
    ["a queue", [ALLOW], 'name "a queue" makes the policy name orders-us-east-1-a queue'],
    ["n".repeat(112), [ALLOW], "which is not 1 to 128 letters, digits and"],
    ["nothing", [], "statements [] is empty. A policy needs at least one statement"],
    ["open", [{ ...ALLOW, Resource: "${var.x" }], 'statements.Resource "${var.x" has a "${"'],
  ])("refuses the policy %s with %j", (name, statements, message) => {
    expect(() => lambda.role.allow(name, statements)).toThrow(message);
  });
});

describe("the log group", () => {
  test("has the name and class of the settings, and is kept on request", () => {
    const logGroup = { name: "/orders", class: "INFREQUENT_ACCESS", skipDestroy: true } as const;
    const { resource, output } = synthesize({ logGroup });
    expect(only(resource, "aws_cloudwatch_log_group")).toMatchObject({
      name: "/orders",
      log_group_class: "INFREQUENT_ACCESS",
      skip_destroy: true,
    });
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
      description: text,
      memorySize: number,
      timeout: number,
      ephemeralStorage: number,
      reservedConcurrency: number,
      environment: { TEXT: text },
      environmentKmsKeyArn: text,
      deadLetterTargetArn: text,
      codeSigningConfigArn: text,
      permissionsBoundaryArn: text,
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
      description: "${var.text}",
      ephemeral_storage: { size: "${var.number}" },
      reserved_concurrent_executions: "${var.number}",
      kms_key_arn: "${var.text}",
      dead_letter_config: { target_arn: "${var.text}" },
      code_signing_config_arn: "${var.text}",
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

  test("can be written as in HCL", () => {
    const { resource } = synthesize({ deadLetterTargetArn: "${aws_sqs_queue.failed.arn}" });
    expect(only(resource, "aws_lambda_function").dead_letter_config).toEqual({
      target_arn: "${aws_sqs_queue.failed.arn}",
    });
  });

  test("as a region look the layer up, and fail the plan where there is none", () => {
    const [[local, arns] = []] = Object.entries(synthesized.locals ?? {});
    expect(lambda.layers).toBe(`\${concat([local.${local}[var.text]], var.list)}`);
    expect(Object.keys(arns ?? {})).toHaveLength(26);
    expect(arns?.["us-east-1"]).toBe("arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension-Arm64:27");
    expect(lambda.lifecycle).toMatchObject({
      precondition: [
        { error_message: expect.stringContaining("is not the archive that was planned") as string },
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
  const own = '"SHUTDOWN_EXTENSION" = "external", "SHUTDOWN_BUDGET_MS" = "300"';

  function variables(environment: Readonly<Record<string, string>>, stack = newStack()): Attributes {
    return only(synthesize({ environment }, stack).resource, "aws_lambda_function");
  }

  function map(stack = newStack()): [Record<string, string>, typeof stack] {
    return [Token.asStringMap(new TerraformVariable(stack, "map", { type: "map(string)" }).value), stack];
  }

  test("as environment get the construct's own variables added", () => {
    const lambda = variables(...map());
    expect(lambda.environment).toEqual({ variables: `\${merge(var.map, {${own}})}` });
    expect(lambda.lifecycle).toMatchObject({
      precondition: expect.arrayContaining([
        {
          condition: expect.stringMatching(
            /^\$\{\(length\(setintersection\(keys\(var\.map\), \["DB_HOST", .*< 1\)\}$/,
          ) as string,
          error_message: expect.stringMatching(/^environment has a variable that .*: one of DB_HOST, .*/) as string,
        },
      ]) as unknown,
    });
  });

  test("as part of the environment do not hide the other part from the checks", () => {
    const [token, stack] = map();
    expect(variables({ ...token, LOG_LEVEL: "${var.level}", TEXT: "a" }, stack).environment).toEqual({
      variables: `\${merge(var.map, {"LOG_LEVEL" = var.level, "TEXT" = "a"}, {${own}})}`,
    });
    const [other, otherStack] = map();
    expect(() => variables({ ...other, AWS_REGION: "a" }, otherStack)).toThrow('environment "AWS_REGION"');
  });

  test("as tags are on everything that can have tags", () => {
    const [tags, stack] = map();
    const { resource } = synthesize({ tags }, stack);
    for (const type of ["aws_lambda_function", "aws_iam_role", "aws_cloudwatch_log_group"]) {
      expect(only(resource, type).tags).toBe("${var.map}");
    }
  });

  test("as tags, with a name that is known, are merged", () => {
    const [tags, stack] = map();
    const { resource } = synthesize({ tags: { ...tags, team: "orders" } }, stack);
    expect(only(resource, "aws_lambda_function").tags).toBe('${merge(var.map, {"team" = "orders"})}');
  });
});
