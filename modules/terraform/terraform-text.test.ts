import { TerraformVariable, Testing, Token } from "cdktf";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { GracefulFunction } from "../graceful-function/graceful-function";
import { hasExpressions, terraformText } from "./terraform-text";
import { ENTRY, newStack, only, synthesize, temporaryDirectory, type Synthesized } from "../__tests__/synthesis";

/** Text that a user gives → what it means, with var.team = `o"r\d` and var.list = ["a", "b"]. */
const TEXTS: readonly (readonly [string, string])[] = [
  ["plain", "plain"],
  ["${var.team}", 'o"r\\d'],
  ["x-${var.team}-y", 'x-o"r\\d-y'],
  ['${join("}", var.list)}', "a}b"],
  ['${var.team == "x" ? "yes" : "no"}', "no"],
  ["${aws:username}", "${aws:username}"],
  ["home/${aws:PrincipalTag/cost center}/*", "home/${aws:PrincipalTag/cost center}/*"],
  ["${aws:username, 'nobody'}/${var.list[0]}", "${aws:username, 'nobody'}/a"],
  ["${www.amazon.com:user_id} ${*} ${?} ${$}", "${www.amazon.com:user_id} ${*} ${?} ${$}"],
  ["$${var.team}", "${var.team}"],
  ["$${aws:username}", "${aws:username}"],
  ["%{if true}yes%{else}no%{endif}", "yes"],
  ["%{ for each in var.list }<${each}>%{ endfor ~}  ", "<a><b>"],
  ["%{User-Agent}i %{}", "%{User-Agent}i %{}"],
  ["%%{if}", "%{if}"],
  ['a "quoted" \\ text\nin two lines, 100 %, $5, $$, é', 'a "quoted" \\ text\nin two lines, 100 %, $5, $$, é'],
  ['"in quotes"', '"in quotes"'],
];

/** What Terraform makes of the expressions in a value of its JSON. */
function evaluated(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const directory = temporaryDirectory();
  const configuration = {
    variable: {
      team: { default: 'o"r\\d' },
      list: { default: ["a", "b"] },
      map: { type: "map(string)", default: { A: "1" } },
    },
    output: Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value }])),
  };
  writeFileSync(path.join(directory, "main.tf.json"), JSON.stringify(configuration));
  const terraform = (...args: readonly string[]): string => {
    const { status, stdout, stderr, error } = spawnSync("terraform", [`-chdir=${directory}`, ...args], {
      env: { PATH: process.env.PATH, HOME: directory, CHECKPOINT_DISABLE: "1" },
      encoding: "utf8",
    });
    if (status !== 0) throw error ?? new Error(stdout + stderr);
    return stdout;
  };
  terraform("apply", "-auto-approve", "-no-color");
  const outputs = JSON.parse(terraform("output", "-json")) as Record<string, { value: unknown }>;
  return Object.fromEntries(Object.entries(outputs).map(([name, { value }]) => [name, value]));
}

function policyStatement(stack: Synthesized, purpose: string): unknown {
  const found = Object.values(stack.resource.aws_iam_policy ?? {}).find(({ name }) => String(name).endsWith(purpose));
  return found?.policy;
}

const hasTerraform = spawnSync("terraform", ["version"]).status === 0;
const withTerraform = (claim: string, prove: () => void): void => {
  if (hasTerraform) test(claim, prove, 60_000);
  else
    test(`not tested, no terraform on PATH: ${claim}`, () => {
      console.warn(`not tested, no terraform on PATH: ${claim}`);
    });
};

describe("one rule for text, for Terraform itself", () => {
  withTerraform("in environment, description and tags, and in policies", () => {
    const texts = TEXTS.map(([text]) => text);
    const stack = synthesize({
      description: "x-${var.team}-y",
      environment: Object.fromEntries(texts.map((text, index) => [`TEXT_${index}`, text])),
      tags: Object.fromEntries(texts.map((text, index) => [`tag-${index}`, text])),
      statements: [
        {
          Effect: "Allow",
          Action: "s3:GetObject",
          Resource: texts,
          Condition: { StringEquals: Object.fromEntries(texts.map((text, index) => [`${index} ${text}`, text])) },
        },
      ],
    });
    const lambda = only(stack.resource, "aws_lambda_function");
    const { variables } = lambda.environment as { variables: Record<string, string> };
    const { environment, tags, description, policy } = evaluated({
      environment: variables,
      tags: lambda.tags,
      description: lambda.description,
      policy: policyStatement(stack, "-further"),
    });
    const meanings = TEXTS.map(([, meaning]) => meaning);
    expect(Object.entries(environment as object).filter(([name]) => name.startsWith("TEXT_"))).toEqual(
      expect.arrayContaining(meanings.map((meaning, index) => [`TEXT_${index}`, meaning])),
    );
    expect(tags).toEqual(Object.fromEntries(meanings.map((meaning, index) => [`tag-${index}`, meaning])));
    expect(description).toBe('x-o"r\\d-y');
    expect(JSON.parse(String(policy))).toEqual({
      Version: "2012-10-17",
      Statement: [
        {
          Effect: "Allow",
          Action: "s3:GetObject",
          Resource: meanings,
          Condition: { StringEquals: Object.fromEntries(meanings.map((text, index) => [`${index} ${text}`, text])) },
        },
      ],
    });
  });

  withTerraform("in ARNs, which the function gets and its policies name", () => {
    const secretArn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:${var.list[0]}";
    const stack = synthesize({
      database: { host: "${var.list[1]}.example.com", name: "orders", auth: { type: "secret", secretArn } },
    });
    const { variables } = only(stack.resource, "aws_lambda_function").environment as {
      variables: Record<string, string>;
    };
    const { environment, policy } = evaluated({ environment: variables, policy: policyStatement(stack, "-database") });
    const secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:a";
    expect(environment).toMatchObject({ DB_HOST: "b.example.com", DB_SECRET_ARN: secret });
    expect(JSON.parse(String(policy))).toMatchObject({ Statement: [{ Resource: secret }] });
  });

  withTerraform("beside tokens of CDKTF, and within their functions", () => {
    const stack = newStack();
    const team = new TerraformVariable(stack, "team", { type: "string" }).stringValue;
    const list = new TerraformVariable(stack, "list", { type: "list(string)" }).listValue;
    const lazy = Token.asString({ resolve: () => "lazy ${var.list[0]}", creationStack: [] });
    const Resource = [`${team}/$\{aws:username}/$\{var.list[1]}`, `$\{upper(${team})}`, lazy, `<${lazy}>`];
    const layer = "${var.list[0]}";
    const synthesized = synthesize(
      { environment: { TEXT: Resource[0] ?? "" }, layers: list, statements: [statement(Resource), statement(list)] },
      stack,
    );
    new GracefulFunction(stack, "other", {
      region: "${var.list[0]}",
      functionName: "other",
      code: { entry: ENTRY },
      layers: [layer],
    });
    const lambda = only(synthesized.resource, "aws_lambda_function");
    const { environment, policy, layers } = evaluated({
      environment: lambda.environment,
      layers: lambda.layers,
      policy: policyStatement(synthesized, "-further"),
    });
    const first = 'o"r\\d/${aws:username}/b';
    expect(environment).toMatchObject({ variables: { TEXT: first } });
    expect(layers).toEqual([expect.stringContaining(":layer:"), "a", "b"]);
    expect(JSON.parse(String(policy))).toMatchObject({
      Statement: [{ Resource: [first, 'O"R\\D', "lazy a", "<lazy a>"] }, { Resource: ["a", "b"] }],
    });
    expect(Testing.synth(stack)).toMatch(/contains\(keys\(local\.[\w-]+\), var\.list\[0\]\)/);
  });
});

function statement(Resource: readonly string[]) {
  return { Effect: "Allow", Action: "s3:GetObject", Resource } as const;
}

test("a second conversion changes nothing in a text, except in expressions", () => {
  for (const [text] of TEXTS.filter(([each]) => !hasExpressions(each))) {
    expect(terraformText(terraformText(text))).toBe(terraformText(text));
  }
});

test.each(["${", "a ${var.x", "%{ if", '${"}'])("%j is refused: its braces are not closed", (text) => {
  const expectation = `${JSON.stringify(text)} has a "\${" or "%{" without its "}"`;
  expect(() => synthesize({ description: text })).toThrow(`test/function: description ${expectation}`);
  expect(() => synthesize({ environment: { TEXT: text } })).toThrow(`environment.TEXT ${expectation}`);
});

test("known values are checked, also beside IAM's variables", () => {
  expect(hasExpressions("${aws:username}")).toBe(false);
  expect(hasExpressions("$${var.x}")).toBe(false);
  expect(() => synthesize({ functionName: "$${var.x}" })).toThrow("functionName");
});
