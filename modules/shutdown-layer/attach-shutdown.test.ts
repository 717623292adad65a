import { LambdaFunction, type LambdaFunctionConfig } from "@cdktf/provider-aws/lib/lambda-function";
import { Annotations, TerraformVariable, Token, type TerraformStack } from "cdktf";
import { attachShutdown, type AttachShutdownConfig } from "./attach-shutdown";
import { GracefulFunction } from "../graceful-function/graceful-function";
import { FUNCTION, jsonOf, newStack, only, type Attributes } from "../__tests__/synthesis";

const layerArn = "arn:aws:lambda:us-east-1:123456789012:layer:graceful-shutdown:1";
const WRAPPER = { AWS_LAMBDA_EXEC_WRAPPER: "/opt/graceful-shutdown" };
const PRELOAD = "--import=/opt/lambda-graceful-shutdown/attach.mjs";

function attached(
  config: Partial<LambdaFunctionConfig>,
  options: Partial<AttachShutdownConfig> = {},
  stack = newStack(),
): Attributes {
  attachShutdown(stack, { layerArn, ...options });
  new LambdaFunction(stack, "orders", { functionName: "orders", role: "role", runtime: "nodejs24.x", ...config });
  return only(jsonOf(stack).resource, "aws_lambda_function");
}

/** A map or a list that only Terraform knows. */
function value(stack: TerraformStack, type: string): never {
  return new TerraformVariable(stack, "value", { type }).value as never;
}

test("every Node.js function gets the layer and the exec wrapper, also one that is added later", () => {
  expect(attached({})).toMatchObject({ layers: [layerArn], environment: { variables: WRAPPER } });
  expect(attached({ layers: ["other"], environment: { variables: { A: "b" } }, runtime: "nodejs22.x" })).toMatchObject({
    layers: ["other", layerArn],
    environment: { variables: { A: "b", ...WRAPPER } },
  });
});

test("with NODE_OPTIONS, those that are there stay", () => {
  const variable = "NODE_OPTIONS";
  expect(attached({}, { variable }).environment).toEqual({ variables: { NODE_OPTIONS: PRELOAD } });
  const variables = { NODE_OPTIONS: "--enable-source-maps", AWS_LAMBDA_EXEC_WRAPPER: "/opt/theirs" };
  expect(attached({ environment: { variables } }, { variable }).environment).toEqual({
    variables: { NODE_OPTIONS: `--enable-source-maps ${PRELOAD}`, AWS_LAMBDA_EXEC_WRAPPER: "/opt/theirs" },
  });
});

test("a GracefulFunction keeps its own layers and variables", () => {
  const stack = newStack();
  new GracefulFunction(stack, "function", FUNCTION);
  attachShutdown(stack, { layerArn });
  const lambda = only(jsonOf(stack).resource, "aws_lambda_function");
  expect(lambda.layers).toEqual([expect.stringContaining("LambdaInsightsExtension-Arm64"), layerArn]);
  expect(lambda.environment).toMatchObject({ variables: { SHUTDOWN_EXTENSION: "external", ...WRAPPER } });
});

test("a second synthesis adds nothing more", () => {
  const stack = newStack();
  attached({}, {}, stack);
  const lambda = only(jsonOf(stack).resource, "aws_lambda_function");
  expect(lambda.layers).toEqual([layerArn]);
});

test("lists and maps that only Terraform knows are extended by Terraform", () => {
  const layers = newStack();
  const list = value(layers, "list(string)");
  expect(attached({ layers: list }, {}, layers).layers).toBe(`\${concat(var.value, ["${layerArn}"])}`);
  const wrapper = newStack();
  const variables = Token.asStringMap(value(wrapper, "map(string)"));
  expect(attached({ environment: { variables } }, {}, wrapper).environment).toEqual({
    variables: '${merge({"AWS_LAMBDA_EXEC_WRAPPER" = "/opt/graceful-shutdown"}, var.value)}',
  });
  const options = newStack();
  const map = Token.asStringMap(value(options, "map(string)"));
  expect(attached({ environment: { variables: map } }, { variable: "NODE_OPTIONS" }, options).environment).toEqual({
    variables: `\${merge(var.value, {"NODE_OPTIONS" = join(" ", compact([try(var.value.NODE_OPTIONS, ""), "${PRELOAD}"]))})}`,
  });
});

test.each<[Partial<LambdaFunctionConfig>, string]>([
  [{ runtime: "python3.13" }, "python3.13 is not Node.js"],
  [{ runtime: "nodejs20.x" }, "nodejs20.x is older than nodejs22.x"],
  [{ runtime: "nodejs8.10" }, "nodejs8.10 is older than nodejs22.x"],
  [{ packageType: "Image", imageUri: "orders:1", runtime: undefined }, "a container image takes no layers"],
  [{ runtime: "${var.runtime}" }, "only Terraform knows its runtime"],
])("%j is left alone, with an annotation", (config, reason) => {
  const warn = jest.spyOn(Annotations.prototype, "addWarning");
  const lambda = attached(config);
  expect(lambda).not.toHaveProperty("layers");
  expect(lambda).not.toHaveProperty("environment");
  expect(warn).toHaveBeenCalledWith(expect.stringContaining(reason));
});

test.each<[Partial<LambdaFunctionConfig>, string]>([
  [
    { environment: { variables: { AWS_LAMBDA_EXEC_WRAPPER: "/opt/theirs" } } },
    'test/orders: environment.AWS_LAMBDA_EXEC_WRAPPER "/opt/theirs" is another exec wrapper, and a function has one. Set variable: "NODE_OPTIONS"',
  ],
  [{ layers: ["1", "2", "3", "4", "5"] }, "are 5 layers already, the most that a function can have. Remove one"],
])("%j is refused", (config, message) => {
  expect(() => attached(config)).toThrow(message);
});
