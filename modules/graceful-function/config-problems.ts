import { authorityProblems } from "../code/certificate-authorities";
import { codeBundleProblems } from "../code/code-bundle";
import { codeDirectoryProblems } from "../code/code-directory";
import { databaseProblems } from "./database";
import { environmentProblems } from "./environment";
import { existingRoleProblems } from "./execution-role";
import {
  GRACEFUL_FUNCTION,
  RUNTIMES,
  withDefaults,
  type GracefulFunctionConfig,
  type Settings,
  type VpcConfig,
} from "./graceful-function-config";
import { logGroupProblems } from "./log-group";
import { optionProblems } from "../terraform/option-table";
import { isKnown, notOneOf, problem } from "../terraform/construct-settings-error";

/** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const MAX_LAYERS = 5;

/** What only this project knows to be wrong. The AWS provider checks names, numbers and ARNs at plan. */
export function configProblems(config: GracefulFunctionConfig): string[] {
  const problems = optionProblems(config, GRACEFUL_FUNCTION);
  // The checks below read the options.
  return problems.length > 0 ? problems : contradictions(withDefaults(config), config);
}

function contradictions(settings: Settings, config: GracefulFunctionConfig): string[] {
  const { region, code, architecture, runtime, shutdownExtension, database, vpc, role } = settings;
  const extensionProblems = shutdownExtension.problems(region, architecture);
  return [
    ...(isKnown(runtime) && !RUNTIMES.includes(runtime) ? [notOneOf("runtime", runtime, RUNTIMES)] : []),
    ...extensionProblems,
    ...("image" in code ? imageProblems(config) : []),
    ...layerCountProblems(settings),
    ...(database ? databaseProblems(database, config.reservedConcurrency) : []),
    // Both know the regions. One message is enough.
    ...(database && extensionProblems.length === 0 ? authorityProblems(database, region) : []),
    ...environmentProblems(settings.environment),
    ...(vpc ? vpcProblems(vpc) : []),
    ...logGroupProblems(settings.logGroup),
    ...(role ? existingRoleProblems(role) : []),
    ...("entry" in code ? codeBundleProblems(code) : "directory" in code ? codeDirectoryProblems(code) : []),
  ];
}

/** What an image cannot have, or has inside. */
function imageProblems({ runtime, layers, database, shutdownExtension }: GracefulFunctionConfig): string[] {
  const unused = { runtime, layers, "database.caFile": database?.caFile };
  return [
    ...Object.entries(unused)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => problem(name, value, "has no effect with code.image. Put it into the image")),
    ...(shutdownExtension?.hasLayer === true
      ? ["shutdownExtension has a layer, which an image cannot take. Set ShutdownExtension.internal()"]
      : []),
  ];
}

function layerCountProblems({ layers = [], shutdownExtension: { hasLayer } }: Settings): string[] {
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
