import { TerraformOutput, TerraformVariable, Testing, Token, type TerraformStack } from "cdktf";
import { Construct } from "constructs";
import { GracefulFunction, type GracefulFunctionConfig } from "./graceful-function";
import { InsightsLayer } from "./insights-layer";
import { ShutdownExtension } from "./shutdown-extension";
import {
  all,
  DATABASE,
  FUNCTION,
  jsonOf,
  KEY,
  lambdaOf,
  LAYER,
  newStack,
  only,
  policy,
  synthesize,
  VPC,
  type Attributes,
} from "../__tests__/synthesis";

const ALLOW = { Effect: "Allow", Action: "sqs:SendMessage", Resource: "*" } as const;
const ROLE = { name: "mine", arn: "arn:aws:iam::123456789012:role/path/mine" };

/** Every setting that adds a permission. */
const EVERYTHING: Partial<GracefulFunctionConfig> = { database: DATABASE, vpc: VPC, tracing: "Active" };

describe("the function", () => {
  test("is deployed from the zip of the staged directory", () => {
    const { data, resource } = synthesize();
    const zip = only(data, "archive_file");
    const [id] = Object.keys(data.archive_file ?? {});
    expect(zip).toMatchObject({ type: "zip", output_file_mode: "0644", output_path: "${path.module}/function.zip" });
    expect(zip.source_dir).toMatch(/^\$\{path\.module\}\/assets\/function_code_asset_\w+\/[0-9a-f]{32}$/);
    expect(only(resource, "aws_lambda_function")).toMatchObject({
      filename: `\${data.archive_file.${id}.output_path}`,
      source_code_hash: `\${data.archive_file.${id}.output_base64sha256}`,
    });
  });

  test.each([
    [1, "400"],
    [5, "2000"],
    [8, "3000"],
    [900, "3000"],
  ])("with a timeout of %d s it gives a connect %s ms: two fifths of it, 3 s at the most", (timeout, milliseconds) => {
    expect(lambdaOf({ database: DATABASE, timeout })).toMatchObject({
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
    const names = ["arn", "insights_layer_arn", "invoke_arn", "log_group_name", "name", "role_arn"];
    const { output } = synthesize();
    expect(Object.keys(output).sort()).toEqual(names.map((name) => `function_${name}`));
    expect(output.function_log_group_name?.value).toBe("/aws/lambda/orders");
  });

  test("is warned about by every plan if its code was changed outside Terraform, unless the code is signed", () => {
    const stack = newStack();
    synthesize({}, stack);
    const { check } = JSON.parse(Testing.synth(stack)) as { check: Record<string, { assert: Attributes }> };
    expect(check.function_code?.assert.condition).toMatch(
      /^\$\{(aws_lambda_function\.\w+)\.package_type == "Image" \|\| try\(length\(\1\.signing_job_arn\), 0\) > 0 \|\| \1\.code_sha256 == \1\.source_code_hash\}$/,
    );
  });
});

test.each<[Partial<GracefulFunctionConfig>, Attributes]>([
  [{ runtime: "nodejs22.x" }, { runtime: "nodejs22.x" }],
  [{ memorySize: 128 }, { memory_size: 128 }],
  [{ timeout: 900 }, { timeout: 900 }],
  [{ ephemeralStorage: 10240 }, { ephemeral_storage: { size: 10240 } }],
  [{ reservedConcurrency: 0 }, { reserved_concurrent_executions: 0 }],
  [{ tracing: "Active" }, { tracing_config: { mode: "Active" } }],
  [{ vpc: VPC }, { vpc_config: { subnet_ids: VPC.subnetIds, security_group_ids: VPC.securityGroupIds } }],
  [
    { logGroup: { format: "JSON", applicationLevel: "WARN", systemLevel: "DEBUG" } },
    { logging_config: { log_format: "JSON", application_log_level: "WARN", system_log_level: "DEBUG" } },
  ],
  [
    { logGroup: { format: "JSON" } },
    { logging_config: { log_format: "JSON", application_log_level: "INFO", system_log_level: "INFO" } },
  ],
  [{ logGroup: { name: "/orders" } }, { logging_config: { log_format: "Text", log_group: "/orders" } }],
  [{ role: ROLE }, { role: ROLE.arn }],
  [
    { architecture: "x86_64" },
    { architectures: ["x86_64"], layers: [expect.stringMatching(/580247275435:layer:LambdaInsightsExtension:\d+$/)] },
  ],
  [{ shutdownExtension: ShutdownExtension.internal(), layers: [LAYER] }, { layers: [LAYER] }],
  [
    { shutdownExtension: ShutdownExtension.insights(InsightsLayer.arn(LAYER)), layers: [LAYER] },
    { layers: [LAYER, LAYER] },
  ],
])("%j reaches the function, and is absent without the option", (settings, attributes) => {
  expect(lambdaOf(settings)).toMatchObject(attributes);
  expect(lambdaOf()).not.toMatchObject(attributes);
});

test("what Terraform would not restore has its default written", () => {
  expect(lambdaOf()).toMatchObject({
    ephemeral_storage: { size: 512 },
    tracing_config: { mode: "PassThrough" },
    logging_config: { log_format: "Text", log_group: "/aws/lambda/orders" },
  });
});

test.each([
  [() => ({ team: "orders" }), { team: "orders" }],
  [
    (stack: TerraformStack) => Token.asStringMap(new TerraformVariable(stack, "map", { type: "map(string)" }).value),
    "${var.map}",
  ],
])("tags are on everything that can have tags: %#", (tagsOf, written) => {
  const stack = newStack();
  const { aws_iam_role_policy_attachment, ...others } = synthesize(
    { ...EVERYTHING, tags: tagsOf(stack) },
    stack,
  ).resource;
  expect(aws_iam_role_policy_attachment).toBeDefined();
  const tags = Object.values(others).flatMap((each) => Object.values(each).map((one) => one.tags));
  expect(tags).toEqual(Array(7).fill(written));
});

test("a role that exists gets a policy for each purpose", () => {
  const stack = synthesize({ ...EVERYTHING, role: ROLE });
  expect(stack.resource).not.toHaveProperty("aws_iam_role");
  expect(all(stack, "aws_iam_policy")).toHaveLength(4);
  expect(all(stack, "aws_iam_role_policy_attachment").map(({ role }) => role)).toEqual(Array(4).fill("mine"));
  expect(stack.output.function_role_arn?.value).toBe(ROLE.arn);
});

describe("what others build on", () => {
  const stack = newStack();
  const lambda = new GracefulFunction(stack, "function", FUNCTION);
  const { functionName, arn, invokeArn, logGroupName, role } = lambda;
  const attachment = role.allow("queue", [{ ...ALLOW, Resource: arn }]);
  const members = { functionName, arn, invokeArn, logGroupName, roleName: role.name, roleArn: role.arn };
  new TerraformOutput(stack, "members", { value: { ...members, attachment: attachment.fqn } });
  const { resource, output } = jsonOf(stack);
  const added = Object.keys(resource.aws_iam_role_policy_attachment ?? {}).find((each) => each.includes("queue"));

  test("are references to the function, its role and its log group", () => {
    const [id] = Object.keys(resource.aws_lambda_function ?? {});
    const [roleId] = Object.keys(resource.aws_iam_role ?? {});
    expect(output.members?.value).toEqual({
      functionName: `\${aws_lambda_function.${id}.function_name}`,
      arn: `\${aws_lambda_function.${id}.arn}`,
      invokeArn: `\${aws_lambda_function.${id}.invoke_arn}`,
      logGroupName: "/aws/lambda/orders",
      roleName: `\${aws_iam_role.${roleId}.name}`,
      roleArn: `\${aws_iam_role.${roleId}.arn}`,
      attachment: `\${aws_iam_role_policy_attachment.${added}}`,
    });
    expect(lambda.resource.functionNameInput).toBe("orders");
  });

  test("gets more permissions later, without a cycle if the statement names the function", () => {
    const queue = Object.values(resource.aws_iam_policy ?? {}).find(({ name }) => name === "orders-us-east-1-queue");
    const text = String(queue?.policy).replaceAll(/\$\{aws_lambda_function\.\w+\.arn\}/g, "ARN");
    expect(policy(text).Statement).toEqual([{ ...ALLOW, Resource: "ARN" }]);
    expect(only(resource, "aws_lambda_function").depends_on).not.toContain(`aws_iam_role_policy_attachment.${added}`);
  });

  test.each([
    ["queue", [ALLOW], 'name "queue" is already the name of a policy of this role'],
    ["logging", [ALLOW], 'name "logging" is already the name of a policy of this role'],
    ["nothing", [], "statements [] is empty. A policy needs at least one"],
  ])("refuses the policy %s with %j", (name, statements, message) => {
    expect(() => role.allow(name, statements)).toThrow(message);
  });
});

describe("the log group", () => {
  test("has the name of the settings", () => {
    const stack = synthesize({ logGroup: { name: "/orders" } });
    expect(only(stack.resource, "aws_cloudwatch_log_group").name).toBe("/orders");
    expect(stack.output.function_log_group_name?.value).toBe("/orders");
    expect(JSON.stringify(all(stack, "aws_iam_policy"))).toContain(":log-group:/orders:*");
  });

  test.each([
    [{}, { retention_in_days: 365 }],
    [
      { retentionDays: 0, kmsKeyArn: KEY },
      { retention_in_days: 0, kms_key_id: KEY },
    ],
  ])("belongs to the stack, with the settings %j", (logGroup, expected) => {
    const { name, retention_in_days, kms_key_id } = only(synthesize({ logGroup }).resource, "aws_cloudwatch_log_group");
    expect({ name, retention_in_days, kms_key_id }).toEqual({ name: "/aws/lambda/orders", ...expected });
  });

  test("can be left to Lambda", () => {
    const { resource, output } = synthesize({ logGroup: { createdBy: "Lambda" } });
    expect(resource).not.toHaveProperty("aws_cloudwatch_log_group");
    expect(output.function_log_group_name?.value).toBe("/aws/lambda/orders");
  });
});

test.each<[Partial<GracefulFunctionConfig>, boolean]>([
  [{ vpc: VPC }, true],
  [{}, false],
  [{ vpc: { ...VPC, reachesLogs: true } }, false],
  [{ vpc: VPC, shutdownExtension: ShutdownExtension.internal() }, false],
  [{ vpc: VPC, shutdownExtension: ShutdownExtension.layer(LAYER) }, false],
])("Insights in a VPC is warned about, since it needs CloudWatch Logs: %j, %j", (settings, isWarned) => {
  const stack = newStack();
  synthesize(settings, stack);
  const warnings = stack.node.findAll().flatMap(({ node }) => node.metadata.map(({ data }) => String(data)));
  expect(warnings.some((each) => each.includes("Set vpc.reachesLogs if there is one"))).toBe(isWarned);
});

describe("values that only Terraform knows", () => {
  test("reach the function, whatever kind of token they are", () => {
    const stack = newStack();
    const text = new TerraformVariable(stack, "text", { type: "string" }).stringValue;
    const number = new TerraformVariable(stack, "number", { type: "number" }).numberValue;
    const any = (name: string) => new TerraformVariable(stack, name, { type: "any" }).value as never;
    const auth = { type: "iam", resourceId: text } as const;
    const settings = {
      region: text,
      functionName: any("name"),
      memorySize: any("memory"),
      timeout: number,
      ephemeralStorage: number,
      reservedConcurrency: number,
      environment: { TEXT: text, QUEUE: "${aws_sqs_queue.x.url}" },
      layers: any("layers"),
      vpc: { subnetIds: any("subnets"), securityGroupIds: any("groups") },
      logGroup: { retentionDays: any("days"), kmsKeyArn: text },
      database: { host: text, port: number, name: text, user: text, auth, maxConnections: number },
    };
    const { resource, locals = {} } = synthesize(settings, stack);
    const [[local, tables] = []] = Object.entries(locals);
    const arns = `local.${local}.arm64`;
    expect(only(resource, "aws_lambda_function")).toMatchObject({
      function_name: "${var.name}",
      memory_size: "${var.memory}",
      timeout: "${var.number}",
      ephemeral_storage: { size: "${var.number}" },
      reserved_concurrent_executions: "${var.number}",
      layers: `\${concat([${arns}[var.text]], var.layers)}`,
      vpc_config: { subnet_ids: "${var.subnets}", security_group_ids: "${var.groups}" },
      environment: {
        variables: {
          TEXT: "${var.text}",
          QUEUE: "${aws_sqs_queue.x.url}",
          DB_PORT: "${var.number}",
          DB_USER: "${var.text}",
          DB_CONNECT_TIMEOUT_MS: "${min((var.number * 400), 3000)}",
        },
      },
      lifecycle: {
        precondition: [
          { error_message: expect.stringContaining("is not the archive that was planned") as string },
          { error_message: expect.stringContaining("has more than 52428800 bytes") as string },
          { error_message: expect.stringContaining("the region of the AWS provider") as string },
          {
            condition: `\${contains(keys(${arns}), var.text)}`,
            error_message: `region "\${var.text}" is not one of \${join(", ", keys(${arns}))}, the regions with an Insights layer for arm64`,
          },
        ],
      },
    });
    expect(Object.keys((tables as Record<string, object>)["arm64"] ?? {})).toHaveLength(26);
    expect(only(resource, "aws_cloudwatch_log_group").retention_in_days).toBe("${var.days}");
    expect(only(resource, "aws_iam_role").name).toBe("${var.name}-${var.text}");
  });

  test("can be written as in HCL in a policy", () => {
    const auth = { type: "secret", secretArn: "${var.secret}" } as const;
    const policies = JSON.stringify(all(synthesize({ database: { ...DATABASE, auth } }), "aws_iam_policy"));
    expect(policies).toContain(String.raw`\"Resource\":\"\${var.secret}\"`.replace(String.raw`\$`, "$"));
  });

  test("as a map of the environment get the construct's own variables added", () => {
    const stack = newStack();
    const environment = Token.asStringMap(new TerraformVariable(stack, "map", { type: "map(string)" }).value);
    expect(lambdaOf({ environment }, stack).environment).toEqual({
      variables: '${merge(var.map, {"SHUTDOWN_EXTENSION" = "external", "SHUTDOWN_BUDGET_MS" = "300"})}',
    });
  });
});

describe("formerId", () => {
  /** `moved` blocks, and the names of all resources. */
  function synthesized(id: string, formerId?: string, team?: string) {
    const stack = newStack();
    const scope = team === undefined ? stack : new Construct(stack, team);
    new GracefulFunction(scope, id, { ...FUNCTION, formerId }).role.allow("queue", [ALLOW]);
    const { moved = [], resource } = JSON.parse(Testing.synth(stack)) as {
      moved?: { from: string; to: string }[];
      resource: object;
    };
    const names = Object.entries(resource).flatMap(([type, each]) =>
      Object.keys(each as object).map((name) => `${type}.${name}`),
    );
    return { moved, names: names.sort(), ids: stack.node.children.map(({ node }) => node.id) };
  }

  test.each([
    ["in the same scope", "old", undefined, undefined],
    ["in another scope", "/orders/old", "sales", "orders"],
  ])("moves every resource, also those that are added later: %s", (_, formerId, team, formerTeam) => {
    const { moved, names, ids } = synthesized("new", formerId, team);
    expect(moved.map(({ from }) => from).sort()).toEqual(synthesized("old", undefined, formerTeam).names);
    expect(moved.map(({ to }) => to).sort()).toEqual(names);
    expect(moved).toHaveLength(7);
    expect(ids).not.toContain("orders");
  });

  test("writes nothing without it", () => {
    expect(synthesized("new").moved).toEqual([]);
  });
});
