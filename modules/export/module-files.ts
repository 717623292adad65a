type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
type Elements = Readonly<Record<string, Readonly<Record<string, Json>>>>;

/** Synthesized JSON of the module's stack. */
export type ModuleJson = Readonly<Record<string, Json>> & {
  readonly variable: Elements;
  readonly output: Elements;
  readonly data: Readonly<Record<string, Json>>;
  readonly resource: Readonly<Record<"aws_lambda_function" | "aws_iam_role" | "aws_iam_policy", Elements>>;
};

const HEADER = "Written by `npm run export` of lambda-graceful-shutdown, which replaces it the next time.";

/** Terraform's JSON syntax: https://developer.hashicorp.com/terraform/language/syntax/json */
const FILES = {
  "versions.tf.json": ["terraform"],
  "variables.tf.json": ["variable"],
  "main.tf.json": ["locals", "data", "resource", "check"],
  "outputs.tf.json": ["output"],
} as const;

/** 5.100.0 is the oldest provider that the test applies the module with. */
const REQUIREMENTS: Json = {
  required_version: ">= 1.5.0",
  required_providers: {
    aws: { source: "hashicorp/aws", version: ">= 5.100.0, != 6.0.0, != 6.1.0, != 6.2.0, < 7.0.0" },
  },
};

const ZIP = "${path.module}/function.zip";
const LOCALS = {
  // Without a VPC the permissions are denied. `count` must be known before Terraform creates the subnets.
  network_effect: '${length(var.subnet_ids) > 0 ? "Allow" : "Deny"}',
  role_arn: "${var.role == null ? one(aws_iam_role.role[*].arn) : var.role.arn}",
  role_name: "${var.role == null ? one(aws_iam_role.role[*].name) : var.role.name}",
};

const OUTPUTS = {
  function_role_name: {
    description: "Name of the execution role, to attach further policies to",
    value: "${local.role_name}",
  },
};

/** Whether the next export may replace a file of that text. */
export function isExported(text: string): boolean {
  return text.slice(0, 2 * HEADER.length).includes(HEADER);
}

/** The text files of the module. */
export function moduleFiles(json: ModuleJson): Record<string, string> {
  const module = adapted({ ...json, output: { ...json.output, ...OUTPUTS } });
  const files = Object.entries(FILES).map(([name, types]) => {
    const content = Object.fromEntries(types.map((type) => [type, module[type]]));
    return [name, `${JSON.stringify({ "//": HEADER, ...content }, undefined, 2)}\n`];
  });
  return { ...(Object.fromEntries(files) as Record<string, string>), "README.md": readme(module) };
}

/** With the zip and the caller's role in place of the archive provider and of a role that is always created. */
function adapted({ data, resource, locals = {}, ...rest }: ModuleJson): ModuleJson {
  const lambda = { filename: ZIP, source_code_hash: `\${filebase64sha256("${ZIP}")}` };
  const all = {
    ...rest,
    terraform: REQUIREMENTS,
    locals: { ...LOCALS, ...(locals as object) },
    data: { ...data, archive_file: undefined },
    resource: {
      ...resource,
      aws_lambda_function: { lambda: { ...resource.aws_lambda_function["lambda"], ...lambda } },
      aws_iam_role: { role: { count: "${var.role == null ? 1 : 0}", ...resource.aws_iam_role["role"] } },
    },
  };
  const text = JSON.stringify(all, withoutArchive)
    .replaceAll("${aws_iam_role.role.arn}", "${local.role_arn}")
    .replaceAll("${aws_iam_role.role.name}", "${local.role_name}");
  const module = JSON.parse(text) as ModuleJson;
  const { network } = module.resource.aws_iam_policy as { network: { policy: string } };
  network.policy = network.policy.replaceAll(/("Effect"\s*[:=]\s*)"Allow"/g, '$1"${local.network_effect}"');
  return module;
}

/** Leaves out where CDKTF notes the construct, the conditions on the archive, and what is then empty. */
function withoutArchive(name: string, value: Json): Json | undefined {
  if (name === "//") return undefined;
  if (name !== "lifecycle") return value;
  const { precondition = [], ...others } = value as { readonly precondition?: readonly Json[] };
  const kept = precondition.filter((each) => !JSON.stringify(each).includes("data.archive_file."));
  const lifecycle = { ...others, ...(kept.length > 0 ? { precondition: kept } : {}) };
  return Object.keys(lifecycle).length > 0 ? lifecycle : undefined;
}

function readme({ variable, output }: ModuleJson): string {
  const inputs = Object.entries(variable).map(([name, { type, description, default: value, validation }]) => {
    const defaultValue = value === undefined ? "required" : `\`${JSON.stringify(value)}\``;
    const [{ error_message: rule = "" } = {}] = (validation ?? []) as readonly Readonly<Record<string, string>>[];
    const meaning = `${description as string}. ${rule.replace(`${name} must be `, "Must be ")}`.replace(/[. ]*$/, "");
    return `| \`${name}\` | \`${type as string}\` | ${meaning} | ${defaultValue} |`;
  });
  const outputs = Object.entries(output).map(([name, { description }]) => `| \`${name}\` | ${description as string} |`);
  return `# Lambda function with a graceful shutdown

Terraform 1.5 or later and the AWS provider from 5.100.0, below 7, but not 6.0.0 to 6.2.0.
The runtime \`nodejs24.x\` needs version 6 of the provider. The plan fails if an input breaks its rule.

## Inputs

| name | type | meaning and rule | default |
| --- | --- | --- | --- |
${inputs.join("\n")}

## Outputs

| name | meaning |
| --- | --- |
${outputs.join("\n")}
`;
}
