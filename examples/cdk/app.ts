import { App, Stack } from "aws-cdk-lib";
import { Code, Function, LayerVersion, Runtime } from "aws-cdk-lib/aws-lambda";

const stack = new Stack(new App(), "orders");
const layer = new LayerVersion(stack, "graceful-shutdown", {
  code: Code.fromAsset("node_modules/lambda-graceful-shutdown/layer"),
  compatibleRuntimes: [Runtime.NODEJS_22_X, Runtime.NODEJS_24_X],
});

// Your function, as it is.
const orders = new Function(stack, "function", {
  runtime: Runtime.NODEJS_24_X,
  handler: "index.handler",
  code: Code.fromAsset("src"),
});
orders.addLayers(layer);
orders.addEnvironment("AWS_LAMBDA_EXEC_WRAPPER", "/opt/graceful-shutdown");
