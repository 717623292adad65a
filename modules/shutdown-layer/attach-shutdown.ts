import type { LambdaFunction } from "@cdktf/provider-aws/lib/lambda-function";
import { Annotations, Aspects, Fn, Token } from "cdktf";
import type { IConstruct } from "constructs";
import { optional, optionProblems, read, required, type OptionTable } from "../terraform/option-table";
import { isKnown, problem, ConstructSettingsError } from "../terraform/construct-settings-error";

const WAYS = ["AWS_LAMBDA_EXEC_WRAPPER", "NODE_OPTIONS"] as const;
const WRAPPER = "/opt/graceful-shutdown";
const PRELOAD = "--import=/opt/lambda-graceful-shutdown/attach.mjs";

/** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const MAX_LAYERS = 5;
/** `--import` of a module that waits at the top level needs it. */
const OLDEST_MAJOR = 22;

export interface AttachShutdownConfig {
  readonly layerArn: string;

  /**
   * Starts the preload. With "NODE_OPTIONS", a value that is there stays.
   *
   * A function has one exec wrapper.
   * @default "AWS_LAMBDA_EXEC_WRAPPER"
   */
  readonly variable?: (typeof WAYS)[number];
}

const OPTIONS: OptionTable<AttachShutdownConfig> = { layerArn: required("text"), variable: read(optional(WAYS)) };

/**
 * Adds the shutdown layer to every Node.js function of a scope, also to those that are added later. Other functions stay
 * as they are, with an annotation that says why.
 *
 * @throws ConstructSettingsError for a wrong option; the synthesis throws one for a function that cannot take the layer.
 */
export function attachShutdown(scope: IConstruct, config: AttachShutdownConfig): void {
  ConstructSettingsError.throwIfAny(optionProblems(config, OPTIONS), scope);
  const { layerArn, variable = "AWS_LAMBDA_EXEC_WRAPPER" } = config;
  // An aspect can visit a resource more than once.
  const attached = new Set<IConstruct>();
  Aspects.of(scope).add({
    visit: (element: IConstruct) => {
      if (!isLambdaFunction(element) || attached.has(element)) return;
      attached.add(element);
      const reason = reasonAgainst(element);
      if (reason !== undefined) {
        Annotations.of(element).addWarning(`attachShutdown leaves this function as it is: ${reason}`);
        return;
      }
      addLayer(element, layerArn);
      addVariable(element, variable);
    },
  });
}

function isLambdaFunction(element: IConstruct): element is LambdaFunction {
  return (element as Partial<LambdaFunction>).terraformResourceType === "aws_lambda_function";
}

/** Why the layer would do nothing in a function. */
function reasonAgainst({ packageTypeInput, imageUriInput, runtimeInput }: LambdaFunction): string | undefined {
  if (packageTypeInput === "Image" || imageUriInput !== undefined) {
    return "a container image takes no layers. Import lambda-graceful-shutdown/attach in it";
  }
  if (runtimeInput === undefined || !isKnown(runtimeInput)) return "only Terraform knows its runtime";
  const major = /^nodejs(\d+)\./.exec(runtimeInput)?.[1];
  if (major === undefined) return `${runtimeInput} is not Node.js`;
  return Number(major) < OLDEST_MAJOR ? `${runtimeInput} is older than nodejs${OLDEST_MAJOR}.x` : undefined;
}

function addLayer(lambda: LambdaFunction, layerArn: string): void {
  const layers = lambda.layersInput ?? [];
  if (Token.isUnresolved(layers)) {
    lambda.layers = Token.asList(Fn.concat([layers, [layerArn]]));
    return;
  }
  if (layers.includes(layerArn)) return;
  if (layers.length >= MAX_LAYERS) {
    const full = `are ${MAX_LAYERS} layers already, the most that a function can have. Remove one`;
    throw new ConstructSettingsError([problem("layers", layers, full)], lambda.node.path);
  }
  lambda.layers = [...layers, layerArn];
}

function addVariable(lambda: LambdaFunction, name: (typeof WAYS)[number]): void {
  const variables = lambda.environmentInput?.variables ?? {};
  if (Token.isUnresolved(variables)) {
    lambda.putEnvironment({ variables: withVariable(variables, name) });
    return;
  }
  const { AWS_LAMBDA_EXEC_WRAPPER: wrapper, NODE_OPTIONS: options = "" } = variables;
  if (name === "NODE_OPTIONS") {
    lambda.putEnvironment({ variables: { ...variables, NODE_OPTIONS: `${options} ${PRELOAD}`.trim() } });
    return;
  }
  if (wrapper !== undefined && wrapper !== WRAPPER) {
    const taken = 'is another exec wrapper, and a function has one. Set variable: "NODE_OPTIONS" in attachShutdown';
    throw new ConstructSettingsError(
      [problem("environment.AWS_LAMBDA_EXEC_WRAPPER", wrapper, taken)],
      lambda.node.path,
    );
  }
  lambda.putEnvironment({ variables: { ...variables, AWS_LAMBDA_EXEC_WRAPPER: WRAPPER } });
}

/** For a map that only Terraform knows: an exec wrapper that is in it stays, and the preload is not used then. */
function withVariable(variables: Record<string, string>, name: (typeof WAYS)[number]): Record<string, string> {
  if (name === "AWS_LAMBDA_EXEC_WRAPPER") {
    return Token.asStringMap(Fn.merge([{ AWS_LAMBDA_EXEC_WRAPPER: WRAPPER }, variables]));
  }
  const options = Fn.compact([Token.asString(Fn.try([Fn.lookup(variables, name), ""])), PRELOAD]);
  return Token.asStringMap(Fn.merge([variables, { NODE_OPTIONS: Fn.join(" ", options) }]));
}
