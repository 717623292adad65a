/// <reference path="./.sst/platform/config.d.ts" />

export default $config({
  app: () => ({ name: "orders", home: "aws" }),
  async run() {
    const layer = new aws.lambda.LayerVersion("gracefulShutdown", {
      layerName: "graceful-shutdown",
      code: new $util.asset.FileArchive("node_modules/lambda-graceful-shutdown/layer"),
      compatibleRuntimes: ["nodejs22.x", "nodejs24.x"],
    });
    // Your function, as it is, with layers and one variable.
    new sst.aws.Function("orders", {
      handler: "src/index.handler",
      layers: [layer.arn],
      environment: { AWS_LAMBDA_EXEC_WRAPPER: "/opt/graceful-shutdown" },
    });
  },
});
