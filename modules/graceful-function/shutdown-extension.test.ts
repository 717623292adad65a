import { InsightsLayer } from "./insights-layer";
import { ShutdownExtension } from "./shutdown-extension";
import { only, synthesize, type Attributes } from "../__tests__/synthesis";

const LAYER = "arn:aws:lambda:us-east-1:123456789012:layer:extension:7";

function synthesized(shutdownExtension?: ShutdownExtension): {
  lambda: Attributes;
  variables: unknown;
  outputs: string[];
} {
  const { resource, output } = synthesize(shutdownExtension ? { shutdownExtension } : {});
  const lambda = only(resource, "aws_lambda_function");
  return { lambda, variables: (lambda.environment as Attributes).variables, outputs: Object.keys(output) };
}

test("Insights is the default: the layer, and the 300 ms that an external extension leaves", () => {
  const byDefault = synthesized();
  expect(byDefault).toEqual(synthesized(ShutdownExtension.insights()));
  expect(byDefault.lambda.layers).toEqual([expect.stringContaining(":layer:LambdaInsightsExtension-Arm64:")]);
  expect(byDefault.variables).toEqual({ SHUTDOWN_EXTENSION: "external", SHUTDOWN_BUDGET_MS: "300" });
  expect(byDefault.outputs).toContain("function_insights_layer_arn");
});

test("Insights can be of a version", () => {
  const { lambda } = synthesized(ShutdownExtension.insights(InsightsLayer.version("1.0.135.0")));
  expect(lambda.layers).toEqual(["arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension-Arm64:2"]);
});

test("the internal extension needs no layer and has 500 ms", () => {
  const { lambda, variables, outputs } = synthesized(ShutdownExtension.internal());
  expect(lambda).not.toHaveProperty("layers");
  expect(variables).toEqual({ SHUTDOWN_EXTENSION: "internal", SHUTDOWN_BUDGET_MS: "500" });
  expect(outputs).not.toContain("function_insights_layer_arn");
});

test("a layer of yours is an external extension, and not Insights", () => {
  const { lambda, variables, outputs } = synthesized(ShutdownExtension.layer(LAYER));
  expect(lambda.layers).toEqual([LAYER]);
  expect(variables).toEqual({ SHUTDOWN_EXTENSION: "external", SHUTDOWN_BUDGET_MS: "300" });
  expect(outputs).not.toContain("function_insights_layer_arn");
});

test("none means no layer and no budget", () => {
  const { lambda, variables } = synthesized(ShutdownExtension.none());
  expect(lambda).not.toHaveProperty("layers");
  expect(variables).toEqual({ SHUTDOWN_EXTENSION: "none" });
});
