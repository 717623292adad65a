import { DataArchiveFile } from "@cdktf/provider-archive/lib/data-archive-file";
import { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity";
import { DataAwsPartition } from "@cdktf/provider-aws/lib/data-aws-partition";
import { LambdaFunction, type LambdaFunctionConfig } from "@cdktf/provider-aws/lib/lambda-function";
import type { IamRolePolicyAttachment } from "@cdktf/provider-aws/lib/iam-role-policy-attachment";
import { Annotations, Fn, TerraformStack, Token, type ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { regionPreconditions, regionProblems, useProvider } from "./aws-provider";
import { AUTHORITIES_FILE, authoritiesPem } from "../code/certificate-authorities";
import { archiveDirectory } from "../code/archive-directory";
import { HANDLER } from "../code/bundle";
import { codeBundleEnvironment, codeBundleFiles, type CodeBundleConfig } from "../code/code-bundle";
import { codeDirectoryFiles, type CodeDirectoryConfig } from "../code/code-directory";
import { configProblems } from "./config-problems";
import { databaseEnvironment, databaseStatements, isUnboundedBy } from "./database";
import { withOwnVariables } from "./environment";
import { ExecutionRole } from "./execution-role";
import { moveFromFormerId } from "./former-id";
import {
  withDefaults,
  type CodeImageConfig,
  type GracefulFunctionConfig,
  type Settings,
} from "./graceful-function-config";
import { createLogGroup, loggingConfig, logGroupName } from "./log-group";
import { addOutput, pathName } from "../terraform/path-name";
import * as permissions from "./permissions";
import { addPreconditions, archivePrecondition, archiveSizePrecondition } from "./preconditions";
import { ConstructSettingsError } from "../terraform/construct-settings-error";

export {
  RUNTIMES,
  type CodeImageConfig,
  type GracefulFunctionConfig,
  type Runtime,
  type VpcConfig,
} from "./graceful-function-config";

interface Archive {
  readonly zip: DataArchiveFile;
  /** What Lambda calls. */
  readonly handler: string;
}

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
  /** Name, as a reference: a resource with it is created after the function. */
  public readonly functionName: string;
  /** ARN without a version. */
  public readonly arn: string;
  /** ARN for API Gateway. */
  public readonly invokeArn: string;
  /** Execution role. `allow` attaches a policy and returns the attachment. */
  public readonly role: ExecutionRole;
  /** Log group of the function. */
  public readonly logGroupName: string;
  /** For other settings: `resource.description = "…"`. */
  public readonly resource: LambdaFunction;

  /** @throws ConstructSettingsError with everything that is wrong in `config`. */
  public constructor(scope: Construct, id: string, config: GracefulFunctionConfig) {
    super(scope, id);
    const settings = this.checkedSettings(config);
    const { code } = settings;
    const archive = "image" in code ? undefined : this.createArchive(settings, code);
    this.logGroupName = logGroupName(settings.logGroup, settings.functionName);
    const { role, dependencies } = this.createRole(settings, archive);
    this.role = role;
    this.resource = this.createFunction(settings, archive, dependencies);
    this.functionName = this.resource.functionName;
    this.arn = this.resource.arn;
    this.invokeArn = this.resource.invokeArn;
    this.addOutputs(settings);
  }

  private checkedSettings(config: GracefulFunctionConfig): Settings {
    const problems = configProblems(config);
    ConstructSettingsError.throwIfAny(
      problems.length > 0 ? problems : regionProblems(this, config.region, config.provider),
      this,
    );
    if (config.provider) useProvider(this, config.provider);
    if (config.formerId !== undefined) moveFromFormerId(this, config.formerId);
    const { vpc, database, shutdownExtension, reservedConcurrency } = config;
    if (vpc && vpc.reachesLogs !== true && shutdownExtension?.isInsights !== false) {
      Annotations.of(this).addWarning(
        "Insights sends its data to CloudWatch Logs, which a VPC without NAT reaches only through an interface endpoint. " +
          "Set vpc.reachesLogs if there is one, or use ShutdownExtension.internal()",
      );
    }
    if (database && isUnboundedBy(database, reservedConcurrency)) {
      Annotations.of(this).addWarning(
        `The function can open more connections than database.maxConnections ${database.maxConnections ?? 0}. ` +
          "Set reservedConcurrency",
      );
    }
    return withDefaults(config);
  }

  private createArchive(settings: Settings, config: CodeBundleConfig | CodeDirectoryConfig): Archive {
    const { runtime, architecture, database, region } = settings;
    const files: Record<string, string> = database ? { [AUTHORITIES_FILE]: authoritiesPem(database, region) } : {};
    const code = new Construct(this, "code");
    const { sourceDir, hasExecutables } = ConstructSettingsError.within(this, () =>
      archiveDirectory(
        code,
        "entry" in config
          ? codeBundleFiles(code, { ...config, runtime, architecture, files })
          : codeDirectoryFiles(code, config),
      ),
    );
    const zip = new DataArchiveFile(this, "zip", {
      type: "zip",
      sourceDir,
      outputPath: `\${path.module}/${pathName(this)}.zip`,
      // Otherwise the mode, and so the hash, depends on the umask of the machine that synthesizes. Where a file can be
      // run, the staged copy has the modes.
      outputFileMode: hasExecutables ? undefined : "0644",
    });
    return { zip, handler: "entry" in config ? `index.${HANDLER}` : config.handler };
  }

  /** Role and log group, with the permissions that the settings need and no others. */
  private createRole(
    settings: Settings,
    archive: Archive | undefined,
  ): { role: ExecutionRole; dependencies: ITerraformDependable[] } {
    const { region, functionName, database, logGroup, tags } = settings;
    const preconditions = archive ? [archivePrecondition(archive.zip)] : [];
    const group = createLogGroup(this, logGroup, this.logGroupName, tags);
    if (group) addPreconditions(group, preconditions);

    const { partition, dnsSuffix } = new DataAwsPartition(this, "partition");
    const { accountId: account } = new DataAwsCallerIdentity(this, "caller");
    const place = { partition, region, account };
    // IAM is global: without the region a second deployment in the same account would collide with the first.
    const name = `${functionName}-${region}`;
    const existing = settings.role;
    const role = new ExecutionRole(this, "role", { name, functionName, account, existing, tags, preconditions });

    const attachments: IamRolePolicyAttachment[] = [];
    const allow = (id: string, what: string, statements: readonly permissions.PolicyStatement[]): void => {
      if (statements.length > 0) attachments.push(role.attach(id, what, statements));
    };
    allow("logging", "Log groups", [
      permissions.ownLogs(place, this.logGroupName, logGroup.createdBy ?? "stack"),
      ...(settings.shutdownExtension.isInsights ? [permissions.insightsLogs(place)] : []),
    ]);
    allow("database", "Database log-in", database ? databaseStatements(database, { ...place, dnsSuffix }) : []);
    allow("network", "Network interfaces", settings.vpc ? permissions.networkInterfaces(place, functionName) : []);
    allow("tracing", "Traces", settings.tracing === "Active" ? [permissions.traces()] : []);
    return { role, dependencies: [...(group ? [group] : []), ...attachments] };
  }

  private createFunction(settings: Settings, archive: Archive | undefined, dependsOn: ITerraformDependable[]) {
    const { region, architecture, shutdownExtension, vpc } = settings;
    const { layers, preconditions } = shutdownExtension.bind(this, region, architecture);
    const lambda = new LambdaFunction(this, "lambda", {
      functionName: settings.functionName,
      role: this.role.arn,
      ...codeAttributes(settings, archive),
      architectures: [architecture],
      memorySize: settings.memorySize,
      timeout: settings.timeout,
      layers: allLayers(layers, settings.layers),
      environment: { variables: environmentVariables(settings) },
      // Terraform keeps the old value of these three if they are left out.
      ephemeralStorage: { size: settings.ephemeralStorage },
      tracingConfig: { mode: settings.tracing },
      loggingConfig: loggingConfig(settings.logGroup, this.logGroupName),
      reservedConcurrentExecutions: settings.reservedConcurrency,
      vpcConfig: vpc && { subnetIds: vpc.subnetIds as string[], securityGroupIds: vpc.securityGroupIds as string[] },
      tags: settings.tags,
      // Otherwise the first invocation can come before its permissions or its log group exist.
      dependsOn,
    });
    addPreconditions(lambda, [
      ...(archive ? [archivePrecondition(archive.zip), archiveSizePrecondition(archive.zip, lambda)] : []),
      ...regionPreconditions(this, region, settings.provider),
      ...preconditions,
    ]);
    if (archive) this.warnOfOtherCode(lambda);
    return lambda;
  }

  /** A change outside Terraform leaves `source_code_hash` as it is. Signed code and images have another hash anyway. */
  private warnOfOtherCode({ terraformResourceType, fqn }: LambdaFunction): void {
    const hasOtherHash = `${fqn}.package_type == "Image" || try(length(${fqn}.signing_job_arn), 0) > 0`;
    TerraformStack.of(this).addOverride(`check.${pathName(this)}_code`, {
      assert: {
        condition: `\${${hasOtherHash} || ${fqn}.code_sha256 == ${fqn}.source_code_hash}`,
        error_message:
          `The code of \${${fqn}.function_name} was changed outside Terraform. Deploy another version of the code, ` +
          `or apply with -replace for the ${terraformResourceType} of ${this.node.path}.`,
      },
    });
  }

  private addOutputs({ shutdownExtension }: Settings): void {
    const { resource } = this;
    addOutput(this, "name", "Name of the function", resource.functionName);
    addOutput(this, "arn", "ARN of the function", resource.arn);
    addOutput(this, "invoke_arn", "ARN that API Gateway calls the function by", resource.invokeArn);
    addOutput(this, "role_arn", "ARN of the function's execution role", this.role.arn);
    addOutput(this, "log_group_name", "Log group that the function writes to", this.logGroupName);
    if (!shutdownExtension.isInsights) return;
    const layer = Token.asString(Fn.element(resource.layers, 0));
    addOutput(this, "insights_layer_arn", "Insights layer of the function", layer);
  }
}

function codeAttributes({ code, runtime }: Settings, archive?: Archive): Partial<LambdaFunctionConfig> {
  if (!archive) return { packageType: "Image", imageUri: (code as CodeImageConfig).image };
  const { zip, handler } = archive;
  return {
    packageType: "Zip",
    filename: zip.outputPath,
    sourceCodeHash: zip.outputBase64Sha256,
    handler,
    runtime,
  };
}

function environmentVariables({ code, environment, database, timeout, shutdownExtension }: Settings) {
  const own = { ...(database ? databaseEnvironment(database, timeout) : {}), ...shutdownExtension.environment };
  return withOwnVariables("entry" in code ? codeBundleEnvironment(code, environment) : environment, own);
}

/** The synthesis cannot read a list that only Terraform knows. */
function allLayers(own: readonly string[], others: readonly string[] = []): string[] | undefined {
  if (Token.isUnresolved(others)) return Token.asList(Fn.concat([own, others]));
  return own.length + others.length > 0 ? [...own, ...others] : undefined;
}
