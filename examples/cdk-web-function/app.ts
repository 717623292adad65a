import { App, Stack } from "aws-cdk-lib";
import { WebFunction, WebFunctionAuthType, WebFunctionCode, WebFunctionRuntime } from "aws-cdk-lib/aws-lambda";

const stack = new Stack(new App(), "orders");
new WebFunction(stack, "function", {
  runtime: WebFunctionRuntime.NODEJS_24_X,
  code: WebFunctionCode.fromAssetToManagedBucket("src"),
  defaultEndpointAuth: WebFunctionAuthType.IAM_AUTH,
  // A Web Function has no layers. The preload is a package in `src`, or one import at the top of its first file.
  environment: { NODE_OPTIONS: "--import=lambda-graceful-shutdown/attach" },
});
