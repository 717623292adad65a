import { LambdaFunctionUrl } from "@cdktf/provider-aws/lib/lambda-function-url";
import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

export function functionUrl(stack: TerraformStack, orders: GracefulFunction): void {
  new LambdaFunctionUrl(stack, "url", {
    functionName: orders.functionName,
    // Callers sign their requests. They need lambda:InvokeFunctionUrl and lambda:InvokeFunction.
    authorizationType: "AWS_IAM",
    invokeMode: "RESPONSE_STREAM",
    cors: { allowOrigins: ["https://shop.example.com"], allowMethods: ["GET"], maxAge: 3600 },
  });
}
