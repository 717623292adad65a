import { authorityProblems } from "../code/certificate-authorities";
import { CodeBundle, type CodeBundleConfig } from "../code/code-bundle";
import { CodeDirectory, type CodeDirectoryConfig } from "../code/code-directory";
import type { CopiedPath } from "../code/copied-files";
import { ARCHITECTURES } from "./architecture";
import { databaseProblems, type Database, type DatabaseAuth } from "./database";
import { environmentProblems } from "./environment";
import { existingRoleProblems, type ExistingRole } from "./execution-role";
import { RUNTIMES, withDefaults, type GracefulFunctionConfig, type VpcConfig } from "./graceful-function-config";
import { logGroupProblems, type LogGroup } from "./log-group";
import { ShutdownExtension } from "./shutdown-extension";
import { optional, optionProblems, required, type OptionTable } from "../terraform/option-table";
import { choiceProblems, isKnown, problem } from "../terraform/construct-settings-error";

/** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const MAX_LAYERS = 5;

const COPIED_PATH: OptionTable<CopiedPath> = { from: required("text"), to: optional("text") };

const BUNDLE: OptionTable<CodeBundleConfig> = {
  entry: required("text"),
  external: optional("list"),
  install: optional("list"),
  copy: optional("list", () => COPIED_PATH),
  loader: optional("map"),
  sourceMap: optional("boolean"),
  awsSdk: optional("text"),
};
const DIRECTORY: OptionTable<CodeDirectoryConfig> = { directory: required("text"), handler: required("text") };

const SECRET: OptionTable<Extract<DatabaseAuth, { type: "secret" }>> = {
  type: required("text"),
  secretArn: required("text"),
  kmsKeyArn: optional("text"),
};
const IAM: OptionTable<Extract<DatabaseAuth, { type: "iam" }>> = {
  type: required("text"),
  resourceId: required("text"),
};

const DATABASE: OptionTable<Database> = {
  host: required("text"),
  port: optional("number"),
  name: required("text"),
  user: optional("text"),
  auth: required("object", (auth) => ("resourceId" in auth ? IAM : SECRET)),
  tlsServerName: optional("text"),
  caFile: optional("text"),
  connectionLimit: optional("number"),
  maxConnections: optional("number"),
};

const VPC: OptionTable<VpcConfig> = {
  subnetIds: required("list"),
  securityGroupIds: required("list"),
  reachesLogs: optional("boolean"),
};

const LOG_GROUP: OptionTable<LogGroup> = {
  name: optional("text"),
  createdBy: optional("text"),
  retentionDays: optional("number"),
  kmsKeyArn: optional("text"),
  format: optional("text"),
  applicationLevel: optional("text"),
  systemLevel: optional("text"),
};

const ROLE: OptionTable<ExistingRole> = { name: required("text"), arn: required("text") };

const GRACEFUL_FUNCTION: OptionTable<GracefulFunctionConfig> = {
  region: required("text"),
  provider: optional("object"),
  functionName: required("text"),
  code: required("object", (code) => ("directory" in code ? DIRECTORY : BUNDLE)),
  architecture: optional("text"),
  runtime: optional("text"),
  memorySize: optional("number"),
  timeout: optional("number"),
  ephemeralStorage: optional("number"),
  shutdownExtension: optional("object"),
  database: optional("object", () => DATABASE),
  environment: optional("map"),
  layers: optional("list"),
  reservedConcurrency: optional("number"),
  tracing: optional("text"),
  vpc: optional("object", () => VPC),
  logGroup: optional("object", () => LOG_GROUP),
  role: optional("object", () => ROLE),
  formerId: optional("text"),
  tags: optional("map"),
};

/** What only this project knows to be wrong. The AWS provider checks names, numbers and ARNs at plan. */
export function configProblems(config: GracefulFunctionConfig): string[] {
  const problems = optionProblems(config, GRACEFUL_FUNCTION);
  // The checks below read the options.
  return problems.length > 0 ? problems : contradictions(config);
}

function contradictions(config: GracefulFunctionConfig): string[] {
  const { region, code, architecture, runtime, shutdownExtension, database, vpc, role } = withDefaults(config);
  const architectureProblems = choiceProblems("architecture", architecture, ARCHITECTURES);
  if (architectureProblems.length > 0) return architectureProblems;
  if (!(shutdownExtension instanceof ShutdownExtension)) {
    return [problem("shutdownExtension", shutdownExtension, "is not a ShutdownExtension, such as .internal()")];
  }
  const extensionProblems = shutdownExtension.problems(region, architecture);
  return [
    ...choiceProblems("runtime", runtime, RUNTIMES),
    ...extensionProblems,
    ...layerCountProblems(config, shutdownExtension),
    ...(database ? databaseProblems(database, config.reservedConcurrency) : []),
    // Both know the regions. One message is enough.
    ...(database && extensionProblems.length === 0 ? authorityProblems(database, region) : []),
    ...environmentProblems(config.environment ?? {}),
    ...(vpc ? vpcProblems(vpc) : []),
    ...logGroupProblems(config.logGroup ?? {}),
    ...(role ? existingRoleProblems(role) : []),
    ...("entry" in code ? CodeBundle.problems(code) : CodeDirectory.problems(code)),
  ];
}

function layerCountProblems({ layers = [] }: GracefulFunctionConfig, { hasLayer }: ShutdownExtension): string[] {
  const count = layers.length + (hasLayer ? 1 : 0);
  if (!isKnown(layers) || count <= MAX_LAYERS) return [];
  const own = hasLayer ? " with the shutdown extension's layer" : "";
  return [problem("layers", layers, `are ${count} layers${own}. A function can have ${MAX_LAYERS}`)];
}

/** Two empty lists are no VPC for the provider, without a word. */
function vpcProblems({ subnetIds, securityGroupIds }: VpcConfig): string[] {
  return Object.entries({ subnetIds, securityGroupIds })
    .filter(([, ids]) => isKnown(ids) && ids.length === 0)
    .map(([name, ids]) => problem(`vpc.${name}`, ids, "is empty. A function in a VPC needs at least one"));
}
