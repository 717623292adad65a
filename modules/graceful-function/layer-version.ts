import { arnProblems } from "../terraform/arn";
import type { Architecture } from "./architecture";
import { isKnown, problem } from "../terraform/settings-error";

const FORM = "arn:<partition>:lambda:<region>:<account>:layer:<name>:<number>";

/**
 * Layers that AWS publishes under one name for each architecture. With the wrong one, its program does not start, and
 * neither does the function. No other part of an ARN shows the architecture.
 */
const LAYER_NAMES: readonly Readonly<Record<Architecture, string>>[] = [
  { arm64: "LambdaInsightsExtension-Arm64", x86_64: "LambdaInsightsExtension" },
  { arm64: "AWS-Parameters-and-Secrets-Lambda-Extension-Arm64", x86_64: "AWS-Parameters-and-Secrets-Lambda-Extension" },
  { arm64: "AWS-AppConfig-Extension-Arm64", x86_64: "AWS-AppConfig-Extension" },
  { arm64: "LambdaAdapterLayerArm64", x86_64: "LambdaAdapterLayerX86" },
];

/** What is wrong with a layer version for a function of that region and architecture; empty if nothing is. */
export function layerVersionProblems(
  setting: string,
  value: string,
  region: string,
  architecture: Architecture,
): string[] {
  const problems = arnProblems(setting, value, FORM);
  if (problems.length > 0 || !isKnown(value)) return problems;

  const [, , , layerRegion, , , name = ""] = value.split(":");
  if (isKnown(region) && layerRegion !== region) {
    problems.push(problem(setting, value, `is not in the function's region, ${region}`));
  }
  const names = LAYER_NAMES.find(({ arm64, x86_64 }) => name === arm64 || name === x86_64);
  if (names && isKnown(architecture) && architecture in names && names[architecture] !== name) {
    const other = architecture === "arm64" ? "x86_64" : "arm64";
    problems.push(problem(setting, value, `is for ${other}; ${architecture} needs ${names[architecture]}`));
  }
  return problems;
}
