import { DataArchiveFile } from "@cdktf/provider-archive/lib/data-archive-file";
import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity";
import { DataAwsPartition } from "@cdktf/provider-aws/lib/data-aws-partition";
import { LambdaFunction, type LambdaFunctionLoggingConfig } from "@cdktf/provider-aws/lib/lambda-function";
import { LambdaFunctionUrl } from "@cdktf/provider-aws/lib/lambda-function-url";
import { Annotations, Fn, Token } from "cdktf";
import { Construct } from "constructs";
import { AUTHORITIES_FILE, authoritiesPem } from "./certificate-authorities";
import { CodeBundle } from "./code-bundle";
import { CodeDirectory } from "./code-directory";
import { databaseStatements } from "./database";
import { definedProperties } from "./defined-properties";
import { ExecutionRole } from "./execution-role";
import {
  configProblems,
  environmentVariables,
  withDefaults,
  type GracefulFunctionConfig,
} from "./graceful-function-config";
import type { LogGroup } from "./log-group";
import { addOutput, claimProblems, pathName } from "./path-name";
import * as permissions from "./permissions";
import { SettingsError } from "./settings-error";
import { call, terraformTexts } from "./terraform-text";

export { RUNTIMES, type GracefulFunctionConfig, type Runtime, type VpcConfig } from "./graceful-function-config";

type Settings = ReturnType<typeof withDefaults>;

/**
 * A Lambda function that is told before its execution environment is taken away, and how long it then has.
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
  /** @throws SettingsError with everything that is wrong in `config`. */
  public constructor(scope: Construct, id: string, config: GracefulFunctionConfig) {
    super(scope, id);
    const { region: place, functionName: name } = config;
    SettingsError.throwIfAny([...configProblems(config), ...claimProblems(this, "functionName", name, [place])], this);
    // Paths of files are no text of Terraform's.
    const settings = withDefaults({ ...terraformTexts({ ...config }), code: config.code });
    const { region, functionName, architecture, runtime, shutdownExtension, vpc, tags } = settings;

    const logGroup = this.logGroup(settings);
    const role = this.executionRole(settings, logGroup.name);
    const code = SettingsError.within(this, () =>
      "entry" in settings.code
        ? new CodeBundle(this, "code", { ...settings.code, runtime, architecture, files: bundledFiles(settings) })
        : new CodeDirectory(this, "code", settings.code),
    );
    const zip = new DataArchiveFile(this, "zip", {
      type: "zip",
      sourceDir: code.sourceDir,
      ...(code.excludes.length > 0 ? { excludes: code.excludes } : {}),
      outputPath: `\${path.module}/${pathName(this)}.zip`,
      // Else the mode, and with it the hash, depends on the umask of whoever synthesizes.
      outputFileMode: "0644",
    });

    const extension = shutdownExtension.bind(this, region, architecture);
    const { preconditions } = extension;
    // A list that only Terraform knows cannot be taken apart here.
    const layers = Token.isUnresolved(settings.layers)
      ? Token.asList(call("concat", extension.layers, settings.layers))
      : [...extension.layers, ...settings.layers];
    const { ephemeralStorage, tracing, deadLetterTargetArn } = settings;
    const lambda = new LambdaFunction(this, "lambda", {
      functionName,
      role: role.arn,
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
        loggingConfig: loggingConfig(settings.logGroup),
        lifecycle: preconditions.length > 0 ? { precondition: preconditions } : undefined,
        tags,
      }),
      // Else the first invocation can come before the permissions it needs, or before the log group.
      dependsOn: [...logGroup.resources, ...role.attachments],
    });

    addOutput(this, "name", "Name of the function", lambda.functionName);
    addOutput(this, "arn", "ARN of the function", lambda.arn);
    addOutput(this, "role_arn", "ARN of the function's execution role", role.arn);
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
          "Insights sends its data to CloudWatch Logs, which a VPC without NAT reaches by an interface endpoint only: " +
            "set vpc.reachesLogs when there is one, or take ShutdownExtension.internal()",
        );
      }
    }
    if (settings.functionUrl === true) {
      const url = new LambdaFunctionUrl(this, "function-url", {
        functionName: lambda.functionName,
        authorizationType: "AWS_IAM",
      });
      addOutput(this, "url", "URL of the function, for callers that sign their requests", url.functionUrl);
    }
  }

  /** The log group, if it is the stack's to create. */
  private logGroup({ functionName, logGroup, tags }: Settings): { name: string; resources: CloudwatchLogGroup[] } {
    const name = `/aws/lambda/${functionName}`;
    const { createdBy, retentionDays, kmsKeyArn } = logGroup;
    if (createdBy === "Lambda") return { name, resources: [] };
    const group = new CloudwatchLogGroup(this, "log-group", {
      name,
      retentionInDays: retentionDays ?? 365,
      ...definedProperties({ kmsKeyId: kmsKeyArn, tags }),
    });
    return { name, resources: [group] };
  }

  /** The role with all permissions that the settings call for, and no other. */
  private executionRole(settings: Settings, logGroupName: string): ExecutionRole {
    const { region, functionName, database, statements, tags } = settings;
    const { partition, dnsSuffix } = new DataAwsPartition(this, "partition");
    const { accountId: account } = new DataAwsCallerIdentity(this, "caller");
    const place = { partition, region, account };
    const role = new ExecutionRole(this, "role", {
      // IAM is global: without the region a second deployment in the same account would collide with the first.
      name: `${functionName}-${region}`,
      functionName,
      ...definedProperties({
        trustedAccount: settings.trustPolicy === "article" ? undefined : account,
        permissionsBoundaryArn: settings.permissionsBoundaryArn,
        tags,
      }),
    });

    const ownLogs = permissions.ownLogs(place, logGroupName, settings.logGroup.createdBy ?? "stack");
    const insightsLogs = settings.shutdownExtension.isInsights ? [permissions.insightsLogs(place)] : [];
    const logs = settings.loggingPolicy === "article" ? [permissions.articleLogs(place)] : [ownLogs, ...insightsLogs];
    role.allow("logging", "Log groups", logs);
    if (database) role.allow("database", "Database log-in", databaseStatements(database, { ...place, dnsSuffix }));
    if (settings.vpc) role.allow("network", "Network interfaces", permissions.networkInterfaces(place, functionName));
    if (settings.tracing === "Active") role.allow("tracing", "Traces", [permissions.traces()]);
    if (settings.deadLetterTargetArn !== undefined) {
      role.allow("dead-letter", "Dead-letter target", [permissions.deadLetters(settings.deadLetterTargetArn)]);
    }
    if (settings.environmentKmsKeyArn !== undefined) {
      role.allow("environment", "Environment variables", [
        permissions.environmentKey(place, functionName, settings.environmentKmsKeyArn),
      ]);
    }
    if (statements.length > 0) role.allow("further", "Further permissions", statements);
    return role;
  }
}

/** What the bundle holds besides the code. */
function bundledFiles({ database, region }: Settings): Readonly<Record<string, string>> {
  return database ? { [AUTHORITIES_FILE]: authoritiesPem(database, region) } : {};
}

function loggingConfig({ format, applicationLevel, systemLevel }: LogGroup): LambdaFunctionLoggingConfig | undefined {
  if (format === undefined) return undefined;
  const levels = definedProperties({ applicationLogLevel: applicationLevel, systemLogLevel: systemLevel });
  return { logFormat: format, ...levels };
}
