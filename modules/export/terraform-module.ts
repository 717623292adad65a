import { ArchiveProvider } from "@cdktf/provider-archive/lib/provider";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { Fn, TerraformElement, TerraformStack, TerraformVariable, Token } from "cdktf";
import type { Construct, Node } from "constructs";
import type { Database } from "../graceful-function/database";
import { OWN_VARIABLES } from "../graceful-function/environment";
import { GracefulFunction } from "../graceful-function/graceful-function";
import { isKnown } from "../terraform/construct-settings-error";
import type { StackFunction } from "./stack-function";

/** Type, description and default; a variable without a default is required. */
type Row = readonly [type: string, description: string, defaultValue?: unknown];

/** Conditions in HCL, and what they ask for. The AWS provider checks the rest. */
const VALIDATIONS: Readonly<Record<string, readonly [condition: string, expectation: string]>> = {
  name: ['can(regex("^[A-Za-z0-9_-]{1,64}$", var.name))', "1 to 64 letters, digits, - and _"],
  runtime: ['contains(["nodejs22.x", "nodejs24.x"], var.runtime)', "nodejs22.x or nodejs24.x"],
  memory_size: ["var.memory_size >= 128 && var.memory_size <= 10240", "128 to 10240"],
  timeout: ["var.timeout >= 1 && var.timeout <= 900", "1 to 900"],
  reserved_concurrency: ["var.reserved_concurrency >= -1", "-1 or more"],
  environment: [
    `length(setintersection(keys(var.environment), ${JSON.stringify(OWN_VARIABLES)})) == 0`,
    `a map without ${OWN_VARIABLES.join(", ")}`,
  ],
  db_host: ['can(regex("^[^:/]+$", var.db_host))', "a host name without port and protocol"],
  db_port: ["var.db_port >= 1 && var.db_port <= 65535", "1 to 65535"],
  db_secret_arn: ['can(regex("^arn:[^:]+:secretsmanager:", var.db_secret_arn))', "the ARN of a secret"],
};

const DATABASE: Readonly<Record<string, Row>> = {
  db_host: ["string", "Host name of the MySQL server"],
  db_port: ["number", "Port of the MySQL server", 3306],
  db_name: ["string", "Name of the database"],
};
const SECRET: Readonly<Record<string, Row>> = {
  db_secret_arn: ["string", "ARN of the Secrets Manager secret with the log-in"],
};
const IAM: Readonly<Record<string, Row>> = {
  db_user: ["string", "Database user that logs in with an IAM token"],
  db_resource_id: ["string", "Resource id of the instance, the cluster or the proxy"],
};

function rows({ settings, auth, logRetentionDays }: StackFunction): Readonly<Record<string, Row>> {
  return {
    region: ["string", "Region of the function, the same as the AWS provider's"],
    name: ["string", "Name of the function; role, policies and log group are named after it"],
    architecture: ["string", "Processor; the Insights layer follows", settings.architecture],
    runtime: ["string", "Node.js of Lambda", settings.runtime],
    memory_size: ["number", "Megabytes of memory", settings.memorySize],
    timeout: ["number", "Seconds that an invocation may take", settings.timeout],
    reserved_concurrency: [
      "number",
      "Environments at a time; -1: as many as the account has",
      settings.reservedConcurrency,
    ],
    environment: ["map(string)", "Further environment variables", {}],
    log_retention_days: ["number", "Days that the log group keeps a line; 0: for ever", logRetentionDays],
    tags: ["map(string)", "Tags of function, role, policies and log group", settings.tags],
    role: ["object({ name = string, arn = string })", "A role that exists; null: the module creates one", null],
    subnet_ids: ["list(string)", "Subnets of the function; an empty list: no VPC", []],
    security_group_ids: ["list(string)", "Security groups of the function in its subnets", []],
    ...Object.fromEntries(
      settings.references.map((name) => [`env_${name}`, ["string", `Environment variable ${name}`]] as const),
    ),
    ...(auth === undefined ? {} : { ...DATABASE, ...(auth === "iam" ? IAM : SECRET) }),
  };
}

export interface TerraformModuleConfig {
  readonly source: StackFunction;
  /** Whether the archive runs on the function's architecture only. */
  readonly isNative: boolean;
}

/** The construct with Terraform variables for its settings. A variable's default is the setting of the stack. */
export class TerraformModule extends TerraformStack {
  readonly #variables: Readonly<Record<string, TerraformVariable>>;

  public constructor(scope: Construct, id: string, { source, isNative }: TerraformModuleConfig) {
    super(scope, id);
    // CDKTF needs providers. A module gets its one from its caller, so the export leaves them out.
    new AwsProvider(this, "aws");
    new ArchiveProvider(this, "archive");
    const { environment, references, logging, handler, architecture, ...settings } = source.settings;
    const architectures = isNative ? [architecture] : ["arm64", "x86_64"];
    const reason = isNative ? ": the archive holds native code for it" : "";
    this.#variables = this.addVariables(rows(source), {
      ...VALIDATIONS,
      architecture: [
        `contains(${JSON.stringify(architectures)}, var.architecture)`,
        architectures.join(" or ") + reason,
      ],
    });
    new GracefulFunction(this, "function", {
      ...settings,
      code: { directory: source.directory, handler },
      region: this.text("region"),
      functionName: this.text("name"),
      // A token has the type of any text.
      architecture: (isNative ? architecture : this.text("architecture")) as "arm64",
      runtime: this.text("runtime") as "nodejs24.x",
      memorySize: this.number("memory_size"),
      timeout: this.number("timeout"),
      reservedConcurrency: this.number("reserved_concurrency"),
      environment: this.environment(environment, references),
      logGroup: { ...logging, retentionDays: this.number("log_retention_days") },
      tags: Token.asStringMap(this.variable("tags").value),
      ...(source.auth === undefined ? {} : { database: this.database(source.auth, source.tlsServerName) }),
      // Two empty lists are no VPC, by the documentation of aws_lambda_function.
      vpc: { subnetIds: this.list("subnet_ids"), securityGroupIds: this.list("security_group_ids"), reachesLogs: true },
    });
  }

  /** Names without a hash, because a module has one function and its names should be readable. */
  protected override allocateLogicalId(element: TerraformElement | Node): string {
    return (element instanceof TerraformElement ? element.node : element).id.replaceAll("-", "_");
  }

  private addVariables(
    table: Readonly<Record<string, Row>>,
    validations: typeof VALIDATIONS,
  ): Record<string, TerraformVariable> {
    const entries = Object.entries(table).map(([name, [type, description, defaultValue]]) => {
      const nullable = defaultValue === null;
      const variable = new TerraformVariable(this, name, {
        type,
        description,
        // A setting that refers to another resource has to be set by the caller.
        default: isKnown(defaultValue) ? (defaultValue ?? undefined) : undefined,
        nullable,
      });
      // CDKTF 0.21 cannot write a default of null.
      if (nullable) variable.addOverride("default", null);
      const [condition, expectation] = validations[name] ?? [];
      if (condition !== undefined) {
        variable.addValidation({ condition: `\${${condition}}`, errorMessage: `${name} must be ${expectation}.` });
      }
      return [name, variable] as const;
    });
    return Object.fromEntries(entries);
  }

  private environment(own: Readonly<Record<string, string>>, references: readonly string[]): Record<string, string> {
    const further = Token.asStringMap(this.variable("environment").value);
    const named = Object.fromEntries(references.map((name) => [name, this.text(`env_${name}`)]));
    const all = { ...own, ...named };
    return Object.keys(all).length === 0 ? further : Token.asStringMap(Fn.merge([all, further]));
  }

  private database(auth: string, tlsServerName: string | undefined): Database {
    const server = { host: this.text("db_host"), port: this.number("db_port"), tlsServerName };
    const name = { ...server, name: this.text("db_name") };
    return auth === "iam"
      ? { ...name, user: this.text("db_user"), auth: { type: "iam", resourceId: this.text("db_resource_id") } }
      : { ...name, auth: { type: "secret", secretArn: this.text("db_secret_arn") } };
  }

  private variable(name: string): TerraformVariable {
    const found = this.#variables[name];
    if (found === undefined) throw new Error(`there is no variable ${name}`);
    return found;
  }

  private readonly text = (name: string): string => this.variable(name).stringValue;
  private readonly number = (name: string): number => this.variable(name).numberValue;
  private readonly list = (name: string): string[] => this.variable(name).listValue;
}
