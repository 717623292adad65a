import { DataArchiveFile } from "@cdktf/provider-archive/lib/data-archive-file";
import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity";
import { DataAwsPartition } from "@cdktf/provider-aws/lib/data-aws-partition";
import { LambdaFunction, type LambdaFunctionLoggingConfig } from "@cdktf/provider-aws/lib/lambda-function";
import { LambdaFunctionUrl } from "@cdktf/provider-aws/lib/lambda-function-url";
import { LambdaAlias } from "@cdktf/provider-aws/lib/lambda-alias";
import { LambdaProvisionedConcurrencyConfig } from "@cdktf/provider-aws/lib/lambda-provisioned-concurrency-config";
import type { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import { Annotations, Fn, Token, type Precondition } from "cdktf";
import { Construct } from "constructs";
import { regionPreconditions, regionProblems, useProvider } from "./aws-provider";
import { AUTHORITIES_FILE, authoritiesPem } from "../code/certificate-authorities";
import { CodeBundle } from "../code/code-bundle";
import { CodeDirectory } from "../code/code-directory";
import { databaseStatements } from "./database";
import { definedProperties } from "../terraform/defined-properties";
import { encodedTokens } from "../terraform/encoded-tokens";
import { environmentPreconditions } from "./environment";
import { ExecutionRole } from "./execution-role";
import {
  configProblems,
  environmentVariables,
  withDefaults,
  type GracefulFunctionConfig,
} from "./graceful-function-config";
import type { LogGroup } from "./log-group";
import { addOutput, claimProblems, idProblems, pathName } from "../terraform/path-name";
import * as permissions from "./permissions";
import { addPreconditions, ArchivePrecondition } from "./preconditions";
import { SettingsError } from "../terraform/settings-error";
import { call, mergedMaps, terraformTexts } from "../terraform/terraform-text";

export { RUNTIMES, type GracefulFunctionConfig, type Runtime, type VpcConfig } from "./graceful-function-config";

type Settings = ReturnType<typeof withDefaults>;

/**
 * A Lambda function that gets a signal before Lambda removes its execution environment, and knows how long it then has.
 *
 * @example
 * new GracefulFunction(this, "function", {
 *   region: "us-east-1",
 *   functionName: "orders",
 *   code: { entry: "function/index.ts" },
 *   database: { host: "db.example.com", name: "orders", auth: { type: "secret", secretArn } },
 * });
 */
export class GracefulFunction extends Construct {
  /** Name of the function, as a reference: Terraform creates a resource with it after the function. */
  public readonly functionName: string;
  /** ARN of the function, without a version. */
  public readonly arn: string;
  /** ARN that API Gateway calls the function by. */
  public readonly invokeArn: string;
  /** What the function may do; `allow` adds to it. */
  public readonly role: ExecutionRole;
  /** Log group that the function writes to. */
  public readonly logGroupName: string;
  /** Number of the newest version; "$LATEST" unless versions are published. */
  public readonly version: string;
  /** The alias, if there is one: its `arn` and `invokeArn` run the newest version. */
  public readonly alias: LambdaAlias | undefined;
  /** For settings that the construct does not have: `resource.addOverride(…)`. */
  public readonly resource: LambdaFunction;

  /** @throws SettingsError with everything that is wrong in `config`. */
  public constructor(scope: Construct, id: string, given: GracefulFunctionConfig) {
    super(scope, id);
    const config = encodedTokens(given);
    const { provider } = config;
    const place = [config.region, provider?.node.path ?? ""];
    SettingsError.throwIfAny(
      [
        ...configProblems(config),
        ...regionProblems(this, config.region, provider),
        ...idProblems(this),
        ...nameClaims(this, config, place),
      ],
      this,
    );
    if (provider) useProvider(this, provider);
    // File paths are not Terraform text.
    const texts = terraformTexts({ ...config });
    const tags = config.tags && mergedMaps(texts.tags ?? {});
    const settings = withDefaults({ ...texts, ...definedProperties({ tags }), code: config.code });
    const { region, functionName, architecture, runtime, shutdownExtension, vpc } = settings;

    const code = SettingsError.within(this, () =>
      "entry" in settings.code
        ? new CodeBundle(this, "code", { ...settings.code, runtime, architecture, files: bundledFiles(settings) })
        : new CodeDirectory(this, "code", settings.code),
    );
    const zip = new DataArchiveFile(this, "zip", {
      type: "zip",
      sourceDir: code.sourceDir,
      outputPath: `\${path.module}/${pathName(this)}.zip`,
      // Otherwise the mode, and so the hash, depends on the umask of the machine that synthesizes. Where a file can be
      // run, the staged copy has the modes.
      ...(code.hasExecutables ? {} : { outputFileMode: "0644" }),
    });
    const archived = [new ArchivePrecondition(zip)];
    const logGroup = this.logGroup(settings, archived);
    const role = this.executionRole(settings, logGroup.name, archived);

    const extension = shutdownExtension.bind(this, region, architecture);
    const preconditions = [
      ...archived,
      ...regionPreconditions(this, region, provider),
      ...extension.preconditions,
      ...environmentPreconditions(settings.environment),
    ];
    // The synthesis cannot read a list that only Terraform knows.
    const layers = Token.isUnresolved(settings.layers)
      ? Token.asList(call("concat", extension.layers, settings.layers))
      : [...extension.layers, ...settings.layers];
    const { ephemeralStorage, tracing, deadLetterTargetArn } = settings;
    const lambda = new LambdaFunction(this, "lambda", {
      functionName,
      role: role.role.arn,
      packageType: "Zip",
      filename: zip.outputPath,
      sourceCodeHash: zip.outputBase64Sha256,
      handler: code.handler,
      runtime,
      architectures: [architecture],
      memorySize: settings.memorySize,
      timeout: settings.timeout,
      environment: { variables: environmentVariables(settings) },
      ...definedProperties({
        layers: layers.length > 0 ? layers : undefined,
        description: settings.description,
        codeSigningConfigArn: settings.codeSigningConfigArn,
        kmsKeyArn: settings.environmentKmsKeyArn,
        reservedConcurrentExecutions: settings.reservedConcurrency,
        ephemeralStorage: ephemeralStorage === undefined ? undefined : { size: ephemeralStorage },
        tracingConfig: tracing && { mode: tracing },
        deadLetterConfig: deadLetterTargetArn === undefined ? undefined : { targetArn: deadLetterTargetArn },
        vpcConfig: vpc && { subnetIds: [...vpc.subnetIds], securityGroupIds: [...vpc.securityGroupIds] },
        replaceSecurityGroupsOnDestroy: vpc?.replaceSecurityGroupsOnDestroy,
        replacementSecurityGroupIds: vpc?.replacementSecurityGroupIds && [...vpc.replacementSecurityGroupIds],
        loggingConfig: loggingConfig(settings.logGroup),
        publish: settings.publishVersions ?? (settings.alias === undefined ? undefined : true),
        tags,
      }),
      // Otherwise the first invocation can come before its permissions or its log group exist.
      dependsOn: [...logGroup.resources, ...role.attachments],
    });

    addPreconditions(lambda, preconditions);

    this.functionName = lambda.functionName;
    this.arn = lambda.arn;
    this.invokeArn = lambda.invokeArn;
    this.role = role.role;
    this.logGroupName = logGroup.name;
    this.version = lambda.version;
    this.alias = this.versionAlias(settings, lambda);
    this.resource = lambda;

    addOutput(this, "name", "Name of the function", lambda.functionName);
    addOutput(this, "arn", "ARN of the function", lambda.arn);
    addOutput(this, "invoke_arn", "ARN that API Gateway calls the function by", (this.alias ?? lambda).invokeArn);
    if (this.alias) addOutput(this, "alias_arn", "ARN of the alias, which runs the newest version", this.alias.arn);
    addOutput(this, "role_arn", "ARN of the function's execution role", role.role.arn);
    addOutput(this, "log_group_name", "Log group that the function writes to", logGroup.name);
    if (shutdownExtension.isInsights) {
      addOutput(
        this,
        "insights_layer_arn",
        "Insights layer of the function",
        Token.asString(Fn.element(lambda.layers, 0)),
      );
      if (vpc && vpc.reachesLogs !== true) {
        Annotations.of(this).addWarning(
          "Insights sends its data to CloudWatch Logs, which a VPC without NAT reaches only through an interface endpoint. " +
            "Set vpc.reachesLogs if there is one, or use ShutdownExtension.internal()",
        );
      }
    }
    if (settings.functionUrl === true) {
      const url = new LambdaFunctionUrl(this, "function-url", {
        functionName: lambda.functionName,
        authorizationType: "AWS_IAM",
        ...definedProperties({ qualifier: this.alias?.name }),
      });
      addOutput(this, "url", "URL of the function, for callers that sign their requests", url.functionUrl);
    }
  }

  /** The log group, if it is the stack's to create. */
  private logGroup(
    { functionName, logGroup, tags }: Settings,
    preconditions: readonly Precondition[],
  ): { name: string; resources: CloudwatchLogGroup[] } {
    const { createdBy, retentionDays, kmsKeyArn, skipDestroy, name = `/aws/lambda/${functionName}` } = logGroup;
    if (createdBy === "Lambda") return { name, resources: [] };
    const group = new CloudwatchLogGroup(this, "log-group", {
      name,
      retentionInDays: retentionDays ?? 365,
      ...definedProperties({ kmsKeyId: kmsKeyArn, logGroupClass: logGroup.class, skipDestroy, tags }),
    });
    addPreconditions(group, preconditions);
    return { name, resources: [group] };
  }

  /** The alias for the newest version, with environments that are kept ready for it. */
  private versionAlias(settings: Settings, lambda: LambdaFunction): LambdaAlias | undefined {
    const { alias: name, provisionedConcurrency } = settings;
    if (name === undefined) return undefined;
    const alias = new LambdaAlias(this, "alias", {
      name,
      functionName: lambda.functionName,
      functionVersion: lambda.version,
    });
    if (provisionedConcurrency !== undefined) {
      new LambdaProvisionedConcurrencyConfig(this, "provisioned-concurrency", {
        functionName: lambda.functionName,
        qualifier: alias.name,
        provisionedConcurrentExecutions: provisionedConcurrency,
      });
    }
    return alias;
  }

  /** The role, with the permissions that the settings need and no others. */
  private executionRole(
    settings: Settings,
    logGroupName: string,
    preconditions: readonly Precondition[],
  ): { role: ExecutionRole; attachments: IamRolePolicyAttachment[] } {
    const { region, functionName, database, statements, tags } = settings;
    const { partition, dnsSuffix } = new DataAwsPartition(this, "partition");
    const { accountId: account } = new DataAwsCallerIdentity(this, "caller");
    const place = { partition, region, account };
    const role = new ExecutionRole(this, "role", {
      // IAM is global: without the region a second deployment in the same account would collide with the first.
      name: `${functionName}-${region}`,
      functionName,
      preconditions,
      ...definedProperties({
        existing: settings.role,
        trustedAccount: settings.trustPolicy === "article" ? undefined : account,
        permissionsBoundaryArn: settings.permissionsBoundaryArn,
        tags,
      }),
    });
    const attachments: IamRolePolicyAttachment[] = [];
    if (!role.isManaged) return { role, attachments };
    const allow = (name: string, what: string, needed: readonly permissions.PolicyStatement[]): void => {
      if (needed.length > 0) attachments.push(role.attach(name, what, needed));
    };

    const ownLogs = permissions.ownLogs(place, logGroupName, settings.logGroup.createdBy ?? "stack");
    const insightsLogs = settings.shutdownExtension.isInsights ? [permissions.insightsLogs(place)] : [];
    const logs = settings.loggingPolicy === "article" ? [permissions.articleLogs(place)] : [ownLogs, ...insightsLogs];
    allow("logging", "Log groups", logs);
    if (database) allow("database", "Database log-in", databaseStatements(database, { ...place, dnsSuffix }));
    if (settings.vpc) allow("network", "Network interfaces", permissions.networkInterfaces(place, functionName));
    if (settings.tracing === "Active") allow("tracing", "Traces", [permissions.traces()]);
    if (settings.deadLetterTargetArn !== undefined) {
      allow("dead-letter", "Dead-letter target", [permissions.deadLetters(settings.deadLetterTargetArn)]);
    }
    if (settings.environmentKmsKeyArn !== undefined) {
      const statement = permissions.environmentKey(place, functionName, settings.environmentKmsKeyArn);
      allow("environment", "Environment variables", [statement]);
    }
    allow("further", "Further permissions", statements);
    return { role, attachments };
  }
}

/** Further files of the bundle. */
function bundledFiles({ database, region }: Settings): Readonly<Record<string, string>> {
  return database ? { [AUTHORITIES_FILE]: authoritiesPem(database, region) } : {};
}

/**
 * What is wrong with names that must be unique in AWS: the function's, and that of a log group that the stack creates.
 */
function nameClaims(owner: Construct, config: GracefulFunctionConfig, place: readonly string[]): string[] {
  const problems = claimProblems(owner, "functionName", config.functionName, place);
  const { createdBy, name = `/aws/lambda/${config.functionName}` } = config.logGroup ?? {};
  if (problems.length > 0 || createdBy === "Lambda") return problems;
  return claimProblems(owner, "logGroup.name", name, ["log group", ...place]);
}

function loggingConfig(logGroup: LogGroup): LambdaFunctionLoggingConfig | undefined {
  const { name, format, applicationLevel, systemLevel } = logGroup;
  if (format === undefined && name === undefined) return undefined;
  const levels = definedProperties({ applicationLogLevel: applicationLevel, systemLogLevel: systemLevel });
  return { logFormat: format ?? "Text", ...definedProperties({ logGroup: name }), ...levels };
}
