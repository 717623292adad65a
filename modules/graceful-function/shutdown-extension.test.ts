import { InsightsLayer } from "./insights-layer";
import { ShutdownExtension } from "./shutdown-extension";
import { LAYER, only, synthesize, type Attributes } from "../__tests__/synthesis";

const OF_INSIGHTS = "arn:aws:lambda:us-east-1:580247275435:layer:LambdaInsightsExtension-Arm64";
const EXTERNAL = { SHUTDOWN_EXTENSION: "external", SHUTDOWN_BUDGET_MS: "300" };
const INTERNAL = { SHUTDOWN_EXTENSION: "internal", SHUTDOWN_BUDGET_MS: "500" };

test.each([
  ["by default: Insights", undefined, [`${OF_INSIGHTS}:27`], EXTERNAL],
  ["insights()", ShutdownExtension.insights(), [`${OF_INSIGHTS}:27`], EXTERNAL],
  ["a version", ShutdownExtension.insights(InsightsLayer.version("1.0.135.0")), [`${OF_INSIGHTS}:2`], EXTERNAL],
  ["layer()", ShutdownExtension.layer(LAYER), [LAYER], EXTERNAL],
  ["internal()", ShutdownExtension.internal(), undefined, INTERNAL],
  ["none()", ShutdownExtension.none(), undefined, { SHUTDOWN_EXTENSION: "none" }],
])("decides layer, kind and budget: %s", (_, shutdownExtension, layers, variables) => {
  const { resource, output } = synthesize({ shutdownExtension });
  const lambda = only(resource, "aws_lambda_function");
  expect([lambda.layers, (lambda.environment as Attributes).variables]).toEqual([layers, variables]);
  expect("function_insights_layer_arn" in output).toBe(layers?.[0]?.startsWith(OF_INSIGHTS) === true);
});
