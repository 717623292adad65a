import { LambdaAlias } from "@cdktf/provider-aws/lib/lambda-alias";
import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

export function alias(stack: TerraformStack, orders: GracefulFunction): void {
  orders.resource.publish = true;
  const live = new LambdaAlias(stack, "live", {
    name: "live",
    functionName: orders.functionName,
    functionVersion: orders.resource.version,
  });
  // Callers use live.arn and live.invokeArn.
  live.description = "The newest version";
}
