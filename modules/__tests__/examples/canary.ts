import { LambdaAlias } from "@cdktf/provider-aws/lib/lambda-alias";
import type { TerraformStack } from "cdktf";
import type { GracefulFunction } from "../../graceful-function/graceful-function";

export function canary(stack: TerraformStack, orders: GracefulFunction): void {
  orders.resource.publish = true;
  new LambdaAlias(stack, "live", {
    name: "live",
    functionName: orders.functionName,
    // The version that is known to work. One call in ten runs the newest one.
    functionVersion: "7",
    routingConfig: { additionalVersionWeights: { [orders.resource.version]: 0.1 } },
  });
}
