import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { App, TerraformStack, TerraformVariable, Testing } from "cdktf";
import { GracefulFunction } from "./graceful-function";
import { MysqlDatabase } from "../mysql-database/mysql-database";
import {
  all,
  DATABASE as SERVER,
  FUNCTION as SETTINGS,
  jsonOf,
  newStack,
  only,
  synthesize,
  temporaryDirectory,
  type Attributes,
} from "../__tests__/synthesis";

const DATABASE = { region: "us-east-1", name: "orders", databaseName: "orders" };

function messages(attributes: Attributes | undefined): string[] {
  const { precondition = [] } = (attributes?.lifecycle ?? {}) as { precondition?: { error_message: string }[] };
  return precondition.map(({ error_message }) => error_message);
}

function regionMessages(stack: TerraformStack, type = "aws_lambda_function"): string[] {
  return messages(only(jsonOf(stack).resource, type)).filter((each) => each.includes("region of the AWS provider"));
}

test("the archive that was planned is a condition of every resource that waits for no other, and of later policies", () => {
  const stack = newStack();
  const { role } = new GracefulFunction(stack, "function", { ...SETTINGS, database: SERVER });
  role.allow("queue", [{ Effect: "Allow", Action: "sqs:SendMessage", Resource: "*" }]);
  const { resource, data } = jsonOf(stack);
  const [zip] = Object.keys(data.archive_file ?? {});
  const { aws_iam_role_policy_attachment: waiting = {}, ...guarded } = resource;
  expect(Object.keys(waiting)).toHaveLength(3);
  expect(all({ resource } as never, "aws_iam_policy")).toHaveLength(3);
  for (const each of Object.values(guarded).flatMap(Object.values<Attributes>)) {
    expect(messages(each)[0]).toContain(`\${data.archive_file.${zip}.output_path} is not the archive that was planned`);
  }
});

describe("a region that is not the AWS provider's", () => {
  test.each([
    ["a function", (stack: TerraformStack) => new GracefulFunction(stack, "it", SETTINGS)],
    ["a database", (stack: TerraformStack) => new MysqlDatabase(stack, "it", DATABASE)],
  ])("is refused for %s, before and after the provider is made", (_, make) => {
    const before = newStack();
    new AwsProvider(before, "aws", { region: "eu-west-1" });
    const message = 'test/it: region "us-east-1" differs from "eu-west-1", the region of the AWS provider test/aws';
    expect(() => make(before)).toThrow(message);

    const app = new App({ outdir: temporaryDirectory() });
    const after = new TerraformStack(app, "test");
    make(after);
    new AwsProvider(after, "aws", { region: "eu-west-1" });
    expect(() => {
      app.synth();
    }).toThrow(message);
  });

  test.each([
    [
      "aws_lambda_function",
      (stack: TerraformStack, region: string) => new GracefulFunction(stack, "it", { ...SETTINGS, region }),
    ],
    ["aws_vpc", (stack: TerraformStack, region: string) => new MysqlDatabase(stack, "it", { ...DATABASE, region })],
  ])("is found by Terraform at %s, if one of them is not known", (type, make) => {
    const withoutRegion = newStack();
    new AwsProvider(withoutRegion, "aws");
    make(withoutRegion, "us-east-1");
    expect(regionMessages(withoutRegion, type)).toEqual([
      expect.stringMatching(
        /^region "us-east-1" differs from "\$\{data\.aws_service_principal\.\w+\.region\}", the region of the AWS provider\. Set both to one region\.$/,
      ),
    ]);

    const variable = newStack();
    const region = new TerraformVariable(variable, "region", { type: "string" });
    new AwsProvider(variable, "aws", { region: "us-east-1" });
    make(variable, region.stringValue);
    expect(regionMessages(variable, type)).toHaveLength(1);
  });

  test("is not checked if both are the same, as text or as one variable", () => {
    const text = newStack();
    new AwsProvider(text, "aws", { region: "us-east-1" });
    new GracefulFunction(text, "it", SETTINGS);
    expect(regionMessages(text)).toEqual([]);

    const variable = newStack();
    const region = new TerraformVariable(variable, "region", { type: "string" });
    new AwsProvider(variable, "aws", { region: region.stringValue });
    new GracefulFunction(variable, "it", { ...SETTINGS, region: region.stringValue });
    expect(regionMessages(variable)).toEqual([]);
    expect(Testing.synth(variable)).not.toContain("aws_service_principal");
  });

  test("is compared with the given provider, which the whole construct uses", () => {
    const stack = newStack();
    new AwsProvider(stack, "aws", { region: "us-east-1" });
    const provider = new AwsProvider(stack, "ireland", { region: "eu-west-1", alias: "ireland" });
    expect(() => new GracefulFunction(stack, "wrong", { ...SETTINGS, provider })).toThrow(
      'region "us-east-1" differs from "eu-west-1", the region of the AWS provider test/ireland',
    );
    const there = { region: "eu-west-1", provider };
    new GracefulFunction(stack, "function", { ...SETTINGS, ...there }).role.allow("all", [
      { Effect: "Allow", Action: "*", Resource: "*" },
    ]);
    new MysqlDatabase(stack, "database", { ...DATABASE, ...there });
    const { resource, data } = jsonOf(stack);
    const elements = Object.entries({ ...resource, ...data }).flatMap(([type, each]) =>
      Object.values(each).map((attributes) => [type, attributes.provider] as const),
    );
    expect(new Set(elements.filter(([, each]) => each !== "aws.ireland").map(([type]) => type))).toEqual(
      new Set(["archive_file"]),
    );
  });
});

test("an archive of more than 50 MB, which Lambda takes from S3 only, fails the plan", () => {
  const { resource, data } = synthesize();
  const [zip] = Object.keys(data.archive_file ?? {});
  expect(only(resource, "aws_lambda_function").lifecycle).toMatchObject({
    precondition: expect.arrayContaining([
      expect.objectContaining({ condition: `\${(data.archive_file.${zip}.output_size <= 52428800)}` }),
    ]) as unknown,
  });
});

test("conditions are blocks in HCL, too", () => {
  const app = new App({ outdir: temporaryDirectory(), hclOutput: true });
  const stack = new TerraformStack(app, "test");
  new AwsProvider(stack, "aws");
  new GracefulFunction(stack, "function", SETTINGS);
  const hcl = String(Testing.synthHcl(stack));
  expect(hcl.match(/lifecycle \{\s+precondition \{\s+condition = /g)).toHaveLength(4);
  expect(hcl).not.toMatch(/precondition = /);
  expect(hcl).toMatch(/policy = "\$\{jsonencode\(\{"Version" = /);
});
