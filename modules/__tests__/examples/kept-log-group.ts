import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import type { TerraformStack } from "cdktf";
import { GracefulFunction } from "../../graceful-function/graceful-function";

export function keptLogGroup(stack: TerraformStack): void {
  const lines = new CloudwatchLogGroup(stack, "lines", {
    name: "/shop/orders",
    logGroupClass: "INFREQUENT_ACCESS",
    retentionInDays: 3653,
    skipDestroy: true,
  });
  new GracefulFunction(stack, "orders", {
    region: "us-east-1",
    functionName: "orders",
    code: { entry: "function/index.ts" },
    logGroup: { name: lines.name, createdBy: "Lambda" },
  });
}
