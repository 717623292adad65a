import { Apigatewayv2Api } from "@cdktf/provider-aws/lib/apigatewayv2-api";
import { LambdaPermission } from "@cdktf/provider-aws/lib/lambda-permission";
import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

export function httpApi(stack: TerraformStack, orders: GracefulFunction): void {
  const api = new Apigatewayv2Api(stack, "api", { name: "orders", protocolType: "HTTP", target: orders.arn });
  new LambdaPermission(stack, "api-may-invoke", {
    action: "lambda:InvokeFunction",
    functionName: orders.functionName,
    principal: "apigateway.amazonaws.com",
    sourceArn: `${api.executionArn}/*`,
  });
}
