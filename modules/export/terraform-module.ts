import { DataArchiveFile } from "@cdktf/provider-archive/lib/data-archive-file";
import { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity";
import { DataAwsPartition } from "@cdktf/provider-aws/lib/data-aws-partition";
import { IamPolicy } from "@cdktf/provider-aws/lib/iam-policy";
import { LambdaFunction } from "@cdktf/provider-aws/lib/lambda-function";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { Op, TerraformElement, TerraformResource, TerraformStack, TerraformVariable } from "cdktf";
import type { Construct, IConstruct, Node } from "constructs";
import type { Architecture } from "../graceful-function/architecture";
import type { Place } from "../terraform/arn";
import * as codeBundle from "../code/code-bundle";
import * as codeDirectory from "../code/code-directory";
import {
  GracefulFunction,
  RUNTIMES,
  type GracefulFunctionConfig,
  type Runtime,
} from "../graceful-function/graceful-function";
import { withDefaults } from "../graceful-function/graceful-function-config";
import { networkInterfaces, policyDocument } from "../graceful-function/permissions";
import { ArchivePrecondition } from "../graceful-function/preconditions";

/** What belongs into the zip. */
export interface ModuleCode {
  /** The staged directory, as Terraform sees it. */
  readonly sourceDir: string;
  /** Files of the directory that stay out. */
  readonly excludes: readonly string[];
}

/** What `main.ts` has; what a variable of the module is for is the default of that variable, or left out. */
export type TerraformModuleConfig = GracefulFunctionConfig;

/** Path of the zip within the module, as Terraform sees it. */
const ZIP = "${path.module}/function.zip";

/** The construct with Terraform variables for its settings: everything that a plain Terraform module consists of. */
export class TerraformModule extends TerraformStack {
  public readonly code: ModuleCode;

  public constructor(scope: Construct, id: string, config: TerraformModuleConfig) {
    super(scope, id);
    const defaults = withDefaults(config);
    // CDKTF needs a provider. A module gets it from its caller, so the export leaves it out.
    new AwsProvider(this, "aws");

    const region = this.variable("region", "string", "Region of the function, the same as the AWS provider's");
    const name = this.variable(
      "name",
      "string",
      "Name of the function; role, policies and log group are named after it",
    );
    const architecture = this.variable("architecture", "string", "arm64 or x86_64", defaults.architecture);
    const isBound = boundToArchitecture(config);
    if (isBound) {
      architecture.addValidation({
        condition: Op.eq(architecture.value, defaults.architecture),
        errorMessage: `architecture must be "${defaults.architecture}": the archive holds packages or native code for it.`,
      });
    }
    const runtime = this.variable(
      "runtime",
      "string",
      `${RUNTIMES.join(" or ")}; version 5 of the AWS provider does not know the last one`,
      defaults.runtime,
    );
    const memorySize = this.variable("memory_size", "number", "Megabytes of memory, 128 to 10240", defaults.memorySize);
    const timeout = this.variable(
      "timeout",
      "number",
      "Seconds that an invocation may take, 1 to 900",
      defaults.timeout,
    );
    const host = this.variable("db_host", "string", "Host name of the MySQL server");
    const port = this.variable("db_port", "number", "Port of the MySQL server", 3306);
    const database = this.variable("db_name", "string", "Name of the database");
    const secretArn = this.variable("db_secret_arn", "string", "ARN of the Secrets Manager secret with the log-in");
    const subnetIds = this.variable(
      "subnet_ids",
      "list(string)",
      "Subnets of the function, with a way to Secrets Manager and CloudWatch Logs; an empty list for no VPC",
      [],
    );
    const securityGroupIds = this.variable(
      "security_group_ids",
      "list(string)",
      "Security groups of the function in its subnets",
      [],
    );

    const construct = new GracefulFunction(this, "function", {
      ...config,
      region: region.stringValue,
      functionName: name.stringValue,
      // A token has the type of any text. For a runtime that is not known yet, the code is built for the oldest.
      architecture: isBound ? defaults.architecture : (architecture.stringValue as Architecture),
      runtime: runtime.stringValue as Runtime,
      memorySize: memorySize.numberValue,
      timeout: timeout.numberValue,
      database: {
        host: host.stringValue,
        port: port.numberValue,
        name: database.stringValue,
        auth: { type: "secret", secretArn: secretArn.stringValue },
      },
      // Two empty lists are no VPC, by the documentation of aws_lambda_function.
      vpc: { subnetIds: subnetIds.listValue, securityGroupIds: securityGroupIds.listValue, reachesLogs: true },
    });
    this.code = withZipOfTheModule(construct);
    const place = {
      partition: part(construct, "partition", DataAwsPartition).partition,
      region: region.stringValue,
      account: part(construct, "caller", DataAwsCallerIdentity).accountId,
    };
    onlyInVpc(construct, place, name.stringValue, subnetIds);
  }

  /** Names without a hash, because a module has one function and its names should be readable. */
  protected override allocateLogicalId(element: TerraformElement | Node): string {
    return (element instanceof TerraformElement ? element.node : element).id.replaceAll("-", "_");
  }

  private variable(
    name: string,
    type: string,
    description: string,
    defaultValue?: string | number | readonly string[],
  ): TerraformVariable {
    return new TerraformVariable(this, name, { type, description, default: defaultValue, nullable: false });
  }
}

/** Whether the zip is for the architecture of `main.ts` only. */
function boundToArchitecture({ code }: TerraformModuleConfig): boolean {
  return "entry" in code ? codeBundle.isBoundToArchitecture(code) : codeDirectory.isBoundToArchitecture(code);
}

/** A module contains its zip, so its users need neither the sources nor the archive provider. */
function withZipOfTheModule(construct: GracefulFunction): ModuleCode {
  const zip = part(construct, "zip", DataArchiveFile);
  const code = { sourceDir: zip.sourceDirInput ?? "", excludes: zip.excludesInput ?? [] };
  construct.node.tryRemoveChild(zip.node.id);
  for (const resource of construct.node.findAll().filter((each) => TerraformResource.isTerraformResource(each))) {
    const conditions = resource.lifecycle?.precondition?.filter((each) => !(each instanceof ArchivePrecondition)) ?? [];
    if (resource.lifecycle) resource.lifecycle = conditions.length === 0 ? {} : { precondition: conditions };
  }

  const lambda = part(construct, "lambda", LambdaFunction);
  lambda.filename = ZIP;
  // Not by Fn, which would take the path for a text without references.
  lambda.sourceCodeHash = `\${filebase64sha256("${ZIP}")}`;
  return code;
}

/**
 * Only Terraform knows whether there is a VPC, and without one the permissions are denied. `count` cannot do this,
 * because Terraform must know it before it creates the subnets.
 */
function onlyInVpc(construct: GracefulFunction, place: Place, name: string, subnetIds: TerraformVariable): void {
  const effect = `\${length(${subnetIds.fqn}) > 0 ? "Allow" : "Deny"}`;
  part(construct.role, "network", IamPolicy).policy = policyDocument(
    networkInterfaces(place, name).map((statement) =>
      statement.Effect === "Allow" ? { ...statement, Effect: effect } : statement,
    ),
  );
}

/** @throws if the construct no longer has that part. */
function part<Part extends IConstruct>(whole: IConstruct, id: string, type: new (...args: never[]) => Part): Part {
  const found = whole.node.findChild(id);
  if (!(found instanceof type)) throw new Error(`${found.node.path} is not a ${type.name}`);
  return found;
}
