import { DataArchiveFile } from "@cdktf/provider-archive/lib/data-archive-file";
import { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity";
import { DataAwsPartition } from "@cdktf/provider-aws/lib/data-aws-partition";
import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import { LambdaFunction } from "@cdktf/provider-aws/lib/lambda-function";
import { Fn, TerraformOutput, Token } from "cdktf";
import { Construct } from "constructs";
import { CodeBundle } from "./code-bundle";
import { databaseEnvironment, databaseProblems, databaseStatement, type Database } from "./database";
import { environmentProblems } from "./environment";
import { InsightsLayer, type Architecture } from "./insights-layer";
import { notOneOf, problem, rangeProblems, SettingsError } from "./settings-error";

/** What Lambda still creates, and the lab runs: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html */
export const RUNTIMES = ["nodejs22.x", "nodejs24.x"] as const;
export type Runtime = (typeof RUNTIMES)[number];

/** Both from https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const MEMORY_SIZE = { min: 128, max: 10_240, unit: "MB" };
const TIMEOUT = { min: 1, max: 900, unit: "s" };

/** IAM allows 64 characters for the name of a role, which ends in "-" and the region, of 14 characters at the most. */
const FUNCTION_NAME = /^[\w-]{1,49}$/;

/**
 * How long Lambda leaves between SIGTERM and SIGKILL when an external extension is registered, as AWS's emulator has it:
 * https://github.com/aws/aws-lambda-runtime-interface-emulator (internal/lambda/rapid/shutdown.go).
 */
const SHUTDOWN_BUDGET_MS = 300;

export interface GracefulFunctionConfig {
  /** Region that the function is deployed to, the same as the AWS provider's. */
  readonly region: string;

  /** Name of the function; role, policies and log group are named after it. */
  readonly functionName: string;

  /** TypeScript file that exports `handler`, relative to the directory of cdktf.json. */
  readonly entry: string;

  /** @default "arm64" */
  readonly architecture?: Architecture;

  /** @default "nodejs24.x" */
  readonly runtime?: Runtime;

  /**
   * Megabytes of memory, 128 to 10240.
   * @default 1024
   */
  readonly memorySize?: number;

  /**
   * Seconds that an invocation may take, 1 to 900.
   * @default 60
   */
  readonly timeout?: number;

  /**
   * The layer whose extension makes Lambda send SIGTERM.
   * @default InsightsLayer.latest()
   */
  readonly insightsLayer?: InsightsLayer;

  /**
   * The database that the function connects to.
   * @default - no DB_* variables and no permission to reach a database
   */
  readonly database?: Database;

  /**
   * Further environment variables of the function.
   * @default {}
   */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * A Lambda function that is told before its execution environment is taken away, and how long it then has.
 *
 * @example
 * new GracefulFunction(this, "function", {
 *   region: "us-east-1",
 *   functionName: "orders",
 *   entry: "function/index.ts",
 *   database: { host: "db.example.com", name: "orders", auth: { type: "secret", secretArn } },
 * });
 */
export class GracefulFunction extends Construct {
  /** @throws SettingsError with everything that is wrong in `config`. */
  public constructor(scope: Construct, id: string, config: GracefulFunctionConfig) {
    super(scope, id);
    const {
      region,
      functionName,
      entry,
      architecture = "arm64",
      runtime = "nodejs24.x",
      memorySize = 1024,
      timeout = 60,
      insightsLayer = InsightsLayer.latest(),
      database,
      environment = {},
    } = config;

    SettingsError.throwIfAny([
      ...functionNameProblems(functionName),
      ...runtimeProblems(runtime),
      ...rangeProblems("memorySize", memorySize, MEMORY_SIZE),
      ...rangeProblems("timeout", timeout, TIMEOUT),
      ...insightsLayer.problems(region, architecture),
      ...(database ? databaseProblems(database) : []),
      ...environmentProblems(environment),
      ...CodeBundle.problems(entry),
    ]);

    const layer = insightsLayer.bind(this, region, architecture);
    const logGroupName = `/aws/lambda/${functionName}`;
    const { partition } = new DataAwsPartition(this, "partition");

    const role = new IamRole(this, "role", {
      // IAM is global: without the region a second deployment in the same account would collide with the first.
      name: `${functionName}-${region}`,
      assumeRolePolicy: JSON.stringify(
        policyDocument({
          Effect: "Allow",
          Action: "sts:AssumeRole",
          Principal: { Service: "lambda.amazonaws.com" },
        }),
      ),
    });

    const attach = (name: string, description: string, statement: object): IamRolePolicyAttachment => {
      const policy = new IamPolicy(this, name, {
        name: `${functionName}-${region}-${name}`,
        path: "/",
        description,
        // Not JSON.stringify: `cdktf synth --hcl` loses the quotes of a string with references in it.
        policy: Fn.jsonencode(policyDocument(statement)),
      });
      return new IamRolePolicyAttachment(this, `${name}-attachment`, { role: role.name, policyArn: policy.arn });
    };

    const attachments = [
      attach("logging", `Log groups of the Lambda function ${functionName}`, {
        Effect: "Allow",
        Action: ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
        // Any account: a policy of a role grants nothing outside the role's own.
        Resource: [logGroupName, "/aws/lambda-insights"].map(
          (name) => `arn:${partition}:logs:${region}:*:log-group:${name}:*`,
        ),
      }),
    ];
    if (database) {
      const account = database.auth.type === "iam" ? new DataAwsCallerIdentity(this, "caller").accountId : "";
      attachments.push(
        attach(
          "database",
          `Database log-in of the Lambda function ${functionName}`,
          databaseStatement(database, { partition, region, account }),
        ),
      );
    }

    const code = new CodeBundle(this, "code", { entry, runtime });
    const zip = new DataArchiveFile(this, "zip", {
      type: "zip",
      sourceDir: code.sourceDir,
      excludes: code.excludes,
      outputPath: `\${path.module}/${id}.zip`,
      // Else the mode, and with it the hash, depends on the umask of whoever synthesizes.
      outputFileMode: "0644",
    });

    const lambda = new LambdaFunction(this, "lambda", {
      functionName,
      role: role.arn,
      packageType: "Zip",
      filename: zip.outputPath,
      sourceCodeHash: zip.outputBase64Sha256,
      handler: code.handler,
      runtime,
      architectures: [architecture],
      memorySize,
      timeout,
      layers: [layer.arn],
      environment: {
        variables: {
          ...environment,
          ...(database ? databaseEnvironment(database) : {}),
          SHUTDOWN_EXTENSION: "external",
          SHUTDOWN_BUDGET_MS: String(SHUTDOWN_BUDGET_MS),
        },
      },
      // Else the first invocation can come before the permissions it needs.
      dependsOn: attachments,
      ...(layer.preconditions.length > 0 ? { lifecycle: { precondition: layer.preconditions } } : {}),
    });

    this.output("name", "Name of the function", lambda.functionName);
    this.output("arn", "ARN of the function", lambda.arn);
    this.output("role_arn", "ARN of the function's execution role", role.arn);
    this.output("log_group_name", "Log group that the function writes to", logGroupName);
    this.output("insights_layer_arn", "Insights layer of the function", Token.asString(Fn.element(lambda.layers, 0)));
  }

  /** An output under a name without a hash, so that scripts can rely on it: `function_arn` for the id "function". */
  private output(name: string, description: string, value: string): void {
    new TerraformOutput(this, name, { description, value }).overrideLogicalId(`${this.node.id}_${name}`);
  }
}

function policyDocument(statement: object): object {
  return { Version: "2012-10-17", Statement: [statement] };
}

function functionNameProblems(functionName: string): string[] {
  return Token.isUnresolved(functionName) || FUNCTION_NAME.test(functionName)
    ? []
    : [problem("functionName", functionName, "is not 1 to 49 letters, digits, - and _")];
}

function runtimeProblems(runtime: string): string[] {
  return Token.isUnresolved(runtime) || RUNTIMES.some((each) => each === runtime)
    ? []
    : [notOneOf("runtime", runtime, RUNTIMES)];
}
