import type { TerraformProvider } from "cdktf";
import { arnProblems, KMS_KEY } from "../terraform/arn";
import { CodeBundle, type CodeBundleConfig } from "../code/code-bundle";
import { authorityProblems } from "../code/certificate-authorities";
import { CodeDirectory, type CodeDirectoryConfig } from "../code/code-directory";
import { databaseEnvironment, databaseProblems, type Database } from "./database";
import { environmentProblems, environmentSizeProblems } from "./environment";
import type { ExistingRole } from "./execution-role";
import { ARCHITECTURES, type Architecture } from "./architecture";
import { layerVersionProblems } from "./layer-version";
import { logGroupProblems, type LogGroup } from "./log-group";
import type { PolicyStatement } from "./permissions";
import {
  choiceProblems,
  isKnown,
  notOneOf,
  problem,
  rangeProblems,
  templateProblems,
} from "../terraform/settings-error";
import { mergedMaps } from "../terraform/terraform-text";
import { ShutdownExtension } from "./shutdown-extension";

/** What Lambda still creates, and the lab runs: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html */
export const RUNTIMES = ["nodejs22.x", "nodejs24.x"] as const;
export type Runtime = (typeof RUNTIMES)[number];

const TRACINGS = ["Active", "PassThrough"] as const;
const LOGGING_POLICIES = ["own log group", "article"] as const;
const TRUST_POLICIES = ["own account", "article"] as const;

/** These from https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const MEMORY_SIZE = { min: 128, max: 10_240, unit: "MB" };
const TIMEOUT = { min: 1, max: 900, unit: "s" };
const EPHEMERAL_STORAGE = { min: 512, max: 10_240, unit: "MB" };
const MAX_LAYERS = 5;

/** https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html */
const FUNCTION_NAME = /^[\w-]{1,64}$/;
const MAX_DESCRIPTION = 256;

/** https://docs.aws.amazon.com/lambda/latest/api/API_CreateAlias.html */
const ALIAS = /^(?!\d+$)[\w-]{1,128}$/;

const ROLE_POLICIES = ["attached", "none"] as const;
const ROLE_NAME = /^[\w+=,.@-]{1,64}$/;

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const MAX_ROLE_NAME = 64;

export interface VpcConfig {
  /** Ids of the subnets; private ones, since a function has no public address. */
  readonly subnetIds: readonly string[];

  /** Ids of the security groups that the function is in. */
  readonly securityGroupIds: readonly string[];

  /**
   * Whether the subnets reach CloudWatch Logs through an interface endpoint or NAT. Insights needs this.
   * @default false - the synthesis warns, if the shutdown extension is Insights
   */
  readonly reachesLogs?: boolean;

  /**
   * Move the function's network interfaces to other security groups before it is destroyed. Lambda keeps the interfaces
   * for up to half an hour. Until then AWS refuses to delete their groups.
   * @default false
   */
  readonly replaceSecurityGroupsOnDestroy?: boolean;

  /**
   * Ids of the security groups that the interfaces are moved to.
   * @default - the default group of the VPC, with `replaceSecurityGroupsOnDestroy`
   */
  readonly replacementSecurityGroupIds?: readonly string[];
}

export interface GracefulFunctionConfig {
  /**
   * Region that the function is deployed to. It must be the region of the AWS provider. The synthesis checks this if it
   * knows both, else the plan does.
   */
  readonly region: string;

  /**
   * AWS provider of everything that the construct creates.
   * @default - the stack's provider without an alias
   */
  readonly provider?: TerraformProvider;

  /** Name of the function; role, policies and log group are named after it. */
  readonly functionName: string;

  /**
   * The code: `entry`, a TypeScript file that exports `handler`, is checked and bundled; `directory` is deployed as it
   * is. Both are relative to the directory of cdktf.json.
   */
  readonly code: CodeBundleConfig | CodeDirectoryConfig;

  /** @default - none */
  readonly description?: string;

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
   * Megabytes of /tmp, 512 to 10240.
   * @default 512
   */
  readonly ephemeralStorage?: number;

  /**
   * What makes Lambda send SIGTERM.
   * @default ShutdownExtension.insights()
   */
  readonly shutdownExtension?: ShutdownExtension;

  /**
   * The database that the function connects to.
   * @default - no DB_* variables and no permission to reach a database
   */
  readonly database?: Database;

  /**
   * Further environment variables of the function. The construct adds its own, also to a map that only Terraform knows.
   * @default {}
   */
  readonly environment?: Readonly<Record<string, string>>;

  /**
   * ARN of the KMS key that encrypts the environment variables.
   * @default - AWS's key for Lambda
   */
  readonly environmentKmsKeyArn?: string;

  /**
   * ARNs of further layer versions. A function can have 5, the layer of the shutdown extension included.
   * @default []
   */
  readonly layers?: readonly string[];

  /**
   * Execution environments that the function may have at a time. They are taken from the account's limit. 0 stops the
   * function.
   * @default - as many as the account has left
   */
  readonly reservedConcurrency?: number;

  /**
   * Publish a version with each change of code or configuration.
   * @default true with `alias`, else false
   */
  readonly publishVersions?: boolean;

  /**
   * Name of an alias that points to the newest version.
   * @default - no alias
   */
  readonly alias?: string;

  /**
   * Execution environments that Lambda keeps initialized for the alias. They cost money by the hour, used or not, and
   * count against `reservedConcurrency`.
   * @default - none
   */
  readonly provisionedConcurrency?: number;

  /**
   * X-Ray: "Active" traces invocations, "PassThrough" those that the caller traces.
   * @default "PassThrough" - which is Lambda's
   */
  readonly tracing?: (typeof TRACINGS)[number];

  /**
   * ARN of the SQS queue or SNS topic that gets the events of asynchronous invocations that failed.
   * @default - they are dropped
   */
  readonly deadLetterTargetArn?: string;

  /**
   * ARN of the code signing configuration. The stack does not sign its archive: with the policy "Warn" Lambda accepts
   * the code with a warning, with "Enforce" it refuses the code.
   * @default - code need not be signed
   */
  readonly codeSigningConfigArn?: string;

  /** @default - the function is in no VPC of yours */
  readonly vpc?: VpcConfig;

  /** @default - a log group of the stack, that keeps plain text for a year */
  readonly logGroup?: LogGroup;

  /**
   * "article" allows the function to create and write every log group of the account, as in the article.
   * @default "own log group" - and that of Insights, with Insights
   */
  readonly loggingPolicy?: (typeof LOGGING_POLICIES)[number];

  /**
   * "article" leaves out the condition that only this account's functions can use the role.
   * @default "own account"
   */
  readonly trustPolicy?: (typeof TRUST_POLICIES)[number];

  /**
   * A role that exists, for the function to run with.
   * @default - the construct creates a role
   */
  readonly role?: ExistingRole;

  /**
   * Create a URL for the function, or with `alias` for its newest version. Callers need the IAM permissions
   * `lambda:InvokeFunctionUrl` and `lambda:InvokeFunction`.
   * @default false
   */
  readonly functionUrl?: boolean;

  /**
   * ARN of the policy that is the role's permissions boundary.
   * @default - no boundary
   */
  readonly permissionsBoundaryArn?: string;

  /**
   * Further permissions of the function.
   * @default []
   */
  readonly statements?: readonly PolicyStatement[];

  /**
   * Tags of everything that can have tags: function, role, policies and log group.
   * @default {}
   */
  readonly tags?: Readonly<Record<string, string>>;
}

/** Defaults that the checks need, because they can contradict a setting. */
export function withDefaults(config: GracefulFunctionConfig) {
  return {
    ...config,
    architecture: config.architecture ?? "arm64",
    runtime: config.runtime ?? "nodejs24.x",
    memorySize: config.memorySize ?? 1024,
    timeout: config.timeout ?? 60,
    shutdownExtension: config.shutdownExtension ?? ShutdownExtension.insights(),
    environment: config.environment ?? {},
    layers: config.layers ?? [],
    logGroup: config.logGroup ?? {},
    statements: config.statements ?? [],
  } satisfies GracefulFunctionConfig;
}

/** All environment variables of the function. */
export function environmentVariables(config: GracefulFunctionConfig): Record<string, string> {
  const { environment, database, timeout, shutdownExtension } = withDefaults(config);
  const given = "entry" in config.code ? CodeBundle.environment(config.code, environment) : environment;
  return mergedMaps(given, {
    ...(database ? databaseEnvironment(database, timeout) : {}),
    ...shutdownExtension.environment,
  });
}

/** Everything that is wrong with the settings of a function; empty if nothing is. */
export function configProblems(config: GracefulFunctionConfig): string[] {
  const {
    region,
    functionName,
    code,
    description = "",
    architecture,
    runtime,
    ephemeralStorage = 512,
  } = withDefaults(config);
  const { memorySize, timeout, shutdownExtension, database, environment, layers, reservedConcurrency } =
    withDefaults(config);
  return [
    ...templateProblems({ ...config, code: undefined }),
    ...functionNameProblems(functionName, region, config.role !== undefined),
    ...descriptionProblems(description),
    ...choiceProblems("architecture", architecture, ARCHITECTURES),
    ...runtimeProblems(runtime, architecture),
    ...rangeProblems("memorySize", memorySize, MEMORY_SIZE),
    ...rangeProblems("timeout", timeout, TIMEOUT),
    ...rangeProblems("ephemeralStorage", ephemeralStorage, EPHEMERAL_STORAGE),
    ...rangeProblems("reservedConcurrency", reservedConcurrency ?? 0, { min: 0 }),
    ...versionProblems(config),
    ...roleProblems(config),
    ...choiceProblems("tracing", config.tracing, TRACINGS),
    ...choiceProblems("loggingPolicy", config.loggingPolicy, LOGGING_POLICIES),
    ...choiceProblems("trustPolicy", config.trustPolicy, TRUST_POLICIES),
    ...shutdownExtension.problems(region, architecture),
    ...layersProblems(layers, shutdownExtension, region, architecture),
    ...(database ? databaseProblems(database, reservedConcurrency) : []),
    // Reports a region that does not exist once.
    ...(database && !shutdownExtension.problems(region, architecture).some((each) => each.startsWith("region "))
      ? authorityProblems(database, region)
      : []),
    ...environmentProblems(environment),
    ...environmentSizeProblems(environmentVariables(config)),
    ...arnProblems("environmentKmsKeyArn", config.environmentKmsKeyArn, KMS_KEY),
    ...arnProblems(
      "deadLetterTargetArn",
      config.deadLetterTargetArn,
      "arn:<partition>:sqs:<region>:<account>:<queue>",
      "arn:<partition>:sns:<region>:<account>:<topic>",
    ),
    ...arnProblems(
      "codeSigningConfigArn",
      config.codeSigningConfigArn,
      "arn:<partition>:lambda:<region>:<account>:code-signing-config:<id>",
    ),
    ...arnProblems(
      "permissionsBoundaryArn",
      config.permissionsBoundaryArn,
      "arn:<partition>:iam::<account>:policy/<name>",
      "arn:<partition>:iam::aws:policy/<name>",
    ),
    ...(config.vpc ? vpcProblems(config.vpc) : []),
    ...logGroupProblems(config.logGroup ?? {}, environment),
    ...("entry" in code ? CodeBundle.problems(code) : CodeDirectory.problems(code)),
  ];
}

function functionNameProblems(functionName: string, region: string, hasRole: boolean): string[] {
  if (!isKnown(functionName)) return [];
  if (!FUNCTION_NAME.test(functionName)) {
    return [problem("functionName", functionName, "is not 1 to 64 letters, digits, - and _")];
  }
  const max = MAX_ROLE_NAME - `-${region}`.length;
  if (hasRole || !isKnown(region) || functionName.length <= max) return [];
  const role = `The role is called <functionName>-${region}, and IAM allows ${MAX_ROLE_NAME} characters`;
  return [problem("functionName", functionName, `is longer than ${max} characters. ${role}`)];
}

function versionProblems({
  publishVersions,
  alias,
  provisionedConcurrency,
  reservedConcurrency,
}: GracefulFunctionConfig) {
  const problems: string[] = [];
  if (alias !== undefined && isKnown(alias) && !ALIAS.test(alias)) {
    problems.push(
      problem("alias", alias, "is not 1 to 128 letters, digits, - and _ with at least one that is not a digit"),
    );
  }
  if (alias !== undefined && publishVersions === false) {
    problems.push(
      problem("publishVersions", "false", "does not go with alias, which points to a version. Set one of the two"),
    );
  }
  if (provisionedConcurrency === undefined) return problems;
  problems.push(...rangeProblems("provisionedConcurrency", provisionedConcurrency, { min: 1 }));
  if (alias === undefined) {
    problems.push(problem("provisionedConcurrency", provisionedConcurrency, "needs an alias. Set alias"));
  }
  if (reservedConcurrency !== undefined && [reservedConcurrency, provisionedConcurrency].every(isKnown)) {
    if (provisionedConcurrency > reservedConcurrency) {
      const above = `is more than reservedConcurrency ${reservedConcurrency}, from which Lambda takes it`;
      problems.push(problem("provisionedConcurrency", provisionedConcurrency, above));
    }
  }
  return problems;
}

function roleProblems({
  role,
  trustPolicy,
  permissionsBoundaryArn,
  loggingPolicy,
  statements,
}: GracefulFunctionConfig) {
  if (role === undefined) return [];
  const ignored = { trustPolicy, permissionsBoundaryArn };
  const unattached = role.policies === "none" ? { loggingPolicy, statements } : {};
  return [
    ...arnProblems("role.arn", role.arn, "arn:<partition>:iam::<account>:role/<name>"),
    ...(isKnown(role.name) && !ROLE_NAME.test(role.name)
      ? [problem("role.name", role.name, "is not 1 to 64 letters, digits and +=,.@_-. Set the name without its path")]
      : []),
    ...choiceProblems("role.policies", role.policies, ROLE_POLICIES),
    ...Object.entries(ignored).flatMap(([name, value]) =>
      value === undefined
        ? []
        : [problem(name, value, "applies only to a role that the construct creates. Remove it or role")],
    ),
    ...Object.entries(unattached).flatMap(([name, value]) =>
      value === undefined || value.length === 0
        ? []
        : [
            problem(
              name,
              JSON.stringify(value),
              'has no effect with role.policies "none". Remove it or set "attached"',
            ),
          ],
    ),
  ];
}

function descriptionProblems(description: string): string[] {
  if (!isKnown(description) || description.length <= MAX_DESCRIPTION) return [];
  return [problem("description", description, `is longer than ${MAX_DESCRIPTION} characters`)];
}

function runtimeProblems(runtime: string, architecture: string): string[] {
  if (!isKnown(runtime) || RUNTIMES.some((each) => each === runtime)) return [];
  const major = /^nodejs(\d+)\.(x|\d+)$/.exec(runtime)?.[1];
  if (major === undefined || Number(major) >= 22) return [notOneOf("runtime", runtime, RUNTIMES)];
  // https://docs.aws.amazon.com/lambda/latest/dg/foundation-arch.html: arm64 came with Amazon Linux 2 and Node.js 12.
  const withoutArm = architecture === "arm64" && Number(major) < 12 ? " and never supported arm64" : "";
  const blocked = `is a runtime that Lambda no longer creates functions with${withoutArm}`;
  return [problem("runtime", runtime, `${blocked}. Set one of ${RUNTIMES.join(", ")}`)];
}

function layersProblems(
  layers: readonly string[],
  { layerCount }: ShutdownExtension,
  region: string,
  architecture: Architecture,
): string[] {
  if (!isKnown(layers)) return [];
  const problems = layers.flatMap((layer) => layerVersionProblems("layers", layer, region, architecture));
  const count = layers.length + layerCount;
  if (count > MAX_LAYERS) {
    const own = layerCount > 0 ? " with the shutdown extension's layer" : "";
    problems.push(problem("layers", layers, `are ${count} layers${own}. A function can have ${MAX_LAYERS}`));
  }
  return problems;
}

function vpcProblems(vpc: VpcConfig): string[] {
  const { subnetIds, securityGroupIds, replaceSecurityGroupsOnDestroy, replacementSecurityGroupIds } = vpc;
  const problems = Object.entries({ subnetIds, securityGroupIds }).flatMap(([name, ids]) =>
    isKnown(ids) && ids.length === 0
      ? [problem(`vpc.${name}`, ids, "is empty. A function in a VPC needs at least one")]
      : [],
  );
  if (replacementSecurityGroupIds !== undefined && replaceSecurityGroupsOnDestroy !== true) {
    const expectation = "has no effect unless vpc.replaceSecurityGroupsOnDestroy is true";
    problems.push(problem("vpc.replacementSecurityGroupIds", replacementSecurityGroupIds, expectation));
  }
  return problems;
}
